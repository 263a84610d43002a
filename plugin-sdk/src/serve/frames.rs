//! A download as messages: `Opened`, the body's chunks with their offsets, `End`, and an error instead of a lie.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use plugin_proto::{
    limits,
    resource::{Chunk, DownloadResponse, End, Waiting, download_response::Event},
};
use tonic::Status;

use super::panics;
use crate::{Body, BodyEvent, Download, Error, Opened};

/// The stream of a `Download` call.
pub(super) struct Frames {
    opened: Option<Opened>,
    body: Body,
    /// Announced bytes that are still to come.
    announced: Option<u64>,
    /// The rest of a chunk too large for one message.
    pending: Bytes,
    offset: u64,
    total: u64,
    panics_at_start: u64,
    ended: bool,
}

impl Frames {
    /// `panics_at_start` was taken before the author's code opened the download.
    pub(super) fn new(download: Download, panics_at_start: u64) -> Self {
        Self {
            announced: download.opened.range.length,
            offset: download.opened.range.start,
            opened: Some(download.opened),
            body: download.body,
            pending: Bytes::new(),
            total: 0,
            panics_at_start,
            ended: false,
        }
    }

    /// The next chunk of what the body gave us.
    fn chunk(&mut self) -> Event {
        let data = self.pending.split_to(self.pending.len().min(limits::CHUNK));
        let offset = self.offset;
        self.offset += data.len() as u64;
        self.total += data.len() as u64;
        Event::Chunk(Chunk { offset, data })
    }

    /// Takes `chunk` in, unless it goes beyond what `Opened` announced.
    fn accept(&mut self, chunk: Bytes) -> Result<(), Error> {
        if let Some(announced) = &mut self.announced {
            let rest = announced.checked_sub(chunk.len() as u64);
            *announced = rest.ok_or_else(|| Error::internal("the source delivered more bytes than it announced"))?;
        }
        self.pending = chunk;
        Ok(())
    }

    /// `End`, if the body deserves it.
    fn end(&self) -> Result<Event, Error> {
        match self.announced {
            Some(0) => {}
            Some(missing) => {
                let text = format!("the source ended {missing} bytes short of the {} announced", self.total + missing);
                return Err(Error::DataLoss(text));
            }
            // Nothing to count against: a task that panicked may have been the one that fed this body.
            None if panics::so_far() != self.panics_at_start => {
                return Err(Error::internal("the plugin panicked while the body was read, which may be cut short"));
            }
            None => {}
        }
        Ok(Event::End(End { total: self.total }))
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<Event, Error>> {
        if let Some(opened) = self.opened.take() {
            return Poll::Ready(Ok(Event::Opened(opened.into())));
        }
        while self.pending.is_empty() {
            let next = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.body).poll_next(context)));
            let next =
                next.unwrap_or_else(|panic| Poll::Ready(Some(Err(Error::internal(panics::message(panic.as_ref()))))));
            match ready!(next) {
                Some(Ok(BodyEvent::Chunk(chunk))) => self.accept(chunk)?,
                Some(Ok(BodyEvent::Waiting(reason))) => return Poll::Ready(Ok(Event::Waiting(Waiting { reason }))),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(self.end()),
            }
        }
        Poll::Ready(Ok(self.chunk()))
    }
}

impl Stream for Frames {
    type Item = Result<DownloadResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let event = ready!(self.poll_event(context));
        self.ended = !matches!(event, Ok(Event::Opened(_) | Event::Chunk(_) | Event::Waiting(_)));
        Poll::Ready(Some(event.map(|event| DownloadResponse { event: Some(event) }).map_err(Status::from)))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use tonic::Code;

    use super::*;
    use crate::{Metadata, Range};

    fn opened(length: Option<u64>) -> Opened {
        let metadata = Metadata { content_length: length, ..Metadata::default() };
        Opened::ranged(metadata, Range { start: 0, length })
    }

    async fn events(opened: Opened, body: Body) -> Vec<Result<Event, Code>> {
        let frames = Frames::new(Download { opened, body }, panics::so_far());
        frames.map(|frame| frame.map(|frame| frame.event.unwrap()).map_err(|status| status.code())).collect().await
    }

    fn chunk(offset: u64, data: &'static str) -> Result<Event, Code> {
        Ok(Event::Chunk(Chunk { offset, data: data.into() }))
    }

    #[tokio::test]
    async fn a_whole_body_is_opened_chunked_and_ended() {
        let events = events(opened(Some(5)), Body::from_bytes("hello")).await;
        assert_eq!(events[1..], [chunk(0, "hello"), Ok(Event::End(End { total: 5 }))]);
    }

    #[tokio::test]
    async fn a_chunk_too_large_for_a_message_is_cut() {
        let bytes = Bytes::from(vec![0; limits::CHUNK + 3]);
        let body = Body::from_events(stream::iter([Ok(BodyEvent::Chunk(bytes))]));
        let events = events(opened(None), body).await;
        let Ok(Event::Chunk(last)) = &events[2] else { panic!("a chunk was expected: {events:?}") };
        assert_eq!((last.offset, last.data.len()), (limits::CHUNK as u64, 3));
        assert_eq!(events[3], Ok(Event::End(End { total: limits::CHUNK as u64 + 3 })));
    }

    #[tokio::test]
    async fn a_body_shorter_than_announced_has_no_end() {
        let events = events(opened(Some(9)), Body::from_bytes("hello")).await;
        assert_eq!(events[1..], [chunk(0, "hello"), Err(Code::DataLoss)]);
    }

    #[tokio::test]
    async fn a_body_longer_than_announced_is_an_error() {
        let events = events(opened(Some(4)), Body::from_bytes("hello")).await;
        assert_eq!(events[1..], [Err(Code::Internal)]);
    }

    #[tokio::test]
    async fn a_panic_while_polling_is_an_internal_error() {
        let body = Body::from_events(stream::poll_fn(|_| panic!("no tape")));
        assert_eq!(events(opened(None), body).await[1..], [Err(Code::Internal)]);
    }
}
