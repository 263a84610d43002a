//! No download plants a plugin: outputs at or beneath a directory in which plugins are looked for are refused.

use std::{
    fs, iter,
    path::{Path, PathBuf},
};

use crate::{error::Error, output::Target, plugin::discover::SearchPath};

use super::item::Where;

/// The directories of plugins, without a link in them.
pub(super) struct Guard(Vec<PathBuf>);

impl Guard {
    pub(super) fn new(search: &SearchPath) -> Self {
        Self(search.places().map(|place| resolved(&place)).collect())
    }

    /// Of a tree its [root](Self::check_directory) is checked, once.
    pub(super) fn check(&self, place: &Where) -> Result<(), Error> {
        match place {
            Where::Target(Target::File(path)) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                self.refuse(path, parent.unwrap_or(Path::new(".")))
            }
            Where::Target(Target::Stdout) | Where::Beneath(..) => Ok(()),
        }
    }

    pub(super) fn check_directory(&self, path: &Path) -> Result<(), Error> {
        self.refuse(path, path)
    }

    /// Those that are in `directory`, as paths from there.
    pub(super) fn beneath(&self, directory: &Path) -> Vec<PathBuf> {
        let directory = resolved(directory);
        let beneath = self.0.iter().filter_map(|place| place.strip_prefix(&directory).ok());
        beneath.map(Path::to_owned).collect()
    }

    fn refuse(&self, path: &Path, directory: &Path) -> Result<(), Error> {
        let directory = resolved(directory);
        match self.0.iter().any(|place| directory.starts_with(place)) {
            true => Err(Error::PathRefused { path: path.display().to_string(), fact: Error::PLACE_OF_PLUGINS }),
            false => Ok(()),
        }
    }
}

/// Without a link in it, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|there| Some((there, fs::canonicalize(there).ok()?)));
    let Some((there, real)) = there else { return path };
    let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
    // Nothing is joined as a separator at the end, which would name another path.
    iter::once(real.as_path()).chain(rest.components().map(|name| Path::new(name.as_os_str()))).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_what_is_not_there_yet_are_seen_through() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir(path("home")).unwrap();
        symlink("home", path("link")).unwrap();
        let guard = Guard(vec![resolved(&path("link/.dragonfly/plugins"))]);
        for refused in ["home/.dragonfly/plugins", "link/.dragonfly/plugins/deep", "home/./.dragonfly//plugins/"] {
            assert!(guard.check_directory(&path(refused)).is_err(), "{refused}");
        }
        for fine in ["home", "home/.dragonfly", "home/.dragonfly/plugins2", "link"] {
            assert!(guard.check_directory(&path(fine)).is_ok(), "{fine}");
        }
        let file = |name: &str| guard.check(&Where::Target(Target::File(path(name))));
        assert!(file("home/.dragonfly/plugins/x").is_err() && file("home/.dragonfly/plugins").is_ok());
        assert_eq!(guard.beneath(&path("link")), [Path::new(".dragonfly/plugins")]);
    }
}
