//! Digests that a server announces: those of RFC 9530, and of what came before it. An ETag is none, whatever it looks like.

use base64::{Engine, engine::general_purpose::STANDARD};
use plugin_sdk::Digest;
use reqwest::{StatusCode, header::HeaderMap};

use crate::verify::hex;

/// An algorithm as HTTP names it, as dfget does, and its bytes.
const ALGORITHMS: [(&str, &str, usize); 4] =
    [("sha-256", "sha256", 32), ("sha-512", "sha512", 64), ("sha", "sha1", 20), ("md5", "md5", 16)];

/// Of the whole resource. Those of the content alone are left out where that is a part; what is malformed is as if it were
/// not there.
pub(super) fn announced(status: StatusCode, header: &HeaderMap) -> Vec<Digest> {
    let whole = status != StatusCode::PARTIAL_CONTENT;
    let md5 = values(header, "content-md5").filter(|_| whole).map(|value| vec![("md5".to_owned(), value)]);
    let content = values(header, "content-digest").filter(|_| whole).and_then(|value| dictionary(&value));
    let of_old = values(header, "digest").map(|value| instance(&value));
    let of_all = values(header, "repr-digest").and_then(|value| dictionary(&value));
    let found = md5.into_iter().chain(content).chain(of_old).chain(of_all).flatten();
    found.filter_map(|(algorithm, encoded)| digest(&algorithm, &encoded)).collect()
}

/// All lines of a header are one.
fn values(header: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<&str> = header.get_all(name).iter().map(|value| value.to_str().ok()).collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.join(","))
}

/// `sha-256=:…:, sha-512=:…:`. RFC 8941, section 4.2: of a dictionary that is malformed anywhere, nothing is taken.
fn dictionary(text: &str) -> Option<Vec<(String, String)>> {
    let members = text.split(',').map(|member| {
        let (algorithm, value) = member.trim().split_once('=')?;
        let (encoded, parameters) = value.strip_prefix(':')?.split_once(':')?;
        let is_end = parameters.is_empty() || parameters.starts_with(';');
        is_end.then(|| (algorithm.to_owned(), encoded.to_owned()))
    });
    members.collect()
}

/// `SHA-256=…,MD5=…`: RFC 3230.
fn instance(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.trim().split_once('='));
    pairs.map(|(algorithm, encoded)| (algorithm.to_owned(), encoded.to_owned())).collect()
}

fn digest(algorithm: &str, encoded: &str) -> Option<Digest> {
    let known = ALGORITHMS.into_iter().find(|(name, ..)| name.eq_ignore_ascii_case(algorithm.trim()));
    let (_, algorithm, length) = known?;
    let bytes = STANDARD.decode(encoded.trim()).ok().filter(|bytes| bytes.len() == length)?;
    Some(Digest { algorithm: algorithm.to_owned(), hex: hex(&bytes) })
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const MD5: &str = "kAFQmDzST7DWlj99KOF/cg==";
    const SHA256: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
    const MD5_HEX: &str = "md5:900150983cd24fb0d6963f7d28e17f72";
    const SHA256_HEX: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn found(status: u16, header: &[(&'static str, String)]) -> Vec<String> {
        let mut map = HeaderMap::new();
        for (name, value) in header {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let digests = announced(StatusCode::from_u16(status).unwrap(), &map);
        digests.into_iter().map(|digest| format!("{}:{}", digest.algorithm, digest.hex)).collect()
    }

    /// `printf abc | openssl dgst -md5 -binary | base64` and its like.
    #[test]
    fn each_header_is_read() {
        assert_eq!(found(200, &[("content-md5", MD5.into())]), [MD5_HEX]);
        assert_eq!(found(200, &[("digest", format!("SHA-256={SHA256},md5={MD5},unixsum=1"))]), [SHA256_HEX, MD5_HEX]);
        for name in ["repr-digest", "content-digest"] {
            assert_eq!(
                found(200, &[(name, format!("sha-256=:{SHA256}:;x=1, md5=:{MD5}:, crc32c=:AAAAAA==:"))]),
                [SHA256_HEX, MD5_HEX]
            );
        }
        assert_eq!(
            found(200, &[("repr-digest", format!("md5=:{MD5}:")), ("repr-digest", format!("sha-256=:{SHA256}:"))]),
            [MD5_HEX, SHA256_HEX]
        );
    }

    #[test]
    fn that_of_a_part_is_not_that_of_the_whole() {
        let part = [("content-md5", MD5.into()), ("content-digest", format!("sha-256=:{SHA256}:"))];
        assert_eq!(found(206, &part), Vec::<String>::new());
        assert_eq!(found(206, &[("repr-digest", format!("sha-256=:{SHA256}:"))]), [SHA256_HEX]);
    }

    #[test]
    fn what_is_malformed_is_not_there() {
        let none = Vec::<String>::new();
        assert_eq!(found(200, &[("etag", "\"900150983cd24fb0d6963f7d28e17f72\"".into())]), none);
        for value in ["", "x", "md5", MD5_HEX, "900150983cd24fb0d6963f7d28e17f72", "AAAA"] {
            assert_eq!(found(200, &[("content-md5", value.into())]), none, "{value}");
        }
        for value in [
            format!("sha-256={SHA256}"),
            format!("sha-256=:{SHA256}"),
            format!("sha-256=:{SHA256}:x"),
            format!("sha-256=:{SHA256}:, x"),
            "sha-256=:AAAA:".into(),
            format!("sha-512=:{SHA256}:"),
            "=::".into(),
        ] {
            assert_eq!(found(200, &[("repr-digest", value.clone())]), none, "{value}");
        }
    }
}
