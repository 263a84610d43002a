//! Digests that a storage announces, computed.

use plugin_proto::resource::Digest;
use sha2::Digest as _;

/// Computes one digest of bytes that come in order.
pub(super) enum Digester {
    Crc32(crc32fast::Hasher),
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Blake3(Box<blake3::Hasher>),
}

impl Digester {
    /// `None` for an algorithm that PROTOCOL.md does not name.
    pub(super) fn new(algorithm: &str) -> Option<Self> {
        Some(match algorithm {
            "crc32" => Self::Crc32(crc32fast::Hasher::new()),
            "md5" => Self::Md5(md5::Md5::new()),
            "sha1" => Self::Sha1(sha1::Sha1::new()),
            "sha256" => Self::Sha256(sha2::Sha256::new()),
            "sha512" => Self::Sha512(sha2::Sha512::new()),
            "blake3" => Self::Blake3(Box::new(blake3::Hasher::new())),
            _ => return None,
        })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => _ = hasher.update(bytes),
        }
    }

    pub(super) fn hex(self) -> String {
        match self {
            Self::Crc32(hasher) => hex(&hasher.finalize().to_be_bytes()),
            Self::Md5(hasher) => hex(&hasher.finalize()),
            Self::Sha1(hasher) => hex(&hasher.finalize()),
            Self::Sha256(hasher) => hex(&hasher.finalize()),
            Self::Sha512(hasher) => hex(&hasher.finalize()),
            Self::Blake3(hasher) => hex(hasher.finalize().as_bytes()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Digests that were announced, beside those of the bytes that came.
pub(super) struct Announced(Vec<(Digest, Option<Digester>)>);

impl Announced {
    pub(super) fn new(digests: impl IntoIterator<Item = Digest>) -> Self {
        let with_digester = |digest: Digest| {
            let digester = Digester::new(&digest.algorithm);
            (digest, digester)
        };
        Self(digests.into_iter().map(with_digester).collect())
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.iter_mut().filter_map(|(_, digester)| digester.as_mut()).for_each(|digester| digester.update(bytes));
    }

    /// The first one that is another. Algorithms that nobody knows are passed over, as a host does.
    pub(super) fn check(self) -> Result<(), String> {
        for (Digest { algorithm, hex }, digester) in self.0 {
            let computed = digester.map(Digester::hex).unwrap_or_else(|| hex.clone());
            if computed.len() != hex.len() || hex.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                let digits = computed.len();
                return Err(format!("`{hex}` is no {algorithm}: that has {digits} lower-case hexadecimal digits"));
            }
            if computed != hex {
                return Err(format!("{algorithm} {hex} is announced, and what is served has {computed}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(algorithm: &str, hex: &str) -> Result<(), String> {
        let digest = Digest { algorithm: algorithm.into(), hex: hex.into() };
        let mut announced = Announced::new([digest]);
        announced.update(b"hello ");
        announced.update(b"world");
        announced.check()
    }

    #[test]
    fn a_digest_is_that_of_the_bytes_in_its_form() {
        for (algorithm, hex) in [
            ("crc32", "0d4a1185"),
            ("md5", "5eb63bbbe01eeed093cb22bb8f5acdc3"),
            ("sha1", "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed"),
            ("sha256", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"),
            ("whirlpool", "00"),
        ] {
            assert_eq!(check(algorithm, hex), Ok(()), "{algorithm}");
        }
        for hex in ["0d4a1186", "0D4A1185", "0x0d4a1185", "0d4a", ""] {
            assert!(check("crc32", hex).is_err(), "{hex}");
        }
    }
}
