//! The plugin dies while it serves, and is started anew: the download goes on where it stopped.

use std::{fs, path::PathBuf, time::Duration};

use rustix::process::Signal;

use crate::harness::{Run, TestEnv, set_mode};

const SECOND: Duration = Duration::from_secs(1);

const RESTARTED: &str = " WARN plugin d7y-resource-plugin-good was killed by SIGKILL; it is restarted in 0.2 s";

const URL: &str = "good://h/file?size=***&deaths=***&times=***&die-at=***&***";

/// Where the plugin counts its deaths.
fn deaths(test: &TestEnv) -> PathBuf {
    test.path("deaths")
}

/// A file of 100,000 bytes whose plugin dies as `query` says, so many times.
fn dies(test: &TestEnv, times: u32, query: &str) -> Run {
    let counted = format!("deaths={}&times={times}", deaths(test).display());
    test.get(&format!("good://h/file?size=100000&{counted}&{query}")).good_may_write().run()
}

fn died(test: &TestEnv) -> u64 {
    fs::metadata(deaths(test)).map_or(0, |deaths| deaths.len())
}

#[test]
fn a_plugin_that_dies_once_costs_a_restart_wherever_it_happens() {
    for at in [0, 1, 65_536, 99_999, 100_000] {
        for length in ["", "&no-length"] {
            let test = TestEnv::new();
            let run = dies(&test, 1, &format!("die-at={at}{length}"));
            run.succeeded_saying(RESTARTED).within(2 * SECOND);
            assert_eq!(died(&test), 1);
        }
    }
}

#[test]
fn a_plugin_that_always_dies_is_started_four_times_and_no_more() {
    let test = TestEnv::new();
    let run = dies(&test, u32::MAX, "die-at=70000");
    let words =
        ["was killed by SIGKILL while it served good://h/file?", " at byte 70000", "restarted 3 times", "about to die"];
    run.failed_saying(14, &words).no_sooner_than(6 * SECOND);
    assert_eq!(died(&test), 4);
    assert_eq!(run.stderr.matches("it is restarted in").count(), 3);
}

#[test]
fn the_user_says_how_often() {
    let test = TestEnv::new();
    let url = format!("good://h/file?size=100000&die-at=70000&deaths={}", deaths(&test).display());
    test.get(&url)
        .good_may_write()
        .arg("--plugin-restarts=1")
        .run()
        .failed_saying(14, &["at byte 70000, after it was restarted once"]);
    assert_eq!(died(&test), 2);
}

#[test]
fn a_plugin_that_dies_every_mib_delivers_64() {
    let test = TestEnv::new();
    let run = test.get("good://h/file?size=67108864&die-after=1048576").arg("--connections=1").run();
    // The last one dies after its last byte: nobody knows that it is the last before its End.
    assert!(run.is_success() && run.stderr == format!("{RESTARTED}\n").repeat(64), "{}", run.stderr);
}

#[test]
fn all_pieces_of_a_download_go_on_after_one_restart() {
    let test = TestEnv::new();
    let url = format!("good://h/file?size=33554432&die-at=9000000&times=1&deaths={}", deaths(&test).display());
    let run = test.get(&url).good_may_write().args(&["--connections=4", "--piece-length=1M"]).run();
    run.succeeded_saying(RESTARTED);
}

#[test]
fn all_files_of_a_tree_go_on_after_one_restart() {
    let test = TestEnv::new();
    let tree = format!("good://h/?files=20&size=200000&die-at=150000&times=1&deaths={}", deaths(&test).display());
    let run = test.tree(&tree).good_may_write().run();
    run.succeeded_saying(RESTARTED);
}

#[test]
fn a_resource_that_cannot_be_gone_on_with_begins_from_0() {
    let test = TestEnv::new();
    let run = dies(&test, 1, "die-at=70000&no-validator");
    run.succeeded_saying(&format!(
        " WARN plugin d7y-resource-plugin-good was killed by SIGKILL while it served {URL} at byte 70000; restarting from 0\n{RESTARTED}"
    ));
}

#[test]
fn a_resource_that_cannot_be_gone_on_with_is_begun_four_times_and_no_more() {
    let test = TestEnv::new();
    dies(&test, u32::MAX, "die-at=70000&no-validator").failed_saying(14, &["at byte 70000", "restarted 3 times"]);
    assert_eq!(died(&test), 4);
}

#[test]
fn a_stream_to_stdout_goes_on_without_a_gap() {
    let test = TestEnv::new();
    let url = format!("good://h/file?size=300000&die-at=200000&times=1&deaths={}", deaths(&test).display());
    test.get(&url).good_may_write().stream("-").run().succeeded_saying(RESTARTED);
}

#[test]
fn a_resource_that_changes_while_its_plugin_is_dead_is_never_mixed() {
    let test = TestEnv::new();
    let run = dies(&test, 1, "die-at=70000&changes-after-death");
    run.succeeded_saying(&format!("{RESTARTED}\n WARN {URL}: the resource has changed; restarting from 0"));
}

