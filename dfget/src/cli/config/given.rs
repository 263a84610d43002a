//! What is set, and where: by that a value wins or yields, and an error names what its user can mend.

use std::{ffi::OsString, fmt, path::PathBuf};

use crate::{
    cli::{usage, values},
    error::Error,
};

/// Where a value came from, the nearest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Origin {
    CommandLine,
    Variable(String),
    File { path: PathBuf, line: usize },
    BuiltIn,
}

/// What a variable or the file says of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) values: Vec<OsString>,
    pub(super) origin: Origin,
}

impl Given {
    /// Values of a form that clap leaves to others, as it would show them; and paths of plugins, which may be relative
    /// only where the user names them here and now.
    pub(super) fn new(key: &str, values: Vec<OsString>, origin: Origin) -> Result<Self, Error> {
        let form: fn(&str) -> Result<(), String> = match key {
            "header" => |text| at_file(text).unwrap_or_else(|| values::header(text).map(drop)),
            "opt" => |text| at_file(text).unwrap_or_else(|| values::pair(text).map(drop)),
            "user" | "oauth2-bearer" => |text| at_file(text).unwrap_or(Ok(())),
            "cacert" | "cert" | "key" | "netrc-file" => |text| values::absolute(text).map(drop),
            "plugin" => {
                |text| values::pinned(text).and_then(|(_, path)| values::absolute(&path.to_string_lossy())).map(drop)
            }
            "plugin-dir" | "plugin-lock-file" | "trust-plugin-dir" => |text| values::absolute(text).map(drop),
            _ => |_| Ok(()),
        };
        let refused = values.iter().find_map(|value| form(&value.to_string_lossy()).err());
        refused.map_or(Ok(()), |why| Err(origin.refuse(key, &why)))?;
        Ok(Self { values, origin })
    }

    pub(super) fn text(&self) -> String {
        self.values.iter().map(|value| value.to_string_lossy()).collect()
    }
}

/// Whether what is meant by `@FILE` is a path that says nothing of a current directory.
fn at_file(text: &str) -> Option<Result<(), String>> {
    text.strip_prefix('@').map(|path| values::absolute(path).map(drop))
}

impl Origin {
    /// The rank of what the configuration file says.
    pub(in crate::cli) const FILE: u8 = 2;

    pub(in crate::cli) fn rank(&self) -> u8 {
        match self {
            Self::CommandLine => 0,
            Self::Variable(_) => 1,
            Self::File { .. } => Self::FILE,
            Self::BuiltIn => 3,
        }
    }

    /// By which an error calls what is to be mended.
    pub(in crate::cli) fn subject(&self, key: &str) -> String {
        match self {
            Self::File { path, line } => format!("{}:{line}: `{key}`", path.display()),
            Self::CommandLine => format!("--{key}"),
            origin => origin.to_string(),
        }
    }

    pub(super) fn refuse(&self, key: &str, why: &str) -> Error {
        let fact = format!("{}: {why}", self.subject(key));
        usage(fact, &format!("`dfget --help` shows the form of --{key}"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Variable(name) => f.write_str(name),
            Self::File { path, .. } => path.display().fmt(f),
            Self::BuiltIn => f.write_str("default"),
        }
    }
}
