//! How dfget is linked.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // At a fixed address, as programs in Go are: some twenty thousand pointers need not be relocated at each start, and
    // their pages not be copied. Stack, heap and libraries are where the kernel likes, as ever.
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
