//! What a server's answer means: metadata, ranges, errors.

use std::time::{Duration, SystemTime};

use plugin_sdk::{DownloadRequest, Error, Header, Metadata, Opened, Range, Request, Validator};
use reqwest::{Response, StatusCode, header, header::HeaderMap};

use super::{digest, name, text};
use crate::url::shown;

/// What the names of files end in that are compressed already: servers that call that an encoding are no surprise.
const COMPRESSED: [&str; 8] = [".gz", ".tgz", ".svgz", ".z", ".br", ".zst", ".bz2", ".xz"];

/// What follows an answer to `request`.
///
/// # Errors
///
/// * [`Error::Changed`]: it is not of the version that was asked for
/// * those of its status; [`Error::Internal`] and [`Error::InvalidRequest`] of an answer that makes no sense
pub(super) fn opened(answer: &Response, request: &DownloadRequest) -> Result<Opened, Error> {
    let (status, header) = (answer.status(), answer.headers());
    if status == StatusCode::RANGE_NOT_SATISFIABLE && !request.validator.is_empty() {
        // Of the version with this validator it was a part: not every server heeds a precondition.
        return Err(Error::Changed(format!("the resource has changed: the server answered {status}")));
    }
    check(status, header)?;
    check_coding(header, request)?;
    let metadata = metadata_of(answer)?;
    request.validator.require(&metadata.validator)?;
    let range = match status {
        StatusCode::PARTIAL_CONTENT => content_range(header)?.0,
        _ => Range { start: 0, length: metadata.content_length },
    };
    if request.range.is_whole() && range.start > 0 {
        let message =
            format!("the server answered with what begins at byte {}, and the whole was asked for", range.start);
        return Err(Error::InvalidRequest(message));
    }
    Ok(Opened { status: status.as_u16().into(), header: header_of(header), range, metadata })
}

/// Whether it is a part of the resource, and another one than was asked for.
pub(super) fn is_elsewhere(answer: &Response, asked: Range) -> bool {
    let is_part = answer.status() == StatusCode::PARTIAL_CONTENT && !asked.is_whole();
    is_part && content_range(answer.headers()).is_ok_and(|(range, _)| range.start != asked.start)
}

/// An answer that has content, or tells of it.
pub(super) fn successful(answer: Response) -> Result<Response, Error> {
    check(answer.status(), answer.headers()).map(|()| answer)
}

fn check(status: StatusCode, header: &HeaderMap) -> Result<(), Error> {
    if status.is_success() && !is_without_content(status) { Ok(()) } else { Err(error_of(status, header)) }
}

/// Successes that are not the resource: it is not ready, has no content, or is a difference to another version.
fn is_without_content(status: StatusCode) -> bool {
    matches!(status.as_u16(), 202 | 204 | 205 | 226)
}

/// Whether this answer to HEAD may be another one than that to GET: not every server has HEAD, and URLs are signed for one
/// method alone.
pub(super) fn says_nothing_of_get(status: StatusCode) -> bool {
    matches!(status.as_u16(), 403 | 405 | 501) || is_without_content(status)
}

/// Nobody asks for an encoding, and some servers have one anyway: then their bytes are saved as they come. No part of
/// them is put together with another one, which may be without.
fn check_coding(header: &HeaderMap, request: &DownloadRequest) -> Result<(), Error> {
    let Some(coding) = coding_of(header) else { return Ok(()) };
    let message = format!("the server encodes it as `{coding}`, and parts are of what is not encoded");
    if !request.validator.is_empty() {
        return Err(Error::Changed(message));
    }
    if !request.range.is_whole() {
        return Err(Error::InvalidRequest(message));
    }
    let Request { url, header } = &request.request;
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let expected = COMPRESSED.iter().any(|suffix| path.ends_with(suffix));
    if !expected && !header.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept-encoding")) {
        let url = shown(url);
        tracing::warn!("{url}: the server encodes it as `{coding}`, which nobody asked for; it is saved as it comes");
    }
    Ok(())
}

/// RFC 9110, section 8.4.
pub(super) fn coding_of(header: &HeaderMap) -> Option<&str> {
    let coding = text(header, header::CONTENT_ENCODING)?.trim();
    (!coding.is_empty() && !coding.eq_ignore_ascii_case("identity")).then_some(coding)
}

