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

/// The number of a device, whose type is of each system its own.
type Device = rustix::fs::Dev;

/// The option that names the directory.
const OPTION: &str = "root";

pub(crate) struct Root {
    directory: OwnedFd,
    path: PathBuf,
    /// The device, if that is one of this machine and not of a server.
    local: Option<Device>,
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
        let local = local_device(&directory);
        Ok(Self { directory, path, local })
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

    /// The regular file at `path`, if it can be opened without a wait.
    pub(crate) fn open_cached_file(&self, path: &TreePath) -> Option<SharedFile> {
        let device = self.local?;
        let opened = beneath::open_cached(self.directory.as_fd(), path.names())?;
        let stat = fstat(&opened).ok()?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        (is_file && stat.st_dev == device).then(|| SharedFile::new(File::from(opened), Version::of(&stat)))
    }

    /// Whether it is on a disk of this machine, or in its memory.
    pub(crate) fn is_local(&self) -> bool {
        self.local.is_some()
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

/// What fstatfs(2) calls file systems on disks and in memory: nothing on them waits for another machine.
#[cfg(target_os = "linux")]
const LOCAL: [u32; 8] = [
    0x0000_ef53, // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0x794c_7630, // overlayfs
    0xf2f5_2010, // f2fs
    0x7371_7368, // squashfs
    0xe0f5_e1e2, // erofs
];

#[cfg(target_os = "linux")]
fn local_device(directory: &OwnedFd) -> Option<Device> {
    let kind = rustix::fs::fstatfs(directory).ok()?.f_type;
    // Its type differs between architectures, and the constants have 32 bits.
    let is_local = LOCAL.contains(&(kind as u32));
    is_local.then(|| fstat(directory).ok()).flatten().map(|stat| stat.st_dev)
}

#[cfg(not(target_os = "linux"))]
fn local_device(_: &OwnedFd) -> Option<Device> {
    None
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
