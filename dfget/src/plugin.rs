//! Out-of-tree sources: executables that are found, started, spoken to and stopped.
//!
//! * [`discover`]: by file name, in which directories
//! * `trust`: who else could have written it
//! * `executable`: what is no program is told before it is run
//! * [`lock`]: whether it is the one that was locked
//! * `program`: what was checked is what is executed
//! * `exec`: the child that becomes the plugin
//! * `process`: the process group and its end
//! * `descendants`: whoever left that group
//! * `sandbox`, `resources`, `cgroup`: what it may do, and how much of the machine it may have
//! * `greeting`, `connect`: handshake line and socket
//! * `introduce`: the first calls
//! * `start`: all of these in order
//! * [`reattach`], `attach`, `connection`: the same of one that runs already, for debugging
//! * `running`: a plugin that is ready, the reason of its end, its orderly stop
//! * `supervisor`: all lives of a plugin, one after the other
//! * `client`, `assembly`, `body_stream`: the trait in front of it, every message checked
//! * `data_socket`: bytes beside the messages, in `buffers`, or in `shared_memory`
//! * `logs`, `verbosity`: its stderr and stdout, and how much of that is told
//!
//! The only room that knows gRPC.

mod assembly;
mod attach;
mod body_stream;
mod buffers;
mod cgroup;
mod client;
mod connect;
mod connection;
mod data_socket;
mod descendants;
pub mod discover;
mod environment;
mod exec;
mod executable;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod greeting;
mod introduce;
pub mod lock;
mod logs;
mod process;
mod program;
pub mod reattach;
mod resources;
mod running;
mod sandbox;
mod shared_memory;
mod socket_dir;
mod start;
mod status;
mod supervisor;
mod trust;
mod verbosity;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use plugin_sdk::{Options, ResourceClient};

use self::{
    client::Proxy, discover::Candidate, exec::Orders, resources::Limits, sandbox::Confinement, supervisor::Supervisor,
};
pub use self::{
    descendants::Adoption,
    sandbox::{Rules, Sandbox},
    supervisor::{Observer, Restart},
    verbosity::Verbosity,
};
use crate::error::Error;

/// How plugins are started, and how long they may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Further environment variables that plugins inherit.
    pub inherit: Vec<String>,
    /// Directories in which it does not matter who could have written a plugin.
    pub trusted: Vec<PathBuf>,
    /// Which digests plugins are to have.
    pub lock: lock::Rule,
    /// How far plugins are confined, unless `rules` say otherwise.
    pub sandbox: Sandbox,
    /// Whether in-tree sources are plugins, too, unless `rules` say otherwise.
    pub isolate: bool,
    /// What holds for the plugin of this scheme alone, in lower case as URLs have it.
    pub rules: BTreeMap<String, Rules>,
    /// Whether they speak TLS even on their private sockets. One that listens on TCP always does.
    pub mtls: bool,
    /// What of their log is handed to this program's subscriber.
    pub verbosity: Verbosity,
    /// From its start to its answer to `Init`.
    pub start_timeout: Duration,
    /// Until a call is answered.
    pub call_timeout: Duration,
    /// Without a byte or a `Waiting` in a download.
    pub stall_timeout: Duration,
    /// Without an answer to a health check, where it may be silent for longer.
    pub hang_timeout: Duration,
    /// From `Shutdown` to the end; then SIGTERM is sent.
    pub shutdown_timeout: Duration,
    /// From SIGTERM to the end; then SIGKILL is sent.
    pub terminate_timeout: Duration,
    /// How often one that died is started anew without progress between.
    pub restarts: u32,
    /// Who hears of that.
    pub observer: Observer,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            inherit: Vec::new(),
            trusted: Vec::new(),
            lock: lock::Rule::default(),
            sandbox: Sandbox::default(),
            isolate: false,
            rules: BTreeMap::new(),
            mtls: false,
            verbosity: Verbosity::default(),
            start_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            hang_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(1),
            terminate_timeout: Duration::from_secs(1),
            restarts: RESTARTS,
            observer: Observer::default(),
        }
    }
}

/// Longer than the engine has.
const PATIENCE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Where the user does not say: [`Settings::restarts`].
pub const RESTARTS: u32 = 3;

impl Settings {
    fn rules(&self, scheme: &str) -> Rules {
        self.rules.get(scheme).cloned().unwrap_or_default()
    }

    /// Whether the in-tree source for `scheme` is to be a plugin.
    #[must_use]
    pub fn isolates(&self, scheme: &str) -> bool {
        self.rules.get(scheme).and_then(|rules| rules.isolate).unwrap_or(self.isolate)
    }

