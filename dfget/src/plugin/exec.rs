//! The last moment before a plugin: dfget, executed anew as a shim in the child, sets up what only the child itself
//! can, then becomes the plugin.
//!
//! A shim and not `pre_exec`, because code between fork and exec may do next to nothing, and because the standard
//! library then executes with `execvp`, which hands a file the kernel refuses to `/bin/sh`.

use std::{
    convert::Infallible,
    env,
    ffi::{CStr, CString, OsStr, OsString},
    io::{self, Write},
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::Path,
    process::ExitCode,
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::signal::{SigHandler, Signal},
};
use rustix::{
    fs::{Mode, fstat, stat},
    process::{self, Resource, Rlimit},
};
use serde::{Deserialize, Serialize};

use super::{executable::Kind, program::Program, resources::Limits, sandbox::Confinement};

/// By this `argv[0]` dfget knows that it is the shim.
const ARG0: &str = "dfget-plugin-exec";

/// What begins the one line that the shim writes to stdout, in the handshake's place, if it fails. The errno follows.
const FAILURE: &str = "\0dfget-plugin-exec ";

/// The same where it could not confine itself.
const UNCONFINED: &str = "\0dfget-plugin-unconfined ";

/// Times to try a file that somebody is still writing: a plugin that was copied into its place a moment ago, while
/// another thread of its writer was between fork and exec.
const BUSY_TRIES: u32 = 5;

/// How long to wait between them.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// What the shim is to set up before it becomes the plugin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) limits: Limits,
    pub(super) confinement: Confinement,
}

/// How the shim gets at the plugin, as its argument says it: a kind, and the descriptor of the file that was checked.
const BINARY: &str = "binary";
const SCRIPT: &str = "script";
const BY_PATH: &str = "path";

/// The command line that makes `dfget`, the executable of this process, the shim for a plugin, and the descriptor that
/// is to be open until it is executed.
pub(super) fn command(
    dfget: &Path,
    program: &Program,
    orders: &Orders,
) -> io::Result<(std::process::Command, Option<OwnedFd>)> {
    use std::os::unix::process::CommandExt;
    let handle = if cfg!(target_os = "linux") { program.inheritable()? } else { None };
    let kind = if program.kind == Kind::Script { SCRIPT } else { BINARY };
    let manner = handle.as_ref().map_or_else(|| BY_PATH.into(), |handle| format!("{kind} {}", handle.as_raw_fd()));
    let mut command = std::process::Command::new(dfget);
    let orders = serde_json::to_string(orders).expect("it has no maps, and its paths are text");
    command.arg0(ARG0).arg(std::process::id().to_string()).arg(manner).arg(orders).arg(&program.path);
    Ok((command, handle))
}

/// The reason, if `line` is the shim's.
pub(super) fn failure(line: &[u8]) -> Option<io::Error> {
    let line = std::str::from_utf8(line).ok()?;
    let error = |errno: &str| errno.parse().ok().map(io::Error::from_raw_os_error);
    if let Some(errno) = line.strip_prefix(UNCONFINED) {
        return Some(io::Error::other(format!("it cannot be confined: {}", error(errno)?)));
    }
    error(line.strip_prefix(FAILURE)?)
}

/// Becomes the plugin, if this process was started as the shim. `main` calls it before anything else.
#[must_use]
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = env::args_os();
    if arguments.next().as_deref() != Some(OsStr::new(ARG0)) {
        return None;
    }
    let (host, manner) = (arguments.next()?, arguments.next()?);
    let (orders, plugin) = (arguments.next()?, arguments.next()?);
    let orders: Orders = serde_json::from_str(orders.to_str()?).ok()?;
    let Err(failure) =
        become_plugin(host.to_str().and_then(|pid| pid.parse().ok())?, orders, (manner.to_str()?, &plugin));
    let (what, error) = match &failure {
        Failure::Unconfined(error) => (UNCONFINED, error),
        Failure::NotExecuted(error) => (FAILURE, error),
    };
    // Nobody is left to tell if this fails, too.
    let _ = writeln!(io::stdout(), "{what}{}", error.raw_os_error().unwrap_or(libc::ENOTSUP));
    Some(ExitCode::FAILURE)
}

enum Failure {
    Unconfined(io::Error),
    NotExecuted(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::NotExecuted(error)
    }
}

