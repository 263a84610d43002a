//! The command line: argv becomes a [`Command`], values parsed, nothing done.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, builder::styling::Styles};
use plugin_sdk::Options;
use tracing::level_filters::LevelFilter;

use crate::{
    download::Job,
    error::Error,
    output::{OutputOptions, Target},
    plugin::{self, discover::SearchPath},
    url::ResourceUrl,
};

/// What the user wants done, and how.
pub struct Opts {
    /// The thing itself.
    pub command: Command,
    /// Where plugins are.
    pub search: SearchPath,
    /// How they are started.
    pub plugins: plugin::Settings,
    /// What dfget logs.
    pub log_level: LevelFilter,
    /// What it logs of what plugins write.
    pub plugin_log_level: LevelFilter,
    /// Whether a bar is wanted.
    pub progress: bool,
}

/// The thing that is to be done.
pub enum Command {
    /// `dfget URL`
    Download(Box<Job>),
    /// `dfget plugin`
    List {
        /// As one document.
        json: bool,
    },
    /// `dfget plugin info NAME`
    Info {
        /// The scheme.
        name: String,
        /// As one document.
        json: bool,
    },
}

const EXAMPLES: &str = "\
Examples:
  dfget https://example.org/file                 download to ./file
  dfget -u d7yfs://host/path -O copy             download through the plugin d7y-resource-plugin-d7yfs
  dfget share:///a --opt root=/mnt/data -O - | wc
  dfget plugin                                   list the sources there are

Exit status: 0 complete, 2 usage, 10-16 the plugin, 20-24 the source, 30 damaged, 40-45 this machine. README.md has
them all.";

#[derive(Parser)]
#[command(name = "dfget", version, about = "Downloads from anything: its sources are plugins", after_help = EXAMPLES)]
#[command(styles = Styles::plain(), subcommand_help_heading = "Commands", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Subcommands>,
    #[command(flatten)]
    download: DownloadArguments,
    #[command(flatten)]
    plugins: PluginArguments,
    #[command(flatten)]
    log: LogArguments,
}

