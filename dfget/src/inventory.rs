//! All sources, in-tree and out-of-tree, with what each plugin says of itself: `dfget plugin`.

mod info;
mod locking;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

pub use self::{info::Info, locking::Locking};
use crate::{
    error::Error,
    plugin::{
        About, Plugin,
        discover::{Candidate, Presence},
        reattach::Attachment,
    },
    registry::Registry,
};

/// Plugins that are asked at the same time.
const AT_ONCE: usize = 16;

/// Everything `dfget plugin` lists.
pub struct Inventory {
    in_tree: Vec<&'static str>,
    /// By directory, in search order; those that the user has named first, under none.
    found: Vec<(Option<PathBuf>, Vec<Found>)>,
}

/// A plugin's file, and what came of asking it.
pub struct Found {
    candidate: Candidate,
    state: State,
}

enum State {
    Good(About),
    Broken(Error),
    /// Never used, so not asked: who is used instead.
    Shadowed(&'static str),
}

impl Inventory {
    /// Finds all plugins and asks each what it is.
    pub async fn take(registry: &Registry) -> Self {
        let mut found = Vec::new();
        for (directory, candidates) in registry.search_path().all() {
            found.extend(candidates.into_iter().map(|candidate| (directory.map(Path::to_owned), candidate)));
        }
        let asked = stream::iter(found).map(async |(directory, candidate)| {
            let state = state_of(&candidate, registry).await;
            (directory, Found { candidate, state })
        });
        let asked: Vec<(Option<PathBuf>, Found)> = asked.buffered(AT_ONCE).collect().await;
        let mut by_directory: Vec<(Option<PathBuf>, Vec<Found>)> = vec![(None, Vec::new())];
        let directories = registry.search_path().directories.iter();
        by_directory.extend(directories.map(|directory| (Some(directory.clone()), Vec::new())));
        for (directory, plugin) in asked {
            let group = by_directory.iter_mut().find(|(other, _)| *other == directory);
            group.expect("it was found in one of them").1.push(plugin);
        }
        Self { in_tree: registry.in_tree().collect(), found: by_directory }
    }

    /// Those that do not work, a line each.
    pub fn broken(&self) -> impl Iterator<Item = String> {
        self.plugins().filter_map(|plugin| match &plugin.state {
            State::Broken(error) => Some(broken_line(&plugin.candidate.path, error)),
            _ => None,
        })
    }

    fn plugins(&self) -> impl Iterator<Item = &Found> {
        self.found.iter().flat_map(|(_, plugins)| plugins)
    }

    /// The same as [`Display`](fmt::Display) has, and the broken ones too, as one document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let searched: Vec<_> = self.found.iter().filter_map(|(directory, _)| directory.as_ref()).collect();
        let plugins: Vec<Value> = self.plugins().map(Found::to_json).collect();
        json!({ "inTree": self.in_tree, "searched": searched, "plugins": plugins })
    }
}

async fn state_of(candidate: &Candidate, registry: &Registry) -> State {
    if let Some(by) = shadow_of(candidate, registry) {
        return State::Shadowed(by);
    }
    match Plugin::describe(candidate, registry.settings()).await {
        Ok(about) => State::Good(about),
        Err(error) => State::Broken(error),
    }
}

/// Who is used instead.
fn shadow_of(candidate: &Candidate, registry: &Registry) -> Option<&'static str> {
    if candidate.shadowed && registry.search_path().attached.contains_key(&candidate.name) {
        return Some("one that runs already");
    }
    if candidate.shadowed {
        return Some("a plugin of the same name in an earlier directory");
    }
    let is_in_tree =
        !registry.search_path().is_named(&candidate.name) && registry.in_tree().any(|scheme| scheme == candidate.name);
    is_in_tree.then_some("the in-tree source")
}

fn broken_line(path: &Path, error: &Error) -> String {
    let details: Vec<String> = error.details().iter().map(|line| line.trim().to_owned()).collect();
    let details = if details.is_empty() { String::new() } else { format!("; {}", details.join(" ")) };
    let (path, fact) = (path.display().to_string(), chain(error));
    // Some errors name the file themselves, others the plugin only.
    if fact.contains(&path) { format!("{fact}{details}") } else { format!("{path}: {fact}{details}") }
}

fn chain(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Found {
    fn to_json(&self) -> Value {
        let Candidate { name, path, presence, .. } = &self.candidate;
        let mut json = match presence {
            Presence::Running(attached) => {
                json!({ "name": name, "location": "attached", "attached": of_attached(attached) })
            }
            _ => json!({ "name": name, "location": self.candidate.title(), "path": path }),
        };
        match &self.state {
            State::Good(about) => json["attributes"] = json!(about.attributes),
            State::Broken(error) => {
                let (message, details) = (chain(error), error.details());
                json["error"] = json!({ "message": message, "details": details, "exitCode": error.exit_code() });
            }
            State::Shadowed(by) => json["shadowedBy"] = json!(by),
        }
        json
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for scheme in &self.in_tree {
            writeln!(f, "source plugin: {scheme}, location: in-tree")?;
        }
        for (directory, plugins) in &self.found {
            if let Some(directory) = directory {
                writeln!(f, "search plugin in {}", directory.display())?;
            }
            plugins.iter().try_for_each(|plugin| write_plugin(f, plugin))?;
        }
        match self.plugins().next() {
            Some(_) => Ok(()),
            None => writeln!(f, "no out of tree plugin found"),
        }
    }
}

fn write_plugin(f: &mut fmt::Formatter<'_>, plugin: &Found) -> fmt::Result {
    let name = &plugin.candidate.name;
    let location = match &plugin.candidate.presence {
        Presence::Running(attached) => format!("attached to {attached}"),
        _ => plugin.candidate.title(),
    };
    match &plugin.state {
        State::Good(about) => {
            writeln!(f, "resource plugin {name}, location: {location}, attribute: {}", json!(about.attributes))
        }
        State::Shadowed(by) => writeln!(f, "resource plugin {name}, location: {location}, shadowed by {by}"),
        // On stderr, by `broken`.
        State::Broken(_) => Ok(()),
    }
}

fn of_attached(attached: &Attachment) -> Value {
    json!({ "pid": attached.pid, "address": attached.place() })
}
