//! `tracing` events as hclog JSON lines on stderr, which is where a go-plugin host looks for them.

use std::{
    fmt,
    io::{self, IsTerminal},
};

use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
};

/// The host decides what is shown. The network stack's own chatter would drown the author's events.
fn filter() -> Targets {
    ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tonic", "tower"]
        .into_iter()
        .fold(Targets::new().with_default(LevelFilter::DEBUG), |filter, target| filter.with_target(target, Level::WARN))
}

/// Does nothing where the author has installed a subscriber before.
pub(super) fn install() {
    let layer = tracing_subscriber::fmt::layer().event_format(Hclog).with_writer(io::stderr).with_filter(filter());
    // Fails only if there is one already, which is the author's choice.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
}

/// The same for people, who have started the plugin themselves.
pub(super) fn install_for_people() {
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer.with_filter(filter())));
}

struct Hclog;

impl<S, N> FormatEvent<S, N> for Hclog
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Fields::default();
        event.record(&mut line);
        line.fields.insert("@module".into(), event.metadata().target().into());
        writeln!(writer, "{}", line.hclog(*event.metadata().level())?)
    }
}

/// A line that says `message` at the level of an error.
pub(super) fn error(message: String) -> String {
    let line = Fields { message, fields: Map::new() };
    line.hclog(Level::ERROR).map_or_else(|_| String::new(), |line| line.to_string())
}

/// The fields of an event, the message apart.
#[derive(Default)]
struct Fields {
    message: String,
    fields: Map<String, Value>,
}

impl Fields {
    fn hclog(mut self, level: Level) -> Result<Value, fmt::Error> {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        // Last, so that no field of the author's can make one of them anything but a string: a Go host panics then.
        let level = level.as_str().to_ascii_lowercase();
        let own = [("@level", level), ("@message", self.message), ("@timestamp", timestamp)];
        self.fields.extend(own.map(|(key, value)| (key.to_owned(), value.into())));
        Ok(Value::Object(self.fields))
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, text.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, value.into());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
