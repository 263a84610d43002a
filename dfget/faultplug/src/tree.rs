//! A tree that is made up as it is listed, the same one each time: nothing is kept of it, however large it is.
//!
//! The query of a URL is that of all beneath it, and says what is in each directory.
//!
//! | in the query | what is in a directory |
//! |---|---|
//! | `files=N` | the files `f0` to `fN-1`, each with bytes of its own; any of these makes the resource a tree |
//! | `dirs=N`, with `depth=D` | the directories `d0` to `dN-1`, D levels deep; 1 |
//! | `wide` | those have names of 255 bytes |
//! | `empty` | the directory `empty`, with nothing in it; in the uppermost one only, as all that follow |
//! | `names=hostile` | names that no host takes |
//! | `names=twice` | `twice`, two times a file; `both`, a file and a directory; `htob`, the other way round |
//! | `names=long` | names so long that there is no room behind them for dfget's suffixes |
//! | `names=urls` | entries with URLs of their own |
//!
//! | in the query | what else is with it |
//! |---|---|
//! | `modified=S` | files changed last so many seconds after the epoch; without it nobody knows when |
//! | `bare` | the listing tells neither length nor time |
//! | `content=given`, or `short` | files come with their content, asked for or not; or with all but the last byte of it |
//! | `changed=NAME` | that file has other bytes, and is a minute newer |
//! | `fail-every=K`, with `code=N` | files whose number K divides cannot be downloaded, with this gRPC code; 5 |
//! | `missing=NAME` | that directory cannot be listed |
//! | `list-fails-at=K` | after K entries of the uppermost directory, its listing fails |
//! | `list-holds-at=K` | then nothing more comes |
//! | `list-busy` | the first listing of this process is refused with Unavailable, and any other one is well |
//! | `list-endless` | files, for ever |
//! | `list-unanswered` | it is not answered |

use std::{
    future,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use plugin_sdk::{Bytes, Entry, Error, Metadata};

use faultplug::{Content, Tree, query};

type Entries = BoxStream<'static, Result<Entry, Error>>;

/// Whether a listing was refused already.
static BUSY: AtomicBool = AtomicBool::new(false);

/// The entries of the directory at `url`.
pub(crate) async fn list(url: &str, file: fn(&str) -> Metadata) -> Result<Entries, Error> {
    let tree = Tree::of_url(url).ok_or_else(|| Error::InvalidRequest("it is no directory".into()))?;
    if query::value(url, "list-unanswered").is_some() {
        future::pending::<()>().await;
    }
    if query::value(url, "list-busy").is_some() && !BUSY.swap(true, Ordering::Relaxed) {
        return Err(Error::unavailable("the robot fetches another tape"));
    }
    if tree.name().is_some_and(|name| query::value(url, "missing") == Some(name)) {
        return Err(Error::NotFound("it was there when it was listed".into()));
    }
    let (parent, bare) = (url.to_owned(), query::value(url, "bare").is_some());
    let listed = move |entry: Entry| {
        let url = Tree::child(&parent, &entry.name);
        let metadata = if bare || entry.directory { Metadata::default() } else { file(&url) };
        Entry { metadata, content: content(&url, &entry), ..entry }
    };
    let files = if query::value(url, "list-endless").is_some() { u64::MAX } else { tree.files };
    let files = (0..files).map(|number| entry(&format!("f{number}"), false));
    let width = if query::value(url, "wide").is_some() { 254 } else { 0 };
    let directories = (0..tree.directories()).map(move |number| entry(&format!("d{number:0>width$}"), true));
    let entries = special(url, &tree).into_iter().chain(directories).chain(files).map(listed);
    Ok(broken(url, &tree, stream::iter(entries).map(Ok).boxed()))
}

/// As the query has it: cut off, or held.
fn broken(url: &str, tree: &Tree<'_>, entries: Entries) -> Entries {
    let number = |key| query::number(url, key).filter(|_| tree.is_root()).and_then(|at| usize::try_from(at).ok());
    match (number("list-fails-at"), number("list-holds-at")) {
        (Some(at), _) => {
            let end = Error::internal("the tape has snapped \x1b[2J");
            entries.take(at).chain(stream::iter([Err(end)])).boxed()
        }
        (_, Some(at)) => entries.take(at).chain(stream::pending()).boxed(),
        _ => entries,
    }
}

fn content(url: &str, entry: &Entry) -> Option<Bytes> {
    let content = Content::of_url(url);
    let end = match query::value(url, "content").filter(|_| !entry.directory)? {
        "short" => content.size.saturating_sub(1),
        _ => content.size,
    };
    Some(content.bytes(0..end).into())
}

fn entry(name: &str, directory: bool) -> Entry {
    Entry { name: name.to_owned(), directory, ..Entry::default() }
}

/// What stands in the uppermost directory alone.
fn special(url: &str, tree: &Tree<'_>) -> Vec<Entry> {
    if !tree.is_root() {
        return Vec::new();
    }
    let empty = query::value(url, "empty").map(|_| entry("empty", true));
    let mut entries: Vec<Entry> = empty.into_iter().collect();
    match query::value(url, "names") {
        Some("hostile") => {
            let long = "x".repeat(300);
            entries.extend(HOSTILE.into_iter().chain([&*long]).map(|name| entry(name, false)));
            entries.extend(["..", "/etc", "%2e%2e"].map(|name| entry(name, true)));
        }
        Some("twice") => entries.extend([
            entry("twice", false),
            entry("twice", false),
            entry("both", false),
            entry("both", true),
            entry("htob", true),
            entry("htob", false),
        ]),
        Some("long") => entries.extend([255, 250, 245, 240].map(|length| entry(&"x".repeat(length), false))),
        Some("urls") => entries.extend([
            Entry { url: Some(Tree::child(url, "elsewhere")), ..entry("moved", false) },
            Entry { url: Some("http://127.0.0.1:1/x?sig=s3cret-listed".into()), ..entry("other-scheme", false) },
            Entry { url: Some("good://h/\x1b[2J".into()), ..entry("control", false) },
            Entry { url: Some("nothing".into()), ..entry("no-url", false) },
        ]),
        _ => {}
    }
    entries
}

/// No one of them is a name of one level that is fit for a terminal and not dfget's own.
const HOSTILE: [&str; 15] = [
    "",
    ".",
    "..",
    "/etc/passwd",
    "../outside",
    "a/b",
    "nul\0",
    "%2e%2e",
    "..%2foutside",
    "%2fetc%2fpasswd",
    "\x1b[2J\x1b]0;owned\x07",
    "line\nfeed",
    "x.part",
    "x.part.state",
    "x.part.state.new",
];

/// When the file at `url` changed last.
pub(crate) fn modified(url: &str) -> Option<SystemTime> {
    let seconds = query::number(url, "modified")?;
    let later = if Tree::is_changed(url) { 60 } else { 0 };
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds + later))
}

/// Fails if the file at `url` is one of those that cannot be downloaded.
pub(crate) fn check(url: &str) -> Result<(), Error> {
    let number = Tree::last_segment(url).strip_prefix('f').and_then(|number| number.parse::<u64>().ok());
    let fails = query::number(url, "fail-every").zip(number).is_some_and(|(every, number)| number % every.max(1) == 0);
    let words = || "a hole in the tape".to_owned();
    match query::number(url, "code").unwrap_or(5) {
        _ if !fails => Ok(()),
        7 => Err(Error::PermissionDenied(words())),
        14 => Err(Error::unavailable(words())),
        15 => Err(Error::DataLoss(words())),
        _ => Err(Error::NotFound(words())),
    }
}
