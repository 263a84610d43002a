//! Gives files that are whole their names, many at a time: then the disk flushes them together.

use std::{io, path::Path, time::SystemTime};

use super::{io_error, part::Part};
use crate::error::Error;

/// A file all of whose bytes are written, and that has yet to get its name.
pub(crate) struct Whole {
    part: Part,
    modified: Option<SystemTime>,
}

impl Whole {
    pub(super) fn new(part: Part, modified: Option<SystemTime>) -> Self {
        Self { part, modified }
    }

    /// Flushes and renames it.
    ///
    /// # Errors
    ///
    /// * [`Error::LocalIo`]: it could not be flushed or renamed
    /// * [`Error::OutputExists`]: one has appeared in the meantime
    pub(crate) async fn commit(self) -> Result<(), Error> {
        let commit = move || commit_all(&[self]).pop().unwrap_or(Ok(()));
        tokio::task::spawn_blocking(commit).await.map_err(io::Error::other).map_err(io_error("flush", Path::new("")))?
    }
}

/// Flushes and renames files, and says of each what came of it. Blocks.
pub(crate) fn commit_all(files: &[Whole]) -> Vec<Result<(), Error>> {
    if files.len() > 1 {
        // All are on their way to the disk before the first one is waited for.
        files.iter().for_each(|file| file.part.start_flush());
    }
    let mut results: Vec<Result<(), Error>> = files.iter().map(|file| file.part.flush(file.modified)).collect();
    for (file, result) in files.iter().zip(&mut results).filter(|(_, result)| result.is_ok()) {
        *result = file.part.rename();
    }
    let mut flushed: Vec<&Part> = Vec::new();
    for (Whole { part, .. }, result) in files.iter().zip(&mut results).filter(|(_, result)| result.is_ok()) {
        if flushed.iter().any(|other| other.is_beside(part)) {
            continue;
        }
        *result = part.flush_directory();
        flushed.push(part);
    }
    results
}
