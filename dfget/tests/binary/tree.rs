//! Trees: all of one, what of it has changed, some of it, and one that was interrupted.

use std::{
    fs::{self, File},
    time::{Duration, Instant, SystemTime},
};

use rustix::process::Signal;

use crate::harness::{Run, TestEnv, snapshot, wait_for};

const URL: &str = "good://h/tree?files=5&dirs=2&depth=2&empty&size=3000&modified=1000";

/// Files in [`URL`]: of 1 + 2 + 4 directories.
const FILES: usize = 35;

/// The paths that a run has fetched, sorted.
fn fetched(run: &Run) -> Vec<String> {
    let events = run.events();
    let finished = events.iter().filter(|event| event["event"] == "finished");
    let mut paths: Vec<String> = finished.map(|event| event["output"].as_str().unwrap().to_owned()).collect();
    paths.sort();
    paths
}

#[test]
fn a_tree_is_there_with_its_empty_directories() {
    let test = TestEnv::new();
    let run = test.tree(URL).run();
    run.succeeded();
    let found = snapshot(&test.work("tree"));
    assert_eq!(found.values().flatten().count(), FILES);
    assert!(found.contains_key("empty/") && found.contains_key("d1/d0/f4"));
}

/// All downloads fail: so these bytes came with the listing.
const CONTENT_ONLY: &str = "good://h/tree?files=5&dirs=2&size=3000&modified=1000&fail-every=1&content=";

#[test]
fn files_whose_content_comes_with_the_listing_are_not_downloaded() {
    let test = TestEnv::new();
    let run = test.tree(&format!("{CONTENT_ONLY}given")).arg("--json").run();
    assert_eq!((run.is_success(), fetched(&run).len()), (true, 15), "{}", run.stderr);
    let run = test.tree(&format!("{CONTENT_ONLY}given")).arg("--json").run();
    assert_eq!((fetched(&run), run.count("up_to_date")), (Vec::new(), 15));
}

#[test]
fn content_is_taken_only_for_a_new_tree_that_is_wanted_as_a_whole() {
    let test = TestEnv::new();
    let only_some = test.tree(&format!("{CONTENT_ONLY}given")).args(&["--exclude", "f1", "--json"]).run();
    assert_eq!((fetched(&only_some).len(), only_some.count("failed")), (0, 12));
    let there_already = test.tree(&format!("{CONTENT_ONLY}given")).arg("--json").run();
    assert_eq!((fetched(&there_already).len(), there_already.count("failed")), (0, 15));
}

#[test]
fn content_that_is_shorter_than_its_file_is_not_taken() {
    let test = TestEnv::new();
    test.tree(&URL.replace("size=3000", "size=3000&content=short")).run().succeeded();
    let run = TestEnv::new().tree(&format!("{CONTENT_ONLY}short")).arg("--json").run();
    assert_eq!((fetched(&run).len(), run.count("failed")), (0, 15));
}

#[test]
fn without_a_name_a_tree_goes_to_the_last_segment() {
    let test = TestEnv::new();
    test.install("good");
    test.dfget(&["-r", "good://h/a/b%20c/?files=1"]).into_directory("b c").run().succeeded();
    assert!(test.work("b c/f0").is_file());
    let words = "dfget: good://h/ ends in no file name\n  hint: name the directory for it with -O";
    test.dfget(&["-r", "good://h/"]).run().failed(2, words);
}

#[test]
fn a_second_run_fetches_nothing() {
    let test = TestEnv::new();
    test.tree(URL).run().succeeded();
    let run = test.tree(URL).arg("--json").run();
    assert_eq!((fetched(&run), run.count("up_to_date")), (Vec::new(), FILES));
}

#[test]
fn a_second_run_fetches_what_is_missing_shorter_or_of_another_time() {
    let test = TestEnv::new();
    test.tree(URL).run().succeeded();
    fs::remove_file(test.work("tree/f0")).unwrap();
    fs::write(test.work("tree/d0/f1"), "short").unwrap();
    File::options().write(true).open(test.work("tree/d1/f2")).unwrap().set_modified(SystemTime::now()).unwrap();
    fs::remove_dir_all(test.work("tree/d1/d1")).unwrap();
    let run = test.tree(URL).arg("--json").run();
    run.succeeded();
    let new = ["d0/f1", "d1/d1/f0", "d1/d1/f1", "d1/d1/f2", "d1/d1/f3", "d1/d1/f4", "d1/f2", "f0"];
    assert_eq!(fetched(&run), new.map(|path| format!("tree/{path}")));
    assert_eq!(run.count("up_to_date"), FILES - new.len());
}

#[test]
fn a_second_run_replaces_what_has_changed_at_the_source() {
    let test = TestEnv::new();
    test.tree(URL).run().succeeded();
    let run = test.tree(&format!("{URL}&changed=f3")).arg("--json").run();
    run.succeeded();
    assert_eq!(fetched(&run).len(), 7);
}

#[test]
fn a_listing_without_lengths_and_times_is_made_up_for() {
    let test = TestEnv::new();
    let url = format!("{URL}&bare");
    test.tree(&url).run().succeeded();
    let run = test.tree(&url).arg("--json").run();
    assert_eq!(run.count("up_to_date"), FILES);
}

#[test]
fn what_has_no_time_is_fetched_again() {
    let test = TestEnv::new();
    let url = "good://h/tree?files=3";
    test.tree(url).run().succeeded();
    assert_eq!(fetched(&test.tree(url).arg("--json").run()).len(), 3);
}

