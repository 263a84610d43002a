//! How requests of stores go out: by dfget's own client, and with an eye on what comes back.
//!
//! opendal composes and signs a request and reads the answer's metadata; what it makes of a refusal is a text for
//! programmers. So each call has a transport of its own, which keeps the raw answer. It also sees to it that nothing is
//! ever written, and that this machine's cloud is asked for credentials only where the user wants that.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, raw::Operation};
use plugin_sdk::Options;
use reqwest::{Client, Url};

use super::rules::Rules;
use crate::source::network::{self, Proxies};

/// Bytes of an answer that is no object: the longest pages of listings have some 5 MiB.
const PAGE: usize = 32 * 1024 * 1024;

/// Bytes of a refusal that are kept.
const REFUSAL: usize = 64 * 1024;

/// As many as browsers follow.
const REDIRECTS: usize = 20;

/// A cloud's own machines answer at once; elsewhere nobody does.
const METADATA_PATIENCE: Duration = Duration::from_secs(2);

/// Where clouds tell their machines who they are.
const METADATA_HOSTS: &[&str] =
    &["169.254.169.254", "169.254.170.2", "100.100.100.200", "metadata.google.internal", "metadata.tencentyun.com"];

/// The last answer of a call, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It came.
    Came(Came),
    /// It did not.
    Missing(Fault),
}

/// Why there is no answer, as [`network::unanswered`] tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Unavailable(String),
    /// By TLS, or because the request makes no sense.
    Refused(String),
    /// Somebody wants to know who asks.
    Login(String),
}

impl From<plugin_sdk::Error> for Fault {
    fn from(error: plugin_sdk::Error) -> Self {
        let text = error.to_string();
        match error {
            plugin_sdk::Error::InvalidRequest(_) => Self::Refused(text),
            plugin_sdk::Error::Unauthenticated(_) | plugin_sdk::Error::PermissionDenied(_) => Self::Login(text),
            _ => Self::Unavailable(text),
        }
    }
}

impl From<Fault> for plugin_sdk::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(text) => Self::unavailable(text),
            Fault::Refused(text) => Self::InvalidRequest(text),
            Fault::Login(text) => Self::Unauthenticated(text),
        }
    }
}

/// How servers are reached.
#[derive(Clone)]
pub(super) struct Route {
    client: Client,
    proxies: Arc<Proxies>,
}

impl Route {
    /// # Errors
    ///
    /// * [`InvalidRequest`](plugin_sdk::Error::InvalidRequest): an option makes no sense
    pub(super) fn of(options: &Options) -> Result<Self, plugin_sdk::Error> {
        Ok(Self { client: network::client(options)?, proxies: Arc::new(Proxies::of(options)?) })
    }

    async fn answer_to(&self, request: &Request<Bytes>) -> Result<reqwest::Response, (Fault, bool)> {
        let refused = |error: String| (Fault::Refused(error), false);
        let url = Url::parse(&request.uri().to_string()).map_err(|error| refused(error.to_string()))?;
        let made = reqwest::Request::try_from(request.clone().map(reqwest::Body::from));
        let answer = match self.client.execute(made.map_err(|error| refused(chain(&error)))?).await {
            Ok(answer) => answer,
            Err(error) => {
                let may_be_stale = !error.is_connect() && !error.is_timeout();
                return Err((network::unanswered(error, &url, &self.proxies).into(), may_be_stale));
            }
        };
        match self.proxies.between(&url) {
            Some(proxy) if answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err((network::wants_login(&proxy).into(), false))
            }
            _ => Ok(answer),
        }
    }
}

/// An answer without its body, unless it is a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) status: StatusCode,
    pub(super) header: HeaderMap,
    /// Of a refusal, its beginning.
    pub(super) refusal: Bytes,
    /// Whom it came from.
    pub(super) host: String,
    /// Whether a body could have come with it.
    pub(super) head: bool,
}

/// Where a transport puts the answer, and a caller finds it.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers(Arc<Mutex<Option<Answer>>>);

impl Answers {
    pub(super) fn last(&self) -> Option<Answer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, answer: Answer) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
}

/// The transport of one call.
pub(super) struct Transport {
    pub(super) route: Route,
    pub(super) rules: Arc<Rules>,
    /// Added to the query, where a signature does not cover it.
    pub(super) query: Option<String>,
    /// The user's own, which yields to all that the request has already.
    pub(super) header: HeaderMap,
    pub(super) answers: Answers,
    /// The page of a listing that was asked for last.
    pub(super) page: Mutex<Option<Uri>>,
}

impl Transport {
    /// Of requests that belong to no call.
    pub(super) fn new(route: Route) -> Self {
        Self {
            route,
            rules: Arc::default(),
            query: None,
            header: HeaderMap::new(),
            answers: Answers::default(),
            page: Mutex::default(),
        }
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let (mut parts, body) = request.into_parts();
        let is_metadata = parts.uri.host().is_some_and(|host| METADATA_HOSTS.contains(&host));
        if is_metadata && !self.rules.instance_metadata {
            return Err(Error::new(ErrorKind::Unsupported, "this machine's cloud is not asked for credentials"));
        }
        if !is_metadata && !matches!(parts.method, Method::GET | Method::HEAD | Method::POST) {
            return Err(Error::new(ErrorKind::Unsupported, "dfget writes nothing to a store"));
        }
        if !is_metadata {
            parts = self.rules.prepare(parts, self.query.as_deref()).await?;
        }
        self.refuse_same_page(&parts)?;
        // What is no operation is asked of those who give credentials; for HDFS, of which not all is named, nobody is.
        if self.rules.follows || parts.extensions.get::<Operation>().is_some() {
            self.add_header(&mut parts.headers);
        }
        let is_page = parts.extensions.get::<Operation>() != Some(&Operation::Read);
        let request = Request::from_parts(parts, body.to_bytes());
        let sent = self.send(request);
        let answer = match is_metadata {
            true => tokio::time::timeout(METADATA_PATIENCE, sent)
                .await
                .unwrap_or_else(|_| Err(Fault::Unavailable("nobody answers".into()))),
            false => sent.await,
        };
        match answer {
            Ok(answer) => self.look_at(answer, is_page).await,
            Err(fault) => {
                self.answers.keep(Answer::Missing(fault.clone()));
                Err(Error::new(ErrorKind::Unexpected, plugin_sdk::Error::from(fault).to_string()))
            }
        }
    }
}

