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
use futures_util::{Stream, StreamExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, raw::Operation};
use reqwest::{Client, Url};

/// Bytes of a refusal that are kept.
const REFUSAL: usize = 64 * 1024;

/// As many as browsers follow.
const REDIRECTS: usize = 20;

/// A cloud's own machines answer at once; elsewhere nobody does.
const METADATA_PATIENCE: Duration = Duration::from_secs(2);

/// Where clouds tell their machines who they are.
const METADATA_HOSTS: &[&str] =
    &["169.254.169.254", "169.254.170.2", "100.100.100.200", "metadata.google.internal", "metadata.tencentyun.com"];

/// How the requests of one store go out.
#[derive(Default)]
pub(super) struct Rules {
    /// Where requests of one host go instead.
    pub(super) detour: Option<Detour>,
    /// Takes signatures off again, for stores whose library knows no anonymous requests.
    pub(super) unsigned: bool,
    /// Signs what has none, for stores whose library does not take all credentials.
    pub(super) sign: Option<Sign>,
    /// Follows redirects whatever the request holds: the server has put into them what the next one needs.
    pub(super) follows: bool,
    /// Whether this machine's cloud may be asked for credentials.
    pub(super) instance_metadata: bool,
    /// Takes what is stored compressed as it is, instead of having the store unpack it.
    pub(super) packed: bool,
}

/// Requests to a host that only opendal needs go elsewhere: to `h/b` instead of `b.h` at a server without wildcard names.
#[derive(Debug)]
pub(super) struct Detour {
    /// Host, and port if there is one.
    pub(super) from: String,
    /// Scheme, host and what comes before the path, without a slash at its end.
    pub(super) to: String,
}

/// Signs a request instead of opendal.
pub(super) type Sign = Box<dyn Fn(http::request::Parts) -> Signing + Send + Sync>;

/// A request while it is signed.
pub(super) type Signing = BoxFuture<'static, opendal::Result<http::request::Parts>>;

/// The last answer of a call, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It came.
    Came(Came),
    /// It did not: the causes, down to the last.
    Missing(String),
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
    pub(super) client: Client,
    pub(super) rules: Arc<Rules>,
    /// Added to the query, where a signature does not cover it.
    pub(super) query: Option<String>,
    /// The user's own, which yields to all that the request has already.
    pub(super) header: HeaderMap,
    pub(super) answers: Answers,
}

impl Transport {
    /// Of requests that belong to no call.
    pub(super) fn new(client: Client) -> Self {
        Self { client, rules: Arc::default(), query: None, header: HeaderMap::new(), answers: Answers::default() }
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
            parts = self.prepare(parts).await?;
        }
        for (name, value) in &self.header {
            parts.headers.entry(name).or_insert_with(|| value.clone());
        }
        let request = Request::from_parts(parts, body.to_bytes());
        let sent = self.send(request);
        let answer = match is_metadata {
            true => {
                tokio::time::timeout(METADATA_PATIENCE, sent).await.unwrap_or_else(|_| Err("nobody answers".into()))
            }
            false => sent.await,
        };
        match answer {
            Ok(answer) => self.look_at(answer).await,
            Err(why) => {
                self.answers.keep(Answer::Missing(why.clone()));
                Err(Error::new(ErrorKind::Unexpected, why))
            }
        }
    }
}

impl Transport {
    /// What opendal made of the request, as the store wants it.
    async fn prepare(&self, mut parts: http::request::Parts) -> opendal::Result<http::request::Parts> {
        let rules = &self.rules;
        if rules.unsigned || rules.sign.is_some() {
            for name in ["authorization", "date", "x-cos-security-token", "x-obs-security-token"] {
                parts.headers.remove(name);
            }
        }
        if let Some(sign) = &rules.sign {
            parts = sign(parts).await?;
        }
        let encoding = if rules.packed { "gzip" } else { "identity" };
        parts.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
        let authority = parts.uri.authority().map_or("", |authority| authority.as_str());
        let scheme = parts.uri.scheme_str().unwrap_or("https");
        let base = match &rules.detour {
            Some(detour) if detour.from == authority => detour.to.clone(),
            _ => format!("{scheme}://{authority}"),
        };
        let mut uri = base + parts.uri.path_and_query().map_or("/", |path| path.as_str());
        if rules.follows {
            // opendal writes it as Hadoop's documentation does; a namenode knows it in lower case, and without it begins
            // anew with each page.
            uri = uri.replace("&startAfter=", "&startafter=");
        }
        if let Some(query) = self.query.as_ref().filter(|_| parts.extensions.get::<Operation>().is_some()) {
            uri += &format!("{}{query}", if parts.uri.query().is_some() { '&' } else { '?' });
        }
        parts.uri = uri.parse().map_err(|_| Error::new(ErrorKind::ConfigInvalid, "the endpoint makes no URL"))?;
        Ok(parts)
    }

