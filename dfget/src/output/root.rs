//! The directory of a tree: what is beneath it is opened without following a symlink, whoever made one meanwhile.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{CWD, FileType, Mode, OFlags, Stat, mkdirat, openat},
    io::Errno,
};

use super::{
    io_error,
    place::{DIRECTORY, Place},
};
use crate::{error::Error, tree::SafeRelativePath};

/// Less what the umask takes.
const NEW_DIRECTORY: Mode = Mode::from_bits_retain(0o777);

/// A directory, held open.
pub struct Root {
    /// Whether it was not there before.
    is_new: bool,
    /// `None` if it is but planned: nothing is beneath it.
    directory: Option<Arc<OwnedFd>>,
    path: PathBuf,
    /// Directories beneath into which nothing is written.
    closed: Vec<PathBuf>,
    /// The directory of the last file: its neighbours come next.
    last: Mutex<Option<(SafeRelativePath, Arc<OwnedFd>)>>,
}

/// What is known of a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Existing {
    /// Bytes.
    pub length: u64,
    /// When it was written last.
    pub modified: SystemTime,
}

impl Root {
    /// Opens `path`, which is made if there is nothing.
    ///
    /// # Errors
    ///
    /// * [`Error::LocalIo`]: it cannot be made, or is no directory
    pub fn create(path: &Path) -> Result<Self, Error> {
        let is_new = fs::symlink_metadata(path).is_err();
        fs::create_dir_all(path).map_err(io_error("create the directory", path))?;
        Ok(Self { is_new, ..Self::open(path)? })
    }

    /// Opens `path`.
    ///
    /// # Errors
    ///
    /// * [`Error::LocalIo`]: it is not there, or no directory
    pub fn open(path: &Path) -> Result<Self, Error> {
        let directory = openat(CWD, path, DIRECTORY, Mode::empty());
        let directory = directory.map_err(|errno| io_error("open the directory", path)(errno.into()))?;
        let directory = Some(Arc::new(directory));
        Ok(Self { is_new: false, directory, path: path.to_owned(), closed: Vec::new(), last: Mutex::default() })
    }

    /// `path` if it is a directory, and else one that is not made.
    #[must_use]
    pub fn planned(path: &Path) -> Self {
        Self::open(path).unwrap_or_else(|_| Self {
            is_new: false,
            directory: None,
            path: path.to_owned(),
            closed: Vec::new(),
            last: Mutex::default(),
        })
    }

    /// Nothing is written to these directories, paths from here, and to what is in them.
    #[must_use]
    pub fn without(self, closed: Vec<PathBuf>) -> Self {
        Self { closed, ..self }
    }

    /// Whether it was not there before: then nothing is beneath it but what is put there now.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// There is no tree: what was made for it goes again.
    pub fn abandon(&self) {
        if self.is_new {
            // It is not empty: then it is somebody's.
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// Makes a directory beneath, and those that it is in.
    ///
    /// # Errors
    ///
    /// * [`Error::PathRefused`]: a symlink, or a file, has the name of one of them; or nothing is written there
    /// * [`Error::LocalIo`]: one cannot be made
    pub fn make_directory(&self, path: &SafeRelativePath) -> Result<(), Error> {
        self.directory_at(path, true).map(drop)
    }

    /// The place of a file beneath; the directories that it is in are made.
    ///
    /// # Errors
    ///
    /// * as [`make_directory`](Self::make_directory)
    pub(crate) fn place(&self, path: &SafeRelativePath) -> Result<Place, Error> {
        let directory = self.directory_at(&path.parent(), true)?.ok_or_else(|| self.refused(path, "it vanished"))?;
        Ok(Place::within(directory, path.file_name().into(), self.path_of(path)))
    }

    /// The regular file beneath, if there is one. Makes nothing.
    ///
    /// # Errors
    ///
    /// * [`Error::PathRefused`]: a symlink, or something else that is no file, has its name or that of a directory
    ///   which it is in
    /// * [`Error::LocalIo`]: it cannot be looked at
    pub fn existing(&self, path: &SafeRelativePath) -> Result<Option<Existing>, Error> {
        let Some(directory) = self.directory_at(&path.parent(), false)? else { return Ok(None) };
        let place = Place::within(directory, path.file_name().into(), self.path_of(path));
        let Some(found) = place.stat().map_err(io_error("look at", place.path()))? else { return Ok(None) };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => Ok(Some(Existing::from(&found))),
            FileType::Symlink => Err(self.refused(path, "there is a symlink of its name")),
            _ => Err(self.refused(path, "there is something of its name that is no file")),
        }
    }

    /// For messages.
    #[must_use]
    pub fn path_of(&self, path: &SafeRelativePath) -> PathBuf {
        self.path.join(path.as_str())
    }

    /// `None` if it is not there and not to be made.
    fn directory_at(&self, path: &SafeRelativePath, make: bool) -> Result<Option<Arc<OwnedFd>>, Error> {
        if self.closed.iter().any(|closed| Path::new(path.as_str()).starts_with(closed)) {
            return Err(self.refused(path, Error::PLACE_OF_PLUGINS));
        }
        let Some(root) = &self.directory else { return Ok(None) };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, directory)) = last.as_ref().filter(|(held, _)| held == path) {
            return Ok(Some(Arc::clone(directory)));
        }
        let opened = match beneath(root, path) {
            Err(Errno::NOENT) if !make => return Ok(None),
            Err(Errno::NOENT) => name_by_name(root, path, true),
            opened => opened,
        };
        let directory = Arc::new(opened.map_err(|errno| match errno {
            Errno::LOOP => self.refused(path, "a symlink is in its way"),
            Errno::NOTDIR => self.refused(path, "something that is no directory is in its way"),
            errno => io_error("create the directory", &self.path_of(path))(errno.into()),
        })?);
        *last = Some((path.clone(), Arc::clone(&directory)));
        Ok(Some(directory))
    }

    fn refused(&self, path: &SafeRelativePath, fact: &'static str) -> Error {
        Error::PathRefused { path: self.path_of(path).display().to_string(), fact }
    }
}

