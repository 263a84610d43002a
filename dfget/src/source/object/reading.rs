//! The bytes of an object: one request for one range of one version, passed on as they come.

use futures_util::stream;
use opendal::{BytesRange, options, raw::oio::ReadStreamDyn};
use plugin_sdk::{Body, Download, DownloadRequest, Error, Metadata, Opened, Range, Validator};

use super::{
    Identity, ObjectStore, answer,
    bucket::{Bucket, Call},
    location::Location,
    refuse_directory,
    transport::{Answer, Came},
};

/// The part that shows whether there is anything, and why not.
pub(super) const FIRST_BYTE: Range = Range { start: 0, length: Some(1) };

/// An answer with bytes.
pub(super) struct Read {
    pub(super) metadata: Metadata,
    pub(super) came: Came,
    pub(super) stream: Box<dyn ReadStreamDyn>,
}

impl ObjectStore {
    /// One request for one range of one version.
    pub(super) async fn read(
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
    pub(super) async fn read_by_time(
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
pub(super) fn body_of(stream: Box<dyn ReadStreamDyn>) -> Body {
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
