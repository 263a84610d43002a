//! The `.part` file: locked while it is written, renamed when it is whole.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::{
    fs::{CWD, FallocateFlags, FlockOperation, OFlags, RenameFlags, fallocate, flock, fstatvfs, renameat_with},
    io::Errno,
};

use super::{OutputOptions, io_error};
use crate::{download::state::path_of, error::Error};

/// Less than this is written before a reservation would tell that there is no room.
const WORTH_RESERVING: u64 = 1024 * 1024;

/// A `.part` file and the name it is going to take. Dropped before [`commit`](Self::commit), it stays if there is
/// something in it.
pub(super) struct Part {
    path: PathBuf,
    output: PathBuf,
    options: OutputOptions,
    /// Holds the lock; the writer has a descriptor of its own.
    lock: Option<File>,
}

impl Part {
    /// Creates and locks the `.part` file of `output`, or opens an old one as it is.
    pub(super) fn create(output: &Path, options: OutputOptions) -> Result<(Self, File), Error> {
        let mut path = output.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let file = locked(&path)?;
        let lock = file.try_clone().map_err(io_error("open", &path))?;
        Ok((Self { path, output: output.to_owned(), options, lock: Some(lock) }, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reserves room for `length` bytes without making the file longer. The error comes with how many bytes are free.
    pub(super) fn reserve(&self, length: u64) -> Result<(), (io::Error, u64)> {
        let Some(file) = self.lock.as_ref().filter(|_| length >= WORTH_RESERVING) else { return Ok(()) };
        match fallocate(file, FallocateFlags::KEEP_SIZE, 0, length) {
            Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => {
                let free = fstatvfs(file).map_or(0, |system| system.f_bavail * system.f_frsize);
                // A failed one keeps what it got until the file is cut.
                if let Ok(held) = file.metadata() {
                    let _ = file.set_len(held.len());
                }
                Err((io::ErrorKind::StorageFull.into(), free))
            }
            // Not every file system can.
            _ => Ok(()),
        }
    }

    /// Gives the file, which is written, its name: flushed, renamed, the renaming flushed.
    pub(super) async fn commit(mut self, file: File, modified: Option<SystemTime>) -> Result<(), Error> {
        let lock = self.lock.take();
        let commit = move || {
            if let Some(modified) = modified {
                file.set_modified(modified).map_err(io_error("set the time of", &self.path))?;
            }
            if !self.options.no_fsync {
                file.sync_all().map_err(io_error("flush", &self.path))?;
            }
            self.rename()?;
            self.forget_state();
            drop(lock);
            if self.options.no_fsync { Ok(()) } else { flush_directory(&self.output) }
        };
        tokio::task::spawn_blocking(commit).await.map_err(io::Error::other).map_err(io_error("flush", Path::new("")))?
    }

    fn rename(&self) -> Result<(), Error> {
        let failed = |error: Errno| io_error("rename to", &self.output)(error.into());
        if self.options.overwrite {
            return rustix::fs::rename(&self.path, &self.output).map_err(failed);
        }
        match renameat_with(CWD, &self.path, CWD, &self.output, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => Err(Error::OutputExists { path: self.output.clone() }),
            // A file system without it, such as NFS: a link does not replace either.
            Err(Errno::INVAL | Errno::NOSYS) => self.link(),
            renamed => renamed.map_err(failed),
        }
    }

    fn link(&self) -> Result<(), Error> {
        match fs::hard_link(&self.path, &self.output) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::OutputExists { path: self.output.clone() })
            }
            Err(error) => Err(io_error("link to", &self.output)(error)),
            Ok(()) => fs::remove_file(&self.path).map_err(io_error("remove", &self.path)),
        }
    }

    /// There is nothing to be resumed.
    pub(super) fn forget_state(&self) {
        // One that stays is of a file that is gone, and not believed.
        let _ = fs::remove_file(path_of(&self.path));
    }

    /// Its content is worthless.
    pub(super) fn remove(self) {
        self.forget_state();
        // Whatever keeps it from being removed, the download's own error matters more.
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Removed before the lock is let go, or it might be somebody else's by then.
        let Some(lock) = self.lock.take() else { return };
        if lock.metadata().is_ok_and(|held| held.len() == 0) {
            let _ = fs::remove_file(&self.path);
            self.forget_state();
        }
    }
}

/// Opens and locks `path`, and makes sure that it still is the file of that name: another dfget may have renamed it
/// between the two.
fn locked(path: &Path) -> Result<File, Error> {
    loop {
        let nofollow = OFlags::NOFOLLOW.bits().cast_signed();
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).custom_flags(nofollow).open(path);
        let file = file.map_err(io_error("create", path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(Error::OutputLocked { path: path.to_owned() }),
            locked => locked.map_err(|error| io_error("lock", path)(error.into()))?,
        }
        let opened = file.metadata().map_err(io_error("look at", path))?;
        if fs::symlink_metadata(path).is_ok_and(|named| (named.dev(), named.ino()) == (opened.dev(), opened.ino())) {
            return Ok(file);
        }
    }
}

/// So that the renaming survives a power cut.
fn flush_directory(output: &Path) -> Result<(), Error> {
    let directory = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let flushed = File::open(directory).and_then(|directory| directory.sync_all());
    match flushed {
        // Some file systems do not flush directories, and say so.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        flushed => flushed.map_err(io_error("flush", directory)),
    }
}
