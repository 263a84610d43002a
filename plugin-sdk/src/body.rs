//! A resource that was opened, and the stream of its bytes.

use std::{
    fs::File,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, future, stream};
use plugin_proto::limits;
use rustix::buffer::spare_capacity;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{Error, Header, Metadata, Range};

/// Bytes that [`Body::from_reader`] reads at a time: within what PROTOCOL.md allows, and the fastest on a Unix socket.
pub const CHUNK: usize = 256 * 1024;

/// Chunks that a producer may be ahead of the network.
const CHUNKS_AHEAD: usize = 2;

/// A resource that was opened for reading.
#[derive(Debug)]
pub struct Download {
    /// What is going to be read.
    pub opened: Opened,
    /// Its bytes.
    pub body: Body,
}

impl Download {
    /// A resource that is in memory; `range` is what was asked for.
    ///
    /// # Errors
    ///
    /// * [`Error::OutOfRange`]: `range` begins behind the end
    pub fn from_bytes(bytes: impl Into<Bytes>, range: Range) -> Result<Self, Error> {
        let bytes = bytes.into();
        let total = bytes.len() as u64;
        let metadata = Metadata { content_length: Some(total), support_range: true, ..Metadata::default() };
        let opened = Opened::ranged(metadata, range.within(total)?);
        // Both ends are at most `bytes.len()`, which is a usize.
        let (start, end) = (opened.range.start as usize, opened.range.start as usize + opened.served_length() as usize);
        let body = Body::from_bytes(bytes.slice(start..end));
        Ok(Self { opened, body })
    }
}

/// What a download is going to deliver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// As HTTP has it; 200 or 206 where the storage knows no such thing.
    pub status: u32,
    /// As the storage answered it.
    pub header: Header,
    /// What follows, which is either what was asked for, less what lies behind the end, or begins at 0.
    pub range: Range,
    /// Of the whole resource.
    pub metadata: Metadata,
}

impl Opened {
    /// Of a source that serves `range` of what `metadata` describes.
    #[must_use]
    pub fn ranged(metadata: Metadata, range: Range) -> Self {
        let part = range.start > 0 || range.length != metadata.content_length;
        Self { status: if part { 206 } else { 200 }, header: Header::new(), range, metadata }
    }

    /// Of a source that serves the whole of what `metadata` describes, whatever was asked for.
    #[must_use]
    pub fn whole(metadata: Metadata) -> Self {
        let range = Range { start: 0, length: metadata.content_length };
        Self { status: 200, header: Header::new(), range, metadata }
    }

    fn served_length(&self) -> u64 {
        self.range.length.unwrap_or_default()
    }
}

/// One thing that happens while a body is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyEvent {
    /// The next bytes; never empty.
    Chunk(Bytes),
    /// The storage takes its time and the source is well: the host shows the text and waits on.
    Waiting(String),
}

/// The bytes of a download in order: a stream that ends after the last one, or with an error.
pub struct Body(Kind);

enum Kind {
    Events(Pin<Box<dyn Stream<Item = Result<BodyEvent, Error>> + Send>>),
    /// Not read yet: the host may have a quicker way.
    File(FileBody),
    /// Only while one becomes the other, or when somebody else reads it.
    Taken,
}

/// The next bytes of a file, from its current position.
pub(crate) struct FileBody {
    pub(crate) file: File,
    pub(crate) length: u64,
    pub(crate) check: Check,
}

/// What is asked once the last byte was read.
pub(crate) type Check = Box<dyn FnOnce() -> Result<(), Error> + Send>;