    /// The answer, from wherever it is redirected to.
    async fn send(&self, mut request: Request<Bytes>) -> Result<(reqwest::Response, Method), String> {
        let method = request.method().clone();
        for _ in 0..=REDIRECTS {
            let answer = self.answer_to(&request).await?;
            match self.rules.redirect(&request, &answer)? {
                Some(next) => {
                    if next.authority() != request.uri().authority() {
                        // What the user sends is for the store, and for nobody else.
                        let kept = |name: &header::HeaderName| [header::RANGE, header::ACCEPT_ENCODING].contains(name);
                        *request.headers_mut() = request
                            .headers()
                            .clone()
                            .into_iter()
                            .filter_map(|(name, value)| Some((name.filter(kept)?, value)))
                            .collect();
                    }
                    *request.uri_mut() = next;
                }
                None => return Ok((answer, method)),
            }
        }
        Err(format!("the server redirects more than {REDIRECTS} times"))
    }

    /// A server closes a connection that was used before whenever it likes: what may have met that is sent once more, as
    /// RFC 9112, section 9.3.1, allows for GET and HEAD.
    async fn answer_to(&self, request: &Request<Bytes>) -> Result<reqwest::Response, String> {
        let again = matches!(*request.method(), Method::GET | Method::HEAD);
        let made =
            || reqwest::Request::try_from(request.clone().map(reqwest::Body::from)).map_err(|error| chain(&error));
        match self.client.execute(made()?).await {
            Err(error) if again && !error.is_connect() && !error.is_timeout() => {
                self.client.execute(made()?).await.map_err(|error| chain(&error.without_url()))
            }
            answer => answer.map_err(|error| chain(&error.without_url())),
        }
    }

    async fn look_at(&self, (answer, method): (reqwest::Response, Method)) -> opendal::Result<Response<HttpBody>> {
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
        let mut response = Response::new(HttpBody::new(Chunks(Mutex::new(rest)), None));
        (*response.status_mut(), *response.headers_mut()) = (status, header);
        Ok(response)
    }
}

impl Rules {
    /// Where to ask instead. A signature is of one host, so what is signed is followed nowhere.
    fn redirect(&self, asked: &Request<Bytes>, answer: &reqwest::Response) -> Result<Option<Uri>, String> {
        let signed = asked.headers().contains_key(header::AUTHORIZATION);
        if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) || (signed && !self.follows) {
            return Ok(None);
        }
        let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let next: Option<Url> = location.and_then(|location| answer.url().join(location).ok());
        match next {
            None => Ok(None),
            Some(next) if matches!(next.scheme(), "http" | "https") => {
                next.as_str().parse().map(Some).map_err(|_| "the server redirects to what is no URL".to_owned())
            }
            Some(next) => Err(format!("the server redirects to `{}`, which is not followed", next.scheme())),
        }
    }
}

type ByteStream = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// Chunks as they come. The lock is never taken: it makes the stream [`Sync`], as opendal wants it.
struct Chunks(Mutex<ByteStream>);

impl Stream for Chunks {
    type Item = opendal::Result<Buffer>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        stream.as_mut().poll_next(context).map(|chunk| {
            let broken = |error: reqwest::Error| Error::new(ErrorKind::Unexpected, last_cause(&error.without_url()));
            chunk.map(|chunk| chunk.map(Buffer::from).map_err(broken))
        })
    }
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
