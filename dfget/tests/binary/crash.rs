//! The plugin dies while it serves, and is not to be started anew: what is told of it.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{TestEnv, kill};

const SECOND: Duration = Duration::from_secs(1);

const NOT_AGAIN: &[&str] = &["--plugin-restarts=0"];

#[test]
fn kill_9_in_the_middle_of_a_download_is_told_within_a_second() {
    let test = TestEnv::new();
    let mut dfget = test.get("good://h/file?size=1000000&hold-at=600000").args(NOT_AGAIN).start();
    dfget.wait_for_bytes(600_000);
    let killed = Instant::now();
    kill(dfget.plugin().pid, Signal::KILL);
    let run = dfget.finish();
    assert!(killed.elapsed() <= SECOND, "the end took {:?}", killed.elapsed());
    let words = "dfget: plugin d7y-resource-plugin-good was killed by SIGKILL while it served \
                 good://h/file?size=***&hold-at=*** at byte 600000
  its last words: serving 1000000 bytes from 0
  hint: run it again with -v to see the plugin's own log";
    run.failed(14, words);
    assert!(!test.work("file").exists());
}

/// Dies after `query`; `ending` is how.
fn dies(query: &str, ending: &str) {
    let test = TestEnv::new();
    let run = test.get(&format!("good://h/file?size=100000&{query}")).args(NOT_AGAIN).run();
    let words = ["plugin d7y-resource-plugin-good", ending, "while it served good://h/file", "about to die"];
    run.failed_saying(14, &words).within(SECOND);
    assert!(!test.work("file").exists());
}

#[test]
fn a_death_is_told_wherever_it_happens() {
    for at in [0, 1, 65_536, 99_999, 100_000] {
        dies(&format!("die-at={at}"), "was killed by SIGKILL");
    }
}

#[test]
fn a_death_is_told_however_it_happens() {
    dies("die-at=50000&signal=11", "was killed by SIGSEGV");
    dies("die-at=50000&signal=6", "was killed by SIGABRT");
    dies("die-at=50000&exit=0", "exited with status 0");
    dies("die-at=50000&exit=3", "exited with status 3");
}

#[test]
fn a_plugin_that_somebody_else_terminates_is_told() {
    let run = TestEnv::new().get("good://h/file?size=100000&die-at=50000&signal=15").args(NOT_AGAIN).run();
    // It is asked to end, and may finish what it does: that takes it a second.
    run.failed_saying(14, &["plugin d7y-resource-plugin-good exited with status 0", "about to die"]);
    run.within(3 * SECOND);
}

#[test]
fn a_death_is_told_where_the_length_is_unknown() {
    dies("die-at=50000&no-length", "was killed by SIGKILL");
    dies("die-at=50000&no-length&exit=0", "exited with status 0");
}

#[test]
fn a_panic_in_a_handler_is_quoted() {
    let run = TestEnv::new().get("good://h/file?panic-handler").run();
    run.failed_saying(24, &["panicked", "no tape in the drive"]).within(SECOND);
}

#[test]
fn a_panic_in_the_producer_is_never_a_short_file() {
    for query in ["", "&no-length"] {
        for at in [0, 50_000, 100_000] {
            let run = TestEnv::new().get(&format!("good://h/file?size=100000&panic-at={at}{query}")).run();
            run.failed_saying(24, &["panicked", "no tape in the drive"]).within(SECOND);
        }
    }
}
