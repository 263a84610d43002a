//! gRPC without the SDK, which would not let any of this happen: faults of single calls.
//!
//! * [`calls`]: the services, each call as its fault has it
//! * [`data`]: bytes that come beside the messages
//! * [`memory`]: bytes that lie in memory of the host's
//! * [`stream`]: the messages of a download, as the query of its URL has them
//! * [`trailer`]: status codes that no library sends
//! * [`socket`]: connections in TLS, or not

mod calls;
mod data;
mod memory;
mod socket;
mod stream;
mod trailer;

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use plugin_proto::{
    HEALTH_SERVICE, goplugin::grpc_controller_server::GrpcControllerServer,
    resource::resource_client_server::ResourceClientServer,
};
use rustix::net::{Shutdown, shutdown};
use tokio::{
    net::{UnixListener, UnixStream},
    signal::unix::{SignalKind, signal},
};
use tokio_stream::{StreamExt, wrappers::UnixListenerStream};
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tower::util::MapResponseLayer;

use self::calls::{Controller, Raw};
use crate::socket_dir;

/// Plugins of this kind. `raw`, `data-sockets` and `shared-memory` are well, until the URL says otherwise.
const FAULTS: [&str; 15] = [
    "raw",
    "data-sockets",
    "shared-memory",
    "no-init-answer",
    "no-attributes",
    "no-service",
    "no-health",
    "not-serving",
    "stubborn",
    "babbles",
    "one-connection",
    "describe-refused",
    "init-forgets",
    "features-refused",
    "tls-optional",
];

/// The connection to the host, so that a download can break it.
static CONNECTION: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// Commits `fault`, if it is one of these.
pub(crate) fn play(fault: &str) {
    if !FAULTS.contains(&fault) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let served = runtime.expect("there are threads").block_on(serve(fault));
    served.expect("the server starts");
    std::process::exit(0);
}

async fn serve(fault: &str) -> Result<(), Box<dyn std::error::Error>> {
    let stubborn = fault == "stubborn";
    // A handler that nobody asks is how SIGTERM is ignored.
    let _ignored = stubborn.then(|| signal(SignalKind::terminate())).transpose()?;
    let path = format!("{}/plugin1", socket_dir());
    let most = if fault == "one-connection" { 1 } else { usize::MAX };
    let incoming = UnixListenerStream::new(UnixListener::bind(&path)?).take(most).map(remember);
    // The first one ends with its stream otherwise.
    let incoming = incoming.chain(tokio_stream::pending());
    let tls = if fault == "tls-optional" { socket::Tls::of_host()? } else { None };
    let (health, health_service) = tonic_health::server::health_reporter();
    let status = if fault == "not-serving" { ServingStatus::NotServing } else { ServingStatus::Serving };
    health.set_service_status(HEALTH_SERVICE, status).await;
    println!("1|1|unix|{path}|grpc|{}", tls.as_ref().map(socket::Tls::field).unwrap_or_default());
    Server::builder()
        .layer(MapResponseLayer::new(trailer::rewrite))
        .add_service(GrpcControllerServer::new(Controller { stubborn }))
        .add_optional_service((fault != "no-health").then_some(health_service))
        .add_optional_service((fault != "no-service").then(|| ResourceClientServer::new(Raw::new(fault))))
        .serve_with_incoming(socket::accept(incoming, tls))
        .await?;
    Ok(())
}

fn remember(connection: std::io::Result<UnixStream>) -> std::io::Result<UnixStream> {
    let connection = connection?;
    let copy = connection.as_fd().try_clone_to_owned()?;
    *CONNECTION.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
    Ok(connection)
}

/// Closes the connection, and lives.
fn disconnect() {
    if let Some(connection) = CONNECTION.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = shutdown(&connection, Shutdown::Both);
    }
}
