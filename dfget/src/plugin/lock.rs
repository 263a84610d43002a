//! The lock file: which sha256 each plugin is to have.
//!
//! `dfget plugin lock` writes it; each start of a plugin reads it anew. Where there is none nothing is hashed.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
};

use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};

use super::{Settings, discover::Candidate, program::Program};
use crate::{error::Error, escape::printable};

/// The table with a digest a plugin in it.
const TABLE: &str = "sha256";

/// What it begins with.
const HEADER: &str = "# Which sha256 each plugin is to have. `dfget plugin lock` writes this file.\n";

const NEXT: &str = "`dfget plugin lock` takes down what is installed";

/// What is done about a plugin that is not the one of the lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nobody looks.
    #[default]
    Off,
    /// It is told, and the plugin is started.
    Warn,
    /// It is refused; so is one that no lock file has.
    Enforce,
}

/// Where the lock file is, and what it is for.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// What is done.
    pub mode: Mode,
    /// The first that is there counts.
    pub files: Vec<PathBuf>,
    /// Whether the user named the only one: then it is to be there.
    pub is_named: bool,
}

/// A lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// In lower case, by scheme.
    pub digests: BTreeMap<String, String>,
}

/// What a lock file says of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// This is the one.
    Locked,
    /// Nothing.
    Unlocked,
    /// Another digest, this one.
    Differs(String),
}

impl Rule {
    /// The lock file that counts, if there is one.
    ///
    /// # Errors
    ///
    /// * what is wrong with it, and its path
    pub fn find(&self) -> Result<Option<(PathBuf, Lock)>, String> {
        for path in &self.files {
            let wrong = |fact: String| format!("the lock file {} {fact}", path.display());
            let text = match fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    continue;
                }
                Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
            };
            let lock = Lock::parse(&text).map_err(|fact| wrong(format!("is damaged: {fact}")))?;
            return Ok(Some((path.clone(), lock)));
        }
        Ok(None)
    }
}

impl Lock {
    /// # Errors
    ///
    /// * what is wrong, and in which line
    pub fn parse(text: &str) -> Result<Self, String> {
        let line = |offset: usize| text.get(..offset).unwrap_or(text).matches('\n').count() + 1;
        let at = |offset: usize, fact: &str| format!("line {}: {fact}", line(offset));
        let table = DeTable::parse(text).map_err(|error| {
            at(error.span().map_or(0, |span| span.start), &format!("it is no TOML: {}", printable(error.message())))
        })?;
        let mut lock = None;
        for (key, value) in table.get_ref() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                (TABLE, DeValue::Table(digests)) => lock = Some(digests),
                (other, _) => {
                    let fact = format!("there is `{}`, and nothing but [{TABLE}] is expected", printable(other));
                    return Err(at(key.span().start, &fact));
                }
            }
        }
        let digest = |name: &str, value: &DeValue<'_>| match value.as_str() {
            Some(digest) if is_sha256(digest) => Ok((name.to_owned(), digest.to_ascii_lowercase())),
            _ => Err(format!("what `{}` has is no sha256", printable(name))),
        };
        let digests = lock
            .ok_or_else(|| format!("there is no [{TABLE}]"))?
            .iter()
            .map(|(name, value)| digest(name.get_ref(), value.get_ref()).map_err(|fact| at(value.span().start, &fact)));
        Ok(Self { digests: digests.collect::<Result<_, _>>()? })
    }

    /// As [`parse`](Self::parse) reads it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        self.digests.iter().fold(format!("{HEADER}[{TABLE}]\n"), |mut text, (name, digest)| {
            // Names of schemes have nothing in them that would end a string.
            writeln!(text, "\"{name}\" = \"{digest}\"").expect("a String takes everything");
            text
        })
    }

    /// What it says of the plugin for the scheme `name`.
    #[must_use]
    pub fn state_of(&self, name: &str, sha256: &str) -> State {
        match self.digests.get(name) {
            None => State::Unlocked,
            Some(expected) if expected == sha256 => State::Locked,
            Some(expected) => State::Differs(expected.clone()),
        }
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Checks a plugin that is about to be started.
///
/// # Errors
///
/// * [`Error::Refused`]: it is not the one of the lock file, and is to be
pub(super) async fn check(name: &str, program: &Program, rule: &Rule) -> Result<(), Error> {
    let fault = match rule.mode {
        Mode::Off => None,
        _ => fault(name, program, rule).await,
    };
    let Some((fact, hint)) = fault else { return Ok(()) };
    if rule.mode == Mode::Enforce {
        return Err(Error::Refused { path: program.path.clone(), fact, hint: hint.into() });
    }
    tracing::warn!("plugin {}: {fact}; {hint}", program.path.display());
    Ok(())
}

/// A fact and the next step.
async fn fault(name: &str, program: &Program, rule: &Rule) -> Option<(String, &'static str)> {
    let (path, lock) = match rule.find() {
        Ok(Some(found)) => found,
        Ok(None) if rule.mode == Mode::Enforce || rule.is_named => {
            let looked: Vec<String> = rule.files.iter().map(|path| path.display().to_string()).collect();
            return Some((format!("there is no lock file at {}", looked.join(" or ")), NEXT));
        }
        Ok(None) => return None,
        Err(fact) => return Some((fact, "mend it, or `dfget plugin lock` writes it anew")),
    };
    let Some(expected) = lock.digests.get(name) else {
        return Some((format!("it is not in the lock file {}", path.display()), NEXT));
    };
    match digest(program).await {
        Ok(actual) if actual == *expected => None,
        Ok(actual) => {
            let fact = format!("its sha256 is {actual}, and the lock file {} has {expected}", path.display());
            Some((fact, "if you have updated it, `dfget plugin lock` takes that down; else install it again"))
        }
        Err(error) => Some((format!("its sha256 cannot be told: {error}"), "a plugin that is locked must be readable")),
    }
}

/// Elsewhere than among the downloads, which would wait for it.
async fn digest(program: &Program) -> io::Result<String> {
    let file = program.content()?;
    tokio::task::spawn_blocking(move || sha256(&file)).await.map_err(io::Error::other)?
}

/// Not by the position of the descriptor, which others have, too.
fn sha256(file: &File) -> io::Result<String> {
    let (mut hasher, mut buffer, mut offset) = (Sha256::new(), vec![0; 64 * 1024], 0);
    while let read @ 1.. = file.read_at(&mut buffer, offset)? {
        hasher.update(&buffer[..read]);
        offset += read as u64;
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    }))
}

