//! A plugin's file, from the checks to its execution: opened once, so that what was checked is what is executed. For an
//! in-tree source that is the file that this process was made from, which needs no check: who could have written it could
//! do anything.
//!
//! A program is executed by the descriptor through which it was checked. A script is executed by its path, after
//! another look at what that leads to: the kernel would hand its interpreter `/dev/fd/N`, and `$0`, `__file__` and
//! whatever the script looks for beside itself would be lost. Only root or the user could exchange it in between, since
//! [`trust`](super::trust) has seen who may write to each directory on the way.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{
    Settings,
    discover::{Candidate, Presence},
    executable::{self, Kind},
    lock,
    trust::{Distrust, Trust},
};
use crate::error::Error;

/// A plugin's file that may be executed.
pub(super) struct Program {
    /// Absolute, and as it was named.
    pub(super) path: PathBuf,
    /// All that it is executed with, its `argv[0]` first.
    pub(super) arguments: Vec<OsString>,
    pub(super) kind: Kind,
    /// `None` where there is no way to open it.
    file: Option<File>,
    is_readable: bool,
}

impl Program {
    /// All that must hold before a plugin is started, each time.
    ///
    /// # Errors
    ///
    /// * as [`open`](Self::open)
    /// * [`Error::Refused`]: it is not the one of the lock file
    pub(super) async fn check(candidate: &Candidate, settings: &Settings) -> Result<Self, Error> {
        if let Presence::InTree = candidate.presence {
            return Self::this(candidate);
        }
        let program = Self::open(&candidate.path, &settings.trusted)?;
        lock::check(&candidate.name, &program, &settings.lock).await?;
        Ok(program)
    }

    /// Opens a file that nobody else could have written. `trusted` are directories of which that is not asked.
    ///
    /// # Errors
    ///
    /// * [`Error::Refused`]: somebody else could have
    /// * [`Error::Unexecutable`]: it is no program
    /// * [`Error::LocalIo`]: its path is relative, and there is no current directory
    pub(super) fn open(path: &Path, trusted: &[PathBuf]) -> Result<Self, Error> {
        let failed = |source| Error::LocalIo { action: "find", path: path.to_owned(), source };
        // A path without a slash would mean the current directory here, and something in PATH elsewhere.
        let path = std::path::absolute(path).map_err(failed)?;
        let trust = Trust::new(trusted);
        let refuse = |distrust| refusal(&path, distrust);
        let (real, found) = trust.resolve(&path).map_err(refuse)?;
        executable::check_file(&path, found.file_type())?;
        let (file, is_readable) = match open(&real).map_err(|error| refuse(error.into()))? {
            Some((file, is_readable)) => (Some(file), is_readable),
            None => (None, false),
        };
        if let Some(file) = &file {
            let opened = file.metadata().map_err(|error| refuse(error.into()))?;
            executable::check_file(&path, opened.file_type())?;
            trust.check(&real, &opened).map_err(refuse)?;
        }
        let kind = match file.as_ref().filter(|_| is_readable) {
            Some(file) => executable::check_content(&path, file)?,
            // It may be executed and not read: then it is no script, and the kernel is the one to judge.
            None => Kind::Binary,
        };
        let arguments = vec![path.clone().into_os_string()];
        Ok(Self { path, arguments, kind, file, is_readable })
    }

    /// This program, to serve an in-tree source.
    fn this(candidate: &Candidate) -> Result<Self, Error> {
        let (path, fact) = (candidate.path.clone(), |error: rustix::io::Errno| io::Error::from(error).to_string());
        let refuse = |error| Error::Unexecutable { path: path.clone(), fact: fact(error), hint: String::new() };
        let file = open_this().map_err(refuse)?;
        let arguments = ["dfget", "plugin", "serve", &candidate.name].map(OsString::from).into();
        Ok(Self { path, arguments, kind: Kind::Binary, file, is_readable: false })
    }

    /// To be read, if it may be.
    pub(super) fn content(&self) -> io::Result<File> {
        let file = self.file.as_ref().filter(|_| self.is_readable);
        file.ok_or(io::ErrorKind::PermissionDenied.into()).and_then(File::try_clone)
    }

    /// Another descriptor of what was checked.
    pub(super) fn handle(&self) -> io::Result<Option<OwnedFd>> {
        self.file.as_ref().map(|file| file.as_fd().try_clone_to_owned()).transpose()
    }
}

fn refusal(path: &Path, distrust: Distrust) -> Error {
    let path = path.to_owned();
    match distrust {
        Distrust::Io(error) => Error::Unexecutable { path, fact: error.to_string(), hint: String::new() },
        Distrust::Because { fact, hint } => Error::Refused { path, fact, hint },
    }
}

/// And whether it can be read.
fn open(path: &Path) -> io::Result<Option<(File, bool)>> {
    // Should it have become something else, that is no reason to wait.
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    match openat(CWD, path, OFlags::RDONLY | flags, Mode::empty()) {
        Err(rustix::io::Errno::ACCESS) => open_unreadable(path),
        opened => Ok(Some((File::from(opened?), true))),
    }
}

/// By the kernel's own link, which leads to it also once it was replaced or removed.
#[cfg(target_os = "linux")]
fn open_this() -> rustix::io::Result<Option<File>> {
    let opened = openat(CWD, "/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    Ok(Some(opened.into()))
}

#[cfg(not(target_os = "linux"))]
fn open_this() -> rustix::io::Result<Option<File>> {
    Ok(None)
}

#[cfg(target_os = "linux")]
fn open_unreadable(path: &Path) -> io::Result<Option<(File, bool)>> {
    let opened = openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    Ok(Some((File::from(opened), false)))
}

#[cfg(not(target_os = "linux"))]
fn open_unreadable(_: &Path) -> io::Result<Option<(File, bool)>> {
    Ok(None)
}
