//! A process of the plugin: started as a host starts it, watched, ended with all that it leaves.

use std::{
    env,
    ffi::OsString,
    fs, io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use plugin_proto::{APP_VERSIONS, environment as names, limits};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use tokio::{net::unix::pipe, sync::watch, time::timeout};

use super::{Suite, capture::Capture};
use crate::tls::Identity;

/// How long what a plugin has started may take to end after it.
const GRACE: Duration = Duration::from_millis(200);

/// Between two looks at that.
const TICK: Duration = Duration::from_millis(5);

/// How long a process that has ended may take to be cleared away, and what it wrote to be read.
const CLEARING: Duration = Duration::from_secs(2);

/// What the plugin is started with, other than a host that is well.
#[derive(Default)]
pub(super) struct Start<'a> {
    pub(super) stdin: Stdin,
    /// Without the variable that says that stdin is the life line.
    pub(super) without_life_line: bool,
    /// Without the cookie, as by hand.
    pub(super) by_hand: bool,
    /// `PLUGIN_PROTOCOL_VERSIONS`, where it is another than usual.
    pub(super) versions: Option<&'a str>,
    pub(super) multiplex: bool,
    /// `PLUGIN_CLIENT_CERT`.
    pub(super) certificate: Option<String>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdin {
    /// A pipe, held open by this end.
    #[default]
    Held,
    /// A pipe that is at its end.
    Ended,
    /// `/dev/null`.
    Null,
}

/// A running plugin. Dropping it kills its process group, and waits for it.
pub(super) struct Process {
    directory: Arc<tempfile::TempDir>,
    group: Arc<Group>,
    /// First that it did, then how.
    end: watch::Receiver<End>,
    /// Waits for it.
    keeper: JoinHandle<()>,
    life_line: Mutex<Option<ChildStdin>>,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
}

/// Of a process, from the moment it is seen.
#[derive(Debug, Clone, Default)]
struct End {
    seen: bool,
    /// Once it is cleared away.
    ended: Option<Ended>,
}

/// How it ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// What outlived it, in words.
    pub(super) left: Vec<String>,
}

impl Process {
    pub(super) fn start(suite: &Suite, start: &Start<'_>) -> io::Result<Self> {
        let directory = Arc::new(directory()?);
        let mut command = Command::new(std::path::absolute(&suite.plugin)?);
        command.env_clear().envs(environment(suite, directory.path(), start)).process_group(0);
        command.stdin(match start.stdin {
            Stdin::Held | Stdin::Ended => Stdio::piped(),
            Stdin::Null => Stdio::null(),
        });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let group = Arc::new(Group { leader: Pid::from_child(&child), reaped: Mutex::new(false) });
        let receiver = |pipe: Option<OwnedFd>| pipe::Receiver::from_owned_fd(pipe.expect("it is piped"));
        let life_line = child.stdin.take().filter(|_| start.stdin == Stdin::Held);
        let stdout = receiver(child.stdout.take().map(OwnedFd::from))?;
        let stderr = receiver(child.stderr.take().map(OwnedFd::from))?;
        let (ending, end) = watch::channel(End::default());
        let (kept, of_its_own) = (Arc::clone(&group), Arc::clone(&directory));
        let keeper = thread::spawn(move || kept.keep(child, of_its_own, &ending));
        let (stdout, stderr) = (Capture::of(stdout), Capture::of(stderr));
        Ok(Self { directory, group, end, keeper, life_line: Mutex::new(life_line), stdout, stderr })
    }

    /// `PLUGIN_UNIX_SOCKET_DIR`.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// How it ended, if it did within `limit` from now.
    pub(super) async fn ended_within(&self, limit: Duration) -> Option<Ended> {
        let mut end = self.end.clone();
        timeout(limit, end.wait_for(|end| end.seen)).await.ok()?.ok()?;
        // What comes of the clearing does not count.
        let known = timeout(GRACE + CLEARING, end.wait_for(|end| end.ended.is_some())).await;
        known.ok()?.ok()?.ended.clone()
    }

    pub(super) fn ending(&self) -> Option<Ended> {
        self.end.borrow().ended.clone()
    }

    pub(super) fn end_life_line(&self) {
        drop(self.life_line.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.group.signal(signal);
    }

    /// Kills it if need be, and waits until it is gone and all that it wrote is read.
    pub(super) async fn bury(&self) -> Option<Ended> {
        self.end_life_line();
        self.signal(Signal::KILL);
        let ended = self.ended_within(CLEARING).await;
        let _ = timeout(CLEARING, async { tokio::join!(self.stdout.closed(), self.stderr.closed()) }).await;
        ended
    }

    /// Open files of the plugin and all in its group; `None` where that cannot be told.
    pub(super) fn open_files(&self) -> Option<usize> {
        let leader = self.group.leader.as_raw_nonzero().get();
        let of_group = processes().into_iter().filter(|process| process.group == leader);
        let counts = of_group.map(|process| Some(fs::read_dir(format!("/proc/{}/fd", process.pid)).ok()?.count()));
        counts.sum::<Option<usize>>().filter(|count| *count > 0)
    }
}

impl Drop for Process {
    /// Whoever is interrupted must leave neither a process nor a directory; what was buried takes no time.
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let begun = Instant::now();
        while !self.keeper.is_finished() && begun.elapsed() < CLEARING {
            thread::sleep(TICK);
        }
    }
}

