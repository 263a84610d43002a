//! A Go program starts plugins that are made with the SDK, with go-plugin's `Client`, and does with them what it can do.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use faultplug::Content;
use rustix::process::{geteuid, getgid};

use crate::{
    harness::{Digest, TestEnv, program},
    programs::go,
};

const BOTH: [&[&str]; 2] = [&[], &["-mtls"]];

const ENDED: &str = "kill: gracefully, in time, exited=true, socket gone";

/// What a host wrote.
struct Heard {
    stdout: String,
    stderr: String,
    status: Option<i32>,
}

/// Starts a host in a place of its own, and sees that nothing and nobody is left of its plugin.
fn run(test: &TestEnv, host: &mut Command) -> Heard {
    host.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    host.env("HOME", test.path("home")).env("TMPDIR", test.path("tmp")).current_dir(test.path("work"));
    let output = host.output().expect("it is built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let alive: Vec<PathBuf> = processes_of(test.root());
    let heard = Heard { stdout: text(&output.stdout), stderr: text(&output.stderr), status: output.status.code() };
    assert!(alive.is_empty(), "processes are left: {alive:?}: {}", heard.stderr);
    heard
}

/// Who has this place in the environment.
fn processes_of(root: &Path) -> Vec<PathBuf> {
    let marker = root.as_os_str().as_encoded_bytes();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let environment = |process: &PathBuf| fs::read(process.join("environ")).unwrap_or_default();
    processes.filter(|process| environment(process).windows(marker.len()).any(|window| window == marker)).collect()
}

/// `plugin` gets `steps` done to it; `expected` is what comes of them.
fn host(test: &TestEnv, options: &[&str], plugin: &str, steps: &[&str]) -> Option<Heard> {
    let scheme = plugin.strip_prefix("d7y-resource-plugin-").unwrap_or("good");
    let mut host = Command::new(go("host")?);
    host.args(options)
        .args(["-scheme", scheme])
        .arg(test.install_into("plugins", &program(plugin), scheme))
        .args(steps);
    Some(run(test, &mut host))
}

impl Heard {
    fn is(&self, expected: &[&str]) -> &Self {
        let lines: Vec<&str> = self.stdout.lines().collect();
        assert_eq!((lines, self.status), (expected.to_vec(), Some(0)), "{}", self.stderr);
        self
    }

    fn left_nothing(&self, test: &TestEnv) {
        let left: Vec<_> = fs::read_dir(test.path("tmp")).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert!(left.is_empty(), "in TMPDIR are left {left:?}: {}", self.stderr);
    }

    fn failed(&self, expected: &[&str]) {
        let lines: Vec<&str> = self.stdout.lines().collect();
        assert_eq!((lines, self.status), (expected.to_vec(), Some(1)), "{}", self.stderr);
    }
}

#[test]
fn all_calls_of_d7yfs_are_answered() {
    let whole = Digest::of_bytes(b"hello world");
    for options in BOTH {
        let test = TestEnv::new();
        let steps =
            ["version", "ping", "describe", "init", "calls=d7yfs://h/x", "list=d7yfs://h/", "download=d7yfs://h/x"];
        let Some(heard) = host(&test, options, "d7y-resource-plugin-d7yfs", &steps) else { return };
        heard.is(&[
            "version: 1",
            "ping: pong",
            "describe: resource d7yfs",
            "init: d7yfs",
            "calls: 11 bytes, ranges=true, agree=true, expired=false, of another version expired=true",
            "list: Unimplemented: its source cannot list",
            &format!("download: 11 bytes, sha256 {whole}"),
            ENDED,
        ]);
        heard.left_nothing(&test);
    }
}

/// A directory for `share` with a large file in it, and how a host names it.
fn shared(test: &TestEnv) -> (Digest, String) {
    let root = test.path("root");
    fs::create_dir(&root).unwrap();
    let large = Content { seed: 5, size: 30_000_000 };
    fs::write(root.join("large"), large.bytes(0..large.size)).unwrap();
    fs::write(root.join("small"), "hi\n").unwrap();
    (Digest::of_content(large), format!("-option=root={}", root.display()))
}

#[test]
fn all_calls_of_share_are_answered_and_a_download_is_cancelled_in_its_middle() {
    for options in BOTH {
        let test = TestEnv::new();
        let (digest, root) = shared(&test);
        let steps = [
            "init",
            "calls=share:///large",
            "list=share:///",
            "download=share:///large",
            "download=share:///none",
            "cancel=share:///large",
            "download=share:///large",
        ];
        let options: Vec<&str> = options.iter().copied().chain([&*root]).collect();
        let Some(heard) = host(&test, &options, "d7y-resource-plugin-share", &steps) else { return };
        let download = format!("download: 30000000 bytes, sha256 {digest}");
        heard.is(&[
            "init: share",
            "calls: 30000000 bytes, ranges=true, agree=true, expired=false, of another version expired=true",
            "list: large small",
            &download,
            &format!("download: NotFound: there is no {}/root/none", test.root().display()),
            "cancel: let go",
            &download,
            ENDED,
        ]);
        heard.left_nothing(&test);
    }
}

#[test]
fn a_plugin_ends_in_time_with_a_download_open_that_nobody_reads() {
    for options in BOTH {
        let test = TestEnv::new();
        let (_, root) = shared(&test);
        let options: Vec<&str> = options.iter().copied().chain([&*root]).collect();
        let Some(heard) = host(&test, &options, "d7y-resource-plugin-share", &["init", "hold=share:///large"]) else {
            return;
        };
        heard.is(&["init: share", "hold: open", ENDED]).left_nothing(&test);
    }
}

/// As a Go program does after half an hour without a call.
#[test]
fn a_host_that_let_its_connection_go_dials_again() {
    for options in BOTH {
        let test = TestEnv::new();
        let steps = ["init", "redial=d7yfs://h/x", "ping", "redial=d7yfs://h/x"];
        let Some(heard) = host(&test, options, "d7y-resource-plugin-d7yfs", &steps) else { return };
        let again = "redial: 11 bytes, dialled again=true";
        heard.is(&["init: d7yfs", again, "ping: pong", again, ENDED]).left_nothing(&test);
    }
}

#[test]
fn another_client_reattaches_to_a_plugin_that_runs() {
    let test = TestEnv::new();
    let steps = ["init", "reattach", "download=d7yfs://h/x"];
    let Some(heard) = host(&test, &[], "d7y-resource-plugin-d7yfs", &steps) else { return };
    let download = format!("download: 11 bytes, sha256 {}", Digest::of_bytes(b"hello world"));
    heard.is(&["init: d7yfs", "reattach: pong", &download, ENDED]).left_nothing(&test);
}

#[test]
fn of_the_versions_that_a_host_knows_ours_is_taken() {
    for (versions, lines) in [("1,2", ["version: 1", ENDED]), ("7,1,3", ["version: 1", ENDED])] {
        let test = TestEnv::new();
        let options = ["-versions", versions];
        let Some(heard) = host(&test, &options, "d7y-resource-plugin-d7yfs", &["version"]) else { return };
        heard.is(&lines);
    }
}

#[test]
fn a_socket_belongs_to_the_group_that_the_host_names() {
    // Others than root may name groups of theirs alone.
    let group = if geteuid().is_root() { 54_321 } else { getgid().as_raw() };
    let test = TestEnv::new();
    let options = ["-group", &group.to_string()];
    let Some(heard) = host(&test, &options, "d7y-resource-plugin-d7yfs", &["socket", "ping"]) else { return };
    heard.is(&[&format!("socket: Srw-rw----, group {group}"), "ping: pong", ENDED]).left_nothing(&test);
}

/// go-plugin ends whom it refuses with SIGKILL.
const REFUSED: &str = "kill: by SIGKILL, in time, exited=true, socket unknown";

#[test]
fn a_host_that_knows_a_newer_version_alone_says_so() {
    let test = TestEnv::new();
    let Some(heard) = host(&test, &["-versions", "2"], "d7y-resource-plugin-d7yfs", &["ping"]) else { return };
    heard.failed(&[REFUSED, "failed: incompatible API version with plugin. Plugin version: 1, Client versions: [2]"]);
}

#[test]
fn multiplexing_of_the_broker_is_refused_in_the_handshake() {
    for options in BOTH {
        let test = TestEnv::new();
        let options: Vec<&str> = options.iter().copied().chain(["-multiplex"]).collect();
        let Some(heard) = host(&test, &options, "d7y-resource-plugin-d7yfs", &["ping"]) else { return };
        let why = "failed: client requested gRPC broker multiplexing but plugin does not support the feature";
        heard.failed(&[REFUSED, why]);
    }
}

#[test]
fn what_the_code_of_a_plugin_prints_reaches_the_host() {
    let test = TestEnv::new();
    let steps = ["init", "download=good://h/file?size=10&print-lines=2", "printed=2"];
    let Some(heard) = host(&test, &[], "faultplug", &steps) else { return };
    let printed = heard.stdout.lines().find(|line| line.starts_with("printed: "));
    assert!(printed.is_some_and(|text| text.matches(r"\n").count() == 2), "{}{}", heard.stdout, heard.stderr);
}

/// At a line whose `@message`, `@level` or `@timestamp` is no string a Go host panics.
#[test]
fn nothing_that_a_plugin_logs_ends_a_go_host() {
    let test = TestEnv::new();
    let digest = Digest::of_content(Content { seed: 1, size: 10 });
    let steps = ["init", "download=good://h/file?size=10&log-like-hclog", "ping"];
    let Some(heard) = host(&test, &[], "faultplug", &steps) else { return };
    heard.is(&["init: good", &format!("download: 10 bytes, sha256 {digest}"), "ping: pong", ENDED]);
    let warning = "[WARN]  host.d7y-resource-plugin-good: the drive is empty:";
    let line = heard.stderr.lines().find(|line| line.starts_with(warning));
    assert!(line.is_some_and(|line| line.contains("tape=none")), "{}", heard.stderr);
}

#[test]
fn no_text_of_a_panic_ends_a_go_host() {
    let test = TestEnv::new();
    let text = r#"{"@level":5,"@message":["no tape in the drive"]}"#;
    let steps = ["init", "download=good://h/file?panic-like-hclog", "ping"];
    let Some(heard) = host(&test, &[], "faultplug", &steps) else { return };
    let refusal = format!("download: Internal: the plugin panicked: {text}");
    heard.is(&["init: good", &refusal, "ping: pong", ENDED]);
    let error = heard.stderr.lines().find(|line| line.starts_with("[ERROR] host.d7y-resource-plugin-good: panicked"));
    assert!(error.is_some(), "{}", heard.stderr);
}
