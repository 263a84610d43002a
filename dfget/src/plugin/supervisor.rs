//! Owns one running plugin up to its end, and knows why it ended.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use plugin_proto::goplugin::{Empty, grpc_controller_client::GrpcControllerClient, grpc_stdio_client::GrpcStdioClient};
use tokio::{
    net::unix::pipe,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tonic::{Code, Status, Streaming, transport::Channel};

use super::{About, Settings, logs, logs::Logs, process::Process, status};
use crate::{
    error::{Ending, Error},
    escape::printable_bytes,
    limit::within,
};

/// How long the status of a stream may take that has ended.
const SEE_OUT: Duration = Duration::from_millis(200);

/// How long a plugin whose connection broke has to turn out to be dead.
const POST_MORTEM: Duration = Duration::from_millis(500);

/// The same where only its answer looks like it.
const QUICK_POST_MORTEM: Duration = Duration::from_millis(20);

/// How long what a dead plugin wrote may take to be read.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A plugin that is ready. Dropping it kills the process; [`stop`](Self::stop) asks it to end.
pub(super) struct Running {
    /// Its file name.
    pub(super) name: String,
    pub(super) about: About,
    pub(super) channel: Channel,
    pub(super) settings: Settings,
    pub(super) process: Process,
    pub(super) logs: Logs,
    pub(super) _drains: Drains,
    /// Streams that have ended but for their status.
    pub(super) leaving: Mutex<JoinSet<()>>,
}

/// The readers of what a plugin prints. They end with the plugin, or with this.
pub(super) struct Drains([JoinHandle<()>; 2]);

impl Drains {
    pub(super) fn start(plugin: &str, stdout: Option<pipe::Receiver>, channel: Channel) -> Self {
        let (name, other) = (plugin.to_owned(), plugin.to_owned());
        let stdout = async move {
            if let Some(stdout) = stdout {
                logs::drain_stdout(name, stdout).await;
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
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        while leaving.try_join_next().is_some() {}
        leaving.spawn(async move { drop(timeout(SEE_OUT, messages.message()).await) });
    }

    /// One reason for a status that ended a call of `doing`: what became of the process, joined with what gRPC says.
    pub(super) async fn explain(&self, status: Status, doing: &str) -> plugin_sdk::Error {
        let local = status::is_local(&status);
        let patience = match status.code() {
            _ if local => POST_MORTEM,
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

    /// Waits for a plugin's next word for at most `limit`; `None` is too long. A process that ends has a moment for what
    /// it sent before, then it counts as silent for ever: a child of its own may hold the connection open.
    pub(super) async fn hear<T>(&self, limit: Duration, word: impl Future<Output = Result<T, Status>>) -> Heard<T> {
        tokio::select! {
            word = within(limit, word) => word.map_or(Heard::Nothing, |(word, _)| Heard::Word(word)),
            ending = async { (self.process.ended().await, sleep(POST_MORTEM).await).0 } => Heard::Death(ending),
        }
    }

    /// The stream of a download ended, and without its `End`.
    pub(super) async fn explain_truncation(&self, received: u64, doing: &str) -> plugin_sdk::Error {
        host_error(match self.process.ended_within(POST_MORTEM).await {
            Some(ending) => self.crashed(ending, doing).await,
            None => self.protocol_error(format!("the body of {doing} ended after {received} bytes without End")),
        })
    }

    pub(super) async fn crashed(&self, ending: Ending, doing: &str) -> Error {
        let last_words = self.logs.last_words(LAST_WORDS).await;
        Error::Crashed { plugin: self.name.clone(), ending, doing: doing.to_owned(), last_words }
    }

    pub(super) fn protocol_error(&self, fact: String) -> Error {
        Error::Protocol { plugin: self.name.clone(), fact }
    }

    /// Asks the plugin to end, then tells it, then ends it. Returns once it and its process group are gone.
    pub(super) async fn stop(&self) {
        let shutdown = async {
            // Any answer is fine: a Go plugin stops its server inside the call.
            let _ = GrpcControllerClient::new(self.channel.clone()).shutdown(Empty {}).await;
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
}

/// An error of this crate on its way through the trait; `Error::of_source` takes it out again.
pub(super) fn host_error(error: Error) -> plugin_sdk::Error {
    plugin_sdk::Error::internal(error)
}

/// A Go plugin's `fmt.Print` goes here, and blocks if nobody reads it.
async fn drain_stdio(plugin: String, channel: Channel) {
    let Ok(answer) = GrpcStdioClient::new(channel).stream_stdio(()).await else { return };
    let mut pieces = answer.into_inner();
    while let Ok(Some(piece)) = pieces.message().await {
        for line in piece.data.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            tracing::debug!(target: "plugin", plugin, "stdout: {}", printable_bytes(line));
        }
    }
}
