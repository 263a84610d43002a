//! dfget itself is told to end, or killed.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::harness::{Run, Started, TestEnv, faultplug, wait_for};

const SECOND: Duration = Duration::from_secs(1);

/// Sends `signal`, and expects the end in time.
fn end(mut dfget: Started<'_>, signal: Signal, limit: Duration) -> Run {
    let sent = Instant::now();
    dfget.signal(signal);
    let run = dfget.finish();
    assert!(sent.elapsed() <= limit, "the end took {:?}: {}", sent.elapsed(), run.stderr);
    run
}

/// A download that has come to byte 50000 and no further.
fn streaming(test: &TestEnv) -> Started<'_> {
    let dfget = test.get("good://h/file?hold-at=50000").start();
    dfget.wait_for_bytes(50_000);
    dfget
}

/// A plugin that has not written a line.
fn starting(test: &TestEnv) -> Started<'_> {
    let mut dfget = test.get("hang://h/file").start();
    dfget.plugin();
    dfget
}

/// A plugin that is connected to, and does not answer.
fn introducing(test: &TestEnv) -> Started<'_> {
    let mut dfget = test.get("silent://h/file").start();
    let plugin = dfget.plugin().pid;
    // It has made its socket, and dfget has removed the file.
    wait_for("the connection", || (has_socket(plugin) && sockets(test).is_empty()).then_some(()));
    dfget
}

fn has_socket(pid: i32) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut targets = files.filter_map(|file| fs::read_link(file.path()).ok());
    targets.any(|target| target.to_string_lossy().starts_with("socket:"))
}

/// What is in the private directories of plugins.
fn sockets(test: &TestEnv) -> Vec<PathBuf> {
    let directories = fs::read_dir(test.path("tmp")).unwrap().flatten();
    let files = directories.flat_map(|directory| fs::read_dir(directory.path()).into_iter().flatten().flatten());
    files.map(|file| file.path()).collect()
}

const MOMENTS: [fn(&TestEnv) -> Started<'_>; 3] = [starting, introducing, streaming];

#[test]
fn a_killed_dfget_leaves_no_process_and_no_socket() {
    for moment in MOMENTS {
        let test = TestEnv::new();
        end(moment(&test), Signal::KILL, SECOND).ended_by(Signal::KILL);
        assert!(!test.work("file").exists());
    }
}

#[test]
fn a_killed_dfget_leaves_no_stubborn_plugin() {
    let test = TestEnv::new();
    let dfget = test.get("stubborn://h/file?fault=empty-chunks&at=50000").start();
    dfget.wait_for_bytes(50_000);
    end(dfget, Signal::KILL, SECOND).ended_by(Signal::KILL);
}

/// The kernel ends the script, and the end of the life line what it has started.
#[test]
fn a_killed_dfget_leaves_no_plugin_that_a_script_has_started() {
    let test = TestEnv::new();
    let real = test.install_into("real", &faultplug(), "x");
    test.write_plugin("x", format!("#!/bin/sh\n'{}'\nexit $?\n", real.display()));
    let dfget = test.get("x://h/file?hold-at=50000").start();
    dfget.wait_for_bytes(50_000);
    end(dfget, Signal::KILL, SECOND).ended_by(Signal::KILL);
}

#[test]
fn what_a_killed_dfget_leaves_in_tmp_is_swept_by_a_later_one() {
    let test = TestEnv::new();
    let mut dfget = test.get("hang://h/file").last().start();
    dfget.plugin();
    end(dfget, Signal::KILL, SECOND);
    let left = fs::read_dir(test.path("tmp")).unwrap().next().expect("its socket directory").unwrap().path();
    test.get("good://h/file").run().succeeded();
    assert!(!left.exists());
}

#[test]
fn a_signal_ends_dfget_by_that_signal() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        for moment in MOMENTS {
            let test = TestEnv::new();
            let run = end(moment(&test), signal, 2 * SECOND);
            run.ended_by(signal);
            assert!(run.stderr.starts_with("dfget: interrupted by SIG"), "{}", run.stderr);
        }
    }
}

#[test]
fn a_signal_names_itself() {
    let test = TestEnv::new();
    let run = end(streaming(&test), Signal::INT, 2 * SECOND);
    assert!(run.stderr.starts_with("dfget: interrupted by SIGINT"), "{}", run.stderr);
}

#[test]
fn a_signal_ends_dfget_and_the_worst_plugin() {
    for url in [
        "stubborn://h/file?fault=no-events&at=50000",
        "raw://h/file?fault=waiting&at=50000",
        "good://h/file?spin-at=50000",
    ] {
        let test = TestEnv::new();
        let dfget = test.get(url).start();
        dfget.wait_for_bytes(50_000);
        end(dfget, Signal::INT, 5 * SECOND).ended_by(Signal::INT);
    }
}

#[test]
fn a_signal_ends_dfget_and_a_stopped_plugin() {
    let test = TestEnv::new();
    let mut dfget = test.get("good://h/file?stop-at=50000").start();
    dfget.wait_for_stop();
    end(dfget, Signal::INT, 5 * SECOND).ended_by(Signal::INT);
}

/// Where the parent of dfget is no init, a plugin that nobody waits for stays as a zombie.
#[test]
fn an_interrupted_dfget_has_waited_for_its_plugin() {
    for moment in MOMENTS {
        let test = TestEnv::new();
        assert!(end(moment(&test), Signal::INT, 2 * SECOND).waited);
    }
}

#[test]
fn a_second_signal_does_not_wait_for_the_plugin() {
    let test = TestEnv::new();
    let mut dfget = test.get("stubborn://h/file?fault=empty-chunks&at=50000").arg("-vv").start();
    dfget.wait_for_bytes(50_000);
    dfget.signal(Signal::INT);
    dfget.wait_for_words("does not end on Shutdown");
    end(dfget, Signal::INT, SECOND / 2).ended_by(Signal::INT);
}
