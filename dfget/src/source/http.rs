//! `http://` and `https://`: GET and HEAD with ranges and validators.

mod answer;
mod credentials;
mod digest;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod index;
mod name;
mod netrc;
mod send;

use std::sync::Arc;

use plugin_sdk::{
    Body, Download, DownloadRequest, Error, Metadata, Options, Range, Request, ResourceClient, Validator, async_trait,
};
use reqwest::{
    Method, header,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tokio_stream::StreamExt;

pub(super) use self::send::OPTIONS;
use self::{
    answer::{is_elsewhere, metadata_of, opened, says_nothing_of_get, successful},
    index::Entries,
    send::Sender,
};

struct Http {
    sender: Sender,
}

pub(super) fn open(options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    Ok(Arc::new(Http { sender: Sender::of(options)? }))
}

#[async_trait]
impl ResourceClient for Http {
    async fn metadata(&self, request: &Request) -> Result<Metadata, Error> {
        let mut answer = self.send(Method::HEAD, request, &HeaderMap::new()).await?;
        if says_nothing_of_get(answer.status()) {
            // The answer's header says the same, and its body is dropped unread.
            answer = self.send(Method::GET, request, &HeaderMap::new()).await?;
        }
        metadata_of(&successful(answer)?)
    }

    async fn download(&self, request: &DownloadRequest) -> Result<Download, Error> {
        let mut answer = self.send(Method::GET, &request.request, &conditions(request)?).await?;
        let whole = DownloadRequest { range: Range::default(), ..request.clone() };
        let mut asked = request;
        if is_elsewhere(&answer, request.range) {
            // Of no use to anybody. What cannot serve a part serves the whole.
            answer = self.send(Method::GET, &request.request, &conditions(&whole)?).await?;
            asked = &whole;
        }
        let opened = opened(&answer, asked)?;
        let chunks = answer.bytes_stream().map(|chunk| chunk.map_err(broken_off));
        Ok(Download { opened, body: Body::from_stream(chunks) })
    }

    async fn list(&self, request: &Request) -> Result<Entries, Error> {
        let answer = successful(self.send(Method::GET, request, &HeaderMap::new()).await?)?;
        index::entries(answer, &request.url)
    }
}

/// A body that ended before its end. Only the cause says something.
fn broken_off(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Error::unavailable(format!("the answer broke off: {cause}"))
}

/// The part and the version that are asked for.
fn conditions(request: &DownloadRequest) -> Result<HeaderMap, Error> {
    let conditions = range_header(request.range).into_iter().chain(validator_header(&request.validator));
    let parsed = conditions.map(|(name, value)| Ok((name, HeaderValue::try_from(value)?)));
    parsed.collect::<Result<_, header::InvalidHeaderValue>>().map_err(Error::internal)
}

/// RFC 9110, section 14.1.2. The whole is asked for without a range, so that the answer is a plain 200.
fn range_header(range: Range) -> Option<(HeaderName, String)> {
    let last = |length: u64| range.start.saturating_add(length.max(1) - 1).to_string();
    let value = format!("bytes={}-{}", range.start, range.length.map(last).unwrap_or_default());
    (!range.is_whole()).then_some((header::RANGE, value))
}

/// RFC 9110, section 13.1: a weak ETag never satisfies `If-Match`, so it is compared with the answer's alone.
///
/// Not `If-Range`, which has a server send the whole of another version: nobody here could use it, and all that is on
/// the way would be lost with its connection.
fn validator_header(validator: &Validator) -> Option<(HeaderName, String)> {
    match (&validator.etag, validator.last_modified) {
        (Some(etag), _) if !etag.starts_with("W/") => Some((header::IF_MATCH, etag.clone())),
        (None, Some(time)) => Some((header::IF_UNMODIFIED_SINCE, httpdate::fmt_http_date(time))),
        _ => None,
    }
}

/// The text of a header that is there and is text.
fn text(header: &HeaderMap, name: HeaderName) -> Option<&str> {
    header.get(name)?.to_str().ok()
}
