//! A plugin whose host is gone, where nothing but its life line tells it so.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hyper_util::rt::TokioIo;
use plugin_proto::{
    environment as names,
    handshake::{Address, Handshake},
    resource::{InitRequest, resource_client_client::ResourceClientClient},
};
use rustix::process::Signal;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::harness::{TestEnv, wait_for};

async fn connect(path: String) -> Channel {
    let connector = service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://plugin");
    endpoint.connect_with_connector(connector).await.expect("the plugin listens")
}

/// Its author's code has the only thread, and never gives it back.
#[test]
fn a_plugin_whose_thread_is_held_ends_with_its_host_all_the_same() {
    let test = TestEnv::new();
    let mut plugin = Command::new(test.install("held-at-init"))
        .env(names::COOKIE_NAME, names::COOKIE_VALUE)
        .env(names::PROTOCOL_VERSIONS, "1")
        .env(names::SOCKET_DIR, test.root())
        .env(names::LIFE_LINE, names::LIFE_LINE_STDIN)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(plugin.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let Address::Unix(path) = line.trim_end().parse::<Handshake>().unwrap().address else { panic!("{line}") };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let call = runtime.spawn(async {
        let mut client = ResourceClientClient::new(connect(path).await);
        client.init(InitRequest::default()).await.map(drop)
    });
    let told = BufReader::new(plugin.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(told.into_iter().any(|line| line == "held"), "it was not asked");
    assert!(plugin.try_wait().unwrap().is_none(), "it ended too soon");
    let begun = Instant::now();
    drop(plugin.stdin.take());
    let status = wait_for("the end of the plugin", || plugin.try_wait().unwrap());
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
    assert!(begun.elapsed() <= Duration::from_secs(2), "it took {:?}", begun.elapsed());
    assert!(runtime.block_on(call).unwrap().is_err());
}
