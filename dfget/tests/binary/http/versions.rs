//! A resource that changes: between pieces, after a break, between runs.

use faultplug::Content;
use rustix::process::Signal;

use super::{
    answer::{Answer, CONTENT, Resource},
    server::{Asked, Server},
};
use crate::harness::{Digest, Run, TestEnv};

const LARGE: Content = Content { seed: 4, size: 3 << 20 };

const OLD: Resource =
    Resource { content: LARGE, etag: Some("\"1\""), modified: None, ranges: true, preconditions: true };

const NEW: Resource = Resource { content: Content { seed: 5, size: 3 << 20 }, etag: Some("\"2\""), ..OLD };

const BEFORE: &str = "Sat, 01 Jan 2022 00:00:00 GMT";

const AFTER: &str = "Sat, 01 Jan 2022 00:00:01 GMT";

const DENIED: &str = "the resource has changed: the server answered 412 Precondition Failed";

/// `old` for the first request, and `new` for all others.
fn replaced(old: Resource, new: Resource) -> Server {
    Server::start(move |asked| if asked.number == 0 { old.answer(asked) } else { new.answer(asked) })
}

/// A download in pieces notices it, says it, and delivers the new version.
fn noticed_between_pieces(old: Resource, new: Resource, fact: &str) -> Vec<Asked> {
    let (test, server) = (TestEnv::new(), replaced(old, new));
    let run = test.get(&server.url("/file")).args(&["-n", "2", "--piece-length", "1M"]);
    let run = run.expect(Digest::of_content(new.content)).run();
    run.succeeded_saying(&format!(" WARN {}: {fact}; restarting from 0", server.url("/file")));
    server.asked()
}

#[test]
fn another_etag_is_another_version() {
    let asked = noticed_between_pieces(OLD, NEW, DENIED);
    assert_eq!(asked[1].header("if-match").as_deref(), Some("\"1\""));
    // The whole is asked for twice, without a condition; a part that was given up may come to the server after that.
    let whole = asked.iter().filter(|asked| asked.range().is_none() && asked.header("if-match").is_none());
    assert_eq!(whole.count(), 2);
}

#[test]
fn another_etag_is_noticed_where_the_server_does_not_look_at_ours() {
    let new = Resource { preconditions: false, ..NEW };
    noticed_between_pieces(OLD, new, "it is another version than before");
    // Nor does it serve parts.
    noticed_between_pieces(OLD, Resource { ranges: false, ..new }, "it is another version than before");
}

#[test]
fn a_weak_etag_is_compared_and_not_sent() {
    let weak = |resource: Resource, etag| Resource { etag: Some(etag), modified: Some(BEFORE), ..resource };
    let asked = noticed_between_pieces(weak(OLD, "W/\"1\""), weak(NEW, "W/\"2\""), "it is another version than before");
    assert!(asked.iter().all(|asked| asked.header("if-match").is_none()));
}

