//! Downloads whose bytes come on a data socket, in the plugin `data-sockets`; in `raw`, where nobody has asked for one.
//!
//! | `data` in the query | what comes |
//! |---|---|
//! | `good` | all by the book |
//! | `early-end` | `End` before the bytes |
//! | `short` | `at` bytes, and an `End` as if all had come |
//! | `long` | a byte more than announced |
//! | `chunk` | a chunk beside them |
//! | `no-length` | no word of how many they are |
//! | `elsewhere` | a socket in another directory |
//! | `nobody` | a socket that is not there |
//! | `fail-first` | the same, and the reason |
//! | `fail-late` | INTERNAL after `at` bytes, and a moment later the end of the socket |
//! | `silent` | after `at` bytes nothing more, and the socket stays open |
//! | `die` | after `at` bytes the plugin dies, once, as `deaths` has it |

use std::{
    fs::OpenOptions,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use faultplug::{Content, query};
use futures_util::{StreamExt, stream};
use plugin_proto::resource::{DownloadResponse, Metadata, Opened, Range, Validator, download_response::Event};

use tonic::Status;

use super::{
    calls::Answers,
    stream::{chunk, end, message},
};
use crate::socket_dir;

static SOCKETS: AtomicU64 = AtomicU64::new(0);

/// `start` is that of the range that was asked for.
pub(super) fn messages(url: &str, start: u64) -> Answers<DownloadResponse> {
    let content = Content::of_url(url);
    let kind = query::value(url, "data").unwrap_or_default().to_owned();
    let (listener, name) = listen();
    let shown = match kind.as_str() {
        "elsewhere" => format!("../{name}"),
        "nobody" | "fail-first" => "data-nobody".into(),
        _ => name,
    };
    let opened = message(Event::Opened(opened(start, shown, (kind != "no-length").then_some(content.size))));
    let (url, total) = (url.to_owned(), content.size - start);
    let sender = tokio::task::spawn_blocking(move || send(&listener, content, start, &url));
    let beside = match kind.as_str() {
        "early-end" => Some(end(total)),
        "fail-first" => Some(Err(Status::not_found("no tape"))),
        "fail-late" => Some(Err(Status::internal("the tape broke"))),
        "chunk" => Some(chunk(start, content.bytes(start..start + 1))),
        _ => None,
    };
    let sent = stream::once(async move {
        let _ = sender.await;
        end(total)
    });
    let last = sent.filter(move |_| futures_util::future::ready(kind != "early-end"));
    Box::new(stream::iter([opened]).chain(stream::iter(beside)).chain(last).boxed())
}

/// A data socket, and its name.
pub(super) fn listen() -> (UnixListener, String) {
    let name = format!("data{}", SOCKETS.fetch_add(1, Ordering::Relaxed));
    let listener = UnixListener::bind(format!("{}/{name}", socket_dir())).expect("there is room for a socket");
    (listener, name)
}

/// `total` is what it says of the length.
pub(super) fn opened(start: u64, data_socket: String, total: Option<u64>) -> Opened {
    let length = total.map(|total| total - start);
    let validator = Validator { etag: "\"1\"".into(), last_modified: None };
    let metadata =
        Metadata { content_length: total, validator: Some(validator), support_range: true, ..Metadata::default() };
    let range = Some(Range { start, length });
    Opened { range, metadata: Some(metadata), data_socket, ..Opened::default() }
}

fn send(listener: &UnixListener, content: Content, start: u64, url: &str) {
    let Ok((mut stream, _)) = listener.accept() else { return };
    let at = query::number(url, "at").unwrap_or_default().max(start);
    let stop = match query::value(url, "data").unwrap_or_default() {
        "short" | "silent" | "fail-late" => at,
        "die" if is_first(url) => at,
        "long" => content.size + 1,
        _ => content.size,
    };
    let _ = stream.write_all(&content.bytes(start..stop));
    match query::value(url, "data").unwrap_or_default() {
        // Longer than it takes to hear the status, shorter than a host looks for the reason.
        "fail-late" => thread::sleep(Duration::from_millis(10)),
        "silent" => loop {
            thread::sleep(Duration::from_secs(60));
        },
        "die" if stop < content.size => {
            wait_for_reader(&stream);
            std::process::exit(3);
        }
        _ => wait_for_reader(&stream),
    }
}

/// Until the host has read it all; or for a moment, where it has not closed.
pub(super) fn wait_for_reader(mut stream: &UnixStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    // What the host needs no more of memory that is shared comes here.
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Whether nobody has left a byte in the file yet.
pub(super) fn is_first(url: &str) -> bool {
    let Some(path) = query::value(url, "deaths") else { return true };
    if std::fs::metadata(path).is_ok_and(|file| file.len() > 0) {
        return false;
    }
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(b"x")).is_ok()
}
