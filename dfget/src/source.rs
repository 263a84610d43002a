//! In-tree sources: compiled in, behind the same trait as plugins.
//!
//! A new one is a file in `source/` and a line in [`IN_TREE`]; `dfs` is the one to copy.

mod dfs;
mod http;

use std::sync::Arc;

use plugin_sdk::{Error, Options, ResourceClient};

/// A scheme and how to make the source that serves it.
#[derive(Debug, Clone, Copy)]
pub struct InTree {
    /// What comes before `://`.
    pub scheme: &'static str,
    /// Called at most once a process, with the user's options.
    pub open: fn(&Options) -> Result<Arc<dyn ResourceClient>, Error>,
}

/// All in-tree sources of dfget.
pub const IN_TREE: &[InTree] = &[
    InTree { scheme: "dfs", open: dfs::open },
    InTree { scheme: "http", open: http::open },
    InTree { scheme: "https", open: http::open },
];
