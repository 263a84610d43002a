//! Starts a plugin, in three steps: launch a process, read its greeting and connect, introduce both ends.
//!
//! Whatever fails on the way kills the process and says why, in one [`Error`].

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use plugin_proto::{DATA_SOCKET, SHARED_MEMORY, handshake::Handshake, resource::InitResponse};
use plugin_sdk::{Options, tls::Identity};
use tokio::{
    net::unix::pipe,
    time::{sleep, timeout},
};
use tonic::{Status, transport::Channel};

use super::{
    About, Confined, Settings, attach,
    connect::{Line, connect},
    discover::{Candidate, Presence},
    environment,
    greeting::{Greeting, NoGreeting},
    introduce::{NotIntroduced, introduce},
    logs::Logs,
    process::{Launch, Pipes, Process},
    program::Program,
    running::{DataSockets, Drains, Running},
    socket_dir::{self, SocketDir},
    status,
};
use crate::error::{Error, StartFault};

/// How long what a dead plugin wrote may take to be read.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long a plugin that closed its stdout, or its connection, has to turn out to be dead.
const POST_MORTEM: Duration = Duration::from_millis(500);

/// Starts the plugin, or connects to the one that runs already; `options` of `None` only asks what it is.
///
/// # Errors
///
/// * [`Error::Refused`]: somebody else could have written the file, or it is not the one of the lock file
/// * [`Error::Unexecutable`]: the file cannot be executed
/// * [`Error::Start`]: it did not become ready, and the process is gone
/// * [`Error::Source`]: it refused the options
/// * [`Error::LocalIo`]: no directory for its socket, or no process, could be made
pub(super) async fn start(
    candidate: &Candidate,
    options: Option<&Options>,
    settings: &Settings,
) -> Result<Running, Error> {
    if let Presence::Running(attachment) = &candidate.presence {
        return attach::attach(candidate, attachment, options, settings).await;
    }
    match start_networked(candidate, options, settings).await {
        // It was not known before, and most plugins would only lose by it.
        Err(Error::Start { fault: StartFault::WantsTls(_), .. }) if !settings.mtls => {
            start_networked(candidate, options, &Settings { mtls: true, ..settings.clone() }).await
        }
        started => started,
    }
}

/// With the network that it is to have.
async fn start_networked(
    candidate: &Candidate,
    options: Option<&Options>,
    settings: &Settings,
) -> Result<Running, Error> {
    let running = start_once(candidate, options, settings).await?;
    let wants_none = running.about.attributes.get("network").is_some_and(|network| network == "none");
    if !wants_none || !settings.gives_network_unasked(&candidate.name) {
        return Ok(running);
    }
    // It was given no URL yet, and the one that will be has no network from its first instruction on.
    running.stop().await;
    start_once(candidate, options, &settings.without_network(&candidate.name)).await
}

async fn start_once(candidate: &Candidate, options: Option<&Options>, settings: &Settings) -> Result<Running, Error> {
    let begun = Instant::now();
    let program = Program::check(candidate, settings).await?;
    // Also where it is: to execute what is on a share that hangs takes as long as that does.
    let launched = timeout(settings.start_timeout, Launched::new(candidate, &program, settings)).await;
    let mut launched = launched.unwrap_or_else(|_| Err(never_executed(candidate, settings.start_timeout)))?;
    let ready = match timeout(settings.start_timeout, launched.become_ready(candidate, options, settings)).await {
        Ok(ready) => ready,
        Err(_) => Err(launched.unfinished(settings.start_timeout)),
    };
    match ready {
        Ok(ready) => Ok(launched.into_running(candidate, ready, begun.elapsed(), settings)),
        Err(failure) => Err(launched.bury(candidate, failure).await),
    }
}

