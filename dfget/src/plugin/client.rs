//! The proxy of a plugin: the trait on this side, gRPC on the other, and every answer checked.

use std::{future::Future, sync::Arc, time::SystemTime};

use futures_util::{StreamExt, stream, stream::BoxStream};
use plugin_proto::{
    limits,
    resource::{
        self as proto, DownloadResponse, GetContentLengthRequest, GetLastModifiedRequest, GetMetadataRequest,
        IsExpiredRequest, IsSupportRangeRequest, ListRequest, ListResponse,
        resource_client_client::ResourceClientClient,
    },
};
use plugin_sdk::{
    Body, BodyEvent, Download, DownloadRequest, Entry, Error as SourceError, Metadata, Request, ResourceClient,
    Validator, async_trait, wire,
};
use tonic::{Response, Status, Streaming, transport::Channel};

use super::{
    assembly::{Assembly, Step, Violation},
    running::{Running, host_error},
    supervisor::Supervisor,
};
use crate::{error::Error, limit::within, url::shown};

/// What the engine sees of a plugin.
#[derive(Clone)]
pub(super) struct Proxy {
    supervisor: Arc<Supervisor>,
}

type Stub = ResourceClientClient<Channel>;

fn stub(running: &Running) -> Stub {
    ResourceClientClient::new(running.channel.clone()).max_decoding_message_size(limits::MESSAGE)
}

impl Proxy {
    pub(super) fn new(supervisor: Arc<Supervisor>) -> Self {
        Self { supervisor }
    }

    async fn running(&self) -> Result<Arc<Running>, SourceError> {
        self.supervisor.running().await.map_err(host_error)
    }

    /// One answer. A plugin that dies over the question is asked again once it lives.
    async fn ask<T, F>(&self, doing: &str, call: impl Fn(Stub) -> F) -> Result<T, SourceError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut deaths = 0;
        loop {
            let running = self.running().await?;
            match running.call(|| doing.to_owned(), call(stub(&running))).await {
                Err(error) if is_death(&error) && deaths < running.settings.restarts => deaths += 1,
                answer => return answer,
            }
        }
    }

    /// As [`ask`](Self::ask), for a call that every plugin must have: without it there is nothing to fall back to.
    async fn demand<T, F>(&self, name: &str, doing: &str, call: impl Fn(Stub) -> F) -> Result<T, SourceError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        match self.ask(doing, call).await {
            Err(SourceError::Unsupported(_)) => Err(self.running().await?.lacks(name)),
            answer => answer,
        }
    }

    /// For a plugin without `GetMetadata`: Dragonfly's own calls, one by one.
    async fn metadata_by_parts(&self, request: &Request) -> Result<Metadata, SourceError> {
        let content_length = self.content_length(request).await?;
        let support_range = self.support_range(request).await?;
        let last_modified = self.last_modified(request).await?;
        let validator = Validator { etag: None, last_modified };
        Ok(Metadata { content_length, support_range, validator, ..Metadata::default() })
    }
}

fn is_death(error: &SourceError) -> bool {
    let SourceError::Internal(error) = error else { return false };
    matches!(error.downcast_ref(), Some(Error::Crashed { .. }))
}

/// A call of a stub's with a copy of its message.
macro_rules! call {
    ($method:ident, $message:expr) => {{
        let message = $message;
        move |mut stub: Stub| {
            let message = message.clone();
            async move { stub.$method(message).await }
        }
    }};
}

#[async_trait]
impl ResourceClient for Proxy {
    async fn ready(&self) -> Result<(), SourceError> {
        self.running().await.map(drop)
    }

    async fn metadata(&self, request: &Request) -> Result<Metadata, SourceError> {
        let message = GetMetadataRequest { resource: Some(request.clone().into()) };
        match self.ask("metadata", call!(get_metadata, message)).await {
            Ok(answer) => Ok(answer.metadata.unwrap_or_default().into()),
            Err(SourceError::Unsupported(_)) => self.metadata_by_parts(request).await,
            Err(error) => Err(error),
        }
    }

    /// Not asked again if the plugin dies: the caller knows where to go on.
    async fn download(&self, request: &DownloadRequest) -> Result<Download, SourceError> {
        let (url, message) = (request.request.url.clone(), proto::DownloadRequest::from(request.clone()));
        let running = self.running().await?;
        let messages = running.call(|| shown(&url), stub(&running).download(message)).await;
        let messages = messages.map_err(|error| lacks_download(&running, error))?;
        // It is handed on with every message.
        let mut stream = Box::new(BodyStream { messages, running, url, assembly: None });
        let first = stream.message().await?;
        let (assembly, opened) =
            Assembly::open(request.range, first).map_err(|violation| stream.violated(violation))?;
        stream.assembly = Some(assembly);
        Ok(Download { opened, body: Body::from_events(stream.into_events()) })
    }

