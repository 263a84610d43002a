//! What is peculiar about the requests of one store, beyond what opendal makes of them.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Uri, header, request::Parts};
use opendal::{Error, ErrorKind, raw::Operation};
use reqwest::Url;

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
pub(super) type Sign = Box<dyn Fn(Parts) -> Signing + Send + Sync>;

/// A request while it is signed.
pub(super) type Signing = BoxFuture<'static, opendal::Result<Parts>>;

impl Rules {
    /// What opendal made of the request, as the store wants it.
    pub(super) async fn prepare(&self, mut parts: Parts, query: Option<&str>) -> opendal::Result<Parts> {
        if self.unsigned || self.sign.is_some() {
            for name in ["authorization", "date", "x-cos-security-token", "x-obs-security-token"] {
                parts.headers.remove(name);
            }
        }
        if let Some(sign) = &self.sign {
            parts = sign(parts).await?;
        }
        let encoding = if self.packed { "gzip" } else { "identity" };
        parts.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
        let authority = parts.uri.authority().map_or("", |authority| authority.as_str());
        let scheme = parts.uri.scheme_str().unwrap_or("https");
        let base = match &self.detour {
            Some(detour) if detour.from == authority => detour.to.clone(),
            _ => format!("{scheme}://{authority}"),
        };
        let mut uri = base + parts.uri.path_and_query().map_or("/", |path| path.as_str());
        if self.follows {
            // opendal writes it as Hadoop's documentation does; a namenode knows it in lower case alone, and without it sends
            // its first page for ever.
            let after = uri.split('&').find_map(|pair| pair.strip_prefix("startAfter=")).map(str::to_owned);
            uri += &after.map(|after| format!("&startafter={after}")).unwrap_or_default();
        }
        if let Some(query) = query.filter(|_| parts.extensions.get::<Operation>().is_some()) {
            uri += &format!("{}{query}", if parts.uri.query().is_some() { '&' } else { '?' });
        }
        parts.uri = uri.parse().map_err(|_| Error::new(ErrorKind::ConfigInvalid, "the endpoint makes no URL"))?;
        Ok(parts)
    }

    /// Where to ask instead. A signature is of one host, so what is signed is followed nowhere.
    pub(super) fn redirect(&self, asked: &Request<Bytes>, answer: &reqwest::Response) -> Result<Option<Uri>, String> {
        // A shared access signature is a part of the URL.
        let query = asked.uri().query().unwrap_or_default();
        let signed = asked.headers().contains_key(header::AUTHORIZATION) || query.contains("sig=");
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
