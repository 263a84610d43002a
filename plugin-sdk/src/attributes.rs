//! What a plugin says of itself, and what the user says to it.

use std::collections::BTreeMap;

use plugin_proto::PLUGIN_TYPE;

/// What the user set for this source: `--opt key=value`. The host does not interpret them.
pub type Options = BTreeMap<String, String>;

/// What a source says of itself: `type`, `name` and `scheme`, which the host checks, and what the author adds.
///
/// They are what `dfget plugin` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// Of the plugin `d7y-resource-plugin-<scheme>`, which serves `<scheme>://`.
    #[must_use]
    pub fn of_scheme(scheme: &str) -> Self {
        let required = [("type", PLUGIN_TYPE), ("name", scheme), ("scheme", scheme)];
        Self(required.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// Adds or replaces one attribute, such as `vendor`, `buildCommit` or `buildTime`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.0.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The scheme that the source serves.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.get("scheme").map_or("", String::as_str)
    }

    /// All of them, sorted by key.
    #[must_use]
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}
