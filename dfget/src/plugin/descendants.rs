//! Whoever descends from a plugin and has left its process group: found, killed and waited for.
//!
//! Two things tell a descendant. Its environment names the plugin's socket directory, which is there once and is
//! inherited by whoever it starts, whatever session it makes and whoever becomes its parent; or its parent is one. So
//! other children of the program that uses this library are left alone.
//!
//! A descendant that was given another environment, or has overwritten its own, is found by its parent alone, and once
//! that is dead only by the end of [`Adoption`].

use std::{
    collections::BTreeSet,
    fs,
    os::unix::ffi::OsStrExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use plugin_proto::environment::SOCKET_DIR;
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process, waitid, waitpid},
};

/// How long killed processes may take to be gone. Only one that the kernel is busy with takes it all.
const LIMIT: Duration = Duration::from_millis(250);

/// Between two looks at them.
const TICK: Duration = Duration::from_millis(1);

/// This process as the parent of whoever loses its own, of all that descend from it: nobody escapes to init.
///
/// For the whole process, so it is for `main` to begin. Without it, as in a program that only uses the library,
/// descendants of plugins are killed all the same, and init is who waits for them.
#[derive(Debug)]
pub struct Adoption {
    /// There was no child before: a shell that started some may have become this program.
    has_plugins_only: bool,
}

impl Adoption {
    /// Begins before the first plugin is started, in a program that starts nothing else.
    #[must_use]
    pub fn begin() -> Self {
        #[cfg(target_os = "linux")]
        // Any process may, on every kernel since 3.4.
        let _ = rustix::process::set_child_subreaper(Some(getpid()));
        Self { has_plugins_only: !has_children() }
    }

    /// Kills and reaps all children that there still are, and who descends from them.
    pub fn end(self) {
        if self.has_plugins_only && has_children() {
            end(|process, _| process.parent == own_number());
        }
    }
}

/// Kills and reaps who is left of the plugin whose socket directory this is. The plugin itself is dead and reaped.
pub(super) fn end_of(directory: &Path) {
    let marks = [mark(directory)];
    if !has_adopted_all() {
        end(|process, deadline| process.has_one_of(&marks, deadline));
    } else if has_children() {
        // All others descend from these: their environments need not be read.
        end(|process, deadline| process.parent == own_number() && process.has_one_of(&marks, deadline));
    }
}

/// Kills who is left of plugins whose host is dead, by their socket directories.
pub(super) fn end_left_behind<'a>(directories: impl Iterator<Item = &'a Path>) {
    let marks: Vec<Vec<u8>> = directories.map(mark).collect();
    end(|process, deadline| process.has_one_of(&marks, deadline));
}

/// The variable as `/proc` shows it.
fn mark(directory: &Path) -> Vec<u8> {
    [SOCKET_DIR.as_bytes(), b"=", directory.as_os_str().as_bytes()].concat()
}

/// Whether every orphan of a plugin is a child of this process.
fn has_adopted_all() -> bool {
    #[cfg(target_os = "linux")]
    return rustix::process::child_subreaper().is_ok_and(|set| set.is_some());
    #[cfg(not(target_os = "linux"))]
    false
}

fn has_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
}

/// Kills those who are `meant` and who descends from them, until nobody new has been started meanwhile.
fn end(meant: impl Fn(&Process, Instant) -> bool) {
    let deadline = Instant::now() + LIMIT;
    let mut killed = BTreeSet::new();
    loop {
        let found = with_descendants(|process| meant(process, deadline));
        found.iter().filter(|process| !process.zombie).for_each(Process::kill);
        let gone = found.iter().all(|process| process.zombie);
        killed.extend(found.iter().map(|process| process.pid));
        let reaped: Vec<i32> = killed.iter().copied().filter(|pid| is_reaped(*pid, &killed)).collect();
        reaped.iter().for_each(|pid| _ = killed.remove(pid));
        if (gone && killed.is_empty()) || Instant::now() > deadline {
            return;
        }
        thread::sleep(TICK);
    }
}

/// Whether nobody has to wait for it here any more. What has a parent among the `killed` comes to this process later.
fn is_reaped(pid: i32, killed: &BTreeSet<i32>) -> bool {
    let is_for_others =
        |process: Process| process.zombie && process.parent != own_number() && !killed.contains(&process.parent);
    match Pid::from_raw(pid).map(|pid| waitpid(Some(pid), WaitOptions::NOHANG)) {
        Some(Ok(None)) => false,
        Some(Ok(Some(_))) | None => true,
        Some(Err(_)) => Process::read(pid).is_none_or(is_for_others),
    }
}

