//! Checks the messages of a download one by one: nothing gets past here that was not announced, is not in its place,
//! or has no end.

use bytes::Bytes;
use plugin_proto::resource::{DownloadResponse, Opened as WireOpened, download_response::Event};
use plugin_sdk::{BodyEvent, Opened, Range};

use crate::escape::printable;

/// The state of one download stream.
#[derive(Debug)]
pub(super) struct Assembly {
    /// Offset of the byte that must come next.
    next: u64,
    /// Bytes received.
    received: u64,
    /// Bytes that must come, where known.
    expected: Option<u64>,
    /// Bytes that may come: those that were asked for.
    limit: Option<u64>,
    /// What they come by, where they do not come as chunks.
    carrier: Option<Carrier>,
    ended: bool,
}

/// What bytes come by that are in no messages: the name of a data socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Carrier {
    /// They come there.
    Socket(String),
    /// They lie in shared memory, and what comes there is where.
    Memory(String),
}

impl Carrier {
    fn of(opened: &WireOpened) -> Result<Option<Self>, Violation> {
        match (opened.data_socket.as_str(), opened.shared_memory) {
            ("", false) => Ok(None),
            ("", true) => protocol("it wants to share memory, and names no data socket".into()),
            (name, false) => Ok(Some(Self::Socket(name.to_owned()))),
            (name, true) => Ok(Some(Self::Memory(name.to_owned()))),
        }
    }
}

/// A message that makes sense.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Body(BodyEvent),
    /// Nothing for the caller, and no sign of life either.
    Empty,
    End,
}

/// How a stream broke its rules.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("{0}")]
    Protocol(String),
    /// `End` came, and the bytes are not as many as they should be.
    #[error("got {got} bytes, expected {expected}")]
    Incomplete { got: u64, expected: u64 },
}

fn protocol<T>(fact: String) -> Result<T, Violation> {
    Err(Violation::Protocol(fact))
}

impl Assembly {
    /// Judges the first message of a download of `asked`.
    pub(super) fn open(asked: Range, first: DownloadResponse) -> Result<(Self, Opened), Violation> {
        let Some(Event::Opened(opened)) = first.event else {
            return protocol(format!("the first message of a download is {}, not Opened", name(first.event.as_ref())));
        };
        let expected = check_range(asked, &opened)?;
        let carrier = Carrier::of(&opened)?;
        if carrier.is_some() && expected.is_none() {
            return protocol("it names a data socket, and not how many bytes come there".into());
        }
        let mut opened = Opened::from(opened);
        let limit = expected.or(asked.length.filter(|_| opened.range.start == asked.start));
        opened.range.length = expected;
        opened.metadata.content_type = opened.metadata.content_type.map(|text| printable(&text));
        let assembly = Self { next: opened.range.start, received: 0, expected, limit, carrier, ended: false };
        Ok((assembly, opened))
    }

    /// Judges any later message.
    pub(super) fn accept(&mut self, message: DownloadResponse) -> Result<Step, Violation> {
        match message.event {
            _ if self.ended => protocol("a message came after End".into()),
            Some(Event::Chunk(_)) if self.carrier.is_some() => {
                protocol("a chunk came, and the bytes come on a data socket".into())
            }
            Some(Event::Chunk(chunk)) => {
                self.check_chunk(chunk.offset, chunk.data.len() as u64)?;
                let empty = chunk.data.is_empty();
                Ok(if empty { Step::Empty } else { Step::Body(BodyEvent::Chunk(chunk.data)) })
            }
            Some(Event::Waiting(waiting)) => Ok(Step::Body(BodyEvent::Waiting(printable(&waiting.reason)))),
            Some(Event::End(end)) => self.end(end.total),
            Some(Event::Opened(_)) => protocol("Opened came twice".into()),
            // From a plugin of next year: nothing that this host asked for.
            None => Ok(Step::Empty),
        }
    }

    /// Judges the next bytes of the data socket.
    pub(super) fn accept_data(&mut self, data: Bytes) -> Result<BodyEvent, Violation> {
        self.check_chunk(self.next, data.len() as u64)?;
        Ok(BodyEvent::Chunk(data))
    }

    /// What the bytes come by, where they do not come as chunks.
    pub(super) fn carrier(&self) -> Option<&Carrier> {
        self.carrier.as_ref()
    }

