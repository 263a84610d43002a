//! What is to be downloaded, and how.

use std::{ops::Range, sync::Arc, time::SystemTime};

use plugin_sdk::{Header, Metadata, Request, ResourceClient, Validator};

use super::{retry::Retry, transfer::in_time};
use crate::{
    error::{Error, SourceClass},
    limit::SlowLimit,
    url::ResourceUrl,
    verify::Expected,
};

/// One resource to fetch.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which one.
    pub url: ResourceUrl,
    /// How.
    pub settings: Arc<Settings>,
}

/// How resources are fetched.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Sent along to the storage.
    pub header: Header,
    /// The bytes that are wanted.
    pub wanted: Wanted,
    /// Write them where they are in the resource, with a hole before them.
    pub original_offset: bool,
    /// Connections at the same time; `None` begins with one and adds up to [`CONNECTIONS`](super::CONNECTIONS) in all
    /// while the source is slow.
    pub connections: Option<usize>,
    /// Bytes that a connection fetches at a time; `None` chooses it from the size.
    pub piece_length: Option<u64>,
    /// Go on where an earlier run stopped.
    pub resume: bool,
    /// How often one part is tried without a byte coming.
    pub tries: u32,
    /// How often one part may find its plugin dead without a byte coming.
    pub restarts: u32,
    /// What is too slow.
    pub slow: SlowLimit,
    /// What the whole must have.
    pub digest: Option<Expected>,
}

/// The bytes of a resource that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// From the first of these offsets to before the second; `u64::MAX` is the resource's end.
    Range(u64, u64),
    /// So many, up to the end.
    Last(u64),
}

impl Default for Wanted {
    /// All of them.
    fn default() -> Self {
        Self::Range(0, u64::MAX)
    }
}

impl Job {
    /// What its source is asked.
    #[must_use]
    pub fn request(&self) -> Request {
        Request { url: self.url.as_str().to_owned(), header: self.settings.header.clone() }
    }

    /// What its source knows of it without reading it.
    ///
    /// # Errors
    ///
    /// * those of the source, and [`Error::Stalled`]
    pub async fn metadata(&self, client: &dyn ResourceClient) -> Result<Metadata, Error> {
        let (request, mut retry) = (self.request(), Retry::new(self.settings.tries, self.settings.restarts));
        loop {
            let answer = in_time(client.metadata(&request), &self.url, self.settings.slow.time).await;
            let Err(error) = answer else { return answer };
            let Some(pause) = retry.after(&error) else { return Err(error) };
            if let Some(time) = pause.time() {
                tracing::warn!("{error}; asking again in {:.1} s", time.as_secs_f64());
            }
            pause.pass(client, error).await?;
        }
    }

    /// Whether its source has another version than the one of that time.
    ///
    /// # Errors
    ///
    /// * those of the source, and [`Error::Stalled`]
    pub async fn is_expired(&self, client: &dyn ResourceClient, modified: SystemTime) -> Result<bool, Error> {
        let validator = Validator { etag: None, last_modified: Some(modified) };
        in_time(client.expired(&self.request(), &validator), &self.url, self.settings.slow.time).await
    }

    /// What has come is of no use any more.
    pub(super) fn changed(&self, fact: &str) -> Error {
        self.refused(SourceClass::Changed, fact)
    }

    pub(super) fn refused(&self, class: SourceClass, fact: &str) -> Error {
        Error::Source { class, subject: self.url.to_string(), fact: fact.to_owned(), retry_after: None }
    }

    /// The bytes wanted of a resource of `total` bytes.
    pub(super) fn wanted_of(&self, total: Option<u64>) -> Range<u64> {
        let end_of_all = total.unwrap_or(u64::MAX);
        let (start, end) = match self.settings.wanted {
            Wanted::Range(start, end) => (start, end.min(end_of_all)),
            Wanted::Last(length) => (end_of_all.saturating_sub(length), end_of_all),
        };
        start.min(end)..end
    }
}
