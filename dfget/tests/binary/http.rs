//! `http://`: against a server that does everything wrong, against nginx and Apache, and here against that of the
//! Python library.
//!
//! * [`server`], [`answer`]: the server that does everything wrong
//! * [`site`], [`authority`]: an nginx with TLS and more, and who signs for it
//! * the others: what it does, by the rows of the fault matrix

mod answer;
mod apache;
mod authority;
mod bodies;
mod codings;
#[cfg(target_os = "linux")]
mod deaf;
mod digests;
mod handshakes;
mod headers;
mod index;
mod isolated;
mod login;
mod names;
mod nginx;
mod parity;
mod proxies;
mod ranges;
mod redirected;
mod redirects;
mod server;
mod silence;
mod site;
mod statuses;
mod stores;
mod tls;
mod versions;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use faultplug::Content;

use crate::harness::{Digest, TestEnv, skip};

/// A server of the files in one directory.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// `None` without Python; the port is the kernel's choice.
    fn start(test: &TestEnv) -> Option<Self> {
        Self::of(&test.path("home"))
    }

    fn of(directory: &Path) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]).arg(directory);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take()?).read_line(&mut line).ok()?;
        let url = line.split(['(', ')']).nth(1)?.trim_end_matches('/').to_owned();
        Some(Self { process, url })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_file_of_a_server_is_downloaded() {
    let (test, content) = (TestEnv::new(), Content { seed: 8, size: 3_000_001 });
    fs::write(test.path("home/resource"), content.bytes(0..content.size)).unwrap();
    fs::write(test.path("home/empty"), "").unwrap();
    let Some(server) = Server::start(&test) else {
        return skip("a_file_of_a_server_is_downloaded", "python3 is missing");
    };
    let get = |name: &str| test.get(&format!("{}/{name}", server.url)).output("file").arg("--overwrite");
    get("resource").expect(Digest::of_content(content)).run().succeeded();
    get("empty").expect(Digest::of_bytes(b"")).run().succeeded();
}

#[test]
fn a_file_that_the_server_does_not_have_is_told() {
    let test = TestEnv::new();
    let Some(server) = Server::start(&test) else {
        return skip("a_file_that_the_server_does_not_have_is_told", "python3 is missing");
    };
    let url = format!("{}/nosuch?token=s3cret", server.url);
    let run = test.get(&url).output("file").run();
    let words = "/nosuch?token=***: the server answered 404 Not Found\n  hint: check the URL";
    run.failed(20, &format!("dfget: {}{words}", server.url));
}

#[test]
fn a_server_that_is_not_there_is_unavailable() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let run = TestEnv::new().get(&format!("http://127.0.0.1:{port}/file")).run();
    run.failed_saying(22, &["http://127.0.0.1:", "Connection refused", "try again later"]);
}

#[test]
fn the_in_tree_example_says_hello() {
    let run = TestEnv::new().get("dfs://host/file").expect(Digest::of_bytes(b"hello world")).run();
    run.succeeded();
}
