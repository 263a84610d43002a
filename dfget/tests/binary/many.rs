//! Several URLs, and files that list them.

use std::{fs, time::Duration};

use faultplug::Content;
use rustix::process::Signal;

use crate::harness::{Digest, TestEnv, program, snapshot, wait_for};

fn assert_is(test: &TestEnv, path: &str, url: &str) {
    assert_eq!(Digest::of_file(&test.work(path)), Some(Digest::of_content(Content::of_url(url))), "{path}");
}

fn good() -> TestEnv {
    let test = TestEnv::new();
    test.install("good");
    test
}

#[test]
fn several_urls_go_to_a_directory_that_is_made() {
    let test = good();
    let urls = ["good://h/a?seed=1", "good://h/b?seed=2", "good://h/x/c%20d?seed=3"];
    test.dfget(&urls).args(&["-O", "new/dir"]).into_directory("new").run().succeeded();
    for (path, url) in ["a", "b", "c d"].into_iter().zip(urls) {
        assert_is(&test, &format!("new/dir/{path}"), url);
    }
    assert_eq!(snapshot(&test.work("new")).len(), 4);
}

#[test]
fn one_that_fails_does_not_end_the_others() {
    let test = good();
    let urls = ["good://h/a", "nosuch://h/b", "good://h/c?fail-at=5", "good://h/", "good://h/x.part", "good://h/d"];
    let run = test.dfget(&urls).args(&["-O", "dir"]).into_directory("dir").run();
    run.failed_saying(50, &["no source serves `nosuch`", "gone", "good://h/ ends in no file name"]);
    run.failed_saying(50, &["dir/x.part is refused: dfget's own files are named so", "dfget: 4 of 6 failed"]);
    assert_is(&test, "dir/a", urls[0]);
    assert_is(&test, "dir/d", urls[5]);
}

#[test]
fn two_of_one_name_are_not_one_file() {
    let test = good();
    let urls = ["good://h/x/a?seed=1", "good://h/y/a?seed=2"];
    let run = test.dfget(&urls).args(&["-O", "dir", "--overwrite"]).into_directory("dir").run();
    let words = "\
dfget: dir/a is refused: another URL of this run goes there
dfget: 1 of 2 failed
  hint: run the same command again: what is complete is not fetched again";
    run.failed(50, words);
    assert_is(&test, "dir/a", urls[0]);
    let run = test.dfget(&["-r", "good://h/x/a?files=1", "good://h/y/a?files=2", "-O", "tree"]);
    run.into_directory("tree").run().failed_saying(50, &["tree/a is refused: another URL of this run goes there"]);
}

#[test]
fn an_output_that_exists_fails_alone() {
    let test = good();
    fs::create_dir(test.work("dir")).unwrap();
    fs::write(test.work("dir/a"), "precious").unwrap();
    let run = test.dfget(&["good://h/a", "good://h/b"]).args(&["-O", "dir"]).into_directory("dir").run();
    run.failed_saying(50, &["dfget: dir/a exists"]);
    assert_eq!(fs::read_to_string(test.work("dir/a")).unwrap(), "precious");
    assert_is(&test, "dir/b", "good://h/b");
}

#[test]
fn the_same_command_again_fetches_what_is_missing() {
    let test = good();
    let list = "good://h/a?modified=1000\ngood://h/b?modified=1000\ngood://h/c?modified=1000";
    let run = || test.dfget(&["-i", "-", "-O", "dir", "--json"]).stdin(Some(list)).into_directory("dir").run();
    run().succeeded();
    fs::remove_file(test.work("dir/b")).unwrap();
    let again = run();
    assert_eq!((again.succeeded().count("finished"), again.count("up_to_date")), (1, 2));
    fs::write(test.work("dir/c"), "precious").unwrap();
    run().failed_saying(50, &["dfget: dir/c exists"]);
}

#[test]
fn several_trees_go_to_directories_of_their_own() {
    let test = good();
    let run = test.dfget(&["-r", "good://h/x/a?files=2", "nosuch://h/c", "good://h/x/b?files=1", "-O", "tree"]);
    run.into_directory("tree").run().failed_saying(50, &["no source serves `nosuch`", "1 of 4 failed"]);
    assert_eq!(snapshot(&test.work("tree")).into_keys().collect::<Vec<_>>(), ["a/", "a/f0", "a/f1", "b/", "b/f0"]);
}

const LIST: &str = "
# a comment
good://h/a?seed=1

  good://h/b?seed=2\tother name
good://h/c?seed=3 dir/c\r
";

fn check_listed(test: &TestEnv) {
    assert_is(test, "dir/a", "good://h/a?seed=1");
    assert_is(test, "dir/other name", "good://h/b?seed=2");
    assert_is(test, "dir/dir/c", "good://h/c?seed=3");
}

#[test]
fn a_file_lists_urls_and_outputs() {
    let test = good();
    fs::create_dir_all(test.work("dir/dir")).unwrap();
    fs::write(test.path("list"), LIST).unwrap();
    test.dfget(&["-i", "../list", "-O", "dir"]).into_directory("dir").run().succeeded();
    check_listed(&test);
}

#[test]
fn stdin_lists_urls_and_outputs() {
    let test = good();
    fs::create_dir_all(test.work("dir/dir")).unwrap();
    test.dfget(&["-i", "-", "-O", "dir"]).into_directory("dir").stdin(Some(LIST)).run().succeeded();
    check_listed(&test);
}

