//! Pieces, going on where an earlier run stopped, and what is checked of what came.

use std::{fs, path::PathBuf};

use faultplug::Content;
use rustix::process::Signal;

use crate::harness::{Digest, Run, TestEnv, program};

/// Larger than what is worth several connections.
const SIZE: u64 = 40_000_000;

const HALF: u64 = 20_000_000;

/// Stops a download of one connection with `signal` once its first half has come. Its source leaves it to dfget to tell
/// versions apart.
fn interrupt(test: &TestEnv, signal: Signal) {
    let url = format!("good://h/file?size={SIZE}&hold-at={HALF}&lie=any-version");
    let mut run = test.get(&url).args(&["-n", "1"]).last().start();
    run.wait_for_bytes(HALF);
    run.signal(signal);
    run.finish().ended_by(signal);
}

/// The URL of [`interrupt`] with a fault that never happens: they differ only in what is not shown.
fn again() -> String {
    format!("good://h/file?size={SIZE}&hold-at=99999999&lie=any-version")
}

fn assert_says(run: &Run, words: &str) {
    assert!(run.is_success() && run.stderr.contains(words), "{}", run.stderr);
}

fn state(test: &TestEnv) -> PathBuf {
    test.work("file.part.state")
}

#[test]
fn an_interrupted_download_goes_on_at_the_byte_where_it_stopped() {
    let test = TestEnv::new();
    interrupt(&test, Signal::INT);
    let run = test.get(&again()).args(&["-n", "1", "-v"]).run();
    assert_says(&run, &format!("serving {SIZE} bytes from {HALF}"));
    assert!(!state(&test).exists());
}

#[test]
fn no_resume_begins_anew() {
    let test = TestEnv::new();
    interrupt(&test, Signal::TERM);
    let url = again();
    let run = test.get(&url).args(&["-n", "1", "-v", "--no-resume"]).run();
    assert_says(&run, &format!("serving {SIZE} bytes from 0"));
}

#[test]
fn a_resource_that_changed_meanwhile_is_fetched_from_0() {
    let test = TestEnv::new();
    interrupt(&test, Signal::INT);
    // Another size is another version, under the same shown URL.
    let run =
        test.get(&format!("good://h/file?size={}&hold-at=99999999&lie=any-version", SIZE + 1)).args(&["-n", "1"]).run();
    assert_says(&run, "the resource has changed; restarting from 0");
}

/// Has `end` come to a download once so many bytes are there, and its source holds.
fn cut_short(test: &TestEnv, query: &str, arguments: &[&str], (bytes, end): (u64, Signal)) {
    let mut run = test.get(&format!("good://h/file?{query}")).args(arguments).last().start();
    run.wait_for_bytes(bytes);
    run.signal(end);
    run.finish().ended_by(end);
}

#[test]
fn a_plugin_that_serves_all_instead_of_the_rest_is_taken_from_0() {
    let test = TestEnv::new();
    cut_short(&test, "hold-at=50000&serve-all=0", &[], (50_000, Signal::INT));
    let run = test.get("good://h/file?hold-at=-&serve-all=1").run();
    assert_says(&run, "restarting from 0");
}

/// The killed run has written bytes of another version, and has recorded nothing.
#[test]
fn a_version_that_comes_back_is_not_taken_for_the_one_between() {
    let test = TestEnv::new();
    cut_short(&test, "seed=1&hold-at=50000", &[], (50_000, Signal::INT));
    cut_short(&test, "seed=2&hold-at=70000", &[], (70_000, Signal::KILL));
    test.get("good://h/file?seed=1&hold-at=-").run().succeeded();
}

/// The killed run has filled the end of the file, not the gap, and has recorded nothing.
#[test]
fn a_gap_in_a_part_file_that_was_cut_is_not_taken_for_what_was_there() {
    let test = TestEnv::new();
    let (one, two) = (["-n", "1"], ["-n", "2", "--piece-length", "1M"]);
    cut_short(&test, "size=4000000&hold-at=3000000", &one, (3_000_000, Signal::INT));
    fs::File::options().write(true).open(test.work("file.part")).unwrap().set_len(1_000_000).unwrap();
    cut_short(&test, "size=4000000&hold-at=1100000", &two, (3_000_000, Signal::KILL));
    test.get("good://h/file?size=4000000&hold-at=-").args(&one).run().succeeded();
}

