//! The ways in which a plugin does not become ready.

use std::{fmt, net::SocketAddr, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use indicatif::BinaryBytes;
pub(super) use plugin_proto::environment::REATTACH;
use plugin_proto::{handshake::HandshakeError, limits};

use super::signal_name;

/// What to do about one that does not.
pub(super) const START_AGAIN: &str = "start it again with --debug, and set the variable to the line that it prints";

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this status.
    Status(i32),
    /// By a signal.
    Signal(i32),
    /// Nobody knows how: somebody else has started it.
    Gone,
    /// In one of these ways, and not well, with its memory limited to so many bytes.
    Limited(ExitStatus, u64),
}

impl Ending {
    /// How a process with this limit ended: where it did not end well, that may be why.
    pub(crate) fn of(status: ExitStatus, memory: Option<u64>) -> Self {
        match memory {
            Some(memory) if !status.success() => Self::Limited(status, memory),
            _ => status.into(),
        }
    }
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Status(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Gone => f.write_str("is gone"),
            Self::Signal(signal) => write!(f, "was killed by {}", signal_name(*signal)),
            Self::Limited(status, memory) => {
                write!(f, "{}, and its memory is limited to {},", Self::from(*status), BinaryBytes(*memory))
            }
        }
    }
}

/// What a plugin did instead of becoming ready.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFault {
    /// It ended before it wrote a handshake line.
    Ended(Ending),
    /// It ended after that, before it answered its first calls.
    EndedUnanswered(Ending),
    /// It wrote no whole handshake line in time; with what it wrote so far.
    Silent(Duration, String),
    /// It closed its stdout without a handshake line, and lives.
    ClosedStdout,
    /// It wrote more than a host skips, and no handshake line; with how that began.
    Babbled(String),
    /// A line longer than a handshake line may be, or one that is no text; with how it began.
    BadLine(String),
    /// A handshake line with a wrong field; with the line.
    BadField(HandshakeError, String),
    /// It speaks another version of the protocol.
    UnknownVersion(u32),
    /// It listens where this host does not connect; with the address and the reason.
    BadAddress(String, String),
    /// It speaks TLS, which this host did not ask for.
    UnaskedCertificate,
    /// It speaks no TLS, which this host asked for.
    NoCertificate,
    /// The certificate in its handshake line is none, or not its own; with the reason.
    BadCertificate(String),
    /// It listens on TCP, for which it must be asked for TLS.
    WantsTls(SocketAddr),
    /// It listens, and does not answer; with the reason.
    Unreachable(String),
    /// It was to run already, and there is nobody; with where, and the reason.
    NotThere(String, String),
    /// It did not answer its first calls in time.
    Unanswered(Duration),
    /// It reports that it cannot serve.
    NotServing(String),
    /// One of the attributes it must have is missing or wrong: its key, what it is and what is expected.
    BadAttribute(&'static str, Option<String>, String),
}

impl fmt::Display for StartFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |limit: &Duration| humantime::format_duration(*limit).to_string();
        match self {
            Self::Ended(ending) => write!(f, "{ending} before its handshake"),
            Self::EndedUnanswered(ending) => write!(f, "{ending} before it answered its first call"),
            Self::Silent(limit, text) if text.is_empty() => write!(f, "wrote no handshake in {}", seconds(limit)),
            Self::Silent(limit, text) => {
                write!(f, "wrote no whole handshake line in {}, only `{text}`", seconds(limit))
            }
            Self::ClosedStdout => f.write_str("closed stdout without a handshake"),
            Self::Babbled(text) => write!(
                f,
                "wrote more than {} lines or {} KiB to stdout and no handshake; they begin with `{text}`",
                limits::BANNER_LINES,
                limits::BANNER_BYTES / 1024
            ),
            Self::BadLine(text) => write!(
                f,
                "wrote a line to stdout that is no text of at most {} KiB; it begins with `{text}`",
                limits::HANDSHAKE_LINE / 1024
            ),
            Self::BadField(error, line) => write!(f, "wrote a wrong handshake: {error} (the line: `{line}`)"),
            Self::UnknownVersion(version) => {
                let ours = plugin_proto::APP_VERSIONS.map(|version| version.to_string()).join(", ");
                write!(f, "speaks protocol version {version}, where this dfget speaks {ours}")
            }
            Self::BadAddress(address, reason) => write!(f, "listens on `{address}`, which is refused: {reason}"),
            Self::UnaskedCertificate => f.write_str("answered a certificate that nobody asked for"),
            Self::NoCertificate => f.write_str("answered no certificate, where TLS was asked for"),
            Self::BadCertificate(reason) => write!(f, "answered a wrong certificate: {reason}"),
            Self::WantsTls(address) => write!(f, "listens on {address}, and was not asked for TLS"),
            Self::Unreachable(reason) => write!(f, "cannot be reached after its handshake: {reason}"),
            Self::NotThere(place, reason) => {
                write!(f, "does not answer as {place}, where {REATTACH} has it: {reason}")
            }
            Self::Unanswered(limit) => write!(f, "did not answer within {} of its start", seconds(limit)),
            Self::NotServing(status) => write!(f, "reports that it is {status}"),
            Self::BadAttribute(key, Some(value), expected) => {
                write!(f, "has the attribute {key}=`{value}`, where `{expected}` is expected")
            }
            Self::BadAttribute(key, None, expected) => {
                write!(f, "has no attribute {key}, where `{expected}` is expected")
            }
        }
    }
}

impl StartFault {
    /// The next step; may be empty.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::NotThere(..) => START_AGAIN.into(),
            Self::Silent(..) | Self::Unanswered(..) => "--plugin-start-timeout waits longer".into(),
            Self::BadAttribute("type", ..) => "this is a plugin of another kind".into(),
            Self::BadAttribute(..) => {
                "a plugin serves the scheme that its file name, or --plugin, says: was it renamed?".into()
            }
            Self::UnknownVersion(version) if *version > plugin_proto::APP_VERSIONS[0] => "update dfget".into(),
            Self::UnknownVersion(_) => "update the plugin".into(),
            Self::NoCertificate => {
                "a plugin must obey PLUGIN_CLIENT_CERT; one on a Unix socket needs no --plugin-mtls".into()
            }
            _ => "-vv shows the plugin's own log".into(),
        }
    }
}
