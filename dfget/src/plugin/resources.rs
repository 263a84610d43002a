//! How much of the machine a plugin may have, as the configuration says: set just before it is executed, inherited by
//! whoever it starts. Memory is that of all together, by a control group, where one can be made; else of each.

use std::{fmt, fs::File, io, path::PathBuf};

use super::{
    cgroup::{self, Cgroup},
    sandbox::Rules,
};
use indicatif::BinaryBytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is to be set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes that it may write to and shares with nobody, used or not: `RLIMIT_DATA`. Not `RLIMIT_AS`, by which the
    /// runtimes of Go and Java, which reserve far more than they use, would not even start.
    pub(super) memory: Option<u64>,
    /// Where `memory` is that of all its processes together, the control group to join instead.
    group: Option<PathBuf>,
    open_files: Option<u64>,
}

impl Limits {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { memory: rules.memory, group: None, open_files: rules.open_files }
    }

    /// Makes the control group that they need, if there is a way to; it is to be kept as long as the plugin lives.
    /// `name` is nobody else's.
    pub(super) fn make_group(&mut self, name: &str) -> Option<Cgroup> {
        let group = Cgroup::with_memory(self.memory?, name)?;
        self.group = Some(group.path().to_owned());
        Some(group)
    }

    /// All of it that limits nobody yet.
    pub(super) fn prepare(&self) -> Limiter {
        let group = self.group.as_ref().and_then(|group| cgroup::open(group).ok());
        Limiter { memory: self.memory, group, joined: false, open_files: self.open_files }
    }
}

/// Limits that are ready to be set.
pub(super) struct Limiter {
    memory: Option<u64>,
    group: Option<File>,
    joined: bool,
    open_files: Option<u64>,
}

impl Limiter {
    /// Comes before the sandbox, which does not let that happen.
    pub(super) fn join_group(&mut self) {
        self.joined = self.group.as_mut().is_some_and(|group| cgroup::join(group).is_ok());
    }

    /// Limits this process. Nothing undoes it.
    pub(super) fn apply(&self) -> io::Result<()> {
        self.memory.filter(|_| !self.joined).map_or(Ok(()), |limit| set(Resource::Data, limit))?;
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
        let whose = if self.group.is_some() { "in all" } else { "in each process" };
        let memory = self.memory.map(|limit| format!("{} of memory {whose}", BinaryBytes(limit)));
        let open_files = self.open_files.map(|limit| format!("{limit} open files in each process"));
        let limits: Vec<String> = memory.into_iter().chain(open_files).collect();
        if limits.is_empty() { f.write_str("none") } else { f.write_str(&limits.join(", ")) }
    }
}