impl Transport {
    /// The user's own.
    fn add_header(&self, header: &mut HeaderMap) {
        let own: Vec<_> = self.header.iter().filter(|(name, _)| !header.contains_key(*name)).collect();
        for (name, value) in own {
            header.append(name.clone(), value.clone());
        }
    }

    /// A listing that does not go on would never end.
    fn refuse_same_page(&self, asked: &http::request::Parts) -> opendal::Result<()> {
        let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.method == Method::GET && page.replace(asked.uri.clone()).as_ref() == Some(&asked.uri) {
            return Err(Error::new(
                ErrorKind::Unexpected,
                "the listing does not go on: the same page is to come again",
            ));
        }
        Ok(())
    }

    /// The answer, from wherever it is redirected to.
    async fn send(&self, mut request: Request<Bytes>) -> Result<(reqwest::Response, Method), Fault> {
        let method = request.method().clone();
        for _ in 0..=REDIRECTS {
            let answer = self.answer_to(&request).await?;
            match self.rules.redirect(&request, &answer).map_err(Fault::Refused)? {
                Some(next) => follow(&mut request, next),
                None => return Ok((answer, method)),
            }
        }
        Err(Fault::Refused(format!("the server redirects more than {REDIRECTS} times")))
    }

    /// A server closes a connection that was used before whenever it likes: what may have met that is sent once more, as
    /// RFC 9112, section 9.3.1, allows for GET and HEAD.
    async fn answer_to(&self, request: &Request<Bytes>) -> Result<reqwest::Response, Fault> {
        let again = matches!(*request.method(), Method::GET | Method::HEAD);
        match self.route.answer_to(request).await {
            Err((_, true)) if again => self.route.answer_to(request).await.map_err(|(fault, _)| fault),
            answer => answer.map_err(|(fault, _)| fault),
        }
    }

    /// `is_page` of what is collected before it is read.
    async fn look_at(
        &self,
        (answer, method): (reqwest::Response, Method),
        is_page: bool,
    ) -> opendal::Result<Response<HttpBody>> {
        let (status, header) = (answer.status(), answer.headers().clone());
        let host = answer.url().host_str().unwrap_or_default().to_owned();
        let came = |refusal| {
            Answer::Came(Came { status, header: header.clone(), refusal, host, head: method == Method::HEAD })
        };
        let mut body = answer.bytes_stream();
        let mut first = Vec::new();
        if !status.is_success() {
            // What breaks off tells as much as there is.
            while let (Some(Ok(chunk)), true) = (body.next().await, first.len() < REFUSAL) {
                first.extend_from_slice(&chunk);
            }
            first.truncate(REFUSAL);
        }
        let first = Bytes::from(first);
        self.answers.keep(came(first.clone()));
        let rest: ByteStream =
            if status.is_success() { Box::pin(body) } else { Box::pin(futures_util::stream::iter([Ok(first)])) };
        let mut response =
            Response::new(HttpBody::new(Chunks { stream: Mutex::new(rest), left: is_page.then_some(PAGE) }, None));
        (*response.status_mut(), *response.headers_mut()) = (status, header);
        Ok(response)
    }
}

/// What the user sends is for the store, and for nobody else, nor for whoever listens where there is no TLS.
fn follow(request: &mut Request<Bytes>, next: Uri) {
    if (next.scheme(), next.authority()) != (request.uri().scheme(), request.uri().authority()) {
        let kept = [header::RANGE, header::ACCEPT_ENCODING].into_iter();
        let kept = kept.filter_map(|name| Some((name.clone(), request.headers().get(name)?.clone())));
        *request.headers_mut() = kept.collect();
    }
    *request.uri_mut() = next;
}

type ByteStream = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// Chunks as they come. The lock is never taken: it makes the stream [`Sync`], as opendal wants it.
struct Chunks {
    stream: Mutex<ByteStream>,
    /// Bytes that may still come, where they are limited.
    left: Option<usize>,
}

impl Stream for Chunks {
    type Item = opendal::Result<Buffer>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, left } = &mut *self;
        let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
        stream.as_mut().poll_next(context).map(|chunk| {
            let broken = |error: reqwest::Error| Error::new(ErrorKind::Unexpected, last_cause(&error.without_url()));
            let chunk = chunk?.map_err(broken);
            Some(chunk.and_then(|chunk| within(left, chunk)).map(Buffer::from))
        })
    }
}

/// The chunk, if so much may come.
fn within(left: &mut Option<usize>, chunk: Bytes) -> opendal::Result<Bytes> {
    if let Some(left) = left {
        *left = left.checked_sub(chunk.len()).ok_or_else(|| {
            Error::new(ErrorKind::Unexpected, format!("an answer that is no object has more than {PAGE} bytes"))
        })?;
    }
    Ok(chunk)
}

/// Down to the cause: reqwest's own text is but "error sending request".
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

fn last_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
