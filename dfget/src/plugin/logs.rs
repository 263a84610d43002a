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

/// The reader of a plugin's stderr.
pub(super) struct Logs {
    tail: Arc<Mutex<VecDeque<String>>>,
    reader: tokio::sync::Mutex<JoinHandle<()>>,
}

impl Logs {
    /// Reads `stderr` of the plugin up to its end, whoever holds it.
    pub(super) fn read(
        candidate: &Candidate,
        settings: &Settings,
        stderr: impl AsyncRead + Unpin + Send + 'static,
    ) -> Self {
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let (author, remembered) = (Author::new(candidate, settings), Arc::clone(&tail));
        let reader = tokio::spawn(drain(stderr, move |line| {
            let line = Line::parse(line);
            author.log(&line);
            remember(&remembered, line.message);
        }));
        Self { tail, reader: tokio::sync::Mutex::new(reader) }
    }

    /// Of a plugin that writes to somebody else.
    pub(super) fn none() -> Self {
        Self { tail: Arc::default(), reader: tokio::sync::Mutex::new(tokio::spawn(async {})) }
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
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.reader.get_mut().abort();
    }
}

fn remember(tail: &Mutex<VecDeque<String>>, message: String) {
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    if message.is_empty() {
        return;
    }
    if tail.len() == LAST_WORDS {
        tail.pop_front();
    }
    tail.push_back(message);
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

    pub(super) fn log(&self, line: &[u8]) {
        if self.0.level >= Level::DEBUG {
            tracing::debug!(target: "plugin", "{}: stdout: {}", self.0.name, printable_bytes(line));
        }
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
        let Line { level, message, fields } = line;
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
    let mut line = Vec::new();
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        let mut rest = &buffer[..read];
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            extend(&mut line, &rest[..end]);
            take(&line);
            line.clear();
            rest = &rest[end + 1..];
        }
        extend(&mut line, rest);
    }
    if !line.is_empty() {
        take(&line);
    }
}

fn extend(line: &mut Vec<u8>, bytes: &[u8]) {
    let room = limits::STDERR_LINE - line.len();
    line.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

/// A line of stderr: hclog's JSON, or text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    level: Level,
    pub(super) message: String,
    /// `key=value` of an hclog line's own fields.
    pub(super) fields: String,
}

impl Line {
    pub(super) fn parse(line: &[u8]) -> Self {
        let json = serde_json::from_slice(line).ok().and_then(Self::from_hclog);
        json.unwrap_or_else(|| Self { level: Level::INFO, message: printable_bytes(line), fields: String::new() })
    }

    fn from_hclog(line: Value) -> Option<Self> {
        let Value::Object(mut fields) = line else { return None };
        let message = fields.remove("@message")?.as_str().map(printable)?;
        let level = match fields.remove("@level")?.as_str()? {
            "trace" => Level::TRACE,
            "debug" => Level::DEBUG,
            "warn" => Level::WARN,
            "error" => Level::ERROR,
            _ => Level::INFO,
        };
        fields.retain(|key, _| !key.starts_with('@'));
        let fields: Vec<String> = fields.iter().map(|(key, value)| printable(&format!("{key}={value}"))).collect();
        Some(Self { level, message, fields: fields.join(" ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hclog_lines_are_taken_apart() {
        let line = br#"{"@level":"warn","@message":"slow \u001b","@timestamp":"t","host":"a","n":3}"#;
        let expected = Line { level: Level::WARN, message: r"slow \u{1b}".into(), fields: r#"host="a" n=3"#.into() };
        assert_eq!(Line::parse(line), expected);
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

    #[tokio::test]
    async fn the_last_lines_are_remembered() {
        let text = (0..9).map(|number| format!("line {number}\n")).collect::<String>();
        let candidate =
            Candidate { name: "x".into(), path: "d7y-resource-plugin-x".into(), shadowed: false, attached: None };
        let logs = Logs::read(&candidate, &Settings::default(), std::io::Cursor::new(text));
        let words = logs.last_words(Duration::from_secs(9)).await;
        assert_eq!(words, ["line 4", "line 5", "line 6", "line 7", "line 8"]);
        assert_eq!(logs.last_words(Duration::from_secs(9)).await, words);
    }
}
