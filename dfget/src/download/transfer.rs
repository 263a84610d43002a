//! Fetches the missing bytes of one version of a resource: connections that take pieces, each tried again by itself.

use std::{
    ops::Range,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, Bytes};
use futures_util::future::try_join_all;
use plugin_sdk::{BodyEvent, Download, DownloadRequest, Range as AskedRange, ResourceClient, Validator};
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{
    FIRST_WORD, Job,
    plan::{PieceId, Plan},
    retry::Retry,
};
use crate::{
    error::{Error, SourceClass},
    limit::{RateLimit, SlowWatch, within},
    output::Output,
    report::Tracker,
    url::ResourceUrl,
};

/// A source that delivers so many bytes a second needs no further connection: this machine is the limit, and pieces out
/// of order only cost it.
const FAST: f64 = 200.0 * 1024.0 * 1024.0;

/// How long each further connection waits to see whether it is needed.
const PROBE: Duration = Duration::from_millis(150);

/// With fewer bytes than these between two failures, the tries of a piece are not counted anew.
const PROGRESS: u64 = 1024 * 1024;

/// Why a transfer ended before it was complete.
pub(super) enum Stop {
    /// What came so far is of no use: begin again from 0, for this reason; or fail with it where that cannot be.
    Restart(Error),
    /// Nothing more can be done.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Source { class: SourceClass::Changed, .. } => Self::Restart(error),
            error => Self::Failed(error),
        }
    }
}

/// All that the connections of one download share.
pub(super) struct Transfer<'a> {
    pub(super) job: &'a Job,
    pub(super) client: &'a dyn ResourceClient,
    pub(super) output: &'a Output,
    pub(super) tracker: &'a Tracker,
    pub(super) limit: &'a RateLimit,
    /// Of the version that is being fetched.
    pub(super) validator: Validator,
    /// Bytes of that version.
    pub(super) total: Option<u64>,
    pub(super) support_range: bool,
    pub(super) plan: Mutex<Plan>,
    /// Bytes that came in this transfer.
    pub(super) came: AtomicU64,
}

