//! Of which level lines of plugins are logged.

use std::collections::BTreeMap;

use tracing::level_filters::LevelFilter;

/// For all plugins, and for single ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verbosity {
    /// Where `by_scheme` says nothing.
    pub all: LevelFilter,
    /// Of the plugin for this scheme, in lower case as URLs have it.
    pub by_scheme: BTreeMap<String, LevelFilter>,
}

impl Default for Verbosity {
    /// Everything is handed to the program's subscriber.
    fn default() -> Self {
        Self { all: LevelFilter::TRACE, by_scheme: BTreeMap::new() }
    }
}

impl Verbosity {
    pub(super) fn of(&self, scheme: &str) -> LevelFilter {
        self.by_scheme.get(scheme).copied().unwrap_or(self.all)
    }

    /// The lowest level of which anything is logged.
    #[must_use]
    pub fn deepest(&self) -> LevelFilter {
        self.by_scheme.values().copied().fold(self.all, LevelFilter::max)
    }
}
