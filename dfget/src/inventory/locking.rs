//! What is installed becomes what is expected: `dfget plugin lock`.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{broken_line, shadow_of};
use crate::{
    error::Error,
    output::Place,
    plugin::lock::{self, Lock, State},
    registry::Registry,
};

/// A lock file that was written.
pub struct Locking {
    path: PathBuf,
    lock: Lock,
    /// What it said before.
    old: Lock,
    /// What could not be locked, a line each.
    refused: Vec<String>,
}

impl Locking {
    /// Takes down the sha256 of each plugin that would be used. None is started.
    ///
    /// # Errors
    ///
    /// * [`Error::Usage`]: there is no place for the file
    /// * [`Error::LocalIo`]: it cannot be written
    pub fn write(registry: &Registry) -> Result<Self, Error> {
        let path = target(registry)?;
        let old = fs::read_to_string(&path).ok().and_then(|text| Lock::parse(&text).ok()).unwrap_or_default();
        let (mut digests, mut refused) = (BTreeMap::new(), Vec::new());
        let found = registry.search_path().all().into_iter().flat_map(|(_, found)| found);
        for candidate in found.filter(|candidate| shadow_of(candidate, registry).is_none()) {
            match lock::fingerprint(&candidate, registry.settings()) {
                Ok(digest) => _ = digests.insert(candidate.name, digest),
                Err(error) => refused.push(format!("{}; it is not locked", broken_line(&candidate.path, &error))),
            }
        }
        let lock = Lock { digests };
        store(&path, &lock)?;
        Ok(Self { path, lock, old, refused })
    }

    /// Those that could not be locked, a line each.
    pub fn refused(&self) -> impl Iterator<Item = &String> {
        self.refused.iter()
    }

    /// The same as [`Display`](fmt::Display) has, as one document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let plugins = self.lock.digests.iter().map(|(name, digest)| {
            let was = self.old.digests.get(name);
            json!({ "name": name, "sha256": digest, "was": was })
        });
        let plugins: Vec<Value> = plugins.collect();
        json!({ "file": self.path, "plugins": plugins, "removed": self.removed().collect::<Vec<_>>() })
    }

    fn removed(&self) -> impl Iterator<Item = &String> {
        self.old.digests.keys().filter(|name| !self.lock.digests.contains_key(*name))
    }
}

impl fmt::Display for Locking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, digest) in &self.lock.digests {
            match self.old.state_of(name, digest) {
                State::Locked => writeln!(f, "{name}: {digest}")?,
                State::Unlocked => writeln!(f, "{name}: {digest} (new)")?,
                State::Differs(old) => writeln!(f, "{name}: {digest} (it was {old})")?,
            }
        }
        self.removed().try_for_each(|name| writeln!(f, "{name}: removed"))?;
        writeln!(f, "written to {}", self.path.display())
    }
}

/// The file that is read first.
fn target(registry: &Registry) -> Result<PathBuf, Error> {
    let first = registry.settings().lock.files.first();
    let path = first.ok_or_else(|| Error::Usage {
        fact: "there is no place for a lock file".into(),
        hint: "name one with --plugin-lock-file FILE".into(),
    })?;
    // A link is a way to keep it elsewhere, and stays one.
    Ok(fs::canonicalize(path).unwrap_or_else(|_| path.clone()))
}

/// As a whole or not at all, also in a power cut.
fn store(path: &Path, lock: &Lock) -> Result<(), Error> {
    let failed = |source| Error::LocalIo { action: "write", path: path.to_owned(), source };
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    directory.map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    Place::of(path).and_then(|place| place.replace(lock.to_toml().as_bytes(), true)).map_err(failed)
}
