//! What holds, and where each came from: as a configuration file that can be pasted, or as JSON.
//!
//! What could be a secret is masked here and on the way in: an [`Effective`] holds none.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::{Configuration, Given, Origin, document::Form, key, rules};
use crate::{
    escape::{is_harmless, is_secret, printable},
    url::{ResourceUrl, without_secrets},
};

const MASK: &str = "***";

/// Where the comments begin, if the line is not longer.
const COLUMN: usize = 32;

/// All settings of a run.
#[derive(Debug)]
pub struct Effective {
    file: Option<PathBuf>,
    settings: Vec<(String, Setting)>,
    sources: BTreeMap<String, BTreeMap<String, Setting>>,
}

#[derive(Debug, Clone)]
struct Setting {
    value: Value,
    origin: Origin,
}

#[derive(Debug, Clone)]
enum Value {
    Unset,
    Switch(bool),
    One(String),
    Many(Vec<String>),
}

impl Effective {
    pub(super) fn new(configuration: &Configuration, command: &Command, matches: &ArgMatches) -> Self {
        let settings = command.get_arguments().filter_map(|arg| {
            let key = key(arg)?;
            let origin = configuration.origin(arg, key, matches);
            Some((key.to_owned(), Setting { value: Value::of(arg, key, matches), origin }))
        });
        let settings: Vec<_> = settings.collect();
        let sources = configuration.sources.iter().map(|(scheme, options)| {
            let own = options.iter().map(|(key, given)| (key.clone(), Setting::of_option(key, given)));
            // The rules come last: an option of the same name, by `--opt`, is another thing.
            let rules = configuration.rules.get(scheme).into_iter().flatten();
            let rules = rules.map(|(key, given)| (key.clone(), Setting::of_rule(key, given)));
            (scheme.clone(), own.chain(options_for_all(&settings)).chain(rules).collect())
        });
        Self { file: configuration.file.clone(), sources: sources.collect(), settings }
    }

    /// One document, for `--json`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let of_all = |settings: &mut dyn Iterator<Item = (&String, &Setting)>| -> serde_json::Value {
            settings.map(|(key, setting)| (key.clone(), setting.to_json())).collect()
        };
        let settings = of_all(&mut self.settings.iter().map(|(key, setting)| (key, setting)));
        let sources = self.sources.iter().map(|(scheme, options)| (scheme.clone(), of_all(&mut options.iter())));
        json!({ "file": self.file, "settings": settings, "source": sources.collect::<serde_json::Value>() })
    }
}

/// Those of `--opt`, as they are shown there.
fn options_for_all(settings: &[(String, Setting)]) -> impl Iterator<Item = (String, Setting)> {
    let all = settings.iter().filter(|(key, _)| key == "opt");
    all.flat_map(|(_, setting)| {
        let pairs = if let Value::Many(pairs) = &setting.value { &pairs[..] } else { &[] };
        pairs.iter().filter_map(|pair| {
            let (key, value) = pair.split_once('=').filter(|_| !pair.starts_with('@'))?;
            Some((key.to_owned(), Setting { value: Value::One(value.to_owned()), origin: setting.origin.clone() }))
        })
    })
}

impl Setting {
    fn of_option(key: &str, given: &Given) -> Self {
        Self { value: Value::One(option(key, &given.text())), origin: given.origin.clone() }
    }

    fn of_rule(key: &str, given: &Given) -> Self {
        let text = given.text();
        let value = match rules::form(key) {
            Some(Form::Many) => {
                Value::Many(given.values.iter().map(|value| value.to_string_lossy().into_owned()).collect())
            }
            Some(Form::Switch) => Value::Switch(text == "true"),
            _ => Value::One(text),
        };
        Self { value, origin: given.origin.clone() }
    }

    fn to_json(&self) -> serde_json::Value {
        let value = match &self.value {
            Value::Unset => json!(null),
            Value::Switch(on) => json!(on),
            Value::One(text) => number(text).map_or_else(|| json!(text), |number| json!(number)),
            Value::Many(texts) => json!(texts),
        };
        json!({ "value": value, "from": self.origin.to_string() })
    }

    /// `key = value  # origin`
    fn line(&self, key: &str) -> String {
        if let Value::Unset = self.value {
            return format!("# {} =", bare_or_quoted(key));
        }
        let assignment = format!("{} = {}", bare_or_quoted(key), self.value);
        // A path may have any character in it, a new line too.
        format!("{assignment:COLUMN$}  # {}", printable(&self.origin.to_string()))
    }
}

impl Value {
    fn of(arg: &Arg, key: &str, matches: &ArgMatches) -> Self {
        let raw = matches.get_raw(arg.get_id().as_str()).into_iter().flatten();
        let mut texts = raw.map(|text| masked(key, &text.to_string_lossy()));
        match arg.get_action() {
            ArgAction::Append => Some(texts.collect()).filter(|all: &Vec<_>| !all.is_empty()).map(Self::Many),
            action => texts.next().map(|text| match text.as_str() {
                "true" | "false" if is_switch(arg, action) => Self::Switch(text == "true"),
                _ => Self::One(text),
            }),
        }
        .unwrap_or(Self::Unset)
    }
}

