//! The life of a plugin as any host sees it: environment, handshake line, and the ways in which it ends.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use plugin_proto::{
    environment as names,
    handshake::{Address, Handshake},
};
use rustix::process::{Pid, Signal, kill_process};

/// For whatever must end, on the slowest machine.
const LONG: Duration = Duration::from_secs(20);

/// A plugin that was started by a host, and the line it wrote.
struct Started {
    child: Child,
    handshake: Handshake,
    socket_dir: tempfile::TempDir,
}

fn command(socket_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_d7y-resource-plugin-d7yfs"));
    command
        .env(names::COOKIE_NAME, names::COOKIE_VALUE)
        .env(names::PROTOCOL_VERSIONS, "1")
        .env(names::SOCKET_DIR, socket_dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(adapt: impl FnOnce(&mut Command)) -> Started {
    let socket_dir = tempfile::tempdir().unwrap();
    let mut command = command(socket_dir.path());
    adapt(&mut command);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    Started { child, handshake: line.trim_end_matches('\n').parse().expect(&line), socket_dir }
}

impl Started {
    fn socket(&self) -> PathBuf {
        let Address::Unix(path) = &self.handshake.address else { panic!("{:?}", self.handshake) };
        PathBuf::from(path)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, and looks that nothing is left of it.
    fn ends_cleanly(mut self) {
        let status = ended(&mut self.child);
        assert!(status.success(), "{status}");
        let left: Vec<_> = fs::read_dir(self.socket_dir.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn ended(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the plugin does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn run_by_hand_it_explains_itself() {
    let output = Command::new(env!("CARGO_BIN_EXE_d7y-resource-plugin-d7yfs")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("This binary is a plugin. These are not meant to be executed directly.\n"), "{text}");
    assert!(text.contains("\nWith --debug it serves all the same"), "{text}");
}

/// A plugin that no host ends. It goes with this, also where a test fails.
struct ByHand(Child);

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

/// Started by its author, with nothing of a host's in its environment but what `adapt` adds; and the line it wrote.
fn start_by_hand(directory: &Path, adapt: impl FnOnce(&mut Command)) -> (ByHand, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_d7y-resource-plugin-d7yfs"));
    command.arg("--debug").env_clear().env("TMPDIR", directory);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    adapt(&mut command);
    let mut plugin = ByHand(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(plugin.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (plugin, line)
}

/// Of the line the part that dfget is told, as a shell reads it.
fn reattach(line: &str) -> serde_json::Value {
    let assigned = line.strip_prefix("DFGET_REATTACH_PLUGINS=").expect(line);
    let shell = Command::new("sh").args(["-c", &format!("printf %s {assigned}")]).output().unwrap();
    serde_json::from_slice(&shell.stdout).expect(line)
}

#[test]
fn with_debug_it_serves_by_hand_and_says_where_until_ctrl_c_or_sigterm() {
    for signal in [Signal::INT, Signal::TERM] {
        let directory = tempfile::Builder::new().prefix("it's ").tempdir().unwrap();
        let (mut plugin, line) = start_by_hand(directory.path(), |command| {
            // What a host would say counts for nothing.
            command.env(names::CLIENT_CERT, "none").env(names::LIFE_LINE, names::LIFE_LINE_STDIN);
            command.stdin(Stdio::piped());
        });
        let told = reattach(&line);
        let config = &told["d7yfs"];
        assert_eq!(config["Pid"], plugin.0.id());
        let other = ["Protocol", "ProtocolVersion", "Test"].map(|key| config[key].to_string());
        assert_eq!(
            (other, &config["Addr"]["Network"]),
            (["\"grpc\"".into(), "1".into(), "true".into()], &"unix".into())
        );
        drop(plugin.0.stdin.take());
        let socket = PathBuf::from(config["Addr"]["String"].as_str().unwrap());
        let private = socket.parent().unwrap().metadata().unwrap();
        assert_eq!(private.permissions().mode() & 0o777, 0o700);
        std::os::unix::net::UnixStream::connect(&socket).unwrap();
        assert!(plugin.0.try_wait().unwrap().is_none());
        kill_process(Pid::from_child(&plugin.0), signal).unwrap();
        assert!(ended(&mut plugin.0).success());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "its directory goes with it");
        let mut text = String::new();
        plugin.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(text.starts_with("This plugin runs for debugging, until Ctrl-C."), "{text}");
    }
}

#[test]
fn by_hand_it_listens_in_the_directory_that_is_named() {
    let (temporary, named) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut plugin, line) = start_by_hand(temporary.path(), |command| {
        command.env(names::SOCKET_DIR, named.path());
    });
    let socket = reattach(&line)["d7yfs"]["Addr"]["String"].as_str().map(PathBuf::from).unwrap();
    assert_eq!(socket.parent(), Some(named.path()));
    kill_process(Pid::from_child(&plugin.0), Signal::TERM).unwrap();
    assert!(ended(&mut plugin.0).success() && !socket.exists() && named.path().exists());
}

#[test]
fn a_host_is_obeyed_whatever_the_arguments() {
    let started = start(|command| {
        command.arg("--debug");
    });
    assert_eq!(started.socket().parent(), Some(started.socket_dir.path()));
    started.signal(Signal::TERM);
    started.ends_cleanly();
}

#[test]
fn it_listens_where_its_line_says_and_the_host_wanted() {
    let mut started = start(|_| {});
    assert_eq!(started.handshake.app_version, 1);
    assert_eq!((&started.handshake.certificate, started.handshake.multiplex), (&None, None));
    assert_eq!(started.socket().parent(), Some(started.socket_dir.path()));
    assert!(started.socket().metadata().unwrap().file_type().is_socket());
    std::os::unix::net::UnixStream::connect(started.socket()).unwrap();
    started.child.kill().unwrap();
    started.child.wait().unwrap();
}

#[test]
fn it_ends_on_sigterm_and_takes_its_socket_along() {
    let started = start(|_| {});
    started.signal(Signal::TERM);
    started.ends_cleanly();
}

#[test]
fn it_ends_when_its_life_line_does() {
    let mut started = start(|command| {
        command.env(names::LIFE_LINE, names::LIFE_LINE_STDIN);
    });
    drop(started.child.stdin.take());
    started.ends_cleanly();
}

#[test]
fn it_outlives_a_stdin_that_is_no_life_line_and_a_ctrl_c() {
    let mut started = start(|command| {
        command.stdin(Stdio::null());
    });
    started.signal(Signal::INT);
    // It still accepts: the signal has been delivered by the time a later one ends it.
    std::os::unix::net::UnixStream::connect(started.socket()).unwrap();
    assert!(started.child.try_wait().unwrap().is_none());
    started.signal(Signal::TERM);
    started.ends_cleanly();
}

#[test]
fn it_answers_a_host_that_asks_for_multiplexing_or_for_another_version() {
    for (name, value, line_end) in
        [(names::MULTIPLEX_GRPC, "true", "|grpc||false"), (names::PROTOCOL_VERSIONS, "7,9", "|grpc|")]
    {
        let started = start(|command| {
            command.env(name, value);
        });
        assert!(started.handshake.to_string().ends_with(line_end), "{}", started.handshake);
        assert_eq!(started.handshake.app_version, 1);
        started.signal(Signal::TERM);
        started.ends_cleanly();
    }
}

#[test]
fn a_host_whose_certificate_is_none_is_told_so() {
    let socket_dir = tempfile::tempdir().unwrap();
    let mut child = command(socket_dir.path()).env(names::CLIENT_CERT, "-----BEGIN CERTIFICATE-----").spawn().unwrap();
    assert_eq!(ended(&mut child).code(), Some(1));
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.stdout.unwrap().read_to_string(&mut stdout).unwrap();
    child.stderr.unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(stdout, "");
    let event: serde_json::Value = serde_json::from_str(&stderr).unwrap();
    assert!(event["@message"].as_str().unwrap().contains("PLUGIN_CLIENT_CERT is no certificate in PEM"), "{event}");
    assert!(event["@level"].is_string() && event["@timestamp"].is_string(), "{event}");
}

#[test]
fn a_directory_that_is_too_deep_for_a_socket_is_named() {
    let base = tempfile::tempdir().unwrap();
    let deep = base.path().join("x".repeat(100));
    fs::create_dir(&deep).unwrap();
    let output = command(&deep).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("longer than the 107 bytes") && text.contains(&*deep.to_string_lossy()), "{text}");
}
