//! Connections, in TLS for whoever begins with it, and in plain text for everybody else: what no plugin may do.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use plugin_proto::environment::CLIENT_CERT;
use plugin_sdk::tls::{Identity, Peer};
use rustix::net::{RecvFlags, recv};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::UnixStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::Connected;

/// What a TLS connection begins with.
const HANDSHAKE: u8 = 0x16;

/// The plugin's end of it.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    field: String,
}

impl Tls {
    /// `None` where the host did not ask.
    pub(super) fn of_host() -> io::Result<Option<Self>> {
        let Ok(pem) = std::env::var(CLIENT_CERT) else { return Ok(None) };
        let identity = Identity::generate()?;
        Ok(Some(Self { acceptor: identity.acceptor(&Peer::from_pem(&pem)?)?, field: identity.field() }))
    }

    pub(super) fn field(&self) -> String {
        self.field.clone()
    }
}

pub(super) fn accept(
    connections: impl Stream<Item = io::Result<UnixStream>>,
    tls: Option<Tls>,
) -> impl Stream<Item = io::Result<Connection>> {
    connections.then(move |connection| {
        let acceptor = tls.as_ref().map(|tls| tls.acceptor.clone());
        async move { begin(connection?, acceptor).await }
    })
}

async fn begin(connection: UnixStream, acceptor: Option<TlsAcceptor>) -> io::Result<Connection> {
    let Some(acceptor) = acceptor else { return Ok(Connection::Plain(connection)) };
    let peek = || {
        let mut first = [0];
        recv(&connection, &mut first, RecvFlags::PEEK)?;
        Ok(first)
    };
    match connection.async_io(Interest::READABLE, peek).await? {
        [HANDSHAKE] => Ok(Connection::Tls(Box::new(acceptor.accept(connection).await?))),
        _ => Ok(Connection::Plain(connection)),
    }
}

pub(super) enum Connection {
    Plain(UnixStream),
    Tls(Box<TlsStream<UnixStream>>),
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
