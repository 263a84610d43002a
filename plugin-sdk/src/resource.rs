//! What is asked of a source and what it knows about a resource.

use std::time::SystemTime;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::wire::millis;

/// All that RFC 3986 does not call unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A resource, and what to send along to its storage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The URL as the user wrote it.
    pub url: String,
    /// The user's `-H`, in order; names may repeat.
    pub header: Header,
}

impl Request {
    /// A request for `url` without any header.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), header: Header::new() }
    }

    /// The part of the URL behind the scheme, `//` included: `//host/path` of `share://host/path`.
    #[must_use]
    pub fn after_scheme(&self) -> &str {
        self.url.split_once(':').map_or(self.url.as_str(), |(_, rest)| rest)
    }
}

/// Names and values, in order; names may repeat.
pub type Header = Vec<(String, String)>;

/// A resource, the part of it that is wanted, and the version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DownloadRequest {
    /// Which resource.
    pub request: Request,
    /// Which part; [`Range::default`] is the whole.
    pub range: Range,
    /// Serve this version or fail with [`Error::Changed`](crate::Error::Changed). An empty one is any version.
    pub validator: Validator,
}

/// A part of a resource, in bytes from its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// Offset of the first byte.
    pub start: u64,
    /// Bytes; `None` is up to the end, wherever that is.
    pub length: Option<u64>,
}

impl Range {
    /// Whether this is the whole resource.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// This range with the end that a resource of `total` bytes gives it.
    ///
    /// # Errors
    ///
    /// * [`OutOfRange`](crate::Error::OutOfRange): it begins behind `total`; or at `total`, unless that is 0.
    pub fn within(&self, total: u64) -> Result<Self, crate::Error> {
        if self.start > total || (self.start == total && total > 0) {
            let message = format!("the range begins at byte {} of a resource of {total} bytes", self.start);
            return Err(crate::Error::OutOfRange(message));
        }
        let rest = total - self.start;
        Ok(Self { start: self.start, length: Some(self.length.map_or(rest, |length| length.min(rest))) })
    }
}

/// Tells one version of a resource from another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validator {
    /// Opaque; quotes and `W/` included, as HTTP has it.
    pub etag: Option<String>,
    /// When the resource changed last; milliseconds on the wire.
    pub last_modified: Option<SystemTime>,
}

impl Validator {
    /// Whether there is nothing to compare with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// Fails unless a resource that has the validator `current` is of this version. An empty validator is any.
    ///
    /// # Errors
    ///
    /// * [`Changed`](crate::Error::Changed): it is another version
    pub fn require(&self, current: &Self) -> Result<(), crate::Error> {
        if self.is_empty() || self.matches(current) {
            return Ok(());
        }
        Err(crate::Error::Changed("it is another version than before".into()))
    }

    /// Whether a resource that has the validator `current` is the version that this one was taken from.
    ///
    /// An ETag decides where both have one, else the time does; where neither can be compared the answer is no.
    #[must_use]
    pub fn matches(&self, current: &Self) -> bool {
        match (&self.etag, &current.etag) {
            (Some(mine), Some(theirs)) => mine == theirs,
            // In milliseconds, as the wire has them: storages know finer ones.
            _ => self.last_modified.is_some() && self.last_modified.map(millis) == current.last_modified.map(millis),
        }
    }
}

/// What a source knows about a resource without reading it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Bytes of the whole resource; `None` is unknown.
    pub content_length: Option<u64>,
    /// Whether [`download`](crate::ResourceClient::download) honours [`DownloadRequest::range`].
    pub support_range: bool,
    /// Of the current version.
    pub validator: Validator,
    /// Until when the storage promises that the resource stays as it is.
    pub expires: Option<SystemTime>,
    /// Media type.
    pub content_type: Option<String>,
    /// Digests of the whole resource that the storage announces.
    pub digests: Vec<Digest>,
    /// What a file of it is to be called, if the storage says so other than by the URL: not decoded any further, and no
    /// path. The host uses it where the user asks for that, and refuses one that is unsafe.
    pub file_name: Option<String>,
}

/// A digest as its storage announces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// `md5`, `sha1`, `sha256`, `sha512`, `crc32` or `blake3`; the host skips others.
    pub algorithm: String,
    /// Lower case.
    pub hex: String,
}

/// One name in a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// One level, relative to the listed resource, without separators; the host refuses others.
    pub name: String,
    /// Whether it can be listed itself.
    pub directory: bool,
    /// As far as the listing tells; no round trip an entry is expected.
    pub metadata: Metadata,
    /// Where the entry is; `None` is beneath the listed URL under its name.
    pub url: Option<String>,
    /// All bytes of the version that `metadata` tells. The SDK fills it in where
    /// [`lists_content`](crate::ResourceClient::lists_content) says so.
    pub content: Option<Bytes>,
}

/// Where the entry `name` of a directory is, if its listing does not say: the path of the directory's URL, a `/` if there
/// is none at its end, and the name as one segment, with the query that the URL has.
#[must_use]
pub fn url_beneath(directory: &str, name: &str) -> String {
    let (path, query) = directory.split_at(directory.find(['?', '#']).unwrap_or(directory.len()));
    let separator = if path.ends_with('/') { "" } else { "/" };
    format!("{path}{separator}{}{query}", utf8_percent_encode(name, SEGMENT))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_range_ends_where_the_resource_does() {
        let range = |start, length| Range { start, length };
        assert_eq!(range(0, None).within(10).unwrap(), range(0, Some(10)));
        assert_eq!(range(4, Some(3)).within(10).unwrap(), range(4, Some(3)));
        assert_eq!(range(4, Some(u64::MAX)).within(10).unwrap(), range(4, Some(6)));
        assert_eq!(range(0, None).within(0).unwrap(), range(0, Some(0)));
        assert!(range(10, None).within(10).is_err());
        assert!(range(11, Some(0)).within(10).is_err());
    }

    #[test]
    fn an_etag_outweighs_the_time_and_nothing_matches_nothing() {
        let validator = |etag: Option<&str>, time| Validator { etag: etag.map(Into::into), last_modified: time };
        let now = Some(SystemTime::UNIX_EPOCH);
        assert!(validator(Some("a"), None).matches(&validator(Some("a"), now)));
        assert!(!validator(Some("a"), now).matches(&validator(Some("b"), now)));
        assert!(validator(None, now).matches(&validator(Some("b"), now)));
        let finer = now.map(|now| now + Duration::from_micros(999));
        assert!(validator(None, now).matches(&validator(None, finer)));
        assert!(!validator(None, None).matches(&validator(None, None)));
    }
}
