//! Requests, and where they are redirected to: what goes along, and to whom.
//!
//! What the user sends along goes to the origin that the user named and to no other: scheme, host and port. Another one
//! gets what its own URL or `~/.netrc` has for it; one without TLS gets nothing once there was one with it.

use std::sync::atomic::{AtomicBool, Ordering};

use plugin_sdk::{Error, Options, Request};
use reqwest::{
    Client, Method, Response, StatusCode, Url, header,
    header::{HeaderMap, HeaderValue},
};

use super::{
    Http,
    credentials::{Credential, Credentials},
    text,
};
use crate::source::{
    KnownOption,
    network::{self, Proxies, header_of_user, refuse, unanswered, wants_login},
};

/// As many as browsers follow.
const REDIRECTS: usize = 20;

/// What it can be told beside all that concerns the network.
pub(in crate::source) const OPTIONS: &[KnownOption] = &[
    KnownOption { name: "user", summary: "USER:PASSWORD of the server" },
    KnownOption { name: "oauth2-bearer", summary: "a token for the server, in place of a user" },
    KnownOption { name: "netrc-file", summary: "a file in place of ~/.netrc; empty is none" },
    KnownOption { name: "max-redirs", summary: "follow so many redirects; 20 if it is not set" },
];

/// How requests are sent.
pub(super) struct Sender {
    client: Client,
    proxies: Proxies,
    credentials: Credentials,
    redirects: usize,
    /// Whether there may be a connection that was used before.
    answered: AtomicBool,
}

impl Sender {
    pub(super) fn of(options: &Options) -> Result<Self, Error> {
        let redirects = options.get("max-redirs").map(|text| text.parse()).transpose();
        Ok(Self {
            client: network::client(options)?,
            proxies: Proxies::of(options)?,
            credentials: Credentials::of(options)?,
            redirects: redirects.map_err(|_| refuse("max-redirs", "it is no number"))?.unwrap_or(REDIRECTS),
            answered: AtomicBool::new(false),
        })
    }

    async fn ask(&self, method: &Method, hop: &Hop, conditions: &HeaderMap) -> Result<Response, Error> {
        // A server that compresses breaks lengths and ranges.
        let mut header = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        if hop.is_at_home() {
            header.extend(hop.users.clone());
        }
        header.extend(conditions.clone());
        let mut asked = self.client.request(method.clone(), hop.bare_url());
        if let Some(credential) = self.credential(hop).filter(|_| !header.contains_key(header::AUTHORIZATION)) {
            asked = credential.added_to(asked);
        }
        let failed = |error| unanswered(error, &hop.url, &self.proxies);
        let request = asked.headers(header).build().map_err(failed)?;
        self.answer_to(request).await.map_err(failed)
    }

    fn credential(&self, hop: &Hop) -> Option<Credential> {
        match hop.is_at_home() {
            true => self.credentials.for_first(&hop.with_user()),
            false if hop.has_lost_tls() => None,
            false => self.credentials.for_other(&hop.url),
        }
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

    /// The answer, unless it is about how it was asked for.
    async fn checked(&self, answer: Response, hop: &Hop) -> Result<Response, Error> {
        let status = answer.status();
        match status {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => match self.proxies.between(&hop.url) {
                Some(proxy) => Err(wants_login(&proxy)),
                None => Ok(answer),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.has_kept_credentials(hop) => {
                let message = format!(
                    "the server answered {status} at {}, where it is redirected to and what you send to {} does not go",
                    origin(&hop.url),
                    origin(&hop.first)
                );
                Err(Error::Unauthenticated(message))
            }
            StatusCode::BAD_REQUEST if hop.url.scheme() == "https" => Err(of_bad_request(answer).await),
            _ => Ok(answer),
        }
    }

    /// Whether there were some, and they did not go where the redirects have led.
    fn has_kept_credentials(&self, hop: &Hop) -> bool {
        let own = || hop.users.contains_key(header::AUTHORIZATION) || self.credentials.for_first(&hop.first).is_some();
        !hop.is_at_home() && self.credential(hop).is_none() && own()
    }
}

impl Http {
    /// Sends the request, and again to wherever it is redirected. The user's header outweighs all but the `conditions`.
    pub(super) async fn send(
        &self,
        method: Method,
        request: &Request,
        conditions: &HeaderMap,
    ) -> Result<Response, Error> {
        let url = Url::parse(&request.url).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        let mut hop = Hop { url: url.clone(), first: url, users: header_of_user(&request.header)?, had_tls: false };
        let sender = &self.sender;
        for _ in 0..=sender.redirects {
            let answer = sender.ask(&method, &hop, conditions).await?;
            match redirect_of(&answer, &hop.url)? {
                Some(next) => hop.follow(next),
                None => return sender.checked(answer, &hop).await,
            }
        }
        let last = crate::url::shown(hop.url.as_str());
        let (limit, last) = (sender.redirects, format!("last to {last}; --max-redirs sets the limit"));
        Err(Error::InvalidRequest(format!("the server redirects more than {limit} times, {last}")))
    }
}

/// Where a request has come to.
struct Hop {
    url: Url,
    /// That of the user.
    first: Url,
    users: HeaderMap,
    had_tls: bool,
}

impl Hop {
    fn follow(&mut self, next: Url) {
        self.had_tls |= self.url.scheme() == "https";
        self.url = next;
    }

    fn is_at_home(&self) -> bool {
        self.url.origin() == self.first.origin()
    }

    fn has_lost_tls(&self) -> bool {
        self.had_tls && self.url.scheme() != "https"
    }

    /// The user of the first URL goes along, as curl has it, unless this one has its own.
    fn with_user(&self) -> Url {
        let has_user = !self.url.username().is_empty() || self.url.password().is_some();
        if has_user { self.url.clone() } else { self.first.clone() }
    }

    fn bare_url(&self) -> Url {
        let mut url = self.url.clone();
        // It fails only for URLs that cannot have a user.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        url
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// nginx answers so, after a handshake that is well, if there is no certificate of the client or a wrong one.
async fn of_bad_request(mut answer: Response) -> Error {
    const LOOKED_AT: usize = 4096;
    let (fact, mut text) = (format!("the server answered {}", answer.status()), Vec::new());
    while text.len() < LOOKED_AT
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        text.extend_from_slice(&chunk);
    }
    if String::from_utf8_lossy(&text).contains("SSL certificate") {
        let wanted = "it wants a valid certificate of its client: --cert FILE and --key FILE";
        return Error::Unauthenticated(format!("{fact}: {wanted}"));
    }
    Error::InvalidRequest(fact)
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
