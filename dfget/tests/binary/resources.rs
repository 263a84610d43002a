//! How much of the machine a plugin may have, as the configuration says.

use std::{fs, process::Command};

use rustix::process::Signal;

use crate::harness::{Dfget, TestEnv, not_allowed};

fn limited<'a>(test: &'a TestEnv, url: &str, limits: &str) -> Dfget<'a> {
    let path = test.path("dfget.toml");
    fs::write(&path, format!("[source.good]\n{limits}\n")).unwrap();
    test.get(url).arg("--plugin-restarts=0").last().env("DFGET_CONFIG", path)
}

#[test]
fn a_plugin_that_takes_more_memory_than_it_may_ends_and_the_limit_is_named() {
    let test = TestEnv::new();
    let run = limited(&test, "good://h/file?allocate=1000000000", "memory = \"512MiB\"").run();
    // By the kernel, where there is a control group; else the plugin ends itself.
    run.failed_saying(14, &["was killed by SIG", "its memory is limited to 512.00 MiB"]);
}

#[test]
fn a_plugin_within_its_memory_works() {
    let test = TestEnv::new();
    limited(&test, "good://h/file?allocate=100000000", "memory = \"512MiB\"").run().succeeded();
}

#[test]
fn a_plugin_has_no_more_files_open_than_it_may() {
    let test = TestEnv::new();
    let open = |files: u32| limited(&test, &format!("good://h/file?open={files}"), "open-files = 64").run();
    open(64).failed_saying(21, &["open: Too many open files"]);
    open(30).succeeded();
}

/// A death that has nothing to do with memory is told as it is.
#[test]
fn without_a_limit_none_is_named() {
    let test = TestEnv::new();
    let run = limited(&test, "good://h/file?die-at=1000", "open-files = 64").run();
    run.failed_saying(14, &["was killed by SIGKILL"]);
    assert!(!run.stderr.contains("limited"), "{}", run.stderr);
}

#[test]
fn a_control_group_is_gone_with_its_plugin() {
    let test = TestEnv::new();
    let mut dfget = limited(&test, "good://h/file?size=2000&hold-at=1000", "memory = \"512MiB\"").start();
    dfget.wait_for_bytes(1000);
    let memberships = fs::read_to_string(format!("/proc/{}/cgroup", dfget.plugin().pid)).unwrap();
    dfget.signal(Signal::INT);
    dfget.finish().ended_by(Signal::INT);
    let Some((_, group)) = memberships.lines().filter_map(|line| line.rsplit_once("/dfget-plugin-")).next() else {
        return not_allowed("a_control_group_is_gone_with_its_plugin", "dfget may make no control group here");
    };
    let left =
        Command::new("find").args(["/sys/fs/cgroup", "-name", &format!("dfget-plugin-{group}")]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}
