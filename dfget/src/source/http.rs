//! `http://` and `https://`: GET and HEAD with ranges and validators.

mod answer;

use std::sync::Arc;

use plugin_sdk::{
    Body, Download, DownloadRequest, Error, Metadata, Opened, Options, Range, Request, ResourceClient, Validator,
    async_trait,
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, header, header::HeaderMap, redirect};
use tokio_stream::StreamExt;

use self::answer::{content_range, error_of, header_of, metadata_of};

/// As many as browsers follow.
const REDIRECTS: usize = 20;

struct Http {
    client: Client,
}

/// Takes no options: what goes to the server goes by `-H`.
pub(super) fn open(options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    if let Some(option) = options.keys().next() {
        return Err(Error::InvalidRequest(format!("there is no option `{option}`: http has none, -H sends a header")));
    }
    // Redirects are followed here: reqwest would send the user's own header to whatever host they lead to.
    let client = Client::builder()
        .user_agent(concat!("dfget/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .build();
    Ok(Arc::new(Http { client: client.map_err(Error::internal)? }))
}

#[async_trait]
impl ResourceClient for Http {
    async fn metadata(&self, request: &Request) -> Result<Metadata, Error> {
        let mut answer = self.send(Method::HEAD, request, |asked| asked).await?;
        if matches!(answer.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
            // The answer's header says the same, and its body is dropped unread.
            answer = self.send(Method::GET, request, |asked| asked).await?;
        }
        metadata_of(&successful(answer)?)
    }

    async fn download(&self, request: &DownloadRequest) -> Result<Download, Error> {
        let adapt = |asked| with_validator(with_range(asked, request.range), &request.validator);
        let answer = successful(self.send(Method::GET, &request.request, adapt).await?)?;
        let metadata = metadata_of(&answer)?;
        request.validator.require(&metadata.validator)?;
        let range = match answer.status() {
            StatusCode::PARTIAL_CONTENT => content_range(answer.headers())?.0,
            _ => Range { start: 0, length: metadata.content_length },
        };
        let opened =
            Opened { status: answer.status().as_u16().into(), header: header_of(answer.headers()), range, metadata };
        let chunks = answer.bytes_stream().map(|chunk| chunk.map_err(broken));
        Ok(Download { opened, body: Body::from_stream(chunks) })
    }
}

impl Http {
    /// Sends the request, and again to wherever it is redirected. The user's header goes to the first host only.
    async fn send(
        &self,
        method: Method,
        request: &Request,
        adapt: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let first = Url::parse(&request.url).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        let mut url = first.clone();
        for _ in 0..=REDIRECTS {
            // A server that compresses breaks lengths and ranges.
            let asked = self.client.request(method.clone(), url.clone()).header(header::ACCEPT_ENCODING, "identity");
            let own = request.header.iter().filter(|_| url.origin() == first.origin());
            let asked = own.fold(asked, |asked, (name, value)| asked.header(name, value));
            let answer = adapt(asked).send().await.map_err(broken)?;
            match redirect_of(&answer, &url)? {
                Some(next) => url = next,
                None => return Ok(answer),
            }
        }
        Err(Error::InvalidRequest(format!("the server redirects more than {REDIRECTS} times")))
    }
}

/// Where the answer says to ask instead: RFC 9110, section 15.4.
fn redirect_of(answer: &Response, asked: &Url) -> Result<Option<Url>, Error> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = text(answer.headers(), header::LOCATION) else { return Ok(None) };
    let next = asked.join(location).map_err(|_| Error::internal("the server redirects to what is no URL"))?;
    match next.scheme() {
        "http" | "https" => Ok(Some(next)),
        scheme => Err(Error::InvalidRequest(format!("the server redirects to `{scheme}`, which is not followed"))),
    }
}

fn successful(answer: Response) -> Result<Response, Error> {
    if answer.status().is_success() { Ok(answer) } else { Err(error_of(answer.status(), answer.headers())) }
}

/// A request that could not be made, or an answer that broke off.
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

/// RFC 9110, section 14.1.2. The whole is asked for without a range, so that the answer is a plain 200.
fn with_range(asked: RequestBuilder, range: Range) -> RequestBuilder {
    match range {
        _ if range.is_whole() => asked,
        Range { start, length: None } => asked.header(header::RANGE, format!("bytes={start}-")),
        Range { start, length: Some(length) } => {
            let last = start.saturating_add(length.max(1) - 1);
            asked.header(header::RANGE, format!("bytes={start}-{last}"))
        }
    }
}

/// RFC 9110, section 13.1: a weak ETag never satisfies `If-Match`, so it is compared with the answer's alone.
fn with_validator(asked: RequestBuilder, validator: &Validator) -> RequestBuilder {
    match (&validator.etag, validator.last_modified) {
        (Some(etag), _) if !etag.starts_with("W/") => asked.header(header::IF_MATCH, etag),
        (None, Some(time)) => asked.header(header::IF_UNMODIFIED_SINCE, httpdate::fmt_http_date(time)),
        _ => asked,
    }
}

/// The text of a header that is there and is text.
fn text(header: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    header.get(name)?.to_str().ok()
}
