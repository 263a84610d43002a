//! `SCHEME://BUCKET/KEY?versionId=ID`, taken apart.
//!
//! The key is what follows the first slash, percent-decoded once, as it is: stores know no other slashes than those in
//! names. What HTTP clients would make another key of is refused.

use percent_encoding::percent_decode_str;
use plugin_sdk::Error;

/// Names of a query that choose a version; the rest of a query is no part of any store's URL.
const VERSION: &[&str] = &["versionid", "generation"];

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    /// The bucket or container; of HDFS, the name node.
    pub(super) bucket: String,
    /// Without the slash before it; empty is the bucket itself.
    pub(super) key: String,
    /// Another version than the current one.
    pub(super) version: Option<String>,
}

impl Location {
    /// `after_scheme` is what follows `SCHEME:`.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: there is no bucket; no request can be made for this key
    pub(super) fn parse(after_scheme: &str) -> Result<Self, Error> {
        let rest = after_scheme.strip_prefix("//").unwrap_or(after_scheme);
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if bucket.is_empty() {
            return Err(invalid("there is no bucket in the URL: it is SCHEME://BUCKET/KEY"));
        }
        if bucket.contains('@') {
            return Err(invalid("a URL has no user here: set access-key-id and access-key-secret instead"));
        }
        let (bucket, key) = (decoded(bucket)?, decoded(key)?);
        refuse_unspeakable(&key)?;
        let version = query.map(version_of).transpose()?.flatten();
        Ok(Self { bucket, key, version })
    }

    /// What the keys of everything beneath it begin with.
    pub(super) fn prefix(&self) -> String {
        match &self.key {
            key if key.is_empty() || key.ends_with('/') => key.clone(),
            key => format!("{key}/"),
        }
    }
}

/// Of `?` and what follows it.
fn version_of(query: &str) -> Result<Option<String>, Error> {
    let mut version = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !VERSION.contains(&name.to_ascii_lowercase().as_str()) {
            let fact = "the URL has a query: only ?versionId=ID is known here, and a `?` in a key is written %3F";
            return Err(invalid(fact));
        }
        version = Some(decoded(value)?).filter(|version| !version.is_empty());
    }
    Ok(version)
}

fn decoded(text: &str) -> Result<String, Error> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into).map_err(|_| invalid("the URL holds bytes that are no UTF-8, as keys are"))
}

/// URLs know `.` and `..` as steps, and clients take them before a server sees them.
fn refuse_unspeakable(key: &str) -> Result<(), Error> {
    match key {
        key if key.starts_with('/') => {
            Err(invalid("the key begins with a slash, and such an object cannot be asked for"))
        }
        key if key.split('/').any(|name| matches!(name, "." | "..")) => {
            Err(invalid("a part of the key is `.` or `..`, and such an object cannot be asked for"))
        }
        key if key.contains('\0') => Err(invalid("there is a NUL in the key")),
        _ => Ok(()),
    }
}

fn invalid(fact: &str) -> Error {
    Error::InvalidRequest(fact.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> Result<(String, String, Option<String>), String> {
        let parsed = Location::parse(url).map_err(|error| error.to_string())?;
        Ok((parsed.bucket, parsed.key, parsed.version))
    }

    #[test]
    fn a_key_is_decoded_once_and_else_left_alone() {
        for (url, key) in [
            ("//b/a/c", "a/c"),
            ("//b", ""),
            ("//b/", ""),
            ("//b/a%20b+c%2525", "a b+c%25"),
            ("//b/a//b/", "a//b/"),
            ("//b/%E4%BD%A0", "你"),
            ("//b/ a ", " a "),
            ("//b/a%3Fb%23c", "a?b#c"),
        ] {
            assert_eq!(location(url), Ok(("b".into(), key.into(), None)), "{url}");
        }
    }

    #[test]
    fn a_version_is_chosen_by_the_query() {
        assert_eq!(location("//b/a?versionId=x%2By"), Ok(("b".into(), "a".into(), Some("x+y".into()))));
        assert_eq!(location("//b/a?"), Ok(("b".into(), "a".into(), None)));
        assert!(location("//b/a?prefix=x").unwrap_err().starts_with("the URL has a query: only ?versionId=ID"));
    }

    #[test]
    fn what_would_become_another_key_on_its_way_is_refused() {
        for url in ["//b//a", "//b/%2Fa", "//b/a/../c", "//b/%2e%2E/c", "//b/./c", "//b/a%00", "//b/a%ff"] {
            assert!(location(url).is_err(), "{url}");
        }
        assert!(location("//b/..a/.b/c..").is_ok());
    }

    #[test]
    fn a_url_without_a_bucket_or_with_a_user_is_refused() {
        assert_eq!(location("///a").unwrap_err(), "there is no bucket in the URL: it is SCHEME://BUCKET/KEY");
        assert!(location("//me:xyzzy@b/a").unwrap_err().starts_with("a URL has no user here"));
        assert!(!location("//me:xyzzy@b/a").unwrap_err().contains("xyzzy"));
    }
}
