//! Servers that are silent, slow, or speak something else.

use std::time::Duration;

use super::{
    answer::{Answer, Resource},
    server::Server,
};
use crate::harness::{Run, TestEnv};

const SECOND: Duration = Duration::from_secs(1);

fn get(server: &Server) -> Run {
    TestEnv::new().get(&server.url("/file")).run()
}

fn get_impatiently(server: &Server) -> Run {
    TestEnv::new().get(&server.url("/file")).args(&["--speed-time", "700ms"]).run()
}

/// Given up in time, and not tried again.
fn stalled(server: &Server, fact: &str) {
    let words = format!("{} stalled: {fact}\n  hint: --stall-timeout waits longer", server.url("/file"));
    get_impatiently(server).failed(16, &format!("dfget: {words}")).no_sooner_than(SECOND * 7 / 10).within(2 * SECOND);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    stalled(&Server::start(|_| Answer::none()), "no answer in 700ms");
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let server = Server::start(|_| Answer::status(200).slow_head(Duration::from_millis(50)));
    stalled(&server, "no answer in 700ms");
}

#[test]
fn a_body_that_stops_is_given_up() {
    for at in [0, 1, 50_000, 99_999] {
        let server = Server::of(Resource::default(), move |_, answer| answer.silent_at(at));
        stalled(&server, &format!("less than 1024 bytes a second in 700ms, {at} in all"));
    }
}

#[test]
fn a_byte_now_and_then_is_too_slow() {
    let pause = Duration::from_millis(100);
    let server = Server::of(Resource::default(), move |_, answer| answer.trickling_at(500, pause));
    get_impatiently(&server)
        .failed_saying(16, &["/file stalled: less than 1024 bytes a second in 700ms, 50"])
        .within(3 * SECOND);
}

#[test]
fn what_is_not_http_is_no_answer() {
    for line in ["SSH-2.0-OpenSSH_9.2", "\u{1b}[2J\0\u{7}", "HTTP/9.9 200 OK", "HTTP/1.1 abc", "<html>"] {
        let server = Server::start(move |_| Answer::line(line));
        let url = server.url("/file");
        let run = get(&server);
        run.failed_saying(22, &[&format!("dfget: {url}: error sending request: "), "\n  hint: try again later"]);
    }
}

#[test]
fn an_endless_head_is_no_answer() {
    // Longer than dfget may need memory, so that it cannot have kept it.
    let lines = "X-Header: value\r\n".repeat(1 << 22);
    let server = Server::start(move |_| Answer::line(&format!("HTTP/1.1 200 OK\r\n{lines}X: y")));
    get(&server).failed_saying(22, &["message head is too large"]);
    let value = "x".repeat(1 << 26);
    let server = Server::start(move |_| Answer::status(200).header("X", &value));
    get(&server).failed_saying(22, &["message head is too large"]);
}

#[test]
fn a_head_of_1_mib_is_told() {
    let (value, lines) = ("x".repeat(1 << 20), "X: value\r\n".repeat(1 << 17));
    let of_one_line = Server::of(Resource::default(), move |_, answer| answer.header("X", &value));
    let of_many = Server::start(move |_| Answer::line(&format!("HTTP/1.1 200 OK\r\n{lines}X: y")));
    for server in [of_one_line, of_many] {
        get(&server).failed_saying(22, &["/file: error sending request: ", "message head is too large"]);
    }
}

#[test]
fn endless_informational_answers_are_no_answer() {
    let server = Server::start(|_| Answer::line("HTTP/1.1 103 Early Hints").again_and_again());
    stalled(&server, "no answer in 700ms");
}

#[test]
fn two_lengths_are_none() {
    let server = Server::of(Resource::default(), |_, answer| answer.header("content-length", "99"));
    get(&server).failed_saying(22, &["/file: error sending request: "]);
    let server = Server::of(Resource::default(), |_, answer| answer.header("Content-Length", "-1"));
    get(&server).failed_saying(22, &["/file: error sending request: "]);
}

#[test]
fn a_length_that_no_disk_has_is_told_before_anything_is_fetched() {
    let server = Server::of(Resource::default(), |_, answer| answer.header("Content-Length", "9223372036854775807"));
    get(&server).failed_saying(41, &["there is no room for", "bytes, and"]);
}
