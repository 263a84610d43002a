//! A plugin that its author starts by hand, under a debugger: it serves whoever connects, and says how that is done.

use std::{
    collections::BTreeMap,
    env, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
    time::{SystemTime, UNIX_EPOCH},
};

use plugin_proto::environment as names;
use serde_json::{Value, json};

use super::environment::Socket;
use crate::Attributes;

/// What asks for it. Hosts give no arguments.
const ARGUMENT: &str = "--debug";

/// What a person reads who gives it.
pub(super) const INSTRUCTION: &str = "\
This plugin runs for debugging, until Ctrl-C. dfget uses it where this variable is set:
";

/// Whether the author wants it.
pub(super) fn is_wanted() -> bool {
    env::args_os().skip(1).any(|argument| argument == ARGUMENT)
}

/// A directory that only this user can enter. It goes when this is dropped.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn create() -> io::Result<Self> {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
        let path = env::temp_dir().join(format!("d7y-debug-{}-{nanos}", process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left in it is not ours, and so it stays.
        let _ = fs::remove_dir(&self.0);
    }
}

/// The variable for dfget, as a shell takes it: go-plugin's `ReattachConfig`, for each scheme.
pub(super) fn line(attributes: &Attributes, app_version: u32, socket: &Socket) -> String {
    let config = json!({
        "Protocol": "grpc",
        "ProtocolVersion": app_version,
        "Pid": process::id(),
        "Test": true,
        "Addr": { "Network": "unix", "String": socket.path.display().to_string() },
    });
    let all: BTreeMap<&str, &Value> = attributes.schemes().map(|scheme| (scheme, &config)).collect();
    format!("{}='{}'", names::REATTACH, json!(all).to_string().replace('\'', r"'\''"))
}
