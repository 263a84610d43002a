//! What can go wrong, as the user can do something about it: one variant a kind, one exit code a class.
//!
//! `Display` is one fragment that names the plugin, path or URL and the fact. [`Error::details`] adds what was looked
//! at, [`Error::hint`] the next step; `main` prints the three, once. A leaf: it knows no other room.

mod source;
mod start;

use std::{fmt, io, path::PathBuf, time::Duration};

pub use self::start::{Ending, StartFault};
use self::start::{REATTACH, START_AGAIN};

/// Why dfget did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line, or something named on it, makes no sense.
    #[error("{fact}")]
    Usage {
        /// What makes no sense, and why.
        fact: String,
        /// What would.
        hint: String,
    },
    /// No source, in-tree or out-of-tree, serves a scheme.
    #[error("no source serves `{scheme}`")]
    NoSource {
        /// The scheme that was asked for.
        scheme: String,
        /// The file that was looked for.
        file_name: String,
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
    /// A plugin that may not be what its user believes it to be.
    #[error("plugin {} is refused: {fact}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Who else could have written it; or what it is and what it should be.
        fact: String,
        /// What to do about it.
        hint: String,
    },
    /// A file that should be a plugin cannot be executed.
    #[error("plugin {} cannot be executed: {fact}", path.display())]
    Unexecutable {
        /// The file.
        path: PathBuf,
        /// Why it cannot.
        fact: String,
        /// What to do about it.
        hint: String,
    },
    /// A plugin was executed and did not become ready.
    #[error("plugin {plugin} {fault}")]
    Start {
        /// Its file name.
        plugin: String,
        /// What it did instead.
        fault: StartFault,
        /// What it wrote to stderr last.
        last_words: Vec<String>,
    },
    /// A running plugin ended by itself.
    #[error("plugin {plugin} {ending}{}", circumstances(doing, *restarts))]
    Crashed {
        /// Its file name.
        plugin: String,
        /// How it ended.
        ending: Ending,
        /// What it was asked for; may be empty.
        doing: String,
        /// How often it had been started anew before.
        restarts: u32,
        /// Whether it is not started again.
        lost: bool,
        /// What it wrote to stderr last.
        last_words: Vec<String>,
    },
    /// The stream of a download ended well, and without its `End`.
    #[error("plugin {plugin} broke the protocol: the body of {doing} ended after {received} bytes without End")]
    Truncated {
        /// Its file name.
        plugin: String,
        /// What it was asked for.
        doing: String,
        /// Bytes that came in this stream.
        received: u64,
    },
    /// A running plugin does not keep to the protocol.
    #[error("plugin {plugin} broke the protocol: {fact}")]
    Protocol {
        /// Its file name.
        plugin: String,
        /// What it did.
        fact: String,
    },
    /// The conformance suite found rules that a plugin does not keep; each was told.
    #[error("plugin {plugin} does not keep to PROTOCOL.md: {rules}")]
    Nonconforming {
        /// Its file name.
        plugin: String,
        /// Their ids.
        rules: String,
    },
    /// Nothing came for too long.
    #[error("{who} stalled: {fact}")]
    Stalled {
        /// The plugin or the URL.
        who: String,
        /// For how long, and how much had come.
        fact: String,
    },
    /// A plugin answers nothing at all any more.
    #[error("plugin {plugin} hangs: it answered nothing, not even a health check, in {}", humantime::format_duration(*limit))]
    Hung {
        /// Its file name.
        plugin: String,
        /// For so long.
        limit: Duration,
    },
    /// The source answered that it cannot.
    #[error("{subject}: {fact}")]
    Source {
        /// Which kind of answer.
        class: SourceClass,
        /// The resource, secrets removed, or the plugin.
        subject: String,
        /// The source's own words, printable.
        fact: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The bytes are not those that were announced.
    #[error("{url} is damaged: {fact}")]
    Integrity {
        /// The resource, secrets removed.
        url: String,
        /// Got and expected.
        fact: String,
    },
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    LocalIo {
        /// What was tried: `create`, `write`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What it answered.
        source: io::Error,
    },
    /// There is no room for the whole output.
    #[error("there is no room for {}: {space}", path.display())]
    DiskFull {
        /// The `.part` file.
        path: PathBuf,
        /// How much.
        space: SpaceNeeded,
        /// What the file system answered.
        source: io::Error,
    },
    /// There is something else under the name of the output.
    #[error("{} exists", path.display())]
    OutputExists {
        /// The output.
        path: PathBuf,
    },
    /// Another dfget writes the same output.
    #[error("{} is being written by another dfget", path.display())]
    OutputLocked {
        /// Its `.part` file.
        path: PathBuf,
    },
    /// A name that a source gave, or what has that name here, could lead where nothing is to be written.
    #[error("{path} is refused: {fact}")]
    PathRefused {
        /// Printable.
        path: String,
        /// Why.
        fact: &'static str,
    },
    /// There is more than is allowed.
    #[error("{fact}")]
    LimitReached {
        /// Of what, and how much is allowed.
        fact: String,
    },
    /// Some of many downloads, or of what a listing has, failed; each was told when it did.
    #[error("{failed} of {total} failed")]
    SomeFailed {
        /// How many.
        failed: u64,
        /// Of how many.
        total: u64,
    },
    /// The total time ran out.
    #[error("{url} was not complete after {}", humantime::format_duration(*limit))]
    TimedOut {
        /// The resource, secrets removed.
        url: String,
        /// `--timeout`.
        limit: Duration,
    },
    /// Something happened that cannot happen.
    #[error("a bug in dfget: {fact}")]
    Bug {
        /// What the panic said.
        fact: String,
    },
    /// A signal asked dfget to end; `main` ends by it.
    #[error("interrupted by {}", signal_name(*signal))]
    Interrupted {
        /// Its number.
        signal: i32,
    },
}

