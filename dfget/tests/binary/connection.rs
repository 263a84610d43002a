//! Behind a good handshake line: nobody, nobody who speaks gRPC, nobody who is what the file name says.

use std::time::Duration;

use crate::harness::{Run, TestEnv};

const SECOND: Duration = Duration::from_secs(1);

const LOG: &str = "\n  hint: -vv shows the plugin's own log";

fn run(scheme: &str) -> Run {
    let run = TestEnv::new().get(&format!("{scheme}://h/file")).args(&["--plugin-start-timeout", "1s"]).run();
    run.within(2 * SECOND);
    run
}

fn refused(scheme: &str, fact: &str, hint: &str) {
    run(scheme).failed(13, &format!("dfget: plugin d7y-resource-plugin-{scheme} {fact}{hint}"));
}

#[test]
fn a_socket_on_which_nothing_listens_is_told() {
    let fact = "cannot be reached after its handshake: Connection refused (os error 111)";
    refused("not-listening", fact, LOG);
}

#[test]
fn a_plugin_that_closes_the_connection_is_told() {
    run("closes").failed_saying(13, &["plugin d7y-resource-plugin-closes cannot be reached after its handshake: "]);
}

#[test]
fn a_plugin_that_never_answers_is_given_up() {
    refused("silent", "did not answer within 1s of its start", "\n  hint: --plugin-start-timeout waits longer");
    refused("no-init-answer", "did not answer within 1s of its start", "\n  hint: --plugin-start-timeout waits longer");
    let words = "\n  its last words: held\n  hint: --plugin-start-timeout waits longer";
    refused("held-at-init", "did not answer within 1s of its start", words);
}

#[test]
fn a_plugin_that_speaks_http_1_is_told() {
    run("http1").failed_saying(13, &["plugin d7y-resource-plugin-http1 cannot be reached after its handshake: "]);
}

#[test]
fn a_plugin_that_speaks_garbage_is_told() {
    run("garbage").failed_saying(13, &["plugin d7y-resource-plugin-garbage cannot be reached after its handshake: "]);
}

#[test]
fn a_plugin_that_does_not_serve_is_told() {
    refused("not-serving", "reports that it is not serving", LOG);
}

#[test]
fn a_plugin_without_a_health_service_works() {
    run("no-health").succeeded();
}

#[test]
fn a_plugin_of_another_kind_is_told() {
    let hint = "\n  hint: this is a plugin of another kind";
    refused("no-attributes", "has no attribute type, where `resource` is expected", hint);
    refused("wrong-type", "has the attribute type=`searcher`, where `resource` is expected", hint);
}

#[test]
fn a_plugin_under_another_name_names_both() {
    let hint = "\n  hint: a plugin serves the scheme that its file name, or --plugin, says: was it renamed?";
    refused("wrong-name", "has the attribute name=`other`, where `wrong-name` is expected", hint);
    refused("wrong-scheme", "has the attribute scheme=`other`, where `wrong-scheme` is expected", hint);
}

#[test]
fn a_plugin_without_the_service_broke_the_protocol() {
    run("no-service").failed_saying(15, &["plugin d7y-resource-plugin-no-service", "does not implement Init"]);
}

#[test]
fn a_plugin_that_refuses_its_options_is_quoted() {
    run("init-refuses").failed(24, "dfget: plugin d7y-resource-plugin-init-refuses: option `root` is missing");
}

#[test]
fn a_plugin_that_panics_at_its_options_is_quoted() {
    run("init-panics").failed_saying(24, &["plugin d7y-resource-plugin-init-panics", "panicked: no tape in the drive"]);
}

#[test]
fn a_plugin_that_ends_before_it_answers_is_quoted() {
    let words =
        ["plugin d7y-resource-plugin-init-exits exited with status 4", "its last words: the licence has expired"];
    run("init-exits").failed_saying(13, &words).within(SECOND);
}
