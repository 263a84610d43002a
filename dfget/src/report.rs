//! What the user hears of downloads: bars on a terminal, JSON lines, one line at the end.

mod bars;
mod events;
mod words;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use self::{
    bars::{Bar, Bars},
    events::{Events, Pace},
};
use crate::{
    download::Summary,
    error::{Error, Explained},
    plugin::Restart,
    url::ResourceUrl,
};

/// Failures of single files that are told in full: what is systematic fails millions of times.
const TOLD: u64 = 100;

/// How dfget tells what it does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// With bars, if stderr is a terminal.
    pub bars: bool,
    /// With a line at the end.
    pub summary: bool,
    /// With JSON lines on stdout.
    pub json: bool,
}

/// Where all downloads of one run report.
#[derive(Clone)]
pub struct Reporter(Arc<Shared>);

struct Shared {
    style: Style,
    bars: Bars,
    events: Events,
    begun: Instant,
    counts: Mutex<Counts>,
}

/// What has come of the downloads so far.
#[derive(Debug, Clone, Default)]
struct Counts {
    finished: u64,
    up_to_date: u64,
    failed: u64,
    /// Lines of a listing, or of what would be done.
    printed: u64,
    /// Those whose failure ended the run.
    fatal: u64,
    bytes: u64,
    resumed: u64,
    retries: u64,
    verified: u64,
    /// Of each plugin that died.
    restarts: BTreeMap<String, u64>,
    /// How the first one is told, if there will be no other.
    only: Option<String>,
}

impl Counts {
    /// Whether one has ended, and no other.
    fn is_first(&self) -> bool {
        self.finished + self.up_to_date + self.failed == 1
    }
}

impl Reporter {
    /// For one run of dfget.
    #[must_use]
    pub fn new(style: Style) -> Self {
        let (bars, events) = (Bars::new(style.bars), Events::new(style.json));
        Self(Arc::new(Shared { style, bars, events, begun: Instant::now(), counts: Mutex::default() }))
    }

    /// Where log lines go, so that they and the bars do not write over each other.
    #[must_use]
    pub fn stderr(&self) -> Stderr {
        Stderr(Arc::clone(&self.0))
    }

    /// There are many downloads.
    pub fn many(&self) {
        self.0.bars.many();
    }

    /// A download begins. `output` is where it goes, or `None` for stdout.
    #[must_use]
    pub fn track(&self, url: &ResourceUrl, output: Option<&Path>) -> Tracker {
        let output = output.map(|path| path.display().to_string());
        Tracker {
            shared: Arc::clone(&self.0),
            url: url.to_string(),
            bar: self.0.bars.add(output.as_deref().unwrap_or("stdout")),
            output,
            begun: Instant::now(),
            length: AtomicU64::new(u64::MAX),
            done: AtomicU64::new(0),
            pace: Pace::default(),
        }
    }

    /// A directory, or something that is not a download, failed beside others.
    pub fn failed(&self, subject: &str, error: &Error) {
        self.0.failed(subject, None, error);
    }

    /// A plugin died, and is being started anew.
    pub fn restarting(&self, restart: &Restart) {
        let Restart { plugin, ending, number, pause } = restart;
        *self.0.counts().restarts.entry(plugin.clone()).or_default() += 1;
        let seconds = pause.as_secs_f64();
        tracing::warn!("plugin {plugin} {ending}; it is restarted in {seconds:.1} s");
        let fields = json!({ "plugin": plugin, "reason": ending.to_string(), "number": number, "in": seconds });
        self.0.send("plugin_restarted", fields);
    }

    /// A line of a listing, or of what would be done: `text` for people, `event` for programs.
    ///
    /// # Errors
    ///
    /// * [`Error::LocalIo`]: stdout is closed
    pub fn print(&self, event: &str, text: &str, fields: serde_json::Value) -> Result<(), Error> {
        self.0.counts().printed += 1;
        let printed = if self.0.style.json {
            self.0.events.send(event, fields)
        } else {
            self.0.bars.suspend(|| io::stdout().write_all(format!("{text}\n").as_bytes()))
        };
        printed.map_err(|source| Error::LocalIo { action: "write", path: "stdout".into(), source })
    }

    /// All is over, and ended with `result`.
    ///
    /// # Errors
    ///
    /// * [`Error::SomeFailed`]: `result` is well, and some of many downloads are not
    /// * `result`
    pub fn finish(&self, result: Result<(), Error>) -> Result<(), Error> {
        self.0.bars.finish();
        let (counts, time) = (self.0.counts().clone(), self.0.begun.elapsed());
        let total = counts.finished + counts.up_to_date + counts.failed;
        let failed = Error::SomeFailed { failed: counts.failed, total: total + counts.printed };
        let result = if counts.failed > 0 { result.and(Err(failed)) } else { result };
        let code = result.as_ref().err().map_or(0, Error::exit_code);
        if self.0.style.summary && total > 0 && counts.printed == 0 {
            self.0.say(&words::summary(&counts, time));
        }
        let fields = json!({
            "downloaded": counts.finished,
            "up_to_date": counts.up_to_date,
            "failed": counts.failed + counts.fatal,
            "bytes": counts.bytes,
            "resumed": counts.resumed,
            "retries": counts.retries,
            "plugin_restarts": counts.restarts,
            "seconds": time.as_secs_f64(),
            "exit_code": code,
            "error": result.as_ref().err().map(Error::with_causes),
        });
        let told = self.0.events.send("summary", fields);
        let told = told.map_err(|source| Error::LocalIo { action: "write", path: "stdout".into(), source });
        result.and(told)
    }
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In one write, so that nobody else's line comes between. If stderr is closed, the exit status has to do.
    fn say(&self, text: &str) {
        let _ = self.bars.suspend(|| io::stderr().write_all(format!("{text}\n").as_bytes()));
    }