#[test]
fn a_line_that_is_no_url_keeps_all_from_being_begun() {
    let test = good();
    let run = test.dfget(&["-i", "-", "-O", "dir"]).stdin(Some("good://h/a\nh/b?sig=s3cret\n")).run();
    let words = "\
dfget: -, line 2: `h/b` is no URL: it has no scheme, such as `https://`
  hint: a line is URL, or URL OUTPUT; `#` begins a comment";
    run.failed(2, words);
    assert!(!test.work("dir").exists());
    let words = "dfget: cannot read missing: No such file or directory (os error 2)";
    test.dfget(&["-i", "missing"]).run().failed(40, words);
}

#[test]
fn a_list_that_never_ends_keeps_neither_signals_nor_the_time_waiting() {
    let test = good();
    let mut run = test.dfget(&["-i", "-"]).stdin(None).start();
    wait_for("its threads", || run.has_threads(2).then_some(()));
    run.signal(Signal::INT);
    run.finish().ended_by(Signal::INT).within(Duration::from_secs(2));
    let run = test.dfget(&["-i", "-", "--timeout", "300ms"]).stdin(None).run();
    run.failed_saying(45, &["the input file was not complete after 300ms"]).within(Duration::from_secs(2));
}

#[test]
fn an_empty_list_is_nothing_to_do() {
    good().dfget(&["-i", "-"]).stdin(Some("# nothing\n")).run().succeeded();
}

#[test]
fn a_limited_rate_is_that_of_all_together() {
    let run = TestEnv::new().tree("good://h/tree?files=10&size=10000").args(&["--limit-rate", "100K"]).run();
    run.succeeded().no_sooner_than(Duration::from_millis(900));
}

/// The crate that once kept the rate panicked or hung where many waited for it at once.
#[test]
fn a_limited_rate_is_kept_where_many_wait_for_it() {
    let test = TestEnv::new();
    let run = test.tree("good://h/tree?files=32&size=1000000").args(&["--limit-rate", "20M", "-j", "32"]);
    run.arg("--no-fsync").run().succeeded().no_sooner_than(Duration::from_millis(1400));
}

#[test]
fn the_time_is_that_of_all_together() {
    let test = TestEnv::new();
    let run = test.tree("good://h/tree?files=9&size=90000&hold-at=80000").args(&["--timeout", "700ms"]).run();
    run.failed_saying(45, &["was not complete after 700ms"]).within(Duration::from_secs(4));
}

#[test]
fn a_dry_run_makes_nothing_and_tells_what_it_would() {
    let test = good();
    let run = test.dfget(&["-r", "--dry-run", "good://h/tree?files=2&dirs=1&size=7", "-O", "new/tree"]).run();
    run.succeeded();
    let mut lines: Vec<&str> = run.stdout().lines().collect();
    lines.sort_unstable();
    let expected = ["new/tree/d0/f0", "new/tree/d0/f1", "new/tree/f0", "new/tree/f1"];
    assert_eq!(lines, expected.map(|path| format!("             7  {path}")));
    let run = test.dfget(&["--dry-run", "good://h/a", "good://h/b", "-O", "dir"]).run();
    assert_eq!(run.succeeded().stdout().lines().count(), 2);
    test.dfget(&["--dry-run", "good://h/a"]).run().succeeded();
    assert!(fs::read_dir(test.work("")).unwrap().next().is_none());
}

#[test]
fn a_dry_run_leaves_out_what_is_there() {
    let test = TestEnv::new();
    let url = "good://h/tree?files=5&modified=1000";
    test.tree(url).run().succeeded();
    fs::remove_file(test.work("tree/f2")).unwrap();
    let run = test.tree(url).select(&["--dry-run"]).run();
    assert_eq!(run.stdout(), "        100000  tree/f2\n");
}

#[test]
fn a_listing_is_printed_in_full() {
    let test = good();
    let url = "good://h/tree?files=2&dirs=1&empty&size=7&modified=1700000000";
    let run = test.dfget(&["-l", url]).run();
    let top = "             -  -                     empty/
             -  -                     d0/
             7  2023-11-14T22:13:20Z  f0
             7  2023-11-14T22:13:20Z  f1
";
    assert_eq!(run.succeeded().stdout(), top);
    let run = test.dfget(&["-l", "-r", url]).run();
    let beneath = "             7  2023-11-14T22:13:20Z  d0/f0\n             7  2023-11-14T22:13:20Z  d0/f1\n";
    assert_eq!(run.succeeded().stdout(), format!("{top}{beneath}"));
    let run = test.dfget(&["-l", "--include", "f1", "--exclude", "d0", "--exclude", "empty", url]).run();
    assert_eq!(run.succeeded().stdout(), "             7  2023-11-14T22:13:20Z  f1\n");
    let run = test.dfget(&["-l", url, "good://h/file"]).run();
    run.failed_saying(50, &["good://h/file: it is no directory", "dfget: 1 of 5 failed"]);
}

#[test]
fn many_large_files_at_a_time_take_hardly_more_memory_than_one() {
    let test = TestEnv::new();
    test.install_into("plugins", &program("d7y-resource-plugin-share"), "share");
    let shared = test.path("shared");
    fs::create_dir(&shared).unwrap();
    for number in 0..16 {
        fs::File::create(shared.join(format!("f{number}"))).unwrap().set_len(24 << 20).unwrap();
    }
    let root = format!("root={}", shared.display());
    let tree = test.dfget(&["-r", "share:///", "--opt", &root, "--jobs", "16", "--no-fsync", "-O", "tree"]);
    let run = tree.into_directory("tree").run();
    run.succeeded();
    // Where each had buffers of its own it was more, up to 183 MiB.
    assert!(run.peak <= 64 << 20, "{} KiB", run.peak / 1024);
    let lengths = fs::read_dir(test.work("tree")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    assert_eq!(lengths.collect::<Vec<_>>(), [24 << 20; 16]);
}
