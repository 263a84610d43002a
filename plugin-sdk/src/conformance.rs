//! The conformance suite: whether a plugin, in whatever language, keeps to PROTOCOL.md.
//!
//! A small host of its own, which forgives less than dfget does: it starts the plugin several times, talks to it, and
//! judges each of [`RULES`]. Every wait has a deadline, so a plugin that hangs breaks a rule and never the suite.
//! `dfget plugin validate` is this suite on the command line.
//!
//! In the tests of a plugin that is written in Rust:
//!
//! ```no_run
//! use plugin_sdk::conformance::{self, Suite};
//!
//! let plugin = "target/debug/d7y-resource-plugin-motd"; // env!("CARGO_BIN_EXE_d7y-resource-plugin-motd")
//! conformance::check(&Suite::new(plugin).url("motd://today").missing("motd://nowhere"));
//! ```
//!
//! * `rules`: the rules, as data
//! * `report`: what came of them
//! * `process`, `capture`: a process of the plugin, and what it writes
//! * `handshake`, `session`: from its first line to a connection, and the calls on it
//! * `init`, `metadata`, `download`, `ranges`, `list`, `logs`, `lifecycle`, `tls`: the judges, by the groups of rules
//! * `stream`, `digest`: a body, read as strictly as it can be

mod capture;
mod digest;
mod download;
mod handshake;
mod init;
mod lifecycle;
mod list;
mod logs;
mod metadata;
mod process;
mod ranges;
mod report;
mod rules;
mod session;
mod stream;
mod tls;

use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use plugin_proto::FILE_NAME_PREFIX;

use self::{report::Findings, session::Session};
pub use self::{
    report::{Outcome, Report, Verdict},
    rules::{Level, RULES, Rule},
};
use crate::Options;

/// What is told of a rule that needs a host with a sandbox.
const NO_SANDBOX: &str = "`dfget plugin validate` looks at it";

/// A plugin, and what is known of its resources.
#[derive(Debug, Clone)]
pub struct Suite {
    plugin: PathBuf,
    scheme: Option<String>,
    url: Option<String>,
    missing: Option<String>,
    empty: Option<String>,
    directory: Option<String>,
    options: Options,
    inherit: Vec<String>,
    limits: Limits,
    strict: bool,
}

/// How long a plugin may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// From its start to the handshake line, and to the answer to `Init`.
    pub start: Duration,
    /// For the answer to a call, and between two messages of a download or a listing.
    pub answer: Duration,
    /// For a whole download or listing, however much comes.
    pub whole: Duration,
    /// From the moment it is asked to end, or to cancel, to the end.
    pub end: Duration,
}

impl Default for Limits {
    /// Those of PROTOCOL.md, "Limits".
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { start: seconds(10), answer: seconds(30), whole: seconds(300), end: seconds(1) }
    }
}

impl Limits {
    /// Those of PROTOCOL.md times `patience`: for a machine that is slow or busy.
    ///
    /// # Panics
    ///
    /// If it is negative or not finite.
    #[must_use]
    pub fn times(patience: f64) -> Self {
        let Self { start, answer, whole, end } = Self::default();
        let times = |limit: Duration| limit.mul_f64(patience);
        Self { start: times(start), answer: times(answer), whole: times(whole), end: times(end) }
    }
}

impl Suite {
    /// Of the executable at `plugin`. Its name says which scheme it serves, or else the URL does.
    pub fn new(plugin: impl Into<PathBuf>) -> Self {
        Self {
            plugin: plugin.into(),
            scheme: None,
            url: None,
            missing: None,
            empty: None,
            directory: None,
            options: Options::new(),
            inherit: Vec::new(),
            limits: Limits::default(),
            strict: false,
        }
    }