/// What a source's refusal means for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceClass {
    /// There is no such resource.
    NotFound,
    /// Credentials are missing, wrong, or not enough.
    Auth,
    /// The storage cannot be reached or is overloaded.
    Unavailable,
    /// The resource changed while it was read.
    Changed,
    /// The storage delivered something broken.
    DataLoss,
    /// It failed by itself.
    Internal,
    /// It cannot do that, or makes no sense of it.
    Invalid,
}

/// Bytes that an output needs and that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceNeeded {
    /// For the whole.
    pub needed: u64,
    /// On its file system.
    pub free: u64,
}

impl fmt::Display for SpaceNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it needs {} bytes, and {} are free", self.needed, self.free)
    }
}

/// The name of a signal, such as `SIGTERM`.
pub(crate) fn signal_name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned)
}

impl Error {
    /// Why a [path is refused](Self::PathRefused) from which it would be started later.
    pub const PLACE_OF_PLUGINS: &str = "plugins are looked for there, and a download must not plant one";

    /// The exit status of its class, as README.md lists them.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Bug { .. } => 1,
            Self::Usage { .. } => 2,
            Self::NoSource { .. } => 10,
            Self::Refused { .. } => 11,
            Self::Unexecutable { .. } => 12,
            Self::Start { .. } => 13,
            Self::Crashed { .. } => 14,
            Self::Protocol { .. } | Self::Truncated { .. } | Self::Nonconforming { .. } => 15,
            Self::Stalled { .. } | Self::Hung { .. } => 16,
            Self::Source { class, .. } => match class {
                SourceClass::NotFound => 20,
                SourceClass::Auth => 21,
                SourceClass::Unavailable => 22,
                SourceClass::Changed => 23,
                SourceClass::Internal | SourceClass::Invalid => 24,
                SourceClass::DataLoss => 30,
            },
            Self::Integrity { .. } => 30,
            Self::DiskFull { .. } => 41,
            Self::LocalIo { source, .. } if disk_is_full(source) => 41,
            Self::LocalIo { .. } => 40,
            Self::OutputExists { .. } => 42,
            Self::OutputLocked { .. } => 43,
            Self::PathRefused { .. } => 44,
            Self::TimedOut { .. } | Self::LimitReached { .. } => 45,
            Self::SomeFailed { .. } => 50,
            // Only for a caller that does not re-raise it.
            Self::Interrupted { signal } => 128_u8.saturating_add(u8::try_from(*signal).unwrap_or_default()),
        }
    }

    /// What happened, and why, and why that.
    #[must_use]
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        text
    }

    /// What was looked at, a line each.
    #[must_use]
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::NoSource { file_name, searched, .. } => vec![format!("looked for {file_name} in {}", join(searched))],
            Self::Start { last_words, .. } | Self::Crashed { last_words, .. } => quote(last_words),
            _ => Vec::new(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Bug { .. } => "report it, with the lines above".into(),
            Self::Usage { hint, .. } | Self::Refused { hint, .. } | Self::Unexecutable { hint, .. } => hint.clone(),
            Self::NoSource { scheme, .. } => format!(
                "put the plugin there, or name it with --plugin {scheme}=PATH; `dfget plugin` lists what is installed"
            ),
            Self::Start { fault, .. } => fault.hint(),
            Self::Crashed { ending: Ending::Gone, .. } => {
                format!("dfget does not start what {REATTACH} names: {START_AGAIN}")
            }
            Self::Crashed { .. } => "run it again with -v to see the plugin's own log".into(),
            Self::Protocol { plugin, .. } | Self::Truncated { plugin, .. } => {
                format!("this is a fault of {plugin}: report it to its author")
            }
            Self::Nonconforming { .. } => "PROTOCOL.md has each rule beside the sentence that it is of".into(),
            Self::Hung { .. } => "--plugin-hang-timeout waits longer".into(),
            Self::Stalled { .. } => "--stall-timeout waits longer".into(),
            Self::Source { class: SourceClass::Auth, .. } => {
                "credentials go by --opt key=value or -H 'Name: value', as the source has it".into()
            }
            Self::Source { class: SourceClass::Unavailable, .. } => "try again later".into(),
            Self::Source { class: SourceClass::Changed, .. } => "download it again from the beginning".into(),
            Self::DiskFull { .. } => "free some space, or name an output elsewhere with -O".into(),
            Self::LocalIo { source, .. } if disk_is_full(source) => "free some space and run it again to go on".into(),
            Self::OutputExists { .. } => "--overwrite replaces it, -O names another output".into(),
            Self::OutputLocked { .. } => "wait for it to end, or name another output with -O".into(),
            Self::TimedOut { .. } => "--timeout gives it more time".into(),
            Self::Source { class: SourceClass::NotFound, .. } => "check the URL".into(),
            Self::Source { class: SourceClass::DataLoss, .. } | Self::Integrity { .. } => {
                "run it again; if it stays so, what its storage holds is damaged".into()
            }
            Self::LocalIo { source, action: "create", .. } if source.kind() == io::ErrorKind::NotFound => {
                "create its directory".into()
            }
            Self::LocalIo { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "look at its rights and those of its directory".into()
            }
            Self::LocalIo { source, .. } if source.raw_os_error() == Some(libc::EMFILE) => {
                "`ulimit -n` says how many files may be open, and raises it".into()
            }
            Self::Interrupted { .. } => "run the same command again to go on".into(),
            Self::SomeFailed { .. } => "run the same command again: what is complete is not fetched again".into(),
            Self::Source { .. } | Self::LocalIo { .. } | Self::PathRefused { .. } | Self::LimitReached { .. } => {
                return None;
            }
        };
        (!hint.is_empty()).then_some(hint)
    }
}

