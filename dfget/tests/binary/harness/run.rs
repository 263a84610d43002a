//! One run of dfget: how it is started, what is noted of it, what a test may say of it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::{
        fs::FileExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use faultplug::Content;
use rustix::process::{Pid, Signal, kill_process};

use super::{
    Digest, TestEnv,
    digest::Expected,
    invariants,
    processes::{Process, descendants, peak_memory},
    programs, wait_for,
};

/// No run takes longer, whatever its plugin does.
const LIMIT: Duration = Duration::from_secs(15);

/// Between two looks at a running dfget.
const TICK: Duration = Duration::from_millis(2);

/// Where the bytes go.
#[derive(Debug, Clone)]
pub(super) enum Output {
    /// Nothing is downloaded.
    None,
    /// stdout, or a device.
    Stream,
    File(PathBuf),
}

/// dfget before it is started.
pub(crate) struct Dfget<'a> {
    test: &'a TestEnv,
    command: Command,
    output: Output,
    expected: Option<Expected>,
    is_last: bool,
    /// Where stdout goes, if not to the test.
    stdout: Option<File>,
}

impl<'a> Dfget<'a> {
    pub(super) fn download(test: &'a TestEnv, url: &str) -> Self {
        let expected = Some(Expected::Content(Content::of_url(url)));
        Self { output: Output::File(test.work("file")), expected, ..Self::command(test, &[url, "--tries", "1"]) }
    }

    pub(super) fn command(test: &'a TestEnv, arguments: &[&str]) -> Self {
        let mut command = Command::new(programs::dfget());
        command.args(arguments).current_dir(test.path("work")).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", test.path("home")).env("TMPDIR", test.path("tmp"));
        command.env("DFGET_PLUGIN_DIR", test.path("plugins"));
        Self { test, command, output: Output::None, expected: None, is_last: false, stdout: None }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// `-O`, with a path beneath the working directory, or an absolute one.
    pub(crate) fn output(mut self, path: impl AsRef<Path>) -> Self {
        self.output = Output::File(self.test.path("work").join(&path));
        self.arg("-O").arg(path.as_ref())
    }

    /// `-O`, with something that is no file.
    pub(crate) fn stream(mut self, path: &str) -> Self {
        self.output = Output::Stream;
        self.arg("-O").arg(path)
    }

    /// Nobody checks that a later run with the same output is well.
    pub(crate) fn last(mut self) -> Self {
        self.is_last = true;
        self
    }

    /// The name that the output gets without `-O`.
    pub(crate) fn output_expected(mut self, name: &str) -> Self {
        self.output = Output::File(self.test.work(name));
        self
    }

    /// stdout goes there, and not to the test.
    pub(crate) fn stdout(mut self, path: &str) -> Self {
        self.stdout = Some(File::options().write(true).open(path).expect("it is a device"));
        self
    }

    /// What is downloaded, where the URL does not say it.
    pub(crate) fn expect(mut self, digest: Digest) -> Self {
        self.expected = Some(Expected::Digest(digest));
        self
    }

    /// Runs dfget, and checks what must hold after every run.
    pub(crate) fn run(self) -> Run {
        self.start().finish()
    }

    /// Starts it, to do something to it before it [`finish`](Started::finish)es.
    pub(crate) fn start(mut self) -> Started<'a> {
        let file = || tempfile::tempfile_in(self.test.root()).expect("the place is writable");
        let (stdout, stderr) = (file(), file());
        let copy = |file: &File| file.try_clone().expect("there are descriptors");
        let stdout_of_dfget = self.stdout.take().unwrap_or_else(|| copy(&stdout));
        self.command.stdin(Stdio::null()).stdout(stdout_of_dfget).stderr(copy(&stderr));
        lead_a_session(&mut self.command);
        let before = match &self.output {
            Output::File(path) => Digest::of_file(path),
            _ => None,
        };
        let before = Before {
            digest: before,
            beside: entries(&self.test.path("work")),
            temporary: entries(&self.test.path("tmp")),
        };
        let begun = Instant::now();
        let child = self.command.spawn().expect("dfget is built");
        let (peak, killed) = (0, false);
        let Self { test, output, expected, is_last, .. } = self;
        Started { test, child, stdout, stderr, begun, peak, killed, is_last, output, expected, before }
    }
}

/// So that everybody it starts can be told from everybody else on the machine, dead or alive.
#[allow(unsafe_code)]
fn lead_a_session(command: &mut Command) {
    // SAFETY: between fork and exec it makes one system call, and allocates nothing.
    unsafe { command.pre_exec(|| Ok(rustix::process::setsid().map(drop)?)) };
}

