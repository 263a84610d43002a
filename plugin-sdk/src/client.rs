//! The trait that every source implements.

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{Download, DownloadRequest, Entry, Error, Metadata, Request, Validator};

/// A source of resources: what a plugin author implements, what dfget's in-tree sources implement, and what dfget's
/// proxy of a running plugin implements.
///
/// Two methods are to be written; the others follow from them and may be overridden where the storage knows a
/// cheaper way. Methods are called concurrently. A dropped future or body is a cancelled call: nobody wants its
/// result any more.
#[async_trait]
pub trait ResourceClient: Send + Sync + 'static {
    /// What is known about a resource without reading it.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] and the others, each as its documentation says.
    async fn metadata(&self, request: &Request) -> Result<Metadata, Error>;

    /// Opens a resource, or the part of it that [`DownloadRequest::range`] names, for reading.
    ///
    /// A source that cannot serve the range serves the whole resource instead and says so in
    /// [`Opened::range`](crate::Opened::range). A source that can tell versions apart fails with [`Error::Changed`]
    /// if the resource is not of the version that [`DownloadRequest::validator`] names.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] and the others, each as its documentation says.
    async fn download(&self, request: &DownloadRequest) -> Result<Download, Error>;

    /// The length in bytes; `None` where it is unknown.
    ///
    /// # Errors
    ///
    /// * as [`metadata`](Self::metadata)
    async fn content_length(&self, request: &Request) -> Result<Option<u64>, Error> {
        Ok(self.metadata(request).await?.content_length)
    }

    /// Whether a part of this resource can be downloaded.
    ///
    /// # Errors
    ///
    /// * as [`metadata`](Self::metadata)
    async fn support_range(&self, request: &Request) -> Result<bool, Error> {
        Ok(self.metadata(request).await?.support_range)
    }

    /// Whether the resource is another one than `validator` was taken from. Where that cannot be told, it is.
    ///
    /// # Errors
    ///
    /// * as [`metadata`](Self::metadata)
    async fn expired(&self, request: &Request, validator: &Validator) -> Result<bool, Error> {
        Ok(!validator.matches(&self.metadata(request).await?.validator))
    }

    /// When the resource changed last; `None` where the storage keeps no such time.
    ///
    /// # Errors
    ///
    /// * as [`metadata`](Self::metadata)
    async fn last_modified(&self, request: &Request) -> Result<Option<std::time::SystemTime>, Error> {
        Ok(self.metadata(request).await?.validator.last_modified)
    }

    /// The entries directly beneath a directory, in any order.
    ///
    /// # Errors
    ///
    /// * [`Error::Unsupported`]: this source cannot list, which is the default
    /// * the others, each as its documentation says; [`Error::InvalidRequest`] for a resource that is no directory
    async fn list(&self, _request: &Request) -> Result<BoxStream<'static, Result<Entry, Error>>, Error> {
        // Without the URL, which may hold secrets: the host names it.
        Err(Error::Unsupported("its source cannot list".into()))
    }

    /// Whether files are read as quickly as they are listed: then a host that asks for it gets the content of small ones
    /// along with the listing, by [`download`](Self::download) called here, and a tree of thousands of them takes no call
    /// each. For a storage that every file costs a round trip, the host does better with many calls at a time.
    fn lists_content(&self) -> bool {
        false
    }

    /// As [`list`](Self::list), with the content of files of at most `limit` bytes where the source gives it: dfget's
    /// proxy of a plugin asks for it here. Nothing for a plugin to do.
    ///
    /// # Errors
    ///
    /// * as [`list`](Self::list)
    async fn list_with_content(
        &self,
        request: &Request,
        _limit: u64,
    ) -> Result<BoxStream<'static, Result<Entry, Error>>, Error> {
        self.list(request).await
    }

    /// Returns once the source can be asked again after it broke down: dfget's proxy of a plugin starts a new process
    /// here. Nothing for a plugin to do.
    ///
    /// # Errors
    ///
    /// * [`Error::Internal`]: it stays broken
    async fn ready(&self) -> Result<(), Error> {
        Ok(())
    }
}
