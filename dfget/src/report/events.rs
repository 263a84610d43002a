//! `--json`: one object a line on stdout, in the order in which things happen. docs/JSON.md has them all.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;

/// A download tells its progress this often.
const EVERY: Duration = Duration::from_secs(1);

/// Where events go.
pub(super) struct Events {
    wanted: bool,
    /// The first error, told at the end.
    failed: Mutex<Option<io::ErrorKind>>,
}

impl Events {
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, failed: Mutex::default() }
    }

    /// Writes one event: `fields`, which is an object, with its name and the time.
    pub(super) fn send(&self, event: &str, fields: Value) -> io::Result<()> {
        if !self.wanted {
            return Ok(());
        }
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = *failed {
            return Err(kind.into());
        }
        let written = io::stdout().write_all(line(event, fields).as_bytes());
        *failed = written.as_ref().err().map(io::Error::kind);
        written
    }
}

fn line(event: &str, fields: Value) -> String {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let mut object = serde_json::Map::from_iter([("event".into(), event.into()), ("time".into(), time.into())]);
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    format!("{}\n", Value::Object(object))
}

/// When it is time for the next of many events.
pub(super) struct Pace(Mutex<Instant>);

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Pace {
    pub(super) fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.elapsed() >= EVERY;
        if due {
            *last = Instant::now();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line_with_name_and_time() {
        let line = line("waiting", json!({ "url": "x://h/a", "reason": "thawing\nslowly" }));
        assert_eq!(line.lines().count(), 1);
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["event"], &read["reason"]), (&json!("waiting"), &json!("thawing\nslowly")));
        assert!(humantime::parse_rfc3339(read["time"].as_str().unwrap()).is_ok());
    }
}
