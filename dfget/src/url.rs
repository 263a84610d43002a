//! The URL of a resource: as the user wrote it for its source, taken apart and without secrets for dfget.

use std::{fmt, str::FromStr};

use url::Url;

use crate::escape::is_secret;

/// What is so long in a query is a secret, whatever its name.
const TOKEN: usize = 11;

/// A URL. Its `Display` hides the user, the fragment and the values of the query, which may be
/// passwords, tokens or signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct ResourceUrl {
    text: String,
    parsed: Url,
}

/// Why a text is no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// There is nothing before a `:`.
    #[error("it has no scheme, such as `https://`")]
    NoScheme,
    /// It cannot be parsed.
    #[error("{0}")]
    Invalid(url::ParseError),
}

impl ResourceUrl {
    /// As the user wrote it, secrets included: for the source only.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// In lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.parsed.scheme()
    }

    /// What of it is a secret, as far as can be told: a number in a query may be a word of any message.
    pub fn secrets(&self) -> impl Iterator<Item = String> {
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let query = self.parsed.query().unwrap_or_default().split('&');
        let values = query.filter_map(|pair| match pair.split_once('=') {
            Some((name, value)) => (is_secret(name) || value.len() >= TOKEN).then_some(value),
            None => (pair.len() >= TOKEN).then_some(pair),
        });
        let user = [self.parsed.username(), self.parsed.password().unwrap_or_default()];
        let all = values.chain(user).chain(self.parsed.fragment());
        all.flat_map(move |text| [text.to_owned(), decoded(text)]).collect::<Vec<_>>().into_iter()
    }

    /// That of `name` directly beneath this one, which keeps its query.
    pub(crate) fn child(&self, name: &str) -> Option<Self> {
        plugin_sdk::url_beneath(&self.text, name).parse().ok()
    }

    /// The last segment of the path that is not empty, decoded, if that is a name for a directory.
    #[must_use]
    pub fn directory_name(&self) -> Option<String> {
        name_of(self.parsed.path().trim_end_matches('/').rsplit('/').next()?)
    }

    /// The last segment of the path, decoded, if that is a name for a file in the current directory.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        name_of(self.parsed.path().rsplit('/').next()?)
    }
}

fn name_of(segment: &str) -> Option<String> {
    let name = percent_encoding::percent_decode_str(segment).decode_utf8().ok()?.into_owned();
    let harmless = !matches!(name.as_str(), "" | "." | "..") && !name.contains(|c: char| c == '/' || c.is_control());
    harmless.then_some(name)
}

impl FromStr for ResourceUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = Url::parse(text).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => UrlError::NoScheme,
            error => UrlError::Invalid(error),
        })?;
        Ok(Self { text: text.to_owned(), parsed })
    }
}

impl fmt::Display for ResourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_user = !self.parsed.username().is_empty() || self.parsed.password().is_some();
        if !has_user && self.parsed.query().is_none() && self.parsed.fragment().is_none() {
            return f.write_str(&crate::escape::printable(&self.text));
        }
        let mut shown = self.parsed.clone();
        if has_user {
            // A token stands where a user would. This fails only for URLs that cannot have one.
            let _ = shown.set_username("***").and_then(|()| shown.set_password(None));
        }
        if shown.fragment().is_some() {
            shown.set_fragment(Some("***"));
        }
        if let Some(query) = shown.query() {
            let names: Vec<String> = query.split('&').map(hide_value).collect();
            shown.set_query(Some(&names.join("&")));
        }
        f.write_str(&crate::escape::printable(shown.as_str()))
    }
}

impl fmt::Debug for ResourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceUrl({self})")
    }
}

/// A URL without its secrets, of whatever a caller of the library took for one.
#[must_use]
pub fn shown(text: &str) -> String {
    text.parse::<ResourceUrl>().map_or_else(|_| "the resource".into(), |url| url.to_string())
}

/// What cannot be taken apart as a URL, without what stands where a URL has its password, its query and its fragment.
pub(crate) fn without_secrets(text: &str) -> &str {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    text.rsplit('@').next().unwrap_or_default()
}

fn hide_value(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) => format!("{name}=***"),
        // It may be a token without a name.
        None => "***".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> ResourceUrl {
        text.parse().unwrap()
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(url("https://me:secret@host/a?sig=abc&token").to_string(), "https://***@host/a?sig=***&***");
        assert_eq!(url("https://ghp_token@host/a#token=x").to_string(), "https://***@host/a#***");
        assert_eq!(format!("{:?}", url("s3://k:s@b/c")), "ResourceUrl(s3://***@b/c)");
        assert_eq!(url("share:///../x").to_string(), "share:///../x");
        assert_eq!(url("d7yfs://host:56001/path/to/resource").to_string(), "d7yfs://host:56001/path/to/resource");
    }

    #[test]
    fn what_is_no_url_is_shown_without_what_would_be_a_secret_of_one() {
        for text in ["https://me:secret@ho st/a?token", "ho st/a#token", "https://ho st/a#token?x"] {
            assert!(text.parse::<ResourceUrl>().is_err());
            assert_eq!(without_secrets(text).trim_start_matches("https://"), "ho st/a", "{text}");
        }
    }

    #[test]
    fn the_source_gets_what_the_user_wrote() {
        assert_eq!(url("NPM://registry/@scope/a b?x=1").as_str(), "NPM://registry/@scope/a b?x=1");
        assert_eq!(url("NPM://registry/x").scheme(), "npm");
    }

    #[test]
    fn a_file_name_is_the_last_segment_if_it_is_harmless() {
        assert_eq!(url("x://h/a/b%20c.txt?q").file_name().as_deref(), Some("b c.txt"));
        for nameless in ["x://h", "x://h/", "x://h/a/..%2fb", "x://h/%2e%2e", "x://h/a%00", "x://h/%ff"] {
            assert_eq!(url(nameless).file_name(), None, "{nameless}");
        }
    }

    #[test]
    fn a_child_is_beneath_its_parent_and_keeps_the_query() {
        assert_eq!(url("x://h/a").child("b c").unwrap().as_str(), "x://h/a/b%20c");
        assert_eq!(url("x:///a/?t=1").child("50%?#").unwrap().as_str(), "x:///a/50%25%3F%23?t=1");
        assert_eq!(url("share:///").child("x").unwrap().as_str(), "share:///x");
        assert_eq!(url("x://h/a/b%20c//").directory_name().as_deref(), Some("b c"));
        assert_eq!(url("x://h/").directory_name(), None);
    }

    #[test]
    fn what_is_no_url_is_explained() {
        assert_eq!("host/path".parse::<ResourceUrl>().unwrap_err().to_string(), "it has no scheme, such as `https://`");
        assert!("http://".parse::<ResourceUrl>().is_err());
    }
}
