//! One run of dfget: how it is started, what is done to it, what is noted of it.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileExt, chown},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use faultplug::Content;
use nix::sys::signal::{
    SigHandler,
    Signal::{SIGHUP, SIGINT, SIGTERM},
    signal,
};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::{
    Digest, Snapshot, TestEnv,
    digest::Expected,
    invariants,
    outcome::Run,
    processes::{Process, descendants, peak_memory},
    programs, set_mode, snapshot, tree, wait_for,
};

/// No run takes longer, whatever its plugin does.
const LIMIT: Duration = Duration::from_secs(30);

/// The user and the group that own nothing.
const NOBODY: u32 = 65_534;

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
    Directory(tree::Expected),
    /// A directory for several files.
    Several(PathBuf),
}

/// dfget before it is started.
pub(crate) struct Dfget<'a> {
    test: &'a TestEnv,
    command: Command,
    output: Output,
    expected: Option<Expected>,
    is_last: bool,
    /// `--tries`.
    tries: Option<u32>,
    /// Where stdout goes, if not to the test.
    stdout: Option<File>,
    stdin: Option<Stdio>,
}

impl<'a> Dfget<'a> {
    pub(super) fn download(test: &'a TestEnv, url: &str) -> Self {
        let expected = Some(Expected::Content(Content::of_url(url)));
        Self { output: Output::File(test.work("file")), expected, tries: Some(1), ..Self::command(test, &[url]) }
    }

    pub(super) fn tree(test: &'a TestEnv, url: &str) -> Self {
        let directory = test.work("tree");
        let output = Output::Directory(tree::Expected { directory, url: url.to_owned(), selected: false });
        Self { output, tries: Some(1), ..Self::command(test, &["-r", url, "-O", "tree"]) }
    }

    pub(super) fn command(test: &'a TestEnv, arguments: &[&str]) -> Self {
        let mut command = Command::new(programs::dfget());
        command.args(arguments).current_dir(test.path("work")).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", test.path("home")).env("TMPDIR", test.path("tmp"));
        command.env("DFGET_PLUGIN_DIR", test.path("plugins"));
        // A configuration in `/etc` is none of a test's business.
        command.env("DFGET_CONFIG", "");
        Self {
            test,
            command,
            output: Output::None,
            expected: None,
            is_last: false,
            tries: None,
            stdout: None,
            stdin: None,
        }
    }

    /// Options that leave something out of the tree.
    pub(crate) fn select(mut self, arguments: &[&str]) -> Self {
        if let Output::Directory(expected) = &mut self.output {
            expected.selected = true;
        }
        self.args(arguments)
    }

    /// Names in the working directory are the test's affair.
    pub(crate) fn into_directory(mut self, path: &str) -> Self {
        self.output = Output::Several(self.test.work(path));
        self
    }

