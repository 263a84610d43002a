//! curl and dfget in the same situations: what each ends with, and what it leaves.
//!
//! [`rows`] is the table. docs/HTTP.md has it for readers, and is held to it here.

mod rows;

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use self::rows::ROWS;
use super::{
    answer::{Answer, CONTENT, Resource},
    nginx::Nginx,
    server::{Asked, Server},
};
use crate::harness::{TestEnv, not_allowed, skip};

/// When the resource changed last.
const MODIFIED: (&str, u64) = ("Sat, 01 Jan 2022 00:00:00 GMT", 1_640_995_200);

/// What is there before, in some situations.
const OLD: &str = "what was there";

/// One situation.
struct Row {
    situation: &'static str,
    at: At,
    how: How,
    curl: Side,
    dfget: Side,
    /// Why they differ, if they do.
    why: &'static str,
}

/// Who is asked.
enum At {
    Server(fn(&Asked) -> Answer),
    /// A real nginx, for this path.
    Nginx(&'static str),
    Nobody,
}

/// What is done with both.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// `curl -o file`, `dfget -O file`.
    Once,
    /// The same command again, whatever came of the first one.
    Twice,
    /// There is such a file already.
    Existing,
    /// `curl -O`, `dfget`: the name follows from the URL or from the answer.
    Unnamed,
    /// The same, where a file of the name is there already.
    UnnamedExisting,
}

/// What one of the two is told, ends with, and leaves.
struct Side {
    arguments: &'static str,
    exit: i32,
    left: &'static str,
}

const fn side(arguments: &'static str, exit: i32, left: &'static str) -> Side {
    Side { arguments, exit, left }
}

impl Side {
    fn end(&self) -> (i32, String) {
        (self.exit, self.left.to_owned())
    }
}

impl How {
    fn is_named(self) -> bool {
        !matches!(self, Self::Unnamed | Self::UnnamedExisting)
    }

    fn prepare(self, directory: &Path) {
        if matches!(self, Self::Existing | Self::UnnamedExisting) {
            fs::write(directory.join("file"), OLD).unwrap();
        }
    }

    fn times(self) -> usize {
        if self == Self::Twice { 2 } else { 1 }
    }
}

impl Row {
    /// The URL, and who serves it as long as that is there. `None` without nginx.
    fn start(&self, test: &TestEnv) -> Option<(String, Option<Server>, Option<Nginx>)> {
        match self.at {
            At::Server(answer) => {
                let server = Server::start(answer);
                Some((server.url("/file"), Some(server), None))
            }
            At::Nginx(path) => {
                let nginx = Nginx::start(test, CONTENT)?;
                Some((nginx.url(path), None, Some(nginx)))
            }
            At::Nobody => {
                let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
                Some((format!("http://127.0.0.1:{port}/file"), None, None))
            }
        }
    }

    /// What curl ends with, and what it leaves.
    fn by_curl(&self) -> Option<(i32, String)> {
        let test = TestEnv::new();
        let (url, _server, _nginx) = self.start(&test)?;
        self.how.prepare(&test.path("work"));
        let mut exit = 0;
        for _ in 0..self.how.times() {
            let mut curl = Command::new("curl");
            curl.args(["-q", "-sSfL", "--noproxy", "*", "--max-time", "20"])
                .args(self.curl.arguments.split_whitespace());
            let output: &[&str] = if self.how.is_named() { &["-o", "file"] } else { &["-O"] };
            curl.args(output).arg(&url).current_dir(test.path("work")).env("HOME", test.path("home"));
            exit = curl.stderr(Stdio::null()).status().unwrap().code().unwrap();
        }
        Some((exit, left(&test.path("work"))))
    }

    /// The same of dfget, with all that the harness checks.
    fn by_dfget(&self) -> Option<(i32, String)> {
        let test = TestEnv::new();
        let (url, _server, _nginx) = self.start(&test)?;
        self.how.prepare(&test.path("work"));
        let mut exit = 0;
        for _ in 0..self.how.times() {
            let run = test.dfget(&[&url, "--tries", "1"]).into_directory("file");
            let run = if self.how.is_named() { run.args(&["-O", "file"]) } else { run };
            let arguments: Vec<&str> = self.dfget.arguments.split_whitespace().collect();
            exit = run.args(&arguments).run().code().unwrap();
        }
        Some((exit, left(&test.path("work"))))
    }

    /// What is otherwise than the table says.
    fn check(&self, is_known: bool) -> Vec<String> {
        let (Some(curl), Some(dfget)) = (self.by_curl(), self.by_dfget()) else {
            skip(TEST, &format!("nginx is missing: {}", self.situation));
            return Vec::new();
        };
        let otherwise = |who, side: &Side, end: &(i32, String)| {
            (*end != side.end()).then(|| format!("{}: {who} {end:?}", self.situation))
        };
        let mut wrong: Vec<String> = otherwise("dfget", &self.dfget, &dfget).into_iter().collect();
        match otherwise("curl", &self.curl, &curl) {
            Some(curl) if !is_known => not_allowed(TEST, &format!("another curl than that of the table: {curl}")),
            curl => wrong.extend(curl),
        }
        wrong
    }

