//! The story of one download: check the output, open the resource, fetch what is missing, verify, commit.

mod plan;
pub mod ranges;
mod retry;
pub mod state;
mod transfer;

use std::{
    ops::Range,
    sync::{Mutex, atomic::AtomicU64},
    time::Duration,
};

use plugin_sdk::{Download, DownloadRequest, Header, Opened, Options, Request, ResourceClient, Validator};

use self::{
    plan::Plan,
    ranges::RangeSet,
    retry::Retry,
    state::State,
    transfer::{Stop, Transfer, asked, open_in_time},
};
use crate::{
    error::{Error, SourceClass},
    limit::{RateLimit, SlowLimit},
    output::{Begin, Output, OutputOptions, Target, Written},
    progress::Progress,
    registry::Registry,
    url::ResourceUrl,
    verify::Expected,
};

/// Less than this is fetched over one connection: another one would be ready when all is there.
const WORTH_SHARING: u64 = 16 * 1024 * 1024;

/// Connections for one resource, where the user does not say.
pub const CONNECTIONS: usize = 4;

/// One resource to fetch.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which one.
    pub url: ResourceUrl,
    /// Sent along to the storage.
    pub header: Header,
    /// Settings of the source.
    pub options: Options,
    /// Where to; `None` is the URL's last segment, in the current directory.
    pub target: Option<Target>,
    /// How it is written.
    pub output: OutputOptions,
    /// The part that is wanted, in bytes; an end of `u64::MAX` is the resource's.
    pub range: Range<u64>,
    /// Connections at the same time; `None` begins with one and adds up to [`CONNECTIONS`] in all while the source is
    /// slow.
    pub connections: Option<usize>,
    /// Bytes that a connection fetches at a time; `None` chooses it from the size.
    pub piece_length: Option<u64>,
    /// Go on where an earlier run stopped.
    pub resume: bool,
    /// How often one part is tried without a byte coming.
    pub tries: u32,
    /// What is too slow.
    pub slow: SlowLimit,
    /// What the whole must have.
    pub digest: Option<Expected>,
    /// For all of it; `None` is no limit.
    pub timeout: Option<Duration>,
}

impl Job {
    fn request(&self) -> Request {
        Request { url: self.url.as_str().to_owned(), header: self.header.clone() }
    }

    fn target(&self) -> Result<Target, Error> {
        let named = || self.url.file_name().map(|name| Target::File(name.into()));
        self.target.clone().or_else(named).ok_or_else(|| Error::Usage {
            fact: format!("{} ends in no file name", self.url),
            hint: "name the output with -O, or print it with -O -".into(),
        })
    }

    /// What has come is of no use any more.
    fn changed(&self, fact: &str) -> Error {
        let (class, subject) = (SourceClass::Changed, self.url.to_string());
        Error::Source { class, subject, fact: fact.to_owned(), retry_after: None }
    }

    fn wants_all(&self) -> bool {
        self.range == (0..u64::MAX)
    }
}

/// A download that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Bytes in the output.
    pub bytes: u64,
    /// Those of them that an earlier run had fetched.
    pub resumed: u64,
    /// The digest that was checked.
    pub verified: Option<Expected>,
}

/// A download all of whose bytes are there and right, and that has yet to get its name.
#[must_use = "it has no name yet"]
pub struct Fetched {
    /// What it will be.
    pub summary: Summary,
    output: Output,
    written: Written,
}

impl Fetched {
    /// Gives the output its name. Needs no source any more, so plugins may be stopped meanwhile.
    ///
    /// # Errors
    ///
    /// * [`Error::LocalIo`]: it could not be flushed or renamed
    /// * [`Error::OutputExists`]: one has appeared in the meantime
    pub async fn commit(self) -> Result<Summary, Error> {
        self.output.commit(self.written, None).await?;
        Ok(self.summary)
    }
}

