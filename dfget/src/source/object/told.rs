//! What the user says to a store: options, and the variables that the store's own tools know.

use std::collections::BTreeMap;

use plugin_sdk::{Error, Options};
use url::{Host, Url};

use super::super::KnownOption;

/// What every store that signs requests can be told.
pub(super) const OPTIONS: &[KnownOption] = &[
    KnownOption { name: "endpoint", summary: "where the store is, as a URL" },
    KnownOption { name: "access-key-id", summary: "who asks" },
    KnownOption { name: "access-key-secret", summary: "the secret of that key" },
    KnownOption { name: "anonymous", summary: "ask without credentials: true or false" },
    KnownOption { name: "instance-metadata", summary: "take credentials from this machine's cloud: true or false" },
];

/// What stores with regions and temporary keys can be told as well.
pub(super) const REGIONAL: &[KnownOption] = &[
    KnownOption { name: "region", summary: "where the bucket is" },
    KnownOption { name: "session-token", summary: "the token of a temporary key" },
    KnownOption { name: "security-token", summary: "the same" },
    KnownOption {
        name: "addressing",
        summary: "where the bucket's name goes: path, virtual (into the host), or nowhere: domain",
    },
];

/// Options and environment of a source.
#[derive(Debug, Default)]
pub(super) struct Told {
    options: Options,
    variables: BTreeMap<String, String>,
}

/// A key and its secret.
#[derive(PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: String,
    /// Of a temporary key.
    pub(super) token: Option<String>,
}

impl Told {
    /// By these options, and the environment of this process.
    pub(super) fn new(options: &Options) -> Self {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { options: options.clone(), variables: variables.collect() }
    }

    /// The first of these options that has a value.
    pub(super) fn option(&self, names: &[&str]) -> Option<&str> {
        first(&self.options, names)
    }

    /// The first of these variables that has a value.
    pub(super) fn variable(&self, names: &[&str]) -> Option<&str> {
        first(&self.variables, names)
    }

    /// An option, or else a variable.
    pub(super) fn either(&self, option: &str, variables: &[&str]) -> Option<&str> {
        self.option(&[option]).or_else(|| self.variable(variables))
    }

    /// Whether an option is switched on.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: it is neither on nor off
    pub(super) fn is_on(&self, option: &str) -> Result<bool, Error> {
        match self.option(&[option]) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Error::InvalidRequest(format!("the option {option} is true or false"))),
        }
    }

    /// The key by options, or by the first group of variables whose key and secret are both there; each group is the
    /// names of key, secret and token.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: there is a key without its secret
    pub(super) fn keys(&self, groups: &[[&str; 3]]) -> Result<Option<Keys>, Error> {
        let token = || self.option(&["session-token", "security-token"]).map(str::to_owned);
        match (self.option(&["access-key-id"]), self.option(&["access-key-secret"])) {
            (Some(id), Some(secret)) => {
                crate::escape::hide([secret]);
                Ok(Some(Keys { id: id.into(), secret: secret.into(), token: token() }))
            }
            (Some(_), None) => Err(half("access-key-id", "access-key-secret")),
            (None, Some(_)) => Err(half("access-key-secret", "access-key-id")),
            (None, None) => Ok(groups.iter().find_map(|[id, secret, token]| {
                let (id, secret) = (self.variable(&[id])?.to_owned(), self.variable(&[secret])?.to_owned());
                let token = self.variable(&[token]).map(str::to_owned);
                crate::escape::hide(token.iter().chain([&secret]));
                Some(Keys { id, secret, token })
            })),
        }
    }
}

fn half(there: &str, missing: &str) -> Error {
    Error::InvalidRequest(format!("the option {there} is set without {missing}: set both"))
}

fn first<'a>(values: &'a BTreeMap<String, String>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| values.get(*name).map(String::as_str).filter(|value| !value.is_empty()))
}

/// The endpoint, if one is known.
///
/// # Errors
///
/// * [`Error::InvalidRequest`]: none is, for which `hint` is the remedy; or it is no URL
pub(super) fn endpoint_or(known: Option<&str>, hint: &str) -> Result<Url, Error> {
    endpoint(
        known.ok_or_else(|| Error::InvalidRequest(format!("it is not known where the bucket is: say it by {hint}")))?,
    )
}

