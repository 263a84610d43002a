//! dfget starts plugins that are made with go-plugin and do one thing as none should.

use std::time::Duration;

use crate::{
    SLOWLY,
    harness::{Run, TestEnv},
    logged,
    programs::with_go_plugin,
};

const HINT: &str = "\n  hint: -vv shows the plugin's own log";

/// The plugin is installed under the name of what it does.
fn odd(name: &str) -> Option<TestEnv> {
    with_go_plugin("odd", name)
}

fn download(name: &str, options: &[&str]) -> Option<Run> {
    Some(odd(name)?.get(&format!("{name}://h/file?size=600000")).args(options).run())
}

#[test]
fn of_the_versions_that_a_plugin_knows_ours_is_taken() {
    let Some(run) = download("knows12", &["-vv"]) else { return };
    assert!(run.is_success() && run.stderr.contains("protocol version 1"), "{}", run.stderr);
}

#[test]
fn a_plugin_built_against_a_newer_protocol_names_both_versions() {
    for name in ["knows2", "knows23"] {
        let Some(run) = download(name, &[]) else { return };
        let fact = format!("d7y-resource-plugin-{name} speaks protocol version 2, where this dfget speaks 1");
        run.failed_saying(13, &[&fact, "hint: update dfget"]).within(Duration::from_secs(2));
    }
}

#[test]
fn fields_features_and_events_from_next_year_are_ignored() {
    let Some(run) = download("newer", &[]) else { return };
    run.succeeded();
}

#[test]
fn a_banner_before_the_handshake_is_skipped_and_shown() {
    let Some(run) = download("banner", &[]) else { return };
    let wrote = |line| format!(" WARN plugin d7y-resource-plugin-banner wrote to stdout before its handshake: {line}");
    let lines = ["odd plugin 1.0, loading its configuration", "ready"].map(wrote);
    run.succeeded_saying(&lines.join("\n"));
}

#[test]
fn a_certificate_that_nobody_asked_for_is_refused() {
    let Some(run) = download("certificate", &[]) else { return };
    let fact = "dfget: plugin d7y-resource-plugin-certificate answered a certificate that nobody asked for";
    run.failed_saying(13, &[fact, HINT]);
}

#[test]
fn lines_of_hclog_keep_their_level_and_their_fields() {
    let Some(run) = download("logs", &["--log-level=trace"]) else { return };
    logged(&run, "TRACE", "a trace");
    logged(&run, "DEBUG", "a debug line");
    logged(&run, "ERROR", "an error stack=");
    logged(&run, "INFO", r#"a line for information count=3 list=["x","y"] path="/a b""#);
    logged(&run, "WARN", r#"a warning error="the tape is old""#);
    logged(&run, "WARN", "[WARN] a line of another logger");
    logged(&run, "ERROR", r#"="github.com/hashicorp/go-hclog.Stacktrace\n\t/"#);
}

/// By `GRPCStdio`, in pieces of 1 KiB.
#[test]
fn what_the_code_prints_is_logged_line_by_line_and_by_where_it_printed_it() {
    let Some(run) = download("logs", &["-vv", SLOWLY]) else { return };
    logged(&run, "ERROR", "[ERROR] written to os.Stderr");
    assert_eq!(run.stderr.matches("stdout: xxx").count(), 1, "{}", run.stderr);
}

#[test]
fn lines_that_are_no_hclog_are_text() {
    let Some(run) = download("logs", &["-v"]) else { return };
    assert!(run.is_success(), "{}", run.stderr);
    let lines = [
        r#"{"@level":5,"@message":"a number for a level","@timestamp":"2021-12-13T08:53:04.000000Z"}"#,
        r#"{"@level":"info","@message":{"an":"object"},"@timestamp":"2021-12-13T08:53:04.000000Z"}"#,
        "a number for a time",
        r#"{"@level":"info","@message":"cut off"#,
        r#"{"message":"no hclog at all"}"#,
        "[1,2",
        "null",
    ];
    lines.iter().for_each(|line| logged(&run, "INFO", line));
}

#[test]
fn a_go_program_that_panics_is_quoted_with_the_reason() {
    let Some(run) = download("panics", &["--plugin-restarts=0", "-v"]) else { return };
    let words = ["exited with status 2 while it served", "\n  its last words:\n    panic: no tape in the drive\n"];
    run.failed_saying(14, &words);
    logged(&run, "ERROR", "panic: no tape in the drive");
    logged(&run, "ERROR", "goroutine ");
    logged(&run, "ERROR", "main.(*panicking).Download(");
    let Some(run) = download("panics-at-once", &[]) else { return };
    let words = ["exited with status 2 before its handshake", "\n  its last words:\n    panic: no tape in the drive\n"];
    run.failed_saying(13, &words);
}

#[test]
fn a_plugin_that_never_answers_shutdown_is_told_by_a_signal() {
    let Some(run) = download("deaf", &["-vv"]) else { return };
    assert!(run.is_success() && run.stderr.contains("does not end on Shutdown, sending SIGTERM"), "{}", run.stderr);
    run.within(Duration::from_secs(3));
    let Some(run) = download("stubborn", &["-vv"]) else { return };
    assert!(run.is_success() && run.stderr.contains("does not end on SIGTERM, sending SIGKILL"), "{}", run.stderr);
    run.within(Duration::from_secs(5));
}

/// A host made with go-plugin waits for it.
#[test]
fn a_grandchild_that_holds_the_pipes_ends_with_its_plugin() {
    for name in ["grandchild", "daemon"] {
        let Some(run) = download(name, &[]) else { return };
        run.succeeded().within(Duration::from_secs(2));
    }
}
