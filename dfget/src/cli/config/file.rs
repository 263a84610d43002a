//! The configuration file: which one it is.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::Surroundings;
use crate::{cli::usage, error::Error};

/// The file that counts, and its text; `None` if there is none.
pub(super) fn find(words: &[OsString], surroundings: &Surroundings) -> Result<Option<(PathBuf, String)>, Error> {
    let named = named_in(words).or_else(|| surroundings.variables.get("CONFIG").map(OsString::as_os_str));
    if let Some(name) = named {
        let path = PathBuf::from(name);
        return if name.is_empty() { Ok(None) } else { read(&path).map(|text| Some((path, text))) };
    }
    for path in &surroundings.files {
        match fs::read_to_string(path) {
            Ok(text) => return Ok(Some((path.clone(), text))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
    Ok(None)
}

/// What `--config` says. clap has not seen the words yet: what is in the file are its defaults.
fn named_in(words: &[OsString]) -> Option<&OsStr> {
    let mut words = words.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == "--config" {
            return words.next().map(OsString::as_os_str);
        }
        if let Some(name) = word.as_bytes().strip_prefix(b"--config=") {
            return Some(OsStr::from_bytes(name));
        }
    }
    None
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let fact = format!("cannot read the configuration {}: {error}", path.display());
    usage(fact, "name another one with --config FILE, or none with --config ''")
}
