//! One life of a plugin: ready, up to its end, which it knows the reason of.

use std::{
    future::Future,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use plugin_proto::{
    HEALTH_SERVICE,
    goplugin::{Empty, grpc_controller_client::GrpcControllerClient, grpc_stdio_client::GrpcStdioClient, stdio_data},
};
use tokio::{
    net::unix::pipe,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tonic::{Code, Response, Status, Streaming, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    About, Settings,
    connect::Line,
    discover::Candidate,
    logs::{Lines, Logs, Printed},
    process::Process,
    status,
    supervisor::Progress,
};
use crate::{
    error::{Ending, Error, StartFault},
    limit::within,
};

/// How long the status of a stream may take that has ended.
const SEE_OUT: Duration = Duration::from_millis(200);

/// How long a plugin whose connection broke has to turn out to be dead.
pub(super) const POST_MORTEM: Duration = Duration::from_millis(500);

/// The same where its connection ended: asked to end by somebody, it has a second for what it does.
const FAREWELL: Duration = Duration::from_millis(1500);

/// The same where only its answer looks like it.
const QUICK_POST_MORTEM: Duration = Duration::from_millis(20);

/// How often a plugin that is silent for long is asked whether it is well.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long what a dead plugin wrote may take to be read.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A plugin that is ready. Dropping it kills the process; [`stop`](Self::stop) asks it to end. Neither does anything to
/// one that somebody else has started.
pub(super) struct Running {
    /// Its file name.
    pub(super) name: String,
    pub(super) about: About,
    pub(super) channel: Channel,
    /// `None` of one that somebody else has started.
    pub(super) line: Option<Line>,
    /// `None` where it may have none.
    pub(super) data_sockets: Option<DataSockets>,
    pub(super) settings: Settings,
    pub(super) process: Process,
    pub(super) logs: Logs,
    pub(super) _drains: Drains,
    /// Streams that have ended but for their status.
    pub(super) leaving: Mutex<JoinSet<()>>,
    /// Of all its lives.
    pub(super) progress: Arc<Progress>,
    /// How often it had been started before.
    pub(super) restarts: u32,
}

/// The data sockets of a plugin.
pub(super) struct DataSockets {
    /// Where they are.
    pub(super) directory: PathBuf,
    /// Whether what is told there may lie in shared memory.
    pub(super) share_memory: bool,
}

/// The readers of what a plugin prints. They end with the plugin, or with this.
pub(super) struct Drains([JoinHandle<()>; 2]);

impl Drains {
    pub(super) fn start(
        candidate: &Candidate,
        settings: &Settings,
        stdout: Option<pipe::Receiver>,
        channel: Channel,
    ) -> Self {
        let (printed, other) = (Printed::by(candidate, settings), Printed::by(candidate, settings));
        let stdout = async move {
            if let Some(stdout) = stdout {
                printed.drain(stdout).await;
            }
        };
        Self([tokio::spawn(stdout), tokio::spawn(drain_stdio(other, channel))])
    }
}

impl Drop for Drains {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Running {
    /// Takes the status that follows `End`: a stream that is dropped before that is reset, and HTTP/2 ends a connection
    /// on which too many were. What it says changes nothing, and nobody waits for it.
    pub(super) fn see_out<T: Send + 'static>(&self, mut messages: Streaming<T>) {
        // A short body and its status come together.
        if messages.message().now_or_never().is_some() {
            return;
        }
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        while leaving.try_join_next().is_some() {}
        leaving.spawn(async move { drop(timeout(SEE_OUT, messages.message()).await) });
    }

    /// One answer in time, or the reason why there is none.
    pub(super) async fn call<T>(
        &self,
        doing: impl FnOnce() -> String,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, plugin_sdk::Error> {
        let limit = self.settings.call_timeout;
        match self.hear(limit, call).await {
            Heard::Word(Ok(answer)) => Ok(answer.into_inner()),
            Heard::Word(Err(status)) => Err(self.explain(status, &doing()).await),
            Heard::Death(ending) => Err(host_error(self.crashed(ending, &doing()).await)),
            Heard::Nothing => Err(self.stalled(format!("no answer in {}", humantime::format_duration(limit)))),
            Heard::Hung => Err(self.hung()),
        }
    }

    /// The next message of a stream, or `None` at its end, in time.
    pub(super) async fn next<T>(
        &self,
        messages: &mut Streaming<T>,
        doing: impl FnOnce() -> String,
    ) -> Result<Option<T>, plugin_sdk::Error> {
        let heard = self.listen(messages).await;
        self.understand(heard, doing).await
    }

    /// What [`next`](Self::next) understands. Cancel safe, which understanding it is not: a status comes once.
    pub(super) async fn listen<T>(&self, messages: &mut Streaming<T>) -> Heard<Option<T>> {
        // A flood that is always ready would keep deadlines and signals waiting.
        tokio::task::consume_budget().await;
        self.hear(self.settings.stall_timeout, messages.message()).await
    }

    /// The message that was heard, or the reason why there is none.
    pub(super) async fn understand<T>(
        &self,
        heard: Heard<Option<T>>,
        doing: impl FnOnce() -> String,
    ) -> Result<Option<T>, plugin_sdk::Error> {
        match heard {
            Heard::Word(Ok(message)) => Ok(message),
            Heard::Word(Err(status)) => Err(self.explain(status, &doing()).await),
            Heard::Death(ending) => Err(host_error(self.crashed(ending, &doing()).await)),
            Heard::Nothing => Err(self.silent()),
            Heard::Hung => Err(self.hung()),
        }
    }

    /// Waits for a plugin's next word for at most `limit`. A process that ends has a moment for what it sent before, then
    /// it counts as silent for ever: a child of its own may hold the connection open.
    async fn hear<T>(&self, limit: Duration, word: impl Future<Output = Result<T, Status>>) -> Heard<T> {
        tokio::select! {
            // Most often it is there already, and then nobody needs to listen to the others.
            biased;
            word = within(limit, word) => word.map_or(Heard::Nothing, |(word, _)| Heard::Word(word)),
            ending = async { (self.process.ended().await, sleep(POST_MORTEM).await).0 } => Heard::Death(ending),
            () = self.hang(), if limit > self.settings.hang_timeout => Heard::Hung,
        }
    }

    /// Ends once the plugin answers nothing at all any more: what is slow in it is its own affair, but not this.
    async fn hang(&self) {
        let check = || HealthCheckRequest { service: HEALTH_SERVICE.into() };
        loop {
            sleep(HEARTBEAT.min(self.settings.hang_timeout)).await;
            let mut health = HealthClient::new(self.channel.clone());
            // An error is an answer, too; of a broken connection the others hear.
            if within(self.settings.hang_timeout, health.check(check())).await.is_none() {
                return;
            }
        }
    }

    /// One reason for a status that ended a call of `doing`: what became of the process, joined with what gRPC says.
    async fn explain(&self, status: Status, doing: &str) -> plugin_sdk::Error {
        let local = status::is_local(&status);
        let patience = match status.code() {
            _ if status::is_unreadable(&status) => Duration::ZERO,
            _ if local => FAREWELL,
            Code::Internal | Code::Unknown => QUICK_POST_MORTEM,
            _ => Duration::ZERO,
        };
        if let Some(ending) = self.process.ended_within(patience).await {
            return host_error(self.crashed(ending, doing).await);
        }
        if local {
            return host_error(self.protocol_error(status::cause(&status)));
        }
        status::source_error(&status)
    }

    /// The stream of a download of `url` ended after so many bytes, and without its `End`.
    pub(super) async fn explain_truncation(&self, received: u64, url: &str, doing: &str) -> plugin_sdk::Error {
        host_error(match self.process.ended_within(POST_MORTEM).await {
            Some(ending) => self.crashed(ending, doing).await,
            None => Error::Truncated { plugin: self.name.clone(), doing: url.to_owned(), received },
        })
    }

    /// The data socket of a download cannot be used.
    pub(super) async fn explain_data_socket(&self, fault: &StartFault, doing: &str) -> plugin_sdk::Error {
        host_error(match self.process.ended_within(POST_MORTEM).await {
            Some(ending) => self.crashed(ending, doing).await,
            None => self.protocol_error(format!("its data socket is of no use: {fault}")),
        })
    }

    async fn crashed(&self, ending: Ending, doing: &str) -> Error {
        let (plugin, doing, last_words) = (self.name.clone(), doing.to_owned(), self.logs.last_words(LAST_WORDS).await);
        Error::Crashed { plugin, ending, doing, restarts: self.restarts, lost: false, last_words }
    }

    /// It ended, and is not started again.
    pub(super) async fn lost(&self, ending: Ending) -> Error {
        let (plugin, doing, last_words) = (self.name.clone(), String::new(), self.logs.last_words(LAST_WORDS).await);
        Error::Crashed { plugin, ending, doing, restarts: self.restarts, lost: true, last_words }
    }

    pub(super) fn stalled(&self, fact: String) -> plugin_sdk::Error {
        host_error(Error::Stalled { who: format!("plugin {}", self.name), fact })
    }

    /// Not a word came, and not a byte.
    pub(super) fn silent(&self) -> plugin_sdk::Error {
        let limit = humantime::format_duration(self.settings.stall_timeout);
        self.stalled(format!("nothing came for {limit}"))
    }

    fn hung(&self) -> plugin_sdk::Error {
        host_error(Error::Hung { plugin: self.name.clone(), limit: self.settings.hang_timeout })
    }

    /// It does not have a call that every plugin must have.
    pub(super) fn lacks(&self, call: &str) -> plugin_sdk::Error {
        host_error(self.protocol_error(format!("it does not implement {call}")))
    }

    pub(super) fn protocol_error(&self, fact: String) -> Error {
        Error::Protocol { plugin: self.name.clone(), fact }
    }

    /// Asks the plugin to end, then tells it, then ends it. Returns once it and its process group are gone.
    pub(super) async fn stop(&self) {
        if !self.process.is_own() {
            return;
        }
        let shutdown = async {
            // Any answer is fine: a Go plugin stops its server inside the call.
            let _ = GrpcControllerClient::new(self.channel.clone()).shutdown(Empty {}).await;
            // Nothing more is to be said: a server that ends in order would wait for this end to agree.
            self.line.iter().for_each(Line::cut);
            self.process.ended().await
        };
        if timeout(self.settings.shutdown_timeout, shutdown).await.is_ok() {
            return;
        }
        tracing::debug!("plugin {} does not end on Shutdown, sending SIGTERM", self.name);
        self.process.terminate();
        if self.process.ended_within(self.settings.terminate_timeout).await.is_none() {
            tracing::debug!("plugin {} does not end on SIGTERM, sending SIGKILL", self.name);
            self.process.kill();
            self.process.ended_within(POST_MORTEM).await;
        }
    }
}

/// What came of waiting for a plugin.
pub(super) enum Heard<T> {
    Word(Result<T, Status>),
    Death(Ending),
    Nothing,
    /// And nothing to a health check either.
    Hung,
}

/// An error of this crate on its way through the trait; `Error::of_source` takes it out again.
pub(super) fn host_error(error: Error) -> plugin_sdk::Error {
    plugin_sdk::Error::internal(error)
}

/// A Go plugin's `fmt.Print` goes here, and blocks if nobody reads it. It comes in pieces of up to 1 KiB.
async fn drain_stdio(printed: Printed, channel: Channel) {
    let Ok(answer) = GrpcStdioClient::new(channel).stream_stdio(()).await else { return };
    let (mut stdout, mut stderr) = (Lines::default(), Lines::default());
    let mut pieces = answer.into_inner();
    while let Ok(Some(piece)) = pieces.message().await {
        match piece.channel() {
            stdio_data::Channel::Stderr => stderr.feed(&piece.data, |line| printed.log_error(line)),
            _ => stdout.feed(&piece.data, |line| printed.log(line)),
        }
    }
    stdout.end(|line| printed.log(line));
    stderr.end(|line| printed.log_error(line));
}
