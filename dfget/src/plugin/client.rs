//! The proxy of a running plugin: the trait on this side, gRPC on the other, and every answer checked.

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
    supervisor::{Heard, Running, host_error},
};
use crate::{error::Error, limit::within, url::shown};

/// What the engine sees of a plugin.
#[derive(Clone)]
pub(super) struct Proxy {
    running: Arc<Running>,
}

impl Proxy {
    pub(super) fn new(running: Arc<Running>) -> Self {
        Self { running }
    }

    fn stub(&self) -> ResourceClientClient<Channel> {
        ResourceClientClient::new(self.running.channel.clone()).max_decoding_message_size(limits::MESSAGE)
    }

    /// One answer in time, or the reason why there is none.
    async fn call<T>(
        &self,
        doing: &str,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, SourceError> {
        let limit = self.running.settings.call_timeout;
        match self.running.hear(limit, call).await {
            Heard::Word(Ok(answer)) => Ok(answer.into_inner()),
            Heard::Word(Err(status)) => Err(self.running.explain(status, doing).await),
            Heard::Death(ending) => Err(host_error(self.running.crashed(ending, doing).await)),
            Heard::Nothing => Err(self.stalled(format!("no answer in {}", humantime::format_duration(limit)))),
        }
    }

    fn stalled(&self, fact: String) -> SourceError {
        host_error(Error::Stalled { who: format!("plugin {}", self.running.name), fact })
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

#[async_trait]
impl ResourceClient for Proxy {
    async fn metadata(&self, request: &Request) -> Result<Metadata, SourceError> {
        let message = GetMetadataRequest { resource: Some(request.clone().into()) };
        match self.call("metadata", self.stub().get_metadata(message)).await {
            Ok(answer) => Ok(answer.metadata.unwrap_or_default().into()),
            Err(SourceError::Unsupported(_)) => self.metadata_by_parts(request).await,
            Err(error) => Err(error),
        }
    }

    async fn download(&self, request: &DownloadRequest) -> Result<Download, SourceError> {
        let (doing, message) = (shown(&request.request.url), proto::DownloadRequest::from(request.clone()));
        let messages = self.call(&doing, self.stub().download(message)).await;
        let mut stream = BodyStream {
            messages: messages.map_err(|error| self.mandatory("Download", error))?,
            proxy: self.clone(),
            doing,
            assembly: None,
        };
        let first = stream.message().await?;
        let (assembly, opened) =
            Assembly::open(request.range, first).map_err(|violation| stream.violated(violation))?;
        stream.assembly = Some(assembly);
        Ok(Download { opened, body: Body::from_events(stream.into_events()) })
    }

    async fn content_length(&self, request: &Request) -> Result<Option<u64>, SourceError> {
        let message = GetContentLengthRequest { resource: Some(request.clone().into()) };
        let answer = self.call("the length", self.stub().get_content_length(message)).await;
        let length = answer.map_err(|error| self.mandatory("GetContentLength", error))?.content_length;
        // Whatever is negative is unknown, -2 or not.
        Ok(u64::try_from(length).ok())
    }

    async fn support_range(&self, request: &Request) -> Result<bool, SourceError> {
        let message = IsSupportRangeRequest { resource: Some(request.clone().into()) };
        let answer = self.call("range support", self.stub().is_support_range(message)).await;
        Ok(answer.map_err(|error| self.mandatory("IsSupportRange", error))?.support_range)
    }

    async fn expired(&self, request: &Request, validator: &Validator) -> Result<bool, SourceError> {
        let resource = Some(request.clone().into());
        let message = IsExpiredRequest { resource, validator: Some(validator.clone().into()), expires: None };
        let answer = self.call("expiry", self.stub().is_expired(message)).await;
        Ok(answer.map_err(|error| self.mandatory("IsExpired", error))?.expired)
    }

    async fn last_modified(&self, request: &Request) -> Result<Option<SystemTime>, SourceError> {
        let message = GetLastModifiedRequest { resource: Some(request.clone().into()) };
        let answer = self.call("the time of change", self.stub().get_last_modified(message)).await;
        let millis = answer.map_err(|error| self.mandatory("GetLastModified", error))?.last_modified;
        Ok((millis >= 0).then(|| wire::time(millis)).flatten())
    }

    async fn list(&self, request: &Request) -> Result<BoxStream<'static, Result<Entry, SourceError>>, SourceError> {
        let message = ListRequest { resource: Some(request.clone().into()) };
        let pages = self.call("a listing", self.stub().list(message)).await?;
        let (proxy, doing) = (self.clone(), shown(&request.url));
        let pages = stream::try_unfold((pages, proxy, doing), async |(mut pages, proxy, doing)| {
            let page: Option<ListResponse> = proxy.next(&mut pages, &doing).await?;
            Ok(page.map(|page| (page, (pages, proxy, doing))))
        });
        let entries = pages.flat_map(|page: Result<ListResponse, SourceError>| match page {
            Ok(page) => stream::iter(page.entries).map(|entry| Ok(entry.into())).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        });
        Ok(entries.boxed())
    }
}

impl Proxy {
    /// A call that every plugin must have; without it there is nothing to fall back to.
    fn mandatory(&self, call: &str, error: SourceError) -> SourceError {
        match error {
            SourceError::Unsupported(_) => {
                host_error(self.running.protocol_error(format!("it does not implement {call}")))
            }
            error => error,
        }
    }

    /// The next message of a stream, or `None` at its end, in time.
    async fn next<T>(&self, messages: &mut Streaming<T>, doing: &str) -> Result<Option<T>, SourceError> {
        let limit = self.running.settings.stall_timeout;
        // A flood that is always ready would keep deadlines and signals waiting.
        tokio::task::consume_budget().await;
        match self.running.hear(limit, messages.message()).await {
            Heard::Word(Ok(message)) => Ok(message),
            Heard::Word(Err(status)) => Err(self.running.explain(status, doing).await),
            Heard::Death(ending) => Err(host_error(self.running.crashed(ending, doing).await)),
            Heard::Nothing => Err(self.stalled(format!("nothing came for {}", humantime::format_duration(limit)))),
        }
    }
}

/// A download's messages on their way to be a body.
struct BodyStream {
    messages: Streaming<DownloadResponse>,
    proxy: Proxy,
    doing: String,
    /// `None` before `Opened`.
    assembly: Option<Assembly>,
}

impl BodyStream {
    fn into_events(self) -> impl futures_util::Stream<Item = Result<BodyEvent, SourceError>> {
        stream::try_unfold(self, Self::event)
    }

    /// The next event, or `None` after `End`. Empty messages are no sign of life: they do not extend the wait.
    async fn event(mut self) -> Result<Option<(BodyEvent, Self)>, SourceError> {
        let mut patience = self.proxy.running.settings.stall_timeout;
        let stalled = |stream: &Self| stream.proxy.stalled("only empty messages came".into());
        loop {
            let Some((message, took)) = within(patience, self.message()).await else { return Err(stalled(&self)) };
            let message = message?;
            patience = patience.saturating_sub(took);
            let assembly = self.assembly.as_mut().expect("a body begins after Opened");
            match assembly.accept(message) {
                Ok(Step::Body(event)) => return Ok(Some((event, self))),
                // Where there always is a next message, the time limit on it never strikes.
                Ok(Step::Empty) if patience.is_zero() => return Err(stalled(&self)),
                Ok(Step::Empty) => {}
                Ok(Step::End) => {
                    self.proxy.running.see_out(self.messages);
                    return Ok(None);
                }
                Err(violation) => return Err(self.violated(violation)),
            }
        }
    }

    async fn message(&mut self) -> Result<DownloadResponse, SourceError> {
        let next = self.proxy.next(&mut self.messages, &self.doing).await;
        match next.map_err(|error| self.proxy.mandatory("Download", error))? {
            Some(message) => Ok(message),
            None => {
                let received = self.assembly.as_ref().map_or(0, Assembly::received);
                Err(self.proxy.running.explain_truncation(received, &self.doing).await)
            }
        }
    }

    fn violated(&self, violation: Violation) -> SourceError {
        match violation {
            Violation::Protocol(fact) => host_error(self.proxy.running.protocol_error(fact)),
            incomplete @ Violation::Incomplete { .. } => SourceError::DataLoss(incomplete.to_string()),
        }
    }
}
