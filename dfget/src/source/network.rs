//! How in-tree sources reach their servers: one HTTP client, made from options that all of them have in common.

use plugin_sdk::{Error, Options};
use reqwest::{Client, redirect};

use super::KnownOption;

/// What every source that uses the network can be told.
pub(super) const OPTIONS: &[KnownOption] = &[];

/// A client as `options` say. It follows no redirect: who may see credentials is for the source to decide.
pub(super) fn client(_options: &Options) -> Result<Client, Error> {
    let client = Client::builder()
        .user_agent(concat!("dfget/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // RFC 9112, section 5.2: a client has to understand them.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .build();
    client.map_err(Error::internal)
}
