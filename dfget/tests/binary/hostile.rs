//! What a source may say of a tree to lead dfget elsewhere, or to keep it for ever; and what lies in its way.

use std::{fs, os::unix::fs::symlink, time::Duration};

use rustix::process::Signal;

use crate::harness::{TestEnv, snapshot};

const HOSTILE: &str = "good://h/tree?files=2&names=hostile";

const REFUSED: &str = r"dfget: `` in good://h/tree?files=***&names=*** is refused: it is empty
dfget: `.` in good://h/tree?files=***&names=*** is refused: it leads to another directory
dfget: `..` in good://h/tree?files=***&names=*** is refused: it leads to another directory
dfget: `/etc/passwd` in good://h/tree?files=***&names=*** is refused: it leads to another directory
dfget: `../outside` in good://h/tree?files=***&names=*** is refused: it leads to another directory
dfget: `a/b` in good://h/tree?files=***&names=*** is refused: it leads to another directory
dfget: `nul\u{0}` in good://h/tree?files=***&names=*** is refused: there are control characters in it
dfget: `%2e%2e` in good://h/tree?files=***&names=*** is refused: it leads to another directory
dfget: `..%2foutside` in good://h/tree?files=***&names=*** is refused: it leads to another directory
dfget: `%2fetc%2fpasswd` in good://h/tree?files=***&names=*** is refused: it leads to another directory
dfget: `\u{1b}[2J\u{1b}]0;owned\u{7}` in good://h/tree?files=***&names=*** is refused: there are control characters in it
dfget: `line\nfeed` in good://h/tree?files=***&names=*** is refused: there are control characters in it
dfget: `x.part` in good://h/tree?files=***&names=*** is refused: dfget's own files are named so while they are incomplete
dfget: `x.part.state` in good://h/tree?files=***&names=*** is refused: dfget's own files are named so while they are incomplete
dfget: `x.part.state.new` in good://h/tree?files=***&names=*** is refused: dfget's own files are named so while they are incomplete
";

#[test]
fn hostile_names_are_refused_and_the_others_are_there() {
    let test = TestEnv::new();
    let run = test.tree(HOSTILE).run();
    run.failed_saying(50, &[REFUSED, "is refused: it is longer than 255 bytes", "dfget: 19 of 21 failed"]);
    let found = snapshot(&test.work("tree"));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["f0", "f1"]);
    assert!(!test.path("outside").exists());
}

#[test]
fn hostile_names_are_no_download_and_no_line_of_a_listing_either() {
    let test = TestEnv::new();
    test.install("good");
    let run = test.dfget(&["-l", HOSTILE]).run();
    run.failed_saying(50, &[REFUSED, "dfget: 19 of 21 failed"]);
    assert_eq!(run.stdout(), "        100000  -                     f0\n        100000  -                     f1\n");
    let run = test.dfget(&["-r", "--dry-run", "-O", "tree", HOSTILE]).run();
    assert_eq!(run.stdout().lines().count(), 2);
    assert!(!test.work("tree").exists());
}

#[test]
fn hostile_names_are_failures_of_their_own_among_the_events() {
    let run = TestEnv::new().tree(HOSTILE).arg("--json").run();
    let events = run.events();
    let failed: Vec<_> = events.iter().filter(|event| event["event"] == "failed").collect();
    assert_eq!(failed.len(), 19);
    assert!(failed.iter().all(|event| event["exit_code"] == 44 && event["hint"].is_null()));
    assert_eq!(failed[0]["url"], "good://h/tree?files=***&names=***");
    assert!(!run.stdout().contains('\u{1b}'));
}

#[test]
fn a_name_that_is_there_twice_is_one_file() {
    let test = TestEnv::new();
    let run = test.tree("good://h/tree?names=twice&files=1&modified=1000").run();
    run.failed_saying(50, &["tree/both is refused", "tree/htob is refused"]);
    let found = snapshot(&test.work("tree"));
    assert!(found["f0"].is_some() && found["twice"].is_some());
}