    /// Bytes received so far.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Offset of the byte that must come next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    fn check_chunk(&mut self, offset: u64, length: u64) -> Result<(), Violation> {
        if offset != self.next {
            return protocol(format!("a chunk came for offset {offset}, expected {}", self.next));
        }
        let (Some(next), Some(received)) = (self.next.checked_add(length), self.received.checked_add(length)) else {
            return protocol(format!("a chunk of {length} bytes came for offset {offset}, where no resource can be"));
        };
        if let Some(limit) = self.limit.filter(|limit| received > *limit) {
            return protocol(format!("it sends more than {limit} bytes, which is all that it should"));
        }
        self.received = received;
        self.next = next;
        Ok(())
    }

    fn end(&mut self, total: u64) -> Result<Step, Violation> {
        let expected = self.expected.unwrap_or(total);
        if self.received != expected || self.received != total {
            let expected = if self.received == expected { total } else { expected };
            return Err(Violation::Incomplete { got: self.received, expected });
        }
        self.ended = true;
        Ok(Step::End)
    }
}

/// How many bytes `opened` announces; refuses what is neither the range that was asked for nor one from 0.
fn check_range(asked: Range, opened: &WireOpened) -> Result<Option<u64>, Violation> {
    let served: Range = opened.range.unwrap_or_default().into();
    let total = opened.metadata.as_ref().and_then(|metadata| metadata.content_length);
    if served.start != asked.start && served.start != 0 {
        return protocol(format!("it opened at offset {}, asked for {}", served.start, asked.start));
    }
    if total.is_some_and(|total| served.start.saturating_add(served.length.unwrap_or(0)) > total) {
        let length = total.unwrap_or_default();
        return protocol(format!("it announces bytes behind the end of a resource of {length} bytes"));
    }
    let rest = total.map(|total| total - served.start.min(total));
    if served.start != asked.start {
        return match (served.length, total) {
            (Some(served), Some(total)) if served != total => {
                protocol(format!("it serves {served} bytes from 0 instead of the range, and not all {total}"))
            }
            _ => Ok(served.length.or(rest)),
        };
    }
    let wanted = match (asked.length, rest) {
        (Some(length), Some(rest)) => Some(length.min(rest)),
        (length, rest) => length.or(rest),
    };
    match (served.length, wanted) {
        (Some(served), Some(wanted)) if served > wanted => {
            protocol(format!("it announces {served} bytes, asked for {wanted}"))
        }
        // Without the total nobody knows where the resource ends: then a shorter range may be all there is.
        (Some(served), Some(wanted)) if served < wanted && total.is_some() => {
            protocol(format!("it announces {served} bytes, asked for {wanted}"))
        }
        (served, wanted) => Ok(served.or(wanted.filter(|_| total.is_some()))),
    }
}

fn name(event: Option<&Event>) -> &'static str {
    match event {
        Some(Event::Opened(_)) => "Opened",
        Some(Event::Chunk(_)) => "Chunk",
        Some(Event::Waiting(_)) => "Waiting",
        Some(Event::End(_)) => "End",
        None => "empty",
    }
}

#[cfg(test)]
mod tests {
    use plugin_proto::resource::{Chunk, End, Metadata, Range as WireRange, Waiting};

    use super::*;

    fn message(event: Event) -> DownloadResponse {
        DownloadResponse { event: Some(event) }
    }

    fn opened(start: u64, length: Option<u64>, total: Option<u64>) -> DownloadResponse {
        let metadata = Metadata { content_length: total, ..Metadata::default() };
        message(Event::Opened(WireOpened {
            range: Some(WireRange { start, length }),
            metadata: Some(metadata),
            ..WireOpened::default()
        }))
    }

    fn chunk(offset: u64, data: &'static str) -> DownloadResponse {
        message(Event::Chunk(Chunk { offset, data: data.into() }))
    }

    fn end(total: u64) -> DownloadResponse {
        message(Event::End(End { total }))
    }

    const WHOLE: Range = Range { start: 0, length: None };

    /// Runs a whole stream and returns what came of it.
    fn assemble(asked: Range, messages: Vec<DownloadResponse>) -> Result<u64, String> {
        let mut messages = messages.into_iter();
        let (mut assembly, _) = Assembly::open(asked, messages.next().unwrap()).map_err(|error| error.to_string())?;
        for message in messages {
            assembly.accept(message).map_err(|error| error.to_string())?;
        }
        if assembly.ended { Ok(assembly.received()) } else { Err("no end".into()) }
    }

