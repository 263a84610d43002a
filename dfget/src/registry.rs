//! From a scheme to the source that serves it: in-tree, or a plugin that is started when it is first needed. Either can
//! be the same source: one that is in-tree is started as a plugin if the user wants it isolated.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError},
};

use plugin_sdk::{Options, ResourceClient};
use tokio::sync::Mutex;

use crate::{
    error::Error,
    plugin::{
        Plugin, Settings,
        discover::{Candidate, Presence, SearchPath, file_name},
        reattach,
    },
    source::InTree,
};

/// All sources of one run of dfget.
pub struct Registry {
    in_tree: BTreeMap<&'static str, InTree>,
    search: SearchPath,
    settings: Settings,
    options: SourceOptions,
    /// Of each scheme that was asked for: what is installed meanwhile is for the next run.
    found: std::sync::Mutex<HashMap<String, Source>>,
    /// Held while one is started, so that each is started at most once.
    started: Mutex<HashMap<String, Plugin>>,
    opened: Mutex<HashMap<&'static str, Arc<dyn ResourceClient>>>,
}

/// What sources are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceOptions {
    /// Each source of the run, whatever `by_scheme` says.
    pub all: Options,
    /// The source of this scheme alone, in lower case as URLs have it.
    pub by_scheme: BTreeMap<String, Options>,
    /// Each in-tree source that knows them: the command line's own options, such as `--proxy`.
    pub offered: Options,
    /// As `offered`, whatever the others say: they are set nearer.
    pub insisted: Options,
    /// Those options of a source that were typed here and now, each with its flag: nobody ignores one unawares.
    pub typed: BTreeMap<&'static str, &'static str>,
}

impl SourceOptions {
    /// All that the source of `scheme` is told.
    #[must_use]
    pub fn for_scheme(&self, scheme: &str) -> Options {
        let mut options = self.by_scheme.get(scheme).cloned().unwrap_or_default();
        options.extend(self.all.clone());
        options
    }

    /// All that this in-tree source is told.
    #[must_use]
    pub fn for_in_tree(&self, source: &InTree) -> Options {
        let known = |(name, _): &(&String, &String)| source.known_options().any(|option| option.name == **name);
        let of = |flags: &Options| -> Options {
            flags.iter().filter(known).map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let mut options = of(&self.offered);
        options.extend(self.for_scheme(source.scheme));
        options.extend(of(&self.insisted));
        options
    }

    /// The flags that are typed in vain for a source, or for a plugin.
    fn in_vain(&self, source: Option<&InTree>) -> Option<String> {
        let known = |name: &str| source.is_some_and(|source| source.known_options().any(|option| option.name == name));
        let vain = self.typed.iter().filter(|(name, _)| !known(name)).map(|(_, flag)| format!("--{flag}"));
        Some(vain.collect::<Vec<_>>().join(", ")).filter(|flags| !flags.is_empty())
    }

    /// Each option of any source that is no flag.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.by_scheme.values().flatten().chain(&self.all)
    }

    /// Each option that is a flag of the command line.
    pub fn flags(&self) -> impl Iterator<Item = (&String, &String)> {
        self.offered.iter().chain(&self.insisted)
    }
}

/// Who serves a scheme.
#[derive(Debug, Clone)]
pub enum Source {
    /// Compiled in.
    InTree(InTree),
    /// A file, not yet started; or one that runs already.
    Plugin(Candidate),
}

impl Registry {
    /// `in_tree` are the compiled-in sources, `search` is where plugins are looked for, `options` what sources are told.
    ///
    /// # Panics
    ///
    /// If two in-tree sources serve one scheme: a mistake in the program, not of its user.
    #[must_use]
    pub fn new(in_tree: &[InTree], search: SearchPath, settings: Settings, options: SourceOptions) -> Self {
        let mut schemes = BTreeMap::new();
        for source in in_tree {
            let other = schemes.insert(source.scheme, *source);
            assert!(other.is_none(), "two in-tree sources serve `{}`", source.scheme);
        }
        let (found, started, opened) = Default::default();
        Self { in_tree: schemes, search, settings, options, found, started, opened }
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

    /// What the source of `scheme` is told.
    #[must_use]
    pub fn options(&self, scheme: &str) -> Options {
        self.options.for_scheme(scheme)
    }

    /// Who serves `scheme`, without starting anything. In-tree sources win over plugins, except over one that the
    /// user named for this scheme.
    ///
    /// # Errors
    ///
    /// * [`Error::NoSource`]: nobody does
    pub fn find(&self, scheme: &str) -> Result<Source, Error> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = found.get(scheme) {
            return Ok(source.clone());
        }
        let source = self.look_for(scheme)?;
        found.insert(scheme.to_owned(), source.clone());
        Ok(source)
    }

