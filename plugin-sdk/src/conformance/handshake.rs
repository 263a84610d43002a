//! The handshake line, field by field.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
    time::Duration,
};

use plugin_proto::{
    APP_VERSIONS,
    handshake::{Address, Handshake},
    limits,
};
use tokio::time::timeout;

use super::{
    process::{Ended, Process},
    report::Findings,
};

/// How long what a process wrote before its end may take to be read.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A handshake line, and what came before it.
pub(super) struct Greeting {
    pub(super) handshake: Handshake,
    /// The first line before it.
    banner: Option<String>,
    /// Bytes on stdout up to its end.
    pub(super) length: usize,
}

/// Why there is none.
pub(super) enum NoGreeting {
    /// The process ended without one.
    Ended(Ended),
    /// It lives; this is what it did instead.
    Wrong(String),
}

impl NoGreeting {
    pub(super) fn describe(&self, process: &Process) -> String {
        match self {
            Self::Ended(ended) => {
                format!("it ended ({}) without a handshake line{}", ended.status, process.stderr.last_words())
            }
            Self::Wrong(found) => found.clone(),
        }
    }
}

/// Reads up to the handshake line.
pub(super) async fn greet(process: &Process, limit: Duration) -> Result<Greeting, NoGreeting> {
    let ended = tokio::select! {
        biased;
        () = process.stdout.until(|captured| !matches!(find(&captured.bytes), Ok(None))) => None,
        ended = process.ended_within(limit) => ended,
    };
    let found = process.stdout.read(|captured| find(&captured.bytes));
    match (found, ended) {
        (Ok(Some(greeting)), _) => Ok(greeting),
        (Err(found), _) => Err(NoGreeting::Wrong(found)),
        // stdout may be closed first.
        (Ok(None), None) => match process.ended_within(LAST_WORDS).await {
            Some(ended) => Err(NoGreeting::Ended(ended)),
            None => Err(NoGreeting::Wrong(unfinished(process, limit))),
        },
        (Ok(None), Some(ended)) => {
            // It may have written the line, and ended.
            let _ = timeout(LAST_WORDS, process.stdout.closed()).await;
            match process.stdout.read(|captured| find(&captured.bytes)) {
                Ok(Some(greeting)) => Ok(greeting),
                _ => Err(NoGreeting::Ended(ended)),
            }
        }
    }
}

fn unfinished(process: &Process, limit: Duration) -> String {
    let (text, closed) = process.stdout.read(|captured| (captured.text(), captured.closed));
    let words = process.stderr.last_words();
    match text.as_str() {
        _ if closed => format!("it closed stdout without a handshake line, and lives{words}"),
        "" => format!("it wrote nothing to stdout in {limit:?}{words}"),
        text => format!("it wrote no whole line in {limit:?}, but `{}`{words}", start_of(text)),
    }
}

/// `None` as long as more may come.
fn find(bytes: &[u8]) -> Result<Option<Greeting>, String> {
    let mut banner: Option<String> = None;
    let mut length = 0;
    for (number, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if line.len() > limits::HANDSHAKE_LINE + 1 {
            return Err(format!("a line on stdout is longer than {} bytes", limits::HANDSHAKE_LINE));
        }
        if !line.ends_with(b"\n") {
            return Ok(None);
        }
        length += line.len();
        let text = std::str::from_utf8(line).map_err(|_| "a line on stdout is not UTF-8".to_owned())?;
        if text.contains('\0') {
            return Err("a line on stdout has a NUL in it".into());
        }
        if Handshake::is_meant_by(text) {
            let wrong = |error| format!("{error}: `{}`", start_of(text.trim_end()));
            return Ok(Some(Greeting { handshake: text.parse().map_err(wrong)?, banner, length }));
        }
        if number + 1 > limits::BANNER_LINES || length > limits::BANNER_BYTES {
            return Err(format!("no handshake line is among the first {} lines on stdout", number + 1));
        }
        banner.get_or_insert_with(|| text.trim_end().to_owned());
    }
    Ok(None)
}

fn start_of(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Judges the line of a plugin that was asked for TLS, or was not. Returns whether it can be connected to.
pub(super) fn judge(process: &Process, greeting: &Greeting, in_tls: bool, findings: &mut Findings) -> bool {
    let Greeting { handshake, banner, .. } = greeting;
    findings.pass("handshake.line");
    let before = banner.as_ref().map_or(Ok(()), |line| Err(format!("`{}` comes before it", start_of(line))));
    findings.judge("handshake.first", before);
    let multiplex = handshake.multiplex.map_or(Ok(()), |_| Err("it is there, and nobody asked for it".to_owned()));
    findings.judge("handshake.multiplex", multiplex);
    let version = judge_version(handshake, findings);
    let certificate = match &handshake.certificate {
        Some(_) if !in_tls => findings.fail("handshake.certificate", "there is one, and nobody asked for it"),
        _ => findings.judge("handshake.certificate", Ok(())),
    };
    let address = findings.judge("handshake.socket", check_address(handshake, process.directory()));
    version && certificate && address
}

pub(super) fn judge_version(handshake: &Handshake, findings: &mut Findings) -> bool {
    let version = handshake.app_version;
    match APP_VERSIONS.contains(&version) {
        true => findings.judge("handshake.version", Ok(())),
        false => findings.fail("handshake.version", format!("it answers {version}, where {APP_VERSIONS:?} is offered")),
    }
}

fn check_address(handshake: &Handshake, directory: &Path) -> Result<(), String> {
    match &handshake.address {
        Address::Unix(path) => check_socket(Path::new(path), directory).map_err(|fact| format!("`{path}`: {fact}")),
        Address::Tcp(address) if handshake.certificate.is_none() => {
            Err(format!("`{address}` is a TCP address, and asked for a certificate it has none"))
        }
        Address::Tcp(address) => match address.parse::<SocketAddr>() {
            Ok(parsed) if parsed.ip().is_loopback() => Ok(()),
            _ => Err(format!("`{address}` is no loopback address and port")),
        },
    }
}

fn check_socket(path: &Path, directory: &Path) -> Result<(), String> {
    if path.as_os_str().len() > limits::SOCKET_PATH {
        return Err(format!("it is longer than {} bytes", limits::SOCKET_PATH));
    }
    // As it is written: the host compares it as text.
    if !path.is_absolute() || path.parent() != Some(directory) || path.file_name().is_none() {
        return Err(format!("it is not directly in PLUGIN_UNIX_SOCKET_DIR, {}", directory.display()));
    }
    let found = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !found.file_type().is_socket() {
        return Err("it is no socket".into());
    }
    match found.uid() {
        owner if owner != rustix::process::geteuid().as_raw() => Err(format!("it belongs to user {owner}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_behind_a_banner_and_only_when_it_is_whole() {
        assert!(find(b"loading\n1|1|unix|/a|grpc|").unwrap().is_none());
        let greeting = find(b"loading\n1|1|unix|/a|grpc|\nmore").unwrap().unwrap();
        assert_eq!((greeting.banner.as_deref(), greeting.length), (Some("loading"), 26));
        for wrong in [&b"1|1|unix\n"[..], b"\xff\n", b"1|\0\n", &b"x\n".repeat(40), &b"x".repeat(9000)] {
            assert!(find(wrong).is_err());
        }
    }
}
