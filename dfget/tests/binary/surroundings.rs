//! dfget is started where something that others take for granted is missing: it works, or says what is wrong.

use std::fs;

use crate::harness::{Dfget, TestEnv, set_mode};

const URL: &str = "good://h/file?size=200000";

/// dfget, executed by a shell after `words`.
fn after<'a>(dfget: Dfget<'a>, words: &str) -> Dfget<'a> {
    dfget.through(&["sh", "-c", &format!("{words}; exec \"$0\" \"$@\"")])
}

#[test]
fn closed_descriptors_do_no_harm() {
    for closed in ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let test = TestEnv::new();
        after(test.get(URL), &format!("exec {closed}")).run().succeeded();
        let run = after(test.get("good://h/gone?fail-at=100"), &format!("exec {closed}")).output("gone").run();
        assert_eq!(run.code(), Some(20), "{closed}: {}", run.stderr);
        after(test.dfget(&["plugin"]), &format!("exec {closed}")).run();
    }
}

#[test]
fn a_stdout_that_nobody_reads_ends_it_by_sigpipe() {
    let test = TestEnv::new();
    let pipe = "mkfifo ../pipe; head -c 1 <../pipe >/dev/null & exec >../pipe";
    let run = after(test.get("good://h/file?size=5000000").stream("-"), pipe).run();
    assert_eq!((run.signal(), run.stderr.as_str()), (Some(13), ""));
}

#[test]
fn neither_home_nor_tmpdir_is_needed() {
    let test = TestEnv::new();
    test.get(URL).through(&["env", "-u", "HOME", "-u", "TMPDIR"]).run().succeeded();
    for (home, tmp) in [("", ""), ("relative", "relative"), ("/does/not/exist", "/does/not/exist")] {
        test.get(URL).arg("--overwrite").env("HOME", home).env("TMPDIR", tmp).run().succeeded();
    }
}

#[test]
fn a_working_directory_that_is_gone_is_told_and_a_path_elsewhere_works() {
    let test = TestEnv::new();
    let gone = "mkdir gone; cd gone; rmdir ../gone";
    let run = after(test.get(URL), gone).run();
    run.failed_saying(40, &["cannot create file.part", "No such file or directory", "hint: "]);
    after(test.get(URL).output(test.work("file")), gone).run().succeeded();
}

#[test]
fn a_umask_that_takes_all_rights_away_does_no_harm() {
    let test = TestEnv::new();
    after(test.get(URL).unprivileged().last(), "umask 0777").run().succeeded();
}

#[test]
fn few_descriptors_are_enough_and_fewer_are_told() {
    let with = |limit: u32| {
        let test = TestEnv::new();
        after(test.get(URL), &format!("ulimit -n {limit}")).run()
    };
    [32, 24].into_iter().for_each(|limit| _ = with(limit).succeeded());
    for limit in [17, 15, 10, 6] {
        with(limit).failed_saying(40, &["dfget: cannot ", "Too many open files", "hint: `ulimit -n` says how many"]);
    }
}

#[test]
fn a_low_soft_limit_of_descriptors_does_not_bound_the_files_at_the_same_time() {
    let test = TestEnv::new();
    let tree = test.tree("good://h/tree?files=600&size=10").args(&["-j", "64", "--no-fsync"]);
    after(tree, "ulimit -Sn 32").run().succeeded();
}

/// As `refused_at_once` of the outputs, with rights that a directory can be without.
#[test]
fn a_directory_without_the_right_to_write_is_told_before_the_plugin_is_started() {
    let test = TestEnv::new();
    test.write_plugin("good", format!("#!/bin/sh\necho > {}\n", test.work("trace").display()));
    fs::create_dir(test.work("closed")).unwrap();
    set_mode(&test.work("closed"), 0o555);
    let words = "\
dfget: cannot create closed/file.part: Permission denied (os error 13)
  hint: look at its rights and those of its directory";
    test.get(URL).output("closed/file").last().unprivileged().run().failed(40, words);
    assert!(!test.work("trace").exists(), "the plugin was started");
}
