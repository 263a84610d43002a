//! `http://` and `https://`: GET and HEAD with ranges and validators.

mod answer;
mod credentials;
mod netrc;
mod send;

use std::sync::Arc;

use plugin_sdk::{
    Body, Download, DownloadRequest, Error, Metadata, Opened, Options, Range, Request, ResourceClient, Validator,
    async_trait,
};
use reqwest::{
    Method, Response, StatusCode, header,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tokio_stream::StreamExt;

pub(super) use self::send::OPTIONS;
use self::{
    answer::{content_range, error_of, header_of, metadata_of},
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
        if matches!(answer.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
            // The answer's header says the same, and its body is dropped unread.
            answer = self.send(Method::GET, request, &HeaderMap::new()).await?;
        }
        metadata_of(&successful(answer)?)
    }

    async fn download(&self, request: &DownloadRequest) -> Result<Download, Error> {
        let answer = self.send(Method::GET, &request.request, &conditions(request)?).await?;
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE && !request.validator.is_empty() {
            // Of the version with this validator it was a part: not every server heeds a precondition.
            return Err(Error::Changed(format!("the resource has changed: the server answered {}", answer.status())));
        }
        let answer = successful(answer)?;
        let metadata = metadata_of(&answer)?;
        request.validator.require(&metadata.validator)?;
        let range = match answer.status() {
            StatusCode::PARTIAL_CONTENT => content_range(answer.headers())?.0,
            _ => Range { start: 0, length: metadata.content_length },
        };
        let opened =
            Opened { status: answer.status().as_u16().into(), header: header_of(answer.headers()), range, metadata };
        let chunks = answer.bytes_stream().map(|chunk| chunk.map_err(broken_off));
        Ok(Download { opened, body: Body::from_stream(chunks) })
    }
}

fn successful(answer: Response) -> Result<Response, Error> {
    if answer.status().is_success() { Ok(answer) } else { Err(error_of(answer.status(), answer.headers())) }
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
