//! `--isolate`: the same source in a process of its own. What a server does comes to the same; what happens to the
//! process is told as of any plugin, and the download goes on.

use std::{fs, time::Duration};

use faultplug::Content;
use regex::Regex;
use rustix::process::Signal;

use super::{
    answer::{Answer, CONTENT, Resource},
    server::{Asked, Server},
};
use crate::harness::{Dfget, Digest, Run, Started, TestEnv, kill};

const LARGE: Content = Content { seed: 21, size: 8 << 20 };

const HALF: u64 = LARGE.size / 2;

/// What a server does, and what dfget is told beside the URL.
struct Situation {
    name: &'static str,
    answer: fn(&Asked) -> Answer,
    words: &'static [&'static str],
}

fn by_the_book(asked: &Asked) -> Answer {
    Resource::default().answer(asked)
}

fn of_size(size: u64, asked: &Asked) -> Answer {
    Resource { content: Content { size, ..CONTENT }, ..Resource::default() }.answer(asked)
}

/// Only the first answer is another one.
fn first(asked: &Asked, bend: impl Fn(Answer) -> Answer) -> Answer {
    if asked.number == 0 { bend(by_the_book(asked)) } else { by_the_book(asked) }
}

const fn situation(name: &'static str, answer: fn(&Asked) -> Answer) -> Situation {
    Situation { name, answer, words: &["--tries=2"] }
}

fn situations() -> Vec<Situation> {
    let with = |name, answer, words| Situation { name, answer, words };
    vec![
        situation("by the book", by_the_book),
        situation("no byte", |asked| of_size(0, asked)),
        situation("one byte", |asked| of_size(1, asked)),
        situation("chunked, of unknown length", |asked| by_the_book(asked).chunked()),
        situation("no ranges", |asked| Resource { ranges: false, ..Resource::default() }.answer(asked)),
        situation("404", |_| Answer::status(404)),
        situation("401", |_| Answer::status(401)),
        situation("403", |_| Answer::status(403)),
        situation("416", |_| Answer::status(416)),
        situation("500 for ever", |_| Answer::status(500)),
        situation("503 once", |asked| first(asked, |_| Answer::status(503).header("Retry-After", "0"))),
        situation("cut once", |asked| first(asked, |answer| answer.closed_at(50_000))),
        situation("cut for ever", |asked| by_the_book(asked).closed_at(0)),
        situation("reset once", |asked| first(asked, |answer| answer.reset_at(99_999))),
        situation("longer than it says", |asked| by_the_book(asked).longer_by(b"more")),
        situation("changed in the middle", |asked| match asked.number {
            0 => by_the_book(asked).closed_at(50_000),
            _ => Resource { etag: Some("\"2\""), ..Resource::default() }.answer(asked),
        }),
        situation("gzip", |asked| by_the_book(asked).header("Content-Encoding", "gzip")),
        situation("no HTTP", |_| Answer::line("SSH-2.0-OpenSSH_9.2")),
        situation(
            "a redirect",
            |asked| if asked.number == 0 { Answer::redirect(302, "/x") } else { by_the_book(asked) },
        ),
        situation("a redirect loop", |_| Answer::redirect(302, "/file")),
        situation("a redirect to another scheme", |_| Answer::redirect(302, "ftp://h/file")),
        situation("a redirect to nowhere", |_| Answer::redirect(302, "http://[")),
        with("silence", |_| Answer::none(), &["--speed-time=700ms"]),
        with("a body that stops", |asked| by_the_book(asked).silent_at(50_000), &["--speed-time=700ms"]),
        with("another digest", by_the_book, &["--digest=crc32:00000000"]),
        with("a range", by_the_book, &["--range", "10-19"]),
        with("a range behind the end", by_the_book, &["--range", "100000-"]),
        with(
            "a part that begins elsewhere",
            |asked| match asked.range() {
                Some(_) => by_the_book(asked).header("Content-Range", "bytes 7-99999/100000"),
                None => by_the_book(asked),
            },
            &["-n4", "--piece-length=16K"],
        ),
        with("pieces", by_the_book, &["-n4", "--piece-length=16K"]),
        with("an unknown option", by_the_book, &["--opt", "nosuch=1"]),
        with("a header that is none", by_the_book, &["-H", "a b: c"]),
        with("a header for parts", by_the_book, &["-H", "Range: bytes=1-2"]),
    ]
}

/// Exit code, what was said, and what the server was asked for, without what differs from run to run.
fn outcome(situation: &Situation, more: &[&str]) -> (Option<i32>, String, Vec<Option<String>>) {
    let answer = situation.answer;
    let (test, server) = (TestEnv::new(), Server::start(answer));
    // Which bytes it is to be is for those who test them, and the two are compared here.
    let run = test.dfget(&[&server.url("/file"), "-O", "file"]).into_directory("file");
    let run = run.args(situation.words).args(more).run();
    let file =
        fs::read(test.work("file")).map_or("no file".to_owned(), |bytes| format!("{:?}", Digest::of_bytes(&bytes)));
    // The log of an isolated source has its name.
    let told = run.stderr.replace(&server.url(""), "http://SERVER").replace(" WARN http: ", " WARN ");
    let told = Regex::new(r"trying again in [0-9.]+ m?s").unwrap().replace_all(&told, "trying again").into_owned();
    // How pieces are divided depends on how quickly they come.
    let ranges = if situation.words.contains(&"-n4") { Vec::new() } else { server.ranges() };
    (run.code(), told + &file, ranges)
}

