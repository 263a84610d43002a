//! The last moment before a plugin: what only the child itself can set up, between the split from dfget and the exec.
//!
//! All that can be made beforehand is: texts, ruleset, filter, descriptors. What is left for the child, which has one
//! thread of the host's and whatever locks the others hold, are system calls. It executes the plugin itself: the
//! standard library's `execvp` would hand a file that the kernel refuses to `/bin/sh`.

mod split;

use std::{
    convert::Infallible,
    ffi::{CString, OsString},
    io::{self, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    thread,
    time::Duration,
};

use nix::errno::Errno;
use rustix::{
    fs::{Mode, fstat, stat},
    pipe::{PipeFlags, pipe_with},
    process::{self, Pid, Resource, Rlimit},
    stdio,
};

use super::{
    executable::Kind,
    program::Program,
    resources::{Limiter, Limits},
    sandbox::{Cage, Confinement},
};

/// What begins the one line that the child writes to stdout, in the handshake's place, if it fails. The errno follows.
const FAILURE: &str = "\0dfget-plugin-exec ";

/// The same where it could not confine itself.
const UNCONFINED: &str = "\0dfget-plugin-unconfined ";

/// Times to try a file that somebody is still writing: a plugin that was copied into its place a moment ago, while
/// another thread of its writer was between fork and exec.
const BUSY_TRIES: u32 = 5;

/// How long to wait between them.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// What is to be set up before a child becomes the plugin.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    pub(super) limits: Limits,
    pub(super) confinement: Confinement,
}

/// The reason, if `line` is a failed child's.
pub(super) fn failure(line: &[u8]) -> Option<io::Error> {
    let line = std::str::from_utf8(line).ok()?;
    let error = |errno: &str| errno.parse().ok().map(io::Error::from_raw_os_error);
    if let Some(errno) = line.strip_prefix(UNCONFINED) {
        return Some(io::Error::other(format!("it cannot be confined: {}", error(errno)?)));
    }
    error(line.strip_prefix(FAILURE)?)
}

/// How the plugin is executed.
#[derive(Debug)]
enum Manner {
    /// By the descriptor through which it was checked.
    Handle(OwnedFd),
    /// By its path, if that still leads to the file that was checked.
    Checked(OwnedFd),
    ByPath,
}

/// A process that is going to be a plugin, and all that it needs for that.
pub(super) struct Child {
    host: Pid,
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    manner: Manner,
    limiter: Limiter,
    cage: Cage,
}

/// What a program is executed with, as the kernel wants it.
struct Image {
    arguments: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
}

/// The host's ends of a plugin's stdin, stdout and stderr.
pub(super) struct Ends {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
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

impl Child {
    /// `environment` is all of the plugin's.
    pub(super) fn prepare(
        program: &Program,
        environment: Vec<(OsString, OsString)>,
        orders: &Orders,
    ) -> io::Result<Self> {
        let handle = if cfg!(target_os = "linux") { program.handle()? } else { None };
        let manner = match handle {
            Some(handle) if program.kind == Kind::Script => Manner::Checked(handle),
            Some(handle) => Manner::Handle(handle),
            None => Manner::ByPath,
        };
        Ok(Self {
            host: process::getpid(),
            path: CString::new(program.path.as_os_str().as_bytes())?,
            arguments: program.arguments.iter().map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?,
            environment: environment.into_iter().filter_map(variable).collect(),
            manner,
            limiter: orders.limits.prepare(),
            cage: orders.confinement.prepare()?,
        })
    }

    /// Starts it, as the leader of a process group of its own. Linux ends it when the calling thread ends.
    pub(super) fn spawn(mut self) -> io::Result<(Pid, Ends)> {
        // Descriptors that no exec leaves open: what the child does not make its standard streams is gone.
        let made = || pipe_with(PipeFlags::CLOEXEC);
        let ((stdin, input), (output, stdout), (errors, stderr)) = (made()?, made()?, made()?);
        let standard = [stdin, stdout, stderr];
        // The child allocates nothing once its memory is limited: its limit counts the memory of this process.
        let image = Image { arguments: pointers(&self.arguments), environment: pointers(&self.environment) };
        let leader = split::split(|| self.run(&standard, &image))?;
        Ok((leader, Ends { stdin: input, stdout: output, stderr: errors }))
    }

    fn run(&mut self, standard: &[OwnedFd; 3], image: &Image) -> Infallible {
        let Err(failure) = self.become_plugin(standard, image);
        let (what, error) = match &failure {
            Failure::Unconfined(error) => (UNCONFINED, error),
            Failure::NotExecuted(error) => (FAILURE, error),
        };
        let mut line = io::Cursor::new([0; 64]);
        // It fits; and nobody is left to tell if the pipe is gone.
        let _ = writeln!(line, "{what}{}", error.raw_os_error().unwrap_or(libc::ENOTSUP));
        let length = usize::try_from(line.position()).unwrap_or_default();
        let _ = rustix::io::write(&standard[1], &line.get_ref()[..length]);
        #[allow(unsafe_code)]
        // SAFETY: `_exit` runs nothing of the host's.
        unsafe {
            libc::_exit(1)
        }
    }

