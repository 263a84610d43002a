//! One download between the opening of its output and its commit.

use std::{
    ops::Range,
    sync::{Mutex, atomic::AtomicU64},
};

use plugin_sdk::{Download, DownloadRequest, Opened, ResourceClient, Validator};

use super::{
    CONNECTIONS, Job, Summary, Wanted,
    plan::Plan,
    ranges::RangeSet,
    retry::{Pause, Retry},
    state::State,
    transfer::{Stop, Transfer, asked, in_time, open_in_time},
};
use crate::{
    error::{Error, SourceClass},
    limit::RateLimit,
    output::{Begin, Output, Written},
    report::Tracker,
    verify::Expected,
};

/// Less than this is fetched over one connection: another one would be ready when all is there.
const WORTH_SHARING: u64 = 16 * 1024 * 1024;

/// What a download needs to know while it runs.
pub(super) struct Story<'a> {
    pub(super) job: &'a Job,
    pub(super) client: &'a dyn ResourceClient,
    pub(super) output: &'a Output,
    pub(super) tracker: &'a Tracker,
    pub(super) limit: &'a RateLimit,
}

/// A resource that was opened at the first byte that is missing.
struct Start {
    first: Download,
    /// What an earlier run has fetched of this very version.
    held: RangeSet,
    /// The bytes that are, with an end of `u64::MAX` for the resource's.
    wanted: Range<u64>,
}