/// It may stay the same when bytes change.
#[test]
fn a_weak_etag_alone_puts_no_parts_together() {
    let weak = |resource: Resource| Resource { etag: Some("W/\"1\""), ..resource };
    let server = Server::start(move |asked| weak(if asked.number == 0 { OLD } else { NEW }).answer(asked));
    let test = TestEnv::new();
    let get = test.get(&server.url("/file")).args(&["-n", "4", "--piece-length", "1M"]);
    get.expect(Digest::of_content(OLD.content)).run().succeeded();
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn another_time_is_another_version() {
    let at = |resource, time| Resource { etag: None, modified: Some(time), ..resource };
    let asked = noticed_between_pieces(at(OLD, BEFORE), at(NEW, AFTER), DENIED);
    assert_eq!(asked[1].header("if-unmodified-since").as_deref(), Some(BEFORE));
    let new = Resource { preconditions: false, ..at(NEW, AFTER) };
    noticed_between_pieces(at(OLD, BEFORE), new, "it is another version than before");
}

#[test]
fn another_length_is_another_version_whatever_the_etag_says() {
    let content = Content { size: LARGE.size + 1, ..NEW.content };
    noticed_between_pieces(OLD, Resource { content, etag: OLD.etag, ..NEW }, "the resource has changed");
}

#[test]
fn a_validator_that_is_gone_is_another_version() {
    let new = Resource { etag: None, preconditions: false, ..NEW };
    noticed_between_pieces(OLD, new, "it is another version than before");
}

#[test]
fn a_resource_that_never_stays_the_same_is_given_up() {
    let resource = |asked: &Asked| Resource {
        etag: Some(if asked.number.is_multiple_of(2) { "\"even\"" } else { "\"odd\"" }),
        ..Resource::default()
    };
    let server = Server::start(move |asked| resource(asked).answer(asked).closed_at(10));
    let url = server.url("/file");
    let run = TestEnv::new().get(&url).tries(2).run();
    let end = format!("dfget: {url}: {DENIED}\n  hint: download it again from the beginning");
    run.failed_saying(23, &[&format!(" WARN {url}: {DENIED}; restarting from 0\n"), &end]);
}

#[test]
fn a_resource_that_changes_after_a_break_is_fetched_from_0() {
    let server = Server::start(|asked| {
        let old = OLD.answer(asked);
        if asked.number == 0 { old.closed_at(1 << 20) } else { NEW.answer(asked) }
    });
    let run = TestEnv::new().get(&server.url("/file")).tries(2).expect(Digest::of_content(NEW.content)).run();
    assert!(run.is_success() && run.stderr.ends_with(&format!("{DENIED}; restarting from 0\n")), "{}", run.stderr);
    assert_eq!(server.ranges(), [None, Some("bytes=1048576-3145727".into()), None]);
}

#[test]
fn a_connection_that_is_closed_after_a_refusal_is_no_failure() {
    let server = Server::start(|asked| match asked.number {
        0 => OLD.answer(asked),
        // As nginx does, which does not say so before.
        _ if asked.range().is_some() => Answer::status(412).closed_at(0),
        _ => NEW.answer(asked),
    });
    let (test, url) = (TestEnv::new(), server.url("/file"));
    let run = test.get(&url).args(&["-n", "1", "--piece-length", "1M"]).expect(Digest::of_content(NEW.content)).run();
    run.succeeded_saying(&format!(" WARN {url}: {DENIED}; restarting from 0"));
}

/// One run is interrupted, and the next one finds `new`.
fn between_runs(old: Resource, new: Resource) -> (Run, Vec<Asked>) {
    let half = 1 << 20;
    let server = Server::start(move |asked: &Asked| match asked.number {
        0 => old.answer(asked).silent_at(half),
        _ => new.answer(asked),
    });
    let (test, url) = (TestEnv::new(), server.url("/file"));
    let mut first = test.get(&url).last().start();
    first.wait_for_bytes(half as u64);
    first.signal(Signal::INT);
    first.finish().ended_by(Signal::INT);
    let run = test.get(&url).expect(Digest::of_content(new.content)).run();
    (run, server.asked())
}

#[test]
fn an_interrupted_download_asks_for_what_is_missing() {
    let (run, asked) = between_runs(OLD, OLD);
    run.succeeded();
    let second = (asked[1].range().unwrap(), asked[1].header("if-match").unwrap());
    assert_eq!((asked.len(), second), (2, ("bytes=1048576-3145727".into(), "\"1\"".into())));
}

fn noticed_between_runs(old: Resource, new: Resource, fact: &str) {
    let (run, asked) = between_runs(old, new);
    let said = run.stderr.trim_end();
    assert!(run.is_success() && said.ends_with(&format!("/file: {fact}; restarting from 0")), "{said}");
    assert_eq!(asked.last().and_then(Asked::range), None);
}

#[test]
fn a_resource_that_changed_between_runs_is_fetched_from_0() {
    noticed_between_runs(OLD, NEW, DENIED);
    noticed_between_runs(OLD, Resource { preconditions: false, ..NEW }, "it is another version than before");
    let longer = Content { size: LARGE.size + 1, ..NEW.content };
    noticed_between_runs(OLD, Resource { content: longer, ..OLD }, "the resource has changed");
}

#[test]
fn a_resource_that_is_shorter_than_what_was_held_of_it_is_fetched_from_0() {
    let short = Resource { content: CONTENT, preconditions: false, ..NEW };
    let fact = "the resource has changed: the server answered 416 Range Not Satisfiable";
    noticed_between_runs(OLD, short, fact);
}

#[test]
fn a_server_that_serves_parts_no_more_is_asked_for_the_whole() {
    noticed_between_runs(OLD, Resource { ranges: false, ..OLD }, "its source does not serve parts");
}

#[test]
fn a_resource_that_is_gone_between_runs_is_told() {
    let server = Server::start(|asked| match asked.number {
        0 => OLD.answer(asked).silent_at(1 << 20),
        _ => Answer::status(404),
    });
    let (test, url) = (TestEnv::new(), server.url("/file"));
    let mut first = test.get(&url).last().start();
    first.wait_for_bytes(1 << 20);
    first.signal(Signal::INT);
    first.finish().ended_by(Signal::INT);
    let run = test.get(&url).run();
    run.failed(20, &format!("dfget: {url}: the server answered 404 Not Found\n  hint: check the URL"));
}
