//! `http://` and `https://`: GET and HEAD with ranges and validators.

mod answer;
mod digest;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod index;
mod name;

use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use plugin_sdk::{
    Body, Download, DownloadRequest, Error, Header, Metadata, Options, Range, Request, ResourceClient, Validator,
    async_trait,
};
use reqwest::{
    Client, Method, Response, Url, header,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tokio_stream::StreamExt;

use self::{
    answer::{metadata_of, opened, says_nothing_of_get, successful},
    index::Entries,
};
use super::network;

/// As many as browsers follow.
const REDIRECTS: usize = 20;

struct Http {
    client: Client,
    /// Whether there may be a connection that was used before.
    answered: AtomicBool,
}

pub(super) fn open(options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    Ok(Arc::new(Http { client: network::client(options)?, answered: AtomicBool::new(false) }))
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
        let answer = self.send(Method::GET, &request.request, &conditions(request)?).await?;
        let opened = opened(&answer, request)?;
        let chunks = answer.bytes_stream().map(|chunk| chunk.map_err(broken_off));
        Ok(Download { opened, body: Body::from_stream(chunks) })
    }

    async fn list(&self, request: &Request) -> Result<Entries, Error> {
        let answer = successful(self.send(Method::GET, request, &HeaderMap::new()).await?)?;
        index::entries(answer, &request.url)
    }
}

impl Http {
    /// Sends the request, and again to wherever it is redirected. The user's header goes to the first host only, and
    /// outweighs all but the `conditions`.
    async fn send(&self, method: Method, request: &Request, conditions: &HeaderMap) -> Result<Response, Error> {
        let first = Url::parse(&request.url).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        let users = header_of_user(&request.header)?;
        let mut url = first.clone();
        for _ in 0..=REDIRECTS {
            // A server that compresses breaks lengths and ranges.
            let identity = (header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            let mut header = HeaderMap::from_iter([identity]);
            if url.origin() == first.origin() {
                header.extend(users.clone());
            }
            header.extend(conditions.clone());
            let asked = self.client.request(method.clone(), url.clone()).headers(header);
            let answer = self.answer_to(asked.build().map_err(broken)?).await.map_err(broken)?;
            match redirect_of(&answer, &url)? {
                Some(next) => url = next,
                None => return Ok(answer),
            }
        }
        Err(Error::InvalidRequest(format!("the server redirects more than {REDIRECTS} times")))
    }

    /// A server closes a connection that was used before whenever it likes, as nginx does after each 412: what may have
    /// met that is sent once more, as RFC 9112, section 9.3.1, allows for GET and HEAD.
    async fn answer_to(&self, request: reqwest::Request) -> Result<Response, reqwest::Error> {
        let again = request.try_clone();
        let mut answer = self.client.execute(request).await;
        if let (Err(error), Some(again)) = (&answer, again)
            && !error.is_connect()
            && self.answered.load(Ordering::Relaxed)
        {
            answer = self.client.execute(again).await;
        }
        self.answered.fetch_or(answer.is_ok(), Ordering::Relaxed);
        answer
    }
}

/// The user's `-H`, none of which is shown: it may be a secret.
fn header_of_user(header: &Header) -> Result<HeaderMap, Error> {
    let mut map = HeaderMap::new();
    for (name, value) in header {
        let (Ok(name), Ok(value)) = (HeaderName::from_str(name), HeaderValue::from_str(value)) else {
            return Err(Error::InvalidRequest("a header has a name or a value that HTTP does not allow".into()));
        };
        if name == header::RANGE {
            return Err(Error::InvalidRequest("a part is asked for with --range, not with a header".into()));
        }
        map.append(name, value);
    }
    Ok(map)
}

/// Where the answer says to ask instead: RFC 9110, section 15.4.
fn redirect_of(answer: &Response, asked: &Url) -> Result<Option<Url>, Error> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = text(answer.headers(), header::LOCATION) else { return Ok(None) };
    let mut next = asked.join(location).map_err(|_| Error::internal("the server redirects to what is no URL"))?;
    if next.origin() == asked.origin() && next.username().is_empty() && next.password().is_none() {
        // As curl does. It fails only for URLs that cannot have a user.
        let _ = next.set_username(asked.username()).and_then(|()| next.set_password(asked.password()));
    }
    match next.scheme() {
        "http" | "https" => Ok(Some(next)),
        scheme => Err(Error::InvalidRequest(format!("the server redirects to `{scheme}`, which is not followed"))),
    }
}

/// A request that could not be made or was not answered.
fn broken(error: reqwest::Error) -> Error {
    // The URL stands before the message already, and may hold a password.
    let error = error.without_url();
    if error.is_builder() {
        return Error::InvalidRequest(chain(&error));
    }
    Error::unavailable(chain(&error))
}

/// Down to the cause: reqwest's own text is but "error sending request".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
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