fn own_number() -> i32 {
    getpid().as_raw_nonzero().get()
}

fn with_descendants(meant: impl Fn(&Process) -> bool) -> Vec<Process> {
    let (mut found, mut others): (Vec<_>, Vec<_>) = processes().into_iter().partition(meant);
    loop {
        let parents: BTreeSet<i32> = found.iter().map(|process| process.pid).collect();
        let (children, rest): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|process| parents.contains(&process.parent));
        if children.is_empty() {
            return found;
        }
        found.extend(children);
        others = rest;
    }
}

/// All but this one. None where there is no `/proc`.
fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| *pid != own_number()).filter_map(Process::read).collect()
}

#[derive(Debug)]
struct Process {
    pid: i32,
    parent: i32,
    zombie: bool,
    /// The kernel has given it new memory, and not yet written its environment there.
    in_exec: bool,
    /// In ticks since the machine was started: with `pid` it is the same process, and no later one.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nobody is looked for there"))]
    started: u64,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name may contain anything, and stands in parentheses.
        let end = stat.iter().rposition(|&byte| byte == b')')?;
        let mut fields = std::str::from_utf8(&stat[end + 1..]).ok()?.split_whitespace();
        let zombie = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        // The 22nd field; the process's state is the third.
        let started = fields.nth(17)?.parse().ok()?;
        // The 23rd: a thread of the kernel has none, nor has whoever is about to be a zombie.
        let memory: u64 = fields.next()?.parse().ok()?;
        // The 51st: where the environment ends. 0 is also what those see who may not read it.
        let in_exec = memory > 0 && fields.nth(27).is_some_and(|end| end == "0");
        Some(Self { pid, parent, zombie, in_exec, started })
    }

    fn has_one_of(&self, marks: &[Vec<u8>], deadline: Instant) -> bool {
        let environment = self.environment(deadline);
        environment.split(|&byte| byte == 0).any(|variable| marks.iter().any(|mark| mark == variable))
    }

    /// Empty where it cannot be read, as that of somebody else's process. An `exec` that has not got there yet is
    /// waited for.
    fn environment(&self, deadline: Instant) -> Vec<u8> {
        let mut settled = false;
        loop {
            match fs::read(format!("/proc/{}/environ", self.pid)) {
                Ok(environment) if environment.is_empty() && !settled => {}
                read => return read.unwrap_or_default(),
            }
            settled = Instant::now() > deadline || Self::read(self.pid).is_none_or(|now| !now.in_exec);
            if !settled {
                thread::sleep(TICK);
            }
        }
    }

    /// Fails only if it is gone, or somebody else's.
    fn kill(&self) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        #[cfg(target_os = "linux")]
        if let Ok(descriptor) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
            // It is held now: what follows is said of it, and not of a later process with its number.
            if Self::read(self.pid).is_some_and(|now| now.started == self.started) {
                let _ = rustix::process::pidfd_send_signal(descriptor, Signal::KILL);
            }
            return;
        }
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        os::unix::process::ExitStatusExt,
        process::{Child, Command},
    };

    use super::*;

    fn sleeper(directory: &Path) -> Child {
        Command::new("sleep").arg("60").env(SOCKET_DIR, directory).spawn().expect("there is `sleep`")
    }

    #[test]
    fn who_is_still_being_started_is_found_too() {
        let ours = tempfile::tempdir().unwrap();
        // The kernel says that it is started before it has written the environment, often enough.
        for _ in 0..100 {
            let mut descendant = sleeper(ours.path());
            let process = Process::read(descendant.id().try_into().unwrap()).unwrap();
            let found = process.has_one_of(&[mark(ours.path())], Instant::now() + LIMIT);
            descendant.kill().unwrap();
            descendant.wait().unwrap();
            assert!(found, "{process:?}");
        }
    }

    #[test]
    fn only_those_with_this_directory_in_their_environment_are_ended() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut descendant, mut innocent) = (sleeper(ours.path()), sleeper(other.path()));
        end_of(ours.path());
        // It was waited for already: that is what ends it for good.
        assert_eq!(descendant.wait().unwrap_err().raw_os_error(), Some(Errno::CHILD.raw_os_error()));
        assert!(innocent.try_wait().unwrap().is_none());
        innocent.kill().unwrap();
        assert_eq!(innocent.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let own = Process::read(own_number()).unwrap();
        assert!(!own.zombie && own.started > 0);
        assert_eq!(Some(own.parent), rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()));
        assert!(Process::read(i32::MAX).is_none());
    }
}
