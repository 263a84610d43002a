//! Who is alive, as `/proc` tells it. Where there is none, nobody is found.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Once,
};

use rustix::process::{Pid, WaitOptions, getpid, waitpid};

/// A process, dead ones that nobody has waited for included.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    parent: i32,
    /// That of a plugin is its own number: it leads its group.
    group: i32,
    session: i32,
    zombie: bool,
    pub(crate) stopped: bool,
    /// What it was executed as.
    pub(crate) arg0: PathBuf,
    /// Of an interpreter, the script.
    arg1: PathBuf,
    /// The scheme, of a dfget that is the plugin for an in-tree source.
    pub(super) serves: Option<String>,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may contain anything, and stands in parentheses.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        let (zombie, stopped) = (matches!(state, "Z" | "X"), state == "T");
        let mut number = || fields.next()?.parse().ok();
        let (parent, group, session) = (number()?, number()?, number()?);
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut arguments = command_line.split(|&byte| byte == 0).map(std::ffi::OsStr::from_bytes).map(PathBuf::from);
        let (arg0, arg1) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
        let serves = command_line.strip_prefix(b"dfget\0plugin\0serve\0").and_then(|rest| rest.strip_suffix(&[0]));
        let serves = serves.map(|scheme| String::from_utf8_lossy(scheme).into_owned());
        Some(Self { pid, parent, group, session, zombie, stopped, arg0, arg1, serves })
    }

    /// Whether what it executes is in `directory`.
    pub(super) fn is_from(&self, directory: &Path) -> bool {
        self.arg0.starts_with(directory) || self.arg1.starts_with(directory)
    }

    fn is_of(&self, session: i32, marker: &[u8]) -> bool {
        self.session == session || has_in_environment(self.pid, marker)
    }
}

fn has_in_environment(pid: i32, marker: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.windows(marker.len()).any(|window| window == marker)
}

/// Everybody in the session that dfget was made the leader of, and whoever left it and still has `root` in the
/// environment; without dfget itself.
pub(super) fn descendants(session: i32, root: &Path) -> Vec<Process> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let processes = numbers.filter(|pid| *pid != session).filter_map(Process::read);
    processes.filter(|process| process.is_of(session, root.as_os_str().as_bytes())).collect()
}

/// Who is left of a dfget that has ended.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) alive: Vec<Process>,
    /// Dead plugins: dfget is to wait for those.
    pub(super) not_waited_for: Vec<Process>,
}

/// Who is left now. Orphans come to this process, which does for the dead ones what init would do: it waits for them.
pub(super) fn left(session: i32, root: &Path) -> Left {
    let dead_orphan = |process: &Process| process.zombie && process.parent == getpid().as_raw_nonzero().get();
    let (mut not_waited_for, alive): (Vec<_>, Vec<_>) = descendants(session, root).into_iter().partition(dead_orphan);
    for process in &not_waited_for {
        let _ = Pid::from_raw(process.pid).map(|pid| waitpid(Some(pid), WaitOptions::NOHANG));
    }
    not_waited_for.retain(|process| process.pid == process.group);
    Left { alive, not_waited_for }
}

/// Makes this process the one that orphans come to.
pub(super) fn adopt_orphans() {
    static ONCE: Once = Once::new();
    #[cfg(target_os = "linux")]
    ONCE.call_once(|| {
        rustix::process::set_child_subreaper(Some(getpid())).expect("any process may");
    });
    #[cfg(not(target_os = "linux"))]
    ONCE.call_once(|| {});
}

/// The most memory that a running process ever had, in bytes; 0 where it cannot be told.
pub(super) fn peak_memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).map_or(0, |kib: u64| kib * 1024)
}
