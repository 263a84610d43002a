//! Bodies that break off, and bodies whose length is not the one that was said.

use faultplug::Content;

use super::{
    answer::{Answer, CONTENT, Resource},
    server::Server,
};
use crate::harness::{Digest, Run, TestEnv};

const CUT: &str = "the answer broke off: end of file before message length reached";

/// Only its first answer is bent.
fn once(resource: Resource, bend: impl Fn(Answer) -> Answer + Send + Sync + 'static) -> Server {
    Server::of(resource, move |asked, answer| if asked.number == 0 { bend(answer) } else { answer })
}

fn always(bend: impl Fn(Answer) -> Answer + Send + Sync + 'static) -> Server {
    Server::of(Resource::default(), move |_, answer| bend(answer))
}

fn get(server: &Server, tries: u32) -> Run {
    TestEnv::new().get(&server.url("/file")).tries(tries).run()
}

/// Ended with 0 after one warning that says `words`.
fn warned(run: &Run, words: &str) {
    assert!(run.is_success() && run.stderr.lines().count() == 1 && run.stderr.contains(words), "{}", run.stderr);
}

#[test]
fn a_body_that_is_cut_once_is_gone_on_with_where_it_was_cut() {
    for at in [1, 50_000, 99_999] {
        let server = once(Resource::default(), move |answer| answer.closed_at(at));
        warned(&get(&server, 2), &format!("{CUT}; trying again in 0."));
        assert_eq!(server.ranges(), [None, Some(format!("bytes={at}-99999"))]);
        assert_eq!(server.asked()[1].header("if-match").as_deref(), Some("\"1\""));
    }
}

#[test]
fn an_answer_without_a_byte_of_its_body_is_asked_for_again() {
    for server in
        [once(Resource::default(), |answer| answer.closed_at(0)), once(Resource::default(), |_| Answer::gone())]
    {
        warned(&get(&server, 2), "; trying again in 0.");
        assert_eq!(server.asked().len(), 2);
    }
}

#[test]
fn a_body_that_is_always_cut_is_tried_as_often_as_was_said() {
    for tries in [1, 2] {
        let server = always(|answer| answer.closed_at(0));
        let run = get(&server, tries);
        run.failed_saying(22, &[&format!("dfget: {}: {CUT}\n  hint: try again later", server.url("/file"))]);
        assert_eq!(server.asked().len(), tries as usize);
    }
}

#[test]
fn progress_begins_the_tries_anew_and_crumbs_are_none() {
    let crumbs = always(|answer| answer.closed_at(30_000));
    get(&crumbs, 2).failed_saying(22, &[CUT]);
    let rest = |at: u32| Some(format!("bytes={at}-99999"));
    assert_eq!(crumbs.ranges(), [None, rest(30_000)]);

    let content = Content { seed: 5, size: 5 << 20 };
    let slices = Server::of(Resource { content, ..Resource::default() }, |_, answer| answer.closed_at(3 << 19));
    let run = TestEnv::new().get(&slices.url("/file")).tries(2).expect(Digest::of_content(content)).run();
    assert!(run.is_success(), "{}", run.stderr);
    assert_eq!(slices.asked().len(), 4);
}

#[test]
fn a_reset_is_no_end() {
    for at in [0, 1, 50_000, 99_999] {
        let server = once(Resource::default(), move |answer| answer.reset_at(at));
        warned(&get(&server, 2), "Connection reset by peer (os error 104); trying again in 0.");
        let run = get(&always(move |answer| answer.reset_at(at)), 1);
        run.failed_saying(22, &["Connection reset by peer (os error 104)\n  hint: try again later"]);
    }
}

#[test]
fn without_parts_a_cut_body_is_fetched_from_0() {
    let server = once(Resource { ranges: false, ..Resource::default() }, |answer| answer.closed_at(50_000));
    let words = format!(" WARN {}: {CUT}; restarting from 0", server.url("/file"));
    get(&server, 2).succeeded_saying(&words);
    assert_eq!(server.ranges(), [None, None]);
}