/// Downloads one resource, up to its [`commit`](Fetched::commit).
///
/// Cancel safe: dropped, it leaves at most a `.part` file and its state. The plugin it started runs on until
/// [`Registry::stop`].
///
/// # Errors
///
/// * [`Error::NoSource`], and those of the output, before anything is started
/// * those of [`Registry::open`]
/// * [`Error::Crashed`], [`Error::Protocol`], [`Error::Stalled`]: the plugin failed
/// * [`Error::Source`], [`Error::Integrity`]: the resource cannot be had, or not as it was announced
/// * [`Error::TimedOut`]: it took longer than [`Job::timeout`]
pub async fn download(
    job: &Job,
    registry: &Registry,
    limit: &RateLimit,
    progress: &Progress,
) -> Result<Fetched, Error> {
    let fetch = fetch(job, registry, limit, progress);
    let Some(time) = job.timeout else { return fetch.await };
    let timed_out = |_| Error::TimedOut { url: job.url.to_string(), limit: time };
    tokio::time::timeout(time, fetch).await.map_err(timed_out)?
}

async fn fetch(job: &Job, registry: &Registry, limit: &RateLimit, progress: &Progress) -> Result<Fetched, Error> {
    let source = registry.find(job.url.scheme())?;
    let output = Output::open(&job.target()?, job.output)?;
    let client = registry.open(&source, &job.options).await?;
    let story = Story { job, client: &*client, output: &output, progress, limit };
    let outcome = story.tell().await;
    progress.finished();
    match outcome {
        Ok((summary, written)) => Ok(Fetched { summary, output, written }),
        Err(error) => {
            output.fail(&error).await;
            Err(error)
        }
    }
}

/// One download between the opening of its output and its commit.
struct Story<'a> {
    job: &'a Job,
    client: &'a dyn ResourceClient,
    output: &'a Output,
    progress: &'a Progress,
    limit: &'a RateLimit,
}

/// A resource that was opened at the first byte that is missing.
struct Start {
    first: Download,
    /// What an earlier run has fetched of this very version.
    held: RangeSet,
}