fn circumstances(doing: &str, restarts: u32) -> String {
    let serving = if doing.is_empty() { String::new() } else { format!(" while it served {doing}") };
    match restarts {
        0 => serving,
        1 => format!("{serving}, after it was restarted once"),
        times => format!("{serving}, after it was restarted {times} times"),
    }
}

fn disk_is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn join(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    if shown.is_empty() { "no directory at all".into() } else { shown.join(", ") }
}

fn quote(last_words: &[String]) -> Vec<String> {
    match last_words {
        [] => Vec::new(),
        [one] => vec![format!("its last words: {one}")],
        many => {
            std::iter::once("its last words:".to_owned()).chain(many.iter().map(|line| format!("  {line}"))).collect()
        }
    }
}

/// All of an error as the user reads it: what `main` prints.
pub struct Explained<'a>(pub &'a Error);

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dfget: {}", self.0.with_causes())?;
        for line in self.0.details() {
            write!(f, "\n  {line}")?;
        }
        if let Some(hint) = self.0.hint() {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scheme_explains_itself() {
        let error = Error::NoSource {
            scheme: "s4".into(),
            file_name: "d7y-resource-plugin-s4".into(),
            searched: vec!["/a".into(), "/usr/local/dragonfly/plugins".into()],
        };
        let text = "\
dfget: no source serves `s4`
  looked for d7y-resource-plugin-s4 in /a, /usr/local/dragonfly/plugins
  hint: put the plugin there, or name it with --plugin s4=PATH; `dfget plugin` lists what is installed";
        assert_eq!(Explained(&error).to_string(), text);
        assert_eq!(error.exit_code(), 10);
    }

    #[test]
    fn last_words_are_quoted() {
        let error = Error::Start {
            plugin: "d7y-resource-plugin-d7yfs".into(),
            fault: StartFault::Ended(Ending::Status(3)),
            last_words: vec!["no credentials".into()],
        };
        let text = "\
dfget: plugin d7y-resource-plugin-d7yfs exited with status 3 before its handshake
  its last words: no credentials";
        assert!(Explained(&error).to_string().starts_with(text));
    }
}
