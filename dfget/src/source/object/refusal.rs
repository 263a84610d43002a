//! What a store refuses, told as what the user can do about it.
//!
//! Each store has its own codes, in XML, in JSON or in a header; they mean a dozen things.

use std::time::{Duration, SystemTime};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderMap;
use plugin_sdk::Error;

use super::{
    answer::text,
    transport::{Answer, Came},
};

/// What was asked, and as whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) bucket: &'a str,
    /// Empty is the bucket.
    pub(super) key: &'a str,
    pub(super) anonymous: bool,
    /// The region that requests are signed for, if the store has any.
    pub(super) region: Option<&'a str>,
    /// What to set for a signed request, in the words of options and variables.
    pub(super) credentials: &'a str,
}

/// A refusal, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Refusal {
    status: u16,
    /// The store's own word for it; empty if it has none.
    code: String,
    message: String,
    region: Option<String>,
    endpoint: Option<String>,
    server_time: Option<String>,
    storage_class: Option<String>,
    host: String,
}

impl Came {
    /// Whether it refuses without a word: an answer to HEAD has no body.
    pub(super) fn is_mute(&self) -> bool {
        self.head && !self.status.is_success() && Refusal::of(self).code.is_empty()
    }

    /// The region that the store says its bucket is in.
    pub(super) fn region(&self) -> Option<String> {
        Refusal::of(self).region
    }
}

/// Why a call failed, by the last answer that there was and by the error that opendal made of it.
pub(super) fn error(asked: Asked<'_>, answer: Option<&Answer>, made: &opendal::Error) -> Error {
    match answer {
        Some(Answer::Missing(why)) => Error::unavailable(why.clone()),
        Some(Answer::Came(came)) if !came.status.is_success() => refused(asked, came),
        _ => unanswered(asked, made),
    }
}

/// Nothing was refused, as nothing was asked, or the answer made no sense.
fn unanswered(asked: Asked<'_>, made: &opendal::Error) -> Error {
    let chain = super::transport::chain(made);
    if chain.contains("sign") || chain.contains("credential") {
        return Error::Unauthenticated(format!(
            "the credentials cannot be used: {}; {}",
            cause(made),
            asked.credentials
        ));
    }
    match made.kind() {
        opendal::ErrorKind::ConfigInvalid => Error::InvalidRequest(made.message().to_owned()),
        opendal::ErrorKind::Unsupported => Error::Unsupported(made.message().to_owned()),
        _ => Error::internal(format!("the store's answer makes no sense: {}", cause(made))),
    }
}

fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// The class of a refusal, and what it says.
pub(super) fn refused(asked: Asked<'_>, came: &Came) -> Error {
    let refusal = Refusal::of(came);
    let said = refusal.said();
    let Asked { bucket, key, credentials, .. } = asked;
    match refusal.meaning(asked) {
        Meaning::NoBucket => Error::NotFound(format!(
            "there is no bucket `{bucket}` at {}: check its name, the region and the endpoint ({said})",
            refusal.host
        )),
        Meaning::NoKey if key.is_empty() => Error::NotFound(format!("there is no bucket `{bucket}` ({said})")),
        Meaning::NoKey => Error::NotFound(format!("there is no object `{key}` in `{bucket}` ({said})")),
        Meaning::WrongKey => {
            Error::Unauthenticated(format!("the store knows no such access key: {credentials} ({said})"))
        }
        Meaning::WrongSecret => Error::Unauthenticated(format!(
            "the signature does not fit: check the secret of the access key, and that the endpoint is right ({said})"
        )),
        Meaning::WrongPlace => Error::InvalidRequest(refusal.wrong_place(asked)),
        Meaning::Skewed => Error::Unauthenticated(refusal.skewed(came)),
        Meaning::Expired => Error::Unauthenticated(format!("the session token has expired: get a new one ({said})")),
        Meaning::Denied if asked.anonymous => {
            Error::Unauthenticated(format!("anonymous access is refused: {credentials} ({said})"))
        }
        Meaning::Denied => Error::PermissionDenied(format!(
            "these credentials may not read it; without the right to list, a missing object is refused alike ({said})"
        )),
        Meaning::Archived => Error::InvalidRequest(format!(
            "the object is archived{}: restore it first ({said})",
            refusal.storage_class.map(|class| format!(" as {class}")).unwrap_or_default()
        )),
        Meaning::Busy => Error::Unavailable {
            message: format!("the store is overloaded ({said})"),
            retry_after: pause(&came.header),
        },
        Meaning::Changed => Error::Changed(format!("the object has changed ({said})")),
        Meaning::OutOfRange => Error::OutOfRange(format!("the range begins behind the end of the object ({said})")),
        Meaning::Else => Error::InvalidRequest(format!("the store refuses the request ({said})")),
    }
}

/// What the user can do about it.
enum Meaning {
    NoBucket,
    NoKey,
    WrongKey,
    WrongSecret,
    WrongPlace,
    Skewed,
    Expired,
    Denied,
    Archived,
    Busy,
    Changed,
    OutOfRange,
    Else,
}

impl Refusal {
    fn of(came: &Came) -> Self {
        let mut refusal = Self { status: came.status.as_u16(), host: came.host.clone(), ..Self::default() };
        let body = String::from_utf8_lossy(&came.refusal);
        match body.trim_start().starts_with('{') {
            true => refusal.read_json(&came.refusal),
            false => refusal.read_xml(&body),
        }
        // OSS answers HEAD with the body in a header.
        let packed = text(&came.header, "x-oss-err").and_then(|packed| BASE64_STANDARD.decode(packed).ok());
        if let Some(packed) = packed.filter(|_| refusal.code.is_empty()) {
            refusal.read_xml(&String::from_utf8_lossy(&packed));
        }
        refusal.read_header(&came.header);
        refusal
    }