#[test]
fn a_server_comes_to_the_same_whether_its_source_is_isolated_or_not() {
    for situation in situations() {
        let (here, isolated) = (outcome(&situation, &[]), outcome(&situation, &["--isolate"]));
        assert_eq!(isolated, here, "{}", situation.name);
    }
}

/// Is silent in the middle of [`LARGE`], on its first connection.
fn silent_in_the_middle() -> Server {
    Server::of(Resource { content: LARGE, ..Resource::default() }, |asked, answer| match asked.number {
        0 => answer.silent_at(HALF as usize),
        _ => answer,
    })
}

fn isolated<'a>(test: &'a TestEnv, server: &Server) -> Dfget<'a> {
    test.get(&server.url("/file")).args(&["--isolate", "-n1"])
}

/// A download that has come as far as its server lets it.
fn in_the_middle(dfget: Dfget<'_>) -> Started<'_> {
    let started = dfget.expect(Digest::of_content(LARGE)).last().start();
    started.wait_for_bytes(HALF);
    started
}

/// The same, and then its source is killed.
fn killed_in_the_middle(dfget: Dfget<'_>) -> Run {
    let mut dfget = in_the_middle(dfget);
    kill(dfget.isolated("http").pid, Signal::KILL);
    dfget.finish()
}

#[test]
fn a_source_that_is_killed_is_started_again_and_the_download_goes_on_at_the_byte() {
    let (test, server) = (TestEnv::new(), silent_in_the_middle());
    let run = killed_in_the_middle(isolated(&test, &server).arg("--json"));
    run.succeeded_saying(" WARN plugin http was killed by SIGKILL; it is restarted in 0.2 s");
    let offset = run.events().iter().find(|event| event["event"] == "retried").unwrap()["offset"].as_u64().unwrap();
    assert_eq!(server.ranges(), [None, Some(format!("bytes={offset}-{}", LARGE.size - 1))]);
    assert!(offset <= HALF && HALF - offset < 1 << 20, "{offset}");
    let restart = run.events().into_iter().find(|event| event["event"] == "plugin_restarted").unwrap();
    assert_eq!((&restart["plugin"], &restart["number"]), (&"http".into(), &1.into()));
}

#[test]
fn a_source_that_is_not_to_be_restarted_has_crashed() {
    let (test, server) = (TestEnv::new(), silent_in_the_middle());
    let run = killed_in_the_middle(isolated(&test, &server).arg("--plugin-restarts=0"));
    let url = server.url("/file");
    run.failed_saying(14, &["dfget: plugin http was killed by SIGKILL", &format!("while it served {url} at byte ")]);
    assert!(!run.stderr.contains("d7y-resource-plugin"), "{}", run.stderr);
}

#[test]
fn whoever_ends_dfget_ends_its_sources() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL] {
        let (test, server) = (TestEnv::new(), silent_in_the_middle());
        let mut dfget = in_the_middle(isolated(&test, &server));
        dfget.signal(signal);
        dfget.finish().ended_by(signal);
        isolated(&test, &server).expect(Digest::of_content(LARGE)).run().succeeded();
        // A killed one had no time to record how far it came.
        assert_eq!(server.ranges()[1].is_some(), signal != Signal::KILL, "{:?}", server.ranges());
    }
}

