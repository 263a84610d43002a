//! Connections from the socket, in TLS where the host wants that.

use std::{
    future::ready,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt, TryStreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::Connected;

/// TLS handshakes that go on at the same time.
const HANDSHAKES: usize = 16;

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whoever connects. A handshake that fails costs only itself.
pub(super) fn accept(
    listener: UnixListener,
    acceptor: Option<TlsAcceptor>,
) -> impl Stream<Item = io::Result<Connection>> {
    let streams = UnixListenerStream::new(listener);
    let Some(acceptor) = acceptor else {
        return streams.map_ok(Connection::Plain).left_stream();
    };
    let secured = streams.map(move |stream| secure(acceptor.clone(), stream)).buffer_unordered(HANDSHAKES);
    secured.filter_map(ready).right_stream()
}

async fn secure(acceptor: TlsAcceptor, stream: io::Result<UnixStream>) -> Option<io::Result<Connection>> {
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) => return Some(Err(error)),
    };
    let handshake = timeout(PATIENCE, acceptor.accept(stream)).await;
    match handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => Some(Ok(Connection::Tls(Box::new(stream)))),
        Err(error) => {
            tracing::warn!("a TLS handshake failed: {error}");
            None
        }
    }
}

pub(super) enum Connection {
    Plain(UnixStream),
    Tls(Box<TlsStream<UnixStream>>),
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl Connection {
    fn writer(self: Pin<&mut Self>) -> Pin<&mut dyn AsyncWrite> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::<&mut UnixStream>::new(stream),
            Self::Tls(stream) => Pin::<&mut TlsStream<UnixStream>>::new(stream),
        }
    }
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
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.writer().poll_write(cx, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_shutdown(cx)
    }
}
