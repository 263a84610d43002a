//! Writes to one file, and keeps count of what is there: its digest, what is durable, what can be gone on with.

use std::{
    fs::{self, File, Metadata},
    io::{self, Write},
    mem,
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt},
    sync::Arc,
};

use super::{Place, checkpoint::Checkpoints};
use crate::{
    download::{
        ranges::RangeSet,
        state::{State, state_of},
    },
    verify::{Algorithm, Digester},
};

/// The state has some hundred bytes, and file systems have blocks.
const ROOM_FOR_STATE: u64 = 16 * 1024;

/// Bytes hashed at a time.
const HASHED: usize = 256 * 1024;

/// What is known before the first byte is written.
#[derive(Debug, Default)]
pub(crate) struct Begin {
    /// Of the output's first byte in the resource.
    pub(crate) base: u64,
    /// Bytes that are left out before the first one in the output.
    pub(crate) first: u64,
    /// What the file holds already, by offsets in the resource; all else in it is worthless.
    pub(crate) ranges: RangeSet,
    /// Stored beside the file while it grows, with the ranges that are on the disk; `None` if it cannot be resumed.
    pub(crate) state: Option<State>,
    /// The digest to compute.
    pub(crate) digest: Option<Algorithm>,
}

/// A file that is whole.
pub(crate) struct Written {
    /// In lower-case hexadecimal, if it was to be computed.
    pub(crate) digest: Option<String>,
    /// Bytes that were downloaded into the file.
    pub(crate) length: u64,
    /// There is a state beside it.
    pub(super) has_state: bool,
}

/// A file that is being written.
pub(super) struct Sink {
    file: Arc<File>,
    part: Option<Place>,
    no_fsync: bool,
    /// It is `/dev/null`.
    is_null: bool,
    begun: bool,
    /// A state was stored before the first byte came.
    resumed: bool,
    /// Of the file, as far as it is known.
    length: Option<u64>,
    base: u64,
    /// The file's first byte that is not left out.
    first: u64,
    written: RangeSet,
    /// Up to here, in the file, the digester has everything.
    hashed: u64,
    digester: Option<Digester>,
    /// Bytes on their way to it.
    hashing: Vec<u8>,
    checkpoints: Option<Checkpoints>,
}

impl Sink {
    /// `part` is the place of a file that can be read, cut and resumed; without one it is but a stream.
    pub(super) fn new(file: Arc<File>, part: Option<Place>, no_fsync: bool) -> Self {
        let is_null = part.is_none() && is_null(&file);
        Self {
            file,
            part,
            no_fsync,
            is_null,
            begun: false,
            resumed: false,
            length: None,
            base: 0,
            first: 0,
            written: RangeSet::default(),
            hashed: 0,
            digester: None,
            hashing: Vec::new(),
            checkpoints: None,
        }
    }

    /// The file is known to have nothing in it.
    pub(super) fn begins_empty(&mut self) {
        self.length = Some(0);
    }

    /// Whether nothing can keep a write waiting for long: it goes to the page cache.
    pub(super) fn is_file(&self) -> bool {
        self.part.is_some()
    }

    /// Whether a write does nothing at all: to `/dev/null`, and for no digest.
    pub(super) fn costs_nothing(&self) -> bool {
        self.is_null && self.digester.is_none()
    }