impl Body {
    /// All of `bytes`, cut into chunks without copying.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let mut rest = bytes.into();
        Self::from_events(stream::iter(std::iter::from_fn(move || {
            let next = rest.split_to(rest.len().min(CHUNK));
            (!next.is_empty()).then_some(Ok(BodyEvent::Chunk(next)))
        })))
    }

    /// All of `reader` up to its end; [`AsyncReadExt::take`] ends it earlier.
    pub fn from_reader(mut reader: impl AsyncRead + Unpin + Send + 'static) -> Self {
        Self::produce(async move |sender| {
            loop {
                let mut buffer = BytesMut::with_capacity(CHUNK);
                if reader.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
                sender.send(buffer.freeze()).await?;
            }
        })
    }

    /// The next `length` bytes of `file`, from its current position, read on a thread of their own; or sent to the host by
    /// the kernel, where host and system can do that.
    ///
    /// A file that has fewer ends the body early, which the SDK reports as [`Error::DataLoss`] if the length was
    /// announced.
    #[must_use]
    pub fn from_file(file: File, length: u64) -> Self {
        Self::from_file_checked(file, length, || Ok(()))
    }

    /// As [`from_file`](Self::from_file); and the body is only complete if `check` says so after the last byte, such as
    /// that nobody has written to the file meanwhile. It may block.
    #[must_use]
    pub fn from_file_checked(
        file: File,
        length: u64,
        check: impl FnOnce() -> Result<(), Error> + Send + 'static,
    ) -> Self {
        Self(Kind::File(FileBody { file, length, check: Box::new(check) }))
    }

    /// What `producer` sends, run in a task of its own that ends with the body, whoever ends first.
    ///
    /// A producer that fails or panics ends the body with an error, never as if it were complete.
    pub fn produce<P, F>(producer: P) -> Self
    where
        P: FnOnce(BodySender) -> F,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let task = tokio::spawn(producer(BodySender(sender)));
        Self::from_events(Produced::new(receiver, task))
    }

    /// The chunks of a stream that some client library returns; empty ones are skipped.
    ///
    /// Feed it from a library, not from a task of your own: a panic there only closes the channel. [`Body::produce`]
    /// is for tasks.
    pub fn from_stream<E: Into<Error>>(chunks: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Self {
        Self::from_events(chunks.filter_map(|chunk| {
            future::ready(match chunk {
                Ok(bytes) if bytes.is_empty() => None,
                Ok(bytes) => Some(Ok(BodyEvent::Chunk(bytes))),
                Err(error) => Some(Err(error.into())),
            })
        }))
    }

    /// A stream of events as they are.
    pub fn from_events(events: impl Stream<Item = Result<BodyEvent, Error>> + Send + 'static) -> Self {
        Self(Kind::Events(Box::pin(events)))
    }

    /// The file that it is the bytes of, if it is, and as many as that: then nothing of it is left here.
    pub(crate) fn take_file(&mut self, length: Option<u64>) -> Option<FileBody> {
        match std::mem::replace(&mut self.0, Kind::Taken) {
            Kind::File(file) if length == Some(file.length) => Some(file),
            other => {
                self.0 = other;
                None
            }
        }
    }
}

impl FileBody {
    fn into_events(self) -> Produced {
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        Produced::new(receiver, tokio::task::spawn_blocking(move || read_file(self, &sender)))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body(..)")
    }
}

impl Stream for Body {
    type Item = Result<BodyEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match std::mem::replace(&mut self.0, Kind::Taken) {
                Kind::Events(mut events) => {
                    let next = events.as_mut().poll_next(context);
                    self.0 = Kind::Events(events);
                    return next;
                }
                Kind::File(file) => self.0 = Kind::Events(Box::pin(file.into_events())),
                Kind::Taken => return Poll::Ready(None),
            }
        }
    }
}

/// Where a producer puts the bytes of a body.
#[derive(Debug, Clone)]
pub struct BodySender(mpsc::Sender<BodyEvent>);

/// Nobody reads the body any more: the producer may stop.
#[derive(Debug, thiserror::Error)]
#[error("the download was cancelled")]
pub struct Cancelled;

impl BodySender {
    /// Sends the next bytes, cut to the size of a chunk; waits while the network is behind.
    ///
    /// # Errors
    ///
    /// * [`Cancelled`]: the download is over
    pub async fn send(&self, bytes: impl Into<Bytes>) -> Result<(), Cancelled> {
        let mut rest = bytes.into();
        while !rest.is_empty() {
            let chunk = rest.split_to(rest.len().min(limits::CHUNK));
            self.0.send(BodyEvent::Chunk(chunk)).await.map_err(|_| Cancelled)?;
        }
        Ok(())
    }