    /// These, for an in-tree source, which is dfget's own code. `strict` for all plugins is for those of others: without
    /// a network, certificates and credentials it could do nothing. What the user says of it alone holds. And where
    /// nothing comes it is its server that stalls: the engine says so, as it does without isolation; and what it warns of
    /// is told.
    pub(crate) fn of_in_tree(&self) -> Self {
        let sandbox = if self.sandbox == Sandbox::Strict { Sandbox::Default } else { self.sandbox };
        let mut verbosity = self.verbosity.clone();
        verbosity.all = verbosity.all.max(tracing::level_filters::LevelFilter::WARN);
        Self { sandbox, verbosity, call_timeout: PATIENCE, stall_timeout: PATIENCE, ..self.clone() }
    }

    /// These, and no network for the plugin of `scheme`.
    fn without_network(&self, scheme: &str) -> Self {
        let mut rules = self.rules.clone();
        rules.entry(scheme.to_owned()).or_default().network = Some(false);
        Self { rules, ..self.clone() }
    }

    /// Whether the plugin of `scheme` has a network only because nobody said anything of it.
    fn gives_network_unasked(&self, scheme: &str) -> bool {
        self.rules(scheme).network.is_none() && self.sandbox(scheme) == Sandbox::Default
    }

    fn sandbox(&self, scheme: &str) -> Sandbox {
        self.rules(scheme).sandbox.unwrap_or(self.sandbox)
    }

    /// For the child that becomes the plugin at `plugin` for `scheme`, whose own directory is `directory`.
    fn orders(&self, scheme: &str, plugin: &Path, directory: &Path) -> Orders {
        let rules = self.rules(scheme);
        let confinement = Confinement::new(self.sandbox(scheme), &rules, plugin, directory);
        Orders { limits: Limits::new(&rules), confinement }
    }

    /// What comes of them.
    fn confined(&self, scheme: &str, orders: &Orders) -> Confined {
        let sandbox = self.sandbox(scheme);
        orders.confinement.tell_shortcoming(sandbox);
        Confined { sandbox: orders.confinement.describe(sandbox), limits: orders.limits.to_string() }
    }
}

/// What a plugin may do and have, in words.
#[derive(Debug, Clone)]
pub struct Confined {
    /// How far it is confined, with what this kernel lacks for that.
    pub sandbox: String,
    /// How much it may have.
    pub limits: String,
}

/// What a plugin said of itself when it started. All texts are printable.
#[derive(Debug, Clone)]
pub struct About {
    /// The application protocol version it chose.
    pub app_version: u32,
    /// `type`, `name`, `scheme` and whatever its author added.
    pub attributes: BTreeMap<String, String>,
    /// Its optional abilities.
    pub features: Vec<String>,
    /// How long it took to become ready.
    pub start_time: Duration,
    /// What it may do: said by the host.
    pub confined: Confined,
}

/// A plugin that was started. Dropping it kills the process; [`stop`](Self::stop) asks it to end. One that [ran
/// already](reattach) is left as it is by both.
#[derive(Clone)]
pub struct Plugin {
    supervisor: Arc<Supervisor>,
}

impl Plugin {
    /// Starts a plugin to download with, or connects to it if it runs already. If it dies it is started anew by whoever
    /// needs it next, if it was started here.
    ///
    /// # Errors
    ///
    /// * [`Error::Refused`]: somebody else could have written the file, or it is not the one of the lock file
    /// * [`Error::Unexecutable`]: the file cannot be executed
    /// * [`Error::Start`]: it did not become ready, and its process is gone
    /// * [`Error::Source`]: it refused the options
    /// * [`Error::LocalIo`]: no directory for its socket, or no process, could be made
    pub async fn start(candidate: &Candidate, options: &Options, settings: &Settings) -> Result<Self, Error> {
        Ok(Self { supervisor: Arc::new(Supervisor::start(candidate, options, settings).await?) })
    }

    /// Whether a file may be executed as a plugin, and can be; starts nothing.
    ///
    /// # Errors
    ///
    /// * [`Error::Refused`], [`Error::Unexecutable`], [`Error::LocalIo`]: as [`start`](Self::start)
    pub async fn check(candidate: &Candidate, settings: &Settings) -> Result<(), Error> {
        program::Program::check(candidate, settings).await.map(drop)
    }

    /// Starts a plugin, asks what it is, and stops it.
    ///
    /// # Errors
    ///
    /// * as [`start`](Self::start), except that there are no options to be refused
    pub async fn describe(candidate: &Candidate, settings: &Settings) -> Result<About, Error> {
        let running = start::start(candidate, None, settings).await?;
        running.stop().await;
        Ok(running.about.clone())
    }

    /// The source that it is.
    #[must_use]
    pub fn client(&self) -> Arc<dyn ResourceClient> {
        Arc::new(Proxy::new(Arc::clone(&self.supervisor)))
    }

    /// Ends the plugin: `Shutdown`, then SIGTERM, then SIGKILL. Returns once its process group is gone.
    pub async fn stop(&self) {
        self.supervisor.stop().await;
    }
}
