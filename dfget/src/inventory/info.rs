//! One source in full: `dfget plugin info`.

use std::{fmt, path::PathBuf, time::Duration};

use serde_json::{Value, json};

use super::of_attached;
use crate::{
    error::Error,
    plugin::{
        About, Plugin,
        discover::{Candidate, Presence},
        lock::{self, State as Locked},
        reattach::Attachment,
    },
    registry::{Registry, Source},
    source::{InTree, KnownOption},
};

/// All that is known of one source.
pub struct Info {
    name: String,
    kind: Kind,
}

enum Kind {
    InTree(InTree),
    Plugin(Box<PluginInfo>),
}

struct PluginInfo {
    place: Place,
    about: About,
}

/// Where a plugin is.
enum Place {
    File { path: PathBuf, sha256: String, locked: &'static str },
    Process(Attachment),
}

impl Info {
    /// Asks the source that serves the scheme `name`.
    ///
    /// # Errors
    ///
    /// * [`Error::NoSource`]: there is none
    /// * those of [`Plugin::describe`]
    /// * [`Error::LocalIo`]: its file cannot be read
    pub async fn take(registry: &Registry, name: &str) -> Result<Self, Error> {
        let kind = match registry.find(name)? {
            Source::InTree(in_tree) => Kind::InTree(in_tree),
            Source::Plugin(candidate) => {
                let about = Plugin::describe(&candidate, registry.settings()).await?;
                Kind::Plugin(Box::new(PluginInfo { place: Place::of(candidate, registry)?, about }))
            }
        };
        Ok(Self { name: name.to_owned(), kind })
    }

    /// The same as [`Display`](fmt::Display) has, as one document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let PluginInfo { place, about } = match &self.kind {
            Kind::InTree(source) => {
                let of = |option: &KnownOption| json!({ "name": option.name, "summary": option.summary });
                let options: Vec<Value> = source.known_options().map(of).collect();
                return json!({ "name": self.name, "location": "in-tree", "options": options });
            }
            Kind::Plugin(plugin) => &**plugin,
        };
        let mut json = json!({
            "name": self.name,
            "protocolVersion": about.app_version,
            "features": about.features,
            "attributes": about.attributes,
            "sandbox": about.confined.sandbox,
            "limits": about.confined.limits,
            "startMilliseconds": milliseconds(about.start_time),
        });
        match place {
            Place::File { path, sha256, locked } => {
                json["location"] = json!("out-of-tree");
                (json["path"], json["sha256"], json["locked"]) = (json!(path), json!(sha256), json!(locked));
            }
            Place::Process(attached) => {
                (json["location"], json["attached"]) = (json!("attached"), of_attached(attached));
            }
        }
        json
    }
}

impl Place {
    fn of(candidate: Candidate, registry: &Registry) -> Result<Self, Error> {
        if let Presence::Running(attached) = candidate.presence {
            return Ok(Self::Process(attached));
        }
        let sha256 = lock::fingerprint(&candidate, registry.settings())?;
        let locked = locked(&candidate.name, &sha256, registry);
        Ok(Self::File { path: candidate.path, sha256, locked })
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "name:      {}", self.name)?;
        let PluginInfo { place, about } = match &self.kind {
            Kind::InTree(source) => return write_in_tree(f, source),
            Kind::Plugin(plugin) => &**plugin,
        };
        let features = if about.features.is_empty() { "none".into() } else { about.features.join(", ") };
        match place {
            Place::File { path, sha256, locked } => {
                writeln!(f, "path:      {}", path.display())?;
                writeln!(f, "sha256:    {sha256}")?;
                writeln!(f, "locked:    {locked}")?;
            }
            Place::Process(attached) => writeln!(f, "attached:  to {attached}")?,
        }
        writeln!(f, "protocol:  {}", about.app_version)?;
        writeln!(f, "features:  {features}")?;
        writeln!(f, "sandbox:   {}", about.confined.sandbox)?;
        writeln!(f, "limits:    {}", about.confined.limits)?;
        let done = if let Place::File { .. } = place { "started:  " } else { "answered: " };
        writeln!(f, "{done} in {:.1} ms", milliseconds(about.start_time))?;
        writeln!(f, "attribute:")?;
        about.attributes.iter().try_for_each(|(key, value)| writeln!(f, "  {key}: {value}"))
    }
}

fn write_in_tree(f: &mut fmt::Formatter<'_>, source: &InTree) -> fmt::Result {
    writeln!(f, "location:  in-tree")?;
    let widest = source.known_options().map(|option| option.name.len()).max();
    let Some(width) = widest else { return writeln!(f, "options:   none") };
    writeln!(f, "options:")?;
    source.known_options().try_for_each(|option| writeln!(f, "  {:width$}  {}", option.name, option.summary))
}

/// What the lock file says of it, in a word.
fn locked(name: &str, sha256: &str, registry: &Registry) -> &'static str {
    match registry.settings().lock.find().map(|found| found.map(|(_, lock)| lock.state_of(name, sha256))) {
        Ok(Some(Locked::Locked)) => "yes",
        Ok(Some(Locked::Differs(_))) => "differs",
        Ok(Some(Locked::Unlocked) | None) => "no",
        Err(_) => "unknown",
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
