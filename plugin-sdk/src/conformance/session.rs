//! A plugin that is connected, and calls on it: each has its deadline, and says in words why it has no answer.

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future;
use hyper_util::rt::TokioIo;
use plugin_proto::{
    HEALTH_SERVICE,
    goplugin::grpc_stdio_client::GrpcStdioClient,
    handshake::{Address, Handshake},
    resource::{self as proto, resource_client_client::ResourceClientClient},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    Code, Response, Status, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::{
    Limits, Suite,
    handshake::{self, Greeting, greet},
    process::{Process, Start, asking_for_tls},
    report::Findings,
};
use crate::tls::{Identity, NAME, Peer};

/// What the suite calls itself in `Init`.
const HOST: &str = concat!("conformance/", env!("CARGO_PKG_VERSION"));

/// How long a process whose connection broke has to turn out to be dead.
const POST_MORTEM: Duration = Duration::from_millis(500);

/// Small, so that a plugin meets back-pressure.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// A plugin that answered on its connection.
pub(super) struct Session {
    pub(super) process: Process,
    pub(super) greeting: Greeting,
    /// Where the connection is in TLS.
    pub(super) identity: Option<Identity>,
    pub(super) channel: Channel,
    pub(super) limits: Limits,
    pub(super) suite: Suite,
    /// What it sent by `GRPCStdio`.
    pub(super) printed: Arc<Mutex<Vec<u8>>>,
    _stdio: AbortOnDropHandle<()>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nothing came in this time.
    Silent(Duration),
    /// The plugin said so.
    Status(Status),
    /// The connection or a message is broken.
    Broken(String),
    /// The process ended.
    Died(String),
}

impl Failed {
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            Self::Status(status) => Some(status.code()),
            _ => None,
        }
    }

    /// Whether the plugin lacks the call.
    pub(super) fn is_absence(&self) -> bool {
        self.code() == Some(Code::Unimplemented)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(limit) => write!(f, "nothing came in {limit:?}"),
            Self::Status(status) if status.message().is_empty() => f.write_str(name_of(status.code())),
            Self::Status(status) => write!(f, "{}: {}", name_of(status.code()), status.message()),
            Self::Broken(fact) | Self::Died(fact) => f.write_str(fact),
        }
    }
}

/// As PROTOCOL.md writes it.
pub(super) fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Whether `outcome` is the refusal that is expected of `call`; `optional` calls may be absent.
pub(super) fn expect<T>(call: &str, outcome: Result<T, Failed>, code: Code, optional: bool) -> Result<(), String> {
    match outcome {
        Err(failed) if failed.code() == Some(code) || (optional && failed.is_absence()) => Ok(()),
        Err(failed) => Err(format!("{call}: {failed}; {} is expected", name_of(code))),
        Ok(_) => Err(format!("{call}: OK; {} is expected", name_of(code))),
    }
}

impl Session {
    /// Starts the plugin, judges its handshake and looks whether it serves. In TLS if it listens on TCP.
    pub(super) async fn open(suite: &Suite, findings: &mut Findings) -> Option<Self> {
        findings.stop("it did not get so far");
        let (process, greeting) = launch(suite, &Start::default(), findings).await?;
        if !matches!(greeting.handshake.address, Address::Tcp(_)) || greeting.handshake.certificate.is_some() {
            return Self::introduce(suite, process, greeting, None, findings).await;
        }
        process.bury().await;
        let identity = Identity::generate().ok()?;
        let (process, greeting) = launch(suite, &asking_for_tls(&identity), findings).await?;
        Self::introduce(suite, process, greeting, Some(identity), findings).await
    }

    async fn introduce(
        suite: &Suite,
        process: Process,
        greeting: Greeting,
        identity: Option<Identity>,
        findings: &mut Findings,
    ) -> Option<Self> {
        if !handshake::judge(&process, &greeting, identity.is_some(), findings) {
            process.bury().await;
            return None;
        }
        let session = match Self::connect(suite, process, greeting, identity).await {
            Ok(session) => session,
            Err(error) => {
                findings.fail("connection.grpc", error);
                return None;
            }
        };
        if !session.judge_connection(findings).await {
            session.process.bury().await;
            return None;
        }
        Some(session)
    }

