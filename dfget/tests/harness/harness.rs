//! Runs dfget in a place of its own, and checks after *every* run what must hold whatever happened:
//!
//! * [`environment`]: the place: plugins, working directory, TMPDIR, HOME
//! * [`run`]: one run of dfget
//! * [`outcome`]: what a test may say of it
//! * [`invariants`]: what holds after each
//! * [`processes`]: who is alive
//! * [`programs`]: the plugins, built once
//! * [`by_hand`]: one that is started by somebody else
//! * [`digest`]: what is expected
//! * [`tree`]: what is expected of a directory

mod by_hand;
mod digest;
mod environment;
mod invariants;
mod outcome;
mod processes;
mod programs;
mod run;
mod tree;

pub(crate) use self::{
    by_hand::ByHand,
    digest::Digest,
    environment::{TestEnv, make_fifo, set_mode},
    outcome::Run,
    programs::{faultplug, not_allowed, program, skip},
    run::{Dfget, Started, kill},
    tree::{Snapshot, snapshot},
};

/// Polls until `ready` is there.
pub(crate) fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(begun.elapsed().as_secs() < 20, "waited in vain for {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