impl From<&Stat> for Existing {
    fn from(stat: &Stat) -> Self {
        // Signed on some systems.
        let nanos = Duration::from_nanos(u64::try_from(i128::from(stat.st_mtime_nsec)).unwrap_or_default());
        let whole = Duration::from_secs(stat.st_mtime.unsigned_abs());
        let epoch = SystemTime::UNIX_EPOCH;
        let modified = if stat.st_mtime < 0 { epoch.checked_sub(whole) } else { epoch.checked_add(whole) };
        let length = u64::try_from(stat.st_size).unwrap_or_default();
        Self { length, modified: modified.map_or(epoch, |modified| modified + nanos) }
    }
}

/// Existing directories at once, where the kernel can (Linux 5.6).
#[cfg(target_os = "linux")]
fn beneath(root: &OwnedFd, path: &SafeRelativePath) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};

    let names = if path.is_root() { "." } else { path.as_str() };
    match openat2(root, names, DIRECTORY, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS) {
        // An old kernel; a sandbox that does not know the call; a rename meanwhile.
        Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => name_by_name(root, path, false),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
fn beneath(root: &OwnedFd, path: &SafeRelativePath) -> Result<OwnedFd, Errno> {
    name_by_name(root, path, false)
}

/// No name is `..` or has a separator, so without symlinks each leads one level down.
fn name_by_name(root: &OwnedFd, path: &SafeRelativePath, make: bool) -> Result<OwnedFd, Errno> {
    let start = openat(root, ".", DIRECTORY, Mode::empty())?;
    path.names().try_fold(start, |parent, name| {
        let open = || openat(&parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
        let opened = match open() {
            Err(Errno::NOENT) if make => match mkdirat(&parent, name, NEW_DIRECTORY) {
                // Somebody else has just made it.
                Ok(()) | Err(Errno::EXIST) => open(),
                Err(errno) => Err(errno),
            },
            opened => opened,
        };
        opened.map_err(|errno| if errno == Errno::NOTDIR && is_symlink(&parent, name) { Errno::LOOP } else { errno })
    })
}

fn is_symlink(parent: &impl AsFd, name: &str) -> bool {
    rustix::fs::statat(parent, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

/// The regular file at `path`, if that is what is there.
///
/// # Errors
///
/// * [`Error::LocalIo`]: it cannot be looked at
pub fn existing(path: &Path) -> Result<Option<Existing>, Error> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("look at", path)(error)),
        Ok(found) if found.is_file() => {
            let modified = found.modified().map_err(io_error("look at", path))?;
            Ok(Some(Existing { length: found.len(), modified }))
        }
        Ok(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn path(text: &str) -> SafeRelativePath {
        text.split('/').fold(SafeRelativePath::default(), |path, name| path.join(name).unwrap())
    }

    fn fact(result: Result<impl Sized, Error>) -> &'static str {
        match result.err() {
            Some(Error::PathRefused { fact, .. }) => fact,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn directories_are_made_and_files_found() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::create(&directory.path().join("new/root")).unwrap();
        assert_eq!(root.existing(&path("a/b/file")).unwrap(), None);
        let place = root.place(&path("a/b/file")).unwrap();
        fs::write(place.path(), "text").unwrap();
        let existing = root.existing(&path("a/b/file")).unwrap().unwrap();
        let modified = fs::metadata(place.path()).unwrap().modified().unwrap();
        assert_eq!(existing, Existing { length: 4, modified });
        assert_eq!(super::existing(place.path()).unwrap(), Some(existing));
        root.make_directory(&path("a/c")).unwrap();
        assert!(directory.path().join("new/root/a/c").is_dir());
    }

    #[test]
    fn no_symlink_is_followed_with_openat2_or_without() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::create(&directory.path().join("root")).unwrap();
        symlink(directory.path(), directory.path().join("root/out")).unwrap();
        symlink("nowhere", directory.path().join("root/dangling")).unwrap();
        fs::write(directory.path().join("root/file"), "").unwrap();
        assert_eq!(fact(root.place(&path("out/x"))), "a symlink is in its way");
        assert_eq!(fact(root.place(&path("dangling/x"))), "a symlink is in its way");
        assert_eq!(fact(root.existing(&path("out"))), "there is a symlink of its name");
        assert_eq!(fact(root.place(&path("file/x"))), "something that is no directory is in its way");
        assert_eq!(name_by_name(root.directory.as_ref().unwrap(), &path("out/x"), true).unwrap_err(), Errno::LOOP);
        assert!(!directory.path().join("x").exists());
    }
}
