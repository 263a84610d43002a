//! The services by hand: every call is well, or has the one fault that the plugin was started for.

use std::{
    collections::HashMap,
    future,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use faultplug::query;
use plugin_proto::{
    DATA_SOCKET, PLUGIN_TYPE, SHARED_MEMORY,
    goplugin::{Empty, grpc_controller_server::GrpcController},
    resource::{
        DownloadRequest, DownloadResponse, Entry, GetContentLengthRequest, GetContentLengthResponse,
        GetLastModifiedRequest, GetLastModifiedResponse, GetMetadataRequest, GetMetadataResponse, InitRequest,
        InitResponse, IsExpiredRequest, IsExpiredResponse, IsSupportRangeRequest, IsSupportRangeResponse, ListRequest,
        ListResponse, resource_client_server::ResourceClient,
    },
};
use tokio_stream::{self as stream, Stream};
use tonic::{Request, Response, Status, async_trait};

use super::{data, memory, stream::messages, trailer};

pub(super) struct Raw {
    fault: String,
    /// An `Init` failed, and the former configuration is gone.
    forgotten: AtomicBool,
}

impl Raw {
    pub(super) fn new(fault: &str) -> Self {
        Self { fault: fault.to_owned(), forgotten: AtomicBool::new(false) }
    }

    fn features(&self) -> &'static [&'static str] {
        match self.fault.as_str() {
            "data-sockets" => &[DATA_SOCKET],
            "shared-memory" => &[DATA_SOCKET, SHARED_MEMORY],
            _ => &[],
        }
    }
}

pub(super) type Answers<T> = Box<dyn Stream<Item = Result<T, Status>> + Send + Unpin>;

#[async_trait]
impl ResourceClient for Raw {
    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        let InitRequest { scheme, options, features, describe, .. } = request.into_inner();
        let attributes = [("type", PLUGIN_TYPE), ("name", &scheme), ("scheme", &scheme)];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        match self.fault.as_str() {
            "no-init-answer" => future::pending().await,
            "describe-refused" if describe => Err(Status::invalid_argument("option `root` is missing")),
            "features-refused" if !features.is_empty() => Err(Status::invalid_argument("no such feature")),
            "init-forgets" if !options.is_empty() => {
                self.forgotten.store(true, Ordering::Relaxed);
                Err(Status::invalid_argument(format!("there are no such options: {:?}", options.keys())))
            }
            "no-attributes" => Ok(Response::new(InitResponse::default())),
            _ => Ok(Response::new(InitResponse {
                attributes: HashMap::from(attributes).into_iter().collect(),
                features: self.features().iter().map(|feature| (*feature).to_owned()).collect(),
            })),
        }
    }

    type DownloadStream = Answers<DownloadResponse>;

    async fn download(&self, request: Request<DownloadRequest>) -> Result<Response<Self::DownloadStream>, Status> {
        let DownloadRequest { resource, range, .. } = request.into_inner();
        let url = resource.unwrap_or_default().url;
        eprintln!("asked for a download");
        if self.fault == "babbles" {
            println!("asked for a download");
        }
        match query::value(&url, "fault") {
            Some("status") if query::value(&url, "at").is_none() => Err(trailer::status(&url)),
            Some("no-answer") => future::pending().await,
            _ if query::value(&url, "data").is_some() => {
                let start = range.unwrap_or_default().start;
                Ok(Response::new(data::messages(&url, start)))
            }
            _ if query::value(&url, "memory").is_some() => {
                let start = range.unwrap_or_default().start;
                Ok(Response::new(memory::messages(&url, start)))
            }
            _ => Ok(Response::new(Box::new(stream::iter(messages(&url))))),
        }
    }

    async fn get_content_length(
        &self,
        _: Request<GetContentLengthRequest>,
    ) -> Result<Response<GetContentLengthResponse>, Status> {
        match self.forgotten.load(Ordering::Relaxed) {
            true => Err(Status::invalid_argument("Init comes before any other call")),
            false => absent(),
        }
    }

    async fn is_support_range(
        &self,
        _: Request<IsSupportRangeRequest>,
    ) -> Result<Response<IsSupportRangeResponse>, Status> {
        absent()
    }

    async fn is_expired(&self, _: Request<IsExpiredRequest>) -> Result<Response<IsExpiredResponse>, Status> {
        absent()
    }

    async fn get_last_modified(
        &self,
        _: Request<GetLastModifiedRequest>,
    ) -> Result<Response<GetLastModifiedResponse>, Status> {
        absent()
    }

    async fn get_metadata(&self, _: Request<GetMetadataRequest>) -> Result<Response<GetMetadataResponse>, Status> {
        absent()
    }

    type ListStream = Answers<ListResponse>;

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let url = request.into_inner().resource.unwrap_or_default().url;
        let pages: Answers<ListResponse> = match query::value(&url, "list") {
            Some("empty-pages") => Box::new(stream::iter(std::iter::repeat_with(|| Ok(ListResponse::default())))),
            Some("large-page") => Box::new(stream::once(Ok(large_page()))),
            _ => return absent(),
        };
        Ok(Response::new(pages))
    }
}

/// More than the 4 MiB of a message.
fn large_page() -> ListResponse {
    let entry = Entry { name: "x".repeat(255), ..Entry::default() };
    ListResponse { entries: vec![entry; 20_000] }
}

fn absent<T>() -> Result<T, Status> {
    Err(Status::unimplemented("the plugin without an SDK has only Init and Download"))
}

pub(super) struct Controller {
    pub(super) stubborn: bool,
}

#[async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        if !self.stubborn {
            thread::spawn(|| {
                // So that the answer gets out.
                thread::sleep(Duration::from_millis(10));
                std::process::exit(0);
            });
        }
        Ok(Response::new(Empty {}))
    }
}
