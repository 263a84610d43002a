//! Whether anybody else could have written what is about to be executed with the user's rights.
//!
//! A plugin's path is followed by hand, from `/`, link by link: each directory on the way, each link and the file belong
//! to root or to the user, and neither group nor others may write to them. Then nobody else can change what the path
//! leads to, between this check and the execution either.
//!
//! * A sticky directory such as `/tmp`, in which others can make names and not take away those of somebody else, may be
//!   on the way; it may not be the plugin's own, because what lies beside a script is often loaded by it.
//! * Root trusts root alone. What belongs to the overflow user is nobody's: in a user namespace, or on a share, it may be
//!   anybody's.
//! * What is in a directory that the user names in [`Settings::trusted`](super::Settings::trusted) is not checked; what
//!   that directory is in, is.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, Metadata},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use rustix::{io::Errno, process::geteuid};

/// As whom a user namespace shows users that it does not know; also `nobody`.
const OVERFLOW_USER: u32 = 65_534;

/// Links in one path, as Linux has it.
const LINKS: usize = 40;

const BY_GROUP: u32 = 0o020;
const BY_OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Who is trusted, and where it does not matter.
pub(super) struct Trust {
    user: u32,
    exempt: Vec<PathBuf>,
}

/// Why a path is not followed to its end.
#[derive(Debug)]
pub(super) enum Distrust {
    Io(io::Error),
    Because { fact: String, hint: String },
}

impl From<io::Error> for Distrust {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Trust {
    /// By the user of this process; beneath `exempt`, in anybody.
    pub(super) fn new(exempt: &[PathBuf]) -> Self {
        let both = |path: &PathBuf| [std::path::absolute(path).ok(), fs::canonicalize(path).ok()];
        let exempt = exempt.iter().flat_map(both).flatten().collect();
        Self { user: geteuid().as_raw(), exempt }
    }

    /// What the absolute `path` leads to, without a link on the way.
    pub(super) fn resolve(&self, path: &Path) -> Result<(PathBuf, Metadata), Distrust> {
        let mut here = PathBuf::from("/");
        let mut found = self.look_at(&here)?;
        let (mut names, mut links) = (names_of(path), 0);
        while let Some(name) = names.pop_front() {
            if name == ".." {
                here.pop();
                found = fs::symlink_metadata(&here)?;
                continue;
            }
            let next = here.join(&name);
            found = self.look_at(&next)?;
            if !found.is_symlink() {
                here = next;
                continue;
            }
            links += 1;
            if links > LINKS {
                return Err(io::Error::from(Errno::LOOP).into());
            }
            let target = fs::read_link(&next)?;
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            names = names_of(&target).into_iter().chain(names).collect();
        }
        self.check_neighbours(&here)?;
        Ok((here, found))
    }

    fn look_at(&self, path: &Path) -> Result<Metadata, Distrust> {
        let found = fs::symlink_metadata(path)?;
        self.check(path, &found)?;
        Ok(found)
    }

    /// One component, or the file itself.
    pub(super) fn check(&self, path: &Path, found: &Metadata) -> Result<(), Distrust> {
        let writable = writable_by(found);
        let fact = match () {
            () if !self.is_trusted(found.uid()) => match self.user {
                0 => "belongs to another user, and root runs only what is root's",
                _ => "belongs to another user, who is not root",
            },
            // A link has all rights, and they mean nothing.
            () if found.is_symlink() || writable.is_empty() => return Ok(()),
            () if found.is_dir() && found.mode() & STICKY != 0 => return Ok(()),
            () => writable,
        };
        self.distrust(path, found, fact)
    }

    /// What is in the directory of the file may be loaded by it.
    fn check_neighbours(&self, path: &Path) -> Result<(), Distrust> {
        let Some(directory) = path.parent() else { return Ok(()) };
        let found = fs::symlink_metadata(directory)?;
        let writable = writable_by(&found);
        if writable.is_empty() { Ok(()) } else { self.distrust(directory, &found, writable) }
    }

    fn is_trusted(&self, user: u32) -> bool {
        user == 0 || (user == self.user && user != OVERFLOW_USER)
    }

    fn distrust(&self, path: &Path, found: &Metadata, fact: &str) -> Result<(), Distrust> {
        let mode = found.permissions().mode() & 0o7777;
        let fact = format!("{} {fact} (owner {}, mode {mode:04o})", path.display(), found.uid());
        if self.exempt.iter().any(|exempt| path.starts_with(exempt)) {
            tracing::info!("{fact}: accepted, as --trust-plugin-dir says");
            return Ok(());
        }
        let directory = if found.is_dir() { path } else { path.parent().unwrap_or(path) };
        let mend = match self.is_trusted(found.uid()) {
            true => format!("chmod go-w {}", path.display()),
            false => "install it as root or as yourself".into(),
        };
        let hint = format!("{mend}; if that is meant to be, --trust-plugin-dir {}", directory.display());
        Err(Distrust::Because { fact, hint })
    }
}

/// Empty if neither may.
fn writable_by(found: &Metadata) -> &'static str {
    match (found.mode() & BY_GROUP != 0, found.mode() & BY_OTHERS != 0) {
        (true, true) => "can be written by its group and by others",
        (true, false) => "can be written by its group",
        (false, true) => "can be written by others",
        (false, false) => "",
    }
}

