//! The `.part` file: locked while it is written, renamed when it is whole.

use std::{
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use rustix::{
    fs::{FlockOperation, flock, fstat, fstatvfs},
    io::Errno,
};

use super::{OutputOptions, Place, io_error};
use crate::{download::state::state_of, error::Error};

/// Less than this is written before a reservation would tell that there is no room.
const WORTH_RESERVING: u64 = 1024 * 1024;

/// A `.part` file and the name it is going to take. Dropped before [`rename`](Self::rename), it stays if there is
/// something in it.
pub(super) struct Part {
    place: Place,
    output: Place,
    options: OutputOptions,
    /// Holds the lock, as long as the writer has it too.
    lock: Option<Arc<File>>,
    /// There was none: nothing can be gone on with.
    pub(super) is_new: bool,
    /// There may be a state beside it.
    pub(super) has_state: AtomicBool,
    /// It has the name that it was to take.
    is_renamed: AtomicBool,
}

impl Part {
    /// Creates and locks the `.part` file of `output`, or opens an old one as it is.
    pub(super) fn create(output: Place, options: OutputOptions) -> Result<(Self, Arc<File>), Error> {
        let place = output.with_suffix(".part");
        let (file, is_new) = locked(&place)?;
        let lock = Some(Arc::clone(&file));
        let (has_state, is_renamed) = (AtomicBool::new(true), AtomicBool::new(false));
        Ok((Self { place, output, options, lock, is_new, has_state, is_renamed }, file))
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Reserves room for `length` bytes from `first` on without making the file longer. The error comes with how many
    /// bytes are free.
    pub(super) fn reserve(&self, first: u64, length: u64) -> Result<(), (io::Error, u64)> {
        let Some(file) = self.lock.as_ref().filter(|_| length >= WORTH_RESERVING) else { return Ok(()) };
        // A file system that does not tell says that it has no block at all.
        let told = fstatvfs(file).ok().filter(|system| system.f_blocks > 0);
        let free = told.map_or(u64::MAX, |system| system.f_bavail.saturating_mul(system.f_frsize));
        let held = fstat(file).map_or(0, |file| u64::try_from(file.st_blocks).unwrap_or_default().saturating_mul(512));
        // Asked before: until it fails, a reservation takes the last block from everybody else.
        if length.saturating_sub(held) > free {
            return Err((io::ErrorKind::StorageFull.into(), free));
        }
        match preallocate(file, first, length) {
            Err(refused @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                // A failed one keeps what it got until the file is cut.
                if let Ok(held) = file.metadata() {
                    let _ = file.set_len(held.len());
                }
                Err((refused.into(), free))
            }
            // Not every file system can.
            _ => Ok(()),
        }
    }

    /// Has the disk begin with what was written.
    #[allow(unsafe_code)]
    pub(super) fn start_flush(&self) {
        #[cfg(target_os = "linux")]
        if let Some(file) = self.lock.as_ref().filter(|_| !self.options.no_fsync) {
            // SAFETY: the descriptor is open, and the call reads no memory of ours. That it is but a hint, and may
            // fail, is well: `flush` follows.
            unsafe {
                libc::sync_file_range(std::os::fd::AsRawFd::as_raw_fd(&**file), 0, 0, libc::SYNC_FILE_RANGE_WRITE)
            };
        }
    }

    /// Sets the time, and waits until all that was written is on the disk.
    pub(super) fn flush(&self, modified: Option<SystemTime>) -> Result<(), Error> {
        let Some(file) = &self.lock else { return Ok(()) };
        if let Some(modified) = modified.filter(|_| self.options.remote_time) {
            file.set_modified(modified).map_err(io_error("set the time of", self.place.path()))?;
        }
        if self.options.no_fsync { Ok(()) } else { file.sync_all().map_err(io_error("flush", self.place.path())) }
    }

    /// Gives it its name. The file stays locked until this is dropped.
    pub(super) fn rename(&self) -> Result<(), Error> {
        let path = self.output.path();
        self.place.rename_to(&self.output, self.options.overwrite).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::OutputExists { path: path.to_owned() },
            _ => io_error("rename to", path)(error),
        })?;
        self.is_renamed.store(true, Ordering::Relaxed);
        self.forget_state();
        Ok(())
    }

    /// So that the renaming survives a power cut.
    pub(super) fn flush_directory(&self) -> Result<(), Error> {
        if self.options.no_fsync {
            return Ok(());
        }
        self.output.flush_directory().map_err(io_error("flush the directory of", self.output.path()))
    }

    /// Whether both are in one directory.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.output.is_beside(&other.output)
    }

    /// There is nothing to be resumed.
    pub(super) fn forget_state(&self) {
        // One that stays is of a file that is gone, and not believed.
        if self.has_state.load(Ordering::Relaxed) {
            let _ = state_of(&self.place).remove();
        }
    }

    /// Its content is worthless.
    pub(super) fn remove(self) {
        self.forget_state();
        // Whatever keeps it from being removed, the download's own error matters more.
        let _ = self.place.remove();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Removed before the lock is let go, or it might be somebody else's by then.
        let Some(lock) = self.lock.take() else { return };
        if *self.is_renamed.get_mut() {
            return;
        }
        if fstat(&lock).is_ok_and(|held| held.st_size == 0) && self.place.is_that_of(&lock).unwrap_or(false) {
            let _ = self.place.remove();
            self.forget_state();
        }
    }
}

/// Opens and locks the file, and makes sure that it still is the one of that name: another dfget may have renamed it
/// between the two.
fn locked(place: &Place) -> Result<(Arc<File>, bool), Error> {
    let path = place.path();
    loop {
        let (file, is_new) = place.open_or_create().map_err(io_error("create", path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(Error::OutputLocked { path: path.to_owned() }),
            locked => locked.map_err(|error| io_error("lock", path)(error.into()))?,
        }
        if !place.is_that_of(&file).map_err(io_error("look at", path))? {
            continue;
        }
        let found = fstat(&file).map_err(|error| io_error("look at", path)(error.into()))?;
        if found.st_nlink > 1 {
            // Its other names are not ours to write to: one may be the old output's.
            place.remove().map_err(io_error("remove", path))?;
        } else {
            // Another dfget may have locked, filled and left it between our making and our locking it.
            return Ok((Arc::new(file), is_new && found.st_size == 0));
        }
    }
}

#[cfg(target_os = "linux")]
fn preallocate(file: &File, first: u64, length: u64) -> Result<(), Errno> {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, first, length)
}

/// Elsewhere it would make the file longer.
#[cfg(not(target_os = "linux"))]
fn preallocate(_: &File, _: u64, _: u64) -> Result<(), Errno> {
    Ok(())
}
