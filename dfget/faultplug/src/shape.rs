//! What is in a tree, by the query of its URL.

use crate::query;

/// One directory of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree<'a> {
    /// Files in each directory.
    pub files: u64,
    /// Directories in each that is not one of the lowest.
    dirs: u64,
    depth: u64,
    /// From the uppermost directory on.
    path: &'a str,
}

impl<'a> Tree<'a> {
    /// The directory at `url`, if its query makes it one.
    #[must_use]
    pub fn of_url(url: &'a str) -> Option<Self> {
        let is_one = ["files", "dirs", "empty", "names"].iter().any(|key| query::value(url, key).is_some());
        let number = |key| query::number(url, key);
        let path = path_of(url);
        let (files, dirs) = if path == "empty" { (None, None) } else { (number("files"), number("dirs")) };
        let depth = number("depth").unwrap_or(1);
        is_one.then_some(Self { files: files.unwrap_or_default(), dirs: dirs.unwrap_or_default(), depth, path })
    }

    /// Whether this is the uppermost one.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.path.is_empty()
    }

    /// How many directories are in this one.
    #[must_use]
    pub fn directories(&self) -> u64 {
        let depth = self.path.split('/').filter(|name| !name.is_empty()).count();
        if (depth as u64) < self.depth { self.dirs } else { 0 }
    }

    /// The last name of its path.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        self.path.rsplit('/').next().filter(|name| !name.is_empty())
    }

    /// All that is in it and beneath: the paths of files; those of directories end in a `/`.
    #[must_use]
    pub fn all(url: &str) -> Vec<String> {
        let Some(tree) = Tree::of_url(url) else { return Vec::new() };
        let empty = query::value(url, "empty").filter(|_| tree.is_root()).map(|_| "empty".to_owned());
        let directories = (0..tree.directories()).map(|number| format!("d{number}")).chain(empty);
        let beneath = directories.flat_map(|name| {
            let inner = Tree::all(&Tree::child(url, &name));
            let inner = inner.into_iter().map(|path| format!("{name}/{path}")).collect::<Vec<_>>();
            std::iter::once(format!("{name}/")).chain(inner)
        });
        beneath.chain((0..tree.files).map(|number| format!("f{number}"))).collect()
    }

    /// The URL of what is at `path` beneath that of a directory.
    #[must_use]
    pub fn child(url: &str, path: &str) -> String {
        let (directory, query) = url.split_once('?').unwrap_or((url, ""));
        format!("{}/{path}?{query}", directory.trim_end_matches('/'))
    }

    /// The last name in the path of a URL.
    #[must_use]
    pub fn last_segment(url: &str) -> &str {
        path_of(url).rsplit('/').next().unwrap_or_default()
    }

    /// Whether the query makes a tree of it, and its path leads to that or to one of the directories in it.
    #[must_use]
    pub fn is_directory(url: &str) -> bool {
        let path = url.split('?').next().unwrap_or_default().trim_end_matches('/');
        let name = path.rsplit('/').next().unwrap_or_default();
        let number = name.strip_prefix('f').unwrap_or_default();
        // A file may be asked for without the tree that it is in.
        let is_file = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_beneath = |tree: Tree<'_>| tree.is_root() || name == "empty" || name.starts_with('d');
        Tree::of_url(url).is_some_and(is_beneath) && !is_file
    }

    /// Whether the query says of this file that it is another one than before.
    #[must_use]
    pub fn is_changed(url: &str) -> bool {
        query::value(url, "changed").is_some_and(|name| name == Tree::last_segment(url))
    }

    /// What makes its bytes differ from those of its neighbours; 0 for what is in no tree. FNV-1a, 32 bits of it:
    /// <http://www.isthe.com/chongo/tech/comp/fnv/>.
    pub(crate) fn seed_of(url: &str) -> u64 {
        if Tree::of_url(url).is_none() {
            return 0;
        }
        let bytes = path_of(url).bytes().chain(Tree::is_changed(url).then_some(b'!'));
        bytes.fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)).into()
    }
}

/// Beneath the first name, which is the uppermost directory.
fn path_of(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, path)| path);
    path.splitn(3, '/').nth(2).unwrap_or_default().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Content;

    const URL: &str = "good://h/tree?files=2&dirs=1&depth=2&empty&size=5";

    #[test]
    fn a_tree_is_what_its_query_says() {
        let all = ["d0/", "d0/d0/", "d0/d0/f0", "d0/d0/f1", "d0/f0", "d0/f1", "empty/", "f0", "f1"];
        assert_eq!(Tree::all(URL), all);
        assert_eq!(Tree::child(URL, "d0/f1"), "good://h/tree/d0/f1?files=2&dirs=1&depth=2&empty&size=5");
        assert_eq!(Tree::of_url("good://h/file?size=3"), None);
        assert!(Tree::is_directory(URL) && Tree::is_directory(&Tree::child(URL, "d0")));
        assert!(!Tree::is_directory(&Tree::child(URL, "d0/f1")) && !Tree::is_directory("good://h/d"));
        assert!(!Tree::is_directory("good://h/f13?files=20"));
    }

    #[test]
    fn each_file_has_bytes_of_its_own() {
        let content = |path: &str| Content::of_url(&Tree::child(URL, path));
        assert_ne!(content("f0"), content("f1"));
        assert_ne!(content("f0"), content("d0/f0"));
        assert_ne!(content("f0"), Content::of_url(&format!("{}&changed=f0", Tree::child(URL, "f0"))));
        assert_eq!(content("f1"), Content::of_url(&format!("{}&changed=f0", Tree::child(URL, "f1"))));
    }
}
