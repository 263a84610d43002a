//! The command line: argv becomes a [`Command`], values parsed, nothing done.

mod values;

use std::{ops::Range, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, builder::styling::Styles};
use plugin_sdk::Options;
use tracing::level_filters::LevelFilter;

use crate::{
    download::Job,
    error::Error,
    limit::SlowLimit,
    output::{OutputOptions, Target},
    plugin::{self, discover::SearchPath},
    url::ResourceUrl,
    verify::Expected,
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
    /// `dfget URL`, with the rate limit in bytes a second
    Download(Box<Job>, Option<u64>),
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
  dfget https://example.org/file             download to ./file
  dfget -u d7yfs://host/path -O copy         by the plugin for d7yfs
  dfget share:///a --opt root=/mnt -O - | wc
  dfget plugin                               list the sources there are

Exit status: 0 complete, 2 usage, 10-16 the plugin, 20-24 the source,
30 damaged, 40-45 this machine. README.md has them all.";

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
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Hand this option to the source; repeatable
    #[arg(long = "opt", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Give up after this time in all, such as 90 or 5m
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    timeout: Option<Duration>,
    /// Give up when less than --speed-limit comes for this long; 0 never does
    #[arg(long, visible_alias = "stall-timeout", value_name = "TIME", value_parser = values::patience)]
    #[arg(default_value = "30s")]
    speed_time: Duration,
    /// Bytes a second that are too slow
    #[arg(long, value_name = "RATE", value_parser = values::size, default_value = "1K")]
    speed_limit: u64,
    /// Download at most so many bytes a second, such as 500K or 10M
    #[arg(long, visible_alias = "ratelimit", value_name = "RATE", value_parser = values::size)]
    limit_rate: Option<u64>,
    /// Connections for one resource, where its source serves parts [default: up to 4, as long as it is slow]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: Option<u16>,
    /// Fetch in parts of this size [default: chosen from the resource's]
    #[arg(long, value_name = "SIZE", value_parser = values::piece_length)]
    piece_length: Option<u64>,
    /// Download only these bytes: FIRST-LAST, counted from 0, or FIRST-
    #[arg(long, value_name = "RANGE", value_parser = values::range)]
    range: Option<Range<u64>>,
    /// Check the whole against this digest: md5, sha1, sha256, sha512, crc32 or blake3
    #[arg(long, value_name = "ALGORITHM:HEX")]
    digest: Option<Expected>,
    /// Times that a part is tried without a byte coming
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), default_value = "5")]
    tries: u32,
    /// Begin anew, whatever an earlier run has left
    #[arg(long)]
    no_resume: bool,
    /// Neither check that there is room on the disk nor reserve it
    #[arg(long)]
    no_preallocate: bool,
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
    #[arg(long = "plugin", value_name = "SCHEME=PATH", value_parser = values::pinned, global = true)]
    pinned: Vec<(String, PathBuf)>,
    /// Look for plugins here first, before DFGET_PLUGIN_DIR, ~/.dragonfly/plugins and /usr/local/dragonfly/plugins;
    /// repeatable
    #[arg(long = "plugin-dir", value_name = "DIR", global = true)]
    directories: Vec<PathBuf>,
    /// Let plugins inherit this environment variable; repeatable
    #[arg(long = "plugin-env", value_name = "NAME", value_parser = values::variable, global = true)]
    inherit: Vec<String>,
    /// Give up on a plugin that is not ready after this time
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "10s", global = true)]
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
            call_timeout: download.speed_time,
            stall_timeout: download.speed_time,
            ..plugin::Settings::default()
        };
        // Schemes are compared in lower case, as URLs have them.
        let pinned = plugins.pinned.into_iter().map(|(scheme, path)| (scheme.to_ascii_lowercase(), path)).collect();
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
    if command.is_some() && (download.url.is_some() || download.positional.is_some()) {
        return Err(usage("there are a URL and a command", "dfget URL, or dfget plugin"));
    }
    match command {
        Some(Subcommands::Plugin { command: None, json }) => Ok(Command::List { json }),
        Some(Subcommands::Plugin { command: Some(PluginSubcommands::List { json: inner }), json }) => {
            Ok(Command::List { json: json || inner })
        }
        Some(Subcommands::Plugin { command: Some(PluginSubcommands::Info { name, json: inner }), json }) => {
            Ok(Command::Info { name, json: json || inner })
        }
        None => {
            let limit = download.limit_rate;
            job(download).map(|job| Command::Download(Box::new(job), limit))
        }
    }
}

fn job(download: DownloadArguments) -> Result<Job, Error> {
    let text = download
        .url
        .or(download.positional)
        .ok_or_else(|| usage("there is no URL to download", "dfget URL, or `dfget --help`"))?;
    let url: ResourceUrl = text.parse().map_err(|error| {
        let shown = crate::escape::printable(without_secrets(&text));
        usage(format!("`{shown}` is no URL: {error}"), "a URL is SCHEME://HOST/PATH")
    })?;
    let target = download.output.map(|path| match path {
        path if path.as_os_str() == "-" => Target::Stdout,
        path => Target::File(path),
    });
    Ok(Job {
        url,
        header: parse_all("-H", &download.header, values::header)?,
        options: parse_all("--opt", &download.options, values::pair)?.into_iter().collect::<Options>(),
        target,
        output: OutputOptions {
            overwrite: download.overwrite,
            no_fsync: download.no_fsync,
            no_preallocate: download.no_preallocate,
        },
        range: download.range.unwrap_or(0..u64::MAX),
        connections: download.connections.map(usize::from),
        piece_length: download.piece_length,
        resume: !download.no_resume,
        tries: download.tries,
        slow: SlowLimit { rate: download.speed_limit, time: download.speed_time },
        digest: download.digest,
        timeout: download.timeout,
    })
}

/// What cannot be taken apart as a URL, without what stands where a URL has its password and its query.
fn without_secrets(text: &str) -> &str {
    let text = text.split('?').next().unwrap_or_default();
    text.rsplit('@').next().unwrap_or_default()
}

fn usage(fact: impl Into<String>, hint: &str) -> Error {
    Error::Usage { fact: fact.into(), hint: hint.to_owned() }
}

/// Not by clap, which quotes a value that it refuses: it may be a secret.
fn parse_all(
    name: &str,
    texts: &[String],
    parse: fn(&str) -> Result<(String, String), String>,
) -> Result<Vec<(String, String)>, Error> {
    let refuse = |fact| usage(format!("a value of {name} makes no sense: {fact}"), "`dfget --help` shows its form");
    texts.iter().map(|text| parse(text).map_err(refuse)).collect()
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
            Ok(Command::Download(job, _)) => *job,
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
        assert_eq!(job("x://h/a").target, None);
        assert_eq!(job("x://h/a -O b").target, Some(Target::File("b".into())));
        assert_eq!(job("-b x://h/a -O -").target, Some(Target::Stdout));
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
    }
}
