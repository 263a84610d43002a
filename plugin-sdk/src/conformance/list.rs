//! Listings: their names, and what is behind them.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;
use plugin_proto::resource::{Entry, ListResponse};
use tokio::time::Instant;
use tonic::Code;

use super::{
    Suite,
    metadata::{self, contradict},
    report::Findings,
    session::{Failed, Session, expect, is_too_large, resource},
};

/// Longest name, in bytes.
const NAME: usize = 255;

/// Entries that are looked at more closely, of files and of directories each.
const CLOSELY: usize = 3;

/// Entries that are read at most.
const MOST: usize = 200_000;

pub(super) async fn judge(suite: &Suite, session: &Session, findings: &mut Findings) {
    judge_file(suite, session, findings).await;
    let Some(url) = &suite.directory else {
        return skip(findings, &OF_DIRECTORIES, "name a resource that is a directory");
    };
    match entries(session, url).await {
        Ok(entries) => {
            findings.pass("list.answer");
            findings.judge("list.names", entries.iter().try_for_each(|entry| check_name(&entry.name)));
            findings.judge("list.once", check_once(&entries));
            let held = check_entries(session, url, &entries).await;
            findings.judge("list.entries", held);
        }
        Err(failed) if failed.is_absence() => skip(findings, &OF_DIRECTORIES, "it has no List"),
        Err(failed) if is_too_large(&failed) => _ = findings.fail("download.message", format!("List: {failed}")),
        Err(failed) => _ = findings.fail("list.answer", failed.to_string()),
    }
}

/// What can be said of a directory alone.
const OF_DIRECTORIES: [&str; 4] = ["list.answer", "list.names", "list.once", "list.entries"];

fn skip(findings: &mut Findings, ids: &[&'static str], why: &str) {
    ids.iter().for_each(|id| findings.skip(id, why));
}

async fn judge_file(suite: &Suite, session: &Session, findings: &mut Findings) {
    let Some(url) = &suite.url else {
        return findings.skip("list.file", "name a resource that exists");
    };
    match session.list(resource(url)).await {
        Err(failed) if failed.is_absence() => findings.skip("list.file", "it has no List"),
        listed => _ = findings.judge("list.file", expect("List", listed, Code::InvalidArgument, false)),
    }
}

async fn entries(session: &Session, url: &str) -> Result<Vec<Entry>, Failed> {
    let (first, mut stream) = session.list(resource(url)).await?;
    let deadline = Instant::now() + session.limits.whole;
    let (mut all, mut page) = (Vec::new(), first);
    // Pages without entries are no progress: only so many in a row.
    let mut due = Instant::now() + session.limits.answer;
    while let Some(ListResponse { entries }) = page {
        let now = Instant::now();
        if !entries.is_empty() {
            due = now + session.limits.answer;
        }
        all.extend(entries);
        if all.len() > MOST || now > deadline.min(due) {
            return Err(Failed::Broken(format!("it did not end: {} entries came", all.len())));
        }
        tokio::task::consume_budget().await;
        page = session.next(due.saturating_duration_since(now), &mut stream).await?;
    }
    Ok(all)
}

fn check_name(name: &str) -> Result<(), String> {
    let decoded = percent_decode_str(name).decode_utf8_lossy();
    let leads = |name: &str| matches!(name, "." | "..") || name.contains('/');
    match () {
        () if name.is_empty() => Err("one is empty".into()),
        () if name.len() > NAME => Err(format!("one has {} bytes", name.len())),
        () if leads(name) || leads(&decoded) => Err(format!("`{name}` leads elsewhere")),
        () if name.contains(char::is_control) || decoded.contains(char::is_control) => {
            Err(format!("`{name}` has a control character"))
        }
        () => Ok(()),
    }
}

fn check_once(entries: &[Entry]) -> Result<(), String> {
    let mut seen = HashSet::new();
    let twice = entries.iter().find(|entry| !seen.insert(entry.name.as_str()));
    twice.map_or(Ok(()), |entry| Err(format!("`{}` comes twice", entry.name)))
}

/// Whether some of each kind, and all that have a URL of their own, are what they are said to be.
async fn check_entries(session: &Session, url: &str, entries: &[Entry]) -> Result<(), String> {
    let scheme = scheme_of(url);
    let strange = |entry: &&Entry| !entry.url.is_empty() && scheme_of(&entry.url) != scheme;
    if let Some(entry) = entries.iter().find(strange) {
        return Err(format!("`{}` has a URL of another scheme", entry.name));
    }
    let good = || entries.iter().filter(|entry| check_name(&entry.name).is_ok());
    for entry in good().filter(|entry| !entry.directory).take(CLOSELY) {
        check_file(session, url, entry).await.map_err(|found| format!("`{}`: {found}", entry.name))?;
    }
    for entry in good().filter(|entry| entry.directory).take(CLOSELY) {
        let listed = session.list(resource(&url_of(url, entry))).await;
        listed.map_err(|failed| format!("`{}` cannot be listed: {failed}", entry.name))?;
    }
    Ok(())
}

async fn check_file(session: &Session, url: &str, entry: &Entry) -> Result<(), String> {
    let told = match metadata::get(session, &url_of(url, entry)).await {
        Ok(told) => told,
        Err(failed) if failed.is_absence() => return Ok(()),
        Err(failed) => return Err(format!("GetMetadata: {failed}")),
    };
    contradict(&entry.metadata.clone().unwrap_or_default(), &told)
}

fn scheme_of(url: &str) -> Option<String> {
    url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase())
}

/// As PROTOCOL.md has it for an entry without a URL of its own.
fn url_of(directory: &str, entry: &Entry) -> String {
    if !entry.url.is_empty() {
        return entry.url.clone();
    }
    crate::resource::url_beneath(directory, &entry.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_told() {
        for name in ["", ".", "..", "a/b", "%2e%2e", "..%2fa", "a%00", "a\nb", &"x".repeat(256)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in ["a", "a b", "100%", "ü", "...", &"x".repeat(255)] {
            assert_eq!(check_name(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn an_entry_is_beneath_its_directory() {
        let entry = |name: &str| Entry { name: name.into(), ..Entry::default() };
        assert_eq!(url_of("x://h/a?q=1", &entry("b c")), "x://h/a/b%20c?q=1");
        assert_eq!(url_of("x://h/a/", &entry("%")), "x://h/a/%25");
        assert_eq!(url_of("x://h/a", &Entry { url: "x://h/z".into(), ..entry("b") }), "x://h/z");
    }
}
