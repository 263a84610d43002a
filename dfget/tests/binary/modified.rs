//! What is fetched only if it has changed, the time that it gets, and parts of a resource.

use std::{
    fs::{self, File},
    time::{Duration, SystemTime},
};

use faultplug::Content;
use rustix::process::Signal;

use crate::harness::{Digest, TestEnv};

const URL: &str = "good://h/file?seed=1&modified=1000";

/// The same, changed a minute later.
const NEWER: &str = "good://h/file?seed=2&modified=1060";

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn modified(test: &TestEnv) -> SystemTime {
    fs::metadata(test.work("file")).unwrap().modified().unwrap()
}

#[test]
fn what_is_the_same_is_not_fetched_again() {
    let test = TestEnv::new();
    for expected in ["finished", "up_to_date"] {
        let run = test.get(URL).args(&["-N", "--json"]).run();
        assert_eq!((run.succeeded().count(expected), modified(&test)), (1, time(1000)));
    }
}

#[test]
fn what_is_newer_is_fetched_and_replaced() {
    let test = TestEnv::new();
    test.get(URL).arg("-N").run().succeeded();
    let run = test.get(NEWER).args(&["--if-modified", "--json"]).run();
    assert_eq!((run.succeeded().count("finished"), modified(&test)), (1, time(1060)));
}

#[test]
fn what_fails_leaves_the_old_one() {
    let test = TestEnv::new();
    test.get(URL).arg("-N").run().succeeded();
    let run = test.get(&format!("{NEWER}&fail-at=5000")).arg("-N").last().run();
    run.failed_saying(20, &["gone"]);
    assert_eq!(modified(&test), time(1000));
}

#[test]
fn a_tree_may_be_compared_by_its_source() {
    let test = TestEnv::new();
    let url = "good://h/tree?files=4&modified=1000";
    test.tree(url).arg("-N").run().succeeded();
    let run = test.tree(&format!("{url}&changed=f2")).args(&["-N", "--json"]).run();
    assert_eq!((run.succeeded().count("finished"), run.count("up_to_date")), (1, 3));
}

#[test]
fn the_output_gets_the_time_of_the_resource_if_that_is_wanted() {
    let test = TestEnv::new();
    test.get(URL).arg("-R").run().succeeded();
    assert_eq!(modified(&test), time(1000));
    test.get(URL).args(&["--overwrite"]).run().succeeded();
    assert!(modified(&test) > time(1_700_000_000));
    test.get("good://h/file").args(&["--overwrite", "--remote-time"]).run().succeeded();
    assert!(modified(&test) > time(1_700_000_000));
}

/// The bytes of `range` where they are, and zeros before them.
fn with_hole(content: Content, range: std::ops::Range<u64>) -> Digest {
    let mut bytes = vec![0; range.start as usize];
    bytes.extend(content.bytes(range));
    Digest::of_bytes(&bytes)
}

#[test]
fn a_part_is_written_where_it_is_in_the_resource() {
    let content = Content { seed: 1, size: 100_000 };
    for (range, bytes) in [("90000-", 90_000..100_000), ("70000-79999", 70_000..80_000), ("-7", 99_993..100_000)] {
        let test = TestEnv::new();
        let run = test.get("good://h/file").args(&["--range", range, "--original-offset"]);
        run.expect(with_hole(content, bytes)).run().succeeded();
    }
}

#[test]
fn a_part_in_its_place_is_resumed() {
    let (size, start) = (40_000_000, 10_000_000);
    let content = Content { seed: 1, size };
    let test = TestEnv::new();
    let part = ["-n", "1", "--range", "10000000-", "--original-offset"];
    let mut run = test.get(&format!("good://h/file?size={size}&hold-at=20000000")).args(&part).last().start();
    run.wait_for_bytes(20_000_000);
    run.signal(Signal::INT);
    run.finish().ended_by(Signal::INT);
    // The same part without its hole is another file.
    let url = format!("good://h/file?size={size}&hold-at=99999999");
    let run = test.get(&url).args(&part).args(&["-v"]).expect(with_hole(content, start..size)).run();
    assert!(run.is_success() && run.stderr.contains("going on at byte 20000000"), "{}", run.stderr);
}

#[test]
fn a_part_in_its_place_does_not_go_on_with_one_that_is_not() {
    let (size, start) = (40_000_000, 10_000_000);
    let test = TestEnv::new();
    let part = ["-n", "1", "--range", "10000000-"];
    let mut run = test.get(&format!("good://h/file?size={size}&hold-at=30000000")).args(&part).last().start();
    run.wait_for_bytes(20_000_000);
    run.signal(Signal::INT);
    run.finish().ended_by(Signal::INT);
    let url = format!("good://h/file?size={size}&hold-at=99999999");
    let expected = with_hole(Content { seed: 1, size }, start..size);
    test.get(&url).args(&part).arg("--original-offset").expect(expected).run().succeeded();
}

#[test]
fn the_last_bytes_are_downloaded_alone() {
    let content = Content { seed: 1, size: 100_000 };
    for (range, start) in [("-1", 99_999), ("-100", 99_900), ("-100000", 0), ("-999999", 0)] {
        let test = TestEnv::new();
        let run = test.get("good://h/file").args(&["--range", range]);
        run.expect(Digest::of_bytes(&content.bytes(start..100_000))).run().succeeded();
    }
}

#[test]
fn the_last_bytes_of_nothing_and_of_what_has_no_length() {
    let test = TestEnv::new();
    test.get("good://h/file?size=0").args(&["--range", "-5"]).run().succeeded();
    let run = test.get("good://h/file?no-length").args(&["--range", "-5", "--overwrite"]).run();
    run.failed_saying(24, &["its length is unknown, and --range counts from the end"]);
}

#[test]
fn the_last_bytes_are_printed() {
    let test = TestEnv::new();
    let run = test.get("good://h/file").args(&["--range", "-5"]).stream("-");
    let bytes = Content { seed: 1, size: 100_000 }.bytes(99_995..100_000);
    assert_eq!(run.expect(Digest::of_bytes(&bytes)).run().succeeded().stdout, bytes);
}

#[test]
fn a_link_in_the_place_of_the_output_is_replaced_and_its_target_untouched() {
    let test = TestEnv::new();
    fs::write(test.path("target"), "precious").unwrap();
    File::options().write(true).open(test.path("target")).unwrap().set_modified(time(1000)).unwrap();
    std::os::unix::fs::symlink(test.path("target"), test.work("file")).unwrap();
    test.get(URL).arg("-N").run().succeeded();
    assert_eq!(fs::read_to_string(test.path("target")).unwrap(), "precious");
}