/// The class of a status that is no success, or comes without content. One that nobody knows is as the first of its
/// hundred: RFC 9110, section 15.
fn error_of(status: StatusCode, header: &HeaderMap) -> Error {
    let message = format!("the server answered {status}");
    match status.as_u16() {
        404 | 410 => Error::NotFound(message),
        401 | 407 => Error::Unauthenticated(message),
        403 => Error::PermissionDenied(message),
        412 => Error::Changed(format!("the resource has changed: {message}")),
        416 => Error::OutOfRange(message),
        501 | 505 | 506 | 508 | 510 | 511 => Error::InvalidRequest(message),
        202 | 408 | 425 | 429 | 500..=599 => Error::Unavailable { message, retry_after: retry_after(header) },
        _ => Error::InvalidRequest(message),
    }
}

/// RFC 9110, section 10.2.3: seconds, or a date.
pub(super) fn retry_after(header: &HeaderMap) -> Option<Duration> {
    let value = text(header, header::RETRY_AFTER)?.trim();
    let until = || httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok();
    value.parse().ok().map(Duration::from_secs).or_else(until)
}

pub(super) fn metadata_of(answer: &Response) -> Result<Metadata, Error> {
    let header = answer.headers();
    let number = |name| text(header, name).and_then(|value| value.trim().parse().ok());
    let date = |name| text(header, name).and_then(|value| httpdate::parse_http_date(value).ok());
    let part = answer.status() == StatusCode::PARTIAL_CONTENT;
    let content_length = match part {
        true => content_range(header)?.1,
        // RFC 9112, section 6.3: where there are chunks, they are what counts.
        false => number(header::CONTENT_LENGTH).filter(|_| !header.contains_key(header::TRANSFER_ENCODING)),
    };
    let last_modified = date(header::LAST_MODIFIED);
    let etag = text(header, header::ETAG).and_then(|etag| telling(etag, last_modified));
    Ok(Metadata {
        content_length,
        support_range: coding_of(header).is_none() && (part || accepts_ranges(header)),
        validator: Validator { etag, last_modified },
        expires: date(header::EXPIRES),
        content_type: text(header, header::CONTENT_TYPE).map(str::to_owned),
        digests: digest::announced(answer.status(), header),
        file_name: name::stated(header),
    })
}

/// An ETag by which parts can be put together. A weak one may stay the same when bytes change, as RFC 9110, section
/// 8.8.1, has it: with a time beside it both have to stay the same, so the two are made one; alone it tells nothing.
fn telling(etag: &str, last_modified: Option<SystemTime>) -> Option<String> {
    if !etag.starts_with("W/") {
        return Some(etag.to_owned());
    }
    last_modified.map(|time| format!("{etag} {}", httpdate::fmt_http_date(time)))
}

fn accepts_ranges(header: &HeaderMap) -> bool {
    text(header, header::ACCEPT_RANGES).is_some_and(|value| value.contains("bytes"))
}

/// The part in a 206 answer, and the length of the whole: RFC 9110, section 14.4.
fn content_range(header: &HeaderMap) -> Result<(Range, Option<u64>), Error> {
    let kind = text(header, header::CONTENT_TYPE).unwrap_or_default();
    if kind.trim().to_ascii_lowercase().starts_with("multipart/byteranges") {
        return Err(Error::InvalidRequest("the server answered with several parts, and one was asked for".into()));
    }
    let value = text(header, header::CONTENT_RANGE)
        .ok_or_else(|| Error::internal("the server answered 206 without a Content-Range"))?;
    parse_content_range(value)
        .ok_or_else(|| Error::internal(format!("the server answered 206 with the Content-Range `{value}`")))
}

pub(super) fn parse_content_range(value: &str) -> Option<(Range, Option<u64>)> {
    let (part, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = part.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let length = last.checked_sub(first)?.checked_add(1)?;
    let total = if total == "*" { None } else { Some(total.trim().parse().ok()?) };
    Some((Range { start: first, length: Some(length) }, total))
}

fn header_of(header: &HeaderMap) -> Header {
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
