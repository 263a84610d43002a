//! What ends a run before its time.

use std::{thread, time::Duration};

use fastrand::Rng;
use rustix::process::Signal;

use crate::harness::{Run, Started};

/// The longest after its start that a run is interrupted, where bytes do not say when: many are over by then.
const LATEST: u64 = 150;

/// What plugins die of at once: Rust's own handler takes a first SIGSEGV for one of a stack that is well.
const FATAL: [Signal; 2] = [Signal::KILL, Signal::ABORT];

#[derive(Debug, Clone, Copy)]
pub(super) enum Interruption {
    None,
    /// dfget gets a signal.
    Signal(Signal, Moment),
    /// The plugin gets a signal from somebody.
    PluginSignal(Signal, Moment),
    /// dfget and the plugin are killed at the same time.
    BothKilled(Moment),
    /// The plugin dies by itself at this byte.
    Death(u64),
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
        match rng.u8(..11) {
            0 => Self::None,
            1 | 2 => Self::Signal(Signal::INT, moment),
            3 => Self::Signal(Signal::TERM, moment),
            4 => Self::Signal(Signal::HUP, moment),
            5..=7 => Self::Signal(Signal::KILL, moment),
            8 if rng.bool() => Self::PluginSignal(FATAL[rng.usize(..FATAL.len())], moment),
            8 => Self::BothKilled(moment),
            9 => Self::Death(at),
            _ => Self::Cut(at),
        }
    }

    /// For the plugin. All keys are always there: they are what is shown of the URL.
    pub(super) fn query(self) -> String {
        let at = |at: Option<u64>| at.map_or("never".to_owned(), |at| at.to_string());
        let held = match self {
            Self::Signal(_, Moment::Held(at)) | Self::PluginSignal(_, Moment::Held(at)) => Some(at),
            Self::BothKilled(Moment::Held(at)) => Some(at),
            _ => None,
        };
        let (dies, fails) = match self {
            Self::Death(at) => (Some(at), None),
            Self::Cut(at) => (None, Some(at)),
            _ => (None, None),
        };
        format!("hold-at={}&die-at={}&fail-at={}", at(held), at(dies), at(fails))
    }

    pub(super) fn happen(self, dfget: &mut Started<'_>) {
        match self {
            Self::None | Self::Death(_) | Self::Cut(_) => {}
            Self::Signal(signal, moment) => {
                moment.wait(dfget);
                dfget.signal(signal);
            }
            Self::PluginSignal(signal, moment) => {
                moment.wait(dfget);
                dfget.signal_plugin(signal);
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
                // 13: it was not ready yet.
                Self::PluginSignal(..) => matches!(run.code(), Some(13 | 14)),
                Self::BothKilled(_) => ended_by(Signal::KILL) || matches!(run.code(), Some(13 | 14)),
                Self::Death(_) => run.code() == Some(14),
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
