//! `DFGET_REATTACH_PLUGINS`: a plugin that runs already is used, and neither started nor ended.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::{fs::chown, net::UnixListener, net::UnixStream},
    thread,
    time::Duration,
};

use plugin_proto::environment::REATTACH;
use rustix::process::{Signal, geteuid};

use crate::harness::{ByHand, Dfget, TestEnv, not_allowed};

const URL: &str = "good://h/file?size=3000000";

/// A download that would find no other plugin.
fn get<'a>(test: &'a TestEnv, plugin: &ByHand, url: &str) -> Dfget<'a> {
    test.get_as_is(url).env(REATTACH, &plugin.variable)
}

/// The variable for a plugin `good` that listens there.
fn at(network: &str, address: &str) -> String {
    serde_json::json!({ "good": {
        "Protocol": "grpc", "ProtocolVersion": 1, "Pid": 4711, "Test": true,
        "Addr": { "Network": network, "String": address },
    } })
    .to_string()
}

#[test]
fn a_plugin_that_runs_is_used_by_one_dfget_after_the_other_and_ended_by_none() {
    let test = TestEnv::new();
    let mut plugin = ByHand::start(&test, "good");
    let words = plugin.words("good");
    get(&test, &plugin, URL).run().succeeded_saying(&words);
    test.dfget(&["plugin"]).env(REATTACH, &plugin.variable).run().succeeded();
    get(&test, &plugin, "good://h/other?size=5").output("other").run().succeeded_saying(&words);
    assert!(plugin.is_alive());
    plugin.signal(Signal::INT);
    assert!(plugin.ends());
}

#[test]
fn two_dfgets_use_it_at_once() {
    let (test, other) = (TestEnv::new(), TestEnv::new());
    let plugin = ByHand::start(&test, "good");
    let url = "good://h/file?size=9000&wait-at=5000&millis=300";
    let first = get(&test, &plugin, url).start();
    first.wait_for_bytes(5000);
    get(&other, &plugin, URL).run().succeeded_saying(&plugin.words("good"));
    first.finish().succeeded_saying(&plugin.words("good"));
}

#[test]
fn it_outlives_a_dfget_that_is_interrupted_or_killed() {
    let test = TestEnv::new();
    let mut plugin = ByHand::start(&test, "good");
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let mut dfget = get(&test, &plugin, "good://h/file?size=9000&hold-at=5000").last().start();
        dfget.wait_for_words("is used");
        dfget.signal(signal);
        dfget.finish().ended_by(signal);
        get(&test, &plugin, "good://h/other?size=5")
            .output("other")
            .arg("--overwrite")
            .run()
            .succeeded_saying(&plugin.words("good"));
    }
    assert!(plugin.is_alive());
}

#[test]
fn one_that_is_gone_is_told_and_no_other_is_started() {
    let test = TestEnv::new();
    let mut plugin = ByHand::start(&test, "good");
    let (words, pid, socket) = (plugin.words("good"), plugin.pid(), plugin.socket());
    // It would be found.
    test.install("good");
    let told = |reason: &str| {
        format!(
            "{words}
dfget: plugin d7y-resource-plugin-good does not answer as process {pid} at unix:{socket}, where {REATTACH} has it: {reason}
  hint: start it again with --debug, and set the variable to the line that it prints"
        )
    };
    plugin.signal(Signal::KILL);
    plugin.ends();
    get(&test, &plugin, URL).run().failed(13, &told("Connection refused (os error 111)"));
    fs::remove_file(&socket).unwrap();
    get(&test, &plugin, URL).run().failed(13, &told("No such file or directory (os error 2)"));
    let run = test.dfget(&["plugin", "info", "good"]).env(REATTACH, &plugin.variable).run();
    run.failed_saying(13, &["does not answer as process"]);
}

#[test]
fn one_that_dies_in_a_download_is_told_and_not_started_again() {
    let test = TestEnv::new();
    let plugin = ByHand::start(&test, "good");
    let url = "good://h/file?size=900000&die-at=70000";
    test.install("good");
    let run = get(&test, &plugin, url).tries(5).run();
    let words = "dfget: plugin d7y-resource-plugin-good is gone while it served good://h/file?size=***&die-at=*** at byte 70000
  hint: dfget does not start what DFGET_REATTACH_PLUGINS names: start it again with --debug, and set the variable to the line that it prints";
    run.failed(14, &format!("{}\n{words}", plugin.words("good")));
    assert!(run.part.is_some());
}

