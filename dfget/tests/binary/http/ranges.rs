//! Parts: how they are asked for, and answers that are other parts than those.

use std::sync::atomic::{AtomicUsize, Ordering};

use faultplug::Content;

use super::{
    answer::{Answer, CONTENT, Resource},
    server::{Asked, Server},
};
use crate::harness::{Digest, Run, TestEnv};

/// In three pieces.
const LARGE: Content = Content { seed: 4, size: 3 << 20 };

const PIECES: [&str; 4] = ["-n", "2", "--piece-length", "1M"];

fn in_pieces(server: &Server) -> Run {
    TestEnv::new().get(&server.url("/file")).args(&PIECES).tries(2).expect(Digest::of_content(LARGE)).run()
}

/// Serves [`LARGE`], with other answers to requests for a part.
fn bent(bend: impl Fn(&Asked, Answer) -> Answer + Send + Sync + 'static) -> Server {
    let resource = Resource { content: LARGE, ..Resource::default() };
    Server::of(resource, move |asked, answer| if asked.range().is_some() { bend(asked, answer) } else { answer })
}

/// A download in pieces ends well from 0, and says why.
fn restarted(server: &Server, fact: &str) {
    in_pieces(server).succeeded_saying(&format!(" WARN {}: {fact}; restarting from 0", server.url("/file")));
    // The whole twice; a part that was given up may come to the server after that.
    assert_eq!(server.ranges().iter().filter(|range| range.is_none()).count(), 2);
}

#[test]
fn pieces_are_asked_for_with_the_version_of_the_first() {
    let server = bent(|_, answer| answer);
    in_pieces(&server).succeeded();
    let mut asked = server.asked();
    asked.sort_by_key(Asked::range);
    let found: Vec<_> = asked.iter().map(|asked| (asked.range(), asked.header("if-match"))).collect();
    let tag = Some("\"1\"".to_owned());
    let second = Some("bytes=1048576-2097151".to_owned());
    let third = Some("bytes=2097152-3145727".to_owned());
    assert_eq!(found, [(None, None), (second, tag.clone()), (third, tag)]);
}

#[test]
fn a_server_that_serves_no_parts_after_all_is_asked_for_the_whole() {
    let whole = Resource { content: LARGE, ranges: false, ..Resource::default() };
    restarted(&bent(move |asked, _| whole.answer(asked)), "its source does not serve parts");
}

#[test]
fn a_server_that_lets_few_connections_in_is_served_by_those() {
    let content = Content { seed: 6, size: 20 << 20 };
    let refused = AtomicUsize::new(0);
    let server = Server::of(Resource { content, ..Resource::default() }, move |asked, answer| {
        let further = asked.range().is_some() && refused.fetch_add(1, Ordering::Relaxed) < 3;
        if further { Answer::status(503) } else { answer }
    });
    let get = TestEnv::new();
    let run = get.get(&server.url("/file")).args(&["-n", "4"]).tries(1).expect(Digest::of_content(content)).run();
    run.succeeded();
}

#[test]
fn a_part_that_is_shorter_than_asked_for_is_gone_on_with() {
    let server = bent(|asked, answer| match asked.bytes(LARGE.size) {
        Some((first, last)) if last - first >= 500_000 => {
            let range = format!("bytes {first}-{}/{}", first + 499_999, LARGE.size);
            answer.header("Content-Range", range).body(LARGE.bytes(first..first + 500_000))
        }
        _ => answer,
    });
    in_pieces(&server).succeeded();
}

#[test]
fn a_part_that_begins_elsewhere_is_not_taken() {
    let shifted = |asked: &Asked, answer: Answer| {
        let first = if asked.range().unwrap().starts_with("bytes=1048576-") { 1_048_575 } else { 2_097_153 };
        answer.header("Content-Range", format!("bytes {first}-3145727/3145728"))
    };
    let server = bent(shifted);
    let words = format!(" WARN {}: its source does not serve parts; restarting from 0", server.url("/file"));
    in_pieces(&server).succeeded_saying(&words);
}

#[test]
fn a_part_of_a_resource_of_another_length_is_not_taken() {
    for total in ["3145727", "3145729", "99999999"] {
        let bend = move |asked: &Asked, answer: Answer| {
            let range = asked.range().unwrap().replace('=', " ");
            answer.header("Content-Range", format!("{range}/{total}"))
        };
        restarted(&bent(bend), "the resource has changed");
    }
}

#[test]
fn a_part_that_does_not_say_of_how_much_is_taken() {
    let bend = |asked: &Asked, answer: Answer| {
        answer.header("Content-Range", format!("{}/*", asked.range().unwrap().replace('=', " ")))
    };
    in_pieces(&bent(bend)).succeeded();
}

