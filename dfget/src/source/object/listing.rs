//! One level of a bucket: the keys and the common prefixes beneath a prefix, as they come, page by page.

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use opendal::raw::{OpList, oio};
use plugin_sdk::{Entry, Error, Metadata, Request};

use super::{
    Location, Store, answer,
    bucket::{Bucket, Call},
    not_a_directory,
};

/// Twice what the longest pages have, Azure's of 5,000.
const LONGEST_PAGE: usize = 10_000;

/// What is beneath `location`, or `None` if nothing is.
///
/// # Errors
///
/// * [`Error::InvalidRequest`]: it is a file
/// * those of a refusal
pub(super) async fn entries(
    store: &'static Store,
    bucket: &Bucket,
    location: &Location,
    request: &Request,
) -> Result<Option<BoxStream<'static, Result<Entry, Error>>>, Error> {
    loop {
        let mut listing = Listing::new(store, bucket.call(location, &request.header)?, location.clone());
        let first = match listing.found().await {
            Ok(first) => first,
            Err(made) if bucket.tries_otherwise(&listing.call, &made)? => continue,
            Err(made) => return Err(listing.error(&made)),
        };
        if first.is_none() && !listing.exists {
            return Ok(None);
        }
        let first = first.map(|first| listing.entry(first));
        let rest = stream::unfold(listing, |mut listing| async {
            let found = listing.next().await.transpose()?;
            Some((found, listing))
        });
        return Ok(Some(stream::iter(first).chain(rest).boxed()));
    }
}

struct Listing {
    store: &'static Store,
    call: Call,
    location: Location,
    prefix: String,
    /// Made when it is first asked for an entry.
    lister: Option<oio::Lister>,
    /// Whether there is such a directory, though it may be empty.
    exists: bool,
    ended: bool,
    order: Order,
}

/// Stores list in the order of the keys; within a page objects and directories may come apart.
#[derive(Default)]
struct Order {
    highest: String,
    /// Entries since the highest.
    since: usize,
}

impl Order {
    /// Refuses a listing that has not gone on for longer than any page is: it would never end.
    fn check(&mut self, path: &str) -> opendal::Result<()> {
        if path > self.highest.as_str() {
            *self = Self { highest: path.to_owned(), since: 0 };
            return Ok(());
        }
        self.since += 1;
        if self.since <= LONGEST_PAGE {
            return Ok(());
        }
        Err(opendal::Error::new(
            opendal::ErrorKind::Unexpected,
            "the listing does not go on: the same entries come again",
        ))
    }
}

impl Listing {
    fn new(store: &'static Store, call: Call, location: Location) -> Self {
        let prefix = location.prefix();
        // A bucket is there, or is refused.
        let exists = prefix.is_empty();
        Self { store, call, location, prefix, lister: None, exists, ended: false, order: Order::default() }
    }

    async fn next(&mut self) -> Result<Option<Entry>, Error> {
        if self.ended {
            return Ok(None);
        }
        let found = self.found().await.map_err(|made| self.error(&made)).transpose();
        let next = found.map(|found| found.and_then(|found| self.entry(found))).transpose();
        self.ended = !matches!(next, Ok(Some(_)));
        next
    }

    /// What comes next, without the object that stands for the directory itself.
    async fn found(&mut self) -> opendal::Result<Option<oio::Entry>> {
        let Self { call, prefix, lister, exists, order, .. } = self;
        let lister = match lister {
            Some(lister) => lister,
            None => {
                let path = if prefix.is_empty() { "/" } else { prefix.as_str() };
                lister.insert(call.service.inner.list_dyn(&call.context, path, OpList::new())?)
            }
        };
        while let Some(found) = lister.next_dyn().await? {
            order.check(found.path())?;
            if found.path() != prefix.as_str() && found.path() != "/" {
                return Ok(Some(found));
            }
            *exists = true;
        }
        Ok(None)
    }

    /// A name that no file can have is for the host to refuse.
    fn entry(&self, found: oio::Entry) -> Result<Entry, Error> {
        let (path, told) = found.into_parts();
        let Some(name) = path.strip_prefix(&self.prefix) else { return Err(not_a_directory(&self.location)) };
        let directory = told.is_dir();
        let name = if directory { name.strip_suffix('/').unwrap_or(name) } else { name };
        let metadata = if directory { Metadata::default() } else { answer::metadata(self.store.identity, &told) };
        Ok(Entry { name: name.to_owned(), directory, metadata, ..Entry::default() })
    }

    fn error(&self, made: &opendal::Error) -> Error {
        self.call.error(self.store, &self.location, made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_that_does_not_go_on_is_refused() {
        let mut order = Order::default();
        for path in ["b/", "c/", "a", "bb", "d"] {
            order.check(path).unwrap();
        }
        let again = (0..=LONGEST_PAGE).find_map(|_| order.check("a").err());
        assert!(again.is_some_and(|error| error.to_string().contains("does not go on")));
    }
}
