//! The messages of a download, lazily: some of them never end.
//!
//! | `fault` in the query | what comes |
//! |---|---|
//! | none | all by the book |
//! | `no-end` | no `End`, and the status is OK |
//! | `short` | `at` bytes, then `End` |
//! | `wrong-total` | an `End` with one byte more than came |
//! | `long` | a chunk more than announced |
//! | `endless` | chunks for ever |
//! | `offset` | after `at` bytes, an offset `by` too high; `back` too low |
//! | `no-opened` | chunks at once |
//! | `opened-twice` | a second `Opened` |
//! | `opened-late` | begins at byte `at`, which nobody asked for |
//! | `after-end` | a chunk after `End` |
//! | `empty-chunks`, `no-events` | after `at` bytes, empty messages for ever |
//! | `waiting` | after `at` bytes, `Waiting` for ever, as fast as it can |
//! | `large` | a chunk of `bytes` bytes; `large-opened`: the first message is that large |
//! | `status` | `code`, after `at` bytes, or instead of any answer; see [`super::trailer`] |
//! | `big` | chunks of 2 MiB |
//! | `disconnect` | after `at` bytes the connection ends, and the plugin lives |

use std::iter;

use bytes::Bytes;
use faultplug::{Content, query};
use plugin_proto::resource::{
    Chunk, DownloadResponse, End, Header, Metadata, Opened, Range, Waiting, download_response::Event,
};
use tonic::Status;

use super::{disconnect, trailer};

pub(super) type Message = Result<DownloadResponse, Status>;
type Messages = Box<dyn Iterator<Item = Message> + Send>;

/// Bytes in a chunk.
const CHUNK: u64 = 65_536;

/// The same of chunks that should be smaller.
const BIG: usize = 2 * 1024 * 1024;

pub(super) fn messages(url: &str) -> Messages {
    let content = Content::of_url(url);
    let number = |key| query::number(url, key).unwrap_or_default();
    let at = number("at").min(content.size);
    let begun = || iter::once(opened(content, 0)).chain(chunks(content, 0, at));
    let rest = || chunks(content, at, content.size).chain([end(content.size)]);
    let url = url.to_owned();
    match query::value(&url, "fault").unwrap_or_default() {
        "no-end" => Box::new(begun().chain(chunks(content, at, content.size))),
        "short" => Box::new(begun().chain([end(at)])),
        "wrong-total" => Box::new(begun().chain(chunks(content, at, content.size)).chain([end(content.size + 1)])),
        "long" => Box::new(begun().chain(chunks(content, at, content.size + CHUNK)).chain([end(content.size + CHUNK)])),
        "endless" => Box::new(begun().chain(chunks(content, at, u64::MAX))),
        "offset" => {
            let wrong = (at + number("by")).saturating_sub(number("back"));
            Box::new(begun().chain([chunk(wrong, content.bytes(at..at + 1))]).chain(rest()))
        }
        "no-opened" => Box::new(chunks(content, 0, content.size).chain([end(content.size)])),
        "opened-twice" => Box::new(begun().chain([opened(content, 0)]).chain(rest())),
        "opened-late" => Box::new(iter::once(opened(content, at)).chain(rest())),
        "after-end" => Box::new(begun().chain(rest()).chain([chunk(content.size, vec![0])])),
        "empty-chunks" => Box::new(begun().chain(iter::repeat_with(move || chunk(at, Vec::new())))),
        "no-events" => Box::new(begun().chain(iter::repeat_with(|| Ok(DownloadResponse { event: None })))),
        "waiting" => Box::new(begun().chain(iter::repeat_with(|| message(Event::Waiting(Waiting::default()))))),
        "large" => Box::new(begun().chain([chunk(at, vec![0; number("bytes") as usize])]).chain(rest())),
        "big" => {
            let big = (0..content.size).step_by(BIG).map(move |at| {
                let stop = content.size.min(at + BIG as u64);
                chunk(at, content.bytes(at..stop))
            });
            Box::new(iter::once(opened(content, 0)).chain(big).chain([end(content.size)]))
        }
        "large-opened" => Box::new(iter::once(large_opened(content, number("bytes")))),
        "status" => Box::new(begun().chain(iter::once_with(move || Err(trailer::status(&url))))),
        "disconnect" => Box::new(begun().chain(iter::once_with(move || {
            disconnect();
            chunk(at, Vec::new())
        }))),
        _ => Box::new(begun().chain(rest())),
    }
}

pub(super) fn message(event: Event) -> Message {
    Ok(DownloadResponse { event: Some(event) })
}

fn opened(content: Content, start: u64) -> Message {
    let range = Range { start, length: Some(content.size - start) };
    let metadata = Metadata { content_length: Some(content.size), ..Metadata::default() };
    message(Event::Opened(Opened { status: 200, range: Some(range), metadata: Some(metadata), ..Opened::default() }))
}

fn large_opened(content: Content, bytes: u64) -> Message {
    let header = Header { name: "x".into(), value: "v".repeat(bytes as usize) };
    let metadata = Metadata { content_length: Some(content.size), ..Metadata::default() };
    message(Event::Opened(Opened { header: vec![header], metadata: Some(metadata), ..Opened::default() }))
}

fn chunks(content: Content, from: u64, to: u64) -> impl Iterator<Item = Message> + Send {
    let mut at = from;
    iter::from_fn(move || {
        let stop = at.saturating_add(CHUNK).min(to);
        let message = (at < stop).then(|| chunk(at, content.bytes(at..stop)));
        at = stop;
        message
    })
}

pub(super) fn chunk(offset: u64, data: Vec<u8>) -> Message {
    message(Event::Chunk(Chunk { offset, data: Bytes::from(data) }))
}

pub(super) fn end(total: u64) -> Message {
    message(Event::End(End { total }))
}
