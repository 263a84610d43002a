//! The plugin keeps to PROTOCOL.md.

#![allow(clippy::unwrap_used, reason = "what the test needs is there")]

use std::fs;

use plugin_sdk::conformance::{self, Limits, Suite};

/// Tests run on machines that are busy with other tests.
const PATIENCE: f64 = 5.0;

#[test]
fn it_keeps_to_protocol_md() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("tree/beneath")).unwrap();
    for (name, length) in [("large", 3_000_000), ("empty", 0), ("tree/100 % ü", 9)] {
        let bytes: Vec<u8> = (0..length).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        fs::write(root.path().join(name), bytes).unwrap();
    }
    let suite = Suite::new(env!("CARGO_BIN_EXE_d7y-resource-plugin-share"))
        .option("root", root.path().to_str().unwrap())
        .url("share:///large")
        .missing("share:///none")
        .empty("share:///empty")
        .directory("share:///tree");
    conformance::check(&suite.strict().limits(Limits::times(PATIENCE)));
}
