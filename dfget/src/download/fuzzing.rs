//! The rules of the state file.

use plugin_sdk::{Validator, wire};

use super::state::State;
use crate::fuzzing::Draw;

/// A state that is stored is read as it was; one that is damaged is refused, or is the same.
///
/// The bytes are taken for a file, and they are what a state and its damage are drawn from.
pub fn state(bytes: &[u8]) {
    if let Ok(state) = State::parse(bytes) {
        assert_eq!(State::parse(&state.render()), Ok(state));
    }
    let mut draw = Draw::new(bytes);
    let state = draw_state(&mut draw);
    let whole = state.render();
    assert_eq!(State::parse(&whole).as_ref(), Ok(&state));
    while !draw.is_empty() {
        let damaged = damage(whole.clone(), &mut draw);
        let read = State::parse(&damaged);
        assert!(read.as_ref().is_err() || read == Ok(state.clone()), "{}", String::from_utf8_lossy(&damaged));
    }
}

fn draw_state(draw: &mut Draw<'_>) -> State {
    let etag = draw.maybe().map(|_| draw.text());
    let last_modified = draw.maybe().and_then(|millis| wire::time(millis.cast_signed()));
    let (url, total, wanted, base) = (draw.text(), draw.number(), draw.number()..draw.number(), draw.number());
    let ranges = (0..draw.byte() % 8).map(|_| draw.number()..draw.number()).collect();
    State { url, total, wanted, base, validator: Validator { etag, last_modified }, ranges }
}

/// As a disk, an editor or an interrupted copy would do it.
fn damage(mut file: Vec<u8>, draw: &mut Draw<'_>) -> Vec<u8> {
    let kind = draw.byte() % 4;
    let at = usize::from(draw.byte()) << 8 | usize::from(draw.byte());
    let at = at % file.len();
    match kind {
        0 => file.truncate(at),
        1 => file[at] = draw.byte(),
        2 => _ = file.remove(at),
        _ => file.insert(at, draw.byte()),
    }
    file
}
