//! Several dfget at once with one output.

use rustix::process::Signal;

use crate::harness::{TestEnv, kill, wait_for};

const RIVALS: usize = 20;

#[test]
fn of_many_with_one_output_one_writes_it_and_the_others_are_refused() {
    let output = TestEnv::new();
    let tests: Vec<TestEnv> = (0..RIVALS).map(|_| TestEnv::new()).collect();
    let url = "good://h/file?stop-at=50000";
    let mut rivals: Vec<_> =
        tests.iter().map(|test| test.get(url).output(output.work("file")).last().start()).collect();
    let winner = wait_for("all but one to end", || {
        let mut running = (0..rivals.len()).filter(|&rival| !rivals[rival].has_ended()).collect::<Vec<_>>();
        running.pop().filter(|_| running.is_empty())
    });
    let mut winner = rivals.remove(winner);
    for rival in rivals {
        rival.finish().failed_saying(43, &["is being written by another dfget"]);
    }
    kill(winner.wait_for_stop(), Signal::CONT);
    winner.finish().succeeded();
}
