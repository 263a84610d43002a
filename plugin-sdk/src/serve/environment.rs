//! What the host said through the environment, and the socket made from it.

use std::{
    collections::HashSet,
    env, fs,
    io::{self, ErrorKind},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process,
    time::{SystemTime, UNIX_EPOCH},
};

use plugin_proto::{APP_VERSIONS, environment as names, limits};
use rustix::fs::{Gid, Mode};

use super::by_hand::Directory;
use crate::tls::Peer;

/// What a person reads who runs a plugin by hand: the text that users of go-plugin know, and what it does not have.
pub(super) const RUN_BY_HAND: &str = "\
This binary is a plugin. These are not meant to be executed directly.
Please execute the program that consumes these plugins, which will
load any plugins automatically

With --debug it serves all the same, and says how dfget connects to it.
";

/// Whether the cookie is there.
pub(super) fn started_by_host() -> bool {
    env::var(names::COOKIE_NAME).is_ok_and(|value| value == names::COOKIE_VALUE)
}

/// The variables of PROTOCOL.md, parsed.
pub(super) struct Environment {
    /// Whether the author has started it, for debugging, and not a host.
    pub(super) by_hand: bool,
    pub(super) app_version: u32,
    pub(super) answer_multiplex: bool,
    /// Whether stdin is the host's life line.
    pub(super) life_line: bool,
    /// The certificate of a host that asks for AutoMTLS.
    pub(super) host: Option<Peer>,
    socket_dir: PathBuf,
    socket_group: Option<String>,
    /// The same as `socket_dir`, where nobody has named one.
    _private: Option<Directory>,
}

impl Environment {
    pub(super) fn read() -> io::Result<Self> {
        Ok(Self {
            by_hand: false,
            app_version: choose_version(&set(names::PROTOCOL_VERSIONS).unwrap_or_default()),
            answer_multiplex: set(names::MULTIPLEX_GRPC).is_some(),
            life_line: set(names::LIFE_LINE).is_some_and(|value| value == names::LIFE_LINE_STDIN),
            socket_dir: set(names::SOCKET_DIR).map_or_else(env::temp_dir, PathBuf::from),
            socket_group: set(names::SOCKET_GROUP),
            host: set(names::CLIENT_CERT).map(|pem| host_certificate(&pem)).transpose()?,
            _private: None,
        })
    }

    /// Of a plugin that no host has started: what one would have said counts for nothing, but where the socket is to be.
    pub(super) fn by_hand() -> io::Result<Self> {
        let named = set(names::SOCKET_DIR).map(PathBuf::from);
        let private = if named.is_none() { Some(Directory::create()?) } else { None };
        let socket_dir = named.or_else(|| Some(private.as_ref()?.path().to_owned()));
        Ok(Self {
            by_hand: true,
            app_version: APP_VERSIONS[0],
            answer_multiplex: false,
            life_line: false,
            host: None,
            socket_dir: socket_dir.unwrap_or_else(env::temp_dir),
            socket_group: None,
            _private: private,
        })
    }
}

impl Environment {
    /// Where data sockets may be: not where others could be, and not beside TLS.
    pub(super) fn data_sockets(&self) -> Option<&Path> {
        let private = !self.by_hand && self.host.is_none() && set(names::SOCKET_DIR).is_some();
        private.then_some(self.socket_dir.as_path())
    }
}

fn host_certificate(pem: &str) -> io::Result<Peer> {
    Peer::from_pem(pem).map_err(|error| {
        let text = format!("{} is no certificate in PEM: {error}", names::CLIENT_CERT);
        io::Error::new(ErrorKind::InvalidInput, text)
    })
}

fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The highest version both ends speak, or our lowest: then the host says what it makes of that.
fn choose_version(offered: &str) -> u32 {
    let offered: HashSet<u32> = offered.split(',').filter_map(|version| version.trim().parse().ok()).collect();
    APP_VERSIONS.into_iter().filter(|version| offered.contains(version)).max().unwrap_or(APP_VERSIONS[0])
}

/// A Unix socket that listens, and whose file goes when it is dropped.
pub(super) struct Socket {
    pub(super) path: PathBuf,
    pub(super) listener: UnixListener,
}

impl Socket {
    pub(super) fn bind(environment: &Environment) -> io::Result<Self> {
        let path = unused_path(&environment.socket_dir)?;
        let listener = UnixListener::bind(&path).map_err(|error| named(&error, "listen on", &path))?;
        let socket = Self { path, listener };
        if let Some(group) = &environment.socket_group {
            let gid = group_id(group).ok_or_else(|| io::Error::other(format!("there is no group `{group}`")))?;
            rustix::fs::chown(&socket.path, None, Some(gid))?;
            rustix::fs::chmod(&socket.path, Mode::from_raw_mode(0o660))?;
        }
        socket.listener.set_nonblocking(true)?;
        Ok(socket)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The host may have removed it before: nothing to be done about a failure.
        let _ = fs::remove_file(&self.path);
    }
}

/// `plugin<digits>`, as go-plugin names them. The digits only keep plugins in a shared directory apart.
fn unused_path(directory: &Path) -> io::Result<PathBuf> {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    let path = directory.join(format!("plugin{}{nanos}", process::id()));
    if path.as_os_str().len() > limits::SOCKET_PATH {
        let text = format!("the path is longer than the {} bytes that a socket's may have", limits::SOCKET_PATH);
        return Err(named(&io::Error::new(ErrorKind::InvalidInput, text), "listen on", &path));
    }
    Ok(path)
}

fn named(error: &io::Error, action: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {action} {}: {error}", path.display()))
}

/// By number, or by name in `/etc/group`: directory services are the host's business, which may send the number.
fn group_id(group: &str) -> Option<Gid> {
    let number = group.parse().ok().or_else(|| {
        let groups = fs::read_to_string("/etc/group").ok()?;
        let line = groups.lines().find(|line| line.split(':').next() == Some(group))?;
        line.split(':').nth(2)?.parse().ok()
    })?;
    Some(Gid::from_raw(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_is_chosen_or_the_lowest_of_ours() {
        for offered in ["1", "3,1,2", "", "2", " 1 ,x"] {
            assert_eq!(choose_version(offered), 1, "{offered}");
        }
    }
}
