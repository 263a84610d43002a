//! The directory that is served, and what can be opened beneath it: regular files and directories, nothing else.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use plugin_sdk::{Error, Options};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{CWD, Dir, FileType, Mode, Stat, fstat, openat},
    io::Errno,
};

use crate::{beneath, file::SharedFile, path::TreePath, version::Version};

/// The option that names the directory.
const OPTION: &str = "root";

pub(crate) struct Root {
    directory: OwnedFd,
    path: PathBuf,
}

impl Root {
    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: the option `root` is missing or no absolute path of a directory, or there is an
    ///   option that this source does not have
    pub(crate) fn from_options(mut options: Options) -> Result<Self, Error> {
        let root = options.remove(OPTION);
        if let Some(unknown) = options.keys().next() {
            let text =
                format!("there is no option `{unknown}`: the share source has `root` only, as in --opt root=/path");
            return Err(Error::InvalidRequest(text));
        }
        let missing = || Error::InvalidRequest("which directory to serve? name it with --opt root=/path".into());
        let path = PathBuf::from(root.filter(|root| !root.is_empty()).ok_or_else(missing)?);
        if !path.is_absolute() {
            return Err(not_served(&path, "the path is not absolute"));
        }
        let directory = openat(CWD, &path, beneath::STEP, Mode::empty())
            .map_err(|errno| not_served(&path, &io::Error::from(errno).to_string()))?;
        Ok(Self { directory, path })
    }

    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: it is no regular file, or outside the root
    /// * [`Error::NotFound`], [`Error::PermissionDenied`], [`Error::Unavailable`]
    pub(crate) fn open_file(&self, path: &TreePath) -> Result<SharedFile, Error> {
        let (opened, stat) = self.open(path)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(SharedFile::new(File::from(opened), Version::of(&stat))),
            FileType::Directory => Err(invalid("this is a directory; name a file in it")),
            _ => Err(invalid(NEITHER)),
        }
    }

    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: it is no directory, or outside the root
    /// * [`Error::NotFound`], [`Error::PermissionDenied`], [`Error::Unavailable`]
    pub(crate) fn open_directory(&self, path: &TreePath) -> Result<Dir, Error> {
        let (opened, stat) = self.open(path)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Dir::new(opened).map_err(|errno| self.failed(path, errno)),
            FileType::RegularFile => Err(invalid("this is a file and has no entries")),
            _ => Err(invalid(NEITHER)),
        }
    }

    fn open(&self, path: &TreePath) -> Result<(OwnedFd, Stat), Error> {
        let failed = |errno| self.failed(path, errno);
        let opened = beneath::open(self.directory.as_fd(), path.names()).map_err(failed)?;
        let stat = fstat(&opened).map_err(failed)?;
        Ok((opened, stat))
    }

    /// What a failed call says about the file at `path`.
    pub(crate) fn failed(&self, path: &TreePath, errno: Errno) -> Error {
        let (path, fact) = (path.beneath(&self.path), io::Error::from(errno));
        let path = path.display();
        match errno {
            Errno::NOENT | Errno::NOTDIR => Error::NotFound(format!("there is no {path}")),
            Errno::ACCESS | Errno::PERM => Error::PermissionDenied(format!("no right to read {path}: {fact}")),
            Errno::XDEV => invalid("a symlink leads out of the root, or is absolute; name the file itself"),
            Errno::LOOP | Errno::MLINK => invalid("a symlink cannot be followed; name the file itself"),
            // What opening a socket, or a device without a driver, ends with.
            Errno::NXIO | Errno::NODEV => invalid(NEITHER),
            Errno::NAMETOOLONG => invalid("the path is longer than the file system allows; serve a deeper root"),
            // A server that does not answer, one that came back, and a file that another program leases.
            Errno::TIMEDOUT | Errno::STALE | Errno::IO | Errno::AGAIN => {
                Error::unavailable(format!("{path} cannot be read now: {fact}"))
            }
            _ => Error::internal(format!("{path} cannot be read: {fact}")),
        }
    }
}

const NEITHER: &str = "this is neither a file nor a directory, and nothing else is served; name a file";

fn invalid(reason: &str) -> Error {
    Error::InvalidRequest(reason.to_owned())
}

fn not_served(path: &Path, reason: &str) -> Error {
    let text =
        format!("the directory {} cannot be served: {reason}; name another with --opt root=/path", path.display());
    Error::InvalidRequest(text)
}
