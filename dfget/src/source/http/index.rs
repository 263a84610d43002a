//! Directories: the indexes that servers make of them, read as listings.
//!
//! * [`place`]: which links of an index lead to an entry of its directory
//! * `page`: the bytes of an index, within limits
//! * `html`: what nginx, Apache, lighttpd, Caddy and Python's `http.server` have in common: links
//! * `json`: what nginx makes with `autoindex_format json`: exact lengths and times

#[cfg(any(fuzzing, test))]
pub(super) mod fuzzing;
mod html;
mod json;
mod page;
mod place;

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    io::{self, Read},
};

use futures_util::{StreamExt, future::ready, stream, stream::BoxStream};
use plugin_sdk::{Entry, Error};
use reqwest::{Response, header};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use self::{page::Page, place::Place};
use super::{answer::coding_of, text};

/// Entries that were read and that nobody has asked for yet.
const AHEAD: usize = 256;

/// Entries of one directory: of more, to know which came before would take too much memory.
const ENTRIES: usize = 1_000_000;

pub(super) type Entries = BoxStream<'static, Result<Entry, Error>>;

/// What a server answers for a directory.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Html,
    Json,
}

/// The entries of the directory at `listed`, for which the server gave `answer`. Entries come while the rest of the index
/// is on its way.
///
/// # Errors
///
/// * [`Error::InvalidRequest`]: it is no directory, or no index that is understood
pub(super) fn entries(answer: Response, listed: &str) -> Result<Entries, Error> {
    let (place, kind) = (Place::of(listed, answer.url())?, Kind::of(&answer)?);
    let (sender, receiver) = mpsc::channel(AHEAD);
    let (page, arrival) = Page::of(answer);
    let reading = tokio::task::spawn_blocking(move || kind.read(page, place, Outlet::new(sender)));
    // Without its end, whoever reads the index may have failed in the middle of it.
    let ended = stream::once(reading).filter_map(|ended| ready(failure(ended)));
    let entries = ReceiverStream::new(receiver).map(Ok).chain(ended.map(Err));
    let held = move |entry| {
        let _arrival = &arrival;
        entry
    };
    Ok(entries.map(held).boxed())
}

fn failure(ended: Result<io::Result<()>, tokio::task::JoinError>) -> Option<Error> {
    match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.downcast().unwrap_or_else(Error::internal)),
        Err(failed) => Some(Error::internal(failed)),
    }
}

impl Kind {
    fn of(answer: &Response) -> Result<Self, Error> {
        if let Some(coding) = coding_of(answer.headers()) {
            return Err(refused(format!("its index is encoded as `{coding}`, which nobody asked for")));
        }
        let stated = text(answer.headers(), header::CONTENT_TYPE).unwrap_or_default();
        match stated.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "text/html" | "application/xhtml+xml" => Ok(Self::Html),
            "application/json" => Ok(Self::Json),
            other => Err(refused(format!("its index is `{other}`: dfget reads HTML, and nginx's JSON"))),
        }
    }

    fn read(self, page: impl Read, place: Place, outlet: Outlet) -> io::Result<()> {
        match self {
            Self::Html => html::read(page, place, outlet),
            Self::Json => json::read(page, &place, outlet),
        }
    }
}

/// Where the entries of an index go.
struct Outlet {
    entries: mpsc::Sender<Entry>,
    /// Hashes of the names that came: an index may link to one several times, from an icon as well.
    known: HashSet<u64>,
    hasher: RandomState,
}

impl Outlet {
    fn new(entries: mpsc::Sender<Entry>) -> Self {
        Self { entries, known: HashSet::new(), hasher: RandomState::new() }
    }

    /// Passes an entry on, unless there was one of its name. Waits while nobody wants more, and fails once nobody ever
    /// will.
    fn take(&mut self, entry: Entry) -> io::Result<()> {
        if !self.known.insert(self.hasher.hash_one(&entry.name)) {
            return Ok(());
        }
        if self.known.len() > ENTRIES {
            return Err(io::Error::other(refused(format!("its index has more than {ENTRIES} entries"))));
        }
        self.entries.blocking_send(entry).map_err(io::Error::other)
    }
}

fn refused(message: String) -> Error {
    Error::InvalidRequest(message)
}