    /// Tells the user why there is nothing yet, and the host that all is well.
    ///
    /// # Errors
    ///
    /// * [`Cancelled`]: the download is over
    pub async fn waiting(&self, reason: impl Into<String>) -> Result<(), Cancelled> {
        self.0.send(BodyEvent::Waiting(reason.into())).await.map_err(|_| Cancelled)
    }
}

/// So that `?` works on [`BodySender::send`]: nobody will read this error.
impl From<Cancelled> for Error {
    fn from(cancelled: Cancelled) -> Self {
        Self::internal(cancelled)
    }
}

/// Reads without a zeroed buffer and without the extra copy that an async file makes.
fn read_file(body: FileBody, sender: &mpsc::Sender<BodyEvent>) -> Result<(), Error> {
    let mut rest = body.length;
    while rest > 0 {
        let wanted = usize::try_from(rest).map_or(CHUNK, |rest| rest.min(CHUNK));
        let mut buffer = Vec::with_capacity(wanted);
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&body.file, spare_capacity(&mut buffer)))
            .map_err(std::io::Error::from)?;
        if read == 0 || sender.blocking_send(BodyEvent::Chunk(buffer.into())).is_err() {
            break;
        }
        rest = rest.saturating_sub(read as u64);
    }
    (body.check)()
}

/// The channel of a producer, and its task, whose end tells a complete body from a broken one.
struct Produced {
    receiver: mpsc::Receiver<BodyEvent>,
    task: Option<AbortOnDropHandle<Result<(), Error>>>,
}

impl Produced {
    fn new(receiver: mpsc::Receiver<BodyEvent>, task: JoinHandle<Result<(), Error>>) -> Self {
        Self { receiver, task: Some(AbortOnDropHandle::new(task)) }
    }
}

impl Stream for Produced {
    type Item = Result<BodyEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = ready!(self.receiver.poll_recv(context)) {
            return Poll::Ready(Some(Ok(event)));
        }
        let Some(task) = self.task.as_mut() else { return Poll::Ready(None) };
        let result = ready!(Pin::new(task).poll(context));
        self.task = None;
        Poll::Ready(match result {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(error)),
            Err(failed) => Some(Err(Error::internal(format!("the task that produces the body ended early: {failed}")))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collect(body: Body) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut events = body;
        while let Some(event) = events.next().await {
            if let BodyEvent::Chunk(chunk) = event? {
                bytes.extend_from_slice(&chunk);
            }
        }
        Ok(bytes)
    }

    #[tokio::test]
    async fn a_range_of_bytes_in_memory_is_cut_out() {
        let range = Range { start: 6, length: Some(99) };
        let download = Download::from_bytes("hello world", range).unwrap();
        assert_eq!(download.opened.range, Range { start: 6, length: Some(5) });
        assert_eq!(download.opened.status, 206);
        assert_eq!(collect(download.body).await.unwrap(), b"world");
    }

    #[tokio::test]
    async fn a_reader_is_read_to_its_end_in_whole_chunks() {
        let bytes = vec![7; CHUNK + 1];
        let mut body = Body::from_reader(std::io::Cursor::new(bytes));
        let lengths = [CHUNK, 1].map(Some);
        for length in lengths {
            let Some(Ok(BodyEvent::Chunk(chunk))) = body.next().await else { panic!("a chunk was expected") };
            assert_eq!(Some(chunk.len()), length);
        }
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn a_panic_in_the_producer_is_an_error_and_not_the_end() {
        let body = Body::produce(async |sender| {
            sender.send("half").await?;
            panic!("out of tape");
        });
        let error = collect(body).await.unwrap_err().to_string();
        assert!(error.contains("out of tape"), "{error}");
    }

    #[tokio::test]
    async fn a_dropped_body_ends_its_producer() {
        let (alive, mut dead) = mpsc::channel::<()>(1);
        let body = Body::produce(async move |sender| {
            let _alive = alive;
            loop {
                sender.waiting("for ever").await.ok();
            }
        });
        drop(body);
        assert!(dead.recv().await.is_none());
    }
}
