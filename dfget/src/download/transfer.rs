//! Fetches the missing bytes of one version of a resource: connections that take pieces, each tried again by itself.

use std::{
    ops::Range,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::try_join_all;
use plugin_sdk::{BodyEvent, Download, DownloadRequest, Range as AskedRange, ResourceClient, Validator};
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{
    Job,
    plan::{PieceId, Plan},
    retry::Retry,
};
use crate::{
    error::{Error, SourceClass},
    limit::{RateLimit, SlowWatch},
    output::Output,
    progress::Progress,
};

/// The proxy of a plugin, which knows more, watches the same time: it has the first word.
const FIRST_WORD: Duration = Duration::from_millis(200);

/// A source that delivers so many bytes a second needs no further connection: this machine is the limit, and pieces out
/// of order only cost it.
const FAST: f64 = 200.0 * 1024.0 * 1024.0;

/// How long each further connection waits to see whether it is needed.
const PROBE: Duration = Duration::from_millis(150);

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
    pub(super) progress: &'a Progress,
    pub(super) limit: &'a RateLimit,
    /// Of the version that is being fetched.
    pub(super) validator: Validator,
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
            if let Some(piece) = piece {
                self.fetch(piece, Some(first)).await?;
                self.plan().finish(piece);
            }
            self.connection().await
        };
        let others = (1..connections as u32).map(|number| self.further_connection(number, &done));
        tokio::try_join!(first, try_join_all(others)).map(drop)
    }

    /// One that helps if the user says how many there are to be, or if the source is slow.
    async fn further_connection(&self, number: u32, done: &CancellationToken) -> Result<(), Stop> {
        if self.job.connections.is_some() {
            return self.connection().await;
        }
        let wait = PROBE * number;
        if timeout(wait, done.cancelled()).await.is_ok() {
            return Ok(());
        }
        let rate = self.came.load(Ordering::Relaxed) as f64 / wait.as_secs_f64();
        if rate >= FAST { Ok(()) } else { self.connection().await }
    }

    async fn connection(&self) -> Result<(), Stop> {
        loop {
            let Some(piece) = self.plan().take() else { return Ok(()) };
            self.fetch(piece, None).await?;
            self.plan().finish(piece);
        }
    }

    /// Fetches one piece, however often it takes.
    async fn fetch(&self, piece: PieceId, mut open: Option<Download>) -> Result<(), Stop> {
        let mut retry = Retry::new(self.job.tries);
        loop {
            let begun = self.plan().rest(piece);
            let Err(stop) = self.stream(piece, open.take()).await else { return Ok(()) };
            let Stop::Failed(error) = stop else { return Err(stop) };
            let rest = self.plan().rest(piece);
            if rest.start > begun.start {
                retry.progressed();
            }
            // All of it came, and then something that makes it doubtful.
            let pause = retry.after(&error).filter(|_| !rest.is_empty());
            let Some(pause) = pause else { return Err(error.into()) };
            if rest.start > 0 && !self.support_range {
                return Err(Stop::Restart(error));
            }
            tracing::warn!("{error}; trying again in {:.1} s at byte {}", pause.as_secs_f64(), rest.start);
            sleep(pause).await;
        }
    }

    /// One stream, up to the end of the piece or to its own.
    async fn stream(&self, piece: PieceId, open: Option<Download>) -> Result<(), Stop> {
        let rest = self.plan().rest(piece);
        let mut download = match open {
            Some(download) => download,
            None => self.open(rest).await?,
        };
        let announced = download.opened.range.length;
        let (mut received, mut watch) = (0, SlowWatch::new(self.job.slow));
        loop {
            let asked = Instant::now();
            let Ok(event) = timeout(watch.patience() + FIRST_WORD, download.body.next()).await else {
                return Err(self.stalled(received).into());
            };
            let Some(event) = event else { return self.ended(piece, received, announced) };
            match event.map_err(|error| self.refused(error))? {
                BodyEvent::Waiting(reason) => {
                    watch.excused();
                    self.progress.waiting(&reason);
                }
                BodyEvent::Chunk(chunk) => {
                    received += chunk.len() as u64;
                    if let Some(announced) = announced.filter(|announced| received > *announced) {
                        return Err(self.damaged(format!("more came than the {announced} bytes announced")).into());
                    }
                    if watch.came(chunk.len() as u64, asked.elapsed()).is_some() {
                        return Err(self.stalled(received).into());
                    }
                    // A stream that ends with the piece is read on up to its own end, which may take it all back.
                    if self.take(piece, chunk).await? && announced != Some(received) {
                        return Ok(());
                    }
                }
            }
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
            self.progress.advanced(length);
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
        if rest.end != u64::MAX && !rest.is_empty() {
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
        let current = &download.opened.metadata.validator;
        if !self.validator.is_empty() && !self.validator.matches(current) {
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
        let limit = self.job.slow;
        let time = humantime::format_duration(limit.time);
        let fact = format!("less than {} bytes a second in {time}, {received} in all", limit.rate);
        Error::Stalled { who: self.job.url.to_string(), fact }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a resource, if its source answers in the time that it has.
pub(super) async fn open_in_time(
    client: &dyn ResourceClient,
    request: &DownloadRequest,
    job: &Job,
) -> Result<Download, Error> {
    match timeout(job.slow.time + FIRST_WORD, client.download(request)).await {
        Ok(answer) => answer.map_err(|error| Error::of_source(&job.url.to_string(), error)),
        Err(_) => {
            let fact = format!("no answer in {}", humantime::format_duration(job.slow.time));
            Err(Error::Stalled { who: job.url.to_string(), fact })
        }
    }
}

/// A range with an end as the protocol has it.
pub(super) fn asked(range: &Range<u64>) -> AskedRange {
    let length = (range.end != u64::MAX).then(|| range.end - range.start);
    AskedRange { start: range.start, length }
}