    fn send(&self, event: &str, fields: serde_json::Value) {
        // A closed stdout is told once, at the end.
        let _ = self.events.send(event, fields);
    }

    fn failed(&self, url: &str, output: Option<&str>, error: &Error) {
        let failed = {
            let mut counts = self.counts();
            counts.failed += 1;
            counts.failed
        };
        match failed {
            ..=TOLD => self.say(&Explained(error).to_string()),
            _ if failed == TOLD + 1 => self.say("dfget: more failures are counted and not told; --json tells all"),
            _ => {}
        }
        self.send_failed(url, output, error);
    }

    fn send_failed(&self, url: &str, output: Option<&str>, error: &Error) {
        let fields = json!({
            "url": url,
            "output": output,
            "error": error.with_causes(),
            "exit_code": error.exit_code(),
            "hint": error.hint(),
        });
        self.send("failed", fields);
    }
}

/// Where one download reports.
pub struct Tracker {
    shared: Arc<Shared>,
    url: String,
    output: Option<String>,
    bar: Bar,
    begun: Instant,
    length: AtomicU64,
    done: AtomicU64,
    pace: Pace,
}

impl Tracker {
    /// The resource is open: `length` of it is wanted, where that is known, and `held` of that is there already.
    pub fn opened(&self, length: Option<u64>, held: u64) {
        self.length.store(length.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.done.store(held, Ordering::Relaxed);
        self.bar.opened(length, held);
        let fields = || json!({ "url": self.url, "output": self.output, "length": length, "resumed": held });
        self.send("started", fields);
    }

    /// Bytes have come.
    pub fn advanced(&self, bytes: u64) {
        self.bar.advanced(bytes);
        self.shared.bars.advanced(bytes);
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.shared.style.json && self.pace.is_due() {
            let length = Some(self.length.load(Ordering::Relaxed)).filter(|length| *length != u64::MAX);
            self.send("progress", || json!({ "url": self.url, "bytes": done, "length": length }));
        }
    }

    /// The source says why nothing comes.
    pub fn waiting(&self, reason: &str) {
        self.bar.waiting(reason);
        self.send("waiting", || json!({ "url": self.url, "reason": reason }));
    }

    /// After `error` it is tried again from `offset` on: in a while, or once its plugin was started anew.
    pub fn retried(&self, error: &Error, pause: Option<Duration>, offset: u64) {
        let seconds = pause.map(|pause| pause.as_secs_f64());
        if let Some(seconds) = seconds {
            self.shared.counts().retries += 1;
            tracing::warn!("{error}; trying again in {seconds:.1} s at byte {offset}");
        } else {
            tracing::info!("{error}; going on at byte {offset}");
        }
        self.send(
            "retried",
            || json!({ "url": self.url, "error": error.to_string(), "offset": offset, "in": seconds }),
        );
    }

    /// What came so far is of no use: it is fetched from its beginning again.
    pub fn restarted(&self, reason: &Error) {
        tracing::warn!("{reason}; restarting from 0");
        self.send("restarted", || json!({ "url": self.url, "reason": reason.to_string() }));
    }

    /// All of it came, and it waits for its name among others.
    pub fn fetched(&mut self) {
        self.bar.give_way();
    }

    /// It is complete and has its name.
    pub fn finished(self, summary: &Summary) {
        let time = self.begun.elapsed();
        {
            let mut counts = self.shared.counts();
            counts.finished += 1;
            counts.bytes += summary.bytes - summary.resumed;
            counts.resumed += summary.resumed;
            counts.verified += u64::from(summary.verified.is_some());
            if counts.is_first() {
                counts.only = Some(words::finished(self.output.as_deref(), summary, time));
            }
        }
        let verified = summary.verified.as_ref().map(ToString::to_string);
        let fields = || {
            json!({
                "url": self.url,
                "output": self.output,
                "bytes": summary.bytes,
                "resumed": summary.resumed,
                "seconds": time.as_secs_f64(),
                "verified": verified,
            })
        };
        self.send("finished", fields);
        self.end();
    }

    /// The output is there, and of the source's version.
    pub fn up_to_date(self) {
        {
            let mut counts = self.shared.counts();
            counts.up_to_date += 1;
            if counts.is_first() {
                counts.only = Some(format!("{}: up to date", self.output.as_deref().unwrap_or_default()));
            }
        }
        self.send("up_to_date", || json!({ "url": self.url, "output": self.output }));
        self.end();
    }

    /// It failed, and the others go on.
    pub fn failed_beside_others(self, error: &Error) {
        self.shared.failed(&self.url, self.output.as_deref(), error);
        self.end();
    }

    /// It failed, and with it the whole run.
    pub fn failed(self, error: &Error) {
        self.shared.counts().fatal += 1;
        if self.shared.style.json {
            self.shared.send_failed(&self.url, self.output.as_deref(), error);
        }
    }

    fn end(&self) {
        self.shared.bars.one_done();
    }

    fn send(&self, event: &str, fields: impl FnOnce() -> serde_json::Value) {
        if self.shared.style.json {
            self.shared.send(event, fields());
        }
    }
}

/// stderr, with the bars out of the way while something is written.
#[derive(Clone)]
pub struct Stderr(Arc<Shared>);

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.bars.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
