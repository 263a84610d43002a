//! The private directory of one plugin, for its socket and its temporary files; and what earlier ones left behind, with
//! the processes that still name it.

use std::{
    env, fs,
    fs::File,
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use plugin_proto::limits;
use rustix::fs::{Access, FlockOperation, access, flock};

use super::descendants;

const PREFIX: &str = "dfget-plugin-";

/// Room that a plugin needs for the name of its socket.
const SOCKET_NAME: usize = 40;

/// How often a directory is made that another dfget takes for one that was left behind, before it could be locked.
const TRIES: u32 = 8;

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
        let base = base();
        for _ in 1..TRIES {
            if let Some(made) = Self::create_in(&base)? {
                return Ok(made);
            }
        }
        Self::create_in(&base)?.ok_or_else(|| io::ErrorKind::ResourceBusy.into())
    }

    /// `None` if somebody else sweeps it away.
    fn create_in(base: &Path) -> io::Result<Option<Self>> {
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(base)?;
        let opened = open(directory.path());
        if opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let lock = opened?;
        let locked = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        let is_there = fs::metadata(directory.path()).is_ok_and(|found| found.ino() == inode(&lock));
        Ok((locked && is_there).then_some(Self { directory, _lock: lock }))
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Removes what can be connected to.
    pub(super) fn remove_sockets(&self) {
        let entries = fs::read_dir(self.path()).into_iter().flatten().flatten();
        let sockets = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()));
        // A failure is left to the drop, and to the next dfget.
        sockets.for_each(|entry| _ = fs::remove_file(entry.path()));
    }
}

/// What tempfile makes is 0700 at most, and less under a strange umask.
fn open(directory: &Path) -> io::Result<File> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    File::open(directory)
}

fn inode(file: &File) -> u64 {
    file.metadata().map_or(0, |found| found.ino())
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

/// Removes what hosts that were killed have left where this one makes its own, and ends what they have left running.
/// Takes the time of a look at the directory, unless there is something; then a thread of its own does the rest.
pub(super) fn sweep_own() {
    let left = left_in(&base());
    if !left.is_empty() {
        tokio::task::spawn_blocking(move || clear(&left));
    }
}

/// A directory whose host is dead. Locked, so that nobody else clears it away.
struct Left {
    path: PathBuf,
    _lock: File,
}

fn left_in(base: &Path) -> Vec<Left> {
    let Ok(entries) = fs::read_dir(base) else { return Vec::new() };
    let ours = entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    ours.filter_map(|entry| left_behind(&entry)).collect()
}

fn left_behind(entry: &fs::DirEntry) -> Option<Left> {
    entry.file_type().ok().filter(fs::FileType::is_dir)?;
    let lock = File::open(entry.path()).ok()?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(Left { path: entry.path(), _lock: lock })
}

/// Failures leave work for the next dfget, nothing worse.
fn clear(left: &[Left]) {
    descendants::end_left_behind(left.iter().map(|left| left.path.as_path()));
    left.iter().for_each(|left| _ = fs::remove_dir_all(&left.path));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_would_break_the_handshake_line_is_not_used() {
        assert!(fits_a_field(Path::new("/tmp/größe")));
        for path in ["/tmp/a b", "/tmp/a|b", "/tmp/a\tb"] {
            assert!(!fits_a_field(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn only_directories_that_nobody_holds_are_swept() {
        let base = tempfile::tempdir().unwrap();
        let held = SocketDir::create_in(base.path()).unwrap().unwrap();
        let (abandoned, foreign) = (base.path().join("dfget-plugin-a"), base.path().join("somebody-else"));
        [&abandoned, &foreign].into_iter().for_each(|path| fs::create_dir(path).unwrap());
        fs::write(base.path().join("dfget-plugin-file"), "").unwrap();
        let left = left_in(base.path());
        assert_eq!(left.iter().map(|left| &left.path).collect::<Vec<_>>(), [&abandoned]);
        // Two of them do not clear the same.
        assert!(left_in(base.path()).is_empty());
        clear(&left);
        assert!(!abandoned.exists());
        assert!(foreign.exists() && held.path().exists());
    }

    /// Between its making and its lock, one looks like one that was left behind.
    #[test]
    fn a_directory_that_is_swept_while_it_is_made_is_made_again() {
        let base = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let making = scope.spawn(|| {
                (0..2000).all(|_| SocketDir::create_in(base.path()).unwrap().is_none_or(|made| made.path().exists()))
            });
            while !making.is_finished() {
                left_in(base.path()).iter().for_each(|left| _ = fs::remove_dir_all(&left.path));
            }
            assert!(making.join().unwrap());
        });
    }

    #[test]
    fn only_sockets_are_removed_before_the_end() {
        let directory = SocketDir::create_in(Path::new("/tmp")).unwrap().unwrap();
        let (socket, file) = (directory.path().join("plugin1"), directory.path().join("file"));
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        fs::write(&file, "").unwrap();
        directory.remove_sockets();
        assert!(!socket.exists() && file.exists());
        let path = directory.path().to_owned();
        drop(directory);
        assert!(!path.exists());
    }
}
