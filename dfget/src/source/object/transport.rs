//! How requests of stores go out: by dfget's own client, and with an eye on what comes back.
//!
//! opendal composes and signs a request and reads the answer's metadata; what it makes of a refusal is a text for
//! programmers. So each call has a transport of its own, which keeps the raw answer. It also sees to it that nothing is
//! ever written, and that this machine's cloud is asked for credentials only where the user wants that.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, raw::Operation};

use super::{
    chunks::{ByteStream, Chunks},
    route::{Fault, Route},
    rules::Rules,
};

/// Bytes of a refusal that are kept.
const REFUSAL: usize = 64 * 1024;

/// As many as browsers follow.
const REDIRECTS: usize = 20;

/// A cloud's own machines answer at once; elsewhere nobody does.
const METADATA_PATIENCE: Duration = Duration::from_secs(2);

/// Where clouds tell their machines who they are.
const METADATA_HOSTS: &[&str] =
    &["169.254.169.254", "169.254.170.2", "100.100.100.200", "metadata.google.internal", "metadata.tencentyun.com"];

/// Where a container of AWS gets its credentials, if this variable is set: who has set it has consented.
const CONTAINER: (&str, &str) = ("169.254.170.2", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");

fn is_named(uri: &Uri) -> bool {
    let (host, variable) = CONTAINER;
    uri.host() == Some(host) && std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// The last answer of a call, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It came.
    Came(Came),
    /// It did not.
    Missing(Fault),
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
        if is_metadata && !self.rules.instance_metadata && !is_named(&parts.uri) {
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
            Response::new(HttpBody::new(if is_page { Chunks::page(rest) } else { Chunks::all(rest) }, None));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The same name without TLS is whoever is on the way.
    #[test]
    fn what_the_user_sends_follows_to_the_same_origin_alone() {
        for (next, own) in
            [("https://h/b", true), ("http://h/b", false), ("https://other/b", false), ("https://h:8443/b", false)]
        {
            let request = Request::get("https://h/a").header("x-own", "one").header("range", "bytes=0-1");
            let mut request = request.body(Bytes::new()).unwrap();
            follow(&mut request, next.parse().unwrap());
            assert_eq!(request.headers().contains_key("x-own"), own, "{next}");
            assert!(request.headers().contains_key("range") && *request.uri() == *next);
        }
    }
}
