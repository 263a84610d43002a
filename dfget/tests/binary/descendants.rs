//! Processes that a plugin starts, and that do what they can to outlive it.

use std::{fs, process::Child, time::Duration};

use rustix::process::Signal;

use crate::harness::{Dfget, TestEnv, faultplug, kill, wait_for};

const SECOND: Duration = Duration::from_secs(1);

/// What follows is the name of the file in which a shell leaves its number.
const NOTE: &str = "echo $$ >";

/// dfget whose plugins may leave their numbers.
fn get<'a>(test: &'a TestEnv, url: &str) -> Dfget<'a> {
    test.get(url).last().args(&["--sandbox", "off"])
}

/// A plugin for `x` that runs `words` in a shell and then does what the one for `scheme` does.
fn install(test: &TestEnv, scheme: &str, words: &str) {
    let real = test.install_into("real", &faultplug(), scheme);
    // The scheme is `x`, the name that the fault has is that of the file.
    test.write_plugin("x", format!("#!/bin/sh\n{words}\nexec '{}'\n", real.display()));
}

/// A shell's words that start a process in a session of its own, which leaves its number in `pid`.
fn daemon(test: &TestEnv) -> String {
    let note = test.path("pid");
    format!("setsid sh -c '{NOTE} {0}.new; mv {0}.new {0}; exec sleep 60' &", note.display())
}

fn number(test: &TestEnv) -> i32 {
    wait_for("the daemon", || fs::read_to_string(test.path("pid")).ok()?.trim().parse().ok())
}

fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

/// A download with a plugin that runs `words` first is complete, and whoever left a number is gone at once.
fn ends_with_its_plugin(words: impl Fn(&TestEnv) -> String) {
    let test = TestEnv::new();
    install(&test, "x", &words(&test));
    get(&test, "x://h/file?wait-at=1000&millis=300").run().succeeded().within(2 * SECOND);
    assert!(!is_alive(number(&test)));
}

#[test]
fn a_session_of_its_own_does_not_save_a_grandchild() {
    ends_with_its_plugin(daemon);
}

#[test]
fn a_dead_parent_does_not_save_a_grandchild() {
    ends_with_its_plugin(|test| format!("(({}) & )", daemon(test).trim_end_matches('&')));
}

#[test]
fn another_environment_does_not_save_a_grandchild() {
    ends_with_its_plugin(|test| format!("env -i PATH=\"$PATH\" {}", daemon(test)));
}

#[test]
fn an_ignored_sigterm_and_many_generations_do_not_save_a_grandchild() {
    ends_with_its_plugin(|test| {
        let note = test.path("pid").display().to_string();
        format!(
            "setsid sh -c 'trap \"\" TERM HUP; sh -c \"trap : TERM; {NOTE} {note}; sleep 60; sleep 60\"; sleep 60' &"
        )
    });
}

/// Ignores `Shutdown` and SIGTERM, and a grandchild in another session holds the pipes.
#[test]
fn the_worst_plugin_and_its_daemon_are_gone_in_five_seconds() {
    let test = TestEnv::new();
    let real = test.install_into("real", &faultplug(), "stubborn");
    test.write_plugin("stubborn", format!("#!/bin/sh\n{}\nexec '{}'\n", daemon(&test), real.display()));
    get(&test, "stubborn://h/file").run().succeeded().within(5 * SECOND);
    assert!(!is_alive(number(&test)));
}

#[test]
fn a_daemon_of_a_plugin_that_dies_is_ended() {
    let test = TestEnv::new();
    install(&test, "x", &daemon(&test));
    get(&test, "x://h/file?die-at=50000")
        .arg("--plugin-restarts=0")
        .run()
        .failed_saying(14, &["was killed by SIGKILL"])
        .within(SECOND);
    assert!(!is_alive(number(&test)));
}

#[test]
fn a_daemon_of_a_plugin_that_never_gets_ready_is_ended() {
    let test = TestEnv::new();
    test.write_plugin("x", format!("#!/bin/sh\n{}\nsleep 0.2; exit 3\n", daemon(&test)));
    get(&test, "x://h/file").run().failed_saying(13, &["exited with status 3"]).within(2 * SECOND);
    assert!(!is_alive(number(&test)));
}

/// dfget in the middle of a download whose plugin has a daemon.
fn downloading(test: &TestEnv) -> (Child, i32) {
    let words = ["x://h/file?size=2000&hold-at=1000", "-O", "held", "--tries", "1", "--sandbox", "off"];
    let dfget = test.bare(&words);
    (dfget, number(test))
}

fn private_directories(test: &TestEnv) -> usize {
    fs::read_dir(test.path("tmp")).unwrap().count()
}

#[test]
fn what_a_killed_dfget_left_running_is_ended_by_the_next_one() {
    let test = TestEnv::new();
    install(&test, "x", &daemon(&test));
    let (mut dfget, daemon) = downloading(&test);
    wait_for("the download", || test.work("held.part").metadata().ok().filter(|part| part.len() > 0));
    kill(dfget.id().cast_signed(), Signal::KILL);
    dfget.wait().unwrap();
    assert!(is_alive(daemon), "nothing is left that could be ended");
    assert_eq!(private_directories(&test), 1);
    next_run(&test);
    wait_for("the end of the daemon", || (!is_alive(daemon)).then_some(()));
    assert_eq!(private_directories(&test), 0);
}

#[test]
fn what_belongs_to_a_living_dfget_is_left_alone_by_others() {
    let test = TestEnv::new();
    install(&test, "x", &daemon(&test));
    let (mut dfget, daemon) = downloading(&test);
    wait_for("the download", || test.work("held.part").metadata().ok().filter(|part| part.len() > 0));
    next_run(&test);
    assert!(is_alive(daemon) && dfget.try_wait().unwrap().is_none());
    assert_eq!(private_directories(&test), 1);
    kill(dfget.id().cast_signed(), Signal::TERM);
    dfget.wait().unwrap();
    assert!(!is_alive(daemon));
    assert_eq!(private_directories(&test), 0);
}

/// With nobody to look after it, who would take the leftovers of the one before for its own.
fn next_run(test: &TestEnv) {
    test.install("good");
    let mut dfget = test.bare(&["good://h/file?size=1000", "-O", "next", "-q"]);
    assert!(dfget.wait().unwrap().success());
}

/// A shell that became dfget may have started something before, which is then dfget's child and none of its business.
#[test]
fn children_that_dfget_was_born_with_are_left_alone() {
    let test = TestEnv::new();
    let note = test.path("pid").display().to_string();
    let words = format!("env -i setsid sleep 60 & echo $! > {note}; exec \"$0\" \"$@\"");
    test.get("good://h/file").last().through(&["sh", "-c", &words]).run().succeeded();
    let other = number(&test);
    assert!(is_alive(other));
    kill(other, Signal::KILL);
}
