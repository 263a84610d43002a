//! Makes what was written durable now and then, and says so in the state file: data first, then the claim.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::download::{ranges::RangeSet, state::State};

/// At the latest after so many bytes: half of what may be fetched again.
const BYTES: u64 = 32 * 1024 * 1024;

/// At the latest after so long: a little less than what may be fetched again.
const TIME: Duration = Duration::from_secs(4);

/// The thread that flushes and records while the writer writes on.
pub(super) struct Checkpoints {
    queue: SyncSender<RangeSet>,
    thread: JoinHandle<io::Result<()>>,
    bytes: u64,
    last: Instant,
}

impl Checkpoints {
    /// Of the `.part` file at `path`. `no_fsync`: what was written survives dfget, not a power cut.
    pub(super) fn start(file: &File, path: &Path, state: State, no_fsync: bool) -> io::Result<Self> {
        let file = file.try_clone()?;
        let (queue, snapshots) = sync_channel::<RangeSet>(1);
        let path = PathBuf::from(path);
        let record = move || {
            snapshots.into_iter().try_for_each(|ranges| {
                if !no_fsync {
                    file.sync_data()?;
                }
                State { ranges, ..state.clone() }.store(&path, !no_fsync)
            })
        };
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(record)?;
        Ok(Self { queue, thread, bytes: 0, last: Instant::now() })
    }

    /// `bytes` more were written: whether it is time to record.
    pub(super) fn is_due(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        self.bytes >= BYTES || self.last.elapsed() >= TIME
    }

    /// Records `ranges`, all of which are written. While an earlier one is being recorded, it is tried again later.
    pub(super) fn take(&mut self, ranges: RangeSet) {
        if self.queue.try_send(ranges).is_ok() {
            self.bytes = 0;
            self.last = Instant::now();
        }
    }

    /// Records `ranges` and returns when that is done.
    pub(super) fn last(self, ranges: RangeSet) -> io::Result<()> {
        // Fails if the thread ended with an error, which is returned below.
        let _ = self.queue.send(ranges);
        self.stop()
    }

    /// Waits for what is being recorded: a state that is written later would be one of a file that is gone.
    pub(super) fn stop(self) -> io::Result<()> {
        drop(self.queue);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the recorder panicked")))
    }
}
