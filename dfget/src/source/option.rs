//! What an in-tree source can be told with `--opt`, or in its section of the configuration.

use plugin_sdk::{Error, Options};

use super::InTree;

/// One option of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownOption {
    /// What stands before the `=`.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub summary: &'static str,
}

/// Refuses what the source does not know: a mistyped option would else be one that does nothing.
pub(super) fn check(source: &InTree, options: &Options) -> Result<(), Error> {
    let known = |name: &str| source.known_options().any(|option| option.name == name);
    let Some(name) = options.keys().find(|name| !known(name)) else { return Ok(()) };
    let scheme = source.scheme;
    let there_are: Vec<&str> = source.known_options().map(|option| option.name).collect();
    let there_are = if there_are.is_empty() { "none".to_owned() } else { there_are.join(", ") };
    Err(Error::InvalidRequest(format!("there is no option `{name}`: {scheme} has {there_are}")))
}
