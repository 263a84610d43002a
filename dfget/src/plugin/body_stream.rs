//! A download's messages, and what comes on its data socket, on their way to be a body.

use std::{future::poll_fn, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use plugin_proto::resource::{DownloadResponse, download_response::Event};
use plugin_sdk::{Body, BodyEvent, Download, Error as SourceError, Range};
use tonic::Streaming;

use super::{
    assembly::{Assembly, Carrier, Step, Violation},
    client::lacks_download,
    connect,
    data_socket::DataSocket,
    running::{Heard, POST_MORTEM, Running, host_error},
};
use crate::{limit::within, url::shown};

pub(super) struct BodyStream {
    messages: Streaming<DownloadResponse>,
    running: Arc<Running>,
    /// With its secrets.
    url: String,
    /// `None` before `Opened`.
    assembly: Option<Assembly>,
    /// `None` where all comes as messages, and once it has ended.
    data: Option<DataSocket>,
    /// What came before all data had.
    end: Option<DownloadResponse>,
}

/// What comes next of a download.
enum Arrival {
    Message(DownloadResponse),
    Data(Bytes),
}

impl BodyStream {
    /// The download that `messages` are, of `range` of the resource at `url`.
    pub(super) async fn open(
        messages: Streaming<DownloadResponse>,
        running: Arc<Running>,
        url: String,
        range: Range,
    ) -> Result<Download, SourceError> {
        // It is handed on with every message.
        let mut stream = Box::new(Self { messages, running, url, assembly: None, data: None, end: None });
        let first = stream.message().await?;
        let (assembly, opened) = Assembly::open(range, first).map_err(|violation| stream.violated(violation))?;
        if let Some(carrier) = assembly.carrier() {
            let data = stream.connect(carrier).await?;
            stream.data = Some(data);
        }
        stream.assembly = Some(assembly);
        Ok(Download { opened, body: Body::from_events(stream.into_events()) })
    }

    async fn connect(&mut self, carrier: &Carrier) -> Result<DataSocket, SourceError> {
        let unasked =
            |what: &str| self.violated(Violation::Protocol(format!("it {what}, and nobody has asked for that")));
        let sockets = self.running.data_sockets.as_ref().ok_or_else(|| unasked("names a data socket"))?;
        if matches!(carrier, Carrier::Memory(_)) && !sockets.share_memory {
            return Err(unasked("wants to share memory"));
        }
        match connect::data_socket(&sockets.directory, carrier).await {
            Ok(socket) => {
                let (url, what, plugin) = (shown(&self.url), socket.title(), &self.running.name);
                tracing::debug!("{url} comes on {what} of plugin {plugin}");
                Ok(socket)
            }
            Err(fault) => match within(POST_MORTEM, self.message()).await {
                // It failed before anybody could connect, and says so.
                Some((Err(error), _)) => Err(error),
                _ => Err(self.running.explain_data_socket(&fault, &shown(&self.url)).await),
            },
        }
    }

    fn into_events(self: Box<Self>) -> impl futures_util::Stream<Item = Result<BodyEvent, SourceError>> {
        stream::try_unfold(self, Self::event)
    }

    /// The next event, or `None` after `End`. Empty messages are no sign of life: they do not extend the wait.
    async fn event(mut self: Box<Self>) -> Result<Option<(BodyEvent, Box<Self>)>, SourceError> {
        let limit = self.running.settings.stall_timeout;
        let mut patience = limit;
        loop {
            let Some((arrival, took)) = within(patience, self.arrival()).await else {
                // This limit and that of a message may strike at the same time, and either may be seen first.
                let silent = patience == limit && self.end.is_none();
                return Err(if silent { self.running.silent() } else { self.stalled() });
            };
            let arrival = arrival?;
            patience = patience.saturating_sub(took);
            let assembly = self.assembly.as_mut().expect("a body begins after Opened");
            let step = match arrival {
                Arrival::Message(message) => assembly.accept(message),
                Arrival::Data(data) => assembly.accept_data(data).map(Step::Body),
            };
            match step {
                Ok(Step::Body(event)) => {
                    if let BodyEvent::Chunk(chunk) = &event {
                        self.running.progress.came(chunk.len());
                    }
                    return Ok(Some((event, self)));
                }
                // Where there always is a next message, the time limit on it never strikes.
                Ok(Step::Empty) if patience.is_zero() => return Err(self.stalled()),
                Ok(Step::Empty) => {}
                Ok(Step::End) => {
                    self.running.progress.completed();
                    self.running.see_out(self.messages);
                    return Ok(None);
                }
                Err(violation) => return Err(self.violated(violation)),
            }
        }
    }

    /// What comes next: `End` only after all that came on the data socket.
    async fn arrival(&mut self) -> Result<Arrival, SourceError> {
        while let Some(mut data) = self.data.take() {
            tokio::select! {
                // Most often there is some; and most of the time nobody has anything to say.
                biased;
                // Why a connection broke is told by the messages, or by the plugin's end.
                read = poll_fn(|context| data.poll_read(context)) => {
                    if let Some(bytes) = read.map_err(|fact| self.violated(Violation::Protocol(fact)))? {
                        self.data = Some(data);
                        return Ok(Arrival::Data(bytes));
                    }
                }
                heard = self.running.listen(&mut self.messages), if self.end.is_none() => {
                    self.data = Some(data);
                    match self.understand(heard).await? {
                        end @ DownloadResponse { event: Some(Event::End(_)) } => self.end = Some(end),
                        message => return Ok(Arrival::Message(message)),
                    }
                }
            }
        }
        match self.end.take() {
            Some(end) => Ok(Arrival::Message(end)),
            None => self.message().await.map(Arrival::Message),
        }
    }

    async fn message(&mut self) -> Result<DownloadResponse, SourceError> {
        let heard = self.running.listen(&mut self.messages).await;
        self.understand(heard).await
    }

    async fn understand(&self, heard: Heard<Option<DownloadResponse>>) -> Result<DownloadResponse, SourceError> {
        let (url, at) = (&self.url, self.assembly.as_ref().map(Assembly::next));
        let doing = || at.map_or_else(|| shown(url), |at| format!("{} at byte {at}", shown(url)));
        let next = self.running.understand(heard, doing).await;
        match next.map_err(|error| lacks_download(&self.running, error))? {
            Some(message) => Ok(message),
            None => {
                let received = self.assembly.as_ref().map_or(0, Assembly::received);
                Err(self.running.explain_truncation(received, &shown(url), &doing()).await)
            }
        }
    }

    fn stalled(&self) -> SourceError {
        let fact =
            if self.end.is_some() { "End came, and no end of its data socket" } else { "only empty messages came" };
        self.running.stalled(fact.into())
    }

    fn violated(&self, violation: Violation) -> SourceError {
        match violation {
            Violation::Protocol(fact) => host_error(self.running.protocol_error(fact)),
            incomplete @ Violation::Incomplete { .. } => SourceError::DataLoss(incomplete.to_string()),
        }
    }
}
