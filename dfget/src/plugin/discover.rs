//! Finds plugins by their file names. Starts nothing and opens nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    env, fs,
    path::{Path, PathBuf},
};

use plugin_proto::FILE_NAME_PREFIX;

use super::reattach::Attachment;

/// Where plugins are looked for, in order.
#[derive(Debug, Clone, Default)]
pub struct SearchPath {
    /// Plugins that run already, for these schemes. They win over all files.
    pub attached: BTreeMap<String, Attachment>,
    /// `--plugin SCHEME=PATH`: these files and no others for these schemes.
    pub pinned: BTreeMap<String, PathBuf>,
    /// Directories, the first one first.
    pub directories: Vec<PathBuf>,
    /// Parts of `DFGET_PLUGIN_DIR` in which nothing is looked for, because they mean whatever directory is the current
    /// one.
    pub ignored: Vec<PathBuf>,
}

/// What can serve a scheme in a process of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The scheme.
    pub name: String,
    /// The file; of one that runs already the name alone that it is to have.
    pub path: PathBuf,
    /// Whether an earlier directory has one of the same name.
    pub shadowed: bool,
    /// How it is there.
    pub presence: Presence,
}

/// How a plugin is there before anything is done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// As a file that looks like a plugin.
    File,
    /// As a process, at this place.
    Running(Attachment),
    /// As an in-tree source, which this very program serves if it is told to.
    InTree,
}

impl Candidate {
    /// The file at `path`, for the scheme `name`.
    #[must_use]
    pub fn file(name: &str, path: PathBuf) -> Self {
        Self { name: name.to_owned(), path, shadowed: false, presence: Presence::File }
    }

    /// The in-tree source for the scheme `name`.
    #[must_use]
    pub fn in_tree(name: &str) -> Self {
        // For what is told alone: what is executed is whatever this process was made from.
        let path = env::current_exe().unwrap_or_else(|_| "dfget".into());
        Self { presence: Presence::InTree, ..Self::file(name, path) }
    }

    /// The scheme that the name of a file says it serves, if it says so.
    #[must_use]
    pub fn name_of(path: &Path) -> Option<String> {
        let name = path.file_name()?.to_str()?.strip_prefix(FILE_NAME_PREFIX)?;
        is_name(name).then(|| name.to_owned())
    }

    /// By which errors and listings call it: the name of the file; where there is none of its own, the scheme.
    #[must_use]
    pub fn title(&self) -> String {
        match self.presence {
            Presence::InTree => self.name.clone(),
            _ => self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned(),
        }
    }
}

impl SearchPath {
    /// `explicit` directories, then those of `DFGET_PLUGIN_DIR`, then the default ones.
    ///
    /// A default directory that does not exist is left out, unless there would be none at all to show. A relative one is
    /// beneath the current directory if it is explicit, and ignored if it is listed.
    #[must_use]
    pub fn new(pinned: BTreeMap<String, PathBuf>, explicit: Vec<PathBuf>) -> Self {
        let listed = env::var_os("DFGET_PLUGIN_DIR").filter(|listed| !listed.is_empty());
        let listed = listed.iter().flat_map(env::split_paths);
        let (listed, ignored): (Vec<_>, Vec<_>) = listed.partition(|path| path.is_absolute());
        let explicit = explicit.into_iter().map(|path| std::path::absolute(&path).unwrap_or(path));
        let mut directories: Vec<_> = explicit.chain(listed).collect();
        let defaults = default_directories();
        directories.extend(defaults.iter().filter(|path| path.is_dir()).cloned());
        if directories.is_empty() {
            directories = defaults;
        }
        let mut seen = HashSet::new();
        directories.retain(|directory| seen.insert(directory.clone()));
        Self { attached: BTreeMap::new(), pinned, directories, ignored }
    }

    /// The directories in which a plugin is found, now or once they exist.
    pub fn places(&self) -> impl Iterator<Item = PathBuf> {
        self.directories.iter().cloned().chain(default_directories())
    }

    /// Whether the user has named what serves `scheme`: that wins over in-tree sources, too.
    #[must_use]
    pub fn is_named(&self, scheme: &str) -> bool {
        self.attached.contains_key(scheme) || self.pinned.contains_key(scheme)
    }

