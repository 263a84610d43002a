//! dfget and its SDK beside the libraries of others: hashicorp/go-plugin, and `pyplugin`, which is its independent twin in
//! Python. Each is taken as its users take it, in both directions.
//!
//! * [`programs`]: what is built for that, once
//! * [`go_plugin`], [`odd_plugin`]: dfget starts a plugin made with go-plugin, by the book and not
//! * [`go_host`]: a Go program starts plugins made with the SDK
//! * [`secured`]: AutoMTLS, on Unix sockets and on TCP
//! * [`python`]: both directions
//!
//! `go/` and `python/` beside this file are the programs.

#![allow(clippy::unwrap_used, reason = "all of this is tests, functions that they share included")]

#[allow(dead_code, unused_imports, reason = "other tests use the rest of it")]
#[path = "../harness/harness.rs"]
mod harness;

mod go_host;
mod go_plugin;
mod odd_plugin;
mod programs;
mod python;
mod secured;

/// A download that is not through before what the plugin prints has come: that goes a way of its own.
const SLOWLY: &str = "--limit-rate=1M";

/// Has a line with `text` in its log, at this level.
fn logged(run: &harness::Run, level: &str, text: &str) {
    let mut lines = run.stderr.lines().filter(|line| line.trim_start().starts_with(level));
    assert!(lines.any(|line| line.contains(text)), "`{level} {text}` is not logged: {}", run.stderr);
}
