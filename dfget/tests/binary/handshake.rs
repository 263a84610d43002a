//! Handshake lines with one wrong field each, and addresses that are not connected to.
//!
//! In each a socket is there, and listens: had dfget connected, the plugin would have said so, and be quoted.

use std::time::Duration;

use crate::harness::{TestEnv, skip};

const HINT: &str = "\n  hint: -vv shows the plugin's own log";

const SOCKET: &str = "ROOT/tmp/SOCKETS/plugin1";

fn refused(scheme: &str, fact: &str, hint: &str) {
    let run = TestEnv::new().get(&format!("{scheme}://h/file")).run();
    let words = format!("dfget: plugin d7y-resource-plugin-{scheme} {fact}{hint}");
    run.failed(13, &words).within(Duration::from_secs(1));
}

/// `line` is the one that the plugin wrote.
fn wrong_field(scheme: &str, field: &str, line: &str) {
    let line = line.replace("SOCKET", SOCKET);
    refused(scheme, &format!("wrote a wrong handshake: {field} (the line: `{line}`)"), HINT);
}

#[test]
fn a_line_of_too_few_or_too_many_fields_is_counted() {
    let field = |count| format!("the line has {count} fields separated by `|`, where 5 to 7 are expected");
    wrong_field("fields3", &field(3), "1|1|unix");
    wrong_field("fields8", &field(8), "1|1|unix|SOCKET|grpc||false|8");
}

#[test]
fn another_core_version_names_both() {
    let field = "field 1, the core protocol version, is `2`, where this host speaks 1";
    wrong_field("core2", field, "2|1|unix|SOCKET|grpc|");
}

#[test]
fn a_version_that_is_no_number_is_quoted() {
    let field = |value| format!("field 2, the application protocol version, is `{value}`, which is no version number");
    wrong_field("overflow", &field("4294967296"), "1|4294967296|unix|SOCKET|grpc|");
    let nines = "99999999999999999999999999999999";
    wrong_field("endless-number", &field(nines), &format!("1|{nines}|unix|SOCKET|grpc|"));
    wrong_field("signed", &field("+1"), "1|+1|unix|SOCKET|grpc|");
    wrong_field("escaped-field", &field(r"\u{1b}[2J"), r"1|\u{1b}[2J|unix|SOCKET|grpc|");
}

#[test]
fn spaces_in_a_field_are_refused() {
    let run = TestEnv::new().get("spaces://h/file").run();
    run.failed_saying(13, &["field 2, the application protocol version", "(the line: `1| 1 |unix|"]);
    let run = TestEnv::new().get("space-address://h/file").run();
    run.failed_saying(13, &["field 4, the address", "which is no address"]);
}

#[test]
fn another_protocol_version_names_both_and_who_is_old() {
    let fact = |theirs| format!("speaks protocol version {theirs}, where this dfget speaks 1");
    refused("version2", &fact(2), "\n  hint: update dfget");
    refused("version0", &fact(0), "\n  hint: update the plugin");
}

#[test]
fn netrpc_is_named_as_what_it_is() {
    let field = "field 5, the protocol, is `netrpc`, where this host speaks `grpc` only";
    wrong_field("netrpc", field, "1|1|unix|SOCKET|netrpc|");
    // Before there was a fifth field.
    wrong_field("fields4", field, "1|1|unix|SOCKET");
}

#[test]
fn an_unknown_network_is_quoted() {
    wrong_field("npipe", "field 3, the network, is `npipe`, where `unix` is expected", "1|1|npipe|SOCKET|grpc|");
}

#[test]
fn an_empty_address_is_no_address() {
    wrong_field("no-address", "field 4, the address, is ``, which is no address", "1|1|unix||grpc|");
}

#[test]
fn multiplexing_is_true_or_false() {
    let field = "field 7, multiplexing, is `maybe`, where `true` or `false` is expected";
    wrong_field("multiplex", field, "1|1|unix|SOCKET|grpc||maybe");
}

#[test]
fn a_certificate_that_nobody_asked_for_is_refused() {
    refused("certificate", "answered a certificate that nobody asked for", HINT);
}

fn address_refused(scheme: &str, address: &str, reason: &str) {
    refused(scheme, &format!("listens on `{address}`, which is refused: {reason}"), HINT);
}

#[test]
fn tcp_without_tls_is_not_connected_to() {
    let run = TestEnv::new().get("tcp://h/file").run();
    run.failed_saying(13, &["answered no certificate, where TLS was asked for", "PLUGIN_CLIENT_CERT"]);
    assert!(!run.stderr.contains("somebody connected"), "{}", run.stderr);
}

#[test]
fn a_relative_address_is_not_connected_to() {
    address_refused("relative", "plugin1", "the path is relative");
}

#[test]
fn an_abstract_address_is_not_connected_to() {
    address_refused("abstract", "@plugin1", "an abstract socket is open to everybody on this machine");
}

#[test]
fn an_address_too_long_for_a_socket_is_not_connected_to() {
    let address = format!("ROOT/tmp/SOCKETS/{}", "x".repeat(107));
    address_refused("too-long", &address, "a socket's path has at most 107 bytes");
}

#[test]
fn an_address_outside_the_socket_directory_is_not_connected_to() {
    let reason = "it is not in PLUGIN_UNIX_SOCKET_DIR, ROOT/tmp/SOCKETS";
    address_refused("outside", "/run/plugin1", reason);
    address_refused("parent", "ROOT/tmp/SOCKETS/../SOCKETS/plugin1", reason);
}

#[test]
fn an_address_that_is_a_link_or_no_socket_is_not_connected_to() {
    address_refused("symlink", "ROOT/tmp/SOCKETS/link1", "it is no socket");
    address_refused("no-socket", "ROOT/tmp/SOCKETS/file1", "it is no socket");
    address_refused("missing", "ROOT/tmp/SOCKETS/plugin2", "No such file or directory (os error 2)");
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_of_another_user_is_not_connected_to() {
    if !rustix::process::geteuid().is_root() {
        return skip("a_socket_of_another_user_is_not_connected_to", "only root can give a socket away");
    }
    address_refused("foreign-socket", SOCKET, "it belongs to user 54321");
    address_refused("foreign-peer", SOCKET, "user 54321 listens there");
}
