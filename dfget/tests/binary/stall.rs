//! Plugins that live, and deliver nothing.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Run, TestEnv, kill};

const SECOND: Duration = Duration::from_secs(1);

/// As long as nothing may come here.
const STALL: [&str; 2] = ["--stall-timeout", "700ms"];

/// `limit` is for the run and the end of the plugin, which may have to be killed.
fn stalled(url: &str, fact: &str, limit: Duration) -> Run {
    let run = TestEnv::new().get(url).args(&STALL).run();
    let scheme = url.split(':').next().unwrap();
    let words =
        format!("dfget: plugin d7y-resource-plugin-{scheme} stalled: {fact}\n  hint: --stall-timeout waits longer");
    run.failed(16, &words).no_sooner_than(Duration::from_millis(700)).within(limit);
    run
}

#[test]
fn a_plugin_that_falls_silent_is_given_up() {
    for at in [0, 50_000, 100_000] {
        stalled(&format!("good://h/file?hold-at={at}"), "nothing came for 700ms", 2 * SECOND);
    }
}

#[test]
fn a_stopped_plugin_is_given_up_and_ended() {
    stalled("good://h/file?stop-at=50000", "nothing came for 700ms", 4 * SECOND);
}

#[test]
fn a_plugin_that_is_continued_in_time_is_well() {
    let test = TestEnv::new();
    let mut dfget = test.get("good://h/file?stop-at=50000").start();
    kill(dfget.wait_for_stop(), Signal::CONT);
    dfget.finish().succeeded();
}

#[test]
fn a_spinning_plugin_is_given_up_and_ended() {
    stalled("good://h/file?spin-at=50000", "nothing came for 700ms", 4 * SECOND);
}

#[test]
fn a_plugin_that_never_answers_a_download_is_given_up() {
    let run = TestEnv::new().get("raw://h/file?fault=no-answer").args(&STALL).run();
    run.failed_saying(16, &["plugin d7y-resource-plugin-raw stalled: "]).within(2 * SECOND);
}

#[test]
fn empty_messages_are_no_sign_of_life() {
    for fault in ["empty-chunks", "no-events"] {
        stalled(&format!("raw://h/file?fault={fault}&at=50000"), "only empty messages came", 2 * SECOND);
    }
}

#[test]
fn a_byte_now_and_then_is_no_progress() {
    let run = TestEnv::new().get("good://h/file?trickle-at=500").args(&STALL).run();
    run.failed_saying(16, &["stalled: less than 1024 bytes a second in 700ms"]).within(3 * SECOND);
}

#[test]
fn a_plugin_that_says_it_waits_is_waited_for() {
    let run = TestEnv::new().get("good://h/file?wait-at=50000&millis=2000").args(&STALL).run();
    run.succeeded().no_sooner_than(2 * SECOND);
}

#[test]
fn the_time_limit_ends_a_plugin_that_waits_for_ever() {
    for url in ["good://h/file?wait-at=50000&millis=60000", "raw://h/file?fault=waiting&at=50000"] {
        let run = TestEnv::new().get(url).args(&["--timeout", "1s"]).run();
        run.failed_saying(45, &["was not complete after 1s", "--timeout gives it more time"]);
        run.within(3 * SECOND);
    }
}

#[test]
fn a_plugin_that_hangs_is_given_up_however_long_a_silence_may_be() {
    let hang = ["--speed-time=1h", "--plugin-hang-timeout=500ms"];
    for fault in ["stop-at", "spin-at"] {
        let run = TestEnv::new().get(&format!("good://h/file?{fault}=50000")).args(&hang).run();
        let fact =
            "dfget: plugin d7y-resource-plugin-good hangs: it answered nothing, not even a health check, in 500ms";
        run.failed(16, &format!("{fact}\n  hint: --plugin-hang-timeout waits longer"));
    }
}

#[test]
fn a_plugin_that_is_silent_and_answers_health_checks_is_waited_for() {
    let hang = ["--speed-time=3s", "--plugin-hang-timeout=300ms"];
    let run = TestEnv::new().get("good://h/file?hold-at=50000").args(&hang).run();
    run.failed_saying(16, &["nothing came for 3s"]).no_sooner_than(3 * SECOND);
}
