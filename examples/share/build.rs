//! How the plugin is linked.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if starts_sooner_at_a_fixed_address() {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}

/// The documentation of plugin-sdk says why; a program without shared libraries is linked in another way altogether.
fn starts_sooner_at_a_fixed_address() -> bool {
    let target = |key: &str| env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    let is_static = target("FEATURE").split(',').any(|feature| feature == "crt-static");
    target("OS") == "linux" && target("ENV") == "gnu" && !is_static
}
