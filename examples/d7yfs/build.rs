//! Stamps the build: the commit and its time come from the environment, else from git, else they are `unknown`.

use std::{env, path::Path, process::Command};

const TIME_FORMAT: &str = "--date=format-local:%Y-%m-%dT%H:%M:%SZ";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    stamp("D7YFS_BUILD_COMMIT", || git(&["rev-parse", "--short", "HEAD"]));
    stamp("D7YFS_BUILD_TIME", || git(&["log", "-1", "--format=%cd", TIME_FORMAT]));
    rerun_if_committed();
    if starts_sooner_at_a_fixed_address() {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}

/// Hands `variable` to the compiler: as the caller of cargo set it, or as `otherwise` finds it.
fn stamp(variable: &str, otherwise: impl FnOnce() -> Option<String>) {
    println!("cargo:rerun-if-env-changed={variable}");
    let given = env::var(variable).ok().filter(|value| !value.is_empty());
    let value = given.or_else(otherwise).unwrap_or_else(|| "unknown".into());
    println!("cargo:rustc-env={variable}={value}");
}

/// A checkout rewrites `HEAD`; a commit writes its branch and appends to `logs/HEAD`.
fn rerun_if_committed() {
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD"].into_iter().chain(branch.as_deref()) {
        // Cargo takes a file that is missing for one that changed, and would build again each time.
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
}

/// What git prints; `None` without git, without a repository, and without a commit.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).env("TZ", "UTC").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// The documentation of plugin-sdk says why; a program without shared libraries is linked in another way altogether.
fn starts_sooner_at_a_fixed_address() -> bool {
    let target = |key: &str| env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    let is_static = target("FEATURE").split(',').any(|feature| feature == "crt-static");
    target("OS") == "linux" && target("ENV") == "gnu" && !is_static
}
