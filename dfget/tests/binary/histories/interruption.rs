//! What ends a run before its time.

use std::{fs, path::Path, thread, time::Duration};

use fastrand::Rng;
use rustix::process::Signal;

use crate::harness::{Run, Started};

/// The longest after its start that a run is interrupted, where bytes do not say when: many are over by then.
const LATEST: u64 = 150;

/// Between two signals to a plugin: as it is started again, or a little after.
const AGAIN: Duration = Duration::from_millis(220);

/// How often dfget starts a plugin anew that dies without progress.
const RESTARTS: u64 = 3;

/// What plugins die of; not SIGSEGV, whose first one Rust's own handler takes for one of a stack that is well.
const FATAL: [Signal; 3] = [Signal::KILL, Signal::ABORT, Signal::TERM];

#[derive(Debug, Clone, Copy)]
pub(super) enum Interruption {
    None,
    /// dfget gets a signal.
    Signal(Signal, Moment),
    /// The plugin gets a signal from somebody, and so do those that are started in its place, so many in all.
    PluginSignal(Signal, Moment, u64),
    /// dfget and the plugin are killed at the same time.
    BothKilled(Moment),
    /// The plugin dies by itself at this byte, and again when it was started anew, so often.
    Death(u64, u64),
    /// The body fails at this byte.
    Cut(u64),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    /// So long after the start.
    Time(Duration),
    /// Once the `.part` file is so long, or dfget has ended.
    Bytes(u64),
    /// As `Bytes`, and the source holds there: it is neither earlier nor later.
    Held(u64),
}

impl Interruption {
    pub(super) fn draw(rng: &mut Rng, size: u64) -> Self {
        let at = rng.u64(..=size);
        let moment = match rng.u8(..5) {
            0 => Moment::Time(Duration::from_millis(rng.u64(..LATEST))),
            1 | 2 => Moment::Bytes(at),
            _ => Moment::Held(at),
        };
        match rng.u8(..13) {
            0 => Self::None,
            1 | 2 => Self::Signal(Signal::INT, moment),
            3 => Self::Signal(Signal::TERM, moment),
            4 => Self::Signal(Signal::HUP, moment),
            5..=7 => Self::Signal(Signal::KILL, moment),
            8 | 9 => Self::PluginSignal(FATAL[rng.usize(..FATAL.len())], moment, rng.u64(1..=RESTARTS)),
            10 => Self::BothKilled(moment),
            11 => Self::Death(at, if rng.u8(..8) == 0 { RESTARTS + 1 } else { rng.u64(1..=2) }),
            _ => Self::Cut(at),
        }
    }

    /// For the plugin. All keys are always there: they are what is shown of the URL.
    /// `deaths` is where it counts how often it died.
    pub(super) fn query(self, deaths: &Path) -> String {
        let at = |at: Option<u64>| at.map_or("never".to_owned(), |at| at.to_string());
        let held = match self {
            Self::Signal(_, Moment::Held(at)) | Self::PluginSignal(_, Moment::Held(at), _) => Some(at),
            Self::BothKilled(Moment::Held(at)) => Some(at),
            _ => None,
        };
        let (dies, fails) = match self {
            Self::Death(at, _) => (Some(at), None),
            Self::Cut(at) => (None, Some(at)),
            _ => (None, None),
        };
        let times = if let Self::Death(_, times) = self { times } else { 1 };
        let deaths = deaths.display();
        format!("hold-at={}&die-at={}&fail-at={}&deaths={deaths}&times={times}", at(held), at(dies), at(fails))
    }

    /// `deaths` is as in [`query`](Self::query).
    pub(super) fn happen(self, dfget: &mut Started<'_>, deaths: &Path) {
        match self {
            Self::None | Self::Death(..) | Self::Cut(_) => {}
            Self::Signal(signal, moment) => {
                moment.wait(dfget);
                dfget.signal(signal);
            }
            Self::PluginSignal(signal, moment, times) => {
                moment.wait(dfget);
                // The one that follows does not hold, even if this one has not come to it.
                fs::write(deaths, "+").expect("there is room for it");
                dfget.signal_plugin(signal);
                for _ in 1..times {
                    thread::sleep(AGAIN);
                    dfget.signal_plugin(signal);
                }
            }
            Self::BothKilled(moment) => {
                moment.wait(dfget);
                dfget.signal_plugin(Signal::KILL);
                dfget.signal(Signal::KILL);
            }
        }
    }

    /// Whether a run may end like this. It may always be complete before the interruption.
    pub(super) fn explains(self, run: &Run) -> bool {
        let ended_by = |signal: Signal| run.signal() == Some(signal.as_raw());
        run.is_success()
            || match self {
                Self::None => false,
                Self::Signal(signal, _) => ended_by(signal),
                // It was not ready yet; else it is started anew.
                Self::PluginSignal(..) => run.code() == Some(13),
                Self::BothKilled(_) => ended_by(Signal::KILL) || matches!(run.code(), Some(13 | 14)),
                Self::Death(_, times) => times > RESTARTS && run.code() == Some(14),
                Self::Cut(_) => run.code() == Some(20),
            }
    }
}

impl Moment {
    fn wait(self, dfget: &mut Started<'_>) {
        match self {
            Self::Time(time) => thread::sleep(time),
            Self::Bytes(bytes) | Self::Held(bytes) => dfget.wait_for_bytes_or_end(bytes),
        }
    }
}
