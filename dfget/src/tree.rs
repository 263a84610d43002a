//! Trees: what is beneath a URL, level by level, with names that can only lead beneath the output.

mod filter;
mod path;
mod pending;
mod walk;

use plugin_sdk::{Bytes, Metadata};

pub(crate) use self::walk::Walk;
pub use self::{
    filter::Filter,
    path::{SafeRelativePath, is_own},
};
use crate::{error::Error, url::ResourceUrl};

/// What of a tree is wanted.
#[derive(Debug, Clone, Default)]
pub struct TreeOptions {
    /// All levels, not the first one only.
    pub recursive: bool,
    /// The first so many levels only.
    pub level: Option<u32>,
    /// Stop after so many files.
    pub max_files: Option<u64>,
    /// Which files.
    pub filter: Filter,
}

/// Something beneath a URL.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file that is wanted.
    File(Leaf),
    /// A directory; what is in it follows, unless it is too deep.
    Directory(Leaf),
    /// A name that is refused, or a directory that cannot be listed. The rest goes on.
    Failed {
        /// What was looked at, printable.
        subject: String,
        /// Why.
        error: Error,
    },
}

/// Where something beneath a URL is, and what the listing says of it.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) url: ResourceUrl,
    pub(crate) path: SafeRelativePath,
    pub(crate) metadata: Metadata,
    /// All of its bytes, if they came along.
    pub(crate) content: Option<Bytes>,
}
