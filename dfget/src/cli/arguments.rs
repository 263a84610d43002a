//! What clap knows: every option, its form and its help.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, builder::styling::Styles};
use globset::Glob;
use regex::Regex;

use super::{levels::Levels, network::NetworkArguments, storage::StorageArguments, values};
use crate::{
    download::Wanted,
    plugin::{RESTARTS, Sandbox, lock},
    verify::Expected,
};

const EXAMPLES: &str = "\
Examples:
  dfget https://example.org/file             download to ./file
  dfget -u d7yfs://host/path -O copy         by the plugin for d7yfs
  dfget share:///a --opt root=/mnt -O - | wc
  dfget -r share:///tree --include '*.rs'    a tree, to ./tree
  dfget -l share:///tree                     what is in it
  dfget -i list.txt -O downloads             many URLs
  dfget plugin                               list the sources there are
  dfget config                               show all settings, and where each came from

An option is also a variable, such as DFGET_LIMIT_RATE for --limit-rate, and a key of
the configuration file; docs/CONFIG.md has the rules. DFGET_REATTACH_PLUGINS names plugins
that run already, in a debugger: docs/DEBUGGING.md.

Exit status: 0 complete, 2 usage, 10-16 the plugin, 20-24 the source,
30 damaged, 40-45 this machine, 50 some of many. README.md has them all.";

const VALIDATE_EXAMPLES: &str = "\
Examples:
  dfget plugin validate ./d7y-resource-plugin-d7yfs d7yfs://host/path
  dfget plugin validate ./d7y-resource-plugin-share share:///large \\
    --opt root=/srv/test --missing share:///none --empty share:///empty \\
    --directory share:///tree
  dfget plugin validate ./d7y-resource-plugin-x x://h/f --strict --junit report.xml

Each line is a rule with its id, by which PROTOCOL.md names it, and what came of it:
pass; fail, with what was found and what to do; warn, the same of what a plugin SHOULD
do; skip, and why. docs/VALIDATE.md has more.

The plugin is started several times, without the sandbox but for the last rule.

Exit status: 0 no rule is broken, 15 one is, 2 usage; 11 and 12 as of any plugin.";

#[derive(Parser)]
#[command(name = "dfget", version, about = "Downloads from anything: its sources are plugins", after_help = EXAMPLES)]
#[command(styles = Styles::plain(), subcommand_help_heading = "Commands", disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Subcommands>,
    #[command(flatten)]
    pub(super) download: DownloadArguments,
    #[command(flatten)]
    pub(super) network: NetworkArguments,
    #[command(flatten)]
    pub(super) output: OutputArguments,
    #[command(flatten)]
    pub(super) tree: TreeArguments,
    #[command(flatten)]
    pub(super) storage: StorageArguments,
    #[command(flatten)]
    pub(super) plugins: PluginArguments,
    #[command(flatten)]
    pub(super) messages: MessageArguments,
}

#[derive(Subcommand)]
pub(super) enum Subcommands {
    /// List all sources, in-tree and out-of-tree
    Plugin {
        #[command(subcommand)]
        command: Option<PluginSubcommands>,
    },
    /// Show all settings, and where each came from
    Config {
        #[command(subcommand)]
        command: Option<ConfigSubcommands>,
    },
}

#[derive(Subcommand)]
pub(super) enum ConfigSubcommands {
    /// Show all settings as a configuration file, secrets masked (the default)
    Show,
}

#[derive(Subcommand)]
pub(super) enum PluginSubcommands {
    /// List all sources (the default)
    List,
    /// Show one source in full
    Info {
        /// Its scheme
        name: String,
    },
    /// Write the sha256 of each plugin to the lock file
    Lock,
    /// Serve an in-tree source as a plugin, for a host of plugins that starts this
    Serve {
        /// Its scheme
        scheme: String,
        /// Serve without a host, for a debugger
        #[arg(long)]
        debug: bool,
    },
    /// Hold a plugin, in whatever language, to PROTOCOL.md
    #[command(after_help = VALIDATE_EXAMPLES)]
    Validate(ValidateArguments),
}

#[derive(Args)]
pub(super) struct ValidateArguments {
    /// The executable
    pub(super) path: PathBuf,
    /// A resource that exists, best of some MiB: without one most rules are skipped
    pub(super) url: Option<String>,
    /// A resource that does not exist
    #[arg(long, value_name = "URL")]
    pub(super) missing: Option<String>,
    /// A resource of no bytes
    #[arg(long, value_name = "URL")]
    pub(super) empty: Option<String>,
    /// A resource that is a directory
    #[arg(long, value_name = "URL")]
    pub(super) directory: Option<String>,
    /// Hand this option to the plugin; repeatable
    #[arg(long = "opt", value_name = "KEY=VALUE")]
    pub(super) options: Vec<String>,
    /// Make all time limits so many times as long, for a machine that is slow
    #[arg(long, value_name = "FACTOR", value_parser = values::factor, default_value = "1")]
    pub(super) patience: f64,
    /// Fail what the plugin SHOULD do, too
    #[arg(long)]
    pub(super) strict: bool,
    /// Write the report to this file as JUnit has it
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
}

