//! Opens a path beneath a directory, whatever symlinks are in it and whoever renames what meanwhile.
//!
//! Linux 5.6 and later resolve the path themselves and follow the symlinks that stay beneath the directory. Elsewhere
//! it is opened name by name, and no symlink is followed.

use rustix::{
    fd::{BorrowedFd, OwnedFd},
    fs::{AtFlags, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};

/// Without waiting for the other end of a FIFO or for a modem, and without making a terminal ours.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// To go through a directory is not to read it: where there is O_PATH, it needs no right to.
#[cfg(target_os = "linux")]
pub(crate) const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
pub(crate) const STEP: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens what `names` lead to from `root` for reading.
///
/// # Errors
///
/// * [`Errno::XDEV`]: they lead outside
/// * [`Errno::LOOP`]: there is a symlink that cannot be followed
/// * whatever else opening a file can end with
pub(crate) fn open(root: BorrowedFd<'_>, names: &[Vec<u8>]) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    match at_once(root, names) {
        // An old kernel; a sandbox that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => {}
        answer => return answer,
    }
    name_by_name(root, names)
}

/// As [`open`], if that needs no wait for a disk or a server: all that is on the way was looked at lately.
#[cfg(target_os = "linux")]
pub(crate) fn open_cached(root: BorrowedFd<'_>, names: &[Vec<u8>]) -> Option<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};

    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::CACHED;
    openat2(root, names.join(&b'/'), READ, Mode::empty(), resolve).ok()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn open_cached(_: BorrowedFd<'_>, _: &[Vec<u8>]) -> Option<OwnedFd> {
    None
}

#[cfg(target_os = "linux")]
fn at_once(root: BorrowedFd<'_>, names: &[Vec<u8>]) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};

    const ATTEMPTS: u32 = 16;
    let path = if names.is_empty() { b".".to_vec() } else { names.join(&b'/') };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut attempt = 1;
    loop {
        match openat2(root, &path, READ, Mode::empty(), resolve) {
            // Somebody renamed something while the kernel resolved a `..` in a symlink.
            Err(Errno::AGAIN | Errno::INTR) if attempt < ATTEMPTS => attempt += 1,
            answer => return answer,
        }
    }
}

fn name_by_name(root: BorrowedFd<'_>, names: &[Vec<u8>]) -> Result<OwnedFd, Errno> {
    let Some((last, parents)) = names.split_last() else { return openat(root, ".", READ, Mode::empty()) };
    let start = openat(root, ".", STEP, Mode::empty())?;
    let parent = parents.iter().try_fold(start, |parent, name| {
        openat(&parent, name, STEP | OFlags::NOFOLLOW, Mode::empty()).map_err(|errno| match errno {
            Errno::NOTDIR if is_symlink(&parent, name) => Errno::LOOP,
            errno => errno,
        })
    })?;
    openat(&parent, last, READ | OFlags::NOFOLLOW, Mode::empty())
}

fn is_symlink(parent: &OwnedFd, name: &[u8]) -> bool {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read, os::unix::fs::symlink};

    use rustix::{fd::AsFd, fs::CWD};

    use super::*;

    fn names(path: &str) -> Vec<Vec<u8>> {
        path.split('/').filter(|name| !name.is_empty()).map(|name| name.as_bytes().to_vec()).collect()
    }

    #[test]
    fn name_by_name_opens_files_and_follows_no_symlink() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("a/b")).unwrap();
        fs::write(directory.path().join("a/b/file"), "text").unwrap();
        symlink("b", directory.path().join("a/link")).unwrap();
        symlink("file", directory.path().join("a/b/link")).unwrap();
        symlink("/", directory.path().join("outside")).unwrap();
        let root = openat(CWD, directory.path(), STEP, Mode::empty()).unwrap();

        let mut text = String::new();
        let mut file = fs::File::from(name_by_name(root.as_fd(), &names("a/b/file")).unwrap());
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        assert!(name_by_name(root.as_fd(), &[]).is_ok());
        for path in ["a/link/file", "a/b/link", "outside", "outside/etc"] {
            assert_eq!(name_by_name(root.as_fd(), &names(path)).unwrap_err(), Errno::LOOP, "{path}");
        }
        assert_eq!(name_by_name(root.as_fd(), &names("a/b/file/x")).unwrap_err(), Errno::NOTDIR);
        assert_eq!(name_by_name(root.as_fd(), &names("a/nothing")).unwrap_err(), Errno::NOENT);
    }
}