/// A process group whose leader is the plugin.
struct Group {
    leader: Pid,
    /// Once the leader is reaped its number may be another process's.
    reaped: Mutex<bool>,
}

impl Group {
    fn signal(&self, signal: Signal) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reaped {
            // Fails only if nobody is left to signal.
            let _ = kill_process_group(self.leader, signal);
        }
    }

    /// All of its life. As long as the leader is not reaped, the number of the group is its own.
    fn keep(&self, mut child: Child, directory: Arc<tempfile::TempDir>, ending: &watch::Sender<End>) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(self.leader), options) {}
        ending.send_modify(|end| end.seen = true);
        let left = self.left(directory.path());
        for process in &left {
            // It was there a moment ago, and named this directory.
            let _ = Pid::from_raw(process.pid).map(|pid| kill_process(pid, Signal::KILL));
        }
        let mut reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = kill_process_group(self.leader, Signal::KILL);
        *reaped = true;
        let status = child.wait().expect("nobody else waits for it");
        let left = left.into_iter().map(|process| process.name).collect();
        drop(directory);
        ending.send_modify(|end| end.ended = Some(Ended { status, left }));
    }

    /// Who is still there a moment after the leader's end.
    fn left(&self, directory: &Path) -> Vec<Descendant> {
        let leader = self.leader.as_raw_nonzero().get();
        let mark = [names::SOCKET_DIR.as_bytes(), b"=", directory.as_os_str().as_bytes()].concat();
        let begun = Instant::now();
        loop {
            let alive = processes().into_iter().filter(|process| process.pid != leader && !process.zombie);
            let left: Vec<_> = alive.filter(|process| process.group == leader || process.has(&mark)).collect();
            if left.is_empty() || begun.elapsed() > GRACE {
                return left;
            }
            thread::sleep(TICK);
        }
    }
}

/// A process of this machine.
struct Descendant {
    pid: i32,
    group: i32,
    zombie: bool,
    name: String,
}

impl Descendant {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        // The name stands in parentheses, and may have some of its own.
        let (name, rest) = (stat.split_once('(')?.1, stat.rsplit_once(')')?.1);
        let name = name.rsplit_once(')')?.0.to_owned();
        let mut fields = rest.split_whitespace();
        let zombie = matches!(fields.next()?, "Z" | "X");
        Some(Self { pid, group: fields.nth(1)?.parse().ok()?, zombie, name: format!("{name} (process {pid})") })
    }

    fn has(&self, mark: &[u8]) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == mark)
    }
}

/// None where there is no `/proc`.
fn processes() -> Vec<Descendant> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Descendant::read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Below `TMPDIR`, or below `/tmp` where the path of a socket would be too long there.
fn directory() -> io::Result<tempfile::TempDir> {
    let base = env::temp_dir();
    let fits = base.as_os_str().len() + 60 < limits::SOCKET_PATH;
    let base = if fits && base.is_absolute() { base } else { PathBuf::from("/tmp") };
    tempfile::Builder::new().prefix("conformance-").tempdir_in(base)
}

fn environment(suite: &Suite, directory: &Path, start: &Start<'_>) -> Vec<(OsString, OsString)> {
    let wanted = |name: &str| names::is_inherited(name) || suite.inherit.iter().any(|own| own == name);
    let inherited = env::vars_os().filter(|(name, _)| name.to_str().is_some_and(wanted));
    let versions = APP_VERSIONS.map(|version| version.to_string()).join(",");
    let mut own: Vec<(&str, OsString)> = vec![
        (names::PROTOCOL_VERSIONS, start.versions.map_or(versions, ToOwned::to_owned).into()),
        (names::SOCKET_DIR, directory.into()),
        (names::SCRATCH_DIR, directory.into()),
    ];
    if !start.by_hand {
        own.push((names::COOKIE_NAME, names::COOKIE_VALUE.into()));
    }
    if !start.without_life_line {
        own.push((names::LIFE_LINE, names::LIFE_LINE_STDIN.into()));
    }
    if start.multiplex {
        own.push((names::MULTIPLEX_GRPC, "true".into()));
    }
    if let Some(certificate) = &start.certificate {
        own.extend([(names::CLIENT_CERT, certificate.into()), (names::MIN_PORT, "10000".into())]);
        own.push((names::MAX_PORT, "25000".into()));
    }
    inherited.chain(own.into_iter().map(|(name, value)| (name.into(), value))).collect()
}

/// For a host that asks for AutoMTLS.
pub(super) fn asking_for_tls(identity: &Identity) -> Start<'static> {
    Start { certificate: Some(identity.pem()), ..Start::default() }
}