    async fn content_length(&self, request: &Request) -> Result<Option<u64>, SourceError> {
        let message = GetContentLengthRequest { resource: Some(request.clone().into()) };
        let answer = self.demand("GetContentLength", "the length", call!(get_content_length, message)).await?;
        // Whatever is negative is unknown, -2 or not.
        Ok(u64::try_from(answer.content_length).ok())
    }

    async fn support_range(&self, request: &Request) -> Result<bool, SourceError> {
        let message = IsSupportRangeRequest { resource: Some(request.clone().into()) };
        let answer = self.demand("IsSupportRange", "range support", call!(is_support_range, message)).await?;
        Ok(answer.support_range)
    }

    async fn expired(&self, request: &Request, validator: &Validator) -> Result<bool, SourceError> {
        let resource = Some(request.clone().into());
        let message = IsExpiredRequest { resource, validator: Some(validator.clone().into()), expires: None };
        Ok(self.demand("IsExpired", "expiry", call!(is_expired, message)).await?.expired)
    }

    async fn last_modified(&self, request: &Request) -> Result<Option<SystemTime>, SourceError> {
        let message = GetLastModifiedRequest { resource: Some(request.clone().into()) };
        let answer = self.demand("GetLastModified", "the time of change", call!(get_last_modified, message)).await?;
        let millis = answer.last_modified;
        Ok((millis >= 0).then(|| wire::time(millis)).flatten())
    }

    async fn list(&self, request: &Request) -> Result<BoxStream<'static, Result<Entry, SourceError>>, SourceError> {
        self.list_with_content(request, 0).await
    }

    /// Not asked again either: the caller knows whether it has seen a part of it.
    async fn list_with_content(
        &self,
        request: &Request,
        limit: u64,
    ) -> Result<BoxStream<'static, Result<Entry, SourceError>>, SourceError> {
        let running = self.running().await?;
        let message = ListRequest { resource: Some(request.clone().into()), content_limit: limit };
        let pages = running.call(|| "a listing".to_owned(), stub(&running).list(message)).await?;
        let pages = stream::try_unfold((pages, running, shown(&request.url)), async |(mut pages, running, url)| {
            let page: Option<ListResponse> = running.next(&mut pages, || url.clone()).await?;
            if page.is_none() {
                running.progress.completed();
            }
            Ok(page.map(|page| (page, (pages, running, url))))
        });
        let entries = pages.flat_map(|page: Result<ListResponse, SourceError>| match page {
            Ok(page) => stream::iter(page.entries).map(|entry| Ok(entry.into())).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        });
        Ok(entries.boxed())
    }
}

fn lacks_download(running: &Running, error: SourceError) -> SourceError {
    match error {
        SourceError::Unsupported(_) => running.lacks("Download"),
        error => error,
    }
}

/// A download's messages on their way to be a body.
struct BodyStream {
    messages: Streaming<DownloadResponse>,
    running: Arc<Running>,
    /// With its secrets.
    url: String,
    /// `None` before `Opened`.
    assembly: Option<Assembly>,
}

impl BodyStream {
    fn into_events(self: Box<Self>) -> impl futures_util::Stream<Item = Result<BodyEvent, SourceError>> {
        stream::try_unfold(self, Self::event)
    }

    /// The next event, or `None` after `End`. Empty messages are no sign of life: they do not extend the wait.
    async fn event(mut self: Box<Self>) -> Result<Option<(BodyEvent, Box<Self>)>, SourceError> {
        let mut patience = self.running.settings.stall_timeout;
        let stalled = |stream: &Self| stream.running.stalled("only empty messages came".into());
        loop {
            let Some((message, took)) = within(patience, self.message()).await else { return Err(stalled(&self)) };
            let message = message?;
            patience = patience.saturating_sub(took);
            let assembly = self.assembly.as_mut().expect("a body begins after Opened");
            match assembly.accept(message) {
                Ok(Step::Body(event)) => {
                    if let BodyEvent::Chunk(chunk) = &event {
                        self.running.progress.came(chunk.len());
                    }
                    return Ok(Some((event, self)));
                }
                // Where there always is a next message, the time limit on it never strikes.
                Ok(Step::Empty) if patience.is_zero() => return Err(stalled(&self)),
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

    async fn message(&mut self) -> Result<DownloadResponse, SourceError> {
        let (url, at) = (&self.url, self.assembly.as_ref().map(Assembly::next));
        let doing = || at.map_or_else(|| shown(url), |at| format!("{} at byte {at}", shown(url)));
        let next = self.running.next(&mut self.messages, doing).await;
        match next.map_err(|error| lacks_download(&self.running, error))? {
            Some(message) => Ok(message),
            None => {
                let received = self.assembly.as_ref().map_or(0, Assembly::received);
                Err(self.running.explain_truncation(received, &shown(url), &doing()).await)
            }
        }
    }

    fn violated(&self, violation: Violation) -> SourceError {
        match violation {
            Violation::Protocol(fact) => host_error(self.running.protocol_error(fact)),
            incomplete @ Violation::Incomplete { .. } => SourceError::DataLoss(incomplete.to_string()),
        }
    }
}