/// All of a file that somebody else is writing: its position is theirs.
fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().map_or(0, |found| found.len() as usize)];
    let read = file.read_at(&mut bytes, 0).expect("it is readable");
    bytes.truncate(read);
    bytes
}

/// The names in a directory.
pub(super) fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// What was there before a run.
pub(super) struct Before {
    /// Of the output.
    pub(super) digest: Option<Digest>,
    /// The names in the working directory, and in TMPDIR.
    pub(super) beside: Vec<String>,
    pub(super) temporary: Vec<String>,
}

/// dfget while it runs.
pub(crate) struct Started<'a> {
    test: &'a TestEnv,
    child: Child,
    stdout: File,
    stderr: File,
    begun: Instant,
    peak: u64,
    /// By the test, with SIGKILL.
    killed: bool,
    is_last: bool,
    output: Output,
    expected: Option<Expected>,
    before: Before,
}

impl Started<'_> {
    fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The plugin, once it was executed. dfget's own shim is not yet a plugin.
    pub(crate) fn plugin(&mut self) -> Process {
        let directory = self.test.path("plugins");
        wait_for("the plugin's process", || {
            assert!(self.child.try_wait().expect("it is ours").is_none(), "dfget has ended: {}", self.stderr());
            let mut found = descendants(self.pid(), self.test.root()).into_iter();
            found.find(|process| process.arg0.starts_with(&directory))
        })
    }

    /// Waits until the plugin has stopped itself.
    pub(crate) fn wait_for_stop(&mut self) -> i32 {
        let pid = self.plugin().pid;
        wait_for("the plugin to stop", || self.plugin().stopped.then_some(pid))
    }

    /// Waits until so many bytes of the download are on the disk.
    pub(crate) fn wait_for_bytes(&self, bytes: u64) {
        let Output::File(path) = &self.output else { panic!("there is no file to look at") };
        let part = part_of(path);
        wait_for("the download", || fs::metadata(&part).ok().filter(|found| found.len() >= bytes));
    }

    /// Waits until dfget has written `text` to stderr.
    pub(crate) fn wait_for_words(&self, text: &str) {
        wait_for(text, || self.stderr().contains(text).then_some(()));
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.killed |= signal == Signal::KILL;
        kill(self.pid(), signal);
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&content(&self.stderr)).into_owned()
    }

    /// Waits for its end, and checks what must hold after every run.
    pub(crate) fn finish(self) -> Run {
        self.finish_with(|| {})
    }

    /// As [`finish`](Self::finish), with something to be done between the end and the checks.
    pub(crate) fn finish_with(mut self, ended: impl FnOnce()) -> Run {
        let status = self.wait();
        let took = self.begun.elapsed();
        ended();
        let raw_stderr = self.stderr();
        let output = match &self.output {
            Output::File(path) => Some(path),
            _ => None,
        };
        let run = Run {
            status,
            took,
            waited: true,
            peak: self.peak,
            stdout: content(&self.stdout),
            part: output.and_then(|path| fs::metadata(part_of(path)).ok()).map(|part| part.len()),
            stderr: plain(&raw_stderr, self.test.root()),
        };
        let after = invariants::Ended {
            test: self.test,
            run: &run,
            session: self.pid(),
            raw_stderr: &raw_stderr,
            killed: self.killed,
            is_last: self.is_last,
            output: &self.output,
            expected: self.expected,
            before: &self.before,
        };
        let waited = after.check();
        Run { waited, ..run }
    }

    fn wait(&mut self) -> ExitStatus {
        loop {
            self.peak = self.peak.max(peak_memory(self.pid()));
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            if self.begun.elapsed() > LIMIT {
                let _ = self.child.kill();
                panic!("dfget did not end in {LIMIT:?}; it wrote: {}", self.stderr());
            }
            thread::sleep(TICK);
        }
    }
}

/// `file.part` of `file`.
pub(super) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Sends a signal to a process that is there.
pub(crate) fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("no process has the number 0"), signal).expect("it is there");
}

/// `text` with what differs from run to run taken out: `ROOT` for this test's directory, `SOCKETS` for the private
/// directory in its `tmp`.
fn plain(text: &str, root: &Path) -> String {
    let text = text.replace(&root.display().to_string(), "ROOT");
    let mut pieces = text.split("dfget-plugin-");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + "SOCKETS" + piece.trim_start_matches(|c: char| c.is_ascii_alphanumeric()))
}

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
