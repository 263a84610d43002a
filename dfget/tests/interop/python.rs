//! pyplugin: dfget starts a plugin made with it, and it starts plugins made with the SDK.

use std::{fs, process::Command, time::Duration};

use faultplug::Content;
use rustix::process::Signal;

use crate::{
    SLOWLY,
    harness::{Digest, TestEnv, program},
    logged,
    programs::{folder, python},
};

/// A place with the plugin in Python under the name of `scheme`, unless this test is to be skipped.
fn with_plugin(scheme: &str) -> Option<TestEnv> {
    let (python, test) = (python()?, TestEnv::new());
    let (interpreter, path) = (python.interpreter(), python.path());
    let script = format!(
        "#!{}\nimport sys\nsys.path[:0] = {path:?}.split(':')\nfrom plugin import main\nmain()\n",
        interpreter.display()
    );
    test.write_plugin(scheme, script);
    Some(test)
}

/// The scheme of the plugin, and dfget's options: on a Unix socket, in TLS there, and on TCP, which is always in TLS.
const KINDS: [(&str, &[&str]); 3] = [("py", &[]), ("py", &["--plugin-mtls"]), ("tcp-py", &[])];

#[test]
fn a_download_through_a_python_plugin_has_the_right_bytes() {
    for (scheme, options) in KINDS {
        let Some(test) = with_plugin(scheme) else { return };
        for size in [0, 1, 600_001] {
            let url = format!("{scheme}://h/file?size={size}&seed=3");
            test.get(&url).output(size.to_string()).args(options).run().succeeded();
        }
    }
}

#[test]
fn a_python_plugin_that_is_killed_is_started_again_and_the_download_goes_on() {
    for (scheme, options) in KINDS {
        let Some(test) = with_plugin(scheme) else { return };
        // More than the 8 MiB that a stream may be ahead.
        let limits = ["--limit-rate=8M", "--connections=1", "-v"];
        let mut dfget = test.get(&format!("{scheme}://h/file?size=12000000")).args(options).args(&limits).start();
        dfget.wait_for_bytes(300_000);
        dfget.signal_plugin(Signal::KILL);
        let run = dfget.finish();
        assert!(run.is_success(), "{}", run.stderr);
        assert!(run.stderr.contains("was killed by SIGKILL; it is restarted in 0.2 s"), "{}", run.stderr);
        let begun = run.stderr.split_whitespace().filter(|word| *word == "start=0").count();
        assert_eq!(begun, 1, "it began anew: {}", run.stderr);
    }
}

#[test]
fn what_a_python_plugin_logs_prints_and_lists_is_told() {
    let Some(test) = with_plugin("py") else { return };
    let run = test.get("py://h/file?size=600000").args(&["-vv", SLOWLY]).run();
    logged(&run, "INFO", "serving end=600000 start=0");
    logged(&run, "DEBUG", "stdout: printed by the plugin");
    assert!(!run.stderr.contains("does not end on Shutdown"), "{}", run.stderr);
    let listed = test.dfget(&["-l", "py://h/"]).run();
    let listed: Vec<&str> = listed.succeeded().stdout().split_whitespace().filter(|word| *word != "-").collect();
    assert_eq!(listed, ["a", "b"]);
}

#[test]
fn a_banner_of_a_python_plugin_is_skipped_and_shown() {
    let Some(test) = with_plugin("banner") else { return };
    let words = " WARN plugin d7y-resource-plugin-banner wrote to stdout before its handshake: python plugin 1.0";
    test.get("banner://h/file").run().succeeded_saying(words).within(Duration::from_secs(10));
}

/// What the host in Python wrote of `plugin`.
fn host(test: &TestEnv, plugin: &str, arguments: &[&str]) -> Option<Vec<String>> {
    let python = python()?;
    let mut host = Command::new(python.interpreter());
    host.arg(folder("python").join("host.py")).arg(program(plugin)).args(arguments);
    host.env("PYTHONPATH", python.path()).env("PYTHONDONTWRITEBYTECODE", "1").env("TMPDIR", test.path("tmp"));
    let output = host.output().expect("the interpreter is there");
    let lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    assert!(output.status.success(), "{lines:?}: {}", String::from_utf8_lossy(&output.stderr));
    // pyplugin leaves the files with its certificate there.
    let sockets = fs::read_dir(test.path("tmp")).unwrap().flatten().map(|entry| entry.file_name());
    let sockets: Vec<_> = sockets.filter(|name| name.to_string_lossy().starts_with("plugin")).collect();
    assert!(sockets.is_empty(), "sockets are left: {sockets:?}");
    Some(lines)
}

const BOTH: [&[&str]; 2] = [&[], &["--mtls"]];

#[test]
fn all_calls_of_d7yfs_are_answered() {
    for options in BOTH {
        let test = TestEnv::new();
        let arguments: Vec<&str> = ["d7yfs", "d7yfs://h/x"].iter().chain(options).copied().collect();
        let Some(lines) = host(&test, "d7y-resource-plugin-d7yfs", &arguments) else { return };
        let download = format!("download: 11 bytes, sha256 {}", Digest::of_bytes(b"hello world"));
        let expected = [
            "version: 1",
            "init: d7yfs",
            "calls: 11 bytes, agree=True, expired=False",
            "list: UNIMPLEMENTED: its source cannot list",
            &download,
            "kill: in time, it is gone",
        ];
        assert_eq!(lines, expected);
    }
}

#[test]
fn all_calls_of_share_are_answered_and_a_download_is_cancelled_in_its_middle() {
    for options in BOTH {
        let test = TestEnv::new();
        let large = Content { seed: 5, size: 30_000_000 };
        fs::write(test.path("large"), large.bytes(0..large.size)).unwrap();
        let root = format!("root={}", test.root().display());
        let arguments: Vec<&str> =
            ["share", "share:///large", &root, "--cancel"].iter().chain(options).copied().collect();
        let Some(lines) = host(&test, "d7y-resource-plugin-share", &arguments) else { return };
        let download = format!("download: 30000000 bytes, sha256 {}", Digest::of_content(large));
        let expected = [
            "version: 1",
            "init: share",
            "calls: 30000000 bytes, agree=True, expired=False",
            "list: INVALID_ARGUMENT: this is a file and has no entries",
            &download,
            "cancel: done",
            &download,
            "kill: in time, it is gone",
        ];
        assert_eq!(lines, expected);
    }
}

#[test]
fn of_the_versions_that_a_host_knows_ours_is_taken_and_another_one_alone_is_told() {
    let test = TestEnv::new();
    let arguments = ["d7yfs", "d7yfs://h/x", "--versions", "1,2"];
    let Some(lines) = host(&test, "d7y-resource-plugin-d7yfs", &arguments) else { return };
    assert_eq!(lines[0], "version: 1");
    let arguments = ["d7yfs", "d7yfs://h/x", "--versions", "2"];
    let Some(lines) = host(&test, "d7y-resource-plugin-d7yfs", &arguments) else { return };
    let told = "failed: AppProtocolMismatch: plugin advertised version 1; client supports [2]";
    assert_eq!(lines, [told, "kill: in time, it is gone"]);
}