    fn read_xml(&mut self, body: &str) {
        self.code = element(body, "Code").unwrap_or_default();
        self.message = element(body, "Message").unwrap_or_default();
        self.region = element(body, "Region");
        self.endpoint = element(body, "Endpoint");
        self.server_time = element(body, "ServerTime");
        self.storage_class = element(body, "StorageClass");
    }

    /// Google's, and that of WebHDFS.
    fn read_json(&mut self, body: &[u8]) {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else { return };
        let word = |path: &str| value.pointer(path).and_then(|word| word.as_str()).unwrap_or_default().to_owned();
        let first = |paths: [&str; 2]| paths.into_iter().map(word).find(|word| !word.is_empty()).unwrap_or_default();
        self.code = first(["/error/errors/0/reason", "/RemoteException/exception"]);
        self.message = first(["/error/message", "/RemoteException/message"]);
    }

    fn read_header(&mut self, header: &HeaderMap) {
        for name in ["x-ms-error-code", "x-obs-error-code", "x-cos-error-code"] {
            match text(header, name) {
                Some(code) if self.code.is_empty() => code.clone_into(&mut self.code),
                _ => {}
            }
        }
        let region = text(header, "x-amz-bucket-region").map(str::to_owned);
        self.region = self.region.take().or(region);
        let class = text(header, "x-amz-storage-class").or_else(|| text(header, "x-oss-storage-class"));
        self.storage_class = self.storage_class.take().or_else(|| class.map(str::to_owned));
    }

    /// By the code, which is exact; else by the status.
    fn meaning(&self, asked: Asked<'_>) -> Meaning {
        match self.code.as_str() {
            "NoSuchBucket" | "ContainerNotFound" | "InvalidBucketName" => Meaning::NoBucket,
            "NoSuchKey" | "NoSuchVersion" | "BlobNotFound" | "FileNotFoundException" | "SymlinkTargetNotExist" => {
                Meaning::NoKey
            }
            "notFound" if self.message.contains("bucket does not exist") => Meaning::NoBucket,
            "InvalidAccessKeyId" | "InvalidSecretId" => Meaning::WrongKey,
            "SignatureDoesNotMatch" | "AuthenticationFailed" => Meaning::WrongSecret,
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "IllegalLocationConstraintException" => Meaning::WrongPlace,
            "RequestTimeTooSkewed" | "AccessForbiddenTimeSkewed" | "RequestIsExpired" => Meaning::Skewed,
            "ExpiredToken"
            | "SecurityTokenExpired"
            | "InvalidToken"
            | "InvalidSecurityToken"
            | "TokenRefreshRequired" => Meaning::Expired,
            "InvalidObjectState" | "BlobArchived" => Meaning::Archived,
            "SlowDown"
            | "ServerBusy"
            | "TooManyRequests"
            | "RequestLimitExceeded"
            | "RetriableException"
            | "StandbyException" => Meaning::Busy,
            "AccessDenied" if self.endpoint.is_some() => Meaning::WrongPlace,
            _ => self.meaning_of_status(asked),
        }
    }

    fn meaning_of_status(&self, asked: Asked<'_>) -> Meaning {
        let elsewhere = self.region.as_deref().is_some_and(|region| asked.region.is_some_and(|asked| asked != region));
        match self.status {
            300..=399 => Meaning::WrongPlace,
            400 if elsewhere => Meaning::WrongPlace,
            404 | 410 => Meaning::NoKey,
            401 | 403 => Meaning::Denied,
            412 => Meaning::Changed,
            416 => Meaning::OutOfRange,
            408 | 425 | 429 | 500 | 502..=504 => Meaning::Busy,
            _ => Meaning::Else,
        }
    }

    /// In the store's own words.
    fn said(&self) -> String {
        let status = self.status;
        match (self.code.as_str(), self.message.trim().trim_end_matches('.')) {
            ("", "") => format!("status {status}"),
            ("", message) => format!("{status}: {message}"),
            (code, "") => format!("{status} {code}"),
            (code, message) => format!("{status} {code}: {message}"),
        }
    }

    fn wrong_place(&self, asked: Asked<'_>) -> String {
        let (bucket, said) = (asked.bucket, self.said());
        let was = asked.region.map(|region| format!(", not in `{region}`")).unwrap_or_default();
        match (&self.region, &self.endpoint) {
            (Some(region), _) => {
                format!("the bucket `{bucket}` is in region `{region}`{was}: set --opt region={region} ({said})")
            }
            (None, Some(endpoint)) => {
                format!("the bucket `{bucket}` is at another endpoint: set --opt endpoint={endpoint} ({said})")
            }
            (None, None) => format!("the bucket `{bucket}` is in another region{was}: set --opt region=… ({said})"),
        }
    }

    fn skewed(&self, came: &Came) -> String {
        let now = humantime::format_rfc3339_seconds(SystemTime::now());
        let there = self.server_time.clone().or_else(|| text(&came.header, "date").map(str::to_owned));
        let there = there.map(|there| format!(", and {there} at the store")).unwrap_or_default();
        format!("the clocks differ: it is {now} here{there}; set the clock of this machine ({})", self.said())
    }
}

/// RFC 9110, section 10.2.3: seconds, or a date.
fn pause(header: &HeaderMap) -> Option<Duration> {
    let value = text(header, "retry-after")?.trim();
    let until = || httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok();
    value.parse().ok().map(Duration::from_secs).or_else(until)
}

/// What the first element of this name holds, if it holds only text.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (held, _) = rest.split_once(&format!("</{name}>"))?;
    let text = held.trim().replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Some(text.replace("&amp;", "&")).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