#[test]
fn a_tree_has_the_times_of_its_source() {
    let test = TestEnv::new();
    test.tree(URL).run().succeeded();
    let modified = fs::metadata(test.work("tree/d0/f0")).unwrap().modified().unwrap();
    assert_eq!(modified, SystemTime::UNIX_EPOCH + Duration::from_secs(1000));
}

/// A tree one of whose files stops coming, once all others that can be are there.
fn interrupt(test: &TestEnv, signal: Signal) {
    let held = "good://h/tree?files=20&size=200000&hold-at=100000&modified=1000";
    let mut run = test.tree(held).args(&["-j", "4", "--no-fsync"]).start();
    let held =
        |number| fs::metadata(test.work(&format!("tree/f{number}.part"))).is_ok_and(|part| part.len() >= 100_000);
    wait_for("four downloads", || (0..4).all(held).then_some(()));
    let sent = Instant::now();
    run.signal(signal);
    run.finish().ended_by(signal);
    assert!(sent.elapsed() < Duration::from_secs(2));
}

#[test]
fn an_interrupted_tree_goes_on_where_it_stopped() {
    let test = TestEnv::new();
    interrupt(&test, Signal::INT);
    let run = test.tree("good://h/tree?files=20&size=200000&hold-at=999999&modified=1000").arg("--json").run();
    run.succeeded();
    let started = run.events().into_iter().filter(|event| event["event"] == "started");
    let resumed = started.filter(|event| event["resumed"] == 100_000).count();
    assert_eq!((fetched(&run).len(), resumed), (20, 4));
}

#[test]
fn a_killed_tree_is_complete_after_another_run() {
    let test = TestEnv::new();
    interrupt(&test, Signal::KILL);
    test.tree("good://h/tree?files=20&size=200000&hold-at=999999&modified=1000").run().succeeded();
}

#[test]
fn a_tree_goes_as_deep_as_it_may() {
    let test = TestEnv::new();
    test.tree(URL).select(&["--level", "1"]).run().succeeded();
    let found = snapshot(&test.work("tree"));
    let paths: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(paths, ["d0/", "d1/", "empty/", "f0", "f1", "f2", "f3", "f4"]);
    test.tree(URL).select(&["--level", "2"]).run().succeeded();
    let found = snapshot(&test.work("tree"));
    assert!(found.contains_key("d0/f0") && found.contains_key("d0/d0/") && !found.contains_key("d0/d0/f0"));
}

#[test]
fn filters_choose_files_and_make_no_empty_directories() {
    for (filters, expected) in [
        (&["--include", "f1"][..], 7),
        (&["--include", "/f1", "--include", "d0/*"], 6),
        (&["--exclude", "d*"], 5),
        (&["--exclude", "d0", "--include", "f[01]"], 6),
        (&["--accept-regex", "/d0/f[0-2][?]"], 9),
        (&["--reject-regex", "/d0"], 15),
    ] {
        let test = TestEnv::new();
        test.tree(URL).select(filters).run().succeeded();
        let found = snapshot(&test.work("tree"));
        assert_eq!((found.values().flatten().count(), found.contains_key("empty/")), (expected, false), "{filters:?}");
    }
}

#[test]
fn more_files_than_allowed_end_the_run() {
    let test = TestEnv::new();
    let run = test.tree(URL).select(&["--max-files", "7"]).run();
    let words = "there are more than 7 files, the limit of --max-files";
    run.failed_saying(45, &[words]);
    assert_eq!(snapshot(&test.work("tree")).values().flatten().count(), 7);
    test.tree(URL).args(&["--max-files", "35"]).run().succeeded();
}

#[test]
fn files_that_fail_are_told_and_the_others_are_there() {
    let test = TestEnv::new();
    let run = test.tree("good://h/tree?files=300&size=10&fail-every=100").run();
    let words = "\
dfget: good://h/tree/f0?files=***&size=***&fail-every=***: a hole in the tape
  hint: check the URL";
    run.failed_saying(50, &[words, "dfget: 3 of 300 failed"]);
    assert_eq!(snapshot(&test.work("tree")).values().flatten().count(), 297);
}

#[test]
fn a_thousand_failures_are_counted_and_a_hundred_told() {
    let test = TestEnv::new();
    let run = test.tree("good://h/tree?files=1000&size=10&fail-every=1").args(&["-j", "16"]).run();
    run.failed_saying(50, &["more failures are counted and not told", "1000 of 1000 failed"]);
    assert_eq!(run.stderr.matches("a hole in the tape").count(), 100);
}

#[test]
fn a_disk_that_is_full_ends_the_run() {
    let test = TestEnv::new();
    // 16 TiB each: no disk has room for the first of them.
    let run = test.tree("good://h/tree?files=500&size=17592186044416").run();
    run.failed_saying(41, &["there is no room for tree/f"]);
    assert!(snapshot(&test.work("tree")).len() <= 16, "it went on");
}

#[test]
fn twenty_trees_at_once_leave_no_wrong_file() {
    let test = TestEnv::new();
    test.install("good");
    let url = "good://h/tree?files=12&dirs=1&size=20000&modified=1000";
    // Not by the harness, which looks for what is left of a run when others still write.
    let runs: Vec<_> = (0..20).map(|_| test.bare(&["-r", url, "-O", "tree", "--no-fsync", "-q"])).collect();
    for mut run in runs {
        let status = run.wait().unwrap();
        assert!(matches!(status.code(), Some(0 | 50)), "{status}");
    }
    test.tree(url).run().succeeded();
}
