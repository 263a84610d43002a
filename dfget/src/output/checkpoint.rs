//! Makes what was written durable now and then, and says so in the state file: data first, then the claim.

use std::{
    fs::File,
    io,
    sync::mpsc::{SyncSender, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::Place;
use crate::download::{ranges::RangeSet, state::State};

/// At the latest after so many bytes: half of what may be fetched again.
const BYTES: u64 = 32 * 1024 * 1024;

/// At the latest after so long: a little less than what may be fetched again.
const TIME: Duration = Duration::from_secs(4);

/// Flushes and records on a thread of its own, while the writer writes on. A short download never needs it.
pub(super) struct Checkpoints {
    part: Place,
    state: State,
    no_fsync: bool,
    recorder: Option<Recorder>,
    bytes: u64,
    last: Instant,
}

struct Recorder {
    queue: SyncSender<RangeSet>,
    thread: JoinHandle<io::Result<()>>,
}

impl Checkpoints {
    /// Of the file at `part`. `no_fsync`: what was written survives dfget, not a power cut.
    pub(super) fn new(part: &Place, state: State, no_fsync: bool) -> Self {
        Self { part: part.clone(), state, no_fsync, recorder: None, bytes: 0, last: Instant::now() }
    }

    /// `bytes` more were written: whether it is time to record.
    pub(super) fn is_due(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        self.bytes >= BYTES || self.last.elapsed() >= TIME
    }

    /// Records `ranges`, all of which are written. While an earlier one is being recorded, it is tried again later.
    pub(super) fn take(&mut self, file: &File, ranges: RangeSet) -> io::Result<()> {
        let recorder = match &mut self.recorder {
            Some(recorder) => recorder,
            none => none.insert(Recorder::start(file.try_clone()?, &self.part, &self.state, self.no_fsync)?),
        };
        if recorder.queue.try_send(ranges).is_ok() {
            self.bytes = 0;
            self.last = Instant::now();
        }
        Ok(())
    }

    /// Whether anything was recorded.
    pub(super) fn has_begun(&self) -> bool {
        self.recorder.is_some()
    }

    /// Records `ranges` and returns when that is done.
    pub(super) fn last(mut self, file: &File, ranges: RangeSet) -> io::Result<()> {
        if let Some(recorder) = self.recorder.take() {
            recorder.stop()?;
        }
        record(file, &self.part, &self.state, self.no_fsync, ranges)
    }

    /// Waits for what is being recorded: a state that is written later would be one of a file that is gone.
    pub(super) fn stop(self) -> io::Result<()> {
        self.recorder.map_or(Ok(()), Recorder::stop)
    }
}

impl Recorder {
    fn start(file: File, part: &Place, state: &State, no_fsync: bool) -> io::Result<Self> {
        let (queue, snapshots) = sync_channel::<RangeSet>(1);
        let (part, state) = (part.clone(), state.clone());
        let run = move || snapshots.into_iter().try_for_each(|ranges| record(&file, &part, &state, no_fsync, ranges));
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(run)?;
        Ok(Self { queue, thread })
    }

    fn stop(self) -> io::Result<()> {
        drop(self.queue);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the recorder panicked")))
    }
}

fn record(file: &File, part: &Place, state: &State, no_fsync: bool, ranges: RangeSet) -> io::Result<()> {
    if !no_fsync {
        file.sync_data()?;
    }
    State { ranges, ..state.clone() }.store(part, !no_fsync)
}