    fn look_for(&self, scheme: &str) -> Result<Source, Error> {
        let plugin = self.search.find(scheme);
        match (self.in_tree.get(scheme), plugin) {
            (None, None) => Err(Error::NoSource {
                scheme: scheme.to_owned(),
                file_name: file_name(scheme),
                searched: self.search.directories.clone(),
            }),
            (_, Some(plugin)) if self.search.is_named(scheme) => Ok(Source::Plugin(plugin)),
            (Some(in_tree), _) => Ok(Source::InTree(*in_tree)),
            (None, Some(plugin)) => Ok(Source::Plugin(plugin)),
        }
    }

    /// Makes the source ready, with the user's options. Each is made ready once.
    ///
    /// # Errors
    ///
    /// * those of [`Plugin::start`]
    /// * [`Error::Source`]: an in-tree source refused the options
    pub async fn open(&self, source: &Source) -> Result<Arc<dyn ResourceClient>, Error> {
        match source {
            Source::InTree(in_tree) => self.open_in_tree(in_tree).await,
            Source::Plugin(plugin) => self.start(plugin).await,
        }
    }

    async fn open_in_tree(&self, source: &InTree) -> Result<Arc<dyn ResourceClient>, Error> {
        let mut opened = self.opened.lock().await;
        if let Some(client) = opened.get(source.scheme) {
            return Ok(Arc::clone(client));
        }
        if let Some(plugin) = self.search.find(source.scheme) {
            let (scheme, path) = (source.scheme, plugin.path.display());
            tracing::warn!(
                "{scheme}: the in-tree source is used, not plugin {path}; --plugin {scheme}={path} uses that"
            );
        }
        if let Some(flags) = self.options.in_vain(Some(source)) {
            tracing::warn!("{}: the source does not take {flags}", source.scheme);
        }
        let client = self.make(source).await?;
        opened.insert(source.scheme, Arc::clone(&client));
        Ok(client)
    }

    /// Here, or in a process of its own.
    async fn make(&self, source: &InTree) -> Result<Arc<dyn ResourceClient>, Error> {
        let options = self.options.for_in_tree(source);
        if !self.settings.isolates(source.scheme) {
            return source.open(&options).map_err(|error| Error::of_source(source.scheme, error));
        }
        let running = Plugin::start(&Candidate::in_tree(source.scheme), &options, &self.settings.of_in_tree()).await?;
        let client = running.client();
        self.started.lock().await.insert(source.scheme.to_owned(), running);
        Ok(client)
    }

    async fn start(&self, plugin: &Candidate) -> Result<Arc<dyn ResourceClient>, Error> {
        let mut started = self.started.lock().await;
        if let Some(running) = started.get(&plugin.name) {
            return Ok(running.client());
        }
        tell_of_development(plugin, &self.search);
        if let Some(flags) = self.options.in_vain(None) {
            tracing::warn!("{}: a plugin is not told of {flags}; what it takes goes by --opt", plugin.name);
        }
        let running = Plugin::start(plugin, &self.options.for_scheme(&plugin.name), &self.settings).await?;
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

/// What is for development is used by nobody unawares.
fn tell_of_development(plugin: &Candidate, search: &SearchPath) {
    let Candidate { name, path, presence, .. } = plugin;
    match presence {
        Presence::Running(attached) => {
            tracing::warn!("{name}: the plugin that runs as {attached} is used, as {} says", reattach::VARIABLE);
        }
        Presence::File if search.pinned.contains_key(name) => {
            tracing::warn!("{name}: development plugin {} is used, as --plugin says", path.display());
        }
        Presence::File | Presence::InTree => {}
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
        let _ = Registry::new(&twice, SearchPath::default(), Settings::default(), SourceOptions::default());
    }

    #[test]
    fn options_for_all_override_those_of_a_scheme() {
        let options = |pairs: &[(&str, &str)]| -> Options {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let oss = options(&[("region", "a"), ("endpoint", "b")]);
        let told = SourceOptions {
            all: options(&[("region", "c")]),
            by_scheme: [("oss".to_owned(), oss)].into(),
            ..SourceOptions::default()
        };
        assert_eq!(told.for_scheme("oss"), options(&[("region", "c"), ("endpoint", "b")]));
        assert_eq!(told.for_scheme("share"), options(&[("region", "c")]));
    }
}
