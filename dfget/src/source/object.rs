//! Object stores: one source for all of them. opendal knows how each composes and signs its requests; pieces, retries
//! and progress are dfget's own, so a request here is one request there.
//!
//! * `location`: the URL
//! * `told`: options and environment
//! * `files`: the credential files of the stores' own tools
//! * one file a store, which turns the two into a [`Service`]
//! * `bucket`: the service of one bucket, and whether it is asked with or without credentials
//! * `rules`, `route`, `transport`, `chunks`: how requests go out, and what comes back as it is
//! * `answer`, `refusal`: what it means
//! * `reading`, `listing`: the bytes of an object, and one level of keys

mod answer;
#[cfg(feature = "azblob")]
pub(super) mod azblob;
mod bucket;
mod chunks;
#[cfg(feature = "cos")]
pub(super) mod cos;
#[cfg(any(feature = "azblob", feature = "cos", feature = "obs", feature = "oss"))]
mod files;
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
mod reading;
mod refusal;
mod route;
mod rules;
#[cfg(feature = "s3")]
pub(super) mod s3;
mod told;
mod transport;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::stream::{self, BoxStream};
use opendal::options;
use plugin_sdk::{
    Body, Bytes, Download, DownloadRequest, Entry, Error, Metadata, Opened, Options, Request, ResourceClient,
    Validator, async_trait,
};

use self::{
    bucket::{Bucket, Call},
    location::Location,
    reading::{FIRST_BYTE, body_of},
    route::Route,
    rules::Rules,
    told::Told,
    transport::Answer,
};

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
    route: Route,
    told: Arc<Told>,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
}

/// The source of a store, as the user's options say.
fn open(store: &'static Store, options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    let (route, told) = (Route::of(options)?, Arc::new(Told::new(options)));
    Ok(Arc::new(ObjectStore { store, route, told, buckets: Mutex::default() }))
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
        let bucket = Arc::new(Bucket::new(self.store, &self.told, &location.bucket, &self.route)?);
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