#[derive(Subcommand)]
enum Subcommands {
    /// List all sources, in-tree and out-of-tree
    Plugin {
        #[command(subcommand)]
        command: Option<PluginSubcommands>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
enum PluginSubcommands {
    /// List all sources (the default)
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show one source in full
    Info {
        /// Its scheme
        name: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
#[command(next_help_heading = "Download")]
struct DownloadArguments {
    /// What to download
    #[arg(value_name = "URL")]
    positional: Option<String>,
    /// What to download, as an option
    #[arg(short, long, conflicts_with = "positional")]
    url: Option<String>,
    /// Where to: a file, or `-` for stdout [default: the URL's last segment, in the current directory]
    #[arg(short = 'O', long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Replace an existing output
    #[arg(long)]
    overwrite: bool,
    /// Send this header to the storage; repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// Hand this option to the source; repeatable
    #[arg(long = "opt", value_name = "KEY=VALUE", value_parser = parse_pair)]
    options: Vec<(String, String)>,
    /// Give up after this time in all, such as 90 or 5m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Give up when nothing comes for this long
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30s")]
    stall_timeout: Duration,
    /// Do not wait for the disk at the end
    #[arg(long)]
    no_fsync: bool,
    /// Show no progress bar
    #[arg(long)]
    no_progress: bool,
    /// Show a progress bar, which is the default on a terminal
    #[arg(short = 'b', long, overrides_with = "no_progress")]
    show_progress: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Plugins")]
struct PluginArguments {
    /// Use this file for this scheme; for development
    #[arg(long = "plugin", value_name = "SCHEME=PATH", value_parser = parse_pair, global = true)]
    pinned: Vec<(String, String)>,
    /// Look for plugins here first, before DFGET_PLUGIN_DIR, ~/.dragonfly/plugins and /usr/local/dragonfly/plugins;
    /// repeatable
    #[arg(long = "plugin-dir", value_name = "DIR", global = true)]
    directories: Vec<PathBuf>,
    /// Let plugins inherit this environment variable; repeatable
    #[arg(long = "plugin-env", value_name = "NAME", global = true)]
    inherit: Vec<String>,
    /// Give up on a plugin that is not ready after this time
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10s", global = true)]
    plugin_start_timeout: Duration,
}

#[derive(Args)]
#[command(next_help_heading = "Messages")]
struct LogArguments {
    /// Print errors only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Print more, plugins' own messages included; twice for all
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
    /// Print messages of this level and above: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", global = true)]
    log_level: Option<LevelFilter>,
}

impl Opts {
    /// Parses the command line of this process; `--help`, `--version` and mistakes end it, as clap does.
    ///
    /// # Errors
    ///
    /// * [`Error::Usage`]: it parses, and makes no sense
    pub fn parse() -> Result<Self, Error> {
        Self::from_arguments(Arguments::parse())
    }

    fn from_arguments(arguments: Arguments) -> Result<Self, Error> {
        let Arguments { command, download, plugins, log } = arguments;
        let progress = !log.quiet && !download.no_progress;
        let settings = plugin::Settings {
            inherit: plugins.inherit,
            start_timeout: plugins.plugin_start_timeout,
            stall_timeout: download.stall_timeout,
            ..plugin::Settings::default()
        };
        let pinned = plugins.pinned.into_iter().map(|(scheme, path)| (scheme, PathBuf::from(path))).collect();
        Ok(Self {
            command: command_of(command, download)?,
            search: SearchPath::new(pinned, plugins.directories),
            plugins: settings,
            log_level: log.log_level.unwrap_or(level_of(&log, LevelFilter::WARN)),
            plugin_log_level: log.log_level.unwrap_or(level_of(&log, LevelFilter::OFF)),
            progress,
        })
    }
}

fn level_of(log: &LogArguments, default: LevelFilter) -> LevelFilter {
    match log.verbose {
        _ if log.quiet => LevelFilter::ERROR.min(default),
        0 => default,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    }
}

fn command_of(command: Option<Subcommands>, download: DownloadArguments) -> Result<Command, Error> {
    match command {
        Some(Subcommands::Plugin { command: None, json }) => Ok(Command::List { json }),
        Some(Subcommands::Plugin { command: Some(PluginSubcommands::List { json: inner }), json }) => {
            Ok(Command::List { json: json || inner })
        }
        Some(Subcommands::Plugin { command: Some(PluginSubcommands::Info { name, json: inner }), json }) => {
            Ok(Command::Info { name, json: json || inner })
        }
        None => job(download).map(|job| Command::Download(Box::new(job))),
    }
}

fn job(download: DownloadArguments) -> Result<Job, Error> {
    let text = download
        .url
        .or(download.positional)
        .ok_or_else(|| usage("there is no URL to download", "dfget URL, or `dfget --help`"))?;
    let url: ResourceUrl = text.parse().map_err(|error| {
        usage(format!("`{}` is no URL: {error}", crate::escape::printable(&text)), "a URL is SCHEME://HOST/PATH")
    })?;
    let target = match download.output {
        Some(path) if path.as_os_str() == "-" => Target::Stdout,
        Some(path) => Target::File(path),
        None => Target::File(url.file_name().map(PathBuf::from).ok_or_else(|| {
            usage(format!("{url} ends in no file name"), "name the output with -O, or print it with -O -")
        })?),
    };
    Ok(Job {
        url,
        header: download.header,
        options: download.options.into_iter().collect::<Options>(),
        target,
        output: OutputOptions { overwrite: download.overwrite, no_fsync: download.no_fsync },
        timeout: download.timeout,
    })
}

fn usage(fact: impl Into<String>, hint: &str) -> Error {
    Error::Usage { fact: fact.into(), hint: hint.to_owned() }
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        // Never the text itself: it may be a secret.
        _ => Err("there is no `=` in it".into()),
    }
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("there is no `:` in it".into()),
    }
}

/// Seconds, as curl has them, or with a unit.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.map_or_else(|| humantime::parse_duration(text).map_err(|error| error.to_string()), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Opts, String> {
        let words = std::iter::once("dfget").chain(line.split_whitespace());
        let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        Opts::from_arguments(arguments).map_err(|error| error.to_string())
    }

    fn job(line: &str) -> Job {
        match parse(line).map(|opts| opts.command) {
            Ok(Command::Download(job)) => *job,
            Ok(_) => panic!("no download"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn the_grammar_is_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_url_is_positional_or_an_option() {
        assert_eq!(job("x://h/a").url, job("-u x://h/a").url);
        assert_eq!(job("x://h/a").target, Target::File("a".into()));
        assert_eq!(job("-b x://h/a -O -").target, Target::Stdout);
        assert!(parse("-u x://h/a x://h/b").is_err());
    }

    #[test]
    fn options_and_headers_are_taken_apart() {
        let job = job("x://h/a --opt root=/a=b --opt empty= -H Accept:text");
        assert_eq!(job.options, Options::from([("root".into(), "/a=b".into()), ("empty".into(), String::new())]));
        assert_eq!(job.header, [("Accept".to_owned(), "text".to_owned())]);
        assert!(parse("x://h/a --opt secret").is_err());
    }

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        for (text, millis) in [("90", 90_000), ("0.5", 500), ("2m", 120_000), ("100ms", 100)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert!(parse_duration("-1").is_err() && parse_duration("soon").is_err());
    }

    #[test]
    fn plugin_lists_by_default() {
        for line in ["plugin", "plugin list", "--plugin-dir /a plugin", "plugin --plugin-dir /a -v"] {
            assert!(matches!(parse(line).unwrap().command, Command::List { json: false }), "{line}");
        }
        assert!(matches!(parse("plugin --json").unwrap().command, Command::List { json: true }));
        assert!(matches!(parse("plugin info x --json").unwrap().command, Command::Info { json: true, .. }));
    }

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(parse("").err().unwrap(), "there is no URL to download");
        assert_eq!(parse("host/a").err().unwrap(), "`host/a` is no URL: it has no scheme, such as `https://`");
        assert_eq!(parse("x://h").err().unwrap(), "x://h ends in no file name");
    }
}
