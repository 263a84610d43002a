//! What somebody does to the files of a download between two runs.

use std::{
    fs::{self, File},
    path::Path,
};

use fastrand::Rng;

use crate::harness::TestEnv;

#[derive(Debug, Clone, Copy)]
pub(super) enum Damage {
    StateFlipped,
    StateCut,
    StateEmptied,
    StateRemoved,
    StateOfAnotherUrl,
    PartCut,
    PartExtended,
    PartRemoved,
    /// Nothing tells but a digest.
    PartFlipped,
}

const ALL: [Damage; 9] = [
    Damage::StateFlipped,
    Damage::StateCut,
    Damage::StateEmptied,
    Damage::StateRemoved,
    Damage::StateOfAnotherUrl,
    Damage::PartCut,
    Damage::PartExtended,
    Damage::PartRemoved,
    Damage::PartFlipped,
];

impl Damage {
    pub(super) fn draw(rng: &mut Rng, has_digest: bool) -> Self {
        // The last one is for those with a digest.
        ALL[rng.usize(..ALL.len() - usize::from(!has_digest))]
    }

    /// Does it, where there is something to damage. Returns whether the content of the `.part` file is another.
    pub(super) fn happen(self, test: &TestEnv, rng: &mut Rng) -> bool {
        let (part, state) = (test.work("file.part"), test.work("file.part.state"));
        match self {
            Self::StateFlipped => _ = flip(&state, rng),
            Self::StateCut => resize(&state, rng, |length, rng| rng.u64(..=length)),
            Self::StateEmptied => resize(&state, rng, |_, _| 0),
            Self::StateRemoved => drop(fs::remove_file(&state)),
            Self::StateOfAnotherUrl => leave_state_of_another_url(test),
            Self::PartCut => resize(&part, rng, |length, rng| rng.u64(..=length)),
            Self::PartExtended => resize(&part, rng, |length, rng| length + rng.u64(1..1_000_000)),
            Self::PartRemoved => drop(fs::remove_file(&part)),
            Self::PartFlipped => return flip(&part, rng),
        }
        false
    }
}

/// Turns one bit over, if there is one.
fn flip(path: &Path, rng: &mut Rng) -> bool {
    let Ok(mut bytes) = fs::read(path) else { return false };
    let Some(byte) = (!bytes.is_empty()).then(|| rng.usize(..bytes.len())) else { return false };
    bytes[byte] ^= 1 << rng.u8(..8);
    fs::write(path, bytes).is_ok()
}

fn resize(path: &Path, rng: &mut Rng, length: impl Fn(u64, &mut Rng) -> u64) {
    let Ok(file) = File::options().write(true).open(path) else { return };
    let old = file.metadata().expect("it is open").len();
    file.set_len(length(old, rng)).expect("it is ours");
}

/// A true one, made by dfget, of bytes that are none of this download's.
fn leave_state_of_another_url(test: &TestEnv) {
    let mut other = test.get("good://h/other?size=50000&hold-at=20000").output("other").last().start();
    other.wait_for_bytes(20_000);
    other.signal(rustix::process::Signal::INT);
    other.finish();
    fs::rename(test.work("other.part.state"), test.work("file.part.state")).expect("it was interrupted");
    fs::remove_file(test.work("other.part")).expect("it was interrupted");
}
