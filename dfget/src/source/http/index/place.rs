//! Where a directory is, and what is directly beneath it.

use percent_encoding::{CONTROLS, percent_decode_str, percent_encode};
use plugin_sdk::{Entry, Error, url_beneath};
use reqwest::Url;

/// A directory whose index is being read.
pub(super) struct Place {
    /// What the URLs of its entries begin with: up to the last `/`.
    root: String,
    /// What they end with: the query that the user gave, which may be a token.
    suffix: String,
    /// Where the index was found, without a query.
    directory: Url,
    /// What its links are relative to.
    base: Url,
}

impl Place {
    /// Of the directory at `listed` that was `found` there, or where the server redirected to.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: it is no directory
    pub(super) fn of(listed: &str, found: &Url) -> Result<Self, Error> {
        let mut directory = found.clone();
        directory.set_query(None);
        directory.set_fragment(None);
        if !directory.path().ends_with('/') {
            return Err(Error::InvalidRequest("it is no directory: the URL of one ends in `/`".into()));
        }
        let (root, suffix) = root_of(listed, &directory)?;
        Ok(Self { root, suffix, base: directory.clone(), directory })
    }

    /// The first `<base>` is the one that counts: HTML, section 4.2.3.
    pub(super) fn rebase(&mut self, href: &[u8]) {
        if self.base == self.directory
            && let Ok(base) = self.base.join(&spelled(href))
        {
            self.base = base;
        }
    }

    /// What a link leads to, if that is an entry: neither elsewhere, nor deeper, nor with a query, as those have that sort
    /// the index. A name that is not safe is for the host to refuse.
    pub(super) fn entry(&self, href: &[u8]) -> Option<Entry> {
        let target = self.base.join(&spelled(href)).ok()?;
        if target.origin() != self.directory.origin() || target.query().is_some() {
            return None;
        }
        let rest = target.path().strip_prefix(self.directory.path())?;
        let segment = rest.strip_suffix('/').unwrap_or(rest);
        if segment.is_empty() || segment.contains('/') {
            return None;
        }
        // A name that is no UTF-8 stays as its URL has it.
        let name = percent_decode_str(segment).decode_utf8().map_or_else(|_| segment.to_owned(), Into::into);
        let Self { root, suffix, .. } = self;
        Some(Entry { name, directory: rest != segment, url: Some(format!("{root}{rest}{suffix}")), ..Entry::default() })
    }

    pub(super) fn file_named(&self, name: String) -> Entry {
        let url = format!("{}{}", url_beneath(&self.root, &name), self.suffix);
        Entry { name, url: Some(url), ..Entry::default() }
    }

    /// Its URL ends in `/`, as its server would redirect to.
    pub(super) fn directory_named(&self, name: String) -> Entry {
        let url = format!("{}/{}", url_beneath(&self.root, &name), self.suffix);
        Entry { name, directory: true, url: Some(url), ..Entry::default() }
    }
}

/// What the URLs of entries begin and end with: as the user wrote it. What was redirected within its origin is beneath its
/// new path; elsewhere, each entry is redirected in turn, so that credentials stay where they belong.
fn root_of(listed: &str, directory: &Url) -> Result<(String, String), Error> {
    let mut asked = Url::parse(listed).map_err(|error| Error::InvalidRequest(error.to_string()))?;
    let moved = asked.path().trim_end_matches('/') != directory.path().trim_end_matches('/');
    let text = if moved && asked.origin() == directory.origin() {
        asked.set_path(directory.path());
        asked.to_string()
    } else {
        listed.to_owned()
    };
    let (path, suffix) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
    let separator = if path.ends_with('/') { "" } else { "/" };
    Ok((format!("{path}{separator}"), suffix.to_owned()))
}

