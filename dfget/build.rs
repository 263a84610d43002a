//! How dfget is linked on Linux: so that it starts sooner, which it does for every download.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// In place of the shared library of that name, the same as a static one.
const UNWINDER: &str = "GROUP ( -lgcc_eh -lgcc )\n";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |key: &str| env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    // A program without shared libraries is linked in another way altogether.
    let is_static = target("FEATURE").split(',').any(|feature| feature == "crt-static");
    if target("OS") != "linux" || target("ENV") != "gnu" || is_static {
        return Ok(());
    }
    // At a fixed address, as programs in Go are: some twenty thousand pointers need not be relocated at each start, and
    // their pages not be copied. Stack, heap and libraries are where the kernel likes, as ever.
    println!("cargo::rustc-link-arg-bins=-no-pie");
    // What fuzzes has C++ in it, which brings the library along.
    let is_fuzzed = env::var_os("CARGO_CFG_FUZZING").is_some();
    if is_native() && !is_fuzzed && has_static_unwinder() {
        let directory = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
        fs::write(directory.join("libgcc_s.so"), UNWINDER)?;
        println!("cargo::rustc-link-search=native={}", directory.display());
    }
    Ok(())
}

fn is_native() -> bool {
    env::var("TARGET") == env::var("HOST")
}

/// Whether the C compiler has it. What it does not find it names as it was named.
fn has_static_unwinder() -> bool {
    let compiler = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let found = Command::new(compiler).arg("-print-file-name=libgcc_eh.a").output();
    found.is_ok_and(|found| Path::new(String::from_utf8_lossy(&found.stdout).trim()).is_absolute())
}
