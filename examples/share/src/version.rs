//! What tells one version of a file from another: when it was written, its length and its inode.

use std::{fs::File, io, time::SystemTime};

use plugin_sdk::{Metadata, Validator, wire};
use rustix::fs::{Stat, fstat};

/// A file at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    /// Nanoseconds since the epoch.
    modified: i128,
    length: u64,
    inode: u64,
}

impl Version {
    pub(crate) fn of(stat: &Stat) -> Self {
        let modified = nanoseconds(i128::from(stat.st_mtime), i128::from(stat.st_mtime_nsec));
        Self { modified, length: u64::try_from(stat.st_size).unwrap_or_default(), inode: stat.st_ino }
    }

    /// Of an open file, as its server knows it now and not as this machine remembers it.
    ///
    /// # Errors
    ///
    /// * those of `fstat`
    pub(crate) fn now(file: &File) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(version) = ask_server(file) {
            return Ok(version);
        }
        Ok(Self::of(&fstat(file)?))
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn metadata(&self) -> Metadata {
        let etag = format!("\"{:x}-{:x}-{:x}\"", self.modified, self.length, self.inode);
        let validator = Validator { etag: Some(etag), last_modified: self.last_modified() };
        Metadata { content_length: Some(self.length), support_range: true, validator, ..Metadata::default() }
    }

    /// In whole milliseconds: the protocol carries no more, and a validator has to come back equal.
    fn last_modified(&self) -> Option<SystemTime> {
        i64::try_from(self.modified.div_euclid(1_000_000)).ok().and_then(wire::time)
    }
}

fn nanoseconds(seconds: i128, nanoseconds: i128) -> i128 {
    seconds * 1_000_000_000 + nanoseconds
}

/// `None` where the kernel or a sandbox does not have the call: then `fstat` decides.
///
/// NFS keeps attributes for some seconds, in which `fstat` would not notice a writer on another machine.
#[cfg(target_os = "linux")]
fn ask_server(file: &File) -> Option<Version> {
    use rustix::fs::{AtFlags, StatxFlags, statx};

    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
    let stat = statx(file, "", flags, StatxFlags::BASIC_STATS).ok()?;
    let modified = nanoseconds(i128::from(stat.stx_mtime.tv_sec), i128::from(stat.stx_mtime.tv_nsec));
    Some(Version { modified, length: stat.stx_size, inode: stat.stx_ino })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_version_is_the_same_whichever_call_tells_it() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(7).unwrap();
        assert_eq!(Version::now(&file).unwrap(), Version::of(&fstat(&file).unwrap()));
    }

    #[test]
    fn an_etag_is_made_of_nanoseconds_and_a_time_of_milliseconds() {
        let metadata = Version { modified: 1_000_255, length: 16, inode: 10 }.metadata();
        assert_eq!(metadata.validator.etag.as_deref(), Some("\"f433f-10-a\""));
        assert_eq!(metadata.validator.last_modified, Some(UNIX_EPOCH + Duration::from_millis(1)));
    }

    #[test]
    fn a_file_from_before_the_epoch_has_a_time() {
        let metadata = Version { modified: -1, length: 0, inode: 1 }.metadata();
        assert_eq!(metadata.validator.last_modified, Some(UNIX_EPOCH - Duration::from_millis(1)));
    }
}