/// Also if it was given a value, by `--overwrite=false`.
fn is_switch(arg: &Arg, action: &ArgAction) -> bool {
    matches!(action, ArgAction::SetTrue) || arg.is_require_equals_set()
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => Ok(()),
            Self::Switch(on) => on.fmt(f),
            Self::One(text) => f.write_str(&number(text).map_or_else(|| quoted(text), |number| number.to_string())),
            Self::Many(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                write!(f, "[{}]", texts.join(", "))
            }
        }
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(path) => writeln!(f, "# the configuration file: {}", printable(&path.display().to_string()))?,
            None => writeln!(f, "# the configuration file: none")?,
        }
        for (key, setting) in &self.settings {
            writeln!(f, "{}", setting.line(key))?;
        }
        for (scheme, options) in &self.sources {
            writeln!(f, "\n[source.{}]", bare_or_quoted(scheme))?;
            for (key, setting) in options {
                writeln!(f, "{}", setting.line(key))?;
            }
        }
        Ok(())
    }
}

/// The text of one value of the setting `key`, without secrets.
fn masked(key: &str, text: &str) -> String {
    match key {
        // The name of a file, and what is in it is not known here.
        "header" | "opt" | "user" | "oauth2-bearer" if text.starts_with('@') => text.to_owned(),
        "user" | "oauth2-bearer" => MASK.into(),
        "proxy" => option(key, text),
        "header" => format!("{}: {MASK}", text.split_once(':').map_or("", |(name, _)| name.trim())),
        "opt" => {
            text.split_once('=').map_or_else(|| MASK.into(), |(key, value)| format!("{key}={}", option(key, value)))
        }
        "url" => url(text),
        // The flag names a file.
        "key" => text.to_owned(),
        key if is_secret(key) => MASK.into(),
        _ => text.to_owned(),
    }
}

fn option(key: &str, value: &str) -> String {
    match value {
        _ if is_secret(key) => MASK.into(),
        value if value.contains("://") => url(value),
        value if key == "user" && value.contains(':') => MASK.into(),
        value if key == "proxy" => {
            value.rsplit_once('@').map_or_else(|| value.into(), |(_, host)| format!("{MASK}@{host}"))
        }
        value => value.to_owned(),
    }
}

fn url(text: &str) -> String {
    text.parse::<ResourceUrl>().map_or_else(|_| printable(without_secrets(text)), |url| url.to_string())
}

/// What a file can have without quotes.
fn number(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

fn bare_or_quoted(key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_bare { key.to_owned() } else { quoted(key) }
}

/// As TOML has strings, fit for a terminal.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if is_harmless(c) => c.to_string(),
        c => format!("\\U{:08X}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        for (key, value, shown) in [
            ("header", "Authorization: Bearer x", "Authorization: ***"),
            ("header", "Accept:text", "Accept: ***"),
            ("opt", "root=/a=b", "root=/a=b"),
            ("opt", "accessKeySecret=x", "accessKeySecret=***"),
            ("opt", "PASSWORD=a=b", "PASSWORD=***"),
            ("opt", "endpoint=https://me:x@h/?sig=x", "endpoint=https://***@h/?sig=***"),
            ("url", "x://me:x@h/a?token=x", "x://***@h/a?token=***"),
            ("url", "//me:x@h/a?x", "h/a"),
            ("output", "key", "key"),
            ("user", "me:x", "***"),
            ("user", "@/file", "@/file"),
            ("oauth2-bearer", "x", "***"),
            ("header", "@/file", "@/file"),
            ("opt", "user=me:x", "user=***"),
            ("opt", "user=me", "user=me"),
            ("proxy", "http://me:x@h:1", "http://***@h:1/"),
            ("proxy", "me:x@h:1", "***@h:1"),
            ("key", "/a/key.pem", "/a/key.pem"),
            ("storage-access-key-secret", "x", "***"),
            ("hdfs-delegation-token", "x", "***"),
            ("storage-region", "x", "x"),
        ] {
            assert_eq!(masked(key, value), shown);
        }
        for key in ["pass", "Secret", "x_token", "api-key", "credentials", "signature", "auth", "cookie", "session"] {
            assert_eq!(option(key, "x"), MASK, "{key}");
        }
    }

    #[test]
    fn text_is_shown_as_toml_reads_it() {
        for text in ["", "a", "a\"b\\c", "a\nb\u{1b}[2J\u{7f}", "é\u{202e}", "8x", "08", "+8", "1_0"] {
            let line = format!("a = {}", Value::One(text.into()));
            let table = toml::de::DeTable::parse(&line).unwrap();
            assert_eq!(table.get_ref()["a"].get_ref().as_str(), Some(text), "{line}");
            assert!(line.chars().all(is_harmless), "{line}");
        }
        assert_eq!(Value::One("-8".into()).to_string(), "-8");
        assert_eq!(Value::Many(vec!["8".into(), "b".into()]).to_string(), "[\"8\", \"b\"]");
    }
}
