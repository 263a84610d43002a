//! Downloads whose bytes come on a socket of their own.

use std::time::Duration;

use crate::harness::{Digest, Run, TestEnv, program};

fn run(query: &str) -> Run {
    TestEnv::new().get(&format!("data-sockets://h/file?size=3000000&{query}")).run()
}

#[test]
fn bytes_that_come_on_a_socket_are_a_file() {
    for kind in ["good", "early-end"] {
        run(&format!("data={kind}")).succeeded();
    }
}

#[test]
fn a_plugin_that_dies_while_it_sends_is_restarted_and_goes_on_at_the_byte() {
    let test = TestEnv::new();
    let deaths = test.path("deaths");
    let url = format!("data-sockets://h/file?size=3000000&data=die&at=1234567&deaths={}", deaths.display());
    // So that the plugin may count.
    let run = test.get(&url).args(&["--sandbox", "off"]).run();
    run.succeeded_saying(
        " WARN plugin d7y-resource-plugin-data-sockets exited with status 3; it is restarted in 0.2 s",
    );
    assert_eq!(std::fs::read(&deaths).unwrap(), b"x");
}

/// A reason that comes before the first byte is the reason: not that the socket is gone meanwhile.
#[test]
fn a_body_that_fails_before_its_first_byte_is_told_as_it_failed() {
    for (query, code, words) in [
        ("good://h/file?size=3000000&fail-at=0", 20, "gone"),
        ("good://h/file?size=3000000&panic-at=0", 24, "no tape in the drive"),
        ("good://h/file?size=3000000&panic-at=70000", 24, "no tape in the drive"),
        ("data-sockets://h/file?size=3000000&data=fail-first", 20, "no tape"),
    ] {
        TestEnv::new().get(query).run().failed_saying(code, &[words]);
    }
}

#[test]
fn a_status_that_comes_before_the_end_of_the_socket_is_not_lost() {
    let url = "data-sockets://h/file?size=3000000&data=fail-late&at=1000000";
    TestEnv::new().get(url).run().failed_saying(24, &["the tape broke"]);
}

#[test]
fn fewer_bytes_than_announced_are_no_file() {
    run("data=short&at=1000000").failed_saying(30, &["got 1000000 bytes, expected 3000000"]);
}

#[test]
fn more_bytes_than_announced_are_not_written() {
    let fact = "it sends more than 3000000 bytes, which is all that it should";
    run("data=long").broke_the_protocol(fact, 3_000_000);
}

#[test]
fn a_socket_that_nobody_asked_for_is_not_connected_to() {
    let fact = "it names a data socket, and nobody has asked for that";
    TestEnv::new().get("raw://h/file?size=3000000&data=good").run().broke_the_protocol(fact, 0);
}

#[test]
fn what_belongs_to_a_data_socket_is_there_and_nothing_else() {
    for (kind, fact, right) in [
        ("chunk", "a chunk came, and the bytes come on a data socket", 3_000_000),
        ("no-length", "it names a data socket, and not how many bytes come there", 0),
        ("elsewhere", "its data socket is of no use: ", 0),
        ("nobody", "its data socket is of no use: ", 0),
    ] {
        run(&format!("data={kind}")).broke_the_protocol(fact, right);
    }
}

#[test]
fn a_data_socket_on_which_nothing_comes_is_a_stall() {
    let url = "data-sockets://h/file?size=3000000&data=silent&at=1000000";
    let run = TestEnv::new().get(url).args(&["--speed-time", "500ms"]).last().run();
    run.failed_saying(16, &["nothing came for 500ms"]).within(Duration::from_secs(6));
}

#[test]
fn a_plugin_with_tls_has_no_data_sockets() {
    let test = TestEnv::new();
    let file = test.path("shared/file");
    std::fs::create_dir(test.path("shared")).unwrap();
    std::fs::write(&file, vec![7; 3_000_000]).unwrap();
    test.install_into("plugins", &program("d7y-resource-plugin-share"), "share");
    let root = format!("root={}", test.path("shared").display());
    for (arguments, used) in [(&["-vv"][..], true), (&["-vv", "--plugin-mtls"], false)] {
        let get = test.get("share:///file").args(arguments).args(&["--opt", &root, "--overwrite"]);
        let run = get.expect(Digest::of_bytes(&[7; 3_000_000])).run();
        assert!(run.is_success(), "{}", run.stderr);
        assert_eq!(run.stderr.contains("comes on data socket"), used, "{}", run.stderr);
    }
}