/// The digest of a plugin that could be started; it is not.
///
/// # Errors
///
/// * [`Error::Refused`]: somebody else could have written it
/// * [`Error::Unexecutable`]: it is no program
/// * [`Error::LocalIo`]: it cannot be read
pub fn fingerprint(candidate: &Candidate, settings: &Settings) -> Result<String, Error> {
    let program = Program::open(&candidate.path, &settings.trusted)?;
    let failed = |source| Error::LocalIo { action: "read", path: candidate.path.clone(), source };
    program.content().and_then(|file| sha256(&file)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let digests = ["a", "b+c.d-1", "8x"].map(|name| (name.to_owned(), "0f".repeat(32)));
        let lock = Lock { digests: digests.into() };
        assert_eq!(Lock::parse(&lock.to_toml()), Ok(lock));
        assert_eq!(Lock::parse(&Lock::default().to_toml()), Ok(Lock::default()));
    }

    #[test]
    fn a_damaged_lock_says_where() {
        let damaged = |text: &str| Lock::parse(text).unwrap_err();
        assert_eq!(damaged(""), "there is no [sha256]");
        assert_eq!(damaged("[sha256]\na = \"0f\""), "line 2: what `a` has is no sha256");
        assert_eq!(damaged("[sha256]\na = 1"), "line 2: what `a` has is no sha256");
        assert_eq!(damaged("[sha512]"), "line 1: there is `sha512`, and nothing but [sha256] is expected");
        assert_eq!(damaged("sha256 = 1"), "line 1: there is `sha256`, and nothing but [sha256] is expected");
        assert!(damaged("[sha256]\n\na = \"").starts_with("line 3: it is no TOML: "));
    }

    #[test]
    fn a_digest_may_be_in_capitals() {
        let lock = Lock::parse(&format!("[sha256]\na = \"{}\"", "0F".repeat(32))).unwrap();
        assert_eq!(lock.state_of("a", &"0f".repeat(32)), State::Locked);
        assert_eq!(lock.state_of("a", &"00".repeat(32)), State::Differs("0f".repeat(32)));
        assert_eq!(lock.state_of("b", &"0f".repeat(32)), State::Unlocked);
    }
}
