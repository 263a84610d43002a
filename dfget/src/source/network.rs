//! How in-tree sources reach their servers: one HTTP client, made from options that all of them have in common.
//!
//! * `proxy`: through whom
//! * `tls`: whose certificates are believed, and which one is shown
//! * `fault`: why a request was not answered, and what to do about it

mod fault;
mod proxy;
mod tls;

use std::{path::Path, str::FromStr, time::Duration};

use plugin_sdk::{Error, Header, Options};
use reqwest::{
    Client, header,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect,
};

pub(super) use self::{
    fault::{unanswered, wants_login},
    proxy::Proxies,
};
use super::KnownOption;

/// What every source that uses the network can be told. Each is an option of dfget's command line, too.
pub(super) const OPTIONS: &[KnownOption] = &[
    KnownOption {
        name: "proxy",
        summary: "the proxy to go through: http, https, socks4, socks5 or socks5h; empty is none",
    },
    KnownOption { name: "noproxy", summary: "hosts that are reached without it, separated by commas" },
    KnownOption { name: "cacert", summary: "a file of the certificates to believe, in place of the system's" },
    KnownOption { name: "cert", summary: "a file with the client's certificate" },
    KnownOption { name: "key", summary: "a file with the key of that certificate" },
    KnownOption { name: "insecure", summary: "true: believe every certificate" },
    KnownOption { name: "connect-timeout", summary: "give up to connect after this time, such as 10 or 500ms" },
    KnownOption { name: "http1", summary: "true: speak HTTP/1.1 only, so that each piece has a connection of its own" },
];

/// A client as `options` say. It follows no redirect: who may see credentials is for the source to decide.
pub(super) fn client(options: &Options) -> Result<Client, Error> {
    let mut builder = Client::builder()
        .user_agent(concat!("dfget/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // RFC 9112, section 5.2: a client has to understand them.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .tls_backend_preconfigured(tls::config(options)?);
    if let Some(time) = duration(options, "connect-timeout")? {
        builder = builder.connect_timeout(time);
    }
    Proxies::of(options)?.applied_to(builder)?.build().map_err(Error::internal)
}

/// The user's `-H`, none of which is shown: it may be a secret.
pub(super) fn header_of_user(header: &Header) -> Result<HeaderMap, Error> {
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

/// Whether the option `name` is on.
pub(super) fn switch(options: &Options, name: &str) -> Result<bool, Error> {
    match options.get(name).map(String::as_str) {
        None | Some("" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(refuse(name, "it is neither true nor false")),
    }
}

/// Seconds, or a number with a unit.
fn duration(options: &Options, name: &str) -> Result<Option<Duration>, Error> {
    let Some(text) = options.get(name) else { return Ok(None) };
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let time = seconds.or_else(|| humantime::parse_duration(text).ok());
    let time = time.ok_or_else(|| refuse(name, "it is no time, such as 10 or 500ms"))?;
    Ok(Some(time).filter(|time| !time.is_zero()))
}

/// A value that makes no sense, which is not shown: it may be a secret.
pub(super) fn refuse(name: &str, why: &str) -> Error {
    Error::InvalidRequest(format!("{name}: {why}"))
}

/// A file that an option names and that cannot be used.
fn refuse_file(name: &str, path: &Path, why: impl std::fmt::Display) -> Error {
    Error::InvalidRequest(format!("{name}: {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_make_no_sense_are_refused_and_not_shown() {
        let _ = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
        for (name, value, fact) in [
            ("insecure", "s3cret", "insecure: it is neither true nor false"),
            ("http1", "yes", "http1: it is neither true nor false"),
            ("connect-timeout", "s3cret", "connect-timeout: it is no time, such as 10 or 500ms"),
            ("proxy", "ftp://s3cret@h", "proxy: it is no http, https, socks4, socks4a, socks5 or socks5h URL"),
            ("proxy", "http://s3cret@", "proxy: it is no http, https, socks4, socks4a, socks5 or socks5h URL"),
            ("key", "/nowhere", "key: there is no `cert` that it could belong to"),
        ] {
            let options = Options::from([(name.to_owned(), value.to_owned())]);
            assert_eq!(client(&options).unwrap_err().to_string(), fact);
        }
    }

    #[test]
    fn a_time_is_seconds_or_has_a_unit_and_0_is_none() {
        let time = |text: &str| duration(&Options::from([("t".to_owned(), text.to_owned())]), "t").unwrap();
        assert_eq!([time("2"), time("500ms")], [Some(Duration::from_secs(2)), Some(Duration::from_millis(500))]);
        assert_eq!(time("0"), None);
    }
}
