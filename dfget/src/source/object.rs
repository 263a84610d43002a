//! Object stores: one source for all of them. opendal knows how each composes and signs its requests; pieces, retries
//! and progress are dfget's own, so a request here is one request there.
//!
//! * `location`: the URL
//! * `told`: options and environment
//! * one file a store, which turns the two into a [`Service`]
//! * `bucket`: the service of one bucket, and whether it is asked with or without credentials
//! * `transport`: how requests go out, and what comes back as it is
//! * `answer`, `refusal`: what it means
//! * `listing`: one level of keys

mod answer;
#[cfg(feature = "azblob")]
pub(super) mod azblob;
mod bucket;
#[cfg(feature = "cos")]
pub(super) mod cos;
#[cfg(feature = "gs")]
pub(super) mod gs;
#[cfg(feature = "hdfs")]
pub(super) mod hdfs;
mod listing;
mod location;
#[cfg(feature = "obs")]
pub(super) mod obs;
#[cfg(feature = "oss")]
pub(super) mod oss;
mod refusal;
#[cfg(feature = "s3")]
pub(super) mod s3;
mod told;
mod transport;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::stream::{self, BoxStream};
use opendal::{BytesRange, options, raw::oio::ReadStreamDyn};
use plugin_sdk::{
    Body, Bytes, Download, DownloadRequest, Entry, Error, Metadata, Opened, Options, Range, Request, ResourceClient,
    Validator, async_trait,
};
use reqwest::Client;

use self::{
    bucket::{Bucket, Call},
    location::Location,
    told::Told,
    transport::{Answer, Rules},
};
use super::network;

/// What dfget must know of a kind of store.
pub(super) struct Store {
    /// Makes the service of a bucket.
    service: fn(&Told, &str, &Asking) -> Result<Service, Error>,
    /// What tells versions of an object apart.
    identity: Identity,
    versions: Versions,
    words: Words,
}

/// How another version than the current one is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Versions {
    /// Not at all.
    None,
    /// opendal knows how.
    Known,
    /// By this name in the query.
    Query(&'static str),
}

/// What a store's own people call things.
#[derive(Debug, Clone, Copy)]
struct Words {
    /// Where objects are in.
    bucket: &'static str,
    /// What a signature is made with.
    secret: &'static str,
    /// How credentials are given, in the words of options and variables.
    credentials: &'static str,
}

/// What tells versions of an object apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// The answer's ETag, which the store compares too.
    ETag,
    /// A number that the store compares too.
    Generation,
    /// When it was written last. The store compares nothing, and an answer with bytes does not even tell it.
    Time,
}

/// As whom a bucket is asked.
#[derive(Debug, Clone, Default)]
struct Asking {
    /// Without credentials, as there are none.
    anonymous: bool,
    /// The region that the store itself has told.
    region: Option<String>,
}

/// How one bucket is asked.
struct Service {
    inner: opendal::raw::Servicer,
    rules: Arc<Rules>,
    /// What requests are signed for.
    region: Option<String>,
    /// Whether the region is a guess, and another one may be tried.
    is_guess: bool,
    anonymous: bool,
}

impl Service {
    /// What `builder` makes.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: it cannot be made of what was told
    fn new(builder: impl opendal::Builder, rules: Rules, asking: &Asking) -> Result<Self, Error> {
        let inner = builder.build().map_err(|error| Error::InvalidRequest(error.message().to_owned()))?;
        let (inner, rules) = (Arc::new(inner), Arc::new(rules));
        Ok(Self { inner, rules, region: None, is_guess: false, anonymous: asking.anonymous })
    }
}

struct ObjectStore {
    store: &'static Store,
    client: Client,
    told: Arc<Told>,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
}

/// The source of a store, as the user's options say.
fn open(store: &'static Store, options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    let (client, told) = (network::client(options)?, Arc::new(Told::new(options)));
    Ok(Arc::new(ObjectStore { store, client, told, buckets: Mutex::default() }))
}

#[async_trait]
impl ResourceClient for ObjectStore {
    async fn metadata(&self, request: &Request) -> Result<Metadata, Error> {
        let (location, bucket) = self.object(request)?;
        let metadata = self.stat(&bucket, &location, request).await?;
        refuse_directory(self.store, &location, &metadata)?;
        Ok(metadata)
    }