    /// Connects, and looks at nothing.
    pub(super) async fn connect(
        suite: &Suite,
        process: Process,
        greeting: Greeting,
        identity: Option<Identity>,
    ) -> Result<Self, String> {
        let connected = timeout(suite.limits.start, connect(&greeting.handshake, identity.as_ref())).await;
        let channel = connected.map_err(|_| format!("nobody answers in {:?}", suite.limits.start));
        let channel = channel.and_then(|connected| connected.map_err(|error| error.to_string()));
        let channel = match channel {
            Ok(channel) => channel,
            Err(error) => {
                process.bury().await;
                return Err(error);
            }
        };
        let printed = Arc::default();
        let stdio = AbortOnDropHandle::new(tokio::spawn(drain_stdio(channel.clone(), Arc::clone(&printed))));
        let (limits, suite) = (suite.limits, suite.clone());
        Ok(Self { process, greeting, identity, channel, limits, suite, printed, _stdio: stdio })
    }

    /// Whether what answers is gRPC, and well.
    async fn judge_connection(&self, findings: &mut Findings) -> bool {
        match self.ask_within(self.limits.start, health(self.channel.clone())).await {
            Ok(answer) => {
                findings.pass("connection.grpc");
                let status = answer.status();
                let held = match status {
                    ServingStatus::NotServing => Err("it is NOT_SERVING".to_owned()),
                    _ => Ok(()),
                };
                findings.judge("health.serving", held)
            }
            Err(Failed::Status(status)) => {
                findings.pass("connection.grpc");
                let code = name_of(status.code());
                findings
                    .skip("health.serving", format!("it has no health service ({code}), which go-plugin's hosts need"));
                true
            }
            Err(Failed::Died(fact)) => findings.fail("life.serves", fact),
            Err(failed) => findings.fail("connection.grpc", failed.to_string()),
        }
    }

    pub(super) fn client(&self) -> ResourceClientClient<Channel> {
        ResourceClientClient::new(self.channel.clone())
    }

    /// An answer in time, or why there is none.
    pub(super) async fn ask<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failed> {
        self.ask_within(self.limits.answer, call).await
    }

    async fn ask_within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failed> {
        self.hear(limit, call).await.map(Response::into_inner)
    }

    /// The next message of a stream, in `limit`.
    pub(super) async fn next<T>(&self, limit: Duration, stream: &mut Streaming<T>) -> Result<Option<T>, Failed> {
        self.hear(limit, stream.message()).await
    }

    async fn hear<T>(&self, limit: Duration, word: impl Future<Output = Result<T, Status>>) -> Result<T, Failed> {
        match timeout(limit, word).await {
            Ok(Ok(word)) => Ok(word),
            Ok(Err(status)) if is_local(&status) => Err(self.explain(&status).await),
            Ok(Err(status)) => match self.process.ending() {
                Some(_) => Err(self.explain(&status).await),
                None => Err(Failed::Status(status)),
            },
            Err(_) => match self.process.ending() {
                Some(ended) => Err(self.died(&ended.status.to_string())),
                None => Err(Failed::Silent(limit)),
            },
        }
    }

    /// A connection that broke: is the process dead?
    async fn explain(&self, status: &Status) -> Failed {
        if is_unreadable(status) {
            return Failed::Broken(status.message().to_owned());
        }
        match self.process.ended_within(POST_MORTEM).await {
            Some(ended) => self.died(&ended.status.to_string()),
            None => Failed::Broken(format!("the connection broke: {}", cause(status))),
        }
    }

    fn died(&self, status: &str) -> Failed {
        Failed::Died(format!("the plugin ended by itself ({status}){}", self.process.stderr.last_words()))
    }

    /// `Init` with what the user gave, and `adapt`ed.
    pub(super) async fn init(
        &self,
        adapt: impl FnOnce(&mut proto::InitRequest),
    ) -> Result<proto::InitResponse, Failed> {
        let mut request = proto::InitRequest {
            options: self.suite.options.clone().into_iter().collect(),
            scheme: self.suite.name(),
            host: HOST.into(),
            features: Vec::new(),
            describe: false,
        };
        adapt(&mut request);
        self.ask_within(self.limits.start, async { self.client().init(request).await }).await
    }

    /// Begins a download, and waits for its first message.
    pub(super) async fn begin(
        &self,
        request: proto::DownloadRequest,
    ) -> Result<(Option<proto::DownloadResponse>, Streaming<proto::DownloadResponse>), Failed> {
        let mut stream = self.ask(async { self.client().download(request).await }).await?;
        let first = self.next(self.limits.answer, &mut stream).await?;
        Ok((first, stream))
    }

