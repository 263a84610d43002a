//! `DFGET_REATTACH_PLUGINS`: which plugins run already, and where. It is the JSON of go-plugin's `ReattachConfig`, by
//! scheme; what go-plugin ignores of it is ignored here, too.

use std::{collections::BTreeMap, fmt};

pub use plugin_proto::environment::REATTACH as VARIABLE;
use plugin_proto::{APP_VERSIONS, handshake::Address};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

use super::discover::is_name;
use crate::escape::printable;

/// A plugin that runs already, started by somebody else: dfget neither starts nor ends it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Config")]
pub struct Attachment {
    /// The application protocol version that it speaks.
    pub(super) app_version: u32,
    /// Its number, as far as it is known: told, and never signalled.
    pub pid: Option<u32>,
    pub(super) address: Address,
}

impl Attachment {
    /// Where it listens, printable.
    #[must_use]
    pub fn place(&self) -> String {
        printable(&match &self.address {
            Address::Unix(path) => format!("unix:{path}"),
            Address::Tcp(address) => format!("tcp:{address}"),
        })
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid} at {}", self.place()),
            None => write!(f, "a process at {}", self.place()),
        }
    }
}

/// What the variable says, by scheme.
///
/// # Errors
///
/// What makes no sense, with its line and column.
pub fn parse(text: &str) -> Result<BTreeMap<String, Attachment>, String> {
    let parsed = serde_json::from_str(text).map(|All(attachments)| attachments);
    parsed.map_err(|error| printable(&error.to_string()))
}

struct All(BTreeMap<String, Attachment>);

impl<'de> Deserialize<'de> for All {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ByScheme)
    }
}

/// Each once, as no map of serde's has it.
struct ByScheme;

impl<'de> Visitor<'de> for ByScheme {
    type Value = All;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a plugin a scheme")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut entries: M) -> Result<All, M::Error> {
        let mut all = BTreeMap::new();
        while let Some(Scheme(scheme)) = entries.next_key()? {
            if all.contains_key(&scheme) {
                return Err(M::Error::custom(format!("`{scheme}` is there twice")));
            }
            all.insert(scheme, entries.next_value()?);
        }
        Ok(All(all))
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Scheme(String);

impl TryFrom<String> for Scheme {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // Schemes are compared in lower case, as URLs have them.
        let scheme = text.to_ascii_lowercase();
        if is_name(&scheme) { Ok(Self(scheme)) } else { Err(format!("`{text}` is no scheme")) }
    }
}

/// As go-plugin has it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(rename = "Protocol")]
    _protocol: Protocol,
    #[serde(default = "current_version")]
    protocol_version: u32,
    #[serde(default)]
    pid: u32,
    addr: Addr,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    Grpc,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Addr {
    network: Network,
    string: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Network {
    Unix,
    Tcp,
}

fn current_version() -> u32 {
    APP_VERSIONS[0]
}

impl From<Config> for Attachment {
    fn from(Config { protocol_version, pid, addr: Addr { network, string }, .. }: Config) -> Self {
        let address = match network {
            Network::Unix => Address::Unix(string),
            Network::Tcp => Address::Tcp(string),
        };
        Self { app_version: protocol_version, pid: (pid != 0).then_some(pid), address }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX: &str =
        r#"{"Protocol":"grpc","ProtocolVersion":1,"Pid":4711,"Test":true,"Addr":{"Network":"unix","String":"/tmp/x"}}"#;

    #[test]
    fn what_go_plugin_writes_is_read() {
        let tcp = r#"{ "Protocol": "grpc", "Addr": { "Network": "tcp", "String": "127.0.0.1:1" } }"#;
        let all = parse(&format!(r#"{{"share":{UNIX}, "Go+1":{tcp}}}"#)).unwrap();
        let told: Vec<String> = all.iter().map(|(scheme, attached)| format!("{scheme}: {attached}")).collect();
        assert_eq!(told, ["go+1: a process at tcp:127.0.0.1:1", "share: process 4711 at unix:/tmp/x"]);
        assert!(all.values().all(|attached| attached.app_version == 1));
        assert!(parse("{}").unwrap().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_position() {
        for (text, told) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{share:{}}", "key must be a string at line 1 column 2"),
            ("[]", "invalid type: sequence, expected an object with a plugin a scheme at line 1 column 0"),
            (r#"{"a_b":{}}"#, "`a_b` is no scheme at line 1 column 6"),
            (r#"{"share":{}}"#, "missing field `Protocol` at line 1 column 11"),
            (
                "{\"share\":\n{\"Protocol\":\"netrpc\"}}",
                "unknown variant `netrpc`, expected `grpc` at line 2 column 20",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), told, "{text}");
        }
        let twice = format!(r#"{{"a":{UNIX},"A":{UNIX}}}"#);
        assert!(parse(&twice).unwrap_err().starts_with("`a` is there twice at line 1 column "));
        let pipe = UNIX.replace("unix", "pipe");
        let told = parse(&format!(r#"{{"a":{pipe}}}"#)).unwrap_err();
        assert!(told.starts_with("unknown variant `pipe`, expected `unix` or `tcp` at line 1 column "), "{told}");
    }
}