fn names_of(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter(|name| matches!(name, Component::Normal(_) | Component::ParentDir));
    names.map(|name| name.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A directory with `safe` and `open` in it, each with a `file`; anybody may write to `open`.
    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        set_mode(place.path(), 0o755);
        for (name, mode) in [("safe", 0o755), ("open", 0o757)] {
            let directory = place.path().join(name);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("file"), "").unwrap();
            set_mode(&directory.join("file"), 0o755);
            set_mode(&directory, mode);
        }
        place
    }

    /// What is wrong with `path` in `place`, with `ROOT` for that.
    fn verdict(place: &tempfile::TempDir, path: &str, exempt: &[&str]) -> String {
        let exempt: Vec<PathBuf> = exempt.iter().map(|name| place.path().join(name)).collect();
        let text = match Trust::new(&exempt).resolve(&place.path().join(path)) {
            Ok((path, _)) => path.display().to_string(),
            Err(Distrust::Because { fact, .. }) => fact.split(" (").next().unwrap().to_owned(),
            Err(Distrust::Io(error)) => error.to_string(),
        };
        text.replace(&place.path().display().to_string(), "ROOT")
    }

    #[test]
    fn links_are_followed_and_each_directory_on_the_way_is_checked() {
        let place = place();
        let link = |target: &str, name: &str| symlink(target, place.path().join(name)).unwrap();
        link("../safe/file", "safe/relative");
        link(&place.path().join("safe").display().to_string(), "absolute");
        link("../open/file", "safe/out");
        link("open/../safe/file", "through");
        link("loop", "loop");
        assert_eq!(verdict(&place, "safe/relative", &[]), "ROOT/safe/file");
        assert_eq!(verdict(&place, "absolute/../safe/./file", &[]), "ROOT/safe/file");
        let open = "ROOT/open can be written by others";
        for path in ["open/file", "safe/out", "through", "open/../safe/file"] {
            assert_eq!(verdict(&place, path, &[]), open, "{path}");
        }
        assert!(verdict(&place, "loop", &[]).starts_with("Too many levels of symbolic links"));
        assert!(verdict(&place, "none", &[]).starts_with("No such file or directory"));
        assert!(verdict(&place, "safe/file/x", &[]).starts_with("Not a directory"));
    }

    #[test]
    fn a_sticky_directory_may_be_on_the_way_and_not_the_plugins_own() {
        let place = place();
        set_mode(&place.path().join("open"), 0o1777);
        fs::create_dir(place.path().join("open/mine")).unwrap();
        set_mode(&place.path().join("open/mine"), 0o755);
        fs::rename(place.path().join("open/file"), place.path().join("open/mine/file")).unwrap();
        fs::copy(place.path().join("safe/file"), place.path().join("open/beside")).unwrap();
        assert_eq!(verdict(&place, "open/mine/file", &[]), "ROOT/open/mine/file");
        assert_eq!(verdict(&place, "open/beside", &[]), "ROOT/open can be written by its group and by others");
    }

    #[test]
    fn a_file_that_others_may_write_is_not_trusted() {
        let place = place();
        let file = place.path().join("safe/file");
        for (mode, fact) in [
            (0o775, "can be written by its group"),
            (0o757, "can be written by others"),
            (0o777, "can be written by its group and by others"),
        ] {
            set_mode(&file, mode);
            assert_eq!(verdict(&place, "safe/file", &[]), format!("ROOT/safe/file {fact}"));
            assert_eq!(verdict(&place, "safe/file", &["safe"]), "ROOT/safe/file");
        }
    }

    #[test]
    fn an_exemption_holds_beneath_its_directory_alone() {
        let place = place();
        symlink(place.path().join("open/file"), place.path().join("safe/link")).unwrap();
        symlink("open", place.path().join("mount")).unwrap();
        assert_eq!(verdict(&place, "open/file", &["open"]), "ROOT/open/file");
        assert_eq!(verdict(&place, "open/file", &["mount"]), "ROOT/open/file");
        assert_eq!(verdict(&place, "mount/file", &["mount"]), "ROOT/open/file");
        let open = "ROOT/open can be written by others";
        assert_eq!(verdict(&place, "open/file", &["safe", "ope", "open/file"]), open);
        assert_eq!(verdict(&place, "safe/link", &["safe"]), open);
    }

    #[test]
    fn only_root_and_the_user_are_trusted_and_never_nobody() {
        let trusts = |user, owner| Trust { user, exempt: Vec::new() }.is_trusted(owner);
        assert!(trusts(0, 0) && trusts(1000, 0) && trusts(1000, 1000));
        assert!(!trusts(0, 1000) && !trusts(1000, 1001) && !trusts(0, OVERFLOW_USER));
        assert!(!trusts(OVERFLOW_USER, OVERFLOW_USER));
    }
}