    /// The same, of a listing.
    pub(super) async fn list(
        &self,
        resource: Option<proto::Resource>,
    ) -> Result<(Option<proto::ListResponse>, Streaming<proto::ListResponse>), Failed> {
        let request = proto::ListRequest { resource, content_limit: 0 };
        let mut stream = self.ask(async { self.client().list(request).await }).await?;
        let first = self.next(self.limits.answer, &mut stream).await?;
        Ok((first, stream))
    }

    /// Text that went out by `GRPCStdio`.
    pub(super) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.printed.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// Starts the plugin up to its handshake line.
async fn launch(suite: &Suite, start: &Start<'_>, findings: &mut Findings) -> Option<(Process, Greeting)> {
    let process = match Process::start(suite, start) {
        Ok(process) => process,
        Err(error) => {
            findings.fail("handshake.line", format!("it cannot be executed: {error}"));
            return None;
        }
    };
    match greet(&process, suite.limits.start).await {
        Ok(greeting) => Some((process, greeting)),
        Err(none) => {
            process.bury().await;
            findings.fail("handshake.line", none.describe(&process));
            None
        }
    }
}

pub(super) fn resource(url: &str) -> Option<proto::Resource> {
    Some(proto::Resource { url: url.to_owned(), header: Vec::new() })
}

pub(super) async fn health(channel: Channel) -> Result<Response<tonic_health::pb::HealthCheckResponse>, Status> {
    HealthClient::new(channel).check(HealthCheckRequest { service: HEALTH_SERVICE.into() }).await
}

/// How tonic begins the statuses that it makes itself of a message it does not accept.
const TOO_LARGE: &str = "Error, decoded message length too large";
const UNREADABLE: &str = "failed to decode Protobuf message";

/// Whether a failure is that of a message beyond the limit.
pub(super) fn is_too_large(failed: &Failed) -> bool {
    matches!(failed, Failed::Broken(fact) if fact.starts_with(TOO_LARGE))
}

fn is_unreadable(status: &Status) -> bool {
    status.message().starts_with(TOO_LARGE) || status.message().starts_with(UNREADABLE)
}

fn is_local(status: &Status) -> bool {
    std::error::Error::source(status).is_some() || is_unreadable(status)
}

/// Down to the first one.
fn cause(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}

/// A connection of its own, in TLS as `identity` if the handshake has a certificate.
pub(super) async fn connect(handshake: &Handshake, identity: Option<&Identity>) -> io::Result<Channel> {
    match &handshake.address {
        Address::Unix(path) => secured(UnixStream::connect(path).await?, handshake, identity).await,
        Address::Tcp(address) => {
            let address: SocketAddr = address.parse().map_err(io::Error::other)?;
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            secured(stream, handshake, identity).await
        }
    }
}

async fn secured<S: Connection>(stream: S, handshake: &Handshake, identity: Option<&Identity>) -> io::Result<Channel> {
    let (Some(field), Some(identity)) = (&handshake.certificate, identity) else {
        return channel(stream).await;
    };
    let tls = identity.connector(&Peer::from_field(field)?)?;
    channel(tls.connect(NAME.try_into().expect("it is a name"), stream).await?).await
}

async fn channel<S: Connection>(stream: S) -> io::Result<Channel> {
    let stream = Mutex::new(Some(stream));
    let connector = tower::service_fn(move |_| {
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        future::ready(stream.map(TokioIo::new).ok_or_else(|| io::Error::other("the connection is gone")))
    });
    Endpoint::from_static("http://localhost")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .connect_with_connector(connector)
        .await
        .map_err(io::Error::other)
}

trait Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection for S {}

/// A Go plugin's `fmt.Print` goes here, and blocks if nobody reads it.
async fn drain_stdio(channel: Channel, printed: Arc<Mutex<Vec<u8>>>) {
    /// Bytes that are kept.
    const KEPT: usize = 1024 * 1024;
    let Ok(answer) = GrpcStdioClient::new(channel).stream_stdio(()).await else { return };
    let mut pieces = answer.into_inner();
    while let Ok(Some(piece)) = pieces.message().await {
        let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(printed.len()).min(piece.data.len());
        printed.extend_from_slice(&piece.data[..room]);
    }
}
