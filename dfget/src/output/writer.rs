//! Writes to a file on a thread of its own, so that the network and the disk work at the same time.

use std::{
    fs::File,
    io::{self, IoSlice, Write},
    path::PathBuf,
};

use bytes::{Buf, Bytes};
use tokio::{sync::mpsc, task::JoinHandle};

use super::io_error;
use crate::error::Error;

/// Chunks on their way to the thread: 1 MiB at the size that plugins send, 16 MiB at the largest they may.
const QUEUE: usize = 4;

/// A file that is written in order.
pub(super) struct Writer {
    path: PathBuf,
    queue: Option<mpsc::Sender<Bytes>>,
    /// `None` once its result was taken.
    thread: Option<JoinHandle<io::Result<File>>>,
}

impl Writer {
    /// `path` is what errors name.
    pub(super) fn start(file: File, path: PathBuf) -> Self {
        let (queue, chunks) = mpsc::channel(QUEUE);
        let thread = tokio::task::spawn_blocking(move || write_all(file, chunks));
        Self { path, queue: Some(queue), thread: Some(thread) }
    }

    /// Hands the next bytes to the thread; waits while it is behind.
    pub(super) async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        let sent = match &self.queue {
            Some(queue) => queue.send(chunk).await.is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { self.result().await.map(drop) }
    }

    /// Waits until everything is written.
    pub(super) async fn finish(mut self) -> Result<File, Error> {
        self.result().await
    }

    async fn result(&mut self) -> Result<File, Error> {
        self.queue = None;
        let failed = |error| io_error("write", &self.path)(error);
        match self.thread.take() {
            Some(thread) => thread.await.map_err(io::Error::other).flatten().map_err(failed),
            None => Err(failed(io::Error::other("an earlier write failed"))),
        }
    }
}

fn write_all(mut file: File, mut chunks: mpsc::Receiver<Bytes>) -> io::Result<File> {
    let mut batch = Vec::with_capacity(QUEUE);
    while chunks.blocking_recv_many(&mut batch, QUEUE) > 0 {
        write_batch(&mut file, &mut batch)?;
        batch.clear();
    }
    Ok(file)
}

/// One system call for all chunks that wait, as long as the file takes them whole.
fn write_batch(file: &mut File, batch: &mut [Bytes]) -> io::Result<()> {
    let mut rest = batch;
    while !rest.is_empty() {
        let slices: Vec<IoSlice<'_>> = rest.iter().map(|chunk| IoSlice::new(chunk)).collect();
        let mut written = match file.write_vectored(&slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            written => written?,
        };
        let whole = rest.iter().take_while(|chunk| whole_chunk(chunk, &mut written)).count();
        rest = &mut rest[whole..];
        if let Some(chunk) = rest.first_mut() {
            chunk.advance(written);
        }
    }
    Ok(())
}

/// Whether all of `chunk` is among the `written` bytes, which it then is taken from.
fn whole_chunk(chunk: &Bytes, written: &mut usize) -> bool {
    let whole = chunk.len() <= *written;
    if whole {
        *written -= chunk.len();
    }
    whole
}