impl Transfer<'_> {
    /// Runs so many connections until nothing is missing. The first one goes on with `first`, which was opened at the
    /// beginning of the first missing part.
    pub(super) async fn run(&self, first: Download, connections: usize) -> Result<(), Stop> {
        let done = CancellationToken::new();
        // Taken before anybody else can: the stream is open where this piece begins.
        let piece = self.plan().take();
        let first = async {
            let _guard = done.clone().drop_guard();
            self.connection(piece, Some(first)).await
        };
        let others = (1..connections as u32).map(|number| self.further_connection(number, &done));
        tokio::try_join!(first, try_join_all(others)).map(drop)
    }

    /// One that helps if the user says how many there are to be, or if the source is slow.
    async fn further_connection(&self, number: u32, done: &CancellationToken) -> Result<(), Stop> {
        if self.job.settings.connections.is_some() {
            return self.connection(None, None).await;
        }
        let wait = PROBE * number;
        if timeout(wait, done.cancelled()).await.is_ok() {
            return Ok(());
        }
        let rate = self.came.load(Ordering::Relaxed) as f64 / wait.as_secs_f64();
        if rate >= FAST { Ok(()) } else { self.connection(None, None).await }
    }

    /// Takes pieces until none is left, after the one that it begins with. `open` is the stream of that one.
    async fn connection(&self, first: Option<PieceId>, mut open: Option<Download>) -> Result<(), Stop> {
        let mut next = first.or_else(|| self.plan().take());
        while let Some(piece) = next {
            match self.fetch(piece, open.take()).await {
                Ok(()) => self.plan().finish(piece),
                // Some servers allow few connections: those that have one go on.
                Err(Stop::Failed(error)) if is_refusal(&error) && self.plan().give_back(piece) => {
                    tracing::info!("{error}; going on with fewer connections");
                    return Ok(());
                }
                Err(stop) => return Err(stop),
            }
            next = self.plan().take();
        }
        Ok(())
    }

    /// Fetches one piece, however often it takes.
    async fn fetch(&self, piece: PieceId, mut open: Option<Download>) -> Result<(), Stop> {
        let mut retry = Retry::new(self.job.settings.tries, self.job.settings.restarts);
        let mut mark = self.plan().rest(piece).start;
        loop {
            let rest = self.plan().rest(piece);
            let begun = rest.start;
            let streamed =
                if rest.is_empty() { self.confirm(rest.end).await } else { self.stream(piece, open.take()).await };
            let rest = self.plan().rest(piece);
            let error = match streamed {
                // Less came than was asked for, as a source may serve it.
                Ok(()) if rest.start > begun && rest.end != u64::MAX && !rest.is_empty() => continue,
                Err(Stop::Failed(error)) => error,
                other => return other,
            };
            if rest.start - mark >= PROGRESS {
                retry.progressed();
                mark = rest.start;
            }
            // A connection that never delivered is given up at once while others do.
            let helps = rest.start > begun || !is_refusal(&error) || !self.plan().is_shared();
            // All of it came, and then something that makes it doubtful.
            let doubtful = rest.is_empty() && !matches!(error, Error::Crashed { .. } | Error::Truncated { .. });
            let pause = retry.after(&error).filter(|_| helps && !doubtful);
            let Some(pause) = pause else { return Err(error.into()) };
            // Without a validator nobody knows whether what follows is of the same version.
            if rest.start > 0 && (!self.support_range || self.validator.is_empty()) {
                return Err(Stop::Restart(error));
            }
            self.tracker.retried(&error, pause.time(), rest.start);
            pause.pass(self.client, error).await?;
        }
    }

    /// One stream, up to the end of the piece or to its own.
    async fn stream(&self, piece: PieceId, open: Option<Download>) -> Result<(), Stop> {
        let rest = self.plan().rest(piece);
        // All may have come, where nobody knows the end: one byte again is there for certain.
        let mut again = u64::from(open.is_none() && rest.end == u64::MAX && rest.start > 0);
        let mut download = match open {
            Some(download) => download,
            None => self.open(rest.start - again..rest.end).await?,
        };
        let announced = download.opened.range.length;
        let (mut received, mut watch) = (0, SlowWatch::new(self.job.settings.slow));
        loop {
            let next = within(watch.patience() + FIRST_WORD, download.body.next()).await;
            let Some((event, waited)) = next else { return Err(self.stalled(received).into()) };
            let Some(event) = event else { return self.ended(piece, received, announced) };
            match event.map_err(|error| self.refused(error))? {
                BodyEvent::Waiting(reason) => {
                    watch.excused();
                    self.tracker.waiting(&reason);
                }
                BodyEvent::Chunk(mut chunk) => {
                    received += chunk.len() as u64;
                    if let Some(announced) = announced.filter(|announced| received > *announced) {
                        return Err(self.damaged(format!("more came than the {announced} bytes announced")).into());
                    }
                    if watch.came(chunk.len() as u64, waited).is_some() {
                        return Err(self.stalled(received).into());
                    }
                    if again > 0 && !chunk.is_empty() {
                        chunk.advance(1);
                        again = 0;
                    }
                    // A stream that ends with the piece is read on up to its own end, which may take it all back.
                    if self.take(piece, chunk).await? && announced != Some(received) {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// All of a piece came, and its stream broke before it said so: its last byte is fetched once more, and the stream
    /// heard out.
    async fn confirm(&self, end: u64) -> Result<(), Stop> {
        let mut download = self.open(end - 1..end).await?;
        let limit = self.job.settings.slow.time + FIRST_WORD;
        loop {
            let Some((event, _)) = within(limit, download.body.next()).await else {
                return Err(self.stalled(0).into());
            };
            let Some(event) = event else { return Ok(()) };
            event.map_err(|error| self.refused(error))?;
        }
    }

    /// Writes what is the piece's of `chunk`. Returns whether the piece is complete.
    async fn take(&self, piece: PieceId, mut chunk: Bytes) -> Result<bool, Error> {
        while !chunk.is_empty() {
            // In steps that a rate limit lets through evenly.
            let step = chunk.split_to(chunk.len().min(self.limit.step()));
            self.limit.take(step.len()).await;
            let place = self.plan().advance(piece, step.len() as u64);
            let length = place.end - place.start;
            self.tracker.advanced(length);
            self.came.fetch_add(length, Ordering::Relaxed);
            // At most `step.len()`, which is a usize.
            self.output.write(place.start, step.slice(..length as usize)).await?;
            if self.plan().rest(piece).is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The stream ended well: is that the end of the piece?
    fn ended(&self, piece: PieceId, received: u64, announced: Option<u64>) -> Result<(), Stop> {
        let rest = self.plan().rest(piece);
        if let Some(announced) = announced.filter(|announced| received != *announced) {
            return Err(self.damaged(format!("got {received} bytes, expected {announced}")).into());
        }
        // A source may serve less than it was asked for, but not nothing.
        let short = announced.is_some() && received > 0;
        if rest.end != u64::MAX && !rest.is_empty() && !short {
            return Err(self.damaged(format!("it ended at byte {}, expected {}", rest.start, rest.end)).into());
        }
        Ok(())
    }

    async fn open(&self, rest: Range<u64>) -> Result<Download, Stop> {
        let request =
            DownloadRequest { request: self.job.request(), range: asked(&rest), validator: self.validator.clone() };
        let download = open_in_time(self.client, &request, self.job).await?;
        if download.opened.range.start != rest.start {
            return Err(Stop::Restart(self.job.changed("its source does not serve parts")));
        }
        let current = &download.opened.metadata;
        let resized = self.total.zip(current.content_length).is_some_and(|(before, now)| before != now);
        if resized || (!self.validator.is_empty() && !self.validator.matches(&current.validator)) {
            return Err(Stop::Restart(self.job.changed("the resource has changed")));
        }
        Ok(download)
    }

    fn refused(&self, error: plugin_sdk::Error) -> Error {
        Error::of_source(&self.job.url.to_string(), error)
    }

    fn damaged(&self, fact: String) -> Error {
        Error::Integrity { url: self.job.url.to_string(), fact }
    }

    fn stalled(&self, received: u64) -> Error {
        let limit = self.job.settings.slow;
        let time = humantime::format_duration(limit.time);
        let fact = format!("less than {} bytes a second in {time}, {received} in all", limit.rate);
        Error::Stalled { who: self.job.url.to_string(), fact }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the source is overloaded, or lets nobody in.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Source { class: SourceClass::Unavailable, .. })
}

/// Opens a resource, if its source answers in the time that it has.
pub(super) async fn open_in_time(
    client: &dyn ResourceClient,
    request: &DownloadRequest,
    job: &Job,
) -> Result<Download, Error> {
    in_time(client.download(request), &job.url, job.settings.slow.time).await
}

/// The answer of a source about `url`, if it comes in the time that it has.
pub(crate) async fn in_time<T>(
    answer: impl Future<Output = Result<T, plugin_sdk::Error>>,
    url: &ResourceUrl,
    limit: Duration,
) -> Result<T, Error> {
    match within(limit + FIRST_WORD, answer).await {
        Some((answer, _)) => answer.map_err(|error| Error::of_source(&url.to_string(), error)),
        None => {
            let fact = format!("no answer in {}", humantime::format_duration(limit));
            Err(Error::Stalled { who: url.to_string(), fact })
        }
    }
}

/// A range with an end as the protocol has it.
pub(super) fn asked(range: &Range<u64>) -> AskedRange {
    let length = (range.end != u64::MAX).then(|| range.end - range.start);
    AskedRange { start: range.start, length }
}