#[test]
fn names_so_long_that_there_is_no_state_are_downloaded() {
    let test = TestEnv::new();
    // More than is fetched before a state would be written.
    let run = test.tree("good://h/tree?names=long&size=40000000").args(&["-j", "1", "--no-fsync"]).run();
    run.failed_saying(50, &["File name too long", "dfget: 1 of 4 failed"]);
    assert!(!run.stderr.contains("WARN"), "{}", run.stderr);
    assert_eq!(snapshot(&test.work("tree")).len(), 3);
}

#[test]
fn an_entry_with_a_url_of_its_own_is_fetched_there_but_from_no_other_source() {
    let test = TestEnv::new();
    test.install("good");
    let run = test.dfget(&["-r", "good://h/tree?names=urls&size=9", "-O", "tree", "-vv"]).into_directory("tree").run();
    let refused = ["`other-scheme` in", "`control` in", "`no-url` in"];
    run.failed_saying(50, &refused);
    run.failed_saying(50, &["its URL is of another scheme", "its URL is none", "control characters in its URL"]);
    assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);
    assert_eq!(snapshot(&test.work("tree")).into_keys().collect::<Vec<_>>(), ["moved"]);
}

#[test]
fn a_symlink_in_the_way_is_not_followed_and_its_target_untouched() {
    let test = TestEnv::new();
    fs::create_dir(test.path("target")).unwrap();
    fs::write(test.path("target/f0"), "precious").unwrap();
    fs::create_dir(test.work("tree")).unwrap();
    symlink(test.path("target"), test.work("tree/d0")).unwrap();
    symlink(test.path("target/f0"), test.work("tree/f1")).unwrap();
    symlink(test.path("target/f9"), test.work("tree/f2.part")).unwrap();
    let run = test.tree("good://h/tree?files=4&dirs=2").run();
    let words = ["tree/d0 is refused: a symlink is in its way", "tree/f1 is refused: there is a symlink of its name"];
    run.failed_saying(50, &words);
    let target = snapshot(&test.path("target"));
    assert_eq!(target.len(), 1);
    assert_eq!(fs::read_to_string(test.path("target/f0")).unwrap(), "precious");
    assert!(fs::symlink_metadata(test.work("tree/f1")).unwrap().is_symlink());
    let found = snapshot(&test.work("tree"));
    assert!(["f0", "f3", "d1/f0", "d1/f3"].into_iter().all(|path| found[path].is_some()));
}

#[test]
fn a_directory_in_the_place_of_a_file_is_refused_and_stays() {
    let test = TestEnv::new();
    fs::create_dir_all(test.work("tree/f0/precious")).unwrap();
    fs::write(test.work("tree/d0"), "precious").unwrap();
    let run = test.tree("good://h/tree?files=2&dirs=1").last();
    // What lies there is not of the tree, and so not looked at by the harness.
    let run = run.into_directory("tree").run();
    run.failed_saying(50, &["tree/f0 is refused: there is something of its name that is no file"]);
    run.failed_saying(50, &["tree/d0 is refused: something that is no directory is in its way"]);
    assert!(test.work("tree/f0/precious").is_dir());
    assert_eq!(fs::read_to_string(test.work("tree/d0")).unwrap(), "precious");
}

#[test]
fn what_cannot_be_listed_is_told_and_leaves_no_directory() {
    for (url, code, words) in [
        ("raw://h/tree?sig=s3cret", 24, "raw://h/tree?sig=***: the plugin without an SDK has only Init and Download"),
        ("good://h/tree?sig=s3cret", 24, "good://h/tree?sig=***: it is no directory"),
        ("dfs://me:s3cret@h/tree?s3cret", 24, "dfs://***@h/tree?***: its source cannot list"),
        ("nosuch://h/tree", 10, "no source serves `nosuch`"),
        ("exit3://h/tree", 13, "exited with status 3"),
    ] {
        let test = TestEnv::new();
        test.install("raw");
        test.install("good");
        test.install("exit3");
        let run = test.dfget(&["-r", url]).run();
        run.failed_saying(code, &[words]);
        assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);
        assert!(!test.work("tree").exists(), "{url} leaves a directory");
    }
}

