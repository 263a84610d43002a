//! What must hold after every run, whatever the plugin did.

use std::{fs, os::unix::process::ExitStatusExt, thread, time::Duration};

use super::{
    Digest, TestEnv,
    digest::Expected,
    outcome::Run,
    processes::{Left, left},
    run::{Before, Output, entries, part_of},
    tree,
};

/// The exit codes of README.md. 1 and 101 are bugs of dfget.
const CODES: [i32; 22] = [0, 2, 10, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 30, 40, 41, 42, 43, 44, 45, 50];

/// The signals that may end it: SIGHUP, SIGINT, SIGTERM, and SIGPIPE.
const SIGNALS: [i32; 4] = [1, 2, 15, 13];

/// 48 MiB, and 4 MiB a stream.
const MEMORY: u64 = 48 * 1024 * 1024;
const MEMORY_OF_STREAM: u64 = 4 * 1024 * 1024;

/// The streams of a tree that does not say how many.
const JOBS: u64 = 8;

const STDERR: usize = 1024 * 1024;

/// Until nothing of a run is left.
const GRACE: Duration = Duration::from_secs(1);

const TICK: Duration = Duration::from_millis(5);

/// A run that has ended, and what was there before it.
pub(super) struct Ended<'a> {
    pub(super) test: &'a TestEnv,
    pub(super) run: &'a Run,
    pub(super) session: i32,
    /// With everything in it.
    pub(super) raw_stderr: &'a str,
    /// By the test, with SIGKILL.
    pub(super) killed: bool,
    /// Whether this is the later run, which has none after it.
    pub(super) is_last: bool,
    pub(super) output: &'a Output,
    pub(super) expected: Option<Expected>,
    pub(super) before: &'a Before,
}

impl Ended<'_> {
    /// Checks all of it. Tells whether dfget has waited for its plugins.
    pub(super) fn check(&self) -> bool {
        self.ended_in_a_known_way();
        let waited = self.left_nobody_behind();
        self.left_no_socket();
        self.wrote_to_its_output_alone();
        self.left_no_damaged_output();
        self.kept_to_its_memory();
        self.said_little_and_in_plain_text();
        self.harmed_no_later_run();
        waited
    }

    fn ended_in_a_known_way(&self) {
        let status = self.run.status;
        let known = match (status.code(), status.signal()) {
            (Some(code), _) => CODES.contains(&code),
            (None, signal) => self.killed || SIGNALS.contains(&signal.unwrap_or_default()),
        };
        assert!(known, "dfget ended with {status}: {}", self.run.stderr);
    }

    /// Nobody lives, and where dfget ended in peace it has waited for its plugins: not every machine has an init that
    /// does it.
    fn left_nobody_behind(&self) -> bool {
        let mut waited = true;
        in_time(|| {
            let Left { alive, not_waited_for } = left(self.session, self.test.root());
            waited &= not_waited_for.is_empty();
            if alive.is_empty() { Ok(()) } else { Err(format!("processes are left: {alive:?}")) }
        });
        let interrupted = self.run.status.signal().is_some();
        assert!(waited || interrupted, "dfget has not waited for its plugin: {}", self.run.stderr);
        waited
    }

    /// A killed dfget may leave the directory of its socket, for the next one to sweep away.
    fn left_no_socket(&self) {
        let tmp = self.test.path("tmp");
        in_time(|| {
            let mut left = entries(&tmp);
            left.retain(|name| !self.before.temporary.contains(name));
            if self.killed {
                left.retain(|name| !name.starts_with("dfget-plugin-"));
            }
            if left.is_empty() { Ok(()) } else { Err(format!("in TMPDIR are left: {left:?}")) }
        });
    }

    fn wrote_to_its_output_alone(&self) {
        let output = match self.output {
            Output::Directory(tree::Expected { directory: path, .. }) | Output::File(path) | Output::Several(path) => {
                path.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
            _ => String::new(),
        };
        let part = format!("{output}.part");
        // What belongs to the `.part` begins with its name, such as its state.
        let expected = |name: &String| !output.is_empty() && (*name == output || name.starts_with(&part));
        let mut new = entries(&self.test.path("work"));
        new.retain(|name| !self.before.beside.contains(name) && !expected(name));
        assert!(new.is_empty(), "in the directory of the output appeared: {new:?}");
    }

    fn left_no_damaged_output(&self) {
        let complete = self.run.status.code() == Some(0);
        if let Output::Directory(expected) = self.output {
            return expected.check(&self.before.tree, complete);
        }
        let (Some(expected), Output::File(path)) = (self.expected, self.output) else {
            let bytes_expected = self.expected.filter(|_| complete && !self.run.stdout.is_empty());
            assert!(bytes_expected.is_none_or(|expected| expected.is(Digest::of_bytes(&self.run.stdout))));
            return;
        };
        let found = Digest::of_file(path);
        let whole = found.is_some_and(|found| expected.is(found));
        assert!(
            whole || found == self.before.digest,
            "the output is neither old, whole nor absent: {}",
            self.run.stderr
        );
        assert!(!complete || whole, "dfget ended with 0 and without the expected output");
        assert!(complete || self.killed || found == self.before.digest, "dfget failed, and the output is there");
        assert!(!complete || !part_of(path).exists(), "a complete download left its .part");
    }

    fn kept_to_its_memory(&self) {
        let streams = if matches!(self.output, Output::Directory(_) | Output::Several(_)) { JOBS } else { 1 };
        let (peak, allowed) = (self.run.peak, MEMORY + streams * MEMORY_OF_STREAM);
        assert!(peak <= allowed, "dfget used {} KiB of memory, {} are allowed", peak / 1024, allowed / 1024);
    }

    fn said_little_and_in_plain_text(&self) {
        let text = self.raw_stderr;
        assert!(text.len() <= STDERR, "dfget wrote {} bytes to stderr", text.len());
        let control: Vec<char> = text.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert!(control.is_empty(), "dfget wrote control characters to stderr: {control:?}");
        // A plugin's panic is quoted, and so indented.
        assert!(!text.lines().any(|line| line.starts_with("thread '")), "dfget panicked: {text}");
    }

    /// With what this one left lying there, a download with a good plugin is complete.
    fn harmed_no_later_run(&self) {
        let Output::File(output) = self.output else { return };
        if self.is_last {
            return;
        }
        let aside = self.test.path("aside");
        let usable = output.parent().is_some_and(|parent| parent.is_dir()) && !output.is_dir();
        let output = if usable { output.clone() } else { self.test.work("clean") };
        let moved = fs::rename(&output, &aside).is_ok();
        let part = fs::read(part_of(&output)).ok();
        let run = self.test.clean_download(&output).run();
        // What is left of another URL, or of another version, is not gone on with, and that is said.
        let unexpected = |line: &&str| !line.contains("the state of ") && !line.contains("restarting from 0");
        let said: Vec<&str> = run.stderr.lines().filter(unexpected).collect();
        assert_eq!((run.status.code(), said), (Some(0), Vec::new()), "a later download with a good plugin fails");
        fs::remove_file(&output).expect("the download is complete");
        if moved {
            fs::rename(&aside, &output).expect("it was moved there");
        }
        if let Some(part) = part {
            fs::write(part_of(&output), part).expect("it was there before");
        }
    }
}

/// `check` holds now or soon.
fn in_time(mut check: impl FnMut() -> Result<(), String>) {
    let begun = std::time::Instant::now();
    while let Err(otherwise) = check() {
        assert!(begun.elapsed() < GRACE, "after {GRACE:?} {otherwise}");
        thread::sleep(TICK);
    }
}
