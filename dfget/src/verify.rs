//! Digests: what the user or the source says they are, and what the bytes have.

use std::{fmt, fmt::Write, str::FromStr};

use sha2::Digest as _;

/// A digest that a download must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    algorithm: Algorithm,
    hex: String,
}

/// The algorithms that dfget knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// A checksum, and no more.
    Crc32,
    /// RFC 1321; broken.
    Md5,
    /// FIPS 180-4; broken.
    Sha1,
    /// FIPS 180-4.
    Sha256,
    /// FIPS 180-4.
    Sha512,
    /// <https://github.com/BLAKE3-team/BLAKE3-specs>
    Blake3,
}

const NAMES: [(Algorithm, &str, usize); 6] = [
    (Algorithm::Crc32, "crc32", 8),
    (Algorithm::Md5, "md5", 32),
    (Algorithm::Sha1, "sha1", 40),
    (Algorithm::Sha256, "sha256", 64),
    (Algorithm::Sha512, "sha512", 128),
    (Algorithm::Blake3, "blake3", 64),
];

impl Expected {
    /// Which algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The strongest of those that a source announces, if dfget knows any of them.
    #[must_use]
    pub fn strongest(announced: &[plugin_sdk::Digest]) -> Option<Self> {
        let known = announced.iter().filter_map(|digest| format!("{}:{}", digest.algorithm, digest.hex).parse().ok());
        known.max_by_key(Self::algorithm)
    }

    /// Whether bytes with this digest are the expected ones.
    #[must_use]
    pub fn is(&self, hex: &str) -> bool {
        self.hex == hex
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, hex) = text.split_once(':').ok_or("it is not ALGORITHM:HEX")?;
        let (name, hex) = (name.to_ascii_lowercase().replace('-', ""), hex.to_ascii_lowercase());
        let known = NAMES.into_iter().find(|(_, known, _)| *known == name);
        let (algorithm, _, length) =
            known.ok_or_else(|| format!("`{name}` is not one of {}", NAMES.map(|(_, name, _)| name).join(", ")))?;
        if hex.len() != length || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("a {algorithm} digest has {length} hexadecimal digits"));
        }
        Ok(Self { algorithm, hex })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.into_iter().find(|(algorithm, ..)| algorithm == self).map_or("", |(_, name, _)| name);
        f.write_str(name)
    }
}

/// Computes a digest of bytes that come in order.
pub(crate) enum Digester {
    Crc32(crc32fast::Hasher),
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Blake3(Box<blake3::Hasher>),
}

impl Digester {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
            Algorithm::Md5 => Self::Md5(md5::Md5::new()),
            Algorithm::Sha1 => Self::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
            Algorithm::Blake3 => Self::Blake3(Box::new(blake3::Hasher::new())),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => drop(hasher.update(bytes)),
        }
    }

    /// In lower-case hexadecimal.
    pub(crate) fn finish(self) -> String {
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

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf abc | md5sum` and its like; RFC 3720 has none for CRC-32/ISO-HDLC, `gzip -lv` does.
    const ABC: [&str; 6] = [
        "crc32:352441c2",
        "md5:900150983cd24fb0d6963f7d28e17f72",
        "sha1:a9993e364706816aba3e25717850c26c9cd0d89d",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
    ];

    #[test]
    fn all_algorithms_are_the_real_ones() {
        for text in ABC {
            let expected: Expected = text.parse().unwrap();
            let mut digester = Digester::new(expected.algorithm());
            digester.update(b"a");
            digester.update(b"bc");
            assert_eq!(format!("{}:{}", expected.algorithm(), digester.finish()), text);
            assert_eq!(expected.to_string(), text);
        }
    }

    #[test]
    fn the_usual_spellings_are_understood_and_mistakes_explained() {
        let upper: Expected =
            "SHA-256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD".parse().unwrap();
        assert_eq!(upper.to_string(), ABC[3]);
        let mistake = |text: &str| text.parse::<Expected>().unwrap_err();
        assert_eq!(mistake("900150983cd24fb0d6963f7d28e17f72"), "it is not ALGORITHM:HEX");
        assert_eq!(mistake("md4:00"), "`md4` is not one of crc32, md5, sha1, sha256, sha512, blake3");
        assert_eq!(mistake("md5:00"), "a md5 digest has 32 hexadecimal digits");
    }

    #[test]
    fn the_strongest_announced_digest_is_taken() {
        let announced = [ABC[1], ABC[3], ABC[0], "unknown:00"].map(|text| {
            let (algorithm, hex) = text.split_once(':').unwrap();
            plugin_sdk::Digest { algorithm: algorithm.into(), hex: hex.into() }
        });
        assert_eq!(Expected::strongest(&announced).unwrap().to_string(), ABC[3]);
        assert_eq!(Expected::strongest(&announced[3..]), None);
    }
}
