//! Bars on stderr: one for the only download; one for all and one for each that runs, where there are many.

use std::{
    io::{self, IsTerminal},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::words;
use crate::escape::printable;

const KNOWN: &str = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} eta {eta} {msg}";
const UNKNOWN: &str = "{spinner} {bytes} {bytes_per_sec} {elapsed} {msg}";
const OF_MANY: &str = "  {bytes:>10} {bytes_per_sec:>12} {wide_msg}";
/// How many there will be nobody knows: a tree is listed as it is downloaded.
const ALL: &str = "{spinner} {prefix} {bytes} {bytes_per_sec} {elapsed}";

/// Redrawn this often, also while nothing comes.
const TICK: Duration = Duration::from_millis(200);

/// Downloads that have a bar of their own at the same time: more lines than that nobody reads.
const SHOWN: u64 = 8;

/// All bars of one run.
pub(super) struct Bars {
    shown: Option<MultiProgress>,
    /// There once there are many downloads.
    all: OnceLock<ProgressBar>,
    shown_of_many: Arc<AtomicU64>,
    done: AtomicU64,
}

impl Bars {
    /// Shown if `wanted` and stderr is a terminal.
    pub(super) fn new(wanted: bool) -> Self {
        let shown = (wanted && io::stderr().is_terminal())
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self { shown, all: OnceLock::new(), shown_of_many: Arc::default(), done: AtomicU64::new(0) }
    }

    pub(super) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.shown {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    /// There are many downloads.
    pub(super) fn many(&self) {
        let Some(bars) = &self.shown else { return };
        self.all.get_or_init(|| {
            let bar = bars.add(ProgressBar::new(0).with_style(style(ALL)).with_prefix("0 files"));
            bar.enable_steady_tick(TICK);
            bar
        });
    }

    /// Bytes of any download have come.
    pub(super) fn advanced(&self, bytes: u64) {
        if let Some(all) = self.all.get() {
            all.inc(bytes);
        }
    }

    pub(super) fn one_done(&self) {
        if let Some(all) = self.all.get() {
            let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
            all.set_prefix(words::files(done));
        }
    }

    /// The bar of one download; nothing is seen of it before it is opened.
    pub(super) fn add(&self, name: &str) -> Bar {
        let Some(bars) = self.shown.clone() else { return Bar(None) };
        let place = match self.all.get() {
            Some(_) => match OneOfMany::take(&self.shown_of_many) {
                None => return Bar(None),
                place => place,
            },
            None => None,
        };
        Bar(Some(Shown { bars, bar: ProgressBar::hidden(), name: printable(name), place }))
    }

    /// Of many, the line at the end tells what the bar did.
    pub(super) fn finish(&self) {
        if let Some(all) = self.all.get() {
            all.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants")
}

/// The bar of one download, if it has one.
pub(super) struct Bar(Option<Shown>);

struct Shown {
    bars: MultiProgress,
    bar: ProgressBar,
    name: String,
    /// `None` of the only one.
    place: Option<OneOfMany>,
}

impl Shown {
    /// What stands behind the numbers while all is well: of the only one its name is known.
    fn idle(&self) -> String {
        if self.place.is_some() { self.name.clone() } else { String::new() }
    }
}

/// One of the [`SHOWN`] places, given back when it is dropped.
struct OneOfMany(Arc<AtomicU64>);

impl OneOfMany {
    fn take(shown: &Arc<AtomicU64>) -> Option<Self> {
        let place = Self(Arc::clone(shown));
        (shown.fetch_add(1, Ordering::Relaxed) < SHOWN).then_some(place)
    }
}

impl Drop for OneOfMany {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Bar {
    /// Nothing more is to be seen of one of many: its line is another one's.
    pub(super) fn give_way(&mut self) {
        if self.0.as_ref().is_some_and(|shown| shown.place.is_some()) {
            drop(Self(self.0.take()));
        }
    }

    pub(super) fn opened(&self, length: Option<u64>, held: u64) {
        let Some(shown) = &self.0 else { return };
        let Shown { bars, bar, place, .. } = shown;
        let template = match length {
            _ if place.is_some() => OF_MANY,
            Some(_) => KNOWN,
            None => UNKNOWN,
        };
        bar.set_style(style(template));
        bar.set_message(shown.idle());
        bar.set_length(length.unwrap_or_default());
        bar.set_position(held);
        // The rate and the time to go are those of this run.
        bar.reset_eta();
        bars.add(bar.clone());
        if place.is_none() {
            bar.enable_steady_tick(TICK);
        }
    }

    pub(super) fn advanced(&self, bytes: u64) {
        let Some(shown) = &self.0 else { return };
        shown.bar.inc(bytes);
        if shown.bar.message() != shown.idle() {
            shown.bar.set_message(shown.idle());
        }
    }

    pub(super) fn waiting(&self, reason: &str) {
        if let Some(shown) = &self.0 {
            shown.bar.set_message(format!("{} {}", shown.idle(), printable(reason)));
        }
    }
}

impl Drop for Bar {
    /// The only one stays as it is; of many, those that are over would fill the screen.
    fn drop(&mut self) {
        let Some(Shown { bars, bar, place, .. }) = &self.0 else { return };
        if place.is_some() {
            bar.finish_and_clear();
            bars.remove(bar);
        } else {
            bar.abandon();
        }
    }
}
