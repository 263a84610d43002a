//! The proxy of a plugin: the trait on this side, gRPC on the other, and every answer checked.

use std::{future::Future, sync::Arc, time::SystemTime};

use futures_util::{StreamExt, stream, stream::BoxStream};
use plugin_proto::{
    limits,
    resource::{
        self as proto, GetContentLengthRequest, GetLastModifiedRequest, GetMetadataRequest, IsExpiredRequest,
        IsSupportRangeRequest, ListRequest, ListResponse, resource_client_client::ResourceClientClient,
    },
};
use plugin_sdk::{
    Download, DownloadRequest, Entry, Error as SourceError, Metadata, Request, ResourceClient, Validator, async_trait,
    wire,
};
use tonic::{Response, Status, transport::Channel};

use super::{
    body_stream::BodyStream,
    running::{Running, host_error},
    supervisor::Supervisor,
};
use crate::{error::Error, url::shown};

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
        BodyStream::open(messages, running, url, request.range).await
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

pub(super) fn lacks_download(running: &Running, error: SourceError) -> SourceError {
    match error {
        SourceError::Unsupported(_) => running.lacks("Download"),
        error => error,
    }
}