/// A link as a URL may have it: bytes that are no UTF-8 are those that a server knows its file by.
fn spelled(href: &[u8]) -> String {
    percent_encode(href, CONTROLS).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(listed: &str, found: &str) -> Place {
        Place::of(listed, &Url::parse(found).unwrap()).unwrap()
    }

    /// Name, whether it is a directory, URL.
    fn entry(place: &Place, href: &str) -> Option<(String, bool, String)> {
        place.entry(href.as_bytes()).map(|entry| (entry.name, entry.directory, entry.url.unwrap()))
    }

    #[test]
    fn links_to_entries_are_told_from_all_others() {
        let place = place("http://h/d", "http://h/d/");
        let found = |name: &str, directory, url: &str| Some((name.to_owned(), directory, format!("http://h/d/{url}")));
        for (href, expected) in [
            ("a b", found("a b", false, "a%20b")),
            ("a%2520b", found("a%20b", false, "a%2520b")),
            ("./a:b", found("a:b", false, "a:b")),
            ("it's#top", found("it's", false, "it's")),
            ("/d/sub/", found("sub", true, "sub/")),
            ("http://h:80/d/x", found("x", false, "x")),
            ("//h/d/x", found("x", false, "x")),
            ("../d/x", found("x", false, "x")),
            ("%C3%BC", found("ü", false, "%C3%BC")),
            ("ü", found("ü", false, "%C3%BC")),
            ("%ff.txt", found("%ff.txt", false, "%ff.txt")),
            // For the host to refuse.
            ("..%2f..%2fetc", found("../../etc", false, "..%2f..%2fetc")),
            ("a%00", found("a\0", false, "a%00")),
            // Elsewhere.
            ("", None),
            ("./", None),
            ("../", None),
            ("%2e%2e/", None),
            ("/", None),
            ("/d", None),
            ("/etc/passwd", None),
            ("a/b", None),
            ("a\\b", None),
            ("a//", None),
            ("?C=N;O=D", None),
            ("x?download=1", None),
            ("https://h/d/x", None),
            ("http://h:8080/d/x", None),
            ("http://other/d/x", None),
            ("mailto:me@h", None),
            ("javascript:void(0)", None),
            ("http://[", None),
        ] {
            assert_eq!(entry(&place, href), expected, "{href}");
        }
        let latin = place.entry(b"\xfc.txt").unwrap();
        assert_eq!((&*latin.name, &*latin.url.unwrap()), ("%FC.txt", "http://h/d/%FC.txt"));
    }

    #[test]
    fn entries_are_beneath_what_was_asked_for_with_its_query_and_its_user() {
        let url = |listed, found| entry(&place(listed, found), "x").unwrap().2;
        assert_eq!(url("http://me:pw@h/d?sig=1", "http://h/d/?sig=1"), "http://me:pw@h/d/x?sig=1");
        assert_eq!(url("http://me:pw@h/latest/?sig=1", "http://h/v1/"), "http://me:pw@h/v1/x?sig=1");
        // Credentials are never sent to another host.
        assert_eq!(url("http://me:pw@h/d/", "https://mirror/e/"), "http://me:pw@h/d/x");
        assert_eq!(place("http://h/d", "http://h/d/").directory_named("a/b".into()).url.unwrap(), "http://h/d/a%2Fb/");
        assert_eq!(place("http://h/d", "http://h/d/").file_named("50%".into()).url.unwrap(), "http://h/d/50%25");
    }

    #[test]
    fn the_first_base_is_what_links_are_relative_to() {
        let mut place = place("http://h/d/", "http://h/d/");
        place.rebase(b"/");
        place.rebase(b"/elsewhere/");
        assert_eq!((entry(&place, "x"), entry(&place, "d/x").unwrap().0), (None, "x".into()));
    }

    #[test]
    fn what_does_not_end_like_a_directory_is_none() {
        let refused = Place::of("http://h/f", &Url::parse("http://h/f").unwrap()).err().unwrap();
        assert_eq!(refused.to_string(), "it is no directory: the URL of one ends in `/`");
    }
}
