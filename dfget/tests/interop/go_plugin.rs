//! dfget starts a plugin that is written as any author writes one with go-plugin.

use std::time::Duration;

use plugin_proto::environment::REATTACH;
use rustix::process::Signal;

use crate::{
    SLOWLY,
    harness::{ByHand, TestEnv, wait_for},
    logged,
    programs::{go, with_go_plugin},
};

const IN_TLS: &str = "--plugin-mtls";

/// dfget's options with AutoMTLS and without.
const BOTH: [&[&str]; 2] = [&[], &[IN_TLS]];

fn good() -> Option<TestEnv> {
    with_go_plugin("good", "good")
}

#[test]
fn a_download_through_a_go_plugin_has_the_right_bytes() {
    for options in BOTH {
        for size in [0, 1, 262_144, 3_000_001] {
            let Some(test) = good() else { return };
            test.get(&format!("good://h/file?size={size}&seed=7")).args(options).run().succeeded();
        }
    }
}

#[test]
fn the_pieces_of_a_download_come_by_calls_at_the_same_time() {
    for options in BOTH {
        let Some(test) = good() else { return };
        let run = test.get("good://h/file?size=50000000").args(options).args(&["--connections=4", "-v"]).run();
        assert!(run.is_success(), "{}", run.stderr);
        assert!(run.stderr.matches("serving from=").count() >= 4, "{}", run.stderr);
    }
}

#[test]
fn a_go_plugin_that_is_killed_is_started_again_and_the_download_goes_on() {
    for options in BOTH {
        let Some(test) = good() else { return };
        let limits = ["--limit-rate=30M", "--connections=1", "-v"];
        let mut dfget = test.get("good://h/file?size=20000000").args(options).args(&limits).start();
        dfget.wait_for_bytes(2_000_000);
        dfget.signal_plugin(Signal::KILL);
        let run = dfget.finish();
        assert!(run.is_success(), "{}", run.stderr);
        assert!(run.stderr.contains("was killed by SIGKILL; it is restarted in 0.2 s"), "{}", run.stderr);
        assert_eq!(run.stderr.matches("serving from=0 ").count(), 1, "it began anew: {}", run.stderr);
    }
}

#[test]
fn what_a_go_plugin_says_of_itself_is_listed() {
    let Some(test) = good() else { return };
    let run = test.dfget(&["plugin", "info", "good"]).run();
    assert!(run.succeeded().stdout().contains("protocol:  1\n"), "{}", run.stdout());
    assert!(
        run.stdout().ends_with("  name: good\n  scheme: good\n  type: resource\n  vendor: go\n"),
        "{}",
        run.stdout()
    );
}

#[test]
fn what_a_go_plugin_lists_is_listed() {
    let Some(test) = good() else { return };
    let run = test.dfget(&["-l", "good://h/"]).run();
    let names: Vec<&str> = run.succeeded().stdout().lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn an_option_that_a_go_plugin_refuses_is_named() {
    let Some(test) = good() else { return };
    test.get("good://h/file").args(&["--opt", "rooot=/x"]).run().failed_saying(24, &["there is no option `rooot`"]);
}

/// go-plugin puts a pipe into the place of `os.Stdout` and sends what comes by `GRPCStdio`.
#[test]
fn what_the_code_of_a_go_plugin_prints_is_in_the_log() {
    let Some(test) = good() else { return };
    let run = test.get("good://h/file?size=600000").args(&["-vv", SLOWLY]).run();
    logged(&run, "DEBUG", "stdout: printed by the plugin");
}

#[test]
fn a_go_plugin_ends_when_it_is_asked_to() {
    for options in BOTH {
        let Some(test) = good() else { return };
        let run = test.get("good://h/file").args(options).arg("-vv").run();
        assert!(run.is_success() && !run.stderr.contains("does not end on Shutdown"), "{}", run.stderr);
        run.within(Duration::from_secs(1));
    }
}

/// In go-plugin's test mode, in which nothing is said on the way of the handshake.
#[test]
fn a_go_plugin_that_its_author_has_started_is_used_as_it_is() {
    let Some(program) = go("debugged") else { return };
    let test = TestEnv::new();
    let mut plugin = ByHand::start_program(&test, &program, "good");
    let words = plugin.words("good");
    for output in ["first", "second"] {
        let dfget = test.get_as_is("good://h/file?size=3000000").env(REATTACH, &plugin.variable).output(output);
        dfget.run().succeeded_saying(&words);
    }
    assert!(plugin.is_alive());
    plugin.signal(Signal::TERM);
    wait_for("its end", || (!plugin.is_alive()).then_some(()));
}
