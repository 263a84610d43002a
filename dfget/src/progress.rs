//! A bar on stderr with rate and time to go, if that is a terminal.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const KNOWN: &str = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} eta {eta} {msg}";
const UNKNOWN: &str = "{spinner} {bytes} {bytes_per_sec} {elapsed} {msg}";

/// Redrawn this often, also while nothing comes.
const TICK: Duration = Duration::from_millis(200);

/// What the user sees of a download while it runs.
#[derive(Clone)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shown if `wanted` and stderr is a terminal.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        let shown = wanted && io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bar: ProgressBar::with_draw_target(None, target) }
    }

    /// The resource is open: `length` of it is wanted, where that is known, and `held` of that is there already.
    pub fn opened(&self, length: Option<u64>, held: u64) {
        let template = if length.is_some() { KNOWN } else { UNKNOWN };
        self.bar.set_style(ProgressStyle::with_template(template).expect("the templates are constants"));
        self.bar.set_length(length.unwrap_or_default());
        self.bar.set_position(held);
        // The rate and the time to go are those of this run.
        self.bar.reset_eta();
        if !self.bar.is_hidden() {
            self.bar.enable_steady_tick(TICK);
        }
    }

    /// Bytes have come.
    pub fn advanced(&self, bytes: u64) {
        self.bar.inc(bytes);
        if !self.bar.is_hidden() && !self.bar.message().is_empty() {
            self.bar.set_message("");
        }
    }

    /// The source says why nothing comes.
    pub fn waiting(&self, reason: &str) {
        self.bar.set_message(reason.to_owned());
    }

    /// No more bytes will come: leaves the bar as it is.
    pub fn finished(&self) {
        self.bar.abandon();
    }

    /// Where log lines go, so that they and the bar do not write over each other.
    #[must_use]
    pub fn stderr(&self) -> Stderr {
        Stderr { bar: self.bar.clone() }
    }
}

/// stderr, with the bar out of the way while something is written.
#[derive(Clone)]
pub struct Stderr {
    bar: ProgressBar,
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bar.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
