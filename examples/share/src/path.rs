//! The path of a `share://` URL as names beneath the root.
//!
//! Names are bytes, as file names are. A URL that no file can have is refused: another host, a query, `..`, a `/` or
//! NUL within a name.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use plugin_sdk::{Error, Request};

/// All but the characters that RFC 3986, section 2.3, calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a resource is beneath the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreePath {
    url: String,
    names: Vec<Vec<u8>>,
}

impl TreePath {
    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: no file beneath the root can have this URL
    pub(crate) fn parse(request: &Request) -> Result<Self, Error> {
        let refused = |reason: &str| Error::InvalidRequest(reason.to_owned());
        let form = || refused("a share URL begins with share:/// and the path beneath the root follows");
        let after_slashes = request.after_scheme().strip_prefix("//").ok_or_else(form)?;
        let (host, path) = after_slashes.split_once('/').unwrap_or((after_slashes, ""));
        if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
            return Err(refused(&format!(
                "there is one tree and no hosts; if `{host}` is a directory, write share:///{host}/{path}"
            )));
        }
        if path.contains(['?', '#']) {
            return Err(refused("files have no query and no fragment; in a file name write %3F for ? and %23 for #"));
        }
        let names = path.split('/').map(name).filter_map(Result::transpose).collect::<Result<_, _>>();
        // So that every URL has a path, beneath which the entries of a listing are.
        let slash = if after_slashes.contains('/') { "" } else { "/" };
        Ok(Self { url: format!("{}{slash}", request.url), names: names.map_err(refused)? })
    }

    /// The entry `name` of the directory at this path.
    pub(crate) fn entry(&self, name: &[u8]) -> Self {
        let slash = if self.url.ends_with('/') { "" } else { "/" };
        let url = format!("{}{slash}{}", self.url, percent_encode(name, ESCAPED));
        Self { url, names: self.names.iter().cloned().chain([name.to_vec()]).collect() }
    }

    /// As the user wrote it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where that is on this machine.
    pub(crate) fn beneath(&self, root: &Path) -> PathBuf {
        root.iter().chain(self.names.iter().map(|name| OsStr::from_bytes(name))).collect()
    }

    /// From the root down; none is the root itself.
    pub(crate) fn names(&self) -> &[Vec<u8>] {
        &self.names
    }
}

/// One name between two slashes, if there is any.
fn name(escaped: &str) -> Result<Option<Vec<u8>>, &'static str> {
    let name: Vec<u8> = percent_decode_str(escaped).collect();
    match name.as_slice() {
        b"" | b"." => Ok(None),
        b".." => Err("`..` is refused in a path; write the path without it"),
        name if name.contains(&b'/') => Err("%2F is a / within a name, which no file has; write / between names"),
        name if name.contains(&0) => Err("%00 is a NUL, which no file name has"),
        _ => Ok(Some(name)),
    }
}

/// `name` as text: bytes that are not UTF-8 as `%` and two digits.
pub(crate) fn as_text(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(percent_encode(chunk.invalid(), NON_ALPHANUMERIC));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(url: &str) -> Vec<Vec<u8>> {
        TreePath::parse(&Request::new(url)).expect(url).names
    }

    fn refusal(url: &str) -> String {
        TreePath::parse(&Request::new(url)).expect_err(url).to_string()
    }

    #[test]
    fn a_path_is_names_of_bytes() {
        assert_eq!(names("share:///a/b c"), [b"a".as_slice(), b"b c"]);
        assert_eq!(names("share://localhost/a//./%2e/b%20c/"), [b"a".as_slice(), b"b c"]);
        assert_eq!(names("share:///%e4/%C3%A4/\u{e4}/100%"), [b"\xe4".as_slice(), b"\xc3\xa4", b"\xc3\xa4", b"100%"]);
        assert_eq!(names("share:///...a/..b"), [b"...a".as_slice(), b"..b"]);
        for url in ["share:///", "share://", "share://localhost"] {
            assert!(names(url).is_empty(), "{url}");
        }
    }

    #[test]
    fn what_no_file_can_be_called_is_refused() {
        for url in ["share:///..", "share:///a/../b", "share:///%2e%2e/b", "share:///a/.%2E", "share:////../b"] {
            assert_eq!(refusal(url), "`..` is refused in a path; write the path without it", "{url}");
        }
        assert!(refusal("share:///a%2fb").contains("%2F is a /"));
        assert!(refusal("share:///..%2f..%2fetc").contains("%2F is a /"));
        assert!(refusal("share:///a%00").contains("NUL"));
        assert!(refusal("share:///a?b").contains("write %3F for ?"));
        assert!(refusal("share:///a#b").contains("%23 for #"));
        assert!(refusal("share:/a").contains("begins with share:///"));
        assert_eq!(
            refusal("share://data/a/b"),
            "there is one tree and no hosts; if `data` is a directory, write share:///data/a/b"
        );
    }

    #[test]
    fn the_url_of_an_entry_leads_to_it() {
        for directory in
            ["share://", "share:///", "share:///a", "share:///a/", "share://localhost", "share://localhost/a b"]
        {
            let directory = TreePath::parse(&Request::new(directory)).unwrap();
            for name in [b"x".as_slice(), b"x y?#%41", b"\xff", b"%2e%2e", "\u{e4}".as_bytes()] {
                let entry = directory.entry(name);
                assert_eq!(TreePath::parse(&Request::new(entry.url())).unwrap(), entry);
                assert_eq!(entry.names().last().unwrap(), name);
            }
        }
    }

    #[test]
    fn the_bytes_of_a_name_that_are_no_text_are_shown_escaped() {
        assert_eq!(as_text("\u{e4} %".as_bytes()), "\u{e4} %");
        assert_eq!(as_text(b"a\xff\xfeb"), "a%FF%FEb");
    }
}