    /// Given up or interrupted: leaves the file so that it can be resumed.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        // Cutting it where it ends gives back what was reserved behind that.
        if self.part.is_some() {
            self.file.set_len(self.file.metadata()?.len())?;
        }
        let ranges = self.in_resource();
        self.checkpoints.take().map_or(Ok(()), |checkpoints| checkpoints.last(&self.file, ranges))
    }

    /// Makes room for the state on a disk that has none.
    fn give_up_the_end(&mut self) -> io::Result<()> {
        if self.part.is_none() {
            return Ok(());
        }
        let end = self.written.iter().last().map_or(0, |range| range.end.saturating_sub(ROOM_FOR_STATE));
        self.written.truncate(end);
        self.file.set_len(end)
    }

    /// What came of it so far.
    pub(super) fn written(&self) -> Written {
        Written { digest: None, length: self.written.prefix().saturating_sub(self.first), has_state: true }
    }

    /// Sets the file up; what it holds beside [`Begin::ranges`] is forgotten.
    pub(super) fn begin(&mut self, begin: Begin) -> io::Result<()> {
        let Begin { base, first, ranges, state, digest } = begin;
        if let Some(checkpoints) = self.checkpoints.take() {
            checkpoints.stop()?;
        }
        // A stream cannot take back what it was given.
        if let Some(part) = &self.part {
            match &state {
                // Of this version, without what the file has lost: what comes now may lie behind that.
                Some(state) if !ranges.is_empty() => {
                    State { ranges: ranges.clone(), ..state.clone() }.store(part, !self.no_fsync)?;
                    self.resumed = true;
                }
                // Of an earlier run or version: it must not outlive the bytes that it speaks of.
                _ => _ = state_of(part).remove(),
            }
            let held = ranges.iter().last().map_or(0, |range| range.end - base);
            if self.begun {
                // Also where it is as long: it gives back what was reserved for another version.
                self.file.set_len(held)?;
                self.length = Some(held);
            }
            self.cut(held)?;
            self.begun = true;
        }
        self.written = ranges.iter().map(|range| range.start - base..range.end - base).collect();
        // What is left out is no gap.
        self.written.insert(0..first);
        (self.base, self.first, self.hashed) = (base, first, first);
        self.digester = digest.map(Digester::new);
        self.checkpoints = match (state, &self.part) {
            (Some(state), Some(part)) => Some(Checkpoints::new(part, state, self.no_fsync)),
            _ => None,
        };
        self.hash_prefix()
    }

    /// Writes bytes of the resource at `offset`; a stream takes them in order only.
    pub(super) fn write(&mut self, offset: u64, chunk: &[u8]) -> io::Result<()> {
        self.put(offset, chunk).inspect_err(|_| {
            // Most often the disk is full: what came is to be gone on with, and to be recorded for that.
            let _ = self.give_up_the_end().and_then(|()| self.keep());
        })
    }

    fn put(&mut self, offset: u64, chunk: &[u8]) -> io::Result<()> {
        let at = offset - self.base;
        let end = at + chunk.len() as u64;
        if self.digester.is_some() && at == self.hashed {
            self.put_and_hash(chunk)?;
        } else {
            self.put_at(at, chunk)?;
        }
        self.written.insert(at..end);
        self.length = self.length.map(|length| length.max(end));
        self.hash_prefix()?;
        if self.checkpoints.as_mut().is_some_and(|checkpoints| checkpoints.is_due(chunk.len() as u64)) {
            let ranges = self.in_resource();
            if let Some(checkpoints) = &mut self.checkpoints {
                checkpoints.take(&self.file, ranges)?;
            }
        }
        Ok(())
    }

    /// Writes where the digest goes on. A plugin may still write to memory that it shares: what is hashed is to be what is
    /// written.
    fn put_and_hash(&mut self, chunk: &[u8]) -> io::Result<()> {
        let mut own = mem::take(&mut self.hashing);
        for piece in chunk.chunks(HASHED) {
            own.clear();
            own.extend_from_slice(piece);
            self.put_at(self.hashed, &own)?;
            self.hashed += own.len() as u64;
            if let Some(digester) = &mut self.digester {
                digester.update(&own);
            }
        }
        self.hashing = own;
        Ok(())
    }

    fn put_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        match self.part {
            Some(_) => self.file.write_all_at(bytes, at),
            None => (&*self.file).write_all(bytes),
        }
    }

    /// Reads back what came out of order, once there is no gap before it.
    fn hash_prefix(&mut self) -> io::Result<()> {
        let Some(digester) = &mut self.digester else { return Ok(()) };
        let prefix = self.written.prefix();
        while self.hashed < prefix {
            self.hashing.resize(HASHED.min(usize::try_from(prefix - self.hashed).unwrap_or(HASHED)), 0);
            self.file.read_exact_at(&mut self.hashing, self.hashed)?;
            digester.update(&self.hashing);
            self.hashed += self.hashing.len() as u64;
        }
        Ok(())
    }

    /// The file is whole.
    pub(super) fn commit(mut self) -> io::Result<Written> {
        let mut has_state = self.resumed;
        if let Some(checkpoints) = self.checkpoints.take() {
            has_state |= checkpoints.has_begun();
            checkpoints.stop()?;
        }
        let end = self.written.prefix();
        if self.part.is_some() {
            // Preallocated, or left longer by an earlier version.
            self.cut(end)?;
        }
        let length = end - self.first;
        Ok(Written { digest: self.digester.map(Digester::finish), length, has_state })
    }

    /// Cuts or stretches the file, unless it is as long already: most are, and it is not for nothing.
    fn cut(&mut self, length: u64) -> io::Result<()> {
        let found = self.length.map_or_else(|| self.file.metadata().map(|found| found.len()), Ok)?;
        self.length = Some(length);
        if found == length { Ok(()) } else { self.file.set_len(length) }
    }

    fn in_resource(&self) -> RangeSet {
        let real = self.written.iter().map(|range| range.start.max(self.first)..range.end);
        real.map(|range| range.start + self.base..range.end + self.base).filter(|range| !range.is_empty()).collect()
    }
}

fn is_null(file: &File) -> bool {
    let device = |found: io::Result<Metadata>| {
        found.ok().filter(|found| found.file_type().is_char_device()).map(|found| found.rdev())
    };
    let null = device(fs::metadata("/dev/null"));
    null.is_some() && device(file.metadata()) == null
}