    /// A line of the documentation.
    fn render(&self) -> String {
        let Self { situation, how, curl, dfget, why, .. } = self;
        let told = match (curl.arguments, dfget.arguments) {
            ("", "") => String::new(),
            (curl, "") => format!(": curl `{curl}`"),
            ("", dfget) => format!(": dfget `{dfget}`"),
            (curl, dfget) if curl == dfget => format!(": `{curl}`"),
            (curl, dfget) => format!(": `{curl}`, `{dfget}`"),
        };
        let again = if *how == How::Twice { "; and once more" } else { "" };
        let of = |side: &Side| format!("{}: {}", side.exit, side.left);
        format!("| {situation}{told}{again} | {} | {} | {why} |\n", of(curl), of(dfget))
    }
}

/// What is in a directory, in words.
fn left(directory: &Path) -> String {
    let mut names: Vec<String> = crate::harness::snapshot(directory).into_keys().collect();
    names.retain(|name| !name.ends_with(".part.state"));
    let shown = names.iter().map(|name| {
        let words = content(&directory.join(name));
        match name.as_str() {
            "file" => words,
            name => format!("{words} in `{name}`"),
        }
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { "nothing".into() } else { shown.join(", ") }
}

fn content(path: &Path) -> String {
    let (found, whole) = (fs::read(path).unwrap(), CONTENT.bytes(0..CONTENT.size));
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED.1);
    let is_dated = fs::metadata(path).unwrap().modified().unwrap() == time;
    let dated = if is_dated { ", with its time" } else { "" };
    let place = whole.windows(found.len().max(1)).position(|window| window == found);
    let words = match place {
        _ if found.is_empty() => "an empty file".into(),
        _ if found == OLD.as_bytes() => "the old file".into(),
        _ if found == NEW.bytes(0..NEW.size) => "all of the new version".into(),
        _ if found == NEW.bytes(0..SHORTER) => "all of the shorter version".into(),
        Some(0) if found == whole => "all".into(),
        Some(first) => format!("bytes {first} to {}", first + found.len() - 1),
        None if is_mixed(&found) => "a mixture of both versions".into(),
        None => "something else".into(),
    };
    words + dated
}

/// Another version.
const NEW: faultplug::Content = faultplug::Content { seed: 2, ..CONTENT };

/// Bytes of yet another one, which begins like that.
const SHORTER: u64 = 40_000;

fn is_mixed(found: &[u8]) -> bool {
    found.starts_with(&CONTENT.bytes(0..1000)) && found.ends_with(&NEW.bytes(NEW.size - 1000..NEW.size))
}

fn new_version(asked: &Asked) -> Answer {
    Resource { content: NEW, etag: Some("\"2\""), ..Resource::default() }.answer(asked)
}

fn by_the_book(asked: &Asked) -> Answer {
    Resource { modified: Some(MODIFIED.0), ..Resource::default() }.answer(asked)
}

const TEST: &str = "curl_and_dfget_do_what_the_table_says";

/// The one that the table tells of: others differ from it here and there.
const CURL: &str = "curl 7.88.";

const THREADS: usize = 4;

#[test]
fn curl_and_dfget_do_what_the_table_says() {
    let version = Command::new("curl").arg("--version").output().map(|run| String::from_utf8(run.stdout).unwrap());
    let Ok(version) = version else { return skip(TEST, "curl is missing") };
    let is_known = version.starts_with(CURL);
    // Most of it is waiting.
    let wrong: Vec<String> = thread::scope(|scope| {
        let several: Vec<_> = ROWS
            .chunks(ROWS.len().div_ceil(THREADS))
            .map(|rows| scope.spawn(move || rows.iter().flat_map(|row| row.check(is_known)).collect::<Vec<_>>()))
            .collect();
        several.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "of {} are otherwise:\n{}", ROWS.len(), wrong.join("\n"));
}

#[test]
fn where_they_differ_the_table_says_why() {
    for row in ROWS {
        let same = (row.curl.exit == 0) == (row.dfget.exit == 0) && row.curl.left == row.dfget.left;
        assert!(same || !row.why.is_empty(), "{}", row.situation);
    }
    assert!(ROWS.len() >= 30);
}

#[test]
fn the_documentation_has_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/HTTP.md");
    let text = fs::read_to_string(path).unwrap();
    let found = text.split("|---|---|---|---|\n").nth(1).unwrap_or_default();
    let found: String =
        found.lines().take_while(|line| line.starts_with('|')).map(|line| line.to_owned() + "\n").collect();
    let table: String = ROWS.iter().map(Row::render).collect();
    assert!(found == table, "docs/HTTP.md is to have this table:\n{table}");
}
