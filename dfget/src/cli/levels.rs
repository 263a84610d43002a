//! `--log-level`: one level for all, and others for single plugins: `info,share=debug`.

use std::{collections::BTreeMap, str::FromStr};

use tracing::level_filters::LevelFilter;

use crate::{escape::printable, plugin::discover::is_name};

/// What one or several values say. Of what is said twice the last one holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Levels {
    /// Of dfget itself, and of all plugins that are not named.
    pub(super) all: Option<LevelFilter>,
    /// Of single plugins, by scheme.
    pub(super) by_scheme: BTreeMap<String, LevelFilter>,
}

impl Levels {
    pub(super) fn of(values: &[Self]) -> Self {
        values.iter().fold(Self::default(), |mut levels, value| {
            levels.all = value.all.or(levels.all);
            levels.by_scheme.extend(value.by_scheme.clone());
            levels
        })
    }
}

impl FromStr for Levels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut levels = Self::default();
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                None => levels.all = Some(level(part)?),
                Some((name, word)) => _ = levels.by_scheme.insert(scheme(name)?, level(word)?),
            }
        }
        Ok(levels)
    }
}

fn level(word: &str) -> Result<LevelFilter, String> {
    let known = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic());
    let level = known.then(|| word.parse().ok()).flatten();
    level.ok_or_else(|| format!("`{}` is none of off, error, warn, info, debug and trace", printable(word)))
}

fn scheme(name: &str) -> Result<String, String> {
    // Schemes are compared in lower case, as URLs have them.
    let scheme = name.to_ascii_lowercase();
    if is_name(&scheme) {
        Ok(scheme)
    } else {
        Err(format!("`{}` is no name of a plugin, as in NAME=LEVEL", printable(name)))
    }
}

/// What is left of a value where the one level for all is said nearer; `None` if there was no such level in it.
pub(super) fn without_that_for_all(text: &str) -> Option<String> {
    let (named, all): (Vec<&str>, Vec<&str>) = text.split(',').partition(|part| part.contains('='));
    (!all.is_empty()).then(|| named.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_for_all_or_for_a_plugin() {
        let levels: Levels = "info, Share=DEBUG,go+1=off".parse().unwrap();
        assert_eq!(levels.all, Some(LevelFilter::INFO));
        let shown: Vec<String> = levels.by_scheme.iter().map(|(name, level)| format!("{name} {level}")).collect();
        assert_eq!(shown, ["go+1 off", "share debug"]);
        let later = Levels::of(&[levels, "share=warn".parse().unwrap(), "error".parse().unwrap()]);
        assert_eq!((later.all, later.by_scheme["share"]), (Some(LevelFilter::ERROR), LevelFilter::WARN));
    }

    #[test]
    fn what_is_neither_is_told() {
        for (text, told) in [
            ("verbose", "`verbose` is none of off, error, warn, info, debug and trace"),
            ("share", "`share` is none of off, error, warn, info, debug and trace"),
            ("", "`` is none of off, error, warn, info, debug and trace"),
            ("info,", "`` is none of off, error, warn, info, debug and trace"),
            ("5", "`5` is none of off, error, warn, info, debug and trace"),
            ("share=", "`` is none of off, error, warn, info, debug and trace"),
            ("a_b=debug", "`a_b` is no name of a plugin, as in NAME=LEVEL"),
            ("=debug", "`` is no name of a plugin, as in NAME=LEVEL"),
        ] {
            assert_eq!(text.parse::<Levels>().unwrap_err(), told, "{text}");
        }
    }

    #[test]
    fn the_levels_of_single_plugins_stay() {
        assert_eq!(without_that_for_all("info,a=debug,warn,b=off").as_deref(), Some("a=debug,b=off"));
        assert_eq!(without_that_for_all("info").as_deref(), Some(""));
        assert_eq!(without_that_for_all("a=debug"), None);
    }
}
