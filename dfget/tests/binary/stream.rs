//! Streams that break the rules.

use std::time::Duration;

use crate::harness::{Run, TestEnv};

fn run(query: &str) -> Run {
    let run = TestEnv::new().get(&format!("raw://h/file?size=200000&{query}")).run();
    // A connection that ended may be that of a plugin that is about to end.
    run.within(Duration::from_secs(4));
    run
}

/// `fact` is what the plugin did, and nothing behind byte `limit` was written.
fn broke_the_protocol(query: &str, fact: &str, limit: u64) {
    let run = run(query);
    let hint = "this is a fault of d7y-resource-plugin-raw: report it to its author";
    run.failed(15, &format!("dfget: plugin d7y-resource-plugin-raw broke the protocol: {fact}\n  hint: {hint}"));
    assert!(run.part.unwrap_or_default() <= limit, "{:?} bytes were written, {limit} are right", run.part);
}

#[test]
fn a_plugin_by_the_book_is_well() {
    run("").succeeded();
}

#[test]
fn a_stream_without_its_end_is_no_file() {
    let fact = "the body of raw://h/file?size=***&fault=*** ended after 200000 bytes without End";
    broke_the_protocol("fault=no-end", fact, 200_000);
}

#[test]
fn a_stream_without_its_end_is_tried_again() {
    let run = TestEnv::new().get("raw://h/file?size=200000&fault=no-end").tries(2).run();
    // It cannot tell versions apart.
    run.failed_saying(15, &["after 200000 bytes without End; restarting from 0", "without End\n  hint"]);
}

#[test]
fn fewer_bytes_than_announced_are_no_file() {
    let words = "\
dfget: raw://h/file?size=***&fault=***&at=***: got 150000 bytes, expected 200000
  hint: run it again; if it stays so, what its storage holds is damaged";
    run("fault=short&at=150000").failed(30, words);
    run("fault=short&at=0").failed_saying(30, &["got 0 bytes, expected 200000"]);
}

#[test]
fn an_end_that_miscounts_is_no_file() {
    run("fault=wrong-total").failed_saying(30, &["got 200000 bytes, expected 200001"]);
}

#[test]
fn more_bytes_than_announced_are_not_written() {
    for fault in ["long", "endless"] {
        let run = run(&format!("fault={fault}"));
        run.failed_saying(15, &["plugin d7y-resource-plugin-raw broke the protocol: it sends more than", "200000"]);
        assert!(run.part.unwrap_or_default() <= 200_000, "{:?}", run.part);
    }
}

#[test]
fn a_body_of_unknown_length_that_never_ends_is_ended_by_the_time_limit() {
    let endless = "good://h/file?size=1000000000000&no-length";
    let run = TestEnv::new().get(endless).args(&["--timeout", "700ms", "--limit-rate", "4M"]).last().run();
    run.failed_saying(45, &["was not complete after 700ms"]).within(Duration::from_secs(3));
}

#[test]
fn a_wrong_offset_is_named_with_the_right_one() {
    let fact = |wrong| format!("a chunk came for offset {wrong}, expected 70000");
    broke_the_protocol("fault=offset&at=70000&by=1", &fact(70_001), 70_000);
    broke_the_protocol("fault=offset&at=70000&by=130000", &fact(200_000), 70_000);
    broke_the_protocol("fault=offset&at=70000&back=1", &fact(69_999), 70_000);
    broke_the_protocol("fault=offset&at=70000&back=70000", &fact(0), 70_000);
}

#[test]
fn a_stream_that_does_not_open_is_refused() {
    broke_the_protocol("fault=no-opened", "the first message of a download is Chunk, not Opened", 0);
}

#[test]
fn a_stream_that_opens_twice_is_refused() {
    broke_the_protocol("fault=opened-twice&at=70000", "Opened came twice", 70_000);
}

#[test]
fn a_range_that_nobody_asked_for_is_refused() {
    broke_the_protocol("fault=opened-late&at=10", "it opened at offset 10, asked for 0", 0);
}

#[test]
fn what_comes_after_the_end_is_not_written() {
    run("fault=after-end").succeeded();
}

#[test]
fn a_message_that_is_too_large_is_refused_with_the_limit() {
    for query in
        ["fault=large&at=70000&bytes=5242880", "fault=large-opened&bytes=5242880", "fault=large-opened&bytes=104857600"]
    {
        let run = run(query);
        run.failed_saying(15, &["plugin d7y-resource-plugin-raw broke the protocol", "limit", "4194304"]);
    }
}

#[test]
fn a_connection_that_breaks_is_told() {
    let run = run("fault=disconnect&at=70000");
    run.failed_saying(15, &["plugin d7y-resource-plugin-raw broke the protocol: "]);
}
