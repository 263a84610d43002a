//! A resource whose bytes came with the listing of its directory.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use plugin_sdk::{
    Body, Bytes, Download, DownloadRequest, Error, Metadata, Opened, Range, Request, ResourceClient, async_trait,
};

/// Its source, which is not asked for what is at hand: so these bytes go the way of all others.
pub(super) struct AtHand {
    content: Bytes,
    metadata: Metadata,
    /// Once: whoever asks again has found something wrong with them.
    given: AtomicBool,
    source: Arc<dyn ResourceClient>,
}

impl AtHand {
    /// `content` is all of the version that `metadata` tells.
    pub(super) fn new(content: Bytes, metadata: Metadata, source: Arc<dyn ResourceClient>) -> Self {
        Self { content, metadata, given: AtomicBool::new(false), source }
    }
}

#[async_trait]
impl ResourceClient for AtHand {
    async fn ready(&self) -> Result<(), Error> {
        self.source.ready().await
    }

    async fn metadata(&self, request: &Request) -> Result<Metadata, Error> {
        self.source.metadata(request).await
    }

    async fn download(&self, wanted: &DownloadRequest) -> Result<Download, Error> {
        let is_whole = wanted.range == Range::default() && wanted.validator.is_empty();
        if !is_whole || self.given.swap(true, Ordering::Relaxed) {
            return self.source.download(wanted).await;
        }
        let (opened, body) = (Opened::whole(self.metadata.clone()), Body::from_bytes(self.content.clone()));
        Ok(Download { opened, body })
    }
}
