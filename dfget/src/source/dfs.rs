//! `dfs://`: says hello. An in-tree source in full, to be copied by whoever writes one.

use std::sync::Arc;

use plugin_sdk::{
    Download, DownloadRequest, Error, Metadata, Options, Request, ResourceClient, Validator, async_trait,
};

const CONTENT: &str = "hello world";

struct Dfs;

pub(super) fn open(_: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    Ok(Arc::new(Dfs))
}

#[async_trait]
impl ResourceClient for Dfs {
    async fn metadata(&self, _: &Request) -> Result<Metadata, Error> {
        Ok(Metadata {
            content_length: Some(CONTENT.len() as u64),
            support_range: true,
            validator: Validator { etag: Some("\"hello\"".into()), last_modified: None },
            ..Metadata::default()
        })
    }

    async fn download(&self, request: &DownloadRequest) -> Result<Download, Error> {
        Download::from_bytes(CONTENT, request.range)
    }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::{BodyEvent, Range};

    use super::*;

    #[tokio::test]
    async fn it_says_hello_in_parts() {
        let range = Range { start: 6, length: Some(3) };
        let download = Dfs.download(&DownloadRequest { range, ..DownloadRequest::default() }).await.unwrap();
        let events: Vec<_> = tokio_stream::StreamExt::collect(download.body).await;
        assert!(matches!(&events[..], [Ok(BodyEvent::Chunk(chunk))] if chunk == "wor"));
    }
}