    /// stdin has `text`, or never ends.
    pub(crate) fn stdin(mut self, text: Option<&str>) -> Self {
        let file = text.map(|text| {
            let path = self.test.path("stdin");
            fs::write(&path, text).expect("the place is writable");
            File::open(path).expect("it was written")
        });
        self.stdin = Some(file.map_or_else(Stdio::piped, Stdio::from));
        self
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

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
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

    /// How often a part is tried: a download of a test tries once.
    pub(crate) fn tries(mut self, tries: u32) -> Self {
        self.tries = Some(tries);
        self
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

    /// Nobody reads stdout.
    pub(crate) fn closed_stdout(mut self) -> Self {
        let (_, writer) = std::io::pipe().expect("there are descriptors");
        self.stdout = Some(File::from(OwnedFd::from(writer)));
        self
    }

    /// What is downloaded, where the URL does not say it.
    pub(crate) fn expect(mut self, digest: Digest) -> Self {
        self.expected = Some(Expected::Digest(digest));
        self
    }

    /// The plugin `good` may write to this place, in spite of its sandbox.
    pub(crate) fn good_may_write(self) -> Self {
        let (path, root) = (self.test.path("writable.toml"), self.test.root().display());
        fs::write(&path, format!("[source.good]\nwritable = [\"{root}\"]\n")).expect("the place is writable");
        self.env("DFGET_CONFIG", path)
    }

    /// Starts it through another program, which executes it after `words`: `env -u HOME`, for one.
    pub(crate) fn through(self, words: &[&str]) -> Self {
        let program = self.command.get_program().to_owned();
        self.through_with(words, program)
    }

    /// With the rights of nobody in particular, if the tests have those of root, whom no permission stops.
    pub(crate) fn unprivileged(self) -> Self {
        if !geteuid().is_root() {
            return self;
        }
        set_mode(self.test.root(), 0o711);
        for name in ["work", "tmp", "home"] {
            chown(self.test.path(name), Some(NOBODY), Some(NOBODY)).expect("root gives directories away");
        }
        // The one that cargo has built may be where only root comes.
        let program = self.test.path("dfget");
        if !program.exists() {
            let linked = fs::hard_link(programs::dfget(), &program);
            linked.or_else(|_| fs::copy(programs::dfget(), &program).map(drop)).expect("dfget is built");
        }
        let id = NOBODY.to_string();
        self.through_with(&["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"], program.into())
    }

    fn through_with(mut self, words: &[&str], program: OsString) -> Self {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(program).args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.command.get_current_dir().expect("every run has one"));
        self.command = command;
        self
    }

    /// Starts it for a test that checks everything itself.
    pub(super) fn into_child(mut self) -> Child {
        self.command.stdin(Stdio::null()).spawn().expect("dfget is built")
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
        let stdin = self.stdin.take().unwrap_or_else(Stdio::null);
        self.command.stdin(stdin).stdout(stdout_of_dfget).stderr(copy(&stderr));
        self.command.args(self.tries.map(|tries| format!("--tries={tries}")));
        lead_a_session(&mut self.command);
        let before = match &self.output {
            Output::File(path) => Digest::of_file(path),
            _ => None,
        };
        let tree = match &self.output {
            Output::Directory(expected) => snapshot(&expected.directory),
            _ => Snapshot::new(),
        };
        let before = Before {
            digest: before,
            tree,
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
    // SAFETY: between fork and exec it makes system calls only, and allocates nothing; a default action runs no code.
    unsafe {
        command.pre_exec(|| {
            // Whoever runs the tests in the background may ignore them, and dfget would, too.
            for ignored in [SIGINT, SIGHUP, SIGTERM] {
                signal(ignored, SigHandler::SigDfl)?;
            }
            Ok(rustix::process::setsid().map(drop)?)
        })
    };
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
    pub(super) tree: Snapshot,
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

    /// The plugin, once it was executed: before that the child is yet another dfget.
    pub(crate) fn plugin(&mut self) -> Process {
        let directory = self.test.path("plugins");
        wait_for("the plugin's process", || {
            assert!(self.child.try_wait().expect("it is ours").is_none(), "dfget has ended: {}", self.stderr());
            let mut found = descendants(self.pid(), self.test.root()).into_iter();
            found.find(|process| process.is_from(&directory))
        })
    }

    /// The dfget that this one has started for an in-tree source.
    pub(crate) fn isolated(&mut self, scheme: &str) -> Process {
        wait_for("the isolated source", || {
            assert!(self.child.try_wait().expect("it is ours").is_none(), "dfget has ended: {}", self.stderr());
            let mut found = descendants(self.pid(), self.test.root()).into_iter();
            found.find(|process| process.serves.as_deref() == Some(scheme))
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

    /// Waits until so many bytes of the download are on the disk, or dfget has ended.
    pub(crate) fn wait_for_bytes_or_end(&mut self, bytes: u64) {
        let Output::File(path) = &self.output else { panic!("there is no file to look at") };
        let part = part_of(path);
        wait_for("the download", || {
            let ended = self.child.try_wait().expect("it is ours").is_some();
            (ended || fs::metadata(&part).is_ok_and(|found| found.len() >= bytes)).then_some(())
        });
    }

    /// Sends a signal to the plugin, once it was executed, unless dfget ends before.
    pub(crate) fn signal_plugin(&mut self, signal: Signal) {
        let directory = self.test.path("plugins");
        wait_for("the plugin's process", || {
            let ended = self.child.try_wait().expect("it is ours").is_some();
            let mut found = descendants(self.pid(), self.test.root()).into_iter();
            let plugin = found.find(|process| process.is_from(&directory));
            // It may have ended by itself since.
            let sent = plugin.and_then(|plugin| kill_process(Pid::from_raw(plugin.pid)?, signal).ok());
            (ended || sent.is_some()).then_some(())
        });
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_some()
    }

    /// Whether dfget has come as far as having so many threads.
    pub(crate) fn has_threads(&self, threads: usize) -> bool {
        fs::read_dir(format!("/proc/{}/task", self.pid())).is_ok_and(|tasks| tasks.count() >= threads)
    }

    /// Waits until dfget has written `text` to stderr.
    pub(crate) fn wait_for_words(&self, text: &str) {
        wait_for(text, || self.stderr().contains(text).then_some(()));
    }

    /// To dfget, which may have ended: it can be told so until [`finish`](Self::finish).
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.child.try_wait().expect("it is ours").is_none() {
            self.killed |= signal == Signal::KILL;
            kill(self.pid(), signal);
        }
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
            stderr: without_summary(&plain(&raw_stderr, self.test.root())),
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
/// `text` without the line that tells what came, which is of no run like that of another.
fn without_summary(text: &str) -> String {
    let is_summary = |line: &&str| {
        line.contains(" B in ")
            || line.contains("iB in ")
            || line.contains(" files in ")
            || line.ends_with(": up to date")
    };
    text.lines().filter(|line| !is_summary(line)).fold(String::new(), |text, line| text + line + "\n")
}
