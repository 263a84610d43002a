//! The command `dfget`: argv → run → the error, once → the exit status.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use dfget::{
    cli::{Command, Opts},
    download::download,
    error::{Error, Report},
    inventory::{Info, Inventory},
    limit::RateLimit,
    plugin,
    progress::Progress,
    registry::Registry,
    signals::{self, SIGPIPE, Signals},
    source::IN_TREE,
};
use tracing::Level;
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt};

/// How long interrupted downloads may take to record how far they came.
const LAST_RECORD: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    if let Some(status) = plugin::run_if_asked() {
        return status;
    }
    signals::ignore_file_size_limit();
    match Opts::parse().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if signals::is_closed_stdout(&error) {
                signals::end_by(SIGPIPE);
            }
            complain(&Report(&error).to_string());
            if let Error::Interrupted { signal } = error {
                signals::end_by(signal);
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(mut opts: Opts) -> Result<(), Error> {
    opts.plugins.shim = own_executable();
    let progress = Progress::new(opts.progress);
    log_to(&opts, &progress);
    let registry = Arc::new(Registry::new(IN_TREE, opts.search, opts.plugins));
    let internal = |action| move |source| Error::LocalIo { action, path: "runtime".into(), source };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(internal("start the"))?;
    // On a worker, next to the sockets: from this thread every message would cost a wake-up more.
    let work = runtime.spawn(work(opts.command, Arc::clone(&registry), progress));
    let result = runtime.block_on(work).unwrap_or_else(|failed| Err(Error::Bug { fact: failed.to_string() }));
    drop(registry);
    // The writers record what they have; one that hangs must not keep the process.
    runtime.shutdown_timeout(LAST_RECORD);
    result
}

async fn work(command: Command, registry: Arc<Registry>, progress: Progress) -> Result<(), Error> {
    let failed = |source| Error::LocalIo { action: "listen for signals in the", path: "runtime".into(), source };
    let mut signals = Signals::listen().map_err(failed)?;
    let result = tokio::select! {
        result = execute(command, &registry, &progress) => result,
        signal = signals.next() => Err(Error::Interrupted { signal }),
    };
    tokio::select! {
        () = registry.stop() => result,
        // A second one, or one after all is done, does not wait for the plugins: they are killed when the registry goes.
        _ = signals.next() => result,
    }
}

async fn execute(command: Command, registry: &Registry, progress: &Progress) -> Result<(), Error> {
    match command {
        Command::Download(job, limit) => {
            let fetched = download(&job, registry, &RateLimit::new(limit), progress).await?;
            // The plugin has done its part, and ends while the disk does its own.
            tokio::join!(fetched.commit(), registry.stop()).0.map(drop)
        }
        Command::List { json } => {
            let inventory = Inventory::take(registry).await;
            inventory.broken().for_each(|line| complain(&format!("dfget: {line}")));
            print(&if json { document(&inventory.to_json()) } else { inventory.to_string() })
        }
        Command::Info { name, json } => {
            let info = Info::take(registry, &name).await?;
            print(&if json { document(&info.to_json()) } else { info.to_string() })
        }
    }
}

/// In one write, so that nobody else's line comes between. If stderr is closed, the exit status has to do.
fn complain(text: &str) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

fn document(json: &serde_json::Value) -> String {
    format!("{json:#}\n")
}

/// `println!` panics where stdout is closed.
fn print(text: &str) -> Result<(), Error> {
    let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    written.map_err(|source| Error::LocalIo { action: "write", path: "stdout".into(), source })
}

/// The shim is this very file, also if another one has taken its name since.
fn own_executable() -> Option<PathBuf> {
    if cfg!(target_os = "linux") { Some("/proc/self/exe".into()) } else { std::env::current_exe().ok() }
}

fn log_to(opts: &Opts, progress: &Progress) {
    let filter = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tonic", "tower"]
        .into_iter()
        .fold(Targets::new().with_default(opts.log_level), |filter, target| filter.with_target(target, Level::WARN))
        .with_target("plugin", opts.plugin_log_level);
    let stderr = progress.stderr();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let layer = tracing_subscriber::fmt::layer().without_time().with_writer(move || stderr.clone());
    let layer = layer.with_ansi(io::stderr().is_terminal() && !no_color);
    let subscriber = tracing_subscriber::registry().with(layer.with_target(false).with_filter(filter));
    // Nobody has set one before: `main` calls this once.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
