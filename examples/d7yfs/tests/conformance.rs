//! The plugin keeps to PROTOCOL.md.

use plugin_sdk::conformance::{self, Limits, Suite};

/// Tests run on machines that are busy with other tests.
const PATIENCE: f64 = 5.0;

#[test]
fn it_keeps_to_protocol_md() {
    let suite = Suite::new(env!("CARGO_BIN_EXE_d7y-resource-plugin-d7yfs")).url("d7yfs://host:56001/path");
    conformance::check(&suite.strict().limits(Limits::times(PATIENCE)));
}
