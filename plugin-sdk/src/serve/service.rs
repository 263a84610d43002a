//! `ResourceClient` as a gRPC service in front of the author's implementation of the trait.

use std::{
    mem,
    panic::AssertUnwindSafe,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use futures_util::{
    FutureExt, Stream, StreamExt, future,
    stream::{self, BoxStream},
};
use plugin_proto::{
    DATA_SOCKET, SHARED_MEMORY, UNKNOWN_CONTENT_LENGTH, UNKNOWN_LAST_MODIFIED, limits,
    resource::{
        self as proto, DownloadResponse, ListResponse, resource_client_server::ResourceClient as ResourceClientService,
    },
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task,
};
use tonic::{Request, Response, Status, async_trait};

use super::{
    content,
    data_socket::{Carrier, DataSockets},
    frames::Frames,
    panics,
};
use crate::{Attributes, DownloadRequest, Entry, Error, Options, ResourceClient, wire};

/// Most entries in one message of a listing: some 100 KiB.
const ENTRIES: usize = 512;

type Open = Arc<dyn Fn(Options) -> Result<Arc<dyn ResourceClient>, Error> + Send + Sync>;

pub(super) struct Service {
    attributes: Attributes,
    open: Open,
    /// Empty before `Init`; a further `Init` replaces it, and running calls end with the one they began with.
    client: RwLock<Option<Arc<dyn ResourceClient>>>,
    /// `None` where they cannot be had.
    data_sockets: Option<DataSockets>,
    /// What the host takes on them.
    takes: RwLock<Option<Carrier>>,
}

impl Service {
    pub(super) fn new<C, F>(attributes: Attributes, open: F) -> Self
    where
        C: ResourceClient,
        F: Fn(Options) -> Result<C, Error> + Send + Sync + 'static,
    {
        let open: Open = Arc::new(move |options| Ok(Arc::new(open(options)?)));
        Self { attributes, open, client: RwLock::new(None), data_sockets: None, takes: RwLock::new(None) }
    }

    pub(super) fn with_data_sockets(self, data_sockets: Option<DataSockets>) -> Self {
        Self { data_sockets, ..self }
    }

    pub(super) fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    fn client(&self) -> Result<Arc<dyn ResourceClient>, Status> {
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner).clone();
        client.ok_or_else(|| Status::invalid_argument("Init comes before any other call"))
    }
}

/// Runs the author's code: a panic becomes INTERNAL.
async fn guarded<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Status> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(result) => result.map_err(Status::from),
        Err(panic) => Err(Status::internal(panics::message(panic.as_ref()))),
    }
}

fn resource(resource: Option<proto::Resource>) -> Result<crate::Request, Status> {
    resource.map(Into::into).ok_or_else(|| Status::invalid_argument("the request names no resource"))
}

#[async_trait]
impl ResourceClientService for Service {
    async fn init(&self, request: Request<proto::InitRequest>) -> Result<Response<proto::InitResponse>, Status> {
        let proto::InitRequest { options, scheme, describe, features, .. } = request.into_inner();
        if !describe {
            let open = Arc::clone(&self.open);
            let client = guarded(async {
                match Handle::current().runtime_flavor() {
                    // It has promised not to wait.
                    RuntimeFlavor::CurrentThread => open(options),
                    // It may look at a storage that hangs, which must not keep the runtime from answering.
                    _ => task::block_in_place(|| open(options)),
                }
            })
            .await?;
            *self.client.write().unwrap_or_else(PoisonError::into_inner) = Some(client);
        }
        let attributes = self.attributes.for_scheme(&scheme);
        let has: &[&str] = match &self.data_sockets {
            None => &[],
            Some(_) if cfg!(target_os = "linux") => &[DATA_SOCKET, SHARED_MEMORY],
            Some(_) => &[DATA_SOCKET],
        };
        let in_use = |feature: &str| has.contains(&feature) && features.iter().any(|wanted| wanted == feature);
        let carrier = if in_use(SHARED_MEMORY) { Carrier::Memory } else { Carrier::Socket };
        *self.takes.write().unwrap_or_else(PoisonError::into_inner) = in_use(DATA_SOCKET).then_some(carrier);
        let features = has.iter().map(|feature| (*feature).to_owned()).collect();
        Ok(Response::new(proto::InitResponse { attributes, features }))
    }

    async fn get_content_length(
        &self,
        request: Request<proto::GetContentLengthRequest>,
    ) -> Result<Response<proto::GetContentLengthResponse>, Status> {
        let (client, request) = (self.client()?, resource(request.into_inner().resource)?);
        let length = guarded(client.content_length(&request)).await?;
        let content_length =
            length.map_or(UNKNOWN_CONTENT_LENGTH, |length| i64::try_from(length).unwrap_or(UNKNOWN_CONTENT_LENGTH));
        Ok(Response::new(proto::GetContentLengthResponse { content_length }))
    }

    async fn is_support_range(
        &self,
        request: Request<proto::IsSupportRangeRequest>,
    ) -> Result<Response<proto::IsSupportRangeResponse>, Status> {
        let (client, request) = (self.client()?, resource(request.into_inner().resource)?);
        let support_range = guarded(client.support_range(&request)).await?;
        Ok(Response::new(proto::IsSupportRangeResponse { support_range }))
    }

    async fn is_expired(
        &self,
        request: Request<proto::IsExpiredRequest>,
    ) -> Result<Response<proto::IsExpiredResponse>, Status> {
        let proto::IsExpiredRequest { resource: named, validator, .. } = request.into_inner();
        let (client, request) = (self.client()?, resource(named)?);
        let expired = guarded(client.expired(&request, &validator.unwrap_or_default().into())).await?;
        Ok(Response::new(proto::IsExpiredResponse { expired }))
    }