#[test]
fn each_restart_is_an_event_and_the_summary_counts_them() {
    let test = TestEnv::new();
    let url = format!("good://h/file?size=100000&die-at=70000&times=1&deaths={}", deaths(&test).display());
    let run = test.get(&url).good_may_write().arg("--json").run();
    run.succeeded_saying(RESTARTED);
    let events = run.events();
    let named = |name: &str| events.iter().find(|event| event["event"] == name).cloned().unwrap_or_default();
    let restart = named("plugin_restarted");
    assert_eq!((&restart["plugin"], &restart["number"]), (&"d7y-resource-plugin-good".into(), &1.into()));
    assert_eq!((&restart["reason"], &restart["in"]), (&"was killed by SIGKILL".into(), &0.2.into()));
    assert_eq!(named("retried")["offset"], 70_000);
    assert_eq!(named("summary")["plugin_restarts"]["d7y-resource-plugin-good"], 1);
}

#[test]
fn ten_kills_in_one_download_cost_ten_restarts_and_no_byte_twice() {
    let test = TestEnv::new();
    let mut dfget =
        test.get("good://h/file?size=268435456").args(&["-n1", "--limit-rate=100M", "--json", "-v"]).start();
    for number in 1..=10 {
        dfget.wait_for_bytes(number * 20_000_000);
        dfget.signal_plugin(Signal::KILL);
    }
    let run = dfget.finish();
    assert!(run.is_success(), "{}", run.stderr);
    let offsets = |name: &str| -> Vec<u64> {
        let named = run.events().into_iter().filter(move |event| event["event"] == name);
        named.filter_map(|event| event["offset"].as_u64()).collect()
    };
    let begins =
        run.stderr.lines().filter_map(|line| line.split_once(" bytes from ")?.1.split(' ').next()?.parse().ok());
    let opened: Vec<u64> = begins.collect();
    assert_eq!(run.count("plugin_restarted"), 10);
    assert_eq!(opened, [vec![0], offsets("retried")].concat(), "each stream begins where the one before it stopped");
}

#[test]
fn a_plugin_that_was_replaced_meanwhile_is_checked_again() {
    let (test, url) = (TestEnv::new(), "good://h/file?size=1000000&hold-at=600000");
    let mut dfget = test.get(url).start();
    dfget.wait_for_bytes(600_000);
    let plugin = test.path("plugins/d7y-resource-plugin-good");
    // A file of its own, not another name of the one that all tests share.
    fs::copy(&plugin, test.path("another")).unwrap();
    set_mode(&test.path("another"), 0o777);
    fs::rename(test.path("another"), plugin).unwrap();
    dfget.signal_plugin(Signal::KILL);
    dfget.finish().failed_saying(11, &["it is restarted", "refused", "d7y-resource-plugin-good", "0777"]);
}

#[test]
fn a_plugin_that_was_replaced_meanwhile_is_not_the_one_that_was_locked() {
    let (test, url) = (TestEnv::new(), "good://h/file?size=1000000&hold-at=600000");
    let plugin = test.install("good");
    test.dfget(&["plugin", "lock"]).run().succeeded();
    let mut dfget = test.get(url).arg("--locked").last().start();
    dfget.wait_for_bytes(600_000);
    let mut program = fs::read(&plugin).unwrap();
    program.push(0);
    fs::remove_file(&plugin).unwrap();
    test.write_plugin("good", program);
    dfget.signal_plugin(Signal::KILL);
    dfget.finish().failed_saying(11, &["it is restarted", "is refused: its sha256 is ", "plugins.lock has "]);
}

#[test]
fn a_plugin_that_is_gone_meanwhile_cannot_be_restarted() {
    let (test, url) = (TestEnv::new(), "good://h/file?size=1000000&hold-at=600000");
    let mut dfget = test.get(url).start();
    dfget.wait_for_bytes(600_000);
    fs::remove_file(test.path("plugins/d7y-resource-plugin-good")).unwrap();
    dfget.signal_plugin(Signal::KILL);
    dfget
        .finish()
        .failed_saying(12, &["it is restarted", "d7y-resource-plugin-good cannot be executed", "No such file"]);
}

#[test]
fn a_plugin_that_is_asked_to_end_by_somebody_else_is_started_again() {
    let test = TestEnv::new();
    let url = format!("good://h/file?size=1000000&hold-at=600000&times=1&deaths={}", deaths(&test).display());
    let mut dfget = test.get(&url).good_may_write().start();
    dfget.wait_for_bytes(600_000);
    dfget.signal_plugin(Signal::TERM);
    let restarted = " WARN plugin d7y-resource-plugin-good exited with status 0; it is restarted in 0.2 s";
    dfget.finish().succeeded_saying(restarted).within(3 * SECOND);
}