fn become_plugin(host: i32, mut orders: Orders, (manner, plugin): (&str, &OsStr)) -> Result<Infallible, Failure> {
    end_with_host(host)?;
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    process::setrlimit(Resource::Core, no_core).map_err(io::Error::from)?;
    // Whatever dfget's own caller left open is none of the plugin's business.
    close_fds::set_fds_cloexec(3, &[]);
    restore_signals()?;
    allow_own_files();
    orders.limits.join_group();
    orders.confinement.apply().and_then(|()| orders.limits.apply()).map_err(Failure::Unconfined)?;
    Ok(execute(manner, plugin)?)
}

#[cfg(target_os = "linux")]
fn end_with_host(host: i32) -> io::Result<()> {
    process::set_parent_process_death_signal(Some(process::Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    // It may have ended before the line above: then no signal comes any more.
    if process::getppid() == process::Pid::from_raw(host) { Ok(()) } else { Err(Errno::ESRCH.into()) }
}

#[cfg(not(target_os = "linux"))]
fn end_with_host(_: i32) -> io::Result<()> {
    Ok(())
}

/// Rust ignores SIGPIPE before `main`, and dfget SIGXFSZ; a plugin would inherit that.
#[allow(unsafe_code)]
fn restore_signals() -> io::Result<()> {
    for signal in [Signal::SIGPIPE, Signal::SIGXFSZ] {
        // SAFETY: the default action runs no code of ours.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
    }
    Ok(())
}

/// A umask that takes its owner's rights away would have a plugin's socket be one to which dfget may not connect.
fn allow_own_files() {
    let umask = process::umask(Mode::all());
    process::umask(umask - Mode::RWXU);
}

fn execute(manner: &str, plugin: &OsStr) -> io::Result<Infallible> {
    let path = CString::new(plugin.as_bytes())?;
    let environment: Vec<CString> = env::vars_os().filter_map(variable).collect();
    for _ in 1..BUSY_TRIES {
        match execute_once(manner, &path, &environment) {
            Err(Errno::ETXTBSY) => thread::sleep(BUSY_PAUSE),
            executed => return Ok(executed?),
        }
    }
    Ok(execute_once(manner, &path, &environment)?)
}

fn execute_once(manner: &str, path: &CStr, environment: &[CString]) -> nix::Result<Infallible> {
    match manner.split_once(' ').and_then(|(kind, number)| Some((kind, number.parse().ok()?))) {
        Some((BINARY, number)) => execute_handle(number, path, environment),
        Some((_, number)) if !is_still(path, number) => Err(Errno::ESTALE),
        _ => nix::unistd::execve(path, &[path], environment),
    }
}

/// Whether the path leads to what was checked.
fn is_still(path: &CStr, number: RawFd) -> bool {
    let checked = fstat(handle(number));
    let found = stat(path);
    checked
        .is_ok_and(|checked| found.is_ok_and(|found| (found.st_dev, found.st_ino) == (checked.st_dev, checked.st_ino)))
}

#[cfg(target_os = "linux")]
fn execute_handle(number: RawFd, path: &CStr, environment: &[CString]) -> nix::Result<Infallible> {
    nix::unistd::fexecve(handle(number), &[path], environment)
}

#[cfg(not(target_os = "linux"))]
fn execute_handle(_: RawFd, path: &CStr, environment: &[CString]) -> nix::Result<Infallible> {
    nix::unistd::execve(path, &[path], environment)
}

#[allow(unsafe_code)]
fn handle(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the host has opened it for this process, in which nobody closes it.
    unsafe { BorrowedFd::borrow_raw(number) }
}

fn variable((name, value): (OsString, OsString)) -> Option<CString> {
    let mut text = name.into_vec();
    text.push(b'=');
    text.extend(value.into_vec());
    CString::new(text).ok()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsRawFd};

    use super::*;

    /// What is refused is not executed: so this test lives on.
    #[test]
    fn a_script_that_was_exchanged_after_it_was_checked_is_not_executed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("script");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        let checked = fs::File::open(&path).unwrap();
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        assert!(is_still(&name, checked.as_raw_fd()));
        fs::write(directory.path().join("other"), "#!/bin/sh\n").unwrap();
        fs::rename(directory.path().join("other"), &path).unwrap();
        let manner = format!("{SCRIPT} {}", checked.as_raw_fd());
        assert_eq!(execute_once(&manner, &name, &[]).unwrap_err(), Errno::ESTALE);
        fs::remove_file(&path).unwrap();
        assert_eq!(execute_once(&manner, &name, &[]).unwrap_err(), Errno::ESTALE);
    }
}
