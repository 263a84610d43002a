//! Writes to a file on a thread of its own, so that the network, the disk and the digest work at the same time.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{checkpoint::Checkpoints, io_error};
use crate::{
    download::{
        ranges::RangeSet,
        state::{State, path_of},
    },
    error::Error,
    verify::{Algorithm, Digester},
};

/// Chunks on their way to the thread: 1 MiB at the size that plugins send, 16 MiB at the largest they may.
const QUEUE: usize = 4;

/// Bytes read back at a time for the digest.
const READ_BACK: usize = 256 * 1024;

/// What the thread is to do.
enum Order {
    Begin(Box<Begin>),
    Write(u64, Bytes),
    Commit,
    Keep,
}

/// What is known before the first byte is written.
#[derive(Debug, Default)]
pub(crate) struct Begin {
    /// Of the output's first byte in the resource.
    pub(crate) base: u64,
    /// What the file holds already, by offsets in the resource; all else in it is worthless.
    pub(crate) ranges: RangeSet,
    /// Stored beside the file while it grows, with the ranges that are on the disk; `None` if it cannot be resumed.
    pub(crate) state: Option<State>,
    /// The digest to compute.
    pub(crate) digest: Option<Algorithm>,
}

/// A file that is whole.
pub(crate) struct Written {
    pub(crate) file: File,
    /// In lower-case hexadecimal, if it was to be computed.
    pub(crate) digest: Option<String>,
    /// Bytes in the file.
    pub(crate) length: u64,
}

/// The sender to the thread that writes one file.
pub(super) struct Writer {
    path: PathBuf,
    queue: mpsc::Sender<Order>,
    /// `None` once its result was taken.
    thread: Mutex<Option<JoinHandle<io::Result<Written>>>>,
}

impl Writer {
    /// `path` is what errors name. `part` is whether the file can be read, cut and resumed, or is but a stream.
    pub(super) fn start(file: File, path: PathBuf, part: bool, no_fsync: bool) -> Self {
        let (queue, orders) = mpsc::channel(QUEUE);
        let sink = Sink {
            path: path.clone(),
            file,
            part,
            no_fsync,
            begun: false,
            base: 0,
            written: RangeSet::default(),
            hashed: 0,
            digester: None,
            checkpoints: None,
        };
        let thread = tokio::task::spawn_blocking(move || sink.obey(orders));
        Self { path, queue, thread: Mutex::new(Some(thread)) }
    }

    /// Sets the file up; what it holds beside [`Begin::ranges`] is forgotten.
    pub(super) async fn begin(&self, begin: Begin) -> Result<(), Error> {
        self.order(Order::Begin(Box::new(begin))).await
    }

    /// Hands bytes to the thread; waits while it is behind. A stream takes them in order only.
    pub(super) async fn write(&self, offset: u64, chunk: Bytes) -> Result<(), Error> {
        self.order(Order::Write(offset, chunk)).await
    }

    /// Waits until everything is written. After [`commit`](Self::commit) the file is whole, else it is left so that it
    /// can be resumed.
    pub(super) async fn finish(&self, commit: bool) -> Result<Written, Error> {
        self.order(if commit { Order::Commit } else { Order::Keep }).await?;
        self.result().await
    }

    async fn order(&self, order: Order) -> Result<(), Error> {
        match self.queue.send(order).await {
            Ok(()) => Ok(()),
            // The thread ends early only with an error.
            Err(_) => self.result().await.map(drop),
        }
    }

    async fn result(&self) -> Result<Written, Error> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let result = match thread {
            Some(thread) => thread.await.map_err(io::Error::other).flatten(),
            None => Err(io::Error::other("an earlier write failed")),
        };
        result.map_err(io_error("write", &self.path))
    }
}

/// The thread's side.
struct Sink {
    path: PathBuf,
    file: File,
    part: bool,
    no_fsync: bool,
    begun: bool,
    base: u64,
    written: RangeSet,
    /// Up to here, in the file, the digester has everything.
    hashed: u64,
    digester: Option<Digester>,
    checkpoints: Option<Checkpoints>,
}

