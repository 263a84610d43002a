//! What an answer of a store tells about an object: length, version, digests, and which part follows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, header};
use plugin_sdk::{Digest, Error, Header, Metadata, Range, Validator};

use super::Identity;

/// Of what a store's library read from an answer.
pub(super) fn metadata(identity: Identity, told: &opendal::Metadata) -> Metadata {
    let etag = match identity {
        Identity::ETag => told.etag().map(str::to_owned).filter(|etag| is_strong(etag)),
        Identity::Generation => told.version().map(|generation| format!("\"{generation}\"")),
        Identity::Time => None,
    };
    Metadata {
        content_length: told.is_file().then(|| told.content_length()),
        support_range: true,
        validator: Validator { etag, last_modified: told.last_modified().and_then(|told| time(identity, told)) },
        expires: None,
        content_type: told.content_type().map(str::to_owned),
        digests: told.content_md5().and_then(|text| digest("md5", text)).into_iter().collect(),
        file_name: None,
    }
}

/// Whether parts can be put together by it. A weak one may stay the same when bytes change: RFC 9110, section 8.8.1.
fn is_strong(etag: &str) -> bool {
    !etag.starts_with("W/") && !etag.trim_matches('"').is_empty()
}

/// Adds what only the raw answer tells. An ETag is no digest: of an object that came in parts, or is encrypted, it only
/// looks like one.
pub(super) fn add_header(metadata: &mut Metadata, header: &HeaderMap) {
    let announced = |name: &str| text(header, name);
    // Of objects that were composed of parts, S3's checksum may be one of checksums.
    let is_of_whole = announced("x-amz-checksum-type").is_none_or(|of| of == "FULL_OBJECT");
    let of_whole = |name: &str| announced(name).filter(|value| is_of_whole && !value.contains('-'));
    let mut found = vec![
        of_whole("x-amz-checksum-sha256").and_then(|value| digest("sha256", value)),
        of_whole("x-amz-checksum-sha1").and_then(|value| digest("sha1", value)),
        of_whole("x-amz-checksum-crc32").and_then(|value| digest("crc32", value)),
    ];
    let hashes = header.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
    let md5 = hashes.flat_map(|value| value.split(',')).find_map(|hash| hash.trim().strip_prefix("md5="));
    found.push(md5.and_then(|value| digest("md5", value)));
    // `Content-MD5` may be that of the part: only Azure has another name for that of the whole.
    found.push(text(header, "x-ms-blob-content-md5").and_then(|value| digest("md5", value)));
    if header.contains_key(header::CONTENT_RANGE) {
        metadata.digests.clear();
    }
    for digest in found.into_iter().flatten() {
        if metadata.digests.iter().all(|known| known.algorithm != digest.algorithm) {
            metadata.digests.push(digest);
        }
    }
    metadata.expires = text(header, "expires").and_then(|value| httpdate::parse_http_date(value).ok());
}

/// From base64, if it is as long as such a digest is.
fn digest(algorithm: &str, base64: &str) -> Option<Digest> {
    let bytes = BASE64_STANDARD.decode(base64.trim()).ok()?;
    let length = match algorithm {
        "md5" => 16,
        "sha1" => 20,
        "sha256" => 32,
        _ => 4,
    };
    let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    (bytes.len() == length).then(|| Digest { algorithm: algorithm.to_owned(), hex })
}

/// In whole seconds, as headers have it: some listings know milliseconds, and a file that was downloaded from one of them
/// has to be as old as its listing says.
fn time(identity: Identity, told: opendal::raw::Timestamp) -> Option<SystemTime> {
    let millis = u64::try_from(told.into_inner().as_millisecond()).ok()?;
    let millis = if identity == Identity::Time { millis } else { millis / 1000 * 1000 };
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

/// The part in a 206 answer, and the length of the whole: RFC 9110, section 14.4.
///
/// # Errors
///
/// * [`Error::Internal`]: there is none, or it makes no sense
pub(super) fn content_range(header: &HeaderMap) -> Result<(Range, Option<u64>), Error> {
    let value = text(header, "content-range")
        .ok_or_else(|| Error::internal("the store answered 206 without a Content-Range"))?;
    parse_content_range(value)
        .ok_or_else(|| Error::internal(format!("the store answered 206 with the Content-Range `{value}`")))
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

/// The text of a header that is there and is text.
pub(super) fn text<'a>(header: &'a HeaderMap, name: &str) -> Option<&'a str> {
    header.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use opendal::MetadataBuilder;

    use super::*;

    fn header(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn digests(pairs: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut metadata = Metadata::default();
        add_header(&mut metadata, &header(pairs));
        metadata.digests.into_iter().map(|digest| format!("{}:{}", digest.algorithm, digest.hex)).collect()
    }

    #[test]
    fn an_etag_is_never_a_digest() {
        for etag in ["\"9a0364b9e99bb480dd25e1f0284c8555\"", "\"9a0364b9e99bb480dd25e1f0284c8555-3\""] {
            assert!(digests(&[("etag", etag)]).is_empty(), "{etag}");
            let mut told = MetadataBuilder::file(3);
            // As the library of COS puts it when it lists.
            told.etag(etag).content_md5(etag.trim_matches('"'));
            let metadata = metadata(Identity::ETag, &told.build());
            assert!(metadata.digests.is_empty(), "{etag}");
            assert_eq!(metadata.validator.etag.as_deref(), Some(etag));
        }
    }

    #[test]
    fn a_listing_and_a_header_tell_the_same_time() {
        let modified = |text: &str| {
            let mut told = MetadataBuilder::file(3);
            told.last_modified(text.parse().unwrap());
            metadata(Identity::ETag, &told.build()).validator.last_modified
        };
        assert_eq!(modified("2026-01-02T03:04:05.678Z"), modified("2026-01-02T03:04:05Z"));
    }

    #[test]
    fn a_checksum_of_checksums_is_none_of_the_object() {
        let (name, value) = ("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
        let sha256 = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(digests(&[(name, value)]), [sha256]);
        assert_eq!(digests(&[(name, value), ("x-amz-checksum-type", "FULL_OBJECT")]), [sha256]);
        assert!(digests(&[(name, value), ("x-amz-checksum-type", "COMPOSITE")]).is_empty());
        assert!(digests(&[(name, "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=-2")]).is_empty());
    }

    #[test]
    fn the_md5_of_google_and_azure_are_found() {
        let md5 = "md5:5d41402abc4b2a76b9719d911017c592";
        assert_eq!(digests(&[("x-goog-hash", "crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg==")]), [md5]);
        assert_eq!(digests(&[("x-ms-blob-content-md5", "XUFAKrxLKna5cZ2REBfFkg==")]), [md5]);
    }

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
