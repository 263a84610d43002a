//! What a plugin writes besides its answers.

use plugin_proto::{
    limits,
    resource::{self as proto, Header},
};
use serde_json::Value;

use super::{report::Findings, session::Session};

/// The value of an option that must turn up nowhere.
pub(super) const OPTION_CANARY: &str = "conformance-option-value-7e1d";

/// The same of a header.
const HEADER_CANARY: &str = "conformance-header-value-3b5c";

/// Keys whose values a go-plugin host takes for strings, and panics where they are none.
const STRINGS: [&str; 3] = ["@level", "@message", "@timestamp"];

/// Hands a secret to the plugin, as a user may. What it answers does not matter.
pub(super) async fn provoke(session: &Session, url: &str, _: &mut Findings) {
    let header = |name: &str, value: String| Header { name: name.to_owned(), value };
    let header = vec![
        header("Authorization", format!("Bearer {HEADER_CANARY}")),
        header("X-Conformance", HEADER_CANARY.to_owned()),
    ];
    let resource = Some(proto::Resource { url: url.to_owned(), header });
    let request = proto::GetMetadataRequest { resource: resource.clone() };
    let _ = session.ask(async { session.client().get_metadata(request).await }).await;
    let request = proto::DownloadRequest { resource, range: None, validator: None };
    let _ = session.begin(request).await;
}

/// Once the process is gone, and all that it wrote is read.
pub(super) fn judge(session: &Session, findings: &mut Findings) {
    let stdout = session.process.stdout.read(|captured| {
        let rest = captured.bytes.get(session.greeting.length..).unwrap_or_default();
        String::from_utf8_lossy(rest).into_owned()
    });
    let silent = if stdout.is_empty() { Ok(()) } else { Err(format!("`{}`", start_of(&stdout))) };
    findings.judge("stdout.silent", silent);
    let (stderr, longest) = session.process.stderr.read(|captured| (captured.text(), captured.longest_line));
    findings.judge("stderr.hclog", stderr.lines().try_for_each(check_line));
    let short = if longest > limits::STDERR_LINE { Err(format!("one has {longest} bytes")) } else { Ok(()) };
    findings.judge("stderr.length", short);
    judge_secrets(&[("stdout", &stdout), ("stderr", &stderr), ("GRPCStdio", &session.printed())], findings);
}

fn judge_secrets(texts: &[(&str, &str)], findings: &mut Findings) {
    for (canary, what) in [(HEADER_CANARY, "the value of a header"), (OPTION_CANARY, "the value of an option")] {
        let found = texts.iter().find(|(_, text)| text.contains(canary));
        let held = found.map_or(Ok(()), |(place, _)| Err(format!("{what} is in its {place}")));
        findings.judge("log.secrets", held);
    }
}

fn check_line(line: &str) -> Result<(), String> {
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(line) else { return Ok(()) };
    let wrong = STRINGS.iter().find(|key| object.get(**key).is_some_and(|value| !value.is_string()));
    wrong.map_or(Ok(()), |key| Err(format!("`{key}` is no string in `{}`", start_of(line))))
}

fn start_of(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_with_another_kind_of_value_is_wrong() {
        for line in ["plain", "{", "[1]", r#"{"@message":"a","n":1}"#, r#"{"@level":"info","@timestamp":"x"}"#] {
            assert_eq!(check_line(line), Ok(()), "{line}");
        }
        for line in [r#"{"@message":1}"#, r#"{"@level":null}"#, r#"{"@timestamp":{}}"#] {
            assert!(check_line(line).is_err(), "{line}");
        }
    }
}