    async fn download(&self, request: &DownloadRequest) -> Result<Download, Error> {
        let (location, bucket) = self.object(&request.request)?;
        if request.range.length == Some(0) {
            let metadata = self.stat(&bucket, &location, &request.request).await?;
            request.validator.require(&metadata.validator)?;
            let range = request.range.within(metadata.content_length.unwrap_or(u64::MAX))?;
            return Ok(Download { opened: Opened::ranged(metadata, range), body: Body::from_bytes(Bytes::new()) });
        }
        if self.store.identity == Identity::Time {
            return self.read_by_time(&bucket, &location, request).await;
        }
        let (read, range) = self.read(&bucket, &location, request).await?;
        request.validator.require(&read.metadata.validator)?;
        let header = answer::header_of(&read.came.header);
        let opened = Opened { status: read.came.status.as_u16().into(), header, range, metadata: read.metadata };
        Ok(Download { opened, body: body_of(read.stream) })
    }

    async fn list(&self, request: &Request) -> Result<BoxStream<'static, Result<Entry, Error>>, Error> {
        let location = Location::parse(request.after_scheme())?;
        let bucket = self.bucket(&location)?;
        match listing::entries(self.store, &bucket, &location, request).await? {
            Some(entries) => Ok(entries),
            // Nothing is beneath it: either it is an object, or nothing.
            None => match self.stat(&bucket, &location, request).await {
                Ok(metadata) if metadata.content_length.is_none() => Ok(Box::pin(stream::empty())),
                Ok(_) => Err(not_a_directory(&location)),
                Err(Error::NotFound(said)) => Err(Error::NotFound(said)),
                Err(error) => Err(error),
            },
        }
    }
}

impl ObjectStore {
    /// The object that is asked for.
    fn object(&self, request: &Request) -> Result<(Location, Arc<Bucket>), Error> {
        let location = Location::parse(request.after_scheme())?;
        if location.key.is_empty() {
            let fact = "the URL names a bucket, not an object: -r downloads all of it, -l lists it";
            return Err(Error::InvalidRequest(fact.into()));
        }
        if location.version.is_some() && self.store.versions == Versions::None {
            return Err(Error::InvalidRequest("a version cannot be asked for at this store".into()));
        }
        let bucket = self.bucket(&location)?;
        Ok((location, bucket))
    }

    fn bucket(&self, location: &Location) -> Result<Arc<Bucket>, Error> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(&location.bucket) {
            return Ok(Arc::clone(bucket));
        }
        let bucket = Arc::new(Bucket::new(self.store, &self.told, &location.bucket, &self.client)?);
        buckets.insert(location.bucket.clone(), Arc::clone(&bucket));
        Ok(bucket)
    }

    async fn stat(&self, bucket: &Bucket, location: &Location, request: &Request) -> Result<Metadata, Error> {
        let version = self.version(location);
        let options = options::StatOptions { version, ..options::StatOptions::default() };
        loop {
            let call = bucket.call(location, &request.header)?;
            let made = match call.service.inner.stat_dyn(&call.context, &location.key, options.clone().into()).await {
                Ok(answered) => return Ok(self.metadata_of(&call, &answered.into_metadata())),
                Err(made) => made,
            };
            if bucket.tries_otherwise(&call, &made)? {
                continue;
            }
            if matches!(call.answers.last(), Some(Answer::Came(came)) if came.is_mute()) {
                // Asked for its first byte, the store says why.
                let request =
                    DownloadRequest { request: request.clone(), range: FIRST_BYTE, validator: Validator::default() };
                return Ok(self.read(bucket, location, &request).await?.0.metadata);
            }
            return Err(call.error(self.store, location, &made));
        }
    }

    /// One request for one range of one version.
    async fn read(
        &self,
        bucket: &Bucket,
        location: &Location,
        request: &DownloadRequest,
    ) -> Result<(Read, Range), Error> {
        let mut wanted = request.range;
        loop {
            let call = bucket.call(location, &request.request.header)?;
            let made = match self.open_stream(&call, location, wanted, &request.validator).await {
                Ok(read) => {
                    let range = served(&read, wanted)?;
                    return Ok((read, range));
                }
                Err(made) => made,
            };
            if bucket.tries_otherwise(&call, &made)? {
                continue;
            }
            match call.error(self.store, location, &made) {
                // An object of no bytes has no first one.
                Error::OutOfRange(_) if wanted.start == 0 && wanted.length.is_some() => wanted = Range::default(),
                // Of the version with this validator it was a part: not every store heeds a precondition.
                Error::OutOfRange(said) if !request.validator.is_empty() => return Err(Error::Changed(said)),
                error => return Err(error),
            }
        }
    }

    /// As [`read`](Self::read), of a store whose answers do not tell of which version their bytes are. What was of this
    /// version afterwards was so before: times of writing do not come back.
    async fn read_by_time(
        &self,
        bucket: &Bucket,
        location: &Location,
        request: &DownloadRequest,
    ) -> Result<Download, Error> {
        let mut validator = request.validator.clone();
        if validator.is_empty() {
            let metadata = self.stat(bucket, location, &request.request).await?;
            refuse_directory(self.store, location, &metadata)?;
            validator = metadata.validator;
        }
        let (read, _) = self.read(bucket, location, request).await?;
        let metadata = self.stat(bucket, location, &request.request).await?;
        if !validator.is_empty() && !validator.matches(&metadata.validator) {
            return Err(Error::Changed("the resource has changed: it was written meanwhile".into()));
        }
        let range = request.range.within(metadata.content_length.unwrap_or(u64::MAX))?;
        Ok(Download { opened: Opened::ranged(metadata, range), body: body_of(read.stream) })
    }

    async fn open_stream(
        &self,
        call: &Call,
        location: &Location,
        range: Range,
        validator: &Validator,
    ) -> opendal::Result<Read> {
        let etag = validator.etag.clone().filter(|etag| !etag.starts_with("W/"));
        let (if_match, if_version_match) = match self.store.identity {
            Identity::ETag => (etag, None),
            // The store compares with the current one, whichever is asked for.
            Identity::Generation if location.version.is_some() => (None, None),
            Identity::Generation => (None, etag.map(|etag| etag.trim_matches('"').to_owned())),
            Identity::Time => (None, None),
        };
        let version = location.version.clone();
        let options =
            options::ReaderOptions { version, if_match, if_version_match, ..options::ReaderOptions::default() };
        let (args, _) = options.into();
        let reader = call.service.inner.read_dyn(&call.context, &location.key, args)?;
        let (answered, stream) = reader.open_dyn(BytesRange::new(range.start, range.length)).await?;
        let metadata = answered.metadata().map(|told| self.metadata_of(call, told)).unwrap_or_default();
        let Some(Answer::Came(came)) = call.answers.last() else {
            return Err(opendal::Error::new(opendal::ErrorKind::Unexpected, "there was no answer"));
        };
        Ok(Read { metadata, came, stream })
    }

    fn version(&self, location: &Location) -> Option<String> {
        location.version.clone().filter(|_| self.store.versions == Versions::Known)
    }

    fn metadata_of(&self, call: &Call, told: &opendal::Metadata) -> Metadata {
        let mut metadata = answer::metadata(self.store.identity, told);
        if let Some(Answer::Came(came)) = call.answers.last() {
            answer::add_header(&mut metadata, &came.header);
        }
        metadata
    }
}

