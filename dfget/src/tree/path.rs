//! Names that come from a source, and the paths made of them.

use std::fmt;

/// Longest name, in bytes: more than that no file system takes.
const NAME: usize = 255;

/// Longest path, in bytes: Linux's PATH_MAX.
const PATH: usize = 4096;

/// What dfget's own files beside an output end in: a resource of that name could take the place of one.
const OWN: [&str; 3] = [".part", ".part.state", ".part.state.new"];

/// A path beneath a directory that cannot lead out of it: its names are names of one level each. Symlinks in the file
/// system are [`Root`](crate::output::Root)'s affair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SafeRelativePath(String);

impl SafeRelativePath {
    /// The path of `name` beneath this one.
    ///
    /// # Errors
    ///
    /// * why it is refused
    pub fn join(&self, name: &str) -> Result<Self, &'static str> {
        refuse_unsafe(name)?;
        let path = if self.is_root() { name.to_owned() } else { format!("{self}/{name}") };
        if path.len() > PATH { Err("its path is too long") } else { Ok(Self(path)) }
    }

    /// The directory itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Its names, with `/` between them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From the outermost on.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// The last name.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Without the last name.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self(self.0.rsplit_once('/').map_or_else(String::new, |(parent, _)| parent.to_owned()))
    }
}

impl fmt::Display for SafeRelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn refuse_unsafe(name: &str) -> Result<(), &'static str> {
    let decoded = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    match name {
        "" => Err("it is empty"),
        _ if name.len() > NAME => Err("it is longer than 255 bytes"),
        // What is decoded once more somewhere must not lead elsewhere either.
        _ if leads_elsewhere(name) || leads_elsewhere(&decoded) => Err("it leads to another directory"),
        _ if name.contains(char::is_control) || decoded.contains(char::is_control) => {
            Err("there are control characters in it")
        }
        _ if is_own(name) => Err("dfget's own files are named so while they are incomplete"),
        _ => Ok(()),
    }
}

fn leads_elsewhere(name: &str) -> bool {
    matches!(name, "." | "..") || name.contains('/')
}

/// Whether a file of this name could be the `.part` file, or the state, of another one.
#[must_use]
pub fn is_own(name: &str) -> bool {
    OWN.iter().any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_make_paths() {
        let path = SafeRelativePath::default().join("a b").unwrap().join("ü%20.tar.gz").unwrap();
        assert_eq!(path.to_string(), "a b/ü%20.tar.gz");
        assert_eq!((path.parent().as_str(), path.file_name()), ("a b", "ü%20.tar.gz"));
        assert_eq!(path.names().collect::<Vec<_>>(), ["a b", "ü%20.tar.gz"]);
        assert!(path.parent().parent().is_root());
        assert!(path.join("...").is_ok() && path.join("100%").is_ok() && path.join(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn hostile_names_are_refused() {
        let hostile =
            ["", ".", "..", "/etc/passwd", "a/b", "a\0", "%2e%2e", "%2E.", "..%2f..", "a%00", "a\u{1b}[2J", "a\nb"];
        for name in hostile {
            assert!(SafeRelativePath::default().join(name).is_err(), "{name:?}");
        }
        assert!(SafeRelativePath::default().join(&"x".repeat(256)).is_err());
        assert!(SafeRelativePath::default().join("a.part").is_err());
        let deep = (0..15).fold(SafeRelativePath::default(), |path, _| path.join(&"x".repeat(255)).unwrap());
        assert_eq!(deep.join(&"x".repeat(255)).unwrap().as_str().len(), 4095);
        assert!(deep.join(&"x".repeat(255)).unwrap().join("y").is_err());
    }
}
