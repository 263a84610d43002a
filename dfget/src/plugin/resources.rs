//! How much of the machine a plugin may have, as the configuration says: set in the shim, inherited by whoever the
//! plugin starts.

use std::{fmt, io};

use indicatif::BinaryBytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::sandbox::Rules;

/// What the shim sets. All of it is per process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Limits {
    /// Bytes that it may write to and shares with nobody, used or not: `RLIMIT_DATA`. Not `RLIMIT_AS`, by which the
    /// runtimes of Go and Java, which reserve far more than they use, would not even start.
    pub(super) memory: Option<u64>,
    open_files: Option<u64>,
}

impl Limits {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { memory: rules.memory, open_files: rules.open_files }
    }

    /// Limits this process. Nothing undoes it.
    pub(super) fn apply(self) -> io::Result<()> {
        self.memory.map_or(Ok(()), |limit| set(Resource::Data, limit))?;
        self.open_files.map_or(Ok(()), |limit| set(Resource::Nofile, limit))
    }
}

/// Never more than there was.
fn set(resource: Resource, limit: u64) -> io::Result<()> {
    let limit = getrlimit(resource).maximum.map_or(limit, |maximum| limit.min(maximum));
    Ok(setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?)
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory.map(|limit| format!("{} of memory", BinaryBytes(limit)));
        let open_files = self.open_files.map(|limit| format!("{limit} open files"));
        let limits: Vec<String> = memory.into_iter().chain(open_files).collect();
        match limits.as_slice() {
            [] => f.write_str("none"),
            limits => write!(f, "{} in each process", limits.join(", ")),
        }
    }
}