#[test]
fn a_part_that_does_not_say_which_is_not_taken() {
    for (value, shown) in [("bytes 9-5/3145728", "bytes 9-5/3145728"), ("\t\t!", r"!"), ("a\tb", r"a\tb")] {
        let server = bent(move |_, answer| answer.header("Content-Range", value));
        let words = format!("the server answered 206 with the Content-Range `{shown}`");
        in_pieces(&server).failed_saying(24, &[&format!("dfget: {}: {words}", server.url("/file"))]);
    }
    let server = bent(|_, answer| answer.without("Content-Range"));
    in_pieces(&server).failed_saying(24, &["the server answered 206 without a Content-Range"]);
}

#[test]
fn a_long_content_range_is_cut() {
    let server = bent(|_, answer| answer.header("Content-Range", "x".repeat(100_000)));
    let run = in_pieces(&server);
    run.failed_saying(24, &["with the Content-Range `xxx", "…"]);
    assert!(run.stderr.len() < 3000, "{}", run.stderr.len());
}

#[test]
fn without_a_validator_there_are_no_pieces() {
    let resource = Resource { content: LARGE, etag: None, ..Resource::default() };
    let server = Server::of(resource, |_, answer| answer);
    in_pieces(&server).succeeded();
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn the_range_of_the_user_is_asked_for() {
    let (test, server) = (TestEnv::new(), Server::of(Resource::default(), |_, answer| answer));
    for (range, bytes) in [("10-19", 10..20), ("99990-", 99_990..100_000), ("0-0", 0..1), ("50-999999", 50..100_000)] {
        let run = test.get(&server.url("/file")).args(&["--overwrite", "--range", range]);
        run.expect(Digest::of_bytes(&CONTENT.bytes(bytes))).run().succeeded();
        assert_eq!(
            server.ranges().pop().unwrap().unwrap().trim_end_matches("9999"),
            format!("bytes={range}").trim_end_matches("9999")
        );
    }
}

#[test]
fn a_range_of_a_server_without_parts_is_refused() {
    let server = Server::of(Resource { ranges: false, ..Resource::default() }, |_, answer| answer);
    let run = TestEnv::new().get(&server.url("/file")).args(&["--range", "10-19"]).run();
    let words = "its source does not serve parts, and --range asks for one";
    run.failed(24, &format!("dfget: {}: {words}", server.url("/file")));
}

#[test]
fn a_range_behind_the_end_is_refused() {
    let server = Server::of(Resource::default(), |_, answer| answer);
    let run = TestEnv::new().get(&server.url("/file")).args(&["--range", "100000-"]).run();
    run.failed(24, &format!("dfget: {}: the server answered 416 Range Not Satisfiable", server.url("/file")));
}

#[test]
fn a_part_is_not_taken_for_the_whole() {
    let part = |first: u64| {
        let answer = Answer::status(206).header("Content-Range", format!("bytes {first}-99999/100000"));
        answer.body(CONTENT.bytes(first..100_000))
    };
    let server = Server::of(Resource::default(), move |_, _| part(10));
    let words = "the server answered with what begins at byte 10, and the whole was asked for";
    TestEnv::new().get(&server.url("/file")).run().failed(24, &format!("dfget: {}: {words}", server.url("/file")));
    // One that is all of it is.
    let server = Server::of(Resource::default(), move |_, _| part(0));
    TestEnv::new().get(&server.url("/file")).run().succeeded();
    // And of one that is the beginning, the rest is asked for.
    let server = Server::of(Resource::default(), |asked, answer| match asked.number {
        0 => answer.with_status(206).header("Content-Range", "bytes 0-4999/100000").body(CONTENT.bytes(0..5000)),
        _ => answer,
    });
    TestEnv::new().get(&server.url("/file")).run().succeeded();
    assert_eq!(server.ranges(), [None, Some("bytes=5000-99999".into())]);
}

#[test]
fn several_parts_are_not_taken_for_one() {
    let server = bent(|_, answer| {
        let body = "--x\r\nContent-Range: bytes 0-0/3145728\r\n\r\nx\r\n--x--\r\n";
        answer.header("Content-Type", "multipart/byteranges; boundary=x").without("Content-Range").body(body)
    });
    in_pieces(&server).failed_saying(24, &["the server answered with several parts, and one was asked for"]);
}

#[test]
fn a_part_that_is_longer_than_asked_for_is_cut() {
    let server = Server::of(Resource::default(), |asked, answer| match asked.range() {
        Some(_) => answer.header("Content-Range", "bytes 10-99999/100000").body(CONTENT.bytes(10..100_000)),
        None => answer,
    });
    let test = TestEnv::new();
    let run = test.get(&server.url("/file")).args(&["--range", "10-19"]);
    run.expect(Digest::of_bytes(&CONTENT.bytes(10..20))).run().succeeded();
}