impl Sink {
    fn obey(mut self, mut orders: mpsc::Receiver<Order>) -> io::Result<Written> {
        while let Some(order) = orders.blocking_recv() {
            match order {
                Order::Begin(begin) => self.begin(*begin)?,
                Order::Write(offset, chunk) => self.write(offset - self.base, &chunk)?,
                Order::Commit => return self.commit(),
                Order::Keep => break,
            }
        }
        // Given up or interrupted. Cutting it where it ends gives back what was reserved behind that.
        if self.part {
            self.file.set_len(self.file.metadata()?.len())?;
        }
        if let Some(checkpoints) = self.checkpoints.take() {
            checkpoints.last(self.in_resource())?;
        }
        Ok(Written { file: self.file, digest: None, length: self.written.prefix() })
    }

    fn begin(&mut self, begin: Begin) -> io::Result<()> {
        let Begin { base, ranges, state, digest } = begin;
        if let Some(checkpoints) = self.checkpoints.take() {
            checkpoints.stop()?;
        }
        // A stream cannot take back what it was given.
        if self.part {
            let held = ranges.iter().last().map_or(0, |range| range.end - base);
            if self.begun {
                // Also where it is as long: it gives back what was reserved for another version.
                self.file.set_len(held)?;
            }
            self.cut(held)?;
            self.begun = true;
            if state.is_none() {
                // Of an earlier run or version. One that stays is of bytes that are gone, and cut by their length.
                let _ = fs::remove_file(path_of(&self.path));
            }
        }
        self.written = ranges.iter().map(|range| range.start - base..range.end - base).collect();
        (self.base, self.hashed) = (base, 0);
        self.digester = digest.map(Digester::new);
        self.checkpoints = match state.filter(|_| self.part) {
            Some(state) => Some(Checkpoints::new(&self.file, &self.path, state, self.no_fsync)?),
            None => None,
        };
        self.hash_prefix()
    }

    fn write(&mut self, at: u64, chunk: &[u8]) -> io::Result<()> {
        let end = at + chunk.len() as u64;
        match self.part {
            true => self.file.write_all_at(chunk, at)?,
            false => self.file.write_all(chunk)?,
        }
        self.written.insert(at..end);
        if at == self.hashed
            && let Some(digester) = &mut self.digester
        {
            digester.update(chunk);
            self.hashed = end;
        }
        self.hash_prefix()?;
        if self.checkpoints.as_mut().is_some_and(|checkpoints| checkpoints.is_due(chunk.len() as u64)) {
            let ranges = self.in_resource();
            if let Some(checkpoints) = &mut self.checkpoints {
                checkpoints.take(ranges)?;
            }
        }
        Ok(())
    }

    /// Reads back what came out of order, once there is no gap before it.
    fn hash_prefix(&mut self) -> io::Result<()> {
        let Some(digester) = &mut self.digester else { return Ok(()) };
        let prefix = self.written.prefix();
        let mut buffer = Vec::new();
        while self.hashed < prefix {
            buffer.resize(READ_BACK.min(usize::try_from(prefix - self.hashed).unwrap_or(READ_BACK)), 0);
            self.file.read_exact_at(&mut buffer, self.hashed)?;
            digester.update(&buffer);
            self.hashed += buffer.len() as u64;
        }
        Ok(())
    }

    fn commit(mut self) -> io::Result<Written> {
        if let Some(checkpoints) = self.checkpoints.take() {
            checkpoints.stop()?;
        }
        let length = self.written.prefix();
        if self.part {
            // Preallocated, or left longer by an earlier version.
            self.cut(length)?;
        }
        Ok(Written { file: self.file, digest: self.digester.map(Digester::finish), length })
    }

    /// Cuts or stretches the file, unless it is as long already: most are, and it is not for nothing.
    fn cut(&self, length: u64) -> io::Result<()> {
        if self.file.metadata()?.len() == length { Ok(()) } else { self.file.set_len(length) }
    }

    fn in_resource(&self) -> RangeSet {
        self.written.iter().map(|range| range.start + self.base..range.end + self.base).collect()
    }
}