#[test]
fn without_a_validator_a_cut_body_is_fetched_from_0() {
    let server = once(Resource { etag: None, ..Resource::default() }, |answer| answer.closed_at(50_000));
    let words = format!(" WARN {}: {CUT}; restarting from 0", server.url("/file"));
    get(&server, 2).succeeded_saying(&words);
    assert_eq!(server.ranges(), [None, None]);
}

#[test]
fn a_cut_body_is_no_output_of_the_length_that_came() {
    let run = get(&always(|answer| answer.closed_at(99_999)), 1);
    assert_eq!((run.failed_saying(22, &[CUT]).part), Some(99_999));
}

#[test]
fn what_follows_a_body_is_not_read() {
    get(&always(|answer| answer.longer_by(b"HTTP/1.1 200 OK\r\n\r\nsmuggled")), 1).succeeded();
}

#[test]
fn a_body_shorter_than_its_range_is_damaged() {
    let bend = |answer: Answer| answer.header("Content-Range", "bytes 0-99/100");
    let server = Server::of(Resource::default(), move |_, _| bend(Answer::status(206).body(CONTENT.bytes(0..50))));
    let words = "is damaged: got 50 bytes, expected 100";
    let hint = "run it again; if it stays so, what its storage holds is damaged";
    get(&server, 1).failed(30, &format!("dfget: {} {words}\n  hint: {hint}", server.url("/file")));
}

#[test]
fn a_body_longer_than_its_range_is_damaged() {
    let bent = |answer: Answer| answer.header("Content-Range", "bytes 0-49/100");
    let server = Server::of(Resource::default(), move |_, _| bent(Answer::status(206).body(CONTENT.bytes(0..100))));
    let words = "is damaged: more came than the 50 bytes announced";
    get(&server, 1).failed_saying(30, &[words]);
}

#[test]
fn a_body_without_a_length_is_as_long_as_it_is() {
    get(&always(Answer::chunked), 1).succeeded();
    // As HTTP/1.0 had it: the end of the connection is that of the body.
    get(&always(|answer| answer.without("Content-Length").closed_at(100_000)), 1).succeeded();
    let empty = Server::start(|_| Answer::status(200).chunked());
    TestEnv::new().get(&empty.url("/file")).expect(Digest::of_bytes(b"")).run().succeeded();
}

#[test]
fn chunks_that_break_off_are_gone_on_with_where_they_did() {
    let server = once(Resource::default(), |answer| answer.chunked().closed_at(50_000));
    warned(&get(&server, 2), "trying again in 0.");
    let from = server.ranges()[1].clone().unwrap();
    assert!(from.starts_with("bytes=49") && from.ends_with('-'), "{from}");
}

#[test]
fn chunks_that_are_none_are_no_body() {
    let server = always(|answer| answer.without("Content-Length").header("Transfer-Encoding", "chunked"));
    get(&server, 1).failed_saying(22, &["the answer broke off: "]);
}

/// The rest of it is not there any more, and what is there is another version.
#[test]
fn a_file_that_shrinks_while_it_is_sent_is_fetched_anew() {
    let shrunk = Content { seed: 1, size: 60_000 };
    let server = Server::start(move |asked| match asked.number {
        0 => Resource::default().answer(asked).closed_at(60_000),
        _ => Resource { content: shrunk, etag: Some("\"2\""), ..Resource::default() }.answer(asked),
    });
    let run = TestEnv::new().get(&server.url("/file")).tries(2).expect(Digest::of_content(shrunk)).run();
    assert!(run.is_success() && run.stderr.ends_with("; restarting from 0\n"), "{}", run.stderr);
    // One that does not even say that it is another version: there is no byte at 60,000.
    let server = Server::start(move |asked| match asked.number {
        0 => Resource::default().answer(asked).closed_at(60_000),
        _ => Resource { content: shrunk, ..Resource::default() }.answer(asked),
    });
    let run = TestEnv::new().get(&server.url("/file")).tries(2).expect(Digest::of_content(shrunk)).run();
    assert!(run.is_success() && run.stderr.ends_with("; restarting from 0\n"), "{}", run.stderr);
}
