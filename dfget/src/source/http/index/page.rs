//! The bytes of an index, for a parser that waits for them on a thread of its own.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use plugin_sdk::{Bytes, Error};
use reqwest::Response;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::super::broken_off;

/// Some hundred thousand entries. The whole may have to wait in memory: a server cuts off whoever does not read on.
const LONGEST: usize = 32 * 1024 * 1024;

/// Bytes without an entry: a parser has to keep what has not ended yet.
const LONGEST_GAP: usize = 1024 * 1024;

type Chunks = mpsc::UnboundedSender<Result<Bytes, Error>>;

/// An index on its way.
pub(super) struct Page {
    chunks: mpsc::UnboundedReceiver<Result<Bytes, Error>>,
    rest: Bytes,
}

impl Page {
    /// The body of `answer`, which comes as long as the handle is there.
    pub(super) fn of(answer: Response) -> (Self, AbortOnDropHandle<()>) {
        let (sender, chunks) = mpsc::unbounded_channel();
        let arrival = AbortOnDropHandle::new(tokio::spawn(receive(answer, sender)));
        (Self { chunks, rest: Bytes::new() }, arrival)
    }
}

async fn receive(mut answer: Response, chunks: Chunks) {
    let mut length = 0;
    loop {
        let next = match answer.chunk().await {
            Ok(None) => return,
            Ok(Some(chunk)) => {
                length += chunk.len();
                let fits = length <= LONGEST;
                if fits { Ok(chunk) } else { Err(Error::InvalidRequest("its index is larger than 32 MiB".into())) }
            }
            Err(error) => Err(broken_off(error)),
        };
        let ended = next.is_err();
        // Whoever parses it may have given up.
        if chunks.send(next).is_err() || ended {
            return;
        }
    }
}

impl Read for Page {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(chunk) => self.rest = chunk.map_err(io::Error::other)?,
            }
        }
        let taken = self.rest.split_to(self.rest.len().min(buffer.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

/// The bytes since a parser has made something of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Gap(Rc<Cell<usize>>);

impl Gap {
    /// Something was made of all that came.
    pub(super) fn close(&self) {
        self.0.set(0);
    }
}

/// A page that fails where nothing comes of many bytes.
pub(super) struct Watched<R> {
    page: R,
    gap: Gap,
}

impl<R: Read> Watched<R> {
    pub(super) fn new(page: R) -> (Self, Gap) {
        let gap = Gap::default();
        (Self { page, gap: gap.clone() }, gap)
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.page.read(buffer)?;
        self.gap.0.set(self.gap.0.get() + read);
        if self.gap.0.get() > LONGEST_GAP {
            return Err(io::Error::other(Error::InvalidRequest("it is no index: nothing is in 1 MiB of it".into())));
        }
        Ok(read)
    }
}
