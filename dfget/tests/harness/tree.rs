//! A directory that a tree is downloaded to: what may be in it, and what must be.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use faultplug::{Content, Tree};

use super::Digest;

/// What the names of dfget's own files end in.
const OWN: [&str; 3] = [".part", ".part.state", ".part.state.new"];

/// Files and their digests, by their paths; directories and links have none, and those of directories end in `/`.
pub(crate) type Snapshot = BTreeMap<String, Option<Digest>>;

/// All that is beneath `directory`.
pub(crate) fn snapshot(directory: &Path) -> Snapshot {
    let mut found = Snapshot::new();
    let mut directories = vec![(directory.to_owned(), String::new())];
    while let Some((path, prefix)) = directories.pop() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    directories.push((entry.path(), format!("{name}/")));
                    found.insert(format!("{name}/"), None);
                }
                Ok(kind) if kind.is_file() => drop(found.insert(name, Digest::of_file(&entry.path()))),
                _ => drop(found.insert(name, None)),
            }
        }
    }
    found
}

/// A tree of `faultplug`, and where it goes.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) directory: PathBuf,
    pub(super) url: String,
    /// Not all of it is wanted.
    pub(super) selected: bool,
}

impl Expected {
    /// Checks that each file is the old one or the right one; and where all is `complete`, that it is there and nothing
    /// else of this run.
    pub(super) fn check(&self, before: &Snapshot, complete: bool) {
        let found = snapshot(&self.directory);
        let is_own = |path: &str| OWN.iter().any(|suffix| path.ends_with(suffix));
        for (path, digest) in found.iter().filter(|(path, digest)| !is_own(path) && digest.is_some()) {
            let right = Some(self.digest(path));
            let old = before.get(path) == Some(digest);
            assert!(*digest == right || (old && !complete), "{path} is neither old nor right");
        }
        if !complete {
            return;
        }
        let own: Vec<&String> = found.keys().filter(|path| is_own(path)).collect();
        assert!(own.is_empty(), "a complete tree has {own:?}");
        let missing = Tree::all(&self.url).into_iter().filter(|path| !found.contains_key(path));
        let missing: Vec<String> = missing.filter(|_| !self.selected).collect();
        assert!(missing.is_empty(), "a complete tree has no {missing:?}");
    }

    fn digest(&self, path: &str) -> Digest {
        Digest::of_content(Content::of_url(&Tree::child(&self.url, path)))
    }
}
