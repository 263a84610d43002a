//! The sha256 of what is expected and of what is there.

use std::{fmt, fs::File, io::Read, path::Path};

use faultplug::Content;
use sha2::{Digest as _, Sha256};

/// Bytes hashed at a time.
const BLOCK: u64 = 1024 * 1024;

/// A sha256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    pub(crate) fn of_content(content: Content) -> Self {
        let mut sha256 = Sha256::new();
        for start in (0..content.size).step_by(BLOCK as usize) {
            sha256.update(content.bytes(start..(start + BLOCK).min(content.size)));
        }
        Self(sha256.finalize().into())
    }

    /// `None` where there is no regular file.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        let mut file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()))?;
        let (mut sha256, mut block) = (Sha256::new(), vec![0; BLOCK as usize]);
        loop {
            match file.read(&mut block).expect("the file is readable") {
                0 => return Some(Self(sha256.finalize().into())),
                read => sha256.update(&block[..read]),
            }
        }
    }
}

/// As `--digest` takes it.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a download is to deliver. Hashed only where there is something to compare it with: it may be larger than a disk.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    Content(Content),
    Digest(Digest),
}

impl Expected {
    pub(super) fn is(self, found: Digest) -> bool {
        match self {
            Self::Content(content) => Digest::of_content(content) == found,
            Self::Digest(digest) => digest == found,
        }
    }
}
