//! From the address in a handshake line to a connection: what may be connected to, and to whom.

use std::{
    fs, io,
    net::SocketAddr,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::Mutex,
};

use hyper_util::rt::TokioIo;
use plugin_proto::{
    APP_VERSIONS,
    handshake::{Address, Handshake},
    limits,
};
use plugin_sdk::tls::{Identity, NAME, Peer, is_another_peer};
use tokio::{
    net::{TcpStream, UnixStream},
    sync::watch,
};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use super::{
    assembly::Carrier,
    connection::{Connection, Told},
    data_socket::DataSocket,
    reattach::Attachment,
};
use crate::error::{Ending, StartFault};

/// HTTP/2 windows and frames. A body goes through at twice the speed it has with the defaults of 64 KiB and 16 KiB.
const STREAM_WINDOW: u32 = 8 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
const FRAME: u32 = 1024 * 1024;

/// Connects to where `handshake` says, if only this user can be there: the owner of a socket beneath `socket_dir`, or
/// whoever has the key of the certificate that was asked for.
pub(super) async fn connect(
    handshake: &Handshake,
    socket_dir: &Path,
    identity: Option<&Identity>,
) -> Result<(Channel, Line), StartFault> {
    check_version(handshake.app_version)?;
    let tls = match (identity, handshake.certificate.as_deref()) {
        (None, None) => None,
        (None, Some(_)) => return Err(StartFault::UnaskedCertificate),
        (Some(_), None) => return Err(StartFault::NoCertificate),
        (Some(identity), Some(field)) => Some(connector(identity, field)?),
    };
    match &handshake.address {
        Address::Unix(path) => {
            let stream = unix(&allowed_socket(path, socket_dir)?).await?;
            let line = Line::of(&stream)?;
            let channel = match tls {
                Some(tls) => secured(&tls, stream).await?,
                None => channel(stream).await?,
            };
            Ok((channel, line))
        }
        Address::Tcp(address) => {
            let address = loopback(address)?;
            let tls = tls.ok_or(StartFault::WantsTls(address))?;
            let stream = tcp(address).await?;
            let line = Line::of(&stream)?;
            Ok((secured(&tls, stream).await?, line))
        }
    }
}

/// Connects to the socket in `directory` that a plugin has named for the bytes of a download.
pub(super) async fn data_socket(directory: &Path, carrier: &Carrier) -> Result<DataSocket, StartFault> {
    let (Carrier::Socket(name) | Carrier::Memory(name)) = carrier;
    let path = directory.join(name);
    let stream = unix(&allowed_socket(&path.to_string_lossy(), directory)?).await?;
    match carrier {
        Carrier::Socket(_) => Ok(DataSocket::of_bytes(stream)),
        Carrier::Memory(_) => DataSocket::of_memory(stream).await.map_err(|error| unreachable(&error)),
    }
}

/// What a connection goes over.
pub(super) struct Line(OwnedFd);

impl Line {
    fn of(stream: &impl AsFd) -> Result<Self, StartFault> {
        stream.as_fd().try_clone_to_owned().map(Self).map_err(|error| unreachable(&error))
    }

    /// Ends the connection, whatever is still open on it.
    pub(super) fn cut(&self) {
        // It fails only where the other end has done so.
        let _ = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Both);
    }
}

/// A connection to a plugin that runs already, and how it is known that it ended.
pub(super) struct Attached {
    pub(super) channel: Channel,
    pub(super) ended: watch::Receiver<Option<Ending>>,
}

/// Connects to a plugin that runs already. Of a Unix socket, the same user must own it and listen there; who listens on
/// TCP is not known, but it is this machine.
pub(super) async fn attach(attachment: &Attachment) -> Result<Attached, StartFault> {
    check_version(attachment.app_version)?;
    match &attachment.address {
        Address::Unix(path) => told(unix(&own_socket(absolute(path)?)?).await?).await,
        Address::Tcp(address) => told(tcp(loopback(address)?).await?).await,
    }
}

async fn told<S: Connection>(stream: S) -> Result<Attached, StartFault> {
    let (stream, ended) = Told::new(stream);
    Ok(Attached { channel: channel(stream).await?, ended })
}

fn check_version(app_version: u32) -> Result<(), StartFault> {
    if APP_VERSIONS.contains(&app_version) { Ok(()) } else { Err(StartFault::UnknownVersion(app_version)) }
}

fn connector(identity: &Identity, field: &str) -> Result<TlsConnector, StartFault> {
    let bad = |error: io::Error| StartFault::BadCertificate(error.to_string());
    identity.connector(&Peer::from_field(field).map_err(bad)?).map_err(bad)
}

async fn secured<S: Connection>(tls: &TlsConnector, stream: S) -> Result<Channel, StartFault> {
    let name = NAME.try_into().expect("it is a name");
    let stream = tls.connect(name, stream).await.map_err(|error| match is_another_peer(&error) {
        true => StartFault::BadCertificate("it is not the one that listens there".into()),
        false => unreachable(&io::Error::other(format!("TLS: {error}"))),
    })?;
    channel(stream).await
}