#[derive(Args)]
#[command(next_help_heading = "Download")]
pub(super) struct DownloadArguments {
    /// What to download
    #[arg(value_name = "URL")]
    pub(super) positional: Vec<String>,
    /// What to download, as an option; repeatable
    #[arg(short, long, value_name = "URL")]
    pub(super) url: Vec<String>,
    /// Download what this file lists: a URL a line, and behind a space its output; `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    pub(super) input_file: Option<PathBuf>,
    /// Send this header to the storage; @FILE sends those of a file, a line each; repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(super) header: Vec<String>,
    /// Hand this option to the source; @FILE hands over those of a file, a line each; repeatable
    #[arg(long = "opt", value_name = "KEY=VALUE")]
    pub(super) options: Vec<String>,
    /// Download only these bytes: FIRST-LAST, counted from 0; FIRST-; or -N, the last N
    #[arg(long, value_name = "RANGE", value_parser = values::wanted, allow_hyphen_values = true)]
    pub(super) range: Option<Wanted>,
    /// Check the whole against this digest: md5, sha1, sha256, sha512, crc32 or blake3
    #[arg(long, value_name = "ALGORITHM:HEX")]
    pub(super) digest: Option<Expected>,
    /// Give up after this time in all, such as 90 or 5m; 0 never does
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(super) timeout: Option<Duration>,
    /// Give up when less than --speed-limit comes for this long; 0 never does
    #[arg(long, visible_alias = "stall-timeout", value_name = "TIME", value_parser = values::patience)]
    #[arg(default_value = "30s")]
    pub(super) speed_time: Duration,
    /// Bytes a second that are too slow
    #[arg(long, value_name = "RATE", value_parser = values::size, default_value = "1K")]
    pub(super) speed_limit: u64,
    /// Download at most so many bytes a second in all, such as 500K or 10M
    #[arg(long, visible_alias = "ratelimit", value_name = "RATE", value_parser = values::size)]
    pub(super) limit_rate: Option<u64>,
    /// Connections for one resource, where its source serves parts [default: up to 4, as long as it is slow]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) connections: Option<u16>,
    /// Fetch in parts of this size [default: chosen from the resource's]
    #[arg(long, value_name = "SIZE", value_parser = values::piece_length)]
    pub(super) piece_length: Option<u64>,
    /// Times that a part is tried without 1 MiB of it coming
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), default_value = "5")]
    pub(super) tries: u32,
    /// Start a plugin that dies anew so often before it delivers again
    #[arg(long, value_name = "N", default_value_t = RESTARTS)]
    pub(super) plugin_restarts: u32,
    /// Begin anew, whatever an earlier run has left
    #[arg(long)]
    pub(super) no_resume: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArguments {
    /// Where to: a file, or `-` for stdout; a directory for a tree or for several URLs [default: the URL's last
    /// segment, in the current directory]
    #[arg(short = 'O', long, value_name = "PATH")]
    pub(super) output: Option<PathBuf>,
    /// Name the output as the storage calls it, as by HTTP's Content-Disposition, where -O does not name it
    #[arg(short = 'J', long)]
    pub(super) remote_header_name: bool,
    /// Replace an existing output
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Download only if the source has another version than that of the output's time, and replace it; implies -R
    #[arg(short = 'N', long)]
    pub(super) if_modified: bool,
    /// Give the output the time at which the resource changed last
    #[arg(short = 'R', long)]
    pub(super) remote_time: bool,
    /// Write the bytes of --range where they are in the resource, with a hole before them
    #[arg(long, requires = "range")]
    pub(super) original_offset: bool,
    /// Neither check that there is room on the disk nor reserve it
    #[arg(long)]
    pub(super) no_preallocate: bool,
    /// Do not wait for the disk at the end
    #[arg(long)]
    pub(super) no_fsync: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Trees and many URLs")]
#[command(group(ArgGroup::new("walk").args(["recursive", "list"]).multiple(true)))]
pub(super) struct TreeArguments {
    /// Download all that is beneath the URL; what is there already and the same is left alone
    #[arg(short, long)]
    pub(super) recursive: bool,
    /// Print what is in the directory, and download nothing
    #[arg(short, long)]
    pub(super) list: bool,
    /// With -r, go so many levels deep
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "recursive")]
    pub(super) level: Option<u32>,
    /// Only files whose path in the tree fits this pattern, or whose name does if there is no `/` in it; repeatable
    #[arg(long, value_name = "GLOB", requires = "walk")]
    pub(super) include: Vec<Glob>,
    /// Neither files nor directories that fit this pattern; repeatable
    #[arg(long, value_name = "GLOB", requires = "walk")]
    pub(super) exclude: Vec<Glob>,
    /// Only files in whose URL this is found; repeatable
    #[arg(long, value_name = "REGEX", requires = "walk")]
    pub(super) accept_regex: Vec<Regex>,
    /// Neither files nor directories in whose URL this is found; repeatable
    #[arg(long, value_name = "REGEX", requires = "walk")]
    pub(super) reject_regex: Vec<Regex>,
    /// Stop after so many files
    #[arg(long, value_name = "N", requires = "walk")]
    pub(super) max_files: Option<u64>,
    /// Files at the same time
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), default_value = "16")]
    pub(super) jobs: u16,
    /// Print what would be downloaded, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Plugins")]