#[test]
fn a_directory_that_was_there_stays_when_there_is_no_tree() {
    let test = TestEnv::new();
    fs::create_dir(test.work("tree")).unwrap();
    test.tree("good://h/tree?sig=x").run().failed_saying(24, &["it is no directory"]);
    assert!(test.work("tree").is_dir());
}

#[test]
fn a_listing_that_is_refused_once_is_tried_again() {
    let test = TestEnv::new();
    test.install("good");
    let run = test.dfget(&["-r", "good://h/tree?files=3&list-busy"]).into_directory("tree").run();
    assert!(run.is_success() && run.stderr.contains("the robot fetches another tape; listing it again in"));
}

#[test]
fn a_listing_that_fails_in_the_middle_is_no_tree() {
    let test = TestEnv::new();
    let run = test.tree("good://h/tree?files=2000&list-fails-at=1500&size=10").args(&["--no-fsync"]).run();
    run.failed_saying(24, &[r"good://h/tree?files=***&list-fails-at=***&size=***: the tape has snapped \u{1b}[2J"]);
    assert!(snapshot(&test.work("tree")).contains_key("f0"));
}

#[test]
fn a_directory_that_cannot_be_listed_does_not_end_the_others() {
    let test = TestEnv::new();
    let run = test.tree("good://h/tree?files=2&dirs=3&missing=d1").run();
    run.failed_saying(50, &["it was there when it was listed", "dfget: 1 of 7 failed"]);
    assert!(snapshot(&test.work("tree")).contains_key("d2/f1"));
}

#[test]
fn a_listing_that_comes_no_further_is_a_stall() {
    for url in [
        "good://h/tree?files=2000&list-holds-at=3",
        "good://h/tree?files=1&list-unanswered",
        "raw://h/tree?list=empty-pages",
    ] {
        let test = TestEnv::new();
        let run = test.tree(url).args(&["--stall-timeout", "500ms"]).run();
        run.failed_saying(16, &["stalled: "]).within(Duration::from_secs(5));
    }
}

#[test]
fn a_page_that_is_too_large_breaks_the_protocol() {
    let run = TestEnv::new().tree("raw://h/tree?list=large-page").run();
    run.failed_saying(15, &["broke the protocol", "the limit is: 4194304 bytes"]);
}

#[test]
fn directories_in_circles_come_to_an_end() {
    let test = TestEnv::new();
    let run = test.tree("good://h/tree?dirs=1&depth=100000").select(&["-q"]).run();
    run.failed_saying(50, &["it is 128 levels deep, as if the tree led in circles"]);
}

#[test]
fn an_endless_listing_ends_with_a_signal_a_limit_or_a_time() {
    let url = "good://h/tree?list-endless&files=1&size=10";
    let test = TestEnv::new();
    let mut run = test.tree(url).args(&["--no-fsync"]).start();
    crate::harness::wait_for("a file", || test.work("tree/f9").exists().then_some(()));
    run.signal(Signal::TERM);
    run.finish().ended_by(Signal::TERM).within(Duration::from_secs(10));
    let test = TestEnv::new();
    test.tree(url).args(&["--no-fsync", "--timeout", "1s"]).run().failed_saying(45, &["was not complete after 1s"]);
    let test = TestEnv::new();
    test.tree(url).args(&["--no-fsync", "--max-files", "50"]).run().failed_saying(45, &["more than 50 files"]);
}

/// The harness looks at its memory. A million takes an unoptimized dfget more time than there is.
#[test]
fn large_directories_are_listed_without_being_kept() {
    let test = TestEnv::new();
    test.install("good");
    for arguments in [
        &["-l", "good://h/tree?files=100000"][..],
        &["-l", "good://h/tree?dirs=100000"],
        &["-r", "--dry-run", "good://h/tree?dirs=100000&depth=1", "--include", "x", "--level", "1"],
    ] {
        test.dfget(arguments).stdout("/dev/null").run().succeeded();
    }
}

#[test]
fn directories_that_are_made_up_without_end_find_no_room() {
    let test = TestEnv::new();
    // Names of 255 bytes.
    let run = test.tree("good://h/tree?dirs=70000&wide").select(&["--dry-run"]).run();
    run.failed_saying(45, &["more directories wait to be listed than fit into 16 MiB"]);
}
