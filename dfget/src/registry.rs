//! From a scheme to the source that serves it: in-tree, or a plugin that is started when it is first needed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use plugin_sdk::{Options, ResourceClient};
use tokio::sync::Mutex;

use crate::{
    error::Error,
    plugin::{
        Plugin, Settings,
        discover::{Candidate, SearchPath, file_name},
    },
    source::InTree,
};

/// All sources of one run of dfget.
pub struct Registry {
    in_tree: BTreeMap<&'static str, InTree>,
    search: SearchPath,
    settings: Settings,
    /// Held while one is started, so that each is started at most once.
    started: Mutex<HashMap<String, Plugin>>,
}

/// Who serves a scheme.
#[derive(Debug, Clone)]
pub enum Source {
    /// Compiled in.
    InTree(InTree),
    /// A file, not yet started.
    Plugin(Candidate),
}

impl Registry {
    /// `in_tree` are the compiled-in sources, `search` is where plugins are looked for.
    ///
    /// # Panics
    ///
    /// If two in-tree sources serve one scheme: a mistake in the program, not of its user.
    #[must_use]
    pub fn new(in_tree: &[InTree], search: SearchPath, settings: Settings) -> Self {
        let mut schemes = BTreeMap::new();
        for source in in_tree {
            let other = schemes.insert(source.scheme, *source);
            assert!(other.is_none(), "two in-tree sources serve `{}`", source.scheme);
        }
        Self { in_tree: schemes, search, settings, started: Mutex::default() }
    }

    /// The schemes of the in-tree sources, sorted.
    pub fn in_tree(&self) -> impl Iterator<Item = &'static str> {
        self.in_tree.keys().copied()
    }

    /// Where plugins are looked for.
    #[must_use]
    pub fn search_path(&self) -> &SearchPath {
        &self.search
    }

    /// How plugins are started.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Who serves `scheme`, without starting anything. In-tree sources win over plugins, except over one that the
    /// user named for this scheme.
    ///
    /// # Errors
    ///
    /// * [`Error::NoSource`]: nobody does
    pub fn find(&self, scheme: &str) -> Result<Source, Error> {
        let plugin = self.search.find(scheme);
        match (self.in_tree.get(scheme), plugin) {
            (None, None) => Err(Error::NoSource {
                scheme: scheme.to_owned(),
                file_name: file_name(scheme),
                searched: self.search.directories.clone(),
            }),
            (_, Some(plugin)) if self.search.pinned.contains_key(scheme) => {
                tracing::warn!("{scheme}: development plugin {} is used, as --plugin says", plugin.path.display());
                Ok(Source::Plugin(plugin))
            }
            (Some(in_tree), plugin) => {
                if let Some(plugin) = plugin {
                    tracing::warn!("{scheme}: the in-tree source is used, not plugin {}", plugin.path.display());
                }
                Ok(Source::InTree(*in_tree))
            }
            (None, Some(plugin)) => Ok(Source::Plugin(plugin)),
        }
    }

    /// Makes the source ready, with the user's options.
    ///
    /// # Errors
    ///
    /// * those of [`Plugin::start`]
    /// * [`Error::Source`]: an in-tree source refused the options
    pub async fn open(&self, source: &Source, options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
        let plugin = match source {
            Source::InTree(in_tree) => {
                return (in_tree.open)(options).map_err(|error| Error::of_source(in_tree.scheme, error));
            }
            Source::Plugin(plugin) => plugin,
        };
        let mut started = self.started.lock().await;
        if let Some(running) = started.get(&plugin.name) {
            return Ok(running.client());
        }
        let running = Plugin::start(plugin, options, &self.settings).await?;
        let client = running.client();
        started.insert(plugin.name.clone(), running);
        Ok(client)
    }

    /// Stops all plugins, at once. They are gone when this returns.
    pub async fn stop(&self) {
        let plugins = std::mem::take(&mut *self.started.lock().await);
        futures_util::future::join_all(plugins.values().map(Plugin::stop)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::IN_TREE;

    #[test]
    #[should_panic(expected = "two in-tree sources serve `dfs`")]
    fn two_in_tree_sources_for_one_scheme_are_refused() {
        let twice = [IN_TREE[0], IN_TREE[0]];
        let _ = Registry::new(&twice, SearchPath::default(), Settings::default());
    }
}