/// The part that shows whether there is anything, and why not.
const FIRST_BYTE: Range = Range { start: 0, length: Some(1) };

/// An answer with bytes.
struct Read {
    metadata: Metadata,
    came: transport::Came,
    stream: Box<dyn ReadStreamDyn>,
}

/// The part that an answer has; a store may ignore that only a part was asked for.
fn served(read: &Read, wanted: Range) -> Result<Range, Error> {
    if read.came.status != http::StatusCode::PARTIAL_CONTENT {
        return Ok(Range { start: 0, length: read.metadata.content_length });
    }
    let (range, _) = answer::content_range(&read.came.header)?;
    if range.start != wanted.start {
        let (from, asked) = (range.start, wanted.start);
        return Err(Error::internal(format!("the store sends bytes from {from} on, although {asked} was asked for")));
    }
    Ok(range)
}

/// Chunks as they come.
fn body_of(stream: Box<dyn ReadStreamDyn>) -> Body {
    Body::from_stream(stream::try_unfold((stream, None::<opendal::Buffer>), |(mut stream, held)| async move {
        let mut buffer = match held {
            Some(buffer) => buffer,
            None => stream
                .read_dyn()
                .await
                .map_err(|error| Error::unavailable(format!("the answer broke off: {}", error.message())))?,
        };
        // An empty one is the end.
        let Some(chunk) = buffer.next() else { return Ok::<_, Error>(None) };
        let rest = Some(buffer).filter(|buffer| !buffer.is_empty());
        Ok(Some((chunk, (stream, rest))))
    }))
}

/// Of HDFS, which has directories.
fn refuse_directory(store: &Store, location: &Location, metadata: &Metadata) -> Result<(), Error> {
    if store.identity == Identity::Time && metadata.content_length.is_none() {
        let fact = format!("`{}` is a directory: -r downloads all that is in it", location.key);
        return Err(Error::InvalidRequest(fact));
    }
    Ok(())
}

fn not_a_directory(location: &Location) -> Error {
    Error::InvalidRequest(format!("`{}` is an object, not a directory: there is nothing beneath it", location.key))
}
