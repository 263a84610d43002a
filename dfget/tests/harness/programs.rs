//! The programs that tests start: dfget, and the plugins of the other packages, which cargo does not build for the
//! tests of this one.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Turns a test that would be skipped into one that fails.
const REQUIRE: &str = "DFGET_TEST_REQUIRE";

/// dfget itself.
pub(super) fn dfget() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_dfget"))
}

/// The plugin that does everything wrong.
pub(crate) fn faultplug() -> PathBuf {
    program("faultplug")
}

/// A program of this workspace, built in the profile of this test.
pub(crate) fn program(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(build).join(name)
}

fn build() -> PathBuf {
    let directory = dfget().parent().expect("cargo puts dfget into a directory").to_owned();
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--workspace", "--bins", "--profile", profile, "--target-dir"]);
    command.arg(directory.parent().expect("a profile is built into a target directory"));
    let built = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    directory
}

/// Says that a test does not run, and why; `make test` counts such lines.
pub(crate) fn skip(test: &str, why: &str) {
    assert!(std::env::var_os(REQUIRE).is_none(), "{test} must not be skipped, as {REQUIRE} says: {why}");
    not_allowed(test, why);
}

/// The same of what this machine does not allow, and what nothing that could be installed changes.
pub(crate) fn not_allowed(test: &str, why: &str) {
    // Not `eprintln!`, which the test harness keeps to itself where the test passes.
    let _ = writeln!(std::io::stderr(), "\nskipped: {test}: {why}");
}
