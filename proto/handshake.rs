//! The handshake line: `CORE|APP|NETWORK|ADDRESS|PROTOCOL|CERTIFICATE[|MULTIPLEX]`, as go-plugin has it.
//!
//! This module parses and prints it. Whether the address may be connected to is the host's decision.

use std::{fmt, str::FromStr};

/// The only core protocol version of go-plugin.
pub const CORE_VERSION: u32 = 1;

/// A well-formed handshake line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// The application protocol version the plugin chose.
    pub app_version: u32,
    /// Where the plugin listens.
    pub address: Address,
    /// The leaf certificate in base64 without padding, where the plugin speaks TLS.
    pub certificate: Option<String>,
    /// Field 7, printed only to hosts that asked for it.
    pub multiplex: Option<bool>,
}

/// Fields 3 and 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket's path.
    Unix(String),
    /// `host:port`.
    Tcp(String),
}

/// Which field of a handshake line is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// A line of too few or too many fields.
    #[error("the line has {0} fields separated by `|`, where 5 to 7 are expected")]
    FieldCount(usize),
    /// A field 1 other than `1`.
    #[error("field 1, the core protocol version, is `{0}`, where this host speaks {CORE_VERSION}")]
    CoreVersion(String),
    /// A field 2 that is no number.
    #[error("field 2, the application protocol version, is `{0}`, which is no version number")]
    AppVersion(String),
    /// A field 3 other than `unix` and `tcp`.
    #[error("field 3, the network, is `{0}`, where `unix` is expected")]
    Network(String),
    /// An empty field 4, or one with spaces or control characters.
    #[error("field 4, the address, is `{0}`, which is no address")]
    Address(String),
    /// A field 5 other than `grpc`.
    #[error("field 5, the protocol, is `{0}`, where this host speaks `grpc` only")]
    Protocol(String),
    /// A field 7 other than `true` and `false`.
    #[error("field 7, multiplexing, is `{0}`, where `true` or `false` is expected")]
    Multiplex(String),
}

impl Handshake {
    /// Whether a line on stdout means to be a handshake line, and not a banner: it begins with `<digits>|`.
    #[must_use]
    pub fn is_meant_by(line: &str) -> bool {
        line.trim()
            .split_once('|')
            .is_some_and(|(core, _)| !core.is_empty() && core.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

impl FromStr for Handshake {
    type Err = HandshakeError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let fields: Vec<&str> = line.trim().split('|').collect();
        // Before go-plugin had gRPC its lines ended after the address: four fields mean `netrpc`.
        if fields.len() == 4 {
            return Err(HandshakeError::Protocol("netrpc".into()));
        }
        if !(5..=7).contains(&fields.len()) {
            return Err(HandshakeError::FieldCount(fields.len()));
        }
        if fields[0] != CORE_VERSION.to_string() {
            return Err(HandshakeError::CoreVersion(fields[0].into()));
        }
        let app_version = version(fields[1]).ok_or_else(|| HandshakeError::AppVersion(fields[1].into()))?;
        let address = address(fields[2], fields[3])?;
        if fields[4] != "grpc" {
            return Err(HandshakeError::Protocol(fields[4].into()));
        }
        Ok(Self {
            app_version,
            address,
            certificate: fields.get(5).filter(|field| !field.is_empty()).map(ToString::to_string),
            multiplex: fields.get(6).map(|field| multiplex(field)).transpose()?,
        })
    }
}

/// A field of digits alone: `u32::from_str` would take `+1` as well.
fn version(field: &str) -> Option<u32> {
    field.bytes().all(|byte| byte.is_ascii_digit()).then(|| field.parse().ok()).flatten()
}

fn address(network: &str, address: &str) -> Result<Address, HandshakeError> {
    if address.is_empty() || address.contains(|c: char| c.is_control() || c == ' ') {
        return Err(HandshakeError::Address(address.into()));
    }
    match network {
        "unix" => Ok(Address::Unix(address.into())),
        "tcp" => Ok(Address::Tcp(address.into())),
        other => Err(HandshakeError::Network(other.into())),
    }
}

fn multiplex(field: &str) -> Result<bool, HandshakeError> {
    field.parse().map_err(|_| HandshakeError::Multiplex(field.into()))
}

impl fmt::Display for Handshake {
    /// The line without its newline. Field 6 is always there, mostly empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (network, address) = match &self.address {
            Address::Unix(path) => ("unix", path),
            Address::Tcp(address) => ("tcp", address),
        };
        let certificate = self.certificate.as_deref().unwrap_or_default();
        write!(f, "{CORE_VERSION}|{}|{network}|{address}|grpc|{certificate}", self.app_version)?;
        match self.multiplex {
            Some(multiplex) => write!(f, "|{multiplex}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(path: &str) -> Handshake {
        Handshake { app_version: 1, address: Address::Unix(path.into()), certificate: None, multiplex: None }
    }

    #[test]
    fn a_line_survives_parsing_and_printing() {
        for line in ["1|1|unix|/run/p/plugin7|grpc|", "1|12|tcp|127.0.0.1:9|grpc|TUlJ|false"] {
            assert_eq!(line.parse::<Handshake>().expect(line).to_string(), line);
        }
    }

    #[test]
    fn the_certificate_field_may_be_missing_and_the_line_padded() {
        assert_eq!(" 1|1|unix|/a|grpc\r\n".parse(), Ok(unix("/a")));
    }

    #[test]
    fn every_wrong_field_is_named() {
        let cases = [
            ("1|1|unix", HandshakeError::FieldCount(3)),
            ("1|1|unix|/a|grpc||false|8", HandshakeError::FieldCount(8)),
            ("1|1|unix|/a", HandshakeError::Protocol("netrpc".into())),
            ("1|1|unix|/a|netrpc|", HandshakeError::Protocol("netrpc".into())),
            ("2|1|unix|/a|grpc|", HandshakeError::CoreVersion("2".into())),
            ("1|4294967296|unix|/a|grpc|", HandshakeError::AppVersion("4294967296".into())),
            ("1|+1|unix|/a|grpc|", HandshakeError::AppVersion("+1".into())),
            ("1||unix|/a|grpc|", HandshakeError::AppVersion(String::new())),
            ("1|1|npipe|/a|grpc|", HandshakeError::Network("npipe".into())),
            ("1|1|unix||grpc|", HandshakeError::Address(String::new())),
            ("1|1|unix|/a b|grpc|", HandshakeError::Address("/a b".into())),
            ("1|1|unix|/a|grpc||yes", HandshakeError::Multiplex("yes".into())),
        ];
        for (line, error) in cases {
            assert_eq!(line.parse::<Handshake>(), Err(error), "{line}");
        }
    }

    #[test]
    fn a_banner_is_told_from_a_handshake() {
        assert!(Handshake::is_meant_by("1|1|unix"));
        assert!(Handshake::is_meant_by("  99|x"));
        assert!(!Handshake::is_meant_by("loading config | done"));
        assert!(!Handshake::is_meant_by("|1|unix"));
        assert!(!Handshake::is_meant_by("1.5 MiB cached"));
    }
}
