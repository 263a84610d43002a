//! A source that is well and says something else, or does: what only a suite that compares its answers finds.
//!
//! | `lie` in the query | what is not so |
//! |---|---|
//! | `length` | the metadata has one byte more than the body |
//! | `disagree` | `GetContentLength` has one byte more than `GetMetadata` |
//! | `etag` | each answer has another ETag |
//! | `etag-of-process` | each process has another ETag |
//! | `expired` | no version ever expires |
//! | `any-version` | a download of another version is served |
//! | `no-ranges`, `ranges` | what the metadata says of ranges |
//! | `shift` | the bytes of a range are those of another resource |
//! | `beyond` | a range behind the end is an empty one |
//! | `past-end` | a range that ends behind the end is refused |
//! | `elsewhere` | a range begins a byte later |
//! | `digest`, `digest-form` | the digest is another one; it is in capitals |
//! | `empty` | an empty resource does not exist |
//! | `directory` | a directory can be downloaded |
//! | `file` | a file can be listed |
//! | `tells` | it logs what it was asked for, header included |
//! | `alone` | a fifth download at the same time is refused |
//! | `leak` | each download leaves a file open |
//! | `pool` | so do the first sixty; all others leave one open for half a second |
//! | `cancel` | many that are cancelled end all others |

use std::{
    fs::File,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use faultplug::{Content, Tree, query};
use plugin_sdk::{Digest, DownloadRequest, Error, Metadata, Range, Validator};

/// Downloads that run.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// Downloads that were.
static CANCELLED: AtomicU64 = AtomicU64::new(0);

/// Downloads at the same time that are no others.
const ALONE: u64 = 4;

/// Files of downloads that leave one open.
static POOLED: AtomicU64 = AtomicU64::new(0);

/// As many are kept.
const POOL: u64 = 60;

/// Answers that were given.
static ANSWERS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn is(url: &str, lie: &str) -> bool {
    query::value(url, "lie") == Some(lie)
}

/// `metadata` as it is told.
pub(crate) fn told(url: &str, mut metadata: Metadata) -> Metadata {
    let etag = |tag: u64| Validator { etag: Some(format!("\"{tag}\"")), last_modified: None };
    let digest = |hex: &str| vec![Digest { algorithm: "crc32".into(), hex: hex.into() }];
    match query::value(url, "lie").unwrap_or_default() {
        "etag" => metadata.validator = etag(ANSWERS.fetch_add(1, Ordering::Relaxed)),
        "etag-of-process" => metadata.validator = etag(std::process::id().into()),
        "ranges" => metadata.support_range = true,
        "no-ranges" => metadata.support_range = false,
        "digest" => metadata.digests = digest("00000000"),
        "digest-form" => metadata.digests = digest("ABCDEF01"),
        _ => {}
    }
    metadata
}

/// A byte more, where `lie` is what is told.
pub(crate) fn length(url: &str, lie: &str, length: Option<u64>) -> Option<u64> {
    length.map(|length| length + u64::from(is(url, lie)))
}

/// What a download does before it begins.
pub(crate) fn begin(wanted: &DownloadRequest) -> Result<Running, Error> {
    let url = &wanted.request.url;
    if is(url, "tells") {
        eprintln!("asked for {wanted:?}");
    }
    if is(url, "leak") {
        std::mem::forget(File::open("/dev/null")?);
    }
    if is(url, "pool") {
        let file = File::open("/dev/null")?;
        if POOLED.fetch_add(1, Ordering::Relaxed) < POOL {
            std::mem::forget(file);
        } else {
            // A connection that takes its time to close.
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(500));
                drop(file);
            });
        }
    }
    if is(url, "empty") && Content::of_url(url).size == 0 {
        return Err(Error::NotFound("there is nothing in it".into()));
    }
    if Tree::is_directory(url) && !is(url, "directory") {
        return Err(Error::InvalidRequest("it is a directory".into()));
    }
    let running = Running::default();
    if is(url, "alone") && running.others >= ALONE {
        return Err(Error::unavailable("not so many at a time"));
    }
    Ok(running)
}

/// The range that is served.
pub(crate) fn range(url: &str, asked: Range, size: u64) -> Result<Range, Error> {
    let end = asked.length.map(|length| asked.start.saturating_add(length));
    match query::value(url, "lie") {
        Some("beyond") if asked.start >= size => Ok(Range { start: asked.start, length: None }),
        Some("past-end") if end.is_some_and(|end| end > size) => {
            Err(Error::OutOfRange("the range ends behind the end".into()))
        }
        Some("elsewhere") if asked.start > 0 => Range { start: asked.start + 1, ..asked }.within(size),
        _ => asked.within(size),
    }
}

/// The bytes that are served from `start` on.
pub(crate) fn content(url: &str, start: u64) -> Content {
    let content = Content::of_url(url);
    let shift = is(url, "shift") && start > 0;
    Content { seed: content.seed + u64::from(shift), ..content }
}

/// A download, until it is dropped.
pub(crate) struct Running {
    others: u64,
    cancelled_before: u64,
    is_complete: bool,
}

impl Default for Running {
    fn default() -> Self {
        let others = RUNNING.fetch_add(1, Ordering::Relaxed);
        Self { others, cancelled_before: CANCELLED.load(Ordering::Relaxed), is_complete: false }
    }
}

impl Running {
    /// Between two chunks.
    pub(crate) fn go_on(&self, url: &str) -> Result<(), Error> {
        match CANCELLED.load(Ordering::Relaxed) > self.cancelled_before && is(url, "cancel") {
            true => Err(Error::unavailable("another one was cancelled")),
            false => Ok(()),
        }
    }

    pub(crate) fn complete(mut self) {
        self.is_complete = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
        // One of few may have been cancelled long ago, by somebody who looked at its beginning alone.
        let is_cancelled = !self.is_complete && self.others >= ALONE;
        CANCELLED.fetch_add(u64::from(is_cancelled), Ordering::Relaxed);
    }
}
