//! Downloads whose bytes lie in memory that dfget shares with the plugin.

use std::time::Duration;

use faultplug::Content;

use crate::harness::{Digest, Run, TestEnv};

/// All of these fit into the memory.
fn run(query: &str) -> Run {
    TestEnv::new().get(&format!("shared-memory://h/file?size=3000000&{query}")).run()
}

#[test]
fn bytes_that_lie_in_shared_memory_are_a_file() {
    run("memory=good").succeeded();
}

#[test]
fn the_sdk_shares_memory_for_what_is_large_and_uses_it_again() {
    let test = TestEnv::new();
    for (size, shared) in [(16 * 1024 * 1024 - 1, false), (16 * 1024 * 1024, true), (40_000_000, true)] {
        for arguments in [&["-vv", "--overwrite"][..], &["-vv", "--overwrite", "-n", "2", "--piece-length", "17M"]] {
            let run = test.get(&format!("good://h/file?size={size}")).args(arguments).run();
            assert!(run.is_success(), "{}", run.stderr);
            assert_eq!(run.stderr.contains("comes on shared memory and data socket"), shared, "{}", run.stderr);
        }
    }
    test.get("good://h/file?size=40000000").stream("-").run().succeeded();
}

#[test]
fn a_plugin_that_dies_while_it_shares_memory_is_restarted_and_goes_on_at_the_byte() {
    let test = TestEnv::new();
    let deaths = test.path("deaths");
    let url = format!("shared-memory://h/file?size=3000000&memory=die&at=1234567&deaths={}", deaths.display());
    // So that the plugin may count.
    let run = test.get(&url).args(&["--sandbox", "off"]).run();
    run.succeeded_saying(
        " WARN plugin d7y-resource-plugin-shared-memory exited with status 3; it is restarted in 0.2 s",
    );
    assert_eq!(std::fs::read(&deaths).unwrap(), b"x");
}

#[test]
fn memory_that_nobody_offered_is_not_shared() {
    let fact = "it wants to share memory, and nobody has asked for that";
    TestEnv::new().get("data-sockets://h/file?size=3000000&memory=good").run().broke_the_protocol(fact, 0);
    run("memory=no-socket").broke_the_protocol("it wants to share memory, and names no data socket", 0);
}

#[test]
fn bytes_that_are_not_in_the_memory_are_not_looked_for() {
    for (kind, fact, right) in [
        ("outside", "it tells of 4194304 bytes at 1 of 4194304 bytes of shared memory", 1_000_000),
        ("empty", "it tells of 0 bytes at 0 of 4194304 bytes of shared memory", 1_000_000),
        ("long", "it sends more than 3000000 bytes, which is all that it should", 3_000_000),
    ] {
        run(&format!("memory={kind}&at=1000000")).broke_the_protocol(fact, right);
    }
}

#[test]
fn fewer_bytes_in_shared_memory_than_announced_are_no_file() {
    for kind in ["short", "half"] {
        run(&format!("memory={kind}&at=1000000")).failed_saying(30, &["got 1000000 bytes, expected 3000000"]);
    }
}

#[test]
fn memory_that_is_shared_cannot_be_made_shorter() {
    run("memory=truncates&at=1000000").succeeded();
}

#[test]
fn shared_memory_of_which_nothing_is_told_is_a_stall() {
    let url = "shared-memory://h/file?size=3000000&memory=silent&at=1000000";
    let run = TestEnv::new().get(url).args(&["--speed-time", "500ms"]).last().run();
    run.failed_saying(16, &["nothing came for 500ms"]).within(Duration::from_secs(6));
}

/// What is hashed is what is written, whatever the plugin does meanwhile.
#[test]
fn bytes_that_change_while_they_are_read_never_pass_for_those_of_the_digest() {
    let test = TestEnv::new();
    let digest = format!("sha256:{}", Digest::of_content(Content { seed: 1, size: 100_000 }));
    for _ in 0..32 {
        let get = test.get("shared-memory://h/file?size=100000&memory=rewrites");
        // Of bytes that are wrong there is no file: the harness looks at one that there is.
        let run = get.args(&["--digest", &digest, "--overwrite"]).run();
        assert!(matches!(run.code(), Some(0 | 30)), "{}", run.stderr);
    }
}
