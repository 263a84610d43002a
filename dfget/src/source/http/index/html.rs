//! Indexes in HTML. Lengths and times are left out: servers round them, and do not say of which time zone they are.

use std::io::{self, Read};

use html5gum::{DefaultEmitter, IoReader, StartTag, Token, Tokenizer};

use super::{Outlet, page::Watched, place::Place};

/// Hands over what the links of `page` lead to, if it is in `place`.
pub(super) fn read(page: impl Read, mut place: Place, mut outlet: Outlet) -> io::Result<()> {
    let (page, gap) = Watched::new(page);
    let mut emitter = DefaultEmitter::default();
    // What stands in a script is no link.
    emitter.naively_switch_states(true);
    for token in Tokenizer::new_with_emitter(IoReader::new(page), emitter) {
        gap.close();
        let Token::StartTag(tag) = token? else { continue };
        let Some(href) = href_of(&tag) else { continue };
        match &**tag.name {
            b"base" => place.rebase(href),
            b"a" => place.entry(href).map_or(Ok(()), |entry| outlet.take(entry))?,
            _ => {}
        }
    }
    Ok(())
}

fn href_of(tag: &StartTag<()>) -> Option<&[u8]> {
    tag.attributes.get(&b"href"[..]).map(|value| value.trim_ascii())
}