    async fn get_last_modified(
        &self,
        request: Request<proto::GetLastModifiedRequest>,
    ) -> Result<Response<proto::GetLastModifiedResponse>, Status> {
        let (client, request) = (self.client()?, resource(request.into_inner().resource)?);
        let time = guarded(client.last_modified(&request)).await?;
        let last_modified = time.map_or(UNKNOWN_LAST_MODIFIED, wire::millis);
        Ok(Response::new(proto::GetLastModifiedResponse { last_modified }))
    }

    async fn get_metadata(
        &self,
        request: Request<proto::GetMetadataRequest>,
    ) -> Result<Response<proto::GetMetadataResponse>, Status> {
        let (client, request) = (self.client()?, resource(request.into_inner().resource)?);
        let metadata = guarded(client.metadata(&request)).await?;
        Ok(Response::new(proto::GetMetadataResponse { metadata: Some(metadata.into()) }))
    }

    type DownloadStream = BoxStream<'static, Result<DownloadResponse, Status>>;

    async fn download(
        &self,
        request: Request<proto::DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let (client, request) = (self.client()?, request.into_inner());
        if request.resource.is_none() {
            return Err(Status::invalid_argument("the request names no resource"));
        }
        let panics_at_start = panics::so_far();
        let wanted = DownloadRequest::from(request);
        let download = guarded(client.download(&wanted)).await?;
        // A source that knows no versions has not looked at the one that is asked for.
        if !wanted.validator.is_empty() && download.opened.metadata.validator.is_empty() {
            return Err(Error::Changed("nothing tells its version; download it from its start".into()).into());
        }
        let takes = *self.takes.read().unwrap_or_else(PoisonError::into_inner);
        let messages = match (&self.data_sockets, takes) {
            (Some(sockets), Some(takes)) => sockets.messages(download, takes, panics_at_start),
            _ => Frames::new(download, panics_at_start).boxed(),
        };
        Ok(Response::new(messages))
    }

    type ListStream = BoxStream<'static, Result<ListResponse, Status>>;

    async fn list(&self, request: Request<proto::ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let proto::ListRequest { resource: named, content_limit } = request.into_inner();
        let (client, request) = (self.client()?, resource(named)?);
        let panics_at_start = panics::so_far();
        let mut entries = guarded(client.list(&request)).await?;
        if content_limit > 0 && client.lists_content() {
            entries = content::put_into(entries, client, request, content_limit);
        }
        Ok(Response::new(pages(entries, panics_at_start).boxed()))
    }
}

/// A listing as messages of up to [`ENTRIES`] entries. As [`Frames`], it never ends well after a panic.
fn pages(
    entries: BoxStream<'static, Result<Entry, Error>>,
    panics_at_start: u64,
) -> impl Stream<Item = Result<ListResponse, Status>> {
    let entries = AssertUnwindSafe(entries).catch_unwind().map(|entry| {
        entry.unwrap_or_else(|panic| Err(Error::internal(panics::message(panic.as_ref())))).map_err(Status::from)
    });
    let pages = entries.ready_chunks(ENTRIES).flat_map(|page| stream::iter(messages(page)));
    pages.chain(stream::once(async move { panics::so_far() }).filter_map(move |panics| {
        let text = "the plugin panicked while it listed, and the listing may be cut short";
        future::ready((panics != panics_at_start).then(|| Err(Status::internal(text))))
    }))
}

/// A page as messages none of which has more content than a chunk may have; up to an error, which is the end.
fn messages(page: Vec<Result<Entry, Status>>) -> Vec<Result<ListResponse, Status>> {
    let (mut messages, mut entries, mut bytes) = (Vec::new(), Vec::new(), 0);
    for entry in page {
        let entry = match entry {
            Ok(entry) => proto::Entry::from(entry),
            Err(status) => {
                messages.extend([Ok(ListResponse { entries }), Err(status)]);
                return messages;
            }
        };
        let length = entry.content.as_ref().map_or(0, Bytes::len);
        if bytes + length > limits::CHUNK && !entries.is_empty() {
            messages.push(Ok(ListResponse { entries: mem::take(&mut entries) }));
            bytes = 0;
        }
        bytes += length;
        entries.push(entry);
    }
    messages.push(Ok(ListResponse { entries }));
    messages
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::{Download, Metadata};

    /// As the first example of the documentation.
    struct Unversioned;

    #[crate::async_trait]
    impl ResourceClient for Unversioned {
        async fn metadata(&self, _: &crate::Request) -> Result<Metadata, Error> {
            Ok(Metadata::default())
        }

        async fn download(&self, wanted: &DownloadRequest) -> Result<Download, Error> {
            Download::from_bytes("hello", wanted.range)
        }
    }

    async fn download(validator: Option<proto::Validator>) -> Result<(), Code> {
        let service = Service::new(Attributes::of_scheme("x"), |_| Ok(Unversioned));
        *service.client.write().unwrap() = Some(Arc::new(Unversioned));
        let resource = Some(proto::Resource { url: "x://h".into(), header: Vec::new() });
        let request = proto::DownloadRequest { resource, range: None, validator };
        service.download(Request::new(request)).await.map(drop).map_err(|status| status.code())
    }

    #[tokio::test]
    async fn no_version_is_served_that_nothing_tells() {
        let validator = |etag: &str| Some(proto::Validator { etag: etag.into(), last_modified: None });
        assert_eq!(download(None).await, Ok(()));
        assert_eq!(download(validator("")).await, Ok(()));
        assert_eq!(download(validator("\"e\"")).await, Err(Code::FailedPrecondition));
    }
}
