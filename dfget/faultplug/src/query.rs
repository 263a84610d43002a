//! The query of a URL: `?size=10&die-at=5`. Nothing is decoded.

/// The value of `key`; `""` where it stands without one.
#[must_use]
pub fn value<'a>(url: &'a str, key: &str) -> Option<&'a str> {
    let (_, query) = url.split_once('?')?;
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// The value of `key`, if it is a number.
#[must_use]
pub fn number(url: &str, key: &str) -> Option<u64> {
    value(url, key)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_value_an_empty_one_or_none() {
        let url = "good://h/file?size=10&die&fault=no-end";
        assert_eq!((number(url, "size"), value(url, "die"), value(url, "fault")), (Some(10), Some(""), Some("no-end")));
        assert_eq!((value(url, "seed"), number(url, "die"), value("good://h/size=1", "size")), (None, None, None));
    }
}
