//! What the statuses of HTTP mean: the exit code, what is said, and whether it is tried again.

use std::time::Duration;

use super::{
    answer::{Answer, Resource},
    server::Server,
};
use crate::harness::TestEnv;

/// Status, its name, exit code.
const TABLE: [(u16, &str, i32); 37] = [
    (202, "Accepted", 22),
    (204, "No Content", 24),
    (205, "Reset Content", 24),
    (226, "IM Used", 24),
    (300, "Multiple Choices", 24),
    (304, "Not Modified", 24),
    (400, "Bad Request", 24),
    (401, "Unauthorized", 21),
    (402, "Payment Required", 24),
    (403, "Forbidden", 21),
    (404, "Not Found", 20),
    (405, "Method Not Allowed", 24),
    (406, "Not Acceptable", 24),
    (407, "Proxy Authentication Required", 21),
    (408, "Request Timeout", 22),
    (409, "Conflict", 24),
    (410, "Gone", 20),
    (412, "Precondition Failed", 23),
    (413, "Payload Too Large", 24),
    (414, "URI Too Long", 24),
    (416, "Range Not Satisfiable", 24),
    (421, "Misdirected Request", 24),
    (425, "Too Early", 22),
    (428, "Precondition Required", 24),
    (429, "Too Many Requests", 22),
    (431, "Request Header Fields Too Large", 24),
    (451, "Unavailable For Legal Reasons", 24),
    (500, "Internal Server Error", 22),
    (501, "Not Implemented", 24),
    (502, "Bad Gateway", 22),
    (503, "Service Unavailable", 22),
    (504, "Gateway Timeout", 22),
    (505, "HTTP Version Not Supported", 24),
    (507, "Insufficient Storage", 22),
    (508, "Loop Detected", 24),
    (510, "Not Extended", 24),
    (511, "Network Authentication Required", 24),
];

fn hint(exit: i32) -> &'static str {
    match exit {
        20 => "\n  hint: check the URL",
        21 => "\n  hint: credentials go by --opt key=value or -H 'Name: value', as the source has it",
        22 => "\n  hint: try again later",
        23 => "\n  hint: download it again from the beginning",
        _ => "",
    }
}

/// That many answers with this status, then all is well.
fn busy(times: usize, status: u16, retry_after: Option<String>) -> Server {
    Server::of(Resource::default(), move |asked, answer| {
        let busy = Answer::status(status);
        let busy = retry_after.iter().fold(busy, |busy, time| busy.header("Retry-After", time));
        if asked.number < times { busy } else { answer }
    })
}

#[test]
fn each_status_has_its_exit_code() {
    for (status, name, exit) in TABLE {
        // The answers of these have no body.
        let body = if matches!(status, 204 | 205 | 304) { "" } else { "<h1>no</h1>" };
        let server = Server::start(move |_| Answer::status(status).body(body));
        let url = server.url("/file");
        let run = TestEnv::new().get(&url).run();
        // 412 to a request without a condition makes no sense; it is a change as ever.
        let before = if status == 412 { "the resource has changed: " } else { "" };
        let last = format!("dfget: {url}: {before}the server answered {status} {name}{}", hint(exit));
        run.failed_saying(exit, &[&last]);
        assert!(run.part.is_none());
    }
}

#[test]
fn a_status_in_the_middle_of_a_download_has_the_same_exit_code() {
    for (status, name, exit) in [(401, "Unauthorized", 21), (404, "Not Found", 20), (503, "Service Unavailable", 22)] {
        let server = Server::of(Resource::default(), move |asked, answer| match asked.number {
            0 => answer.closed_at(50_000),
            _ => Answer::status(status),
        });
        let run = TestEnv::new().get(&server.url("/file")).tries(2).run();
        run.failed_saying(exit, &[&format!("/file: the server answered {status} {name}{}", hint(exit))]);
        assert_eq!(run.part, Some(50_000));
    }
}

#[test]
fn what_may_pass_is_tried_again_and_all_else_is_not() {
    for (status, _, exit) in TABLE {
        let server = busy(1, status, None);
        let run = TestEnv::new().get(&server.url("/file")).tries(2).run();
        // What is taken for a change is fetched anew.
        let again = [22, 23].contains(&exit);
        assert_eq!(
            (run.is_success(), server.asked().len()),
            (again, 1 + usize::from(again)),
            "{status}: {}",
            run.stderr
        );
    }
}

#[test]
fn a_status_that_nobody_knows_is_as_the_first_of_its_hundred() {
    for (status, exit) in [(399, 24), (499, 24), (520, 22), (599, 22)] {
        let server = Server::start(move |_| Answer::status(status));
        let run = TestEnv::new().get(&server.url("/file")).run();
        run.failed_saying(exit, &[&format!("the server answered {status}")]);
    }
    let server = Server::of(Resource::default(), |_, answer| answer.with_status(299));
    TestEnv::new().get(&server.url("/file")).run().succeeded();
}

#[test]
fn the_time_after_which_to_come_back_is_waited() {
    let second = Duration::from_secs(1);
    for status in [429, 503] {
        let server = busy(1, status, Some("1".into()));
        let run = TestEnv::new().get(&server.url("/file")).tries(2).run();
        assert!(run.is_success() && run.stderr.contains("; trying again in 1.0 s"), "{}", run.stderr);
        run.no_sooner_than(second).within(4 * second);
    }
}

#[test]
fn a_date_to_come_back_at_is_a_time_too() {
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(3));
    let server = busy(1, 503, Some(date));
    let run = TestEnv::new().get(&server.url("/file")).tries(2).run();
    run.no_sooner_than(Duration::from_secs(1)).within(Duration::from_secs(5));
    // One that is past says nothing.
    let server = busy(1, 503, Some("Sat, 01 Jan 2022 00:00:00 GMT".into()));
    assert!(TestEnv::new().get(&server.url("/file")).tries(2).run().is_success());
}

#[test]
fn a_server_that_is_to_come_back_next_week_is_given_up_at_once() {
    let server = busy(1, 503, Some("604800".into()));
    let run = TestEnv::new().get(&server.url("/file")).tries(5).run();
    let words = "the server answered 503 Service Unavailable\n  hint: try again later";
    run.failed(22, &format!("dfget: {}: {words}", server.url("/file"))).within(Duration::from_secs(1));
    assert_eq!(server.asked().len(), 1);
}
