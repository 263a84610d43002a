//! A name in a directory that is held open: whatever becomes of the path meanwhile, it leads nowhere else.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{
        AtFlags, CWD, Mode, OFlags, RenameFlags, Stat, fstat, linkat, openat, renameat, renameat_with, statat, unlinkat,
    },
    io::Errno,
};

/// To go through a directory is not to read it: where there is O_PATH, it needs no right to.
#[cfg(target_os = "linux")]
pub(super) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Less what the umask takes.
const NEW_FILE: Mode = Mode::from_bits_retain(0o666);

/// A file that is there or not, by its directory and name. A symlink of that name is never followed.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    directory: Arc<OwnedFd>,
    name: OsString,
    /// For messages.
    path: PathBuf,
}

impl Place {
    /// Of `path`, whose directory must exist.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let unnamed = || io::Error::other("it ends in no file name");
        let is_named = !path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let name = path.file_name().filter(|_| is_named).ok_or_else(unnamed)?.to_owned();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let directory = Arc::new(openat(CWD, parent, DIRECTORY, Mode::empty())?);
        Ok(Self { directory, name, path: path.to_owned() })
    }

    /// `name` in `directory`, which is shown as `path`.
    pub(super) fn within(directory: Arc<OwnedFd>, name: OsString, path: PathBuf) -> Self {
        Self { directory, name, path }
    }

    /// The file beside it whose name is longer by `suffix`.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Self {
        let Self { directory, mut name, path } = self.clone();
        let mut path = path.into_os_string();
        name.push(suffix);
        path.push(suffix);
        Self { directory, name, path: path.into() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// `None` if there is nothing.
    pub(super) fn stat(&self) -> io::Result<Option<Stat>> {
        match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            found => Ok(Some(found?)),
        }
    }

    /// Whether this is the name of `file`.
    pub(super) fn is_that_of(&self, file: &File) -> io::Result<bool> {
        let (named, opened) = (self.stat()?, fstat(file)?);
        Ok(named.is_some_and(|named| (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)))
    }

    /// Whether both are held open by the same directory.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.directory, &other.directory)
    }

    /// Bytes in it; 0 if there is nothing.
    pub(crate) fn length(&self) -> u64 {
        let found = self.stat().ok().flatten();
        found.map_or(0, |found| u64::try_from(found.st_size).unwrap_or_default())
    }

    /// For reading and writing; created if there is nothing. Returns whether there was nothing.
    pub(super) fn open_or_create(&self) -> io::Result<(File, bool)> {
        match self.open(OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok((self.open(OFlags::RDWR | OFlags::CREATE)?, false))
            }
            created => Ok((created?, true)),
        }
    }

    fn open(&self, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.directory, &self.name, flags, NEW_FILE)?))
    }

    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        // A FIFO of that name is no reason to wait.
        self.open(OFlags::RDONLY | OFlags::NONBLOCK)?.read_to_end(&mut content)?;
        Ok(content)
    }

    /// Replaces the content, as a whole or not at all. `flush` has the new one survive a power cut.
    pub(crate) fn replace(&self, content: &[u8], flush: bool) -> io::Result<()> {
        let new = self.with_suffix(".new");
        let mut file = new.open(OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        file.write_all(content)?;
        if flush {
            file.sync_data()?;
        }
        new.rename_to(self, true)
    }

    /// Gives the file the name of `other`. What has that name already is replaced, or else is the error
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists).
    pub(crate) fn rename_to(&self, other: &Self, replace: bool) -> io::Result<()> {
        let (from, to) = (&self.directory, &other.directory);
        if replace {
            return Ok(renameat(from, &self.name, to, &other.name)?);
        }
        match renameat_with(from, &self.name, to, &other.name, RenameFlags::NOREPLACE) {
            // A file system without it, such as NFS: a link does not replace either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(from, &self.name, to, &other.name, AtFlags::empty())?;
                self.remove()
            }
            renamed => Ok(renamed?),
        }
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        Ok(unlinkat(&self.directory, &self.name, AtFlags::empty())?)
    }

    /// So that what was renamed in the directory survives a power cut.
    pub(super) fn flush_directory(&self) -> io::Result<()> {
        let directory = openat(self.directory.as_fd(), ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        match File::from(directory).sync_all() {
            // Some file systems do not flush directories, and say so.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            flushed => flushed,
        }
    }
}