    /// The plugin that serves `scheme`: the one that runs already, or the first file found.
    #[must_use]
    pub fn find(&self, scheme: &str) -> Option<Candidate> {
        let candidate = |path| Candidate::file(scheme, path);
        if let Some(attached) = self.attached.get(scheme) {
            let presence = Presence::Running(attached.clone());
            return Some(Candidate { presence, ..candidate(file_name(scheme).into()) });
        }
        if let Some(path) = self.pinned.get(scheme) {
            return Some(candidate(path.clone()));
        }
        let paths = self.directories.iter().map(|directory| directory.join(file_name(scheme)));
        // Not `exists`: a dangling link is a plugin that cannot be executed, not one that is absent.
        paths.into_iter().find(|path| path.symlink_metadata().is_ok()).map(candidate)
    }

    /// All plugins, a directory at a time and sorted within it; those that the user has named first, under no directory.
    #[must_use]
    pub fn all(&self) -> Vec<(Option<&Path>, Vec<Candidate>)> {
        let mut seen: BTreeSet<String> = self.attached.keys().chain(self.pinned.keys()).cloned().collect();
        let named = seen.iter().filter_map(|name| self.find(name)).collect();
        let mut all = vec![(None, named)];
        for directory in &self.directories {
            let candidates = candidates_in(directory).into_iter().map(|(name, path)| {
                let shadowed = !seen.insert(name.clone());
                Candidate { shadowed, ..Candidate::file(&name, path) }
            });
            all.push((Some(directory.as_path()), candidates.collect()));
        }
        all
    }
}

/// `d7y-resource-plugin-<scheme>`.
#[must_use]
pub fn file_name(scheme: &str) -> String {
    format!("{FILE_NAME_PREFIX}{scheme}")
}

/// `~/.dragonfly/plugins` and `/usr/local/dragonfly/plugins`.
fn default_directories() -> Vec<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let personal = home.map(|home| home.join(".dragonfly/plugins"));
    personal.into_iter().chain([PathBuf::from("/usr/local/dragonfly/plugins")]).collect()
}

fn candidates_in(directory: &Path) -> BTreeMap<String, PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return BTreeMap::new() };
    let named = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().to_str()?.strip_prefix(FILE_NAME_PREFIX)?.to_owned();
        is_name(&name).then(|| (name, entry.path()))
    });
    named.collect()
}

/// `[a-z0-9][a-z0-9+.-]*`, and no `.so` at its end.
pub(crate) fn is_name(name: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    // Dragonfly's Go dfget had shared objects of the same names.
    !name.ends_with(".so")
        && bytes.first().is_some_and(|&byte| first(byte))
        && bytes.iter().all(|&byte| first(byte) || b"+.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(names: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(directory.path().join(name), "").unwrap();
        }
        directory
    }

    #[test]
    fn only_names_of_schemes_are_plugins() {
        let directory = directory(&[
            "d7y-resource-plugin-a",
            "d7y-resource-plugin-b+c.d-1",
            "d7y-resource-plugin-",
            "d7y-resource-plugin-X",
            "d7y-resource-plugin-.part",
            "d7y-resource-plugin-a_b",
            "d7y-resource-plugin-d7yfs.so",
            "README",
        ]);
        let names: Vec<String> = candidates_in(directory.path()).into_keys().collect();
        assert_eq!(names, ["a", "b+c.d-1"]);
    }

    #[test]
    fn the_first_directory_wins_and_the_second_is_shadowed() {
        let (first, second) =
            (directory(&["d7y-resource-plugin-a"]), directory(&["d7y-resource-plugin-a", "d7y-resource-plugin-b"]));
        let directories = vec![first.path().into(), second.path().into()];
        let search = SearchPath { directories, ..SearchPath::default() };
        assert_eq!(search.find("a").unwrap().path, first.path().join("d7y-resource-plugin-a"));
        let shadowed: Vec<bool> = search.all().into_iter().flat_map(|(_, found)| found).map(|c| c.shadowed).collect();
        assert_eq!(shadowed, [false, true, false]);
    }

    #[test]
    fn a_pinned_plugin_wins_over_all_directories() {
        let found = directory(&["d7y-resource-plugin-a"]);
        let pinned = BTreeMap::from([("a".to_owned(), PathBuf::from("/opt/my-plugin"))]);
        let search = SearchPath { pinned, directories: vec![found.path().into()], ..SearchPath::default() };
        assert_eq!(search.find("a").unwrap().path, Path::new("/opt/my-plugin"));
    }
}