    #[test]
    fn a_stream_by_the_book_is_accepted() {
        let waiting = message(Event::Waiting(Waiting { reason: "tape".into() }));
        let messages =
            vec![opened(0, Some(5), Some(5)), waiting, chunk(0, "hel"), chunk(3, ""), chunk(3, "lo"), end(5)];
        assert_eq!(assemble(WHOLE, messages), Ok(5));
        assert_eq!(assemble(WHOLE, vec![opened(0, None, None), chunk(0, "hello"), end(5)]), Ok(5));
        assert_eq!(assemble(WHOLE, vec![opened(0, Some(0), Some(0)), end(0)]), Ok(0));
    }

    #[test]
    fn a_range_is_what_was_asked_for_or_begins_at_0() {
        let asked = Range { start: 2, length: Some(2) };
        assert_eq!(assemble(asked, vec![opened(2, Some(2), Some(5)), chunk(2, "ll"), end(2)]), Ok(2));
        assert_eq!(assemble(asked, vec![opened(2, Some(1), Some(3)), chunk(2, "l"), end(1)]), Ok(1));
        assert_eq!(assemble(asked, vec![opened(0, Some(5), Some(5)), chunk(0, "hello"), end(5)]), Ok(5));
        assert_eq!(assemble(asked, vec![opened(0, None, None), chunk(0, "hello"), end(5)]), Ok(5));
        let unknown = vec![opened(2, None, None), chunk(2, "llo")];
        assert_eq!(assemble(asked, unknown), Err("it sends more than 2 bytes, which is all that it should".into()));
        let wrong = |message| assemble(asked, vec![message]).unwrap_err();
        assert_eq!(wrong(opened(0, Some(4), Some(5))), "it serves 4 bytes from 0 instead of the range, and not all 5");
        assert_eq!(wrong(opened(1, Some(2), Some(5))), "it opened at offset 1, asked for 2");
        assert_eq!(wrong(opened(2, Some(3), Some(5))), "it announces 3 bytes, asked for 2");
        assert_eq!(wrong(opened(2, Some(1), Some(5))), "it announces 1 bytes, asked for 2");
        assert!(wrong(opened(2, Some(2), Some(3))).contains("behind the end of a resource of 3 bytes"));
        assert!(wrong(opened(2, Some(u64::MAX), Some(5))).contains("behind the end"));
    }

    #[test]
    fn offsets_have_no_gap_and_no_overlap() {
        for wrong in [1, 4, 9] {
            let messages = vec![opened(0, None, None), chunk(0, "he"), chunk(wrong, "x")];
            let fact = format!("a chunk came for offset {wrong}, expected 2");
            assert_eq!(assemble(WHOLE, messages), Err(fact));
        }
    }

    /// A seed of the fuzzer's: the offsets stood still at the last one, and the bytes were put into one place.
    #[test]
    fn offsets_end_with_the_last_one_there_is() {
        let asked = Range { start: u64::MAX - 3, length: None };
        let messages = vec![opened(asked.start, None, None), chunk(asked.start, "hello")];
        assert!(assemble(asked, messages).unwrap_err().contains("where no resource can be"));
    }

    #[test]
    fn more_bytes_than_announced_are_refused_before_they_are_written() {
        let messages = vec![opened(0, Some(4), Some(4)), chunk(0, "hello")];
        assert_eq!(assemble(WHOLE, messages), Err("it sends more than 4 bytes, which is all that it should".into()));
        let messages = vec![opened(0, None, Some(4)), chunk(0, "hello")];
        assert_eq!(assemble(WHOLE, messages), Err("it sends more than 4 bytes, which is all that it should".into()));
    }

    #[test]
    fn an_end_must_fit_what_came() {
        let ends =
            |announced, total| assemble(WHOLE, vec![opened(0, announced, announced), chunk(0, "hel"), end(total)]);
        assert_eq!(ends(Some(5), 3), Err("got 3 bytes, expected 5".into()));
        assert_eq!(ends(Some(3), 5), Err("got 3 bytes, expected 5".into()));
        assert_eq!(ends(None, 5), Err("got 3 bytes, expected 5".into()));
        assert_eq!(ends(None, 3), Ok(3));
    }

    #[test]
    fn nothing_comes_before_opened_or_after_end() {
        assert_eq!(
            assemble(WHOLE, vec![chunk(0, "x")]),
            Err("the first message of a download is Chunk, not Opened".into())
        );
        let twice = vec![opened(0, None, None), opened(0, None, None)];
        assert_eq!(assemble(WHOLE, twice), Err("Opened came twice".into()));
        let after = vec![opened(0, None, None), end(0), chunk(0, "x")];
        assert_eq!(assemble(WHOLE, after), Err("a message came after End".into()));
    }
}
