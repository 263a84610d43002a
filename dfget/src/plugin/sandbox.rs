//! What a plugin may do to the machine: decided and prepared here by the host, and set up by the child itself just before
//! it becomes the plugin, by Landlock for files and signals and by seccomp for the network.
//!
//! Refused by neither: to connect to sockets of other programs that have a path, to use up processors and disk, and to
//! read what the user may read unless the sandbox is [`Strict`](Sandbox::Strict).

mod files;
mod network;
mod reach;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Once,
};

pub(super) use self::reach::Reach;

/// How far plugins are confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sandbox {
    /// They may do what the user may do.
    Off,
    /// They may read everything, and write to their own directory alone; nor can they signal, trace or look into
    /// processes that are not theirs.
    #[default]
    Default,
    /// They may also read but the system's directories and their own, and have no network.
    Strict,
}

impl FromStr for Sandbox {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "default" => Ok(Self::Default),
            "strict" => Ok(Self::Strict),
            _ => Err("it is not `off`, `default` or `strict`".into()),
        }
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Default => "default",
            Self::Strict => "strict",
        })
    }
}

/// What the user allows the plugin of one source, or forbids it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether it is one although it is in-tree, instead of that for all in-tree sources.
    pub isolate: Option<bool>,
    /// Instead of that for all plugins.
    pub sandbox: Option<Sandbox>,
    /// What it may write to, beside its own directory; with all that is beneath.
    pub writable: Vec<PathBuf>,
    /// What it may read, where it may not read everything; with all that is beneath.
    pub readable: Vec<PathBuf>,
    /// Whether it has the network; it has, unless its sandbox is strict.
    pub network: Option<bool>,
    /// Bytes of memory that it may have.
    pub memory: Option<u64>,
    /// Files that it may have open.
    pub open_files: Option<u64>,
}

/// What is to be set up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Confinement {
    /// `None` lets it reach what the user reaches.
    pub(super) reach: Option<Reach>,
    pub(super) has_network: bool,
}

impl Confinement {
    /// For the plugin at `plugin`, whose own directory is `directory`.
    pub(super) fn new(sandbox: Sandbox, rules: &Rules, plugin: &Path, directory: &Path) -> Self {
        let reach = match sandbox {
            Sandbox::Off => None,
            Sandbox::Default => Some(Reach::reading_all(rules, directory)),
            Sandbox::Strict => Some(Reach::reading_little(rules, plugin, directory)),
        };
        Self { reach, has_network: rules.network.unwrap_or(sandbox != Sandbox::Strict) }
    }

    /// All of it that does not yet confine anybody.
    pub(super) fn prepare(&self) -> io::Result<Cage> {
        let files = self.reach.as_ref().map(files::ruleset).transpose()?;
        let network = if self.has_network { None } else { Some(network::filter()?) };
        Ok(Cage { files, network })
    }

    /// As it is told to the user: what was asked for, and what this kernel makes of it.
    pub(super) fn describe(&self, sandbox: Sandbox) -> String {
        let files = match (&self.reach, files::shortcoming()) {
            (None, _) => Sandbox::Off.to_string(),
            (Some(_), Some(lack)) => lack.in_words(sandbox),
            (Some(_), None) => sandbox.to_string(),
        };
        if self.has_network { files } else { format!("{files}, no network") }
    }

    /// Says once, to who wants to know more, what this kernel does not do of it.
    pub(super) fn tell_shortcoming(&self, sandbox: Sandbox) {
        static ONCE: Once = Once::new();
        if let (Some(_), Some(lack)) = (&self.reach, files::shortcoming()) {
            ONCE.call_once(|| tracing::info!("the sandbox of plugins is {}", lack.in_words(sandbox)));
        }
    }
}

/// A confinement that is ready to be entered.
pub(super) struct Cage {
    files: Option<files::Rules>,
    network: Option<network::Filter>,
}

impl Cage {
    /// Confines this process, and whatever it becomes and starts. Nothing undoes it.
    pub(super) fn enter(&self) -> io::Result<()> {
        self.files.as_ref().map_or(Ok(()), files::confine)?;
        self.network.as_ref().map_or(Ok(()), network::deny)
    }
}
