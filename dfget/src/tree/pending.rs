//! The directories that have yet to be listed, depth first and close together in memory: there may be millions.

use super::SafeRelativePath;
use crate::url::ResourceUrl;

/// Bytes of names that may wait: more is no tree but a source that makes them up.
const LIMIT: usize = 16 * 1024 * 1024;

/// A directory to be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) url: ResourceUrl,
    pub(super) path: SafeRelativePath,
    /// How many names its path has.
    pub(super) depth: u32,
}

/// A stack of directories.
#[derive(Debug, Default)]
pub(super) struct Pending {
    levels: Vec<Level>,
    bytes: usize,
}

/// Those that are in one directory.
#[derive(Debug)]
struct Level {
    parent: Directory,
    /// A line each: the name, and behind a tab the URL where that does not follow from the parent's.
    names: String,
}

impl Pending {
    /// Begins a new level; what is pushed from now on is in `parent`.
    pub(super) fn enter(&mut self, parent: Directory) {
        self.levels.push(Level { parent, names: String::new() });
    }

    /// Adds a directory to the level that was entered last. A name is safe already, so it holds no control characters.
    /// Returns whether there was room.
    pub(super) fn push(&mut self, name: &str, url: Option<&ResourceUrl>) -> bool {
        let Some(level) = self.levels.last_mut() else { return false };
        let before = level.names.len();
        level.names.push_str(name);
        if let Some(url) = url {
            level.names.push('\t');
            level.names.push_str(url.as_str());
        }
        level.names.push('\n');
        self.bytes += level.names.len() - before;
        self.bytes <= LIMIT
    }

    /// The one that was added last.
    pub(super) fn pop(&mut self) -> Option<Directory> {
        while let Some(level) = self.levels.last_mut() {
            let Some(rest) = level.names.strip_suffix('\n') else {
                self.levels.pop();
                continue;
            };
            let start = rest.rfind('\n').map_or(0, |end| end + 1);
            let line = rest[start..].to_owned();
            self.bytes -= level.names.len() - start;
            level.names.truncate(start);
            let Directory { url: parent, path, depth } = &level.parent;
            let (name, url) = line.split_once('\t').map_or((&*line, None), |(name, url)| (name, Some(url)));
            let url = url.map_or_else(|| parent.child(name), |url| url.parse().ok());
            // Both were right when they were pushed.
            let (Some(url), Ok(path)) = (url, path.join(name)) else { continue };
            return Some(Directory { url, path, depth: depth + 1 });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_last_is_popped_first_level_by_level() {
        let mut pending = Pending::default();
        let root = Directory { url: "x://h/r".parse().unwrap(), path: SafeRelativePath::default(), depth: 0 };
        pending.enter(root);
        assert!(pending.push("a", None));
        assert!(pending.push("b c", Some(&"x://other/b".parse().unwrap())));
        let b = pending.pop().unwrap();
        assert_eq!((b.url.as_str(), b.path.as_str(), b.depth), ("x://other/b", "b c", 1));
        pending.enter(b);
        assert!(pending.push("ü", None));
        let deep = pending.pop().unwrap();
        assert_eq!((deep.url.as_str(), deep.path.as_str(), deep.depth), ("x://other/b/%C3%BC", "b c/ü", 2));
        assert_eq!(pending.pop().unwrap().url.as_str(), "x://h/r/a");
        assert_eq!((pending.pop(), pending.bytes), (None, 0));
    }

    #[test]
    fn a_source_that_makes_up_directories_finds_no_room() {
        let mut pending = Pending::default();
        pending.enter(Directory { url: "x://h/r".parse().unwrap(), path: SafeRelativePath::default(), depth: 0 });
        let name = "x".repeat(255);
        assert!((0..LIMIT / 256).all(|_| pending.push(&name, None)));
        assert!(!pending.push(&name, None));
    }
}
