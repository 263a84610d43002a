//! Plugins that print, and plugins that do not end when they are told.

use std::time::Duration;

use crate::harness::TestEnv;

#[test]
fn a_flood_on_stdout_harms_nothing() {
    TestEnv::new().get("good://h/file?print-lines=50000").run().succeeded();
}

#[test]
fn a_flood_on_stderr_harms_nothing() {
    TestEnv::new().get("good://h/file?log-lines=50000").run().succeeded();
}

#[test]
fn a_line_of_1_gib_on_stderr_harms_nothing() {
    TestEnv::new().get("good://h/file?log-line=1073741824").run().succeeded();
}

#[test]
fn what_a_plugin_logs_is_shown_on_demand() {
    let run = TestEnv::new().get("good://h/file").arg("-v").run();
    assert!(run.stderr.contains("serving 100000 bytes from 0"), "{}", run.stderr);
}

#[test]
fn a_plugin_that_ignores_shutdown_and_sigterm_ends() {
    let run = TestEnv::new().get("stubborn://h/file").run();
    run.succeeded().within(Duration::from_secs(5));
}

#[test]
fn a_grandchild_that_holds_the_pipes_ends_with_its_plugin() {
    let test = TestEnv::new();
    let real = test.install_into("real", &crate::harness::faultplug(), "x");
    test.write_plugin("x", format!("#!/bin/sh\nsleep 60 &\nexec '{}'\n", real.display()));
    test.get("x://h/file").run().succeeded().within(Duration::from_secs(2));
}

#[test]
fn a_grandchild_in_a_session_of_its_own_ends_with_its_plugin() {
    let test = TestEnv::new();
    let real = test.install_into("real", &crate::harness::faultplug(), "x");
    test.write_plugin("x", format!("#!/bin/sh\nsetsid sleep 20 &\nexec '{}'\n", real.display()));
    test.get("x://h/file").run().succeeded().within(Duration::from_secs(5));
}
