//! What a plugin says of itself, and what the user says to it.

use std::collections::BTreeMap;

use plugin_proto::PLUGIN_TYPE;

/// What the user set for this source: `--opt key=value`. The host does not interpret them.
pub type Options = BTreeMap<String, String>;

/// What a source says of itself: `type`, `name` and `scheme`, which the host checks, and what the author adds.
///
/// They are what `dfget plugin` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    schemes: Vec<String>,
    own: BTreeMap<String, String>,
}

impl Attributes {
    /// Of the plugin `d7y-resource-plugin-<scheme>`, which serves `<scheme>://`.
    #[must_use]
    pub fn of_scheme(scheme: &str) -> Self {
        Self::of_schemes(&[scheme])
    }

    /// Of a plugin that is installed under several names, such as by links, and serves `<scheme>://` under each.
    /// [`Request::url`](crate::Request::url) tells them apart.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn of_schemes(schemes: &[&str]) -> Self {
        assert!(!schemes.is_empty(), "a plugin serves at least one scheme");
        let own = BTreeMap::from([("type".to_owned(), PLUGIN_TYPE.to_owned())]);
        Self { schemes: schemes.iter().map(|&scheme| scheme.to_owned()).collect(), own }
    }

    /// Adds or replaces one attribute, such as `vendor`, `buildCommit` or `buildTime`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.own.insert(key.to_owned(), value.to_owned());
        self
    }

    /// What it serves.
    pub(crate) fn schemes(&self) -> impl Iterator<Item = &str> {
        self.schemes.iter().map(String::as_str)
    }

    /// All of them, sorted by key, as an answer to a host that wants `scheme`. If that is not served, it is for the host
    /// to say so: the answer is then that of the first one.
    #[must_use]
    pub fn for_scheme(&self, scheme: &str) -> BTreeMap<String, String> {
        let served = self.schemes.iter().find(|served| *served == scheme).unwrap_or(&self.schemes[0]);
        let mut all = self.own.clone();
        for key in ["name", "scheme"] {
            all.entry(key.to_owned()).or_insert_with(|| served.clone());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_what_its_host_calls_it_if_it_can_be() {
        let attributes = Attributes::of_schemes(&["a", "b"]).with("vendor", "me");
        let answer = |scheme| {
            let all = attributes.for_scheme(scheme);
            format!("{} {} {} {}", all["type"], all["name"], all["scheme"], all["vendor"])
        };
        assert_eq!(answer("b"), "resource b b me");
        assert_eq!(answer("c"), "resource a a me");
    }
}
