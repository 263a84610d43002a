//! AutoMTLS where it is not a matter of course: plugins on TCP, and those that do not do what they were asked.

use std::time::Duration;

use rustix::process::Signal;

use crate::{harness::TestEnv, programs::with_go_plugin};

const SECOND: Duration = Duration::from_secs(1);

const HINT: &str = "\n  hint: -vv shows the plugin's own log";

fn odd(name: &str) -> Option<TestEnv> {
    with_go_plugin("odd", name)
}

fn refused(name: &str, options: &[&str], fact: &str, hint: &str) {
    let Some(test) = odd(name) else { return };
    let run = test.get(&format!("{name}://h/file")).args(options).run();
    run.failed_saying(13, &[&format!("dfget: plugin d7y-resource-plugin-{name} {fact}"), hint]).within(3 * SECOND);
}

#[test]
fn a_plugin_on_tcp_is_asked_for_tls_and_serves() {
    for options in [&[][..], &["--plugin-mtls"]] {
        let Some(test) = odd("tcp") else { return };
        test.get("tcp://h/file?size=5000000").args(options).run().succeeded();
    }
}

#[test]
fn a_plugin_on_tcp_that_is_killed_is_started_again_in_tls() {
    let Some(test) = odd("tcp") else { return };
    let limits = ["--limit-rate=30M", "--connections=1", "-v"];
    let mut dfget = test.get("tcp://h/file?size=20000000").args(&limits).start();
    dfget.wait_for_bytes(2_000_000);
    dfget.signal_plugin(Signal::KILL);
    let run = dfget.finish();
    assert!(run.is_success(), "{}", run.stderr);
    assert!(run.stderr.contains("was killed by SIGKILL; it is restarted in 0.2 s"), "{}", run.stderr);
    assert_eq!(run.stderr.matches("serving from=0 ").count(), 1, "it began anew: {}", run.stderr);
}

#[test]
fn another_certificate_than_the_one_that_was_announced_is_refused() {
    let fact = "answered a wrong certificate: it is not the one that listens there";
    refused("tcp-another-certificate", &[], fact, HINT);
}

#[test]
fn an_address_that_is_not_of_this_machine_alone_is_not_connected_to() {
    refused("tcp-not-loopback", &[], "listens on `192.0.2.1:1`, which is refused: it is no loopback address", HINT);
    refused("tcp-by-name", &[], "listens on `localhost:", "which is refused: it is no IP address and port");
}

#[test]
fn a_plugin_that_ignores_that_it_was_asked_for_tls_is_refused() {
    let hint = "\n  hint: a plugin must obey PLUGIN_CLIENT_CERT; one on a Unix socket needs no --plugin-mtls";
    refused("no-certificate", &["--plugin-mtls"], "answered no certificate, where TLS was asked for", hint);
}
