//! Handshakes that fail: against OpenSSL's server, which says so by an alert, where nginx answers with a status.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::authority::{Authority, Identity, expired, of_this_machine};
use crate::harness::{TestEnv, skip};

const HINT: &str = "\n  hint: credentials go by --opt key=value or -H 'Name: value', as the source has it";

/// One `openssl s_server`.
struct OpenSsl {
    process: Child,
    authority: String,
}

impl OpenSsl {
    /// `None` without OpenSSL; the port is the kernel's choice.
    fn start(identity: &Identity, arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert"]).arg(&identity.certificate);
        command.arg("-key").arg(&identity.key).args(arguments);
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = spawned.ok()?;
        let mut lines = BufReader::new(process.stdout.take()?).lines().map_while(Result::ok);
        let authority = lines.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned))?;
        Some(Self { process, authority })
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a client with this certificate is told.
fn told(arguments: &[&str], client: Option<&str>) -> Option<(Option<i32>, String)> {
    let test = TestEnv::new();
    let authority = Authority::new(&test, "authority");
    let ca = authority.file.to_str().unwrap();
    let server = authority.signs("server", &of_this_machine());
    let arguments = [arguments, &["-verify_return_error", "-CAfile", ca]].concat();
    let server = OpenSsl::start(&server, &arguments)?;
    let client = client.map(|kind| match kind {
        "expired" => authority.signs("client", &expired()),
        _ => Authority::new(&test, "stranger").signs("client", &of_this_machine()),
    });
    let mut run =
        test.get(&format!("https://{}/file", server.authority)).output("file").args(&["--cacert", ca]).tries(3);
    if let Some(Identity { certificate, key }) = &client {
        run = run.arg("--cert").arg(certificate).arg("--key").arg(key);
    }
    let run = run.run();
    Some((run.code(), run.stderr.replace(&server.authority, "SERVER").trim_end().to_owned()))
}

#[test]
fn a_server_that_refuses_the_client_says_why() {
    let wants = ["-tls1_3", "-Verify", "1"];
    for (arguments, client, code, words) in [
        (&wants[..], None, 21, "SERVER wants a certificate of its client: --cert FILE and --key FILE"),
        (&wants, Some("expired"), 21, "SERVER says that the certificate of --cert expired"),
        (&wants, Some("strange"), 21, "SERVER does not accept the certificate of --cert: UnknownCA"),
        (
            &["-tls1_2", "-Verify", "1"],
            None,
            24,
            "SERVER refuses TLS with dfget, which speaks versions 1.2 and 1.3, or wants a certificate of its client: \
             HandshakeFailure",
        ),
        (
            &["-tls1_1"],
            None,
            24,
            "SERVER refuses TLS with dfget, which speaks versions 1.2 and 1.3, or wants a certificate of its client: \
             ProtocolVersion",
        ),
    ] {
        let Some(told) = told(arguments, client) else {
            return skip("a_server_that_refuses_the_client_says_why", "openssl is missing");
        };
        let hint = if code == 21 { HINT } else { "" };
        assert_eq!(told, (Some(code), format!("dfget: https://SERVER/file: {words}{hint}")));
    }
}
