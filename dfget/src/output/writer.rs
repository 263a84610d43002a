//! Hands bytes to a file: a few at once, many to a thread of its own, so that the network, the disk and the digest work
//! at the same time.

use std::{
    fs::File,
    io, mem,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Place, io_error,
    sink::{Begin, Sink, Written},
};
use crate::error::Error;

/// Chunks on their way to the thread: 1 MiB at the size that plugins send in messages, 4 MiB of one data socket, 16 at most.
const QUEUE: usize = 4;

/// A file that is no longer than this is written without a thread: to wake one would take longer.
const QUICK: usize = 256 * 1024;

/// What the thread is to do.
enum Order {
    Begin(Box<Begin>),
    Write(u64, Bytes),
    Commit,
    Keep,
}

/// Where the bytes of one file go.
pub(super) struct Writer {
    path: PathBuf,
    stage: Mutex<Stage>,
}

enum Stage {
    /// So many bytes have been written here, and no thread is needed so far.
    Here(Box<Sink>, usize),
    Thread(mpsc::Sender<Order>, JoinHandle<io::Result<Written>>),
    /// Its result was taken.
    Over,
}

impl Writer {
    /// `path` is what errors name. `part` is the place of a file that can be read, cut and resumed; without one it is
    /// but a stream.
    pub(super) fn new(file: Arc<File>, path: PathBuf, part: Option<Place>, no_fsync: bool) -> Self {
        let sink = Box::new(Sink::new(file, part, no_fsync));
        Self { path, stage: Mutex::new(Stage::Here(sink, 0)) }
    }

    /// The file is known to have nothing in it.
    pub(super) fn begins_empty(&mut self) {
        if let Ok(Stage::Here(sink, _)) = self.stage.get_mut() {
            sink.begins_empty();
        }
    }

    /// Sets the file up; what it holds beside [`Begin::ranges`] is forgotten.
    pub(super) async fn begin(&self, begin: Begin) -> Result<(), Error> {
        // What is there already is read for the digest.
        if let Stage::Here(sink, _) = &mut *self.stage()
            && begin.ranges.is_empty()
        {
            return sink.begin(begin).map_err(io_error("write", &self.path));
        }
        self.order(Order::Begin(Box::new(begin))).await
    }

    /// Writes bytes of the resource at `offset`, or hands them to the thread; waits while it is behind.
    pub(super) async fn write(&self, offset: u64, chunk: Bytes) -> Result<(), Error> {
        if let Stage::Here(sink, bytes) = &mut *self.stage()
            && (sink.is_file() && *bytes + chunk.len() <= QUICK || sink.costs_nothing())
        {
            *bytes += chunk.len();
            return sink.write(offset, &chunk).map_err(io_error("write", &self.path));
        }
        self.order(Order::Write(offset, chunk)).await
    }

    /// No more bytes will come. Returns when all are written.
    pub(super) async fn commit(&self) -> Result<Written, Error> {
        if let Some(sink) = self.take_sink() {
            return sink.commit().map_err(io_error("write", &self.path));
        }
        self.order(Order::Commit).await?;
        self.result().await
    }

    /// Given up: leaves the file so that it can be resumed.
    pub(super) async fn keep(&self) -> Result<(), Error> {
        // On the thread: it waits for the disk.
        self.order(Order::Keep).await?;
        self.result().await.map(drop)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_sink(&self) -> Option<Sink> {
        let mut stage = self.stage();
        match mem::replace(&mut *stage, Stage::Over) {
            Stage::Here(sink, _) => Some(*sink),
            other => {
                *stage = other;
                None
            }
        }
    }

    /// Of the thread, which is started if there is none.
    fn queue(&self) -> Option<mpsc::Sender<Order>> {
        if let Some(sink) = self.take_sink() {
            let (queue, orders) = mpsc::channel(QUEUE);
            let thread = tokio::task::spawn_blocking(move || obey(sink, orders));
            *self.stage() = Stage::Thread(queue, thread);
        }
        match &*self.stage() {
            Stage::Thread(queue, _) => Some(queue.clone()),
            _ => None,
        }
    }

    async fn order(&self, order: Order) -> Result<(), Error> {
        if let Some(queue) = self.queue()
            && queue.send(order).await.is_ok()
        {
            return Ok(());
        }
        // The thread ends early only with an error.
        self.result().await.map(drop)
    }

    async fn result(&self) -> Result<Written, Error> {
        let stage = mem::replace(&mut *self.stage(), Stage::Over);
        let result = match stage {
            Stage::Thread(_, thread) => thread.await.map_err(io::Error::other).flatten(),
            _ => Err(io::Error::other("an earlier write failed")),
        };
        result.map_err(io_error("write", &self.path))
    }
}

impl Drop for Writer {
    /// Cancelled. A thread notices by itself.
    fn drop(&mut self) {
        if let Some(mut sink) = self.take_sink() {
            // There is nobody left to be told.
            let _ = sink.keep();
        }
    }
}

/// The thread.
fn obey(mut sink: Sink, mut orders: mpsc::Receiver<Order>) -> io::Result<Written> {
    while let Some(order) = orders.blocking_recv() {
        match order {
            Order::Begin(begin) => sink.begin(*begin)?,
            Order::Write(offset, chunk) => sink.write(offset, &chunk)?,
            Order::Commit => return sink.commit(),
            Order::Keep => break,
        }
    }
    sink.keep()?;
    Ok(sink.written())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Algorithm;

    async fn is_threaded(path: &str, digest: Option<Algorithm>) -> bool {
        let file = File::options().write(true).open(path).expect("it is a device");
        let writer = Writer::new(Arc::new(file), path.into(), None, true);
        writer.begin(Begin { digest, ..Begin::default() }).await.expect("there is nothing to set up");
        writer.write(0, vec![7; 4 * QUICK].into()).await.expect("it takes everything");
        let is_threaded = matches!(*writer.stage(), Stage::Thread(..));
        is_threaded
    }

    #[tokio::test]
    async fn what_costs_nothing_wakes_no_thread() {
        assert!(!is_threaded("/dev/null", None).await);
        assert!(is_threaded("/dev/null", Some(Algorithm::Sha256)).await);
        assert!(is_threaded("/dev/zero", None).await);
    }
}