#[test]
fn one_that_somebody_else_ends_in_a_download_is_told() {
    let test = TestEnv::new();
    let mut plugin = ByHand::start(&test, "good");
    let dfget = get(&test, &plugin, "good://h/file?size=9000&hold-at=5000").start();
    dfget.wait_for_bytes(5000);
    plugin.signal(Signal::TERM);
    dfget.finish().failed_saying(14, &["is gone while it served good://h/file", "at byte 5000"]);
    assert!(plugin.ends());
}

#[test]
fn it_wins_over_a_file_and_over_an_in_tree_source() {
    let test = TestEnv::new();
    let (good, http) = (ByHand::start(&test, "good"), ByHand::start(&test, "http"));
    test.write_plugin("good", "#!/bin/sh\nexit 3\n");
    get(&test, &good, URL).run().succeeded_saying(&good.words("good"));
    get(&test, &http, "http://h/file?size=7").output("seven").run().succeeded_saying(&http.words("http"));
}

#[test]
fn it_is_listed_as_attached() {
    let test = TestEnv::new();
    let plugin = ByHand::start(&test, "good");
    test.install("good");
    let shown = |arguments: &[&str]| {
        let run = test.dfget(arguments).env(REATTACH, &plugin.variable).run();
        run.succeeded().stdout().to_owned()
    };
    let (pid, socket) = (plugin.pid(), plugin.socket());
    let list = shown(&["plugin"]);
    let attached = format!("resource plugin good, location: attached to process {pid} at unix:{socket}, attribute: {{");
    assert!(list.contains(&attached), "{list}");
    let shadowed = "resource plugin good, location: d7y-resource-plugin-good, shadowed by one that runs already\n";
    assert!(list.contains(shadowed), "{list}");
    let info = shown(&["plugin", "info", "good"]);
    assert!(
        info.starts_with(&format!("name:      good\nattached:  to process {pid} at unix:{socket}\nprotocol:  1\n"))
    );
    assert!(info.contains("sandbox:   not of dfget's making: it was started by somebody else\n"), "{info}");
    let json: serde_json::Value = serde_json::from_str(&shown(&["plugin", "info", "good", "--json"])).unwrap();
    let place = serde_json::json!({ "pid": pid, "address": format!("unix:{socket}") });
    assert_eq!((&json["location"], &json["attached"]), (&"attached".into(), &place));
    let json: serde_json::Value = serde_json::from_str(&shown(&["plugin", "--json"])).unwrap();
    assert_eq!(json["plugins"][0]["attached"], place);
}

#[test]
fn what_is_locked_is_the_file_and_not_what_runs() {
    let test = TestEnv::new();
    let plugin = ByHand::start(&test, "good");
    test.install("good");
    let path = test.path("lock").display().to_string();
    let run = test.dfget(&["plugin", "lock", "--plugin-lock-file", &path]).env(REATTACH, &plugin.variable).run();
    run.succeeded();
    assert!(fs::read_to_string(path).unwrap().contains("good"));
}

#[test]
fn a_variable_that_makes_no_sense_is_told_with_its_position() {
    let test = TestEnv::new();
    let words = "\
dfget: DFGET_REATTACH_PLUGINS: key must be a string at line 1 column 2
  hint: it is what a plugin prints that was started with --debug; docs/DEBUGGING.md shows it";
    test.get(URL).env(REATTACH, "{good:{}}").run().failed(2, words);
    test.get(URL).env(REATTACH, "").output("other").run().succeeded();
}

#[test]
fn a_plugin_of_another_version_or_for_another_scheme_is_refused() {
    let test = TestEnv::new();
    let plugin = ByHand::start(&test, "good");
    let newer = plugin.variable.replace("\"ProtocolVersion\":1", "\"ProtocolVersion\":2");
    test.get_as_is(URL).env(REATTACH, newer).run().failed_saying(13, &["speaks protocol version 2"]);
    let other = plugin.variable.replace("\"good\"", "\"other\"");
    let run = test.get_as_is("other://h/file").env(REATTACH, other).run();
    run.failed_saying(13, &["has the attribute name=`good`, where `other` is expected"]);
}

