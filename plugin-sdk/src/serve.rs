//! Everything between a plugin's `main` and its [`ResourceClient`]: the whole life of the process.

mod by_hand;
mod connections;
mod content;
mod controller;
mod data_socket;
mod environment;
mod frames;
mod life_line;
mod log;
mod panics;
mod service;
mod stdio;
mod watch;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use plugin_proto::{
    FILE_DESCRIPTOR_SET, HEALTH_SERVICE,
    goplugin::{grpc_controller_server::GrpcControllerServer, grpc_stdio_server::GrpcStdioServer},
    handshake::{Address, Handshake},
    limits,
    resource::resource_client_server::ResourceClientServer,
};
use tokio::{net::UnixListener, runtime::Builder};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Server, server::Router};

use self::{
    controller::Controller,
    data_socket::DataSockets,
    environment::{Environment, Socket},
    life_line::Signals,
    service::Service,
    stdio::Stdio,
    watch::Watch,
};
use crate::{Attributes, Error, Options, ResourceClient, tls::Identity};

/// How long open calls may go on after the plugin was asked to end. It has 1 s for that and for its own end.
const GRACE: Duration = Duration::from_millis(750);

/// Runs a plugin from its start to its end: call it first in `main` and return what it returns.
///
/// `open` makes the source from the user's options; it is called once the host has sent them. `serve` does the rest
/// of PROTOCOL.md: it checks the cookie (and explains itself to a person who runs the plugin by hand), listens,
/// writes the handshake line, serves, sends `tracing` events to the host, keeps whatever the code prints to stdout
/// out of the handshake's way, and ends on `Shutdown`, on SIGTERM and when the host is gone.
///
/// Started by hand with `--debug`, without a host, it serves whoever connects until Ctrl-C, writes the variable to stdout
/// with which dfget does, and leaves stdout and stderr to the person at the terminal: so it can run in a debugger.
///
/// Where dfget is gone, whatever `main` does after `serve` has 750 ms; then the process is killed.
///
/// What is printed *before* `serve` still goes to the real stdout: dfget skips such lines with a warning, a host
/// written with go-plugin fails.
#[must_use = "return it from main, so that the process ends with it"]
pub fn serve<C, F>(attributes: Attributes, open: F) -> ExitCode
where
    C: ResourceClient,
    F: Fn(Options) -> Result<C, Error> + Send + Sync + 'static,
{
    serve_on(Threads::Several, attributes, open)
}

/// As [`serve`], on one thread, which starts sooner and takes less of the processor: for a source none of whose methods
/// ever waits but with `await`, nor computes for long, and whose `open` waits for no more than a local file. Where one does,
/// all other calls, `Shutdown`, SIGTERM and health checks wait with it, and the host ends the plugin with SIGKILL.
/// `tokio::task::block_in_place` panics there; `spawn_blocking` is as ever.
#[must_use = "return it from main, so that the process ends with it"]
pub fn serve_on_one_thread<C, F>(attributes: Attributes, open: F) -> ExitCode
where
    C: ResourceClient,
    F: Fn(Options) -> Result<C, Error> + Send + Sync + 'static,
{
    serve_on(Threads::One, attributes, open)
}

/// How many threads answer calls.
#[derive(Clone, Copy)]
enum Threads {
    One,
    Several,
}

fn serve_on<C, F>(threads: Threads, attributes: Attributes, open: F) -> ExitCode
where
    C: ResourceClient,
    F: Fn(Options) -> Result<C, Error> + Send + Sync + 'static,
{
    let environment = match () {
        () if environment::started_by_host() => {
            log::install();
            Environment::read()
        }
        () if by_hand::is_wanted() => {
            log::install_for_people();
            tell(by_hand::INSTRUCTION);
            Environment::by_hand()
        }
        () => {
            tell(environment::RUN_BY_HAND);
            return ExitCode::FAILURE;
        }
    };
    panics::count();
    match environment.and_then(|environment| run(environment, threads, Service::new(attributes, open))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the plugin cannot be served: {error}");
            ExitCode::FAILURE
        }
    }
}

/// If stderr is closed, the exit status has to do.
fn tell(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn run(environment: Environment, threads: Threads, service: Service) -> io::Result<()> {
    let mut watch = Watch::default();
    let stdio = if environment.by_hand { Stdio::leave()? } else { Stdio::capture(&mut watch)? };
    let host_gone = life_line::hold(&environment, &mut watch)?;
    watch.start()?;
    let by_hand = environment.by_hand;
    let served = async move { serve_until_ended(&environment, stdio, host_gone, service).await };
    let (runtime, ended);
    match threads {
        // Where a person waits for what it does, Ctrl-C is heard whatever that is.
        Threads::One if !by_hand => {
            runtime = Builder::new_current_thread().enable_all().build()?;
            ended = runtime.block_on(served);
        }
        _ => {
            runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            // On a worker, next to the socket: from this thread every accept would cost a wake-up more.
            ended = runtime.block_on(runtime.spawn(served)).map_err(io::Error::other).flatten();
        }
    }
    // A thread that still reads from a storage must not keep the process.
    runtime.shutdown_background();
    ended
}

async fn serve_until_ended(
    environment: &Environment,
    mut stdio: Stdio,
    host_gone: CancellationToken,
    service: Service,
) -> io::Result<()> {
    let stop = CancellationToken::new();
    // Before the handshake line: a host may send SIGTERM as soon as it has read it.
    let _signals = Signals::watch(environment, stop.clone())?;
    let socket = Socket::bind(environment)?;
    let identity = environment.host.as_ref().map(|_| Identity::generate()).transpose()?;
    let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
    let acceptor = identity.as_ref().zip(environment.host.as_ref()).map(|(us, host)| us.acceptor(host)).transpose()?;
    let incoming = connections::accept(listener, acceptor);
    // The socket listens already: the host connects while the services are still being put together.
    if environment.by_hand {
        stdio.write_line(by_hand::line(service.attributes(), environment.app_version, &socket))?;
    } else {
        stdio.write_line(Handshake {
            app_version: environment.app_version,
            address: Address::Unix(socket.path.display().to_string()),
            certificate: identity.as_ref().map(Identity::field),
            multiplex: environment.answer_multiplex.then_some(false),
        })?;
    }
    let sockets = environment.data_sockets().map(|directory| DataSockets::new(directory.to_owned()));
    let router = router(service.with_data_sockets(sockets), &stdio, &stop).await;

    let served = router.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = served => served.map_err(io::Error::other),
        () = late => Ok(()),
        // Nobody waits for a graceful end.
        () = host_gone.cancelled() => Ok(()),
    }
}

async fn router(service: Service, stdio: &Stdio, stop: &CancellationToken) -> Router {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status(HEALTH_SERVICE, tonic_health::ServingStatus::Serving).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors were made by this build");
    Server::builder()
        .add_service(health_service)
        .add_service(reflection)
        .add_service(GrpcControllerServer::new(Controller::new(stop.clone())))
        .add_service(GrpcStdioServer::new(stdio.service(stop.clone())))
        .add_service(ResourceClientServer::new(service).max_decoding_message_size(limits::MESSAGE))
}
