//! Lists a tree, one directory after the other.

use futures_util::{StreamExt, stream::BoxStream};
use plugin_sdk::{Bytes, Entry, Request, ResourceClient};

use super::{
    Found, Leaf, SafeRelativePath, TreeOptions,
    pending::{Directory, Pending},
};
use crate::{
    download::{Retry, Settings, in_time},
    error::Error,
    escape::printable,
    url::ResourceUrl,
};

/// No tree is deeper; one that seems to be leads in circles.
const DEEPEST: u32 = 128;

type Entries = BoxStream<'static, Result<Entry, plugin_sdk::Error>>;

/// A walk through the tree beneath a URL. The listing waits while nobody asks for more.
pub(crate) struct Walk<'a> {
    lister: Lister<'a>,
    options: &'a TreeOptions,
    root_url: &'a ResourceUrl,
    /// Before it is listed.
    root: Option<Directory>,
    pending: Pending,
    current: Option<Listing>,
}

/// A directory that is being listed.
struct Listing {
    directory: Directory,
    first: Option<Entry>,
    rest: Entries,
}

impl<'a> Walk<'a> {
    /// Begins at `root`.
    pub(crate) fn new(
        client: &'a dyn ResourceClient,
        settings: &'a Settings,
        options: &'a TreeOptions,
        root_url: &'a ResourceUrl,
    ) -> Self {
        let root = Some(Directory { url: root_url.clone(), path: SafeRelativePath::default(), depth: 0 });
        let (lister, pending) = (Lister { client, settings, content_limit: 0 }, Pending::default());
        Self { lister, options, root_url, root, pending, current: None }
    }

    /// Takes the content of files of at most `limit` bytes along with them, where the source gives it.
    pub(crate) fn with_content(mut self, limit: u64) -> Self {
        self.lister.content_limit = limit;
        self
    }

    /// Where it began.
    pub(crate) fn root(&self) -> &'a ResourceUrl {
        self.root_url
    }

    /// What comes next, or `None` at the end.
    ///
    /// # Errors
    ///
    /// * [`Error::Source`] and those of a plugin: the root itself cannot be listed
    /// * [`Error::LimitReached`]: too many directories
    pub(crate) async fn next(&mut self) -> Result<Option<Found>, Error> {
        loop {
            let Some(mut listing) = self.current.take() else {
                let Some(directory) = self.root.take().or_else(|| self.pending.pop()) else { return Ok(None) };
                self.pending.enter(directory.clone());
                match self.lister.open(&directory.url).await {
                    Ok((first, rest)) => self.current = Some(Listing { directory, first, rest }),
                    Err(error) => return failed(&directory, error),
                }
                continue;
            };
            let entry = match listing.first.take() {
                Some(entry) => Some(entry),
                None => match self.lister.entry(&mut listing.rest, &listing.directory.url).await {
                    Err(error) => return failed(&listing.directory, error),
                    Ok(entry) => entry,
                },
            };
            let Some(entry) = entry else { continue };
            let found = self.look_at(entry, &listing.directory)?;
            self.current = Some(listing);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn look_at(&mut self, entry: Entry, parent: &Directory) -> Result<Option<Found>, Error> {
        let (path, url) = match place_of(&entry, parent) {
            Ok(place) => place,
            Err(fact) => {
                let path = format!("`{}` in {}", printable(&entry.name), parent.url);
                let error = Error::PathRefused { path, fact };
                return Ok(Some(Found::Failed { subject: parent.url.to_string(), error }));
            }
        };
        let filter = &self.options.filter;
        if !entry.directory {
            let wanted = filter.wants_file(&path, &url);
            let Entry { metadata, content, .. } = entry;
            // What is not all of it, as far as is known, is downloaded; so is what nobody asked for.
            let limit = self.lister.content_limit;
            let whole = |content: &Bytes| {
                metadata.content_length == Some(content.len() as u64) && content.len() as u64 <= limit
            };
            let content = content.filter(whole);
            return Ok(wanted.then_some(Found::File(Leaf { url, path, metadata, content })));
        }
        if !filter.wants_directory(&path, &url) {
            return Ok(None);
        }
        let deeper = self.options.recursive && self.options.level.is_none_or(|level| parent.depth + 1 < level);
        if deeper && parent.depth + 1 >= DEEPEST {
            let (subject, fact) = (url.to_string(), "it is 128 levels deep, as if the tree led in circles");
            let error = Error::PathRefused { path: printable(path.as_str()), fact };
            return Ok(Some(Found::Failed { subject, error }));
        }
        if deeper && !self.pending.push(&entry.name, entry.url.as_ref().map(|_| &url)) {
            let fact = format!("{}: more directories wait to be listed than fit into 16 MiB", parent.url);
            return Err(Error::LimitReached { fact });
        }
        Ok(Some(Found::Directory(Leaf { url, path, metadata: entry.metadata, content: None })))
    }
}

/// Asks a source for entries.
#[derive(Clone, Copy)]
struct Lister<'a> {
    client: &'a dyn ResourceClient,
    settings: &'a Settings,
    /// Bytes that a file may have whose content comes along.
    content_limit: u64,
}

impl Lister<'_> {
    /// A listing and its first entry: before that has come, it can be tried again.
    async fn open(self, url: &ResourceUrl) -> Result<(Option<Entry>, Entries), Error> {
        let request = Request { url: url.as_str().to_owned(), header: self.settings.header.clone() };
        let mut retry = Retry::new(self.settings.tries, self.settings.restarts);
        loop {
            let listing = self.client.list_with_content(&request, self.content_limit);
            let error = match in_time(listing, url, self.settings.slow.time).await {
                Ok(mut entries) => match self.entry(&mut entries, url).await {
                    Ok(first) => return Ok((first, entries)),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let Some(pause) = retry.after(&error) else { return Err(error) };
            if let Some(time) = pause.time() {
                tracing::warn!("{error}; listing it again in {:.1} s", time.as_secs_f64());
            }
            pause.pass(self.client, error).await?;
        }
    }

    async fn entry(self, entries: &mut Entries, url: &ResourceUrl) -> Result<Option<Entry>, Error> {
        in_time(async { entries.next().await.transpose() }, url, self.settings.slow.time).await
    }
}

/// Where an entry goes, and where it comes from.
fn place_of(entry: &Entry, parent: &Directory) -> Result<(SafeRelativePath, ResourceUrl), &'static str> {
    let path = parent.path.join(&entry.name)?;
    let url = match &entry.url {
        None => parent.url.child(&entry.name).ok_or("it makes no URL")?,
        Some(text) if text.contains(char::is_control) => return Err("there are control characters in its URL"),
        Some(text) => text.parse().map_err(|_| "its URL is none")?,
    };
    // What is asked of this source goes to no other one.
    if url.scheme() == parent.url.scheme() { Ok((path, url)) } else { Err("its URL is of another scheme") }
}

/// Of the root it is the end; of a directory beneath it, the rest goes on.
fn failed(directory: &Directory, error: Error) -> Result<Option<Found>, Error> {
    if directory.path.is_root() {
        Err(error)
    } else {
        Ok(Some(Found::Failed { subject: directory.url.to_string(), error }))
    }
}
