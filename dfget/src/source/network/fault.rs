//! Why a request was not answered, in words that say what to do about it.

use std::{error::Error as StdError, io};

use plugin_sdk::Error;
use reqwest::Url;
use tokio_rustls::rustls::{self, AlertDescription as Alert, CertificateError, pki_types::UnixTime};

use super::{Proxies, tls::SignedByItself};

/// A request for `asked` that could not be made or was not answered. Neither password nor query of the URL is in it.
pub(in crate::source) fn unanswered(error: reqwest::Error, asked: &Url, proxies: &Proxies) -> Error {
    // The URL stands before the message already, and may hold a password.
    let error = error.without_url();
    if error.is_builder() {
        return Error::InvalidRequest(chain(&error));
    }
    let way =
        Way { server: authority(asked), host: asked.host_str().unwrap_or_default(), proxy: proxies.between(asked) };
    if let Some(tls) = causes(&error).find_map(of_tls) {
        return way.refused_by_tls(tls);
    }
    if error.is_connect() { way.not_connected(&error) } else { Error::unavailable(chain(&error)) }
}

/// Down to the cause: reqwest's own text is but "error sending request".
fn chain(error: &reqwest::Error) -> String {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.join(": ")
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// An I/O error hides the error in it from those who ask for its cause, and there may be one in another.
fn of_tls<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    match cause.downcast_ref::<io::Error>() {
        Some(error) => of_tls(error.get_ref()?),
        None => cause.downcast_ref(),
    }
}

fn authority(url: &Url) -> String {
    let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// From here to a server.
struct Way<'a> {
    /// Host and port.
    server: String,
    host: &'a str,
    /// Its URL.
    proxy: Option<String>,
}

impl Way<'_> {
    fn not_connected(&self, error: &reqwest::Error) -> Error {
        let text = chain(error);
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match &self.proxy {
            Some(proxy) if says(&WANTS_LOGIN) => wants_login(proxy),
            Some(proxy) if says(&["tunnel error: unsuccessful", "SOCKS error: "]) && !says(&UNREACHED) => {
                let why = text.split_once("SOCKS error").map(|(_, why)| why).unwrap_or_default();
                Error::unavailable(format!("the proxy {proxy} does not connect to {}{why}", self.server))
            }
            Some(proxy) => Error::unavailable(why_not(&format!("the proxy {proxy}"), error)),
            None if says(&["dns error"]) => Error::unavailable(why_not(self.host, error)),
            None => Error::unavailable(why_not(&self.server, error)),
        }
    }

    /// Nothing of this passes by itself, but what is wrong with no certificate.
    fn refused_by_tls(&self, error: &rustls::Error) -> Error {
        let server = &self.server;
        match error {
            rustls::Error::InvalidCertificate(error) => Error::InvalidRequest(self.untrusted(error)),
            rustls::Error::AlertReceived(alert) => of_alert(server, *alert),
            rustls::Error::InvalidMessage(_) => {
                Error::InvalidRequest(format!("{server} does not speak TLS: is it http:// that is meant?"))
            }
            rustls::Error::General(text) if text.contains("No CA certificates") => Error::InvalidRequest(
                "this system has no certificates of authorities: install them, or name a file of them with --cacert"
                    .into(),
            ),
            error => Error::unavailable(format!("no TLS with {server}: {error}")),
        }
    }

    /// Who may have shown a certificate.
    fn shower(&self) -> String {
        match self.proxy.as_ref().filter(|proxy| proxy.starts_with("https:")) {
            Some(proxy) => format!("{}, or of the proxy {proxy},", self.host),
            None => self.host.to_owned(),
        }
    }

    fn untrusted(&self, error: &CertificateError) -> String {
        let host = self.shower();
        let anyway = "--insecure takes it nevertheless";
        match error {
            CertificateError::UnknownIssuer => format!(
                "the certificate of {host} is signed by nobody who is trusted here: name the authority's certificate with \
                 --cacert; {anyway}"
            ),
            CertificateError::Other(other) if other.0.is::<SignedByItself>() => format!(
                "the certificate of {host} is signed by itself alone: name it with --cacert if it is the right one; {anyway}"
            ),
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("the certificate of {host} expired on {}; {anyway}", date(*not_after))
            }
            CertificateError::NotValidYetContext { not_before, .. } => format!(
                "the certificate of {host} is not valid before {}: look at the clock of this machine; {anyway}",
                date(*not_before)
            ),
            CertificateError::NotValidForNameContext { presented, .. } => {
                format!("the certificate of {host} is for another name: {}; check the URL; {anyway}", names(presented))
            }
            error => format!("the certificate of {host} is not valid: {error}; {anyway}"),
        }
    }
}

/// How the library says that a proxy wants to know who asks.
const WANTS_LOGIN: [&str; 3] =
    ["proxy authorization required", "credentials not accepted", "does not support user/pass authentication"];

/// How it says that it did not come as far as the proxy.
const UNREACHED: [&str; 1] = ["failed to create underlying connection"];

fn why_not(whom: &str, error: &reqwest::Error) -> String {
    let text = chain(error);
    let cause = causes(error).last().map(ToString::to_string).filter(|cause| !cause.starts_with("SOCKS error"));
    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    match () {
        () if text.contains("dns error") => format!("cannot find {whom}{cause}"),
        () if error.is_timeout() => format!("cannot connect to {whom} in the time of --connect-timeout"),
        () => format!("cannot connect to {whom}{cause}"),
    }
}

/// A proxy that wants to know who asks.
pub(in crate::source) fn wants_login(proxy: &str) -> Error {
    let form = proxy.replacen("://", "://USER:PASSWORD@", 1);
    Error::Unauthenticated(format!("the proxy {proxy} wants a user and a password that it knows: --proxy {form}"))
}

/// What a server says of the client's certificate, or of the client as a whole.
fn of_alert(server: &str, alert: Alert) -> Error {
    match alert {
        Alert::CertificateRequired => {
            Error::Unauthenticated(format!("{server} wants a certificate of its client: --cert FILE and --key FILE"))
        }
        Alert::CertificateExpired => {
            Error::Unauthenticated(format!("{server} says that the certificate of --cert expired"))
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => {
            Error::Unauthenticated(format!("{server} does not accept the certificate of --cert: {alert:?}"))
        }
        Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => {
            Error::InvalidRequest(format!(
                "{server} refuses TLS with dfget, which speaks versions 1.2 and 1.3, or wants a certificate of its client: \
             {alert:?}"
            ))
        }
        alert => Error::unavailable(format!("{server} broke TLS off: {alert:?}")),
    }
}

fn date(time: UnixTime) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(time.as_secs());
    humantime::format_rfc3339_seconds(time).to_string()
}

/// As the library has them: `DnsName("a.example")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
    let shown: Vec<String> = presented.iter().take(4).map(bare).collect();
    if shown.is_empty() { "none at all".into() } else { shown.join(", ") }
}
