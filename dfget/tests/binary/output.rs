//! Where the bytes go, and what is in the way.

use std::{fs, os::unix::fs::symlink};

use rustix::process::Signal;

use crate::harness::{Digest, TestEnv, make_fifo};

const URL: &str = "good://h/file?size=100000&seed=4";

/// A plugin that leaves a trace when it is started.
fn tracing_plugin(test: &TestEnv) {
    test.write_plugin("good", format!("#!/bin/sh\necho > {}\n", test.path("trace").display()));
}

/// Refused before the plugin is started.
fn refused_at_once(test: &TestEnv, output: &str, code: i32, words: &str) {
    tracing_plugin(test);
    test.get(URL).output(output).run().failed(code, words);
    assert!(!test.path("trace").exists(), "the plugin was started");
}

#[test]
fn an_existing_output_is_not_replaced() {
    let test = TestEnv::new();
    fs::write(test.work("old"), "precious").unwrap();
    let words = "dfget: old exists\n  hint: --overwrite replaces it, -O names another output";
    refused_at_once(&test, "old", 42, words);
    assert_eq!(fs::read_to_string(test.work("old")).unwrap(), "precious");
}

#[test]
fn an_existing_link_is_not_followed_and_not_replaced() {
    let test = TestEnv::new();
    symlink(test.path("target"), test.work("link")).unwrap();
    refused_at_once(&test, "link", 42, "dfget: link exists\n  hint: --overwrite replaces it, -O names another output");
    assert!(!test.path("target").exists());
}

#[test]
fn overwrite_replaces_the_output_once_the_new_one_is_whole() {
    let test = TestEnv::new();
    fs::write(test.work("file"), "precious").unwrap();
    test.get("good://h/file?die-at=50000").arg("--overwrite").run().failed_saying(14, &[]);
    assert_eq!(fs::read_to_string(test.work("file")).unwrap(), "precious");
    test.get(URL).arg("--overwrite").run().succeeded();
}

#[test]
fn overwrite_replaces_a_link_and_not_its_target() {
    let test = TestEnv::new();
    fs::write(test.path("target"), "precious").unwrap();
    symlink(test.path("target"), test.work("file")).unwrap();
    test.get(URL).arg("--overwrite").run().succeeded();
    assert_eq!(fs::read_to_string(test.path("target")).unwrap(), "precious");
    assert!(fs::symlink_metadata(test.work("file")).unwrap().is_file());
}

#[test]
fn an_output_that_appears_meanwhile_is_not_replaced() {
    let test = TestEnv::new();
    let dfget = test.get("good://h/file?wait-at=50000&millis=1000").start();
    dfget.wait_for_bytes(50_000);
    fs::write(test.work("file"), "precious").unwrap();
    // The harness does not know of it: it must be gone before what was there is compared.
    let run = dfget.finish_with(|| {
        assert_eq!(fs::read_to_string(test.work("file")).unwrap(), "precious");
        fs::remove_file(test.work("file")).unwrap();
    });
    run.failed_saying(42, &["file exists"]);
}

#[test]
fn an_output_that_is_a_directory_is_refused() {
    let test = TestEnv::new();
    fs::create_dir(test.work("directory")).unwrap();
    let words = "dfget: cannot write directory: it is a directory; -O names a file";
    refused_at_once(&test, "directory", 40, words);
}

#[test]
fn an_output_in_a_directory_that_is_missing_is_refused() {
    let test = TestEnv::new();
    let words = "\
dfget: cannot create missing/file: No such file or directory (os error 2)
  hint: create its directory";
    refused_at_once(&test, "missing/file", 40, words);
}

#[test]
fn an_output_that_is_a_fifo_is_refused() {
    let test = TestEnv::new();
    make_fifo(&test.work("fifo"));
    tracing_plugin(&test);
    test.get(URL).stream("fifo").run().failed_saying(40, &["cannot write fifo: it is a fifo"]);
    assert!(!test.path("trace").exists(), "the plugin was started");
}

#[test]
fn an_output_that_another_dfget_writes_is_refused() {
    let (first, second) = (TestEnv::new(), TestEnv::new());
    let mut writing = first.get("good://h/file?hold-at=50000").start();
    writing.wait_for_bytes(50_000);
    let run = second.get(URL).output(first.work("file")).last().run();
    let words = format!(
        "dfget: {0}/work/file.part is being written by another dfget
  hint: wait for it to end, or name another output with -O",
        first.root().display()
    );
    run.failed(43, &words);
    writing.signal(Signal::TERM);
    writing.finish().ended_by(Signal::TERM);
}

#[test]
fn stdout_gets_the_bytes_and_nothing_else() {
    let run = TestEnv::new().get(URL).stream("-").arg("-v").run();
    assert_eq!(
        (run.stdout.len(), Digest::of_bytes(&run.stdout)),
        (100_000, Digest::of_content(faultplug::Content::of_url(URL)))
    );
}

#[test]
fn a_device_takes_the_bytes() {
    TestEnv::new().get(URL).stream("/dev/null").run().succeeded();
}

#[test]
fn a_full_device_is_told() {
    TestEnv::new().get(URL).stream("/dev/full").run().failed_saying(41, &["cannot write /dev/full"]);
}

#[test]
fn the_output_is_the_last_segment_in_the_current_directory() {
    let test = TestEnv::new();
    test.get("good://h/a/b%20c?size=10").output_expected("b c").run().succeeded();
    test.dfget(&["good://h/"]).run().failed_saying(2, &["ends in no file name", "name the output with -O"]);
}

#[test]
fn a_part_that_has_another_name_too_is_not_written_to() {
    let test = TestEnv::new();
    fs::write(test.path("precious"), "precious").unwrap();
    fs::hard_link(test.path("precious"), test.work("file.part")).unwrap();
    test.get("good://h/file?size=100").run().succeeded();
    assert_eq!(fs::read_to_string(test.path("precious")).unwrap(), "precious");
}