/// Where a bucket's name goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addressing {
    /// `endpoint/bucket/key`
    Path,
    /// `bucket.endpoint/key`
    Virtual,
    /// `endpoint/key`: the endpoint is the bucket's own domain
    Domain,
}

impl Addressing {
    /// As the option says; else the store's own hosts, which end in one of `own`, have the bucket in the name.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: the option says something else
    pub(super) fn of(told: &Told, endpoint: &Url, own: &[&str]) -> Result<Self, Error> {
        match told.option(&["addressing"]) {
            Some("path") => Ok(Self::Path),
            Some("virtual") => Ok(Self::Virtual),
            Some("domain") => Ok(Self::Domain),
            Some(_) => Err(Error::InvalidRequest("the option addressing is path, virtual or domain".into())),
            None => Ok(match endpoint.host() {
                Some(Host::Domain(host)) if own.iter().any(|own| host.ends_with(own)) => Self::Virtual,
                _ => Self::Path,
            }),
        }
    }
}

impl Addressing {
    /// What comes before the path of a key.
    pub(super) fn base(self, endpoint: &Url, bucket: &str) -> String {
        let (scheme, authority) = (endpoint.scheme(), endpoint.authority());
        let prefix = endpoint.path().trim_end_matches('/');
        match self {
            Self::Path => format!("{scheme}://{authority}{prefix}/{bucket}"),
            Self::Virtual => format!("{scheme}://{bucket}.{authority}{prefix}"),
            Self::Domain => format!("{scheme}://{authority}{prefix}"),
        }
    }
}

/// A store's address; `https` unless it says otherwise.
///
/// # Errors
///
/// * [`Error::InvalidRequest`]: it is no address of a server
pub(super) fn endpoint(text: &str) -> Result<Url, Error> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&whole).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none() && url.query().is_none());
    url.ok_or_else(|| {
        Error::InvalidRequest("the endpoint is no address: it is http(s)://HOST or http(s)://HOST:PORT".into())
    })
}

#[cfg(test)]
pub(super) fn told(options: &[(&str, &str)], variables: &[(&str, &str)]) -> Told {
    let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Told { options: map(options), variables: map(variables) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: &[[&str; 3]] = &[["A_ID", "A_SECRET", "A_TOKEN"], ["B_ID", "B_SECRET", "B_TOKEN"]];

    fn ids(options: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let keys = told(options, variables).keys(GROUPS).map_err(|error| error.to_string())?;
        Ok(keys.map(|keys| format!("{} {} {}", keys.id, keys.secret, keys.token.unwrap_or_default())))
    }

    #[test]
    fn options_outweigh_variables_and_keys_come_whole() {
        let variables = [("A_ID", "a"), ("B_ID", "b"), ("B_SECRET", "s"), ("B_TOKEN", "t")];
        assert_eq!(ids(&[], &variables), Ok(Some("b s t".into())));
        assert_eq!(ids(&[("access-key-id", "o"), ("access-key-secret", "p")], &variables), Ok(Some("o p ".into())));
        assert_eq!(ids(&[], &[("A_ID", "a"), ("A_SECRET", "")]), Ok(None));
        let half = ids(&[("access-key-id", "o")], &variables).unwrap_err();
        assert_eq!(half, "the option access-key-id is set without access-key-secret: set both");
    }

    #[test]
    fn buckets_go_into_the_host_of_the_stores_own_endpoints_only() {
        let of = |text: &str, options: &[(&str, &str)]| {
            Addressing::of(&told(options, &[]), &endpoint(text).unwrap(), &[".aliyuncs.com"]).unwrap()
        };
        assert_eq!(of("oss-cn-hangzhou.aliyuncs.com", &[]), Addressing::Virtual);
        assert_eq!(of("http://127.0.0.1:9000", &[]), Addressing::Path);
        assert_eq!(of("store.example.org", &[]), Addressing::Path);
        assert_eq!(of("store.example.org", &[("addressing", "virtual")]), Addressing::Virtual);
    }

    #[test]
    fn an_endpoint_is_a_server() {
        assert_eq!(endpoint("h:1").unwrap().as_str(), "https://h:1/");
        for wrong in ["", "ftp://h", "http://me:x@h", "http://", "http://h/?a=b"] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }
}
