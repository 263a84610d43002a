//! Answers with a content coding, which dfget asks for none of.

use faultplug::Content;

use super::{
    answer::{Answer, CONTENT, Resource},
    server::Server,
};
use crate::harness::{Digest, TestEnv};

/// What a coding makes of [`CONTENT`], as far as a test can tell.
const ENCODED: &[u8] = b"\x1f\x8b and no more";

fn encoded(coding: &str) -> Answer {
    Answer::status(200).header("Content-Encoding", coding).header("ETag", "\"1\"").body(ENCODED)
}

#[test]
fn what_is_encoded_although_nobody_asked_is_saved_as_it_comes_and_told() {
    for coding in ["gzip", "br", "gzip, br"] {
        let server = Server::start(move |_| encoded(coding));
        let url = server.url("/file?sig=s3cret");
        let run = TestEnv::new().get(&url).output("file").expect(Digest::of_bytes(ENCODED)).run();
        let fact = format!("the server encodes it as `{coding}`, which nobody asked for; it is saved as it comes");
        run.succeeded_saying(&format!(" WARN {}: {fact}", url.replace("s3cret", "***")));
    }
}

#[test]
fn what_is_compressed_by_its_name_or_by_the_users_wish_is_no_news() {
    let server = Server::start(|_| encoded("x-gzip"));
    let get = |url: &str, arguments: &[&str]| {
        let test = TestEnv::new();
        test.get(&server.url(url)).output("file").args(arguments).expect(Digest::of_bytes(ENCODED)).run().succeeded();
    };
    get("/a.tar.gz?x", &[]);
    get("/a.TGZ", &[]);
    get("/file", &["-H", "accept-encoding: gzip"]);
    let server = Server::of(Resource::default(), |_, answer| answer.header("Content-Encoding", "identity"));
    TestEnv::new().get(&server.url("/file")).run().succeeded();
}

/// The encoded bytes and the others may have one ETag.
#[test]
fn what_is_encoded_now_and_then_is_never_put_together() {
    let content = Content { seed: 4, size: 3 << 20 };
    let resource = Resource { content, ..Resource::default() };
    let server = Server::of(resource, |asked, answer| match asked.range() {
        Some(_) => answer.header("Content-Encoding", "gzip"),
        None => answer,
    });
    let url = server.url("/file");
    let run =
        TestEnv::new().get(&url).args(&["-n", "2", "--piece-length", "1M"]).expect(Digest::of_content(content)).run();
    let fact = "the server encodes it as `gzip`, and parts are of what is not encoded";
    run.succeeded_saying(&format!(" WARN {url}: {fact}; restarting from 0"));
    // Encoded first, and then not: it begins anew as well.
    let server = Server::start(|asked| match asked.number {
        0 => encoded("gzip").header("Accept-Ranges", "bytes").closed_at(5),
        _ => Resource::default().answer(asked),
    });
    let run = TestEnv::new().get(&server.url("/file")).tries(2).run();
    assert!(run.is_success() && run.stderr.ends_with("; restarting from 0\n"), "{}", run.stderr);
    assert_eq!(server.ranges(), [None, None]);
}

#[test]
fn of_what_is_encoded_there_are_no_parts() {
    let server = Server::of(Resource::default(), |_, answer| answer.header("Content-Encoding", "gzip"));
    let run = TestEnv::new().get(&server.url("/file")).args(&["--range", "10-19"]).run();
    let words = "the server encodes it as `gzip`, and parts are of what is not encoded";
    run.failed(24, &format!("dfget: {}: {words}", server.url("/file")));
    let run = TestEnv::new().get(&server.url("/file")).args(&["-n", "4", "--piece-length", "1M"]).run();
    assert!(run.is_success(), "{}", run.stderr);
    assert_eq!(server.ranges(), [Some("bytes=10-19".into()), None]);
}

#[test]
fn an_index_that_is_encoded_is_told() {
    let server = Server::start(|_| encoded("br").header("Content-Type", "text/html"));
    let run = TestEnv::new().dfget(&["-l", &server.url("/")]).run();
    run.failed(24, &format!("dfget: {}: its index is encoded as `br`, which nobody asked for", server.url("/")));
    assert_ne!(CONTENT.bytes(0..2), ENCODED[..2]);
}
