//! The keys of `[source.NAME]` that are dfget's own: what the plugin for NAME may do. No source is told of them.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use super::{Given, document::Form};
use crate::{
    cli::{usage, values},
    error::Error,
    plugin::Rules,
};

/// With less, none would even start.
const LEAST_MEMORY: u64 = 16 << 20;
const LEAST_FILES: u64 = 16;

/// Each with the type that its value is to have.
const KEYS: [(&str, Form); 7] = [
    ("isolate", Form::Switch),
    ("sandbox", Form::One),
    ("writable", Form::Many),
    ("readable", Form::Many),
    ("network", Form::Switch),
    ("memory", Form::One),
    ("open-files", Form::One),
];

/// By so many letters another key may differ from one of these, and is taken for a mistake, not for an option.
const SLIPS: usize = 1;

/// The type of the value, if the key is one of these.
pub(super) fn form(key: &str) -> Option<Form> {
    KEYS.iter().find(|(own, _)| *own == key).map(|(_, form)| *form)
}

/// The key that was meant by one that is none: `open_files`.
pub(super) fn meant(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase().replace('_', "-");
    KEYS.iter().map(|(own, _)| *own).find(|own| strsim::levenshtein(&key, own) <= SLIPS)
}

/// What they say of one source.
pub(super) fn read(given: &BTreeMap<String, Given>) -> Result<Rules, Error> {
    Ok(Rules {
        isolate: one(given, "isolate", |text| Ok(text == "true"))?,
        sandbox: one(given, "sandbox", str::parse)?,
        writable: paths(given, "writable")?,
        readable: paths(given, "readable")?,
        network: one(given, "network", |text| Ok(text == "true"))?,
        memory: one(given, "memory", |text| at_least(values::size(text)?, LEAST_MEMORY, "16M"))?,
        open_files: one(given, "open-files", |text| {
            at_least(text.parse().map_err(|_| "it is no number".to_owned())?, LEAST_FILES, "16")
        })?,
    })
}

fn at_least(value: u64, least: u64, shown: &str) -> Result<u64, String> {
    if value < least { Err(format!("it is less than {shown}, with which no plugin starts")) } else { Ok(value) }
}

fn one<T>(
    given: &BTreeMap<String, Given>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Error> {
    given.get(key).map(|given| parse(&given.text()).map_err(|why| refuse(given, key, &why))).transpose()
}

fn paths(given: &BTreeMap<String, Given>, key: &str) -> Result<Vec<PathBuf>, Error> {
    let Some(given) = given.get(key) else { return Ok(Vec::new()) };
    let home = env::var_os("HOME").map(PathBuf::from);
    let path = |text: &str| absolute(text, home.as_deref()).map_err(|why| refuse(given, key, &why));
    given.values.iter().map(|value| path(&value.to_string_lossy())).collect()
}

/// `~/` is the home of the user, as nobody but a shell knows it.
fn absolute(text: &str, home: Option<&Path>) -> Result<PathBuf, String> {
    let path = match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => text.into(),
    };
    if path.is_absolute() { Ok(path) } else { Err("a path begins with `/` or `~/`".into()) }
}

fn refuse(given: &Given, key: &str, why: &str) -> Error {
    usage(format!("{}: {why}", given.origin.subject(key)), "docs/CONFIG.md has the forms of what a plugin may do")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_or_beneath_home() {
        let home = Some(Path::new("/home/me"));
        assert_eq!(absolute("/a", None), Ok("/a".into()));
        assert_eq!(absolute("~/a", home), Ok("/home/me/a".into()));
        for (text, home) in [("a", home), ("~/a", None), ("", home), ("~a", home)] {
            assert!(absolute(text, home).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_is_nearly_a_key_is_taken_for_one() {
        for (key, known) in [("open_files", "open-files"), ("Memory", "memory"), ("writeable", "writable")] {
            assert_eq!(meant(key), Some(known), "{key}");
        }
        for key in ["root", "memory-limit", "net", "read-only", "region", "sand"] {
            assert_eq!(meant(key), None, "{key}");
        }
    }
}
