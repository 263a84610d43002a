//! What survives the end of dfget: which bytes of the `.part` file are on the disk, and of which version.
//!
//! A state file is believed only if it is whole, of the same URL, and has a validator; else the download begins anew.

use std::{io, ops::Range};

use plugin_sdk::{Validator, wire};
use serde::{Deserialize, Serialize};

use super::ranges::RangeSet;
use crate::{output::Place, url::ResourceUrl};

/// Of the format; another one is not understood.
const VERSION: u32 = 2;

/// What is known of a download that was interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Without its secrets, so that a new signature continues an old download.
    pub(crate) url: String,
    /// Bytes of the whole resource.
    pub(crate) total: u64,
    /// The part of it that is wanted.
    pub(crate) wanted: Range<u64>,
    /// The offset of the file's first byte in the resource.
    pub(crate) base: u64,
    /// Never empty.
    pub(crate) validator: Validator,
    /// Bytes that are on the disk, by their offsets in the resource.
    pub(crate) ranges: RangeSet,
}

/// The file's JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    url: String,
    total: u64,
    wanted: (u64, u64),
    base: u64,
    etag: Option<String>,
    /// Milliseconds since the epoch.
    last_modified: Option<i64>,
    ranges: Vec<(u64, u64)>,
    /// CRC-32 of this document with a checksum of 0.
    checksum: u32,
}

impl Document {
    fn own_checksum(&self) -> u32 {
        let place = (self.total, self.wanted, self.base);
        let parts = (self.version, &self.url, place, &self.etag, self.last_modified, &self.ranges);
        crc32fast::hash(&serde_json::to_vec(&parts).expect("numbers and texts have a JSON form"))
    }
}

/// The state file that belongs to a `.part` file.
pub(crate) fn state_of(part: &Place) -> Place {
    part.with_suffix(".state")
}

impl State {
    /// The state beside `part`, if there is one to be believed.
    ///
    /// # Errors
    ///
    /// * why there is one and it is not believed
    pub(crate) fn load(part: &Place, url: &ResourceUrl) -> Result<Option<Self>, String> {
        let text = match state_of(part).read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_nameless(&error) => return Ok(None),
            read => read.map_err(|error| error.to_string())?,
        };
        let mut state = Self::parse(&text)?;
        if state.url != url.to_string() {
            return Err(format!("it is of {}", crate::escape::printable(&state.url)));
        }
        // Somebody may have cut the file since.
        state.ranges.truncate(part.length().saturating_add(state.base).min(state.wanted.end));
        Ok(Some(state))
    }

    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(text).map_err(|_| "it is damaged")?;
        if document.version != VERSION {
            return Err(format!("it is of format {}, this dfget knows {VERSION}", document.version));
        }
        if document.own_checksum() != document.checksum {
            return Err("it is damaged: its checksum does not match".into());
        }
        let last_modified = document.last_modified.and_then(wire::time);
        let ranges = document.ranges.into_iter().map(|(start, end)| Range { start, end }).collect();
        let validator = Validator { etag: document.etag, last_modified };
        let (start, end) = document.wanted;
        Ok(Self {
            url: document.url,
            total: document.total,
            wanted: start..end,
            base: document.base,
            validator,
            ranges,
        })
    }

    /// Replaces the state beside `part`, as a whole or not at all.
    ///
    /// `flush` has it survive a power cut; a file that is not flushed survives dfget.
    pub(crate) fn store(&self, part: &Place, flush: bool) -> io::Result<()> {
        match state_of(part).replace(&self.render(), flush) {
            Err(error) if is_nameless(&error) => Ok(()),
            stored => stored,
        }
    }

    /// What [`parse`](Self::parse) reads.
    pub(super) fn render(&self) -> Vec<u8> {
        let mut document = Document {
            version: VERSION,
            url: self.url.clone(),
            total: self.total,
            wanted: (self.wanted.start, self.wanted.end),
            base: self.base,
            etag: self.validator.etag.clone(),
            last_modified: self.validator.last_modified.map(wire::millis),
            ranges: self.ranges.iter().map(|range| (range.start, range.end)).collect(),
            checksum: 0,
        };
        document.checksum = document.own_checksum();
        serde_json::to_vec(&document).expect("numbers and texts have a JSON form")
    }
}

/// The name of the `.part` file is so long that its state can have none: then there is nothing to go on with.
fn is_nameless(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidFilename
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        time::{Duration, UNIX_EPOCH},
    };

    use super::*;

    fn state(url: &str) -> State {
        let last_modified = Some(UNIX_EPOCH + Duration::from_millis(1_639_385_584_123));
        let validator = Validator { etag: Some("\"v1\"".into()), last_modified };
        let ranges = [0..10, 50..60].into_iter().collect();
        State { url: url.into(), total: 100, wanted: 0..100, base: 0, validator, ranges }
    }

    fn part(length: usize) -> (tempfile::TempDir, Place) {
        let directory = tempfile::tempdir().unwrap();
        let part = directory.path().join("a.part");
        fs::write(&part, vec![0; length]).unwrap();
        (directory, Place::of(&part).unwrap())
    }

    fn url() -> ResourceUrl {
        "x://h/a?sig=1".parse().unwrap()
    }

    #[test]
    fn a_state_comes_back_as_it_was_for_a_url_with_a_new_signature() {
        let (_directory, part) = part(60);
        state("x://h/a?sig=***").store(&part, true).unwrap();
        assert_eq!(State::load(&part, &url()), Ok(Some(state("x://h/a?sig=***"))));
        let renewed = "x://h/a?sig=2".parse().unwrap();
        assert!(State::load(&part, &renewed).unwrap().is_some());
    }

    #[test]
    fn without_a_file_there_is_none_and_of_another_url_it_is_refused() {
        let (_directory, part) = part(60);
        assert_eq!(State::load(&part, &url()), Ok(None));
        state("x://h/b").store(&part, true).unwrap();
        assert_eq!(State::load(&part, &url()), Err("it is of x://h/b".into()));
    }

    #[test]
    fn bytes_that_the_part_file_lost_are_missing() {
        let (_directory, part) = part(55);
        state("x://h/a?sig=***").store(&part, true).unwrap();
        let ranges = State::load(&part, &url()).unwrap().unwrap().ranges;
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [0..10, 50..55]);
    }

    #[test]
    fn a_damaged_state_is_never_believed() {
        let (_directory, part) = part(60);
        state("x://h/a?sig=***").store(&part, true).unwrap();
        let whole = state_of(&part).read().unwrap();
        for cut in 0..whole.len() {
            assert!(State::parse(&whole[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert_ne!(State::parse(&flipped), Ok(state("x://h/b")), "flipped at {at}");
            assert!(State::parse(&flipped).is_err(), "flipped at {at}: {}", String::from_utf8_lossy(&flipped));
        }
    }
}