    fn become_plugin(&mut self, [stdin, stdout, stderr]: &[OwnedFd; 3], image: &Image) -> Result<Infallible, Failure> {
        end_with_host(self.host)?;
        process::setpgid(None, None).map_err(io::Error::from)?;
        let streams = stdio::dup2_stdin(stdin).and_then(|()| stdio::dup2_stdout(stdout));
        streams.and_then(|()| stdio::dup2_stderr(stderr)).map_err(io::Error::from)?;
        let no_core = Rlimit { current: Some(0), maximum: Some(0) };
        process::setrlimit(Resource::Core, no_core).map_err(io::Error::from)?;
        // Whatever dfget's own caller left open is none of the plugin's business.
        close_fds::set_fds_cloexec(3, &[]);
        allow_own_files();
        self.limiter.join_group();
        self.cage.enter().and_then(|()| self.limiter.apply()).map_err(Failure::Unconfined)?;
        split::restore_signals()?;
        Ok(self.execute(image)?)
    }

    fn execute(&self, image: &Image) -> io::Result<Infallible> {
        for _ in 1..BUSY_TRIES {
            match self.execute_once(image) {
                Err(Errno::ETXTBSY) => thread::sleep(BUSY_PAUSE),
                executed => return Ok(executed?),
            }
        }
        Ok(self.execute_once(image)?)
    }

    fn execute_once(&self, image: &Image) -> nix::Result<Infallible> {
        let (arguments, environment) = (image.arguments.as_ptr(), image.environment.as_ptr());
        if matches!(&self.manner, Manner::Checked(handle) if !self.is_still(handle.as_fd())) {
            return Err(Errno::ESTALE);
        }
        #[allow(unsafe_code)]
        // SAFETY: both arrays end with a null, and what they point to belongs to `self`.
        unsafe {
            match &self.manner {
                #[cfg(target_os = "linux")]
                Manner::Handle(handle) => libc::fexecve(handle.as_raw_fd(), arguments, environment),
                _ => libc::execve(self.path.as_ptr(), arguments, environment),
            }
        };
        Err(Errno::last())
    }

    /// Whether the path leads to what was checked.
    fn is_still(&self, checked: BorrowedFd<'_>) -> bool {
        let (checked, found) = (fstat(checked), stat(&self.path));
        checked.is_ok_and(|checked| {
            found.is_ok_and(|found| (found.st_dev, found.st_ino) == (checked.st_dev, checked.st_ino))
        })
    }
}

#[cfg(target_os = "linux")]
fn end_with_host(host: Pid) -> io::Result<()> {
    process::set_parent_process_death_signal(Some(process::Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    // It may have ended before the line above: then no signal comes any more.
    if process::getppid() == Some(host) { Ok(()) } else { Err(Errno::ESRCH.into()) }
}

#[cfg(not(target_os = "linux"))]
fn end_with_host(_: Pid) -> io::Result<()> {
    Ok(())
}

/// A umask that takes its owner's rights away would have a plugin's socket be one to which dfget may not connect.
fn allow_own_files() {
    let umask = process::umask(Mode::all());
    process::umask(umask - Mode::RWXU);
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

fn variable((name, value): (OsString, OsString)) -> Option<CString> {
    let mut text = name.into_vec();
    text.push(b'=');
    text.extend(value.into_vec());
    CString::new(text).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What is refused is not executed: so this test lives on.
    #[test]
    fn a_script_that_was_exchanged_after_it_was_checked_is_not_executed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("script");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        let child = Child {
            host: process::getpid(),
            path: CString::new(path.as_os_str().as_bytes()).unwrap(),
            arguments: Vec::new(),
            environment: Vec::new(),
            manner: Manner::Checked(fs::File::open(&path).unwrap().into()),
            limiter: Limits::default().prepare(),
            cage: Confinement::default().prepare().unwrap(),
        };
        let Manner::Checked(checked) = &child.manner else { unreachable!() };
        assert!(child.is_still(checked.as_fd()));
        fs::write(directory.path().join("other"), "#!/bin/sh\n").unwrap();
        fs::rename(directory.path().join("other"), &path).unwrap();
        let image = Image { arguments: pointers(&[]), environment: pointers(&[]) };
        assert_eq!(child.execute_once(&image).unwrap_err(), Errno::ESTALE);
        fs::remove_file(&path).unwrap();
        assert_eq!(child.execute_once(&image).unwrap_err(), Errno::ESTALE);
    }
}
