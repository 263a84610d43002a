//! The files in which the stores' own tools keep credentials: which is read when, and what is told of one that cannot be
//! used.
//!
//! Like `~/.netrc` they are read whoever else may read them: to complain of that is the affair of those who write them.
//! Whose they are counts: what another user has put there says where this one's requests go, and as whom.

mod ini;

use std::{
    fmt::Display,
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use plugin_sdk::Error;
use serde_json::Value;

pub(super) use self::ini::Ini;
use super::told::{self, Keys, Told};

/// No tool writes as many bytes.
const LARGEST: u64 = 1 << 20;

/// What there is to do about a file that its owner can mend.
pub(super) const MEND: &str = "mend it, or use options or variables instead";

/// The file of one tool. Each of these opens it: what nobody wants to know of a file is no reason to refuse it.
pub(super) struct Tool {
    pub(super) keys: fn(&Told) -> Result<Option<Keys>, Error>,
    /// Where the store is, be it by an endpoint or by a region.
    pub(super) endpoint: fn(&Told) -> Result<Option<String>, Error>,
}

/// The key by options or by a group of variables; else, unless one of the variables `lent` says that somebody lends
/// credentials, the first that a tool keeps.
///
/// # Errors
///
/// * [`Error::InvalidRequest`]: there is a key without its secret among the options
/// * [`Error::Unauthenticated`]: a file cannot be used
pub(super) fn keys(told: &Told, groups: &[[&str; 3]], lent: &[&str], tools: &[Tool]) -> Result<Option<Keys>, Error> {
    match told.keys(groups)? {
        None if told.variable(lent).is_none() => first(tools.iter().map(|tool| (tool.keys)(told))),
        keys => Ok(keys),
    }
}

/// The endpoint that is `known` by options and variables; else the first that a tool keeps.
///
/// # Errors
///
/// * [`Error::Unauthenticated`]: a file cannot be used
pub(super) fn endpoint(told: &Told, known: Option<&str>, tools: &[Tool]) -> Result<Option<String>, Error> {
    match known {
        Some(known) => Ok(Some(known.to_owned())),
        None => first(tools.iter().map(|tool| (tool.endpoint)(told))),
    }
}

fn first<T>(found: impl Iterator<Item = Result<Option<T>, Error>>) -> Result<Option<T>, Error> {
    found.map(Result::transpose).find_map(|found| found).transpose()
}

/// A file that is there, and may be believed.
pub(super) struct File {
    path: PathBuf,
    text: String,
}

impl File {
    /// The file that `variable` names; else the one of this name in the user's home, if there is one.
    ///
    /// # Errors
    ///
    /// * [`Error::Unauthenticated`]: it cannot be used, or the one that is named is not there
    pub(super) fn named(told: &Told, variable: &str, name: &str) -> Result<Option<Self>, Error> {
        let Some(path) = told.variable(&[variable]).map(Path::new) else { return Self::at_home(told, name) };
        let file = Self::read(path)?;
        let missing = || unusable(path, "it is not there", format!("mend {variable}, which names it"));
        file.map(Some).ok_or_else(missing)
    }

    /// The file of this name in the user's home, if there is one.
    ///
    /// # Errors
    ///
    /// * [`Error::Unauthenticated`]: it cannot be used
    pub(super) fn at_home(told: &Told, name: &str) -> Result<Option<Self>, Error> {
        told.variable(&["HOME"]).map_or(Ok(None), |home| Self::read(&Path::new(home).join(name)))
    }

    /// This file, if it is there. Where one may not even look, there is none.
    ///
    /// # Errors
    ///
    /// * [`Error::Unauthenticated`]: it cannot be used
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let Ok(metadata) = fs::metadata(path) else { return Ok(None) };
        if !metadata.is_file() {
            return Err(unusable(path, "it is no file", MEND));
        }
        let (owner, text) = content(path).map_err(|error| unusable(path, error, MEND))?;
        let me = rustix::process::geteuid().as_raw();
        if owner != me && owner != 0 {
            let fact = format!("it belongs to user {owner}, and you are {me}");
            return Err(unusable(path, fact, "make it your own, or use options or variables instead"));
        }
        // An editor may have marked it as UTF-8, which is not part of the first name.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        Ok(Some(Self { path: path.to_owned(), text }))
    }

    /// What it says as INI.
    ///
    /// # Errors
    ///
    /// * [`Error::Unauthenticated`]: it is none
    pub(super) fn ini(&self) -> Result<Ini<'_>, Error> {
        let fact = |line| format!("line {line} is neither [SECTION] nor NAME = VALUE");
        Ini::parse(&self.text).map_err(|line| self.unusable(fact(line), MEND))
    }

    /// What it says as JSON.
    ///
    /// # Errors
    ///
    /// * [`Error::Unauthenticated`]: it is none
    pub(super) fn json(&self) -> Result<Value, Error> {
        let fact = |error: serde_json::Error| format!("line {} is no JSON", error.line());
        serde_json::from_str(&self.text).map_err(|error| self.unusable(fact(error), MEND))
    }

    /// A key of this file, each part of it by the name that it has there. Nothing is `None`, half of it an error.
    ///
    /// # Errors
    ///
    /// * [`Error::Unauthenticated`]: there is a key without its secret
    pub(super) fn keys(
        &self,
        id: (&str, Option<&str>),
        secret: (&str, Option<&str>),
        token: Option<&str>,
    ) -> Result<Option<Keys>, Error> {
        crate::escape::hide(secret.1.into_iter().chain(token));
        let half = |there: &str, missing: &str| Err(self.unusable(format!("{there} is there without {missing}"), MEND));
        match (id.1, secret.1) {
            (None, None) => Ok(None),
            (Some(_), None) => half(id.0, secret.0),
            (None, Some(_)) => half(secret.0, id.0),
            (Some(id), Some(secret)) => {
                Ok(Some(Keys { id: id.into(), secret: secret.into(), token: token.map(Into::into) }))
            }
        }
    }

    /// Where it says that the store is.
    ///
    /// # Errors
    ///
    /// * [`Error::Unauthenticated`]: that is no address of a server
    pub(super) fn address(&self, endpoint: String) -> Result<String, Error> {
        match told::endpoint(&endpoint) {
            Ok(_) => Ok(endpoint),
            Err(_) => Err(self.unusable("where it says that the store is, is no address", MEND)),
        }
    }

    /// Why it cannot be used, which must show nothing of what is in it, and what there is to do.
    pub(super) fn unusable(&self, fact: impl Display, step: &str) -> Error {
        unusable(&self.path, fact, step)
    }

    /// Says that its key is left alone, as it is of a kind of which dfget knows nothing.
    pub(super) fn leaves(&self, mode: &str) {
        tracing::warn!("the key in {} is left alone: dfget does not know its mode {mode}", self.path.display());
    }
}

fn unusable(path: &Path, fact: impl Display, step: impl Display) -> Error {
    Error::Unauthenticated(format!("the credential file {} cannot be used: {fact}; {step}", path.display()))
}

/// Whose file it is, and what is in it.
fn content(path: &Path) -> io::Result<(u32, String)> {
    let file = fs::File::open(path)?;
    let (owner, mut text) = (file.metadata()?.uid(), String::new());
    match file.take(LARGEST + 1).read_to_string(&mut text) {
        Ok(read) if read as u64 > LARGEST => Err(io::Error::other(format!("it has more than {LARGEST} bytes"))),
        Ok(_) => Ok((owner, text)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(io::Error::other("it is no text")),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_that_an_editor_puts_before_a_text_is_no_part_of_its_first_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "\u{feff}ak=me\r\nsk=secret\r\n").unwrap();
        let file = File::read(file.path()).unwrap().unwrap();
        assert_eq!(file.ini().unwrap().value("", "ak"), Some("me"));
    }
}
