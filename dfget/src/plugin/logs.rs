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
use tracing::Level;

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
    /// Reads `stderr` of `plugin` up to its end, whoever holds it.
    pub(super) fn read(plugin: &str, stderr: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let (plugin, remembered) = (plugin.to_owned(), Arc::clone(&tail));
        let reader = tokio::spawn(drain(stderr, move |line| {
            let line = Line::parse(line);
            line.log(&plugin);
            remember(&remembered, line.message);
        }));
        Self { tail, reader: tokio::sync::Mutex::new(reader) }
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

/// Reads what a plugin's code printed to stdout, up to its end.
pub(super) async fn drain_stdout(plugin: String, stdout: impl AsyncRead + Unpin) {
    drain(stdout, |line| tracing::debug!(target: "plugin", plugin, "stdout: {}", printable_bytes(line))).await;
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

    fn log(&self, plugin: &str) {
        let Self { level, message, fields } = self;
        match *level {
            Level::ERROR => tracing::error!(target: "plugin", plugin, "{message} {fields}"),
            Level::WARN => tracing::warn!(target: "plugin", plugin, "{message} {fields}"),
            Level::INFO => tracing::info!(target: "plugin", plugin, "{message} {fields}"),
            Level::DEBUG => tracing::debug!(target: "plugin", plugin, "{message} {fields}"),
            Level::TRACE => tracing::trace!(target: "plugin", plugin, "{message} {fields}"),
        }
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
        let logs = Logs::read("d7y-resource-plugin-x", std::io::Cursor::new(text));
        let words = logs.last_words(Duration::from_secs(9)).await;
        assert_eq!(words, ["line 4", "line 5", "line 6", "line 7", "line 8"]);
        assert_eq!(logs.last_words(Duration::from_secs(9)).await, words);
    }
}