#[test]
fn it_has_the_environment_of_dfget_and_nothing_of_dfgets_own() {
    let (test, server) = (TestEnv::new(), silent_in_the_middle());
    let run = isolated(&test, &server);
    let run = run.env("AWS_ACCESS_KEY_ID", "key").env("DFGET_TRIES", "3").env("DFGET_OPT", "").env("ANYTHING", "1");
    let run = run.env("PLUGIN_CLIENT_CERT", "none").env("PLUGIN_UNIX_SOCKET_GROUP", "none");
    let mut dfget = in_the_middle(run);
    let (pid, home) = (dfget.isolated("http").pid, test.path("home"));
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    dfget.signal(Signal::INT);
    dfget.finish().ended_by(Signal::INT);
    let variables: Vec<String> =
        environment.split(|&byte| byte == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    for inherited in ["AWS_ACCESS_KEY_ID=key", "ANYTHING=1", &format!("HOME={}", home.display())] {
        assert!(variables.iter().any(|variable| variable == inherited), "{inherited} of {variables:?}");
    }
    let own = variables.iter().find(|variable| variable.starts_with("DFGET_") || variable.ends_with("=none"));
    assert_eq!(own, None);
    assert_eq!(variables.iter().filter(|variable| variable.starts_with("TMPDIR=")).count(), 1, "{variables:?}");
}

#[test]
fn a_proxy_of_the_environment_is_used() {
    let proxy = Server::of(Resource::default(), |_, answer| answer);
    let run = TestEnv::new().get("http://nowhere.invalid/file").arg("--isolate").env("http_proxy", proxy.url("")).run();
    run.succeeded();
    assert_eq!(proxy.asked()[0].target, "http://nowhere.invalid/file");
}

#[test]
fn headers_and_credentials_arrive_and_go_to_the_first_origin_alone() {
    let other = Server::of(Resource::default(), |_, answer| answer);
    let elsewhere = other.url("/file");
    let server = Server::start(move |_| Answer::redirect(302, &elsewhere));
    let url = server.url("/file").replace("//", "//me:pass@");
    let run = TestEnv::new().get(&url).output("file").args(&["--isolate", "-vv", "-H", "X-Own: s3cret"]).run();
    assert!(run.is_success() && !run.stderr.contains("s3cret") && !run.stderr.contains("pass"), "{}", run.stderr);
    let sent = |server: &Server| ["authorization", "x-own"].map(|name| server.asked()[0].header(name));
    assert_eq!(sent(&server), [Some("Basic bWU6cGFzcw==".into()), Some("s3cret".into())]);
    assert_eq!(sent(&other), [None, None]);
}

#[test]
fn two_schemes_are_two_processes() {
    let (test, server) = (TestEnv::new(), Server::of(Resource::default(), |_, answer| answer));
    let words = ["--isolate", "-vv", "-O", "several", &server.url("/file"), "dfs://h/hello"];
    let run = test.dfget(&words).into_directory("several").run();
    assert!(run.is_success(), "{}", run.stderr);
    for scheme in ["http", "dfs"] {
        assert_eq!(run.stderr.matches(&format!("DEBUG plugin {scheme} is ready after ")).count(), 1, "{}", run.stderr);
    }
    assert_eq!(Digest::of_file(&test.work("several/file")), Some(Digest::of_content(CONTENT)));
    assert_eq!(fs::read(test.work("several/hello")).unwrap(), b"hello world");
}

/// With a file of settings for `http`.
fn ruled<'a>(test: &'a TestEnv, server: &Server, rules: &str) -> Dfget<'a> {
    let path = test.path("dfget.toml");
    fs::write(&path, format!("[source.http]\n{rules}\n")).unwrap();
    isolated(test, server).env("DFGET_CONFIG", path)
}

#[test]
fn strict_for_all_leaves_it_the_network_and_strict_for_it_does_not() {
    let (test, server) = (TestEnv::new(), Server::of(Resource::default(), |_, answer| answer));
    isolated(&test, &server).arg("--sandbox=strict").run().succeeded();
    let strict = "sandbox = \"strict\"";
    ruled(&test, &server, strict).arg("--overwrite").run().failed_saying(22, &["Permission denied"]);
    ruled(&test, &server, &format!("{strict}\nnetwork = true")).arg("--overwrite").run().succeeded();
}

#[test]
fn what_a_plugin_may_have_holds_for_it() {
    let (test, server) = (TestEnv::new(), silent_in_the_middle());
    let mut dfget = in_the_middle(ruled(&test, &server, "open-files = 77"));
    let of_process = |file: &str, pid: i32| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let pid = dfget.isolated("http").pid;
    let (limits, status) = (of_process("limits", pid), of_process("status", pid));
    dfget.signal(Signal::INT);
    dfget.finish().ended_by(Signal::INT);
    let open_files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(open_files.split_whitespace().nth(3), Some("77"));
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
}

#[test]
fn served_as_a_plugin_it_breaks_no_rule() {
    let test = TestEnv::new();
    let server = Server::start(|asked| match &*asked.target {
        "/none" => Answer::status(404),
        "/empty" => of_size(0, asked),
        _ => Resource { content: LARGE, ..Resource::default() }.answer(asked),
    });
    let program = env!("CARGO_BIN_EXE_dfget");
    let plugin = test.write_plugin("http", format!("#!/bin/sh\nexec '{program}' plugin serve http\n"));
    let (url, missing, empty) = (server.url("/file"), server.url("/none"), server.url("/empty"));
    let words = ["plugin", "validate", &plugin.display().to_string(), &url, "--missing", &missing, "--empty", &empty];
    let run = test.dfget(&words).args(&["--strict", "--patience=5"]).run();
    run.succeeded();
    assert!(run.stdout().contains(" passed, 0 failed, 0 warnings, "), "{}", run.stdout());
    let skipped: Vec<&str> =
        run.stdout().lines().filter_map(|line| line.strip_prefix("skip  ")?.split(' ').next()).collect();
    assert_eq!(
        skipped,
        ["metadata.digests", "error.directory", "list.answer", "list.names", "list.once", "list.entries"]
    );
}

/// A source that takes its time is no plugin that hangs.
#[test]
fn a_slow_server_is_waited_for() {
    let pause = Duration::from_millis(20);
    let server = Server::of(Resource::default(), move |_, answer| answer.trickling_at(99_950, pause));
    isolated(&TestEnv::new(), &server).args(&["--speed-time=700ms", "--speed-limit=1"]).run().succeeded();
}