#[test]
fn a_socket_of_another_user_is_not_spoken_to() {
    let test = TestEnv::new();
    if !geteuid().is_root() {
        return not_allowed("a_socket_of_another_user_is_not_spoken_to", "it needs the rights of root");
    }
    let socket = test.path("work/socket");
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    crate::harness::set_mode(&socket, 0o777);
    let variable = at("unix", &socket.display().to_string());
    let get = || test.get_as_is(URL).env(REATTACH, &variable).last().unprivileged().run();
    get().failed_saying(13, &["which is refused: it belongs to user 0"]);
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    chown(&socket, Some(65_534), None).unwrap();
    get().failed_saying(13, &["which is refused: user 0 listens there"]);
    assert_eq!(listener.accept().unwrap().0.read(&mut [0]).unwrap(), 0);
}

#[test]
fn what_is_no_socket_is_not_spoken_to() {
    let test = TestEnv::new();
    for (path, why) in [("@abstract", "open to everybody"), ("socket", "is relative"), ("/dev/null", "it is no socket")]
    {
        let run = test.get_as_is(URL).env(REATTACH, at("unix", path)).last().run();
        run.failed_saying(13, &["which is refused: ", why]);
    }
}

/// Copies what comes from one end to the other, both ways.
fn relay(near: TcpStream, far: UnixStream) {
    let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let up = thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (far, near);
    let _ = io::copy(&mut from, &mut to);
    let _ = (to.flush(), to.shutdown(Shutdown::Both));
    up.join().unwrap();
}

#[test]
fn on_tcp_it_is_one_of_the_loopback_interface() {
    let test = TestEnv::new();
    let plugin = ByHand::start(&test, "good");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, socket) = (listener.local_addr().unwrap().to_string(), plugin.socket());
    let relayed = thread::spawn(move || relay(listener.accept().unwrap().0, UnixStream::connect(socket).unwrap()));
    test.get_as_is(URL).env(REATTACH, at("tcp", &address)).last().run().succeeded_saying(&format!(
        " WARN good: the plugin that runs as process 4711 at tcp:{address} is used, as {REATTACH} says"
    ));
    relayed.join().unwrap();
    let run = test.get_as_is(URL).env(REATTACH, at("tcp", "192.0.2.1:9")).output("other").last().run();
    run.failed_saying(13, &["listens on `192.0.2.1:9`, which is refused: it is no loopback address"]);
}

#[test]
fn one_that_a_debugger_has_stopped_is_waited_for() {
    let test = TestEnv::new();
    let plugin = ByHand::start(&test, "good");
    plugin.signal(Signal::STOP);
    let dfget = get(&test, &plugin, URL).args(&["--plugin-start-timeout", "100ms"]).start();
    let words = " WARN plugin d7y-resource-plugin-good has not answered in 100ms: a debugger may have stopped it, so dfget waits on";
    dfget.wait_for_words(words);
    plugin.signal(Signal::CONT);
    let run = dfget.finish();
    run.succeeded_saying(&format!("{}\n{words}", plugin.words("good"))).no_sooner_than(Duration::from_millis(100));
}

#[test]
fn what_a_debugger_stops_may_take_its_time_unless_the_user_says_otherwise() {
    let test = TestEnv::new();
    let plugin = ByHand::start(&test, "good");
    let shown = |arguments: &[&str], name: &str, value: &str| {
        let run = test.dfget(arguments).arg("config").env(REATTACH, &plugin.variable).env(name, value).run();
        run.succeeded().stdout().lines().filter(|line| line.contains("-time")).map(str::to_owned).collect::<Vec<_>>()
    };
    let has = |lines: &[String], line: &str| assert!(lines.iter().any(|shown| shown.starts_with(line)), "{lines:?}");
    let lines = shown(&[], "UNUSED", "");
    has(&lines, "speed-time = 0                    # DFGET_REATTACH_PLUGINS");
    has(&lines, "plugin-hang-timeout = 0           # DFGET_REATTACH_PLUGINS");
    has(&shown(&["--speed-time", "5"], "UNUSED", ""), "speed-time = 5                    # command line");
    has(&shown(&[], "DFGET_SPEED_TIME", "6"), "speed-time = 6                    # DFGET_SPEED_TIME");
    let url = "good://h/file?size=9000&hold-at=5000";
    let run = get(&test, &plugin, url).args(&["--speed-time", "300ms"]).run();
    run.failed_saying(16, &["stalled"]);
}
