//! The trait that every source implements.

use std::{sync::Arc, time::SystemTime};

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
    async fn last_modified(&self, request: &Request) -> Result<Option<SystemTime>, Error> {
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

/// A source that is known as a trait object alone, such as an in-tree one, can be handed to [`serve`](crate::serve), too.
/// Every method is the source's own, not what the trait would make of the others.
#[async_trait]
impl<C: ResourceClient + ?Sized> ResourceClient for Arc<C> {
    async fn metadata(&self, request: &Request) -> Result<Metadata, Error> {
        C::metadata(self, request).await
    }

    async fn download(&self, request: &DownloadRequest) -> Result<Download, Error> {
        C::download(self, request).await
    }

    async fn content_length(&self, request: &Request) -> Result<Option<u64>, Error> {
        C::content_length(self, request).await
    }

    async fn support_range(&self, request: &Request) -> Result<bool, Error> {
        C::support_range(self, request).await
    }

    async fn expired(&self, request: &Request, validator: &Validator) -> Result<bool, Error> {
        C::expired(self, request, validator).await
    }

    async fn last_modified(&self, request: &Request) -> Result<Option<SystemTime>, Error> {
        C::last_modified(self, request).await
    }

    async fn list(&self, request: &Request) -> Result<BoxStream<'static, Result<Entry, Error>>, Error> {
        C::list(self, request).await
    }

    fn lists_content(&self) -> bool {
        C::lists_content(self)
    }

    async fn list_with_content(
        &self,
        request: &Request,
        limit: u64,
    ) -> Result<BoxStream<'static, Result<Entry, Error>>, Error> {
        C::list_with_content(self, request, limit).await
    }

    async fn ready(&self) -> Result<(), Error> {
        C::ready(self).await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

    use super::*;

    /// Answers each question in another way than the trait would.
    struct Own;

    #[async_trait]
    impl ResourceClient for Own {
        async fn metadata(&self, _: &Request) -> Result<Metadata, Error> {
            Ok(Metadata::default())
        }

        async fn download(&self, wanted: &DownloadRequest) -> Result<Download, Error> {
            Download::from_bytes("own", wanted.range)
        }

        async fn content_length(&self, _: &Request) -> Result<Option<u64>, Error> {
            Ok(Some(3))
        }

        async fn support_range(&self, _: &Request) -> Result<bool, Error> {
            Ok(true)
        }

        async fn expired(&self, _: &Request, _: &Validator) -> Result<bool, Error> {
            Ok(false)
        }

        async fn last_modified(&self, _: &Request) -> Result<Option<SystemTime>, Error> {
            Ok(Some(SystemTime::UNIX_EPOCH))
        }

        async fn list(&self, _: &Request) -> Result<BoxStream<'static, Result<Entry, Error>>, Error> {
            Ok(stream::empty().boxed())
        }

        fn lists_content(&self) -> bool {
            true
        }

        async fn list_with_content(
            &self,
            _: &Request,
            limit: u64,
        ) -> Result<BoxStream<'static, Result<Entry, Error>>, Error> {
            Ok(stream::iter([Ok(Entry { name: limit.to_string(), ..Entry::default() })]).boxed())
        }

        async fn ready(&self) -> Result<(), Error> {
            Err(Error::NotFound("gone".into()))
        }
    }

    #[tokio::test]
    async fn a_trait_object_is_the_source_in_it() {
        let source: Arc<Arc<dyn ResourceClient>> = Arc::new(Arc::new(Own));
        let (source, request) = (&*source, Request::new("x://h"));
        // By way of the generic code that `serve` is, not by the object's own methods.
        async fn ask<C: ResourceClient>(source: &C, request: &Request) -> Vec<String> {
            let listed = source.list_with_content(request, 7).await.unwrap().next().await.unwrap().unwrap();
            vec![
                format!("{:?}", source.metadata(request).await.unwrap().content_length),
                format!("{:?}", source.download(&DownloadRequest::default()).await.is_ok()),
                format!("{:?}", source.content_length(request).await.unwrap()),
                format!("{:?}", source.support_range(request).await.unwrap()),
                format!("{:?}", source.expired(request, &Validator::default()).await.unwrap()),
                format!("{:?}", source.last_modified(request).await.unwrap() == Some(SystemTime::UNIX_EPOCH)),
                format!("{:?}", source.list(request).await.is_ok()),
                format!("{:?}", source.lists_content()),
                listed.name,
                format!("{:?}", source.ready().await.is_err()),
            ]
        }
        let expected = ["None", "true", "Some(3)", "true", "false", "true", "true", "true", "7", "true"];
        assert_eq!(ask(source, &request).await, expected);
    }
}