impl Story<'_> {
    async fn tell(&self) -> Result<(Summary, Written), Error> {
        let mut state = if self.job.resume { self.output.resume(&self.job.url) } else { None };
        let mut restarted = false;
        loop {
            match self.attempt(state.take(), restarted).await {
                Ok(done) => return Ok(done),
                Err(Stop::Restart(reason)) if !restarted && !self.output.is_stream() => {
                    tracing::warn!("{reason}; restarting from 0");
                    restarted = true;
                }
                Err(Stop::Restart(error) | Stop::Failed(error)) => return Err(error),
            }
        }
    }

    /// Once from what is there to the end. After a restart one connection has to do: its source may not serve parts.
    async fn attempt(&self, state: Option<State>, restarted: bool) -> Result<(Summary, Written), Stop> {
        let Start { first, held } = self.start(state).await?;
        let opened = first.opened.clone();
        let total = opened.metadata.content_length;
        let wanted = self.wanted(total);
        let resumed = held.len();
        let missing = missing(&held, &wanted);
        let missing_bytes = missing.iter().fold(0_u64, |sum, range| sum.saturating_add(range.end - range.start));
        let expected = self.expected_digest(&opened);
        self.prepare(&opened, &wanted, held, expected.as_ref()).await?;

        let shared = total.is_some() && opened.metadata.support_range && !restarted && !self.output.is_stream();
        let worth = missing_bytes >= WORTH_SHARING || self.job.piece_length.is_some();
        let connections = if shared && worth { self.job.connections.unwrap_or(CONNECTIONS).max(1) } else { 1 };
        // One that comes later takes its share from the others.
        let in_one = connections == 1 || self.job.connections.is_none();
        let forced = self.job.piece_length.or(in_one.then_some(u64::MAX));
        let transfer = Transfer {
            job: self.job,
            client: self.client,
            output: self.output,
            progress: self.progress,
            limit: self.limit,
            validator: opened.metadata.validator.clone(),
            support_range: opened.metadata.support_range,
            plan: Mutex::new(Plan::new(missing, connections, forced)),
            came: AtomicU64::new(0),
        };
        transfer.run(first, connections).await?;
        let written = self.output.written().await?;
        let summary = Summary { bytes: written.length, resumed, verified: self.verify(&written, expected)? };
        Ok((summary, written))
    }

    /// Opens the resource where its first missing byte is.
    async fn start(&self, state: Option<State>) -> Result<Start, Stop> {
        let state = state.filter(|state| state.wanted == self.wanted(Some(state.total)));
        let held = state.as_ref().map(|state| state.ranges.clone()).unwrap_or_default();
        let start = match &state {
            // With nothing missing, the last byte is fetched again: that tells whether it is the same version still.
            Some(State { wanted, .. }) => {
                missing(&held, wanted).into_iter().next().unwrap_or(wanted.end.saturating_sub(1)..wanted.end)
            }
            None => self.job.range.clone(),
        };
        let validator = state.as_ref().map(|state| state.validator.clone()).unwrap_or_default();
        let first = self.open(&start, &validator).await?;
        if first.opened.range.start != start.start {
            return Err(self.range_ignored(state.is_some()));
        }
        if let Some(state) = &state {
            let same = state.validator.matches(&first.opened.metadata.validator);
            if !same || first.opened.metadata.content_length != Some(state.total) {
                return Err(Stop::Restart(self.job.changed("the resource has changed")));
            }
            tracing::info!("{}: going on at byte {}", self.job.url, start.start);
        }
        Ok(Start { first, held })
    }

    fn range_ignored(&self, resuming: bool) -> Stop {
        if resuming {
            return Stop::Restart(self.job.changed("its source does not serve parts"));
        }
        let (class, subject) = (SourceClass::Invalid, self.job.url.to_string());
        let fact = "its source does not serve parts, and --range asks for one".to_owned();
        Stop::Failed(Error::Source { class, subject, fact, retry_after: None })
    }

    async fn open(&self, range: &Range<u64>, validator: &Validator) -> Result<Download, Error> {
        let request =
            DownloadRequest { request: self.job.request(), range: asked(range), validator: validator.clone() };
        let mut retry = Retry::new(self.job.tries);
        loop {
            let error = match open_in_time(self.client, &request, self.job).await {
                Ok(download) => return Ok(download),
                Err(error) => error,
            };
            let Some(pause) = retry.after(&error) else { return Err(error) };
            tracing::warn!("{error}; trying again in {:.1} s", pause.as_secs_f64());
            tokio::time::sleep(pause).await;
        }
    }

    /// The part of the resource that is wanted, its end known if that can be.
    fn wanted(&self, total: Option<u64>) -> Range<u64> {
        let end = total.unwrap_or(u64::MAX).min(self.job.range.end);
        self.job.range.start.min(end)..end
    }

    fn expected_digest(&self, opened: &Opened) -> Option<Expected> {
        let announced = || Expected::strongest(&opened.metadata.digests).filter(|_| self.job.wants_all());
        self.job.digest.clone().or_else(announced)
    }

    async fn prepare(
        &self,
        opened: &Opened,
        wanted: &Range<u64>,
        held: RangeSet,
        expected: Option<&Expected>,
    ) -> Result<(), Error> {
        let length = (wanted.end != u64::MAX).then(|| wanted.end - wanted.start);
        self.progress.opened(length, held.len());
        let metadata = &opened.metadata;
        let resumable = metadata.support_range && !metadata.validator.is_empty();
        let state = metadata.content_length.filter(|_| resumable).map(|total| State {
            url: self.job.url.to_string(),
            total,
            wanted: wanted.clone(),
            validator: metadata.validator.clone(),
            ranges: RangeSet::default(),
        });
        let digest = expected.map(Expected::algorithm);
        self.output.begin(Begin { base: wanted.start, ranges: held, state, digest }).await?;
        self.output.reserve(length.unwrap_or_default())
    }

    fn verify(&self, written: &Written, expected: Option<Expected>) -> Result<Option<Expected>, Error> {
        let (Some(expected), Some(digest)) = (expected, &written.digest) else { return Ok(None) };
        if expected.is(digest) {
            return Ok(Some(expected));
        }
        let fact = format!("its digest is {}:{digest}, expected {expected}", expected.algorithm());
        Err(Error::Integrity { url: self.job.url.to_string(), fact })
    }
}

/// The parts of `wanted` that are not held.
fn missing(held: &RangeSet, wanted: &Range<u64>) -> Vec<Range<u64>> {
    let missing = held.missing(wanted.end).into_iter();
    missing.map(|range| range.start.max(wanted.start)..range.end).filter(|range| !range.is_empty()).collect()
}
