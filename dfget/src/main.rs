//! The command `dfget`: argv → run → the error, once → the exit status.

use std::{
    io::{self, IsTerminal, Write},
    pin::pin,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use dfget::{
    allocator,
    batch::{Unnamed, Work},
    cli::{Command, Opts},
    error::{Error, Explained},
    escape,
    inventory::{Info, Inventory, Locking},
    output,
    plugin::{self, Observer},
    registry::Registry,
    report::{Reporter, Style},
    signals::{self, SIGPIPE, Signals},
    source::{IN_TREE, InTree},
    validation::Validation,
};
use futures_util::future::maybe_done;
use tracing::Level;
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt};

/// How long interrupted downloads may take to record how far they came.
const LAST_RECORD: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    signals::ignore_file_size_limit();
    allocator::keep_freed_memory();
    match output::allow_many_files().and_then(|()| Opts::parse()).and_then(run) {
        Ok(status) => status,
        Err(error) => {
            if signals::is_closed_stdout(&error) {
                signals::end_by(SIGPIPE);
            }
            complain(&Explained(&error).to_string());
            if let Error::Interrupted { signal } = error {
                signals::end_by(signal);
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(opts: Opts) -> Result<ExitCode, Error> {
    match &opts.command {
        // Before there is a runtime, or anything else of a host's.
        Command::Serve { scheme } => Ok(served(scheme)?.serve()),
        _ => host(opts).map(|()| ExitCode::SUCCESS),
    }
}

fn served(scheme: &str) -> Result<&'static InTree, Error> {
    InTree::of(scheme).ok_or_else(|| {
        let mut schemes: Vec<&str> = IN_TREE.iter().map(|source| source.scheme).collect();
        schemes.sort_unstable();
        let fact = format!("there is no in-tree source `{}`", escape::printable(scheme));
        Error::Usage { fact, hint: format!("there are {}", schemes.join(", ")) }
    })
}

fn host(mut opts: Opts) -> Result<(), Error> {
    let adoption = plugin::Adoption::begin();
    escape::hide(opts.secrets());
    let json = opts.style.json;
    let events = json && matches!(opts.command, Command::Download(_));
    let reporter = Reporter::new(Style { json: events, ..opts.style });
    log_to(&opts, &reporter);
    let told = reporter.clone();
    opts.plugins.observer = Observer::new(move |restart| told.restarting(restart));
    for part in &opts.search.ignored {
        tracing::warn!("`{}` in DFGET_PLUGIN_DIR is ignored: it does not begin with `/`", part.display());
    }
    opts.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let registry = Arc::new(Registry::new(IN_TREE, opts.search, opts.plugins, opts.options));
    let internal = |action| move |source| Error::LocalIo { action, path: "runtime".into(), source };
    // All of it on this thread: a download is mostly waiting, and to wake another one costs more than it does. What waits
    // for the disk is done by threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(internal("start the"))?;
    let work = runtime.spawn(work(opts.command, Arc::clone(&registry), reporter.clone(), json));
    // As a task of its own, so that a panic is an error like others.
    let result = runtime.block_on(work).unwrap_or_else(|failed| Err(Error::Bug { fact: failed.to_string() }));
    drop(registry);
    // The writers record what they have; one that hangs must not keep the process.
    runtime.shutdown_timeout(LAST_RECORD);
    adoption.end();
    reporter.finish(result)
}

async fn work(command: Command, registry: Arc<Registry>, reporter: Reporter, json: bool) -> Result<(), Error> {
    let failed = |source| Error::LocalIo { action: "listen for signals in the", path: "runtime".into(), source };
    let mut signals = Signals::listen().map_err(failed)?;
    let outcome = tokio::select! {
        outcome = execute(command, &registry, reporter, json) => outcome,
        signal = signals.next() => Err(Error::Interrupted { signal }),
    };
    let result = match outcome {
        Ok(Some(unnamed)) => commit(unnamed, &registry, &mut signals).await,
        outcome => outcome.map(drop),
    };
    tokio::select! {
        () = registry.stop() => result,
        // A second one, or one after all is done, does not wait for the plugins: they are killed when the registry goes.
        _ = signals.next() => result,
    }
}

/// Returns a download that has yet to get its name.
async fn execute(
    command: Command,
    registry: &Arc<Registry>,
    reporter: Reporter,
    json: bool,
) -> Result<Option<Unnamed>, Error> {
    match command {
        Command::Download(batch) => return Work::new(*batch, Arc::clone(registry), reporter).run().await,
        Command::List => {
            let inventory = Inventory::take(registry).await;
            inventory.broken().for_each(|line| complain(&format!("dfget: {line}")));
            print(&if json { document(&inventory.to_json()) } else { inventory.to_string() })
        }
        Command::Info { name } => {
            let info = Info::take(registry, &name).await?;
            print(&if json { document(&info.to_json()) } else { info.to_string() })
        }
        Command::Lock => {
            let locking = Locking::write(registry)?;
            locking.refused().for_each(|line| complain(&format!("dfget: {line}")));
            print(&if json { document(&locking.to_json()) } else { locking.to_string() })
        }
        Command::Validate(subject) => {
            let validation = Validation::run(&subject, registry).await?;
            print(&if json { document(&validation.to_json()) } else { validation.table(colours_on(&io::stdout())) })?;
            validation.verdict()
        }
        Command::Serve { .. } => Err(Error::Bug { fact: "a host serves no source".into() }),
        Command::ShowSettings(settings) => {
            print(&if json { document(&settings.to_json()) } else { settings.to_string() })
        }
    }
    .map(|()| None)
}

/// A signal that comes now hurries the end, and whether the output is there decides on the status.
async fn commit(unnamed: Unnamed, registry: &Registry, signals: &mut Signals) -> Result<(), Error> {
    let mut commit = pin!(maybe_done(unnamed.commit()));
    tokio::select! {
        // The plugin has done its part, and ends while the disk does its own.
        _ = async { tokio::join!(commit.as_mut(), registry.stop()) } => {}
        signal = signals.next() => tokio::select! {
            () = commit.as_mut() => {}
            () = tokio::time::sleep(LAST_RECORD) => return Err(Error::Interrupted { signal }),
            _ = signals.next() => return Err(Error::Interrupted { signal }),
        },
    }
    commit.take_output().expect("it is done")
}

/// In one write, so that nobody else's line comes between. If stderr is closed, the exit status has to do.
fn complain(text: &str) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

fn document(json: &serde_json::Value) -> String {
    format!("{json:#}\n")
}

/// Whether a person looks at it who has nothing against them: <https://no-color.org>.
fn colours_on(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `println!` panics where stdout is closed.
fn print(text: &str) -> Result<(), Error> {
    let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    written.map_err(|source| Error::LocalIo { action: "write", path: "stdout".into(), source })
}

fn log_to(opts: &Opts, reporter: &Reporter) {
    let filter = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tonic", "tower"]
        .into_iter()
        .fold(Targets::new().with_default(opts.log_level), |filter, target| filter.with_target(target, Level::WARN))
        .with_target(
            "plugin",
            opts.plugins.verbosity.deepest().max(opts.log_level.min(tracing::level_filters::LevelFilter::WARN)),
        );
    let stderr = reporter.stderr();
    let layer = tracing_subscriber::fmt::layer().without_time().with_writer(move || stderr.clone());
    let layer = layer.with_ansi(colours_on(&io::stderr()));
    let subscriber = tracing_subscriber::registry().with(layer.with_target(false).with_filter(filter));
    // Nobody has set one before: `main` calls this once.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