impl Story<'_> {
    /// From what is there to all that is wanted.
    pub(super) async fn tell(&self) -> Result<Summary, Error> {
        let mut state = if self.job.settings.resume { self.output.resume(&self.job.url) } else { None };
        let (mut restarted, mut deaths) = (false, 0);
        loop {
            match self.attempt(state.take(), restarted).await {
                Ok(done) => return Ok(done),
                Err(Stop::Restart(reason @ Error::Crashed { .. })) if self.may_restart(deaths) => {
                    self.tracker.restarted(&reason);
                    (restarted, deaths) = (true, deaths + 1);
                    Pause::UntilReady.pass(self.client, reason).await?;
                }
                Err(Stop::Restart(reason)) if !restarted && !self.output.is_stream() => {
                    self.tracker.restarted(&reason);
                    restarted = true;
                }
                Err(Stop::Restart(error) | Stop::Failed(error)) => return Err(error),
            }
        }
    }

    /// A resource that cannot be gone on with gets as many tries as one that stays where it is.
    fn may_restart(&self, deaths: u32) -> bool {
        deaths < self.job.settings.restarts && !self.output.is_stream()
    }

    /// Once from what is there to the end. After a restart one connection has to do: its source may not serve parts.
    async fn attempt(&self, state: Option<State>, restarted: bool) -> Result<Summary, Stop> {
        let Start { first, held, wanted } = self.start(state).await?;
        let opened = first.opened.clone();
        let total = opened.metadata.content_length;
        let end = wanted.end.min(total.unwrap_or(u64::MAX));
        let wanted = wanted.start.min(end)..end;
        let resumed = held.len();
        let missing = missing(&held, &wanted);
        let missing_bytes = missing.iter().fold(0_u64, |sum, range| sum.saturating_add(range.end - range.start));
        let expected = self.expected_digest(&opened);
        self.prepare(&opened, &wanted, held, expected.as_ref()).await?;

        let comparable = opened.metadata.support_range && !opened.metadata.validator.is_empty();
        let shared = total.is_some() && comparable && !restarted && !self.output.is_stream();
        let worth = missing_bytes >= WORTH_SHARING || self.job.settings.piece_length.is_some();
        let connections = if shared && worth { self.job.settings.connections.unwrap_or(CONNECTIONS).max(1) } else { 1 };
        // One that comes later takes its share from the others.
        let in_one = connections == 1 || self.job.settings.connections.is_none();
        let in_pieces = self.job.settings.piece_length.or(in_one.then_some(u64::MAX));
        // A piece ends at a byte: that takes a source that serves parts, and a length to know that the byte is there.
        let forced = if shared { in_pieces } else { Some(u64::MAX) };
        let transfer = Transfer {
            job: self.job,
            client: self.client,
            output: self.output,
            tracker: self.tracker,
            limit: self.limit,
            validator: opened.metadata.validator.clone(),
            total,
            support_range: opened.metadata.support_range,
            plan: Mutex::new(Plan::new(missing, connections, forced)),
            came: AtomicU64::new(0),
        };
        transfer.run(first, connections).await?;
        let written = self.output.written().await?;
        let verified = self.verify(&written, expected)?;
        let modified = opened.metadata.validator.last_modified;
        Ok(Summary { bytes: written.length, resumed, verified, modified })
    }

    /// Opens the resource where its first missing byte is.
    async fn start(&self, state: Option<State>) -> Result<Start, Stop> {
        let all = match self.job.settings.wanted {
            Wanted::Range(start, end) => start..end,
            Wanted::Last(_) => self.job.wanted_of(Some(self.length().await?)),
        };
        let fits = |state: &State| {
            state.wanted == self.job.wanted_of(Some(state.total)) && state.base == self.base(&state.wanted)
        };
        let state = state.filter(fits);
        let held = state.as_ref().map(|state| state.ranges.clone()).unwrap_or_default();
        let start = match &state {
            // With nothing missing, the last byte is fetched again: that tells whether it is the same version still.
            Some(State { wanted, .. }) => {
                missing(&held, wanted).into_iter().next().unwrap_or(wanted.end.saturating_sub(1)..wanted.end)
            }
            None => all.clone(),
        };
        let validator = state.as_ref().map(|state| state.validator.clone()).unwrap_or_default();
        let first = match self.open(&start, &validator).await {
            // There may be less of it now than what is held of another version.
            Err(error @ Error::Source { class: SourceClass::Invalid, .. }) if state.is_some() => {
                return Err(Stop::Restart(error));
            }
            first => first?,
        };
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
        Ok(Start { first, held, wanted: all })
    }

    /// The offset in the resource of the output's first byte.
    fn base(&self, wanted: &Range<u64>) -> u64 {
        if self.job.settings.original_offset { 0 } else { wanted.start }
    }

    /// Of the whole resource.
    async fn length(&self) -> Result<u64, Error> {
        let request = self.job.request();
        let length = in_time(self.client.content_length(&request), &self.job.url, self.job.settings.slow.time).await?;
        let unknown = "its length is unknown, and --range counts from the end";
        length.ok_or_else(|| self.job.refused(SourceClass::Invalid, unknown))
    }

    fn range_ignored(&self, resuming: bool) -> Stop {
        if resuming {
            return Stop::Restart(self.job.changed("its source does not serve parts"));
        }
        let fact = "its source does not serve parts, and --range asks for one";
        Stop::Failed(self.job.refused(SourceClass::Invalid, fact))
    }

    async fn open(&self, range: &Range<u64>, validator: &Validator) -> Result<Download, Error> {
        let request =
            DownloadRequest { request: self.job.request(), range: asked(range), validator: validator.clone() };
        let mut retry = Retry::new(self.job.settings.tries, self.job.settings.restarts);
        loop {
            let error = match open_in_time(self.client, &request, self.job).await {
                Ok(download) => return Ok(download),
                Err(error) => error,
            };
            let Some(pause) = retry.after(&error) else { return Err(error) };
            self.tracker.retried(&error, pause.time(), range.start);
            pause.pass(self.client, error).await?;
        }
    }

    fn expected_digest(&self, opened: &Opened) -> Option<Expected> {
        let announced =
            || Expected::strongest(&opened.metadata.digests).filter(|_| self.job.settings.wanted == Wanted::default());
        self.job.settings.digest.clone().or_else(announced)
    }

    async fn prepare(
        &self,
        opened: &Opened,
        wanted: &Range<u64>,
        held: RangeSet,
        expected: Option<&Expected>,
    ) -> Result<(), Error> {
        let length = (wanted.end != u64::MAX).then(|| wanted.end - wanted.start);
        self.tracker.opened(length, held.len());
        let (base, first) = (self.base(wanted), wanted.start - self.base(wanted));
        let metadata = &opened.metadata;
        let resumable = metadata.support_range && !metadata.validator.is_empty();
        let state = metadata.content_length.filter(|_| resumable).map(|total| State {
            url: self.job.url.to_string(),
            total,
            wanted: wanted.clone(),
            base: self.base(wanted),
            validator: metadata.validator.clone(),
            ranges: RangeSet::default(),
        });
        let digest = expected.map(Expected::algorithm);
        self.output.begin(Begin { base, first, ranges: held, state, digest }).await?;
        self.output.reserve(first, length.unwrap_or_default())
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
