//! In-tree sources: compiled in, behind the same trait as plugins.
//!
//! A new one is a file in `source/` and a line in [`IN_TREE`]; `dfs` is the one to copy.
//!
//! * `option`: what a source can be told
//! * `network`: how one reaches its servers: proxies, certificates, time limits

mod dfs;
#[cfg(feature = "file")]
mod file;
mod http;
mod network;
#[cfg(feature = "object-stores")]
#[cfg_attr(
    not(all(
        feature = "azblob",
        feature = "cos",
        feature = "gs",
        feature = "hdfs",
        feature = "obs",
        feature = "oss",
        feature = "s3"
    )),
    allow(dead_code, reason = "no store needs all that the stores need together")
)]
mod object;
mod option;

use std::{process::ExitCode, sync::Arc};

use plugin_sdk::{Attributes, Error, Options, ResourceClient};

#[cfg(any(fuzzing, test))]
pub(crate) use self::http::fuzzing as http_fuzzing;
pub use self::option::KnownOption;

const VERSION: &str = env!("CARGO_PKG_VERSION");

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
    /// The one for `scheme`, if it is compiled in.
    #[must_use]
    pub fn of(scheme: &str) -> Option<&'static Self> {
        IN_TREE.iter().find(|source| source.scheme == scheme)
    }

    /// Serves it as a plugin: all of this process, from here on.
    pub fn serve(&'static self) -> ExitCode {
        let attributes = Attributes::of_scheme(self.scheme).with("vendor", "d7y").with("version", VERSION);
        plugin_sdk::serve_on_one_thread(attributes, |options| self.open(&options))
    }

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

/// All in-tree sources of dfget, in any order.
pub const IN_TREE: &[InTree] = &[
    InTree { scheme: "dfs", open: dfs::open, options: &[] },
    InTree { scheme: "http", open: http::open, options: &[http::OPTIONS, network::OPTIONS] },
    InTree { scheme: "https", open: http::open, options: &[http::OPTIONS, network::OPTIONS] },
    #[cfg(feature = "azblob")]
    InTree { scheme: "abs", open: object::azblob::open, options: object::azblob::OPTIONS },
    #[cfg(feature = "azblob")]
    InTree { scheme: "azblob", open: object::azblob::open, options: object::azblob::OPTIONS },
    #[cfg(feature = "cos")]
    InTree { scheme: "cos", open: object::cos::open, options: object::cos::OPTIONS },
    #[cfg(feature = "file")]
    InTree { scheme: "file", open: file::open, options: &[] },
    #[cfg(feature = "gs")]
    InTree { scheme: "gs", open: object::gs::open, options: object::gs::OPTIONS },
    #[cfg(feature = "hdfs")]
    InTree { scheme: "hdfs", open: object::hdfs::open, options: object::hdfs::OPTIONS },
    #[cfg(feature = "obs")]
    InTree { scheme: "obs", open: object::obs::open, options: object::obs::OPTIONS },
    #[cfg(feature = "oss")]
    InTree { scheme: "oss", open: object::oss::open, options: object::oss::OPTIONS },
    #[cfg(feature = "s3")]
    InTree { scheme: "s3", open: object::s3::open, options: object::s3::OPTIONS },
];
