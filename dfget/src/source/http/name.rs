//! What a server calls a file: `Content-Disposition`, RFC 6266.

use percent_encoding::percent_decode_str;
use reqwest::{header, header::HeaderMap};

/// Of its two forms the one that says how it is encoded, if both are there. As it is: whether it is safe is for the host to
/// say.
pub(super) fn stated(header: &HeaderMap) -> Option<String> {
    let value = header.get(header::CONTENT_DISPOSITION)?.as_bytes();
    // What is no UTF-8 is what HTTP was before: ISO 8859-1.
    let text = str::from_utf8(value).map_or_else(|_| latin(value), str::to_owned);
    let (mut extended, mut plain) = (None, None);
    for (name, value) in parameters(&text) {
        match name.as_str() {
            "filename*" => extended = extended.or_else(|| decoded(&value)),
            "filename" => plain = plain.or(Some(value)),
            _ => {}
        }
    }
    extended.or(plain).filter(|name| !name.is_empty())
}

/// Names in lower case and values without quotes, up to where it makes no sense any more.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((name, value)) = rest.split_once('=') {
        let value = value.trim_start();
        let Some((value, after)) = value.strip_prefix('"').map_or_else(|| Some(token(value)), quoted) else { break };
        found.push((name.trim().to_ascii_lowercase(), value));
        rest = after.trim_start().strip_prefix(';').unwrap_or("");
    }
    found
}

/// The value, and what follows it.
fn token(text: &str) -> (String, &str) {
    let (value, after) = text.split_at(text.find(';').unwrap_or(text.len()));
    (value.trim_end().to_owned(), after)
}

/// The same of what stands between quotes, the first one of which is gone. `None` where the last one is missing.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// `UTF-8''%e2%82%ac`: RFC 8187. `None` of what nobody has to know.
fn decoded(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, encoded) = (parts.next()?, parts.nth(1)?);
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" => percent_decode_str(encoded).decode_utf8().ok().map(Into::into),
        "iso-8859-1" => Some(latin(&percent_decode_str(encoded).collect::<Vec<u8>>())),
        _ => None,
    }
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn name(value: &[u8]) -> Option<String> {
        let value = HeaderValue::from_bytes(value).unwrap();
        stated(&HeaderMap::from_iter([(header::CONTENT_DISPOSITION, value)]))
    }

    #[test]
    fn a_name_is_read_in_each_of_its_forms() {
        for (value, expected) in [
            ("attachment; filename=a.txt", "a.txt"),
            ("attachment; filename = a.txt ; size=1", "a.txt"),
            ("inline;FILENAME=\"a b;c=d.txt\"", "a b;c=d.txt"),
            (r#"attachment; filename="say \"hi\" \\o/""#, r#"say "hi" \o/"#),
            ("attachment; filename=\"ü.txt\"", "ü.txt"),
            ("attachment; filename=x; filename*=UTF-8''%e2%82%ac%20rates", "€ rates"),
            ("attachment; filename*=utf-8'en'a%2Fb; filename=x", "a/b"),
            ("attachment; filename*=iso-8859-1''%fc", "ü"),
            ("attachment; filename*=UTF-8''%ff; filename=x", "x"),
            ("attachment; filename*=koi8-r''%c1; filename=x", "x"),
            ("attachment; filename=\"50%25.txt\"", "50%25.txt"),
            ("attachment; filename=\"../a\"; filename=b", "../a"),
        ] {
            assert_eq!(name(value.as_bytes()).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(name(b"attachment; filename=\"\xfc.txt\"").as_deref(), Some("ü.txt"));
    }

    #[test]
    fn what_makes_no_sense_is_no_name() {
        for value in [
            "",
            "attachment",
            "attachment; filename",
            "attachment; filename=",
            "attachment; filename=\"a",
            "attachment; filename=\"\"",
            "attachment; filename*=a",
            "filename=a",
            "attachment; name=a",
        ] {
            assert_eq!(name(value.as_bytes()), None, "{value}");
        }
    }
}
