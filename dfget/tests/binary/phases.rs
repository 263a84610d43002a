//! Signals at many moments of a download, from its start to its end.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::harness::{Run, Started, TestEnv, wait_for};

const SECOND: Duration = Duration::from_secs(1);

/// From before `main` to after the end.
const MOMENTS: u32 = 21;

/// It starts a plugin, waits for it in the middle, and is flushed.
const URL: &str = "good://h/file?size=3000000&wait-at=1500000&millis=50";

/// A download at each of the moments, and what `end` does then.
fn at_many_moments(mut end: impl FnMut(u32, Started<'_>)) {
    let whole = TestEnv::new().get(URL).last().run().succeeded().took;
    for moment in 0..MOMENTS {
        let test = TestEnv::new();
        let dfget = test.get(URL).start();
        // Not a wait for something: whatever is going on at that time is what is to be interrupted.
        thread::sleep(whole * moment / (MOMENTS - 1));
        end(moment, dfget);
    }
}

/// Ended by `signal`, or well: that it is not there unless it ended well is checked after every run.
fn ended_by_or_well(run: &Run, signal: Signal) {
    assert!(run.is_success() || run.signal() == Some(signal.as_raw()), "{:?}: {}", run.code(), run.stderr);
}

#[test]
fn a_signal_ends_dfget_at_any_moment() {
    let signals = [Signal::INT, Signal::TERM, Signal::HUP];
    at_many_moments(|moment, mut dfget| {
        let signal = signals[moment as usize % signals.len()];
        let sent = Instant::now();
        dfget.signal(signal);
        let run = dfget.finish_with(|| assert!(sent.elapsed() <= 2 * SECOND, "the end took {:?}", sent.elapsed()));
        ended_by_or_well(&run, signal);
        // Before dfget listens for it, the kernel ends it, without a word.
        let told = run.stderr.contains("run the same command again to go on");
        assert!(run.is_success() || told || run.stderr.is_empty(), "{}", run.stderr);
    });
}

/// All that is left to do then is to wait for a plugin that does not end.
#[test]
fn a_signal_after_the_output_got_its_name_makes_it_no_failure() {
    let test = TestEnv::new();
    let mut dfget = test.get("stubborn://h/file").start();
    wait_for("the output", || test.work("file").exists().then_some(()));
    dfget.signal(Signal::INT);
    dfget.finish().succeeded().within(SECOND);
}

#[test]
fn two_signals_end_dfget_and_the_worst_plugin_at_once() {
    for moment in [0, 10, 20, 40, 80, 160] {
        let test = TestEnv::new();
        let mut dfget = test.get("stubborn://h/file?fault=empty-chunks&at=50000").start();
        thread::sleep(Duration::from_millis(moment));
        dfget.signal(Signal::INT);
        thread::sleep(Duration::from_millis(20));
        let sent = Instant::now();
        dfget.signal(Signal::TERM);
        let run = dfget.finish_with(|| assert!(sent.elapsed() <= SECOND / 2, "the end took {:?}", sent.elapsed()));
        ended_by_or_well(&run, if run.signal() == Some(15) { Signal::TERM } else { Signal::INT });
    }
}

/// The run after it, which every run is checked by, is complete; and nobody is left. More of it: `make soak`.
#[test]
fn sigkill_at_any_moment_leaves_nobody_and_nothing_wrong() {
    at_many_moments(|_, mut dfget| {
        dfget.signal(Signal::KILL);
        ended_by_or_well(&dfget.finish(), Signal::KILL);
    });
}

/// Its own absence is not the source's silence.
#[test]
fn a_dfget_that_was_stopped_and_continued_sees_no_stall() {
    for bytes in [0, 1, 3_000_000, 20_000_000] {
        let test = TestEnv::new();
        let mut dfget = test.get("good://h/file?size=40000000").args(&["--speed-time", "500ms"]).start();
        dfget.wait_for_bytes_or_end(bytes);
        dfget.signal(Signal::STOP);
        thread::sleep(SECOND);
        dfget.signal(Signal::CONT);
        dfget.finish().succeeded();
    }
}
