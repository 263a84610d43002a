//! How the servers of stores are reached, and why there is no answer: in the words of all sources on the network.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use plugin_sdk::Options;
use reqwest::{Client, Url};

use super::transport::chain;
use crate::source::network::{self, Proxies};

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

    /// The answer; or why there is none, and whether that may be the fault of a connection that was used before.
    pub(super) async fn answer_to(&self, request: &Request<Bytes>) -> Result<reqwest::Response, (Fault, bool)> {
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
