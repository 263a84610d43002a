//! The plugin's stdout: the handshake goes out on it, and whatever the code prints later goes to the host by RPC; or stays,
//! where there is a person to read it.

use std::{
    fmt,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use plugin_proto::goplugin::{StdioData, grpc_stdio_server::GrpcStdio, stdio_data::Channel};
use rustix::{io::fcntl_dupfd_cloexec, stdio};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, async_trait};

use super::watch::Watch;

/// Reads of the captured stdout that wait for a host; what comes while it is full is dropped.
const BACKLOG: usize = 64;

/// The real stdout, and what the code writes to the one that took its place.
pub(super) struct Stdio {
    /// The real one.
    stdout: File,
    captured: Arc<Mutex<mpsc::Receiver<Bytes>>>,
}

impl Stdio {
    /// Puts a pipe in the place of stdout, whose other end is always read.
    ///
    /// So neither `println!` nor a C library's `printf` can break the handshake, or block for want of a reader.
    pub(super) fn capture(watch: &mut Watch) -> io::Result<Self> {
        let stdout = File::from(fcntl_dupfd_cloexec(io::stdout().as_fd(), 3)?);
        let (reader, writer) = io::pipe()?;
        stdio::dup2_stdout(writer)?;
        let (sender, receiver) = mpsc::channel(BACKLOG);
        watch.add(reader, move |bytes| {
            // Full or closed: what the code prints is worth less than that it goes on.
            let _ = bytes.map(|bytes| sender.try_send(Bytes::copy_from_slice(bytes)));
        });
        Ok(Self { stdout, captured: Arc::new(Mutex::new(receiver)) })
    }

    /// Leaves stdout where it is. No host gets anything.
    pub(super) fn leave() -> io::Result<Self> {
        let stdout = File::from(fcntl_dupfd_cloexec(io::stdout().as_fd(), 3)?);
        let (_, nothing) = mpsc::channel(1);
        Ok(Self { stdout, captured: Arc::new(Mutex::new(nothing)) })
    }

    pub(super) fn write_line(&mut self, line: impl fmt::Display) -> io::Result<()> {
        self.stdout.write_all(format!("{line}\n").as_bytes())
    }

    pub(super) fn service(&self, stop: CancellationToken) -> StdioService {
        StdioService { captured: Arc::clone(&self.captured), stop }
    }
}

/// `plugin.GRPCStdio`. A second stream waits until the first ends, then goes on where it stopped.
pub(super) struct StdioService {
    captured: Arc<Mutex<mpsc::Receiver<Bytes>>>,
    stop: CancellationToken,
}

#[async_trait]
impl GrpcStdio for StdioService {
    type StreamStdioStream = Pin<Box<dyn Stream<Item = Result<StdioData, Status>> + Send>>;

    async fn stream_stdio(&self, _: Request<()>) -> Result<Response<Self::StreamStdioStream>, Status> {
        let captured = Arc::clone(&self.captured);
        let pieces = stream::once(captured.lock_owned()).flat_map(|captured| {
            stream::unfold(captured, async |mut captured| {
                let data = captured.recv().await?;
                Some((Ok(StdioData { channel: Channel::Stdout.into(), data }), captured))
            })
        });
        // A graceful end waits for open streams, and this one would never end by itself.
        Ok(Response::new(pieces.take_until(self.stop.clone().cancelled_owned()).boxed()))
    }
}
