//! Digests that a server announces.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use super::{
    answer::{CONTENT, Resource},
    server::Server,
};
use crate::harness::{Digest, Run, TestEnv};

/// Of [`CONTENT`], as HTTP has it.
fn sha256() -> String {
    STANDARD.encode(Sha256::digest(CONTENT.bytes(0..CONTENT.size)))
}

/// Of something else.
fn wrong() -> String {
    STANDARD.encode(Sha256::digest("x"))
}

fn announcing(name: &'static str, value: String) -> Server {
    Server::of(Resource::default(), move |_, answer| answer.header(name, &value))
}

#[test]
fn an_announced_digest_is_checked_and_told() {
    for (name, value) in [
        ("Repr-Digest", format!("sha-256=:{}:", sha256())),
        ("Content-Digest", format!("sha-256=:{}:", sha256())),
        ("Digest", format!("SHA-256={}", sha256())),
    ] {
        let (test, server) = (TestEnv::new(), announcing(name, value));
        let run = test.get(&server.url("/file")).arg("--json").run();
        let finished = run.events().into_iter().find(|event| event["event"] == "finished").unwrap();
        let verified = finished["verified"].as_str().unwrap();
        assert!(run.is_success() && verified.starts_with("sha256:"), "{name}: {verified}");
    }
}

#[test]
fn bytes_that_are_not_those_that_were_announced_are_damaged() {
    for (name, value) in [
        ("Repr-Digest", format!("sha-256=:{}:", wrong())),
        ("Content-Digest", format!("md5=:AAAAAAAAAAAAAAAAAAAAAA==:, sha-256=:{}:", wrong())),
        ("Digest", format!("SHA-256={}", wrong())),
        ("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==".to_owned()),
    ] {
        let (test, server) = (TestEnv::new(), announcing(name, value));
        let run = test.get(&server.url("/file")).run();
        run.failed_saying(30, &["/file is damaged: its digest is ", ", expected "]);
        assert!(run.part.is_none());
    }
}

#[test]
fn what_is_no_digest_is_not_checked() {
    for (name, value) in [
        ("Repr-Digest", "sha-256=:AAAA:"),
        ("Repr-Digest", "sha-1024=:AAAA:"),
        ("Digest", "SHA-256=00"),
        ("Content-MD5", "00000000000000000000000000000000"),
        ("ETag", "\"00000000000000000000000000000000\""),
    ] {
        TestEnv::new().get(&announcing(name, value.into()).url("/file")).run().succeeded();
    }
}

/// An interrupted download goes on with a part, and what is announced of that.
fn gone_on_with(name: &'static str, of_part: String) -> Run {
    let server = Server::of(Resource::default(), move |asked, answer| match asked.number {
        0 => answer.closed_at(50_000),
        _ => answer.header(name, &of_part),
    });
    let (test, url) = (TestEnv::new(), server.url("/file"));
    test.get(&url).last().run().failed_saying(22, &["the answer broke off"]);
    let run = test.get(&url).run();
    assert_eq!(server.ranges(), [None, Some("bytes=50000-99999".into())]);
    run
}

#[test]
fn a_digest_of_a_part_is_not_that_of_the_whole() {
    gone_on_with("Content-Digest", format!("sha-256=:{}:", wrong())).succeeded();
    gone_on_with("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==".into()).succeeded();
    // What is announced of the whole is checked with all its parts together.
    gone_on_with("Repr-Digest", format!("sha-256=:{}:", sha256())).succeeded();
    gone_on_with("Repr-Digest", format!("sha-256=:{}:", wrong())).failed_saying(30, &["its digest is "]);
}

#[test]
fn of_a_part_that_the_user_wants_no_digest_is_checked() {
    let server = announcing("Repr-Digest", format!("sha-256=:{}:", sha256()));
    let test = TestEnv::new();
    let run = test.get(&server.url("/file")).args(&["--range", "0-9"]);
    run.expect(Digest::of_bytes(&CONTENT.bytes(0..10))).run().succeeded();
}
