//! What must hold of whatever a server puts into a header.

use reqwest::{
    StatusCode, header,
    header::{HeaderMap, HeaderName, HeaderValue},
};

pub use super::index::fuzzing::http_index;
use super::{
    answer::{parse_content_range, retry_after},
    digest, name,
};
use crate::verify::Expected;

/// One value of each header that is read.
pub fn http_header(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let mut map =
        HeaderMap::from_iter([header::CONTENT_DISPOSITION, header::RETRY_AFTER].map(|name| (name, value.clone())));
    for name in ["repr-digest", "digest", "content-digest", "content-md5"] {
        map.insert(HeaderName::from_static(name), value.clone());
    }
    assert_ne!(name::stated(&map).as_deref(), Some(""));
    for digest in digest::announced(StatusCode::OK, &map) {
        format!("{}:{}", digest.algorithm, digest.hex).parse::<Expected>().expect("it is one that can be checked");
    }
    let part = value.to_str().ok().and_then(parse_content_range);
    assert!(part.is_none_or(|(range, _)| range.length.is_some_and(|length| range.start.checked_add(length).is_some())));
    let _ = retry_after(&map);
}
