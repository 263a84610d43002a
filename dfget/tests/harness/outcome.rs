//! What came of a run, and what a test may say of it.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use rustix::process::Signal;

/// What came of a run of dfget. Whatever must hold after every run holds.
pub(crate) struct Run {
    pub(super) status: ExitStatus,
    pub(crate) took: Duration,
    /// Whether dfget has waited for its plugins.
    pub(crate) waited: bool,
    /// Bytes of memory that dfget itself had at most.
    pub(crate) peak: u64,
    pub(crate) stdout: Vec<u8>,
    /// As a person reads it, without what differs from run to run.
    pub(crate) stderr: String,
    /// Length of the `.part` file, if there is one.
    pub(crate) part: Option<u64>,
}

impl Run {
    /// What `--json` told: of each event its fields.
    pub(crate) fn events(&self) -> Vec<serde_json::Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout().lines().map(parse).collect()
    }

    /// How many events of this name `--json` told.
    pub(crate) fn count(&self, event: &str) -> usize {
        self.events().iter().filter(|fields| fields["event"] == event).count()
    }

    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is text")
    }

    /// Ended with 0: so the right bytes are in place. Said nothing.
    pub(crate) fn succeeded(&self) -> &Self {
        self.succeeded_saying("")
    }

    /// Ended with 0, and wrote exactly this to stderr.
    pub(crate) fn succeeded_saying(&self, words: &str) -> &Self {
        assert_eq!((self.status.code(), self.stderr.trim_end()), (Some(0), words), "after {:?}", self.took);
        self
    }

    /// Ended with `code`, and wrote exactly this to stderr.
    pub(crate) fn failed(&self, code: i32, words: &str) -> &Self {
        assert_eq!((self.stderr.trim_end(), self.status.code()), (words, Some(code)), "after {:?}", self.took);
        self
    }

    /// Ended with `code`, and wrote these among others.
    pub(crate) fn failed_saying(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is expected in: {}", self.stderr);
        }
        self
    }

    /// The plugin broke the protocol by `fact`, and no more than the first `right` bytes were written.
    pub(crate) fn broke_the_protocol(&self, fact: &str, right: u64) -> &Self {
        self.failed_saying(15, &[&format!("broke the protocol: {fact}")]);
        assert!(self.part.unwrap_or_default() <= right, "{:?} bytes were written, {right} are right", self.part);
        self
    }

    /// Its exit code, if no signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The number of the signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status.success()
    }

    pub(crate) fn ended_by(&self, signal: Signal) -> &Self {
        assert_eq!(self.status.signal(), Some(signal.as_raw()), "{}: {}", self.status, self.stderr);
        self
    }

    pub(crate) fn within(&self, limit: Duration) -> &Self {
        assert!(self.took <= limit, "it took {:?}, {limit:?} are allowed: {}", self.took, self.stderr);
        self
    }

    pub(crate) fn no_sooner_than(&self, limit: Duration) -> &Self {
        assert!(self.took >= limit, "it took but {:?}: {}", self.took, self.stderr);
        self
    }
}
