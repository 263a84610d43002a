//! What a server's answer means: metadata, ranges, errors.

use std::time::{Duration, SystemTime};

use plugin_sdk::{Error, Header, Metadata, Range, Validator};
use reqwest::{Response, StatusCode, header, header::HeaderMap};

use super::text;

/// The class of a status that is no success.
pub(super) fn error_of(status: StatusCode, header: &HeaderMap) -> Error {
    let message = format!("the server answered {status}");
    match status.as_u16() {
        404 | 410 => Error::NotFound(message),
        401 | 407 => Error::Unauthenticated(message),
        403 => Error::PermissionDenied(message),
        412 => Error::Changed(format!("the resource has changed: {message}")),
        416 => Error::OutOfRange(message),
        408 | 425 | 429 | 500 | 502..=504 => Error::Unavailable { message, retry_after: retry_after(header) },
        _ => Error::InvalidRequest(message),
    }
}

/// RFC 9110, section 10.2.3: seconds, or a date.
fn retry_after(header: &HeaderMap) -> Option<Duration> {
    let value = text(header, header::RETRY_AFTER)?.trim();
    let until = || httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok();
    value.parse().ok().map(Duration::from_secs).or_else(until)
}

pub(super) fn metadata_of(answer: &Response) -> Result<Metadata, Error> {
    let header = answer.headers();
    let number = |name| text(header, name).and_then(|value| value.trim().parse().ok());
    let date = |name| text(header, name).and_then(|value| httpdate::parse_http_date(value).ok());
    let part = answer.status() == StatusCode::PARTIAL_CONTENT;
    let content_length = if part { content_range(header)?.1 } else { number(header::CONTENT_LENGTH) };
    let etag = text(header, header::ETAG).map(str::to_owned);
    Ok(Metadata {
        content_length,
        support_range: part || text(header, header::ACCEPT_RANGES).is_some_and(|value| value.contains("bytes")),
        validator: Validator { etag, last_modified: date(header::LAST_MODIFIED) },
        expires: date(header::EXPIRES),
        content_type: text(header, header::CONTENT_TYPE).map(str::to_owned),
        digests: Vec::new(),
    })
}

/// The part in a 206 answer, and the length of the whole: RFC 9110, section 14.4.
pub(super) fn content_range(header: &HeaderMap) -> Result<(Range, Option<u64>), Error> {
    let value = text(header, header::CONTENT_RANGE)
        .ok_or_else(|| Error::internal("the server answered 206 without a Content-Range"))?;
    parse_content_range(value)
        .ok_or_else(|| Error::internal(format!("the server answered 206 with the Content-Range `{value}`")))
}

fn parse_content_range(value: &str) -> Option<(Range, Option<u64>)> {
    let (part, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = part.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let length = last.checked_sub(first)?.checked_add(1)?;
    let total = if total == "*" { None } else { Some(total.trim().parse().ok()?) };
    Some((Range { start: first, length: Some(length) }, total))
}

pub(super) fn header_of(header: &HeaderMap) -> Header {
    let value = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    header.iter().map(|(name, held)| (name.to_string(), value(held))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_or_refused() {
        let range = |start, length| Range { start, length: Some(length) };
        assert_eq!(parse_content_range("bytes 2-5/10"), Some((range(2, 4), Some(10))));
        assert_eq!(parse_content_range("bytes 0-0/*"), Some((range(0, 1), None)));
        for wrong in ["", "bytes 5-2/10", "bytes */10", "items 1-2/3", "bytes 0-18446744073709551615/1"] {
            assert_eq!(parse_content_range(wrong), None, "{wrong}");
        }
    }
}
