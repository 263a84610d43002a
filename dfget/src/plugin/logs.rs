//! What a plugin writes to stderr and, after its handshake, to stdout: read for ever, logged, its end remembered.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plugin_proto::limits;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    task::JoinHandle,
    time::timeout,
};
use tracing::{Level, level_filters::LevelFilter};

use super::{Settings, discover::Candidate};
use crate::escape::{printable, printable_bytes};

/// Lines of stderr that an error quotes.
const LAST_WORDS: usize = 5;

/// Bytes read at a time.
const READ: usize = 16 * 1024;

const LEVELS: [Level; 5] = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];

/// How the Go runtime begins what it says of its end: the reason, and then all that was going on.
const REASONS: [&str; 2] = ["panic: ", "fatal error: "];

/// The reader of a plugin's stderr.
pub(super) struct Logs {
    words: Arc<Mutex<Words>>,
    reader: tokio::sync::Mutex<JoinHandle<()>>,
}

impl Logs {
    /// Reads `stderr` of the plugin up to its end, whoever holds it.
    pub(super) fn read(
        candidate: &Candidate,
        settings: &Settings,
        stderr: impl AsyncRead + Unpin + Send + 'static,
    ) -> Self {
        let words = Arc::new(Mutex::new(Words::default()));
        let (author, remembered) = (Author::new(candidate, settings), Arc::clone(&words));
        let reader = tokio::spawn(drain(stderr, move |line| {
            let line = remembered.lock().unwrap_or_else(PoisonError::into_inner).hear(Line::parse(line));
            author.log(&line);
        }));
        Self { words, reader: tokio::sync::Mutex::new(reader) }
    }

    /// Of a plugin that writes to somebody else.
    pub(super) fn none() -> Self {
        Self { words: Arc::default(), reader: tokio::sync::Mutex::new(tokio::spawn(async {})) }
    }

    /// The last lines, once the plugin has ended: waits at most `limit` for those still in the pipe, whose end a
    /// grandchild may hold open.
    pub(super) async fn last_words(&self, limit: Duration) -> Vec<String> {
        let read_all = async {
            let mut reader = self.reader.lock().await;
            // Polled after its end, a handle panics.
            if !reader.is_finished() {
                let _ = (&mut *reader).await;
            }
        };
        let _ = timeout(limit, read_all).await;
        self.words.lock().unwrap_or_else(PoisonError::into_inner).last.iter().cloned().collect()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.reader.get_mut().abort();
    }
}

/// What is worth remembering of what a plugin said.
#[derive(Default)]
struct Words {
    last: VecDeque<String>,
    /// It says why it dies, and lines without a level belong to that.
    dying: bool,
}

impl Words {
    /// Takes a line in. Gives it back with the level it has where it stands.
    fn hear(&mut self, mut line: Line) -> Line {
        let begins = line.is_text && REASONS.iter().any(|reason| line.message.starts_with(reason));
        self.dying = begins || (self.dying && line.is_text);
        if begins {
            // Of these the first lines are the ones that tell.
            self.last.clear();
        }
        if self.dying {
            line.level = Level::ERROR;
        }
        self.remember(&line.message);
        line
    }

    fn remember(&mut self, message: &str) {
        let is_full = self.last.len() == LAST_WORDS;
        if message.is_empty() || (is_full && self.dying) {
            return;
        }
        if is_full {
            self.last.pop_front();
        }
        self.last.push_back(message.to_owned());
    }
}

/// What a plugin's code prints to stdout.
pub(super) struct Printed(Author);

impl Printed {
    pub(super) fn by(candidate: &Candidate, settings: &Settings) -> Self {
        Self(Author::new(candidate, settings))
    }

    /// Reads it up to its end.
    pub(super) async fn drain(self, stdout: impl AsyncRead + Unpin) {
        drain(stdout, |line| self.log(line)).await;
    }

    /// Logs a line that was printed to stdout.
    pub(super) fn log(&self, line: &[u8]) {
        if self.0.level >= Level::DEBUG {
            tracing::debug!(target: "plugin", "{}: stdout: {}", self.0.name, printable_bytes(line));
        }
    }

    /// Logs a line that was written to stderr.
    pub(super) fn log_error(&self, line: &[u8]) {
        self.0.log(&Line::parse(line));
    }
}

/// Whose lines they are, and which of them are wanted. Not a filter of the subscriber's: it knows no plugins.
struct Author {
    /// The scheme, by which `--log-level` calls it.
    name: String,
    level: LevelFilter,
}

impl Author {
    fn new(candidate: &Candidate, settings: &Settings) -> Self {
        Self { name: candidate.name.clone(), level: settings.verbosity.of(&candidate.name) }
    }

    fn log(&self, line: &Line) {
        if line.level > self.level {
            return;
        }
        let Line { level, message, fields, .. } = line;
        let (name, space) = (&self.name, if fields.is_empty() { "" } else { " " });
        match *level {
            Level::ERROR => tracing::error!(target: "plugin", "{name}: {message}{space}{fields}"),
            Level::WARN => tracing::warn!(target: "plugin", "{name}: {message}{space}{fields}"),
            Level::INFO => tracing::info!(target: "plugin", "{name}: {message}{space}{fields}"),
            Level::DEBUG => tracing::debug!(target: "plugin", "{name}: {message}{space}{fields}"),
            Level::TRACE => tracing::trace!(target: "plugin", "{name}: {message}{space}{fields}"),
        }
    }
}

