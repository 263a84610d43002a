//! From the address in a handshake line to a connection: what may be connected to, and to whom.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Mutex,
};

use hyper_util::rt::TokioIo;
use plugin_proto::{
    APP_VERSIONS,
    handshake::{Address, Handshake},
    limits,
};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use crate::error::StartFault;

/// HTTP/2 windows and frames. A body goes through at twice the speed it has with the defaults of 64 KiB and 16 KiB.
const STREAM_WINDOW: u32 = 8 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
const FRAME: u32 = 1024 * 1024;

/// Connects to where `handshake` says, if that is beneath `socket_dir` and listened to by this user.
pub(super) async fn connect(handshake: &Handshake, socket_dir: &Path) -> Result<Channel, StartFault> {
    if !APP_VERSIONS.contains(&handshake.app_version) {
        return Err(StartFault::UnknownVersion(handshake.app_version));
    }
    if handshake.certificate.is_some() {
        return Err(StartFault::UnaskedCertificate);
    }
    let socket = allowed_socket(&handshake.address, socket_dir)?;
    let stream = UnixStream::connect(&socket).await.map_err(|error| unreachable(&error))?;
    let peer = stream.peer_cred().map_err(|error| unreachable(&error))?;
    if peer.uid() != rustix::process::geteuid().as_raw() {
        let reason = format!("user {} listens there", peer.uid());
        return Err(StartFault::BadAddress(socket.display().to_string(), reason));
    }
    channel(stream).await.map_err(|error| unreachable(&io::Error::other(error)))
}

fn unreachable(error: &io::Error) -> StartFault {
    StartFault::Unreachable(error.to_string())
}

/// The path of the address, if it names a socket of this user's in `socket_dir` itself.
fn allowed_socket(address: &Address, socket_dir: &Path) -> Result<PathBuf, StartFault> {
    let path = match address {
        Address::Unix(path) => path,
        Address::Tcp(address) => return refuse(address, "TCP without TLS is open to everybody on this machine"),
    };
    let socket = Path::new(path);
    if path.len() > limits::SOCKET_PATH {
        return refuse(path, &format!("a socket's path has at most {} bytes", limits::SOCKET_PATH));
    }
    if path.starts_with(['@', '\0']) {
        return refuse(path, "an abstract socket is open to everybody on this machine");
    }
    if !socket.is_absolute() {
        return refuse(path, "the path is relative");
    }
    // As it is written: `..` and links would lead elsewhere without being seen.
    if socket.parent() != Some(socket_dir) || socket.file_name().is_none() {
        return refuse(path, &format!("it is not in PLUGIN_UNIX_SOCKET_DIR, {}", socket_dir.display()));
    }
    match fs::symlink_metadata(socket) {
        Err(error) => refuse(path, &error.to_string()),
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
async fn channel(stream: UnixStream) -> Result<Channel, tonic::transport::Error> {
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
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;

    fn judge(path: &str, directory: &Path) -> String {
        match allowed_socket(&Address::Unix(path.into()), directory) {
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
    fn tcp_is_refused() {
        let fault = allowed_socket(&Address::Tcp("127.0.0.1:9".into()), Path::new("/tmp")).unwrap_err();
        assert!(fault.to_string().contains("TCP without TLS"));
    }
}