/// A plugin's process before anything is known of it.
struct Launched {
    process: Process,
    /// `None` once it is drained.
    stdout: Option<pipe::Receiver>,
    logs: Logs,
    greeting: Greeting,
    greeted: bool,
    socket_dir: Arc<SocketDir>,
    /// Of this host, where it asked for AutoMTLS.
    identity: Option<Identity>,
    /// What it may do, in words.
    confined: Confined,
}

/// What is known of a plugin that answered.
struct Ready {
    handshake: Handshake,
    channel: Channel,
    line: Line,
    introduced: InitResponse,
    drains: Drains,
}

/// Why a plugin is not ready, before its process was asked whether it lives.
enum Failure {
    NotExecuted(io::Error),
    /// It went away; or, if it lives, this.
    Gone(StartFault),
    Fault(StartFault),
    /// It answered, and refused.
    Refused(Status),
}

impl From<StartFault> for Failure {
    fn from(fault: StartFault) -> Self {
        match fault {
            StartFault::Unreachable(_) => Self::Gone(fault),
            fault => Self::Fault(fault),
        }
    }
}

impl From<NoGreeting> for Failure {
    fn from(failure: NoGreeting) -> Self {
        match failure {
            NoGreeting::NotExecuted(error) => Self::NotExecuted(error),
            NoGreeting::Closed => Self::Gone(StartFault::ClosedStdout),
            NoGreeting::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl From<NotIntroduced> for Failure {
    fn from(failure: NotIntroduced) -> Self {
        match failure {
            NotIntroduced::Gone(fault) => Self::Gone(fault),
            NotIntroduced::Fault(fault) => Self::Fault(fault),
            NotIntroduced::Refused(status) => Self::Refused(status),
        }
    }
}

impl Launched {
    async fn new(candidate: &Candidate, program: &Program, settings: &Settings) -> Result<Self, Error> {
        let failed = |action| move |source| Error::LocalIo { action, path: candidate.path.clone(), source };
        let socket_dir = Arc::new(SocketDir::create().map_err(failed("make a directory for the socket of"))?);
        let identity = settings.mtls.then(Identity::generate).transpose().map_err(failed("make a certificate for"))?;
        let mut orders = settings.orders(&candidate.name, &program.path, socket_dir.path());
        let name = socket_dir.path().file_name().unwrap_or_default().to_string_lossy();
        let group = orders.limits.make_group(&name);
        let launch = Launch {
            group,
            program,
            environment: environment::of_plugin(candidate, socket_dir.path(), &settings.inherit, identity.as_ref()),
            orders: orders.clone(),
            directory: Arc::clone(&socket_dir),
        };
        let (process, Pipes { stdout, stderr }) = Process::spawn(launch).await.map_err(failed("start"))?;
        // While the plugin gets ready there is nothing else to do.
        socket_dir::sweep_own();
        let logs = Logs::read(candidate, settings, stderr);
        let confined = settings.confined(&candidate.name, &orders);
        let (stdout, greeting) = (Some(stdout), Greeting::default());
        Ok(Self { process, stdout, logs, greeting, greeted: false, socket_dir, identity, confined })
    }

    async fn become_ready(
        &mut self,
        candidate: &Candidate,
        options: Option<&Options>,
        settings: &Settings,
    ) -> Result<Ready, Failure> {
        let name = candidate.title();
        let handshake = self.greet(&name, options.is_none()).await?;
        self.greeted = true;
        let (channel, line) = connect(&handshake, self.socket_dir.path(), self.identity.as_ref()).await?;
        // Nobody connects again.
        self.socket_dir.remove_sockets();
        // Before the first call: a plugin that prints while it answers blocks on a full pipe.
        let drains = Drains::start(candidate, settings, self.stdout.take(), channel.clone());
        let introduced = introduce(&channel, candidate, options, self.features()).await?;
        Ok(Ready { handshake, channel, line, introduced, drains })
    }

    /// Those that there are for it.
    fn features(&self) -> &'static [&'static str] {
        if self.identity.is_some() {
            // What goes beside the connection is not in its TLS.
            &[]
        } else if cfg!(target_os = "linux") {
            &[DATA_SOCKET, SHARED_MEMORY]
        } else {
            &[DATA_SOCKET]
        }
    }

    async fn greet(&mut self, name: &str, describing: bool) -> Result<Handshake, Failure> {
        let warn = |line: &str| match describing {
            true => tracing::debug!("plugin {name} wrote to stdout before its handshake: {line}"),
            false => tracing::warn!("plugin {name} wrote to stdout before its handshake: {line}"),
        };
        let stdout = self.stdout.as_mut().expect("it is drained only after the greeting");
        tokio::select! {
            biased;
            handshake = self.greeting.read(stdout, warn) => Ok(handshake?),
            // A grandchild may hold its stdout open.
            () = async { self.process.ended().await; sleep(LAST_WORDS).await } => Err(NoGreeting::Closed.into()),
        }
    }

    /// The time is up.
    fn unfinished(&self, limit: Duration) -> Failure {
        Failure::Fault(match self.greeted {
            true => StartFault::Unanswered(limit),
            false => StartFault::Silent(limit, self.greeting.so_far()),
        })
    }

    fn into_running(self, candidate: &Candidate, ready: Ready, start_time: Duration, settings: &Settings) -> Running {
        let Ready { handshake, channel, line, introduced, drains } = ready;
        let (name, time) = (candidate.title(), humantime::format_duration(start_time));
        tracing::debug!("plugin {name} is ready after {time}, protocol version {}", handshake.app_version);
        let uses = |feature| self.features().contains(&feature) && introduced.features.iter().any(|has| has == feature);
        let share_memory = uses(SHARED_MEMORY);
        let directory = self.socket_dir.path().to_owned();
        let data_sockets = uses(DATA_SOCKET).then_some(DataSockets { directory, share_memory });
        let about = About::new(handshake.app_version, &introduced, start_time, self.confined);
        Running {
            name: candidate.title(),
            about,
            channel,
            line: Some(line),
            data_sockets,
            settings: settings.clone(),
            process: self.process,
            logs: self.logs,
            _drains: drains,
            leaving: Mutex::default(),
            progress: Arc::default(),
            restarts: 0,
        }
    }

    /// Kills the process and waits for it, so that no zombie stays where nobody else would.
    async fn end(&self) {
        self.process.kill();
        self.process.ended_within(POST_MORTEM).await;
    }

    /// Ends the process and turns a failure into the error that tells of it.
    async fn bury(self, candidate: &Candidate, failure: Failure) -> Error {
        let fault = match failure {
            Failure::NotExecuted(error) => {
                self.end().await;
                return not_executed(&candidate.path, &error);
            }
            Failure::Refused(status) => {
                self.end().await;
                return status::refused(candidate, &status);
            }
            Failure::Fault(fault) => fault,
            Failure::Gone(otherwise) => {
                let ended = if self.greeted { StartFault::EndedUnanswered } else { StartFault::Ended };
                self.process.ended_within(POST_MORTEM).await.map_or(otherwise, ended)
            }
        };
        self.end().await;
        let last_words = self.logs.last_words(LAST_WORDS).await;
        Error::Start { plugin: candidate.title(), fault, last_words }
    }
}

fn never_executed(candidate: &Candidate, limit: Duration) -> Error {
    let fault = StartFault::Silent(limit, String::new());
    Error::Start { plugin: candidate.title(), fault, last_words: Vec::new() }
}

fn not_executed(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "the interpreter or the dynamic loader that it names is missing",
        io::ErrorKind::StaleNetworkFileHandle => "it was replaced while it was being started: run it again",
        io::ErrorKind::PermissionDenied => "its file system may be mounted noexec",
        io::ErrorKind::Other => "--sandbox off starts it as it is, with all rights of yours",
        _ => "",
    };
    Error::Unexecutable { path: path.to_owned(), fact: error.to_string(), hint: hint.into() }
}