/// Calls `take` for every line, cut to [`limits::STDERR_LINE`]. Never stops reading, so that the plugin never blocks.
pub(super) async fn drain(mut pipe: impl AsyncRead + Unpin, take: impl Fn(&[u8])) {
    let mut buffer = vec![0; READ];
    let mut lines = Lines::default();
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        lines.feed(&buffer[..read], &take);
    }
    lines.end(take);
}

/// Text that comes in pieces of any size.
#[derive(Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Calls `take` for every line that ends in `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8], take: impl Fn(&[u8])) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.extend(&rest[..end]);
            take(&self.begun);
            self.begun.clear();
            rest = &rest[end + 1..];
        }
        self.extend(rest);
    }

    /// Calls `take` for a line that never ended.
    pub(super) fn end(self, take: impl Fn(&[u8])) {
        if !self.begun.is_empty() {
            take(&self.begun);
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = limits::STDERR_LINE - self.begun.len();
        self.begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// A line of stderr: hclog's JSON, or text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    level: Level,
    pub(super) message: String,
    /// `key=value` of an hclog line's own fields.
    pub(super) fields: String,
    /// It says nothing of its level.
    is_text: bool,
}

impl Line {
    pub(super) fn parse(line: &[u8]) -> Self {
        let json = serde_json::from_slice(line).ok().and_then(Self::from_hclog);
        json.unwrap_or_else(|| Self::from_text(printable_bytes(line)))
    }

    /// Other loggers put the level in front.
    fn from_text(message: String) -> Self {
        let tag = message.strip_prefix('[').and_then(|rest| Some(rest.split_once(']')?.0));
        let level = LEVELS.into_iter().find(|level| tag == Some(level.as_str()));
        Self { level: level.unwrap_or(Level::INFO), message, fields: String::new(), is_text: level.is_none() }
    }

    fn from_hclog(line: Value) -> Option<Self> {
        let Value::Object(mut fields) = line else { return None };
        let message = fields.remove("@message")?.as_str().map(printable)?;
        let name = fields.remove("@level")?;
        let name = name.as_str()?;
        let level = LEVELS.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(name)).unwrap_or(Level::INFO);
        fields.retain(|key, _| !key.starts_with('@'));
        let fields: Vec<String> = fields.iter().map(|(key, value)| printable(&format!("{key}={value}"))).collect();
        Some(Self { level, message, fields: fields.join(" "), is_text: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hclog_lines_are_taken_apart() {
        let line = br#"{"@level":"warn","@message":"slow \u001b","@timestamp":"t","host":"a","n":3}"#;
        let (message, fields) = (r"slow \u{1b}".into(), r#"host="a" n=3"#.into());
        assert_eq!(Line::parse(line), Line { level: Level::WARN, message, fields, is_text: false });
    }

    #[test]
    fn anything_else_is_text() {
        for line in [r#"{"@message":5,"@level":"info"}"#, r#"{"@message":"x"}"#, "[1]", "panic: no tape", "{"] {
            assert_eq!(Line::parse(line.as_bytes()).message, line);
        }
    }

    #[tokio::test]
    async fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let long = [vec![b'x'; limits::STDERR_LINE + READ], b"\nnext\nlast".to_vec()].concat();
        let lengths = Mutex::new(Vec::new());
        drain(long.as_slice(), |line| lengths.lock().unwrap().push(line.len())).await;
        assert_eq!(lengths.into_inner().unwrap(), [limits::STDERR_LINE, 4, 4]);
    }

    #[test]
    fn a_level_in_front_of_a_line_is_its_level() {
        let level = |line: &str| Line::parse(line.as_bytes()).level;
        assert_eq!(level("[WARN] the tape is old"), Level::WARN);
        assert_eq!(level("[TRACE] x"), Level::TRACE);
        for line in ["[ERROR", "[error] x", "[x] y", "[] y", " [WARN] x"] {
            assert_eq!(level(line), Level::INFO, "{line}");
        }
    }

    #[test]
    fn of_a_go_panic_the_reason_is_remembered_and_all_of_it_is_an_error() {
        let mut words = Words::default();
        let mut hear = |line: &str| words.hear(Line::parse(line.as_bytes())).level;
        assert_eq!(hear("serving"), Level::INFO);
        for line in ["panic: no tape", "", "goroutine 1 [running]:", "main.main()", "\tmain.go:9", "c", "d"] {
            assert_eq!(hear(line), Level::ERROR, "{line}");
        }
        assert_eq!(hear("[DEBUG] another goroutine"), Level::DEBUG);
        assert_eq!(hear("it lives after all"), Level::INFO);
        let last = words.last.into_iter().collect::<Vec<_>>();
        assert_eq!(last, [r"main.main()", r"\tmain.go:9", "c", "[DEBUG] another goroutine", "it lives after all"]);
    }

    #[tokio::test]
    async fn the_last_lines_are_remembered() {
        let text = (0..9).map(|number| format!("line {number}\n")).collect::<String>();
        let candidate = Candidate::file("x", "d7y-resource-plugin-x".into());
        let logs = Logs::read(&candidate, &Settings::default(), std::io::Cursor::new(text));
        let words = logs.last_words(Duration::from_secs(9)).await;
        assert_eq!(words, ["line 4", "line 5", "line 6", "line 7", "line 8"]);
        assert_eq!(logs.last_words(Duration::from_secs(9)).await, words);
    }
}