    /// A resource that exists and can be downloaded, best of some MiB. Without one most rules are skipped.
    #[must_use]
    pub fn url(self, url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..self }
    }

    /// A resource that does not exist.
    #[must_use]
    pub fn missing(self, url: impl Into<String>) -> Self {
        Self { missing: Some(url.into()), ..self }
    }

    /// A resource of no bytes.
    #[must_use]
    pub fn empty(self, url: impl Into<String>) -> Self {
        Self { empty: Some(url.into()), ..self }
    }

    /// A resource that is a directory.
    #[must_use]
    pub fn directory(self, url: impl Into<String>) -> Self {
        Self { directory: Some(url.into()), ..self }
    }

    /// An option of the plugin. Its value is a secret: it is shown nowhere.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(key.into(), value.into());
        self
    }

    /// The scheme, where neither the name of the file nor the URL says it.
    #[must_use]
    pub fn scheme(self, scheme: impl Into<String>) -> Self {
        Self { scheme: Some(scheme.into()), ..self }
    }

    /// A further environment variable that the plugin inherits.
    #[must_use]
    pub fn inherit(mut self, name: impl Into<String>) -> Self {
        self.inherit.push(name.into());
        self
    }

    /// How long the plugin may take, where that is not what PROTOCOL.md says.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What a plugin SHOULD do it must.
    #[must_use]
    pub fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// Starts the plugin and judges all rules. No process is left when it returns.
    pub async fn run(&self) -> Report {
        let mut findings = Findings::new(self);
        findings.skip("sandbox.default", NO_SANDBOX);
        lifecycle::judge_by_hand(self, &mut findings).await;
        if let Some(session) = Session::open(self, &mut findings).await {
            let before = judge_session(self, session, &mut findings).await;
            lifecycle::judge_ends(self, before.as_ref(), &mut findings).await;
            tls::judge(self, &mut findings).await;
        }
        findings.into_report()
    }

    /// What the plugin is asked to serve.
    fn name(&self) -> String {
        let of_url = |url: &String| url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        let given = self.scheme.clone().or_else(|| self.name_in_file().map(ToOwned::to_owned));
        given.or_else(|| self.url.as_ref().and_then(of_url)).unwrap_or_default()
    }

    /// `<name>` of `d7y-resource-plugin-<name>`.
    fn name_in_file(&self) -> Option<&str> {
        self.plugin.file_name()?.to_str()?.strip_prefix(FILE_NAME_PREFIX)
    }

    /// What is to be shown nowhere.
    fn secrets(&self) -> Vec<String> {
        let urls = [&self.url, &self.missing, &self.empty, &self.directory].into_iter().flatten();
        let of_urls = urls.flat_map(|url| url_secrets(url)).map(ToOwned::to_owned);
        let mut secrets: Vec<String> = self.options.values().cloned().chain(of_urls).collect();
        // Shorter ones are parts of words.
        secrets.retain(|secret| secret.len() > 3);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }
}

/// The user, and the values in the query.
fn url_secrets(url: &str) -> Vec<&str> {
    let (before, query) = url.split_once('?').unwrap_or((url, ""));
    let authority = before.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    let password = user.and_then(|user| user.split_once(':')).map(|(_, password)| password);
    let values = query.split('&').filter_map(|pair| pair.split_once('=').map(|(_, value)| value));
    user.into_iter().chain(password).chain(values).collect()
}

/// All that one process of the plugin shows. Returns the validator that it gave, for the next process.
async fn judge_session(suite: &Suite, session: Session, findings: &mut Findings) -> Option<metadata::Told> {
    let told = match init::judge(&session, findings).await {
        true => judge_resources(suite, &session, findings).await,
        false => None,
    };
    lifecycle::judge_shutdown(suite, session, findings).await;
    told
}

async fn judge_resources(suite: &Suite, session: &Session, findings: &mut Findings) -> Option<metadata::Told> {
    list::judge(suite, session, findings).await;
    metadata::judge_missing(suite, session, findings).await;
    download::judge_empty(suite, session, findings).await;
    download::judge_directory(suite, session, findings).await;
    let Some(url) = &suite.url else {
        findings.stop("name a resource that exists");
        return None;
    };
    let told = metadata::judge(session, url, findings).await;
    let body = download::judge_whole(session, url, told.as_ref(), findings).await;
    if let Some((told, body)) = told.as_ref().zip(body.as_ref()) {
        metadata::judge_served(told, body, findings);
        ranges::judge(session, url, told, body, findings).await;
        metadata::judge_validator(session, url, told, findings).await;
        download::judge_parallel(session, url, body, findings).await;
        download::judge_cancel(session, url, body, findings).await;
    }
    logs::provoke(session, url, findings).await;
    // What cannot be downloaded cannot be gone on with.
    told.filter(|_| body.is_some())
}

/// Panics unless the plugin breaks no rule, and names those that it breaks.
///
/// # Panics
///
/// If a rule is broken.
pub fn check(suite: &Suite) {
    let report = run(suite);
    assert!(report.is_good(), "{} does not keep to PROTOCOL.md:\n{report}", name_of(&suite.plugin));
}

/// [`Suite::run`] for a test that has no runtime, or is within one.
///
/// # Panics
///
/// If there is no thread to be had.
#[must_use]
pub fn run(suite: &Suite) -> Report {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    // In a thread of its own: a test may have a runtime, which must not be blocked.
    let run = || runtime().expect("there are threads").block_on(suite.run());
    thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn name_of(plugin: &Path) -> String {
    plugin.file_name().unwrap_or(plugin.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