pub(super) struct PluginArguments {
    /// Use this file for this scheme; for development
    #[arg(long = "plugin", value_name = "SCHEME=PATH", value_parser = values::pinned, global = true)]
    pub(super) pinned: Vec<(String, PathBuf)>,
    /// Look for plugins here first, before DFGET_PLUGIN_DIR, ~/.dragonfly/plugins and /usr/local/dragonfly/plugins;
    /// repeatable
    #[arg(long = "plugin-dir", value_name = "DIR", global = true)]
    pub(super) directories: Vec<PathBuf>,
    /// Let plugins inherit this environment variable; repeatable
    #[arg(long = "plugin-env", value_name = "NAME", value_parser = values::variable, global = true)]
    pub(super) inherit: Vec<String>,
    /// How far plugins are confined: off; default, so that they can write to nothing of yours; or strict, so that they
    /// can read nothing of yours either, and have no network
    #[arg(long, value_name = "MODE", default_value = "default", global = true)]
    pub(super) sandbox: Sandbox,
    /// Use in-tree sources as plugins, too: each in a process of its own, which may crash and is started anew
    #[arg(long, global = true)]
    pub(super) isolate: bool,
    /// Speak TLS with plugins even on their private sockets
    #[arg(long, global = true)]
    pub(super) plugin_mtls: bool,
    /// Give up on a plugin that is not ready after this time; 0 never does
    #[arg(long, value_name = "TIME", value_parser = values::patience, default_value = "10s", global = true)]
    pub(super) plugin_start_timeout: Duration,
    /// Give up on a silent plugin that answers no health check in this time, where --speed-time is longer; 0 never does
    #[arg(long, value_name = "TIME", value_parser = values::patience, default_value = "1m", global = true)]
    pub(super) plugin_hang_timeout: Duration,
    /// Start plugins that are in this directory whoever could have written them; repeatable
    #[arg(long = "trust-plugin-dir", value_name = "DIR", global = true)]
    pub(super) trusted: Vec<PathBuf>,
    /// What to do about a plugin that is not the one of the lock file, if there is one: off, warn or enforce
    #[arg(long, value_name = "MODE", value_parser = values::lock_mode, default_value = "warn", global = true)]
    pub(super) plugin_lock: lock::Mode,
    /// Refuse a plugin that is not the one of the lock file, as --plugin-lock enforce does
    #[arg(long, global = true)]
    pub(super) locked: bool,
    /// The lock file [default: $XDG_CONFIG_HOME/dragonfly/plugins.lock, else /etc/dragonfly/plugins.lock]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) plugin_lock_file: Option<PathBuf>,
}

#[derive(Args)]
#[command(next_help_heading = "Messages")]
pub(super) struct MessageArguments {
    /// Print errors only
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Print more, plugins' own messages included; twice for all
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(super) verbose: u8,
    /// Print messages of this level and above: off, error, warn, info, debug, trace; NAME=LEVEL of the plugin NAME alone,
    /// as in info,share=debug; repeatable
    #[arg(long, value_name = "[NAME=]LEVEL", global = true)]
    pub(super) log_level: Vec<Levels>,
    /// Print JSON on stdout: of a download an object a line for all that happens, of a command one document
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Show no progress bar
    #[arg(long)]
    pub(super) no_progress: bool,
    /// Show a progress bar, which is the default on a terminal
    #[arg(short = 'b', long, overrides_with = "no_progress")]
    pub(super) show_progress: bool,
    /// Read settings from this file; '' reads none [default: $XDG_CONFIG_HOME/dragonfly/dfget.toml, else
    /// /etc/dragonfly/dfget.toml]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<OsString>,
}
