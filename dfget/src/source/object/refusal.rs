//! What a store refuses, told as what the user can do about it.
//!
//! Each store has its own codes; they mean a dozen things.

mod reading;

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use plugin_sdk::Error;

use self::reading::Refusal;
use super::{
    Words,
    answer::text,
    transport::{Answer, Came},
};

/// What was asked, and as whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) bucket: &'a str,
    /// Empty is the bucket.
    pub(super) key: &'a str,
    pub(super) version: Option<&'a str>,
    pub(super) anonymous: bool,
    /// The region that requests are signed for, if the store has any.
    pub(super) region: Option<&'a str>,
    pub(super) words: Words,
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
        Some(Answer::Missing(fault)) => fault.clone().into(),
        Some(Answer::Came(came)) if !came.status.is_success() => refused(asked, came),
        _ => unanswered(asked, made),
    }
}

/// Nothing was refused, as nothing was asked, or the answer made no sense.
fn unanswered(asked: Asked<'_>, made: &opendal::Error) -> Error {
    let chain = super::transport::chain(made);
    if chain.contains("signing http request") || chain.contains("credential") {
        return Error::Unauthenticated(format!(
            "the credentials cannot be used: {}; {}",
            cause(made),
            asked.words.credentials
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
    let (said, meaning) = (refusal.said(), refusal.meaning(asked));
    match meaning {
        Meaning::NoBucket | Meaning::NoKey | Meaning::NoVersion => Error::NotFound(refusal.absent(&meaning, asked)),
        Meaning::WrongPlace => Error::InvalidRequest(refusal.wrong_place(asked)),
        Meaning::WrongPort => Error::InvalidRequest(
            "this is the port of Hadoop's own protocol: name that of WebHDFS, mostly 9870, or use the plugin for it"
                .into(),
        ),
        Meaning::Denied if !asked.anonymous => Error::PermissionDenied(format!(
            "these credentials may not read it; without the right to list, a missing object is refused alike ({said})"
        )),
        Meaning::Archived => Error::InvalidRequest(format!(
            "the object is archived{}: restore it first ({said})",
            refusal.storage_class.map(|class| format!(" as {class}")).unwrap_or_default()
        )),
        Meaning::Busy => unavailable("overloaded", &said, came),
        Meaning::Broken => unavailable("out of order", &said, came),
        Meaning::Changed => Error::Changed(format!("the resource has changed ({said})")),
        Meaning::OutOfRange => Error::OutOfRange(format!("the range begins behind the end of the object ({said})")),
        Meaning::Else => Error::InvalidRequest(format!("the store refuses the request ({said})")),
        credentials => Error::Unauthenticated(refusal.unauthenticated(&credentials, asked, came)),
    }
}

fn unavailable(how: &str, said: &str, came: &Came) -> Error {
    Error::Unavailable { message: format!("the store is {how} ({said})"), retry_after: pause(&came.header) }
}

/// What the user can do about it.
enum Meaning {
    NoBucket,
    NoKey,
    NoVersion,
    WrongKey,
    WrongSecret,
    WrongPlace,
    WrongPort,
    Skewed,
    Expired,
    Lapsed,
    WrongToken,
    Denied,
    Archived,
    Busy,
    Broken,
    Changed,
    OutOfRange,
    Else,
}

impl Refusal {
    /// By the code, which is exact; else by the status.
    fn meaning(&self, asked: Asked<'_>) -> Meaning {
        match self.code.as_str() {
            "NoSuchBucket" | "ContainerNotFound" | "InvalidBucketName" => Meaning::NoBucket,
            "NoSuchVersion" => Meaning::NoVersion,
            "InvalidArgument" if asked.version.is_some() && self.message.contains("version id") => Meaning::NoVersion,
            "NoSuchKey" | "BlobNotFound" | "FileNotFoundException" | "SymlinkTargetNotExist" => Meaning::NoKey,
            "notFound" if self.message.contains("bucket does not exist") => Meaning::NoBucket,
            "InvalidAccessKeyId" | "InvalidSecretId" => Meaning::WrongKey,
            // Azure's, of an account that lets nobody in without a key.
            "PublicAccessNotPermitted" => Meaning::Denied,
            // What Azure means by it is in its detail, and in that of a network rule in the message alone.
            "AuthenticationFailed" if self.detail.contains("date header") => Meaning::Skewed,
            "AuthenticationFailed" if self.detail.contains("specified time frame") => Meaning::Lapsed,
            "AuthorizationFailure" if !self.message.contains("signature") => Meaning::Denied,
            "SignatureDoesNotMatch" | "AuthenticationFailed" | "AuthorizationFailure" => Meaning::WrongSecret,
            // Google's, of a token that a service account has signed, with the time in it.
            "invalid_grant" if self.message.contains("iat") && self.message.contains("exp") => Meaning::Skewed,
            // Azure's, of what is there and not for everybody.
            "ResourceNotFound" if asked.anonymous => Meaning::Denied,
            "authError" | "invalid_grant" | "invalid_client" => Meaning::WrongToken,
            "IOException" if self.message.contains("out of the range") => Meaning::OutOfRange,
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "IllegalLocationConstraintException" => Meaning::WrongPlace,
            "RequestTimeTooSkewed" | "AccessForbiddenTimeSkewed" | "RequestIsExpired" => Meaning::Skewed,
            "ExpiredToken" | "SecurityTokenExpired" | "TokenRefreshRequired" => Meaning::Expired,
            "InvalidToken" | "InvalidSecurityToken" | "InvalidAuthenticationInfo" => Meaning::WrongToken,
            "InvalidObjectState" | "BlobArchived" => Meaning::Archived,
            "SlowDown" | "ServerBusy" | "TooManyRequests" | "RequestLimitExceeded" => Meaning::Busy,
            "RetriableException" | "StandbyException" => Meaning::Broken,
            "AccessDenied" if self.endpoint.is_some() => Meaning::WrongPlace,
            _ if self.message.contains("Hadoop IPC port") => Meaning::WrongPort,
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
            429 | 503 => Meaning::Busy,
            408 | 425 | 500 | 502 | 504 => Meaning::Broken,
            _ => Meaning::Else,
        }
    }

    fn absent(&self, meaning: &Meaning, asked: Asked<'_>) -> String {
        let (said, Asked { bucket, key, words: Words { bucket: noun, .. }, .. }) = (self.said(), asked);
        match meaning {
            Meaning::NoBucket => format!(
                "there is no {noun} `{bucket}` at {}: check its name, the region and the endpoint ({said})",
                self.host
            ),
            Meaning::NoVersion => {
                let version = asked.version.unwrap_or_default();
                format!("there is no version `{version}` of `{key}` in `{bucket}` ({said})")
            }
            _ if key.is_empty() => format!("there is no {noun} `{bucket}` ({said})"),
            _ => format!("there is no object `{key}` in `{bucket}` ({said})"),
        }
    }

    /// What is wrong with who asks.
    fn unauthenticated(&self, meaning: &Meaning, asked: Asked<'_>, came: &Came) -> String {
        let (said, Words { secret, credentials, .. }) = (self.said(), asked.words);
        match meaning {
            Meaning::Skewed => self.skewed(came),
            Meaning::WrongKey => format!("the store knows no such access key: {credentials} ({said})"),
            Meaning::WrongSecret => format!("the signature does not fit: check {secret} and the endpoint ({said})"),
            Meaning::WrongToken => format!("the token is wrong or has expired: get a new one ({said})"),
            Meaning::Expired => format!("the session token has expired: get a new one ({said})"),
            Meaning::Lapsed => {
                format!("the shared access signature has expired, or is not valid yet: get a new one ({said})")
            }
            _ => format!("anonymous access is refused: give credentials by {credentials} ({said})"),
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

#[cfg(test)]
mod tests;
