//! The private directory of one plugin's socket, and what earlier ones left behind.

use std::{
    env, fs,
    fs::File,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use plugin_proto::limits;
use rustix::fs::{Access, FlockOperation, access, flock};

const PREFIX: &str = "dfget-plugin-";

/// Room that a plugin needs for the name of its socket.
const SOCKET_NAME: usize = 40;

/// A directory younger than this may belong to a dfget that has not locked it yet.
const SWEEP_AGE: Duration = Duration::from_secs(5);

/// A directory that only this user can enter. It goes when this is dropped.
pub(super) struct SocketDir {
    directory: tempfile::TempDir,
    /// Shows others that the directory is in use. The kernel takes it back however this process ends.
    _lock: File,
}

impl SocketDir {
    /// Makes one below `TMPDIR`, or below `/tmp` where that cannot be used, a socket's path would be too long or unfit for the
    /// handshake line.
    pub(super) fn create() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(base())?;
        // What tempfile makes is 0700 at most, and less under a strange umask.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700))?;
        let lock = File::open(directory.path())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { directory, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Removes it before its time. A failure is left to the drop, and to the next dfget.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir_all(self.path());
    }
}

fn base() -> PathBuf {
    let base = env::temp_dir();
    let usable = base.is_absolute() && base.is_dir() && access(&base, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    let longest = base.as_os_str().len() + 1 + PREFIX.len() + 8 + 1 + SOCKET_NAME;
    if usable && longest <= limits::SOCKET_PATH && fits_a_field(&base) { base } else { "/tmp".into() }
}

/// Whether the path can stand in a handshake line.
fn fits_a_field(path: &Path) -> bool {
    path.to_str().is_some_and(|text| !text.contains(|c: char| c == '|' || c == ' ' || c.is_control()))
}

/// Removes what hosts that were killed have left where this one makes its own.
pub(super) fn sweep_own() {
    sweep(&base());
}

/// Removes the directories of hosts that were killed. Failures leave work for the next dfget, nothing worse.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    let ours = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for entry in ours {
        if is_left_behind(&entry) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_left_behind(entry: &fs::DirEntry) -> bool {
    let old = |made: SystemTime| made.elapsed().is_ok_and(|age| age > SWEEP_AGE);
    let metadata = entry.metadata().ok().filter(fs::Metadata::is_dir);
    metadata.and_then(|metadata| metadata.modified().ok()).is_some_and(old)
        && File::open(entry.path())
            .is_ok_and(|directory| flock(directory, FlockOperation::NonBlockingLockExclusive).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aged(base: &Path, name: &str) -> PathBuf {
        let path = base.join(name);
        fs::create_dir(&path).unwrap();
        let long_ago = SystemTime::now() - 2 * SWEEP_AGE;
        File::open(&path).unwrap().set_modified(long_ago).unwrap();
        path
    }

    #[test]
    fn a_path_that_would_break_the_handshake_line_is_not_used() {
        assert!(fits_a_field(Path::new("/tmp/größe")));
        for path in ["/tmp/a b", "/tmp/a|b", "/tmp/a\tb"] {
            assert!(!fits_a_field(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn only_old_directories_that_nobody_holds_are_swept() {
        let base = tempfile::tempdir().unwrap();
        let abandoned = aged(base.path(), "dfget-plugin-a");
        let foreign = aged(base.path(), "somebody-else");
        let held = aged(base.path(), "dfget-plugin-b");
        let young = base.path().join("dfget-plugin-c");
        fs::create_dir(&young).unwrap();
        let lock = File::open(&held).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        sweep(base.path());
        assert!(!abandoned.exists());
        assert!(foreign.exists() && held.exists() && young.exists());
    }
}