async fn unix(socket: &Path) -> Result<UnixStream, StartFault> {
    let stream = UnixStream::connect(socket).await.map_err(|error| unreachable(&error))?;
    let peer = stream.peer_cred().map_err(|error| unreachable(&error))?;
    if peer.uid() != rustix::process::geteuid().as_raw() {
        let reason = format!("user {} listens there", peer.uid());
        return Err(StartFault::BadAddress(socket.display().to_string(), reason));
    }
    Ok(stream)
}

async fn tcp(address: SocketAddr) -> Result<TcpStream, StartFault> {
    let stream = TcpStream::connect(address).await.map_err(|error| unreachable(&error))?;
    stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
    Ok(stream)
}

/// The address, if it is one of this machine and reachable from nowhere else.
fn loopback(address: &str) -> Result<SocketAddr, StartFault> {
    match address.parse::<SocketAddr>() {
        Ok(parsed) if parsed.ip().is_loopback() => Ok(parsed),
        Ok(_) => refuse(address, "it is no loopback address"),
        Err(_) => refuse(address, "it is no IP address and port"),
    }
}

fn unreachable(error: &io::Error) -> StartFault {
    StartFault::Unreachable(error.to_string())
}

/// The path of the address, if it names a socket of this user's in `socket_dir` itself.
fn allowed_socket(path: &str, socket_dir: &Path) -> Result<PathBuf, StartFault> {
    let socket = absolute(path)?;
    // As it is written: `..` and links would lead elsewhere without being seen.
    if socket.parent() != Some(socket_dir) || socket.file_name().is_none() {
        return refuse(path, &format!("it is not in PLUGIN_UNIX_SOCKET_DIR, {}", socket_dir.display()));
    }
    match own_socket(socket) {
        Err(StartFault::Unreachable(reason)) => refuse(path, &reason),
        found => found,
    }
}

/// A path that can be a socket's.
fn absolute(path: &str) -> Result<&Path, StartFault> {
    if path.len() > limits::SOCKET_PATH {
        return refuse(path, &format!("a socket's path has at most {} bytes", limits::SOCKET_PATH));
    }
    if path.starts_with(['@', '\0']) {
        return refuse(path, "an abstract socket is open to everybody on this machine");
    }
    if !path.starts_with('/') {
        return refuse(path, "the path is relative");
    }
    Ok(Path::new(path))
}

/// What is there, if it is a socket of this user's.
fn own_socket(socket: &Path) -> Result<PathBuf, StartFault> {
    let path = &socket.display().to_string();
    match fs::symlink_metadata(socket) {
        Err(error) => Err(unreachable(&error)),
        Ok(found) if !found.file_type().is_socket() => refuse(path, "it is no socket"),
        Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => {
            refuse(path, &format!("it belongs to user {}", found.uid()))
        }
        Ok(_) => Ok(socket.to_owned()),
    }
}

fn refuse<T>(address: &str, reason: &str) -> Result<T, StartFault> {
    Err(StartFault::BadAddress(crate::escape::printable(address), reason.to_owned()))
}

/// One HTTP/2 connection over `stream`, and never another: a plugin that lost its connection is started anew.
async fn channel<S: Connection>(stream: S) -> Result<Channel, StartFault> {
    let stream = Mutex::new(Some(stream));
    let connector = tower::service_fn(move |_| {
        let stream = stream.lock().ok().and_then(|mut stream| stream.take());
        std::future::ready(stream.map(TokioIo::new).ok_or_else(|| io::Error::other("the connection is gone")))
    });
    Endpoint::from_static("http://localhost")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .connect_with_connector(connector)
        .await
        .map_err(|error| unreachable(&io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;

    fn judge(path: &str, directory: &Path) -> String {
        match allowed_socket(path, directory) {
            Ok(path) => format!("allowed: {}", path.file_name().unwrap().display()),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn only_a_socket_in_its_directory_is_connected_to() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let _listener = UnixListener::bind(at("plugin1")).unwrap();
        symlink(at("plugin1"), at("link")).unwrap();
        fs::write(at("file"), "").unwrap();
        fs::create_dir(at("sub")).unwrap();
        assert_eq!(judge(&at("plugin1"), directory.path()), "allowed: plugin1");
        assert!(judge(&at("link"), directory.path()).ends_with("it is no socket"));
        assert!(judge(&at("file"), directory.path()).ends_with("it is no socket"));
        assert!(judge(&at("gone"), directory.path()).contains("No such file"));
        assert!(judge(&at("sub/../plugin1"), directory.path()).contains("not in PLUGIN_UNIX_SOCKET_DIR"));
        assert!(judge("plugin1", directory.path()).ends_with("the path is relative"));
        assert!(judge("@plugin1", directory.path()).contains("abstract"));
        assert!(judge(&at(&"x".repeat(108)), directory.path()).contains("at most 107 bytes"));
    }

    #[test]
    fn a_tcp_address_is_one_of_the_loopback_interface() {
        for address in ["127.0.0.1:9", "127.8.8.8:65535", "[::1]:80"] {
            assert_eq!(loopback(address).unwrap().to_string(), address);
        }
        for (address, why) in [
            ("0.0.0.0:9", "it is no loopback address"),
            ("10.0.0.1:9", "it is no loopback address"),
            ("[::]:9", "it is no loopback address"),
            ("localhost:9", "it is no IP address and port"),
            ("127.0.0.1", "it is no IP address and port"),
        ] {
            assert!(loopback(address).unwrap_err().to_string().ends_with(why), "{address}");
        }
    }
}