#[test]
fn a_resource_that_became_shorter_than_what_has_come_is_fetched_from_0() {
    let test = TestEnv::new();
    interrupt(&test, Signal::INT);
    let run = test.get("good://h/file?size=1000&hold-at=99999999&lie=any-version").run();
    let words = format!("the range begins at byte {HALF} of a resource of 1000 bytes; restarting from 0");
    assert_says(&run, &words);
}

#[test]
fn a_damaged_state_is_not_believed() {
    let test = TestEnv::new();
    interrupt(&test, Signal::INT);
    let mut damaged = fs::read(state(&test)).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(state(&test), damaged).unwrap();
    let url = again();
    assert_says(&test.get(&url).run(), "the state of file.part is ignored: it is damaged");
}

#[test]
fn bytes_that_the_part_file_lost_are_fetched_again() {
    let test = TestEnv::new();
    interrupt(&test, Signal::INT);
    fs::File::options().write(true).open(test.work("file.part")).unwrap().set_len(HALF / 2).unwrap();
    let url = again();
    let run = test.get(&url).args(&["-n", "1", "-v"]).run();
    assert_says(&run, &format!("serving {SIZE} bytes from {}", HALF / 2));
}

#[test]
fn every_plan_makes_the_same_file() {
    let test = TestEnv::new();
    for arguments in
        [&["-n", "1"][..], &["-n", "4"], &["-n", "16", "--piece-length", "64K"], &["-n", "3", "--piece-length", "1M"]]
    {
        test.get(&format!("good://h/file?size={SIZE}")).args(arguments).arg("--overwrite").run().succeeded();
    }
}

#[test]
fn a_digest_is_checked_whatever_the_order_of_the_pieces() {
    let test = TestEnv::new();
    let url = format!("good://h/file?size={SIZE}");
    test.get(&url).run().succeeded();
    let content = fs::read(test.work("file")).unwrap();
    let crc = format!("crc32:{:08x}", crc32fast::hash(&content));
    let blake = format!("blake3:{}", blake3::hash(&content));
    for digest in [&crc, &blake] {
        let pieces = ["--overwrite", "-n", "5", "--piece-length", "300K", "--digest", digest];
        test.get(&url).args(&pieces).run().succeeded();
    }
    test.get(&url).args(&["--digest", &crc]).stream("-").run().succeeded();
}

#[test]
fn a_wrong_digest_is_told_with_both_and_leaves_nothing() {
    let test = TestEnv::new();
    let wrong = "0".repeat(64);
    let run = test.get("good://h/file").args(&["--digest", &format!("sha256:{wrong}")]).run();
    run.failed_saying(30, &["its digest is sha256:", &format!("expected sha256:{wrong}")]);
    assert!(!test.work("file").exists() && !test.work("file.part").exists() && !state(&test).exists());
}

#[test]
fn a_range_is_downloaded_alone() {
    let (test, content) = (TestEnv::new(), Content { seed: 1, size: 100_000 });
    for (range, bytes) in [("10-19", 10..20), ("99990-", 99_990..100_000), ("0-0", 0..1), ("50-999999", 50..100_000)] {
        let run = test.get("good://h/file").args(&["--overwrite", "--range", range]);
        run.expect(Digest::of_bytes(&content.bytes(bytes))).run().succeeded();
    }
}

#[test]
fn pieces_of_share_are_put_together() {
    let test = TestEnv::new();
    test.install_into("plugins", &program("d7y-resource-plugin-share"), "share");
    let content = Content { seed: 3, size: SIZE + 1 };
    fs::write(test.path("resource"), content.bytes(0..content.size)).unwrap();
    let root = format!("root={}", test.root().display());
    let run = test.get("share:///resource").output("file").args(&["-n", "7", "--piece-length", "1M", "--opt", &root]);
    run.expect(Digest::of_content(content)).run().succeeded();
}

#[test]
fn a_disk_without_room_is_told_before_anything_is_fetched() {
    let test = TestEnv::new();
    test.install_into("plugins", &program("d7y-resource-plugin-share"), "share");
    // 8 TiB of holes: no disk has room for it.
    fs::File::create(test.path("resource")).unwrap().set_len(1 << 43).unwrap();
    let root = format!("root={}", test.root().display());
    let run = test.dfget(&["share:///resource", "-O", "file", "--opt", &root]).run();
    run.failed_saying(41, &["there is no room for", "bytes, and", "are free", "hint: free some space"]);
    assert!(!test.work("file.part").exists());
}

#[test]
fn a_limited_rate_is_kept() {
    let test = TestEnv::new();
    let run = test.get("good://h/file").args(&["--limit-rate", "100K"]).run();
    run.succeeded().no_sooner_than(std::time::Duration::from_millis(900));
}
