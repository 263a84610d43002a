//! In-tree sources: compiled in, behind the same trait as plugins.
//!
//! A new one is a file in `source/` and a line in [`IN_TREE`]; `dfs` is the one to copy.
//!
//! * `option`: what a source can be told
//! * `network`: how one reaches its servers: proxies, certificates, time limits

mod dfs;
mod http;
mod network;
#[cfg(feature = "object-stores")]
mod object;
mod option;

use std::sync::Arc;

use plugin_sdk::{Error, Options, ResourceClient};

pub use self::option::KnownOption;

/// A scheme and how to make the source that serves it.
#[derive(Debug, Clone, Copy)]
pub struct InTree {
    /// What comes before `://`.
    pub scheme: &'static str,
    /// Called at most once a process, with the user's options.
    pub open: fn(&Options) -> Result<Arc<dyn ResourceClient>, Error>,
    /// Each option it takes; it refuses all others.
    pub options: &'static [&'static [KnownOption]],
}

impl InTree {
    /// Each option it takes.
    pub fn known_options(&self) -> impl Iterator<Item = &'static KnownOption> {
        self.options.iter().copied().flatten()
    }

    /// Makes the source.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidRequest`]: there is no such option, or its value makes no sense
    pub fn open(&self, options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
        option::check(self, options)?;
        (self.open)(options)
    }
}

/// All in-tree sources of dfget.
pub const IN_TREE: &[InTree] = &[
    InTree { scheme: "dfs", open: dfs::open, options: &[] },
    InTree { scheme: "http", open: http::open, options: &[network::OPTIONS] },
    InTree { scheme: "https", open: http::open, options: &[network::OPTIONS] },
    #[cfg(feature = "s3")]
    InTree {
        scheme: "s3",
        open: object::s3::open,
        options: &[object::OPTIONS, object::REGIONAL, object::s3::OPTIONS, network::OPTIONS],
    },
];
