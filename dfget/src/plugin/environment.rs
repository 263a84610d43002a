//! What a plugin inherits of dfget's environment: an allow list, so that no token of the user's reaches it by accident.
//! An in-tree source, which is dfget's own code and looks for tokens there, inherits all but dfget's own settings.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::Path,
};

use plugin_proto::{APP_VERSIONS, environment as names};
use plugin_sdk::tls::Identity;

use super::discover::{Candidate, Presence};

/// Ports of a plugin that cannot do Unix sockets: those of go-plugin's hosts.
const PORTS: [(&str, &str); 2] = [(names::MIN_PORT, "10000"), (names::MAX_PORT, "25000")];

/// Whose names begin so is for dfget, or for a plugin by its host, which is somebody else here.
const NOT_INHERITED: [&str; 3] = ["DFGET_", "PLUGIN_", "DRAGONFLY_PLUGIN_"];

/// All of a plugin's environment. `named` are the variables the user adds with `--plugin-env`; `identity` asks for
/// AutoMTLS.
pub(super) fn of_plugin(
    candidate: &Candidate,
    socket_dir: &Path,
    named: &[String],
    identity: Option<&Identity>,
) -> Vec<(OsString, OsString)> {
    let is_named = |name: &OsStr| named.iter().any(|wanted| name == OsStr::new(wanted));
    let wanted = |name: &OsStr| is_named(name) || is_inherited(name, &candidate.presence);
    let versions = APP_VERSIONS.map(|version| version.to_string()).join(",");
    let own: [(&str, &OsStr); 5] = [
        (names::COOKIE_NAME, names::COOKIE_VALUE.as_ref()),
        (names::PROTOCOL_VERSIONS, versions.as_ref()),
        (names::SOCKET_DIR, socket_dir.as_os_str()),
        // What it leaves there goes with the directory.
        (names::SCRATCH_DIR, socket_dir.as_os_str()),
        (names::LIFE_LINE, names::LIFE_LINE_STDIN.as_ref()),
    ];
    let is_own = |name: &OsStr| own.iter().any(|(own, _)| name == OsStr::new(own));
    let inherited = env::vars_os().filter(|(name, _)| wanted(name) && !is_own(name));
    let tls = identity.into_iter().flat_map(|identity| {
        let ports = PORTS.map(|(name, value)| (name.into(), value.into()));
        ports.into_iter().chain([(names::CLIENT_CERT.into(), identity.pem().into())])
    });
    inherited.chain(own.map(|(name, value)| (name.into(), value.into()))).chain(tls).collect()
}

fn is_inherited(name: &OsStr, presence: &Presence) -> bool {
    match presence {
        Presence::InTree => !NOT_INHERITED.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())),
        _ => name.to_str().is_some_and(names::is_inherited),
    }
}
