//! The command line: argv, and what is set elsewhere, becomes a [`Command`], values parsed, nothing done.

mod arguments;
mod config;
mod from_file;
mod levels;
mod network;
mod offered;
mod secrets;
mod storage;
mod values;

use std::{ffi::OsString, sync::Arc};

use tracing::level_filters::LevelFilter;

pub use self::config::Effective;
use self::{
    arguments::{
        Arguments, ConfigSubcommands, DownloadArguments, MessageArguments, OutputArguments, PluginArguments,
        PluginSubcommands, Subcommands, TreeArguments, ValidateArguments,
    },
    config::{Origin, Parsed, Refused, Surroundings},
    levels::Levels,
};
use crate::{
    batch::{Action, Batch, Wish},
    download::{Settings, Wanted},
    error::Error,
    escape,
    limit::SlowLimit,
    output::{OutputOptions, Target},
    plugin::{self, Verbosity, discover::SearchPath, lock},
    registry::SourceOptions,
    report::Style,
    source::InTree,
    tree::{Filter, TreeOptions},
    url::ResourceUrl,
    validation::Subject,
};

/// What the user wants done, and how.
pub struct Opts {
    /// The thing itself.
    pub command: Command,
    /// What the sources are told.
    pub options: SourceOptions,
    /// Where plugins are.
    pub search: SearchPath,
    /// How they are started.
    pub plugins: plugin::Settings,
    /// What dfget logs.
    pub log_level: LevelFilter,
    /// What there is to warn of, once there is a log.
    pub warnings: Vec<String>,
    /// How it tells what it does.
    pub style: Style,
}

/// The thing that is to be done.
pub enum Command {
    /// `dfget URL…`
    Download(Box<Batch>),
    /// `dfget plugin`
    List,
    /// `dfget plugin info NAME`
    Info {
        /// The scheme.
        name: String,
    },
    /// `dfget plugin lock`
    Lock,
    /// `dfget plugin serve SCHEME`: not the work of a host at all.
    Serve {
        /// Of an in-tree source, if there is one.
        scheme: String,
    },
    /// `dfget plugin validate PATH`
    Validate(Box<Subject>),
    /// `dfget config`
    ShowSettings(Box<Effective>),
}

impl Opts {
    /// Parses the command line of this process, with its `DFGET_*` variables and the configuration file; `--help`,
    /// `--version` and mistakes end it, as clap does.
    ///
    /// # Errors
    ///
    /// * [`Error::Usage`]: it parses, and makes no sense; so does a variable or the file
    pub fn parse() -> Result<Self, Error> {
        let words: Vec<OsString> = std::env::args_os().collect();
        let surroundings = if is_to_serve(&words) { Surroundings::default() } else { Surroundings::of_process() };
        Self::read(&words, &surroundings).map_err(|refused| match refused {
            Refused::ByClap(error) => error.exit(),
            Refused::BySense(error) => error,
        })
    }

    fn read(words: &[OsString], surroundings: &Surroundings) -> Result<Self, Refused> {
        let mut parsed = Parsed::read(words, surroundings)?;
        from_file::refuse_two_on_stdin(&parsed.arguments)?;
        let of_all = from_file::lines("--opt", &parsed.arguments.download.options)?;
        let mut all = parse_all("--opt", &of_all, values::pair)?;
        if let Some(Subcommands::Plugin { command: Some(PluginSubcommands::Validate(validate)) }) =
            &parsed.arguments.command
        {
            all.extend(parse_all("--opt", &validate.options, values::pair)?);
        }
        let all = all.into_iter().collect();
        let mut options = SourceOptions { all, by_scheme: parsed.sources(), ..SourceOptions::default() };
        if parsed.arguments.command.is_none() {
            let (network, storage) = (parsed.arguments.network.options()?, parsed.arguments.storage.options());
            offered::tell(network.into_iter().chain(storage), &mut options, &parsed);
        }
        let rules = parsed.rules()?;
        let origin_of_levels = parsed.origin("log-level");
        let command = parsed.arguments.command.take().map(|command| command_of(command, &parsed)).transpose()?;
        let mut opts = Self::from_arguments(parsed.arguments, command, options)?;
        opts.plugins.rules = rules;
        // What is locked is files.
        if !matches!(opts.command, Command::Lock) {
            opts.search.attached = surroundings.attached()?;
        }
        opts.check_levels(&origin_of_levels)?;
        if opts.plugins.lock.files.is_empty() {
            opts.plugins.lock.files = surroundings.lock_files();
        }
        Ok(opts)
    }

    fn from_arguments(arguments: Arguments, command: Option<Command>, options: SourceOptions) -> Result<Self, Error> {
        let Arguments { download, output, tree, plugins, messages, network: _, storage: _, command: _ } = arguments;
        let levels = Levels::of(&messages.log_level);
        let verbosity =
            Verbosity { all: levels.all.unwrap_or(level_of(&messages, LevelFilter::OFF)), by_scheme: levels.by_scheme };
        let settings = plugin::Settings {
            verbosity,
            call_timeout: download.speed_time,
            stall_timeout: download.speed_time,
            restarts: download.plugin_restarts,
            ..settings_of(&plugins)
        };
        let style =
            Style { bars: !messages.quiet && !messages.no_progress, summary: !messages.quiet, json: messages.json };
        Ok(Self {
            command: match command {
                Some(command) => command,
                None => Command::Download(Box::new(batch(download, &output, tree, messages.json)?)),
            },
            options,
            search: search_of(plugins),
            plugins: settings,
            log_level: levels.all.unwrap_or(level_of(&messages, LevelFilter::WARN)),
            warnings: Vec::new(),
            style,
        })
    }
}

impl Opts {
    /// A name that no plugin has is a mistake where it was typed, and may be for another machine where it was set.
    fn check_levels(&mut self, origin: &Origin) -> Result<(), Error> {
        let is_plugin = |name: &str| {
            self.search.find(name).is_some() || (self.plugins.isolates(name) && InTree::of(name).is_some())
        };
        for name in self.plugins.verbosity.by_scheme.keys().filter(|name| !is_plugin(name)) {
            let fact = format!("{}: there is no plugin `{name}`", origin.subject("log-level"));
            match origin {
                Origin::CommandLine => return Err(usage(fact, "`dfget plugin` lists what is installed")),
                _ => self.warnings.push(fact),
            }
        }
        Ok(())
    }
}

/// Whether this is a plugin, whose host has told its environment and will tell its options: no setting of dfget's holds.
fn is_to_serve(words: &[OsString]) -> bool {
    words.iter().skip(1).take(2).eq(["plugin", "serve"])
}

fn settings_of(plugins: &PluginArguments) -> plugin::Settings {
    let named = plugins.plugin_lock_file.clone();
    let mode = if plugins.locked { lock::Mode::Enforce } else { plugins.plugin_lock };
    plugin::Settings {
        inherit: plugins.inherit.clone(),
        trusted: plugins.trusted.clone(),
        lock: lock::Rule { mode, is_named: named.is_some(), files: named.into_iter().collect() },
        isolate: plugins.isolate,
        mtls: plugins.plugin_mtls,
        start_timeout: plugins.plugin_start_timeout,
        sandbox: plugins.sandbox,
        hang_timeout: plugins.plugin_hang_timeout,
        ..plugin::Settings::default()
    }
}

fn search_of(plugins: PluginArguments) -> SearchPath {
    // Schemes are compared in lower case, as URLs have them.
    let pinned = plugins.pinned.into_iter().map(|(scheme, path)| (scheme.to_ascii_lowercase(), path));
    SearchPath::new(pinned.collect(), plugins.directories)
}

fn level_of(messages: &MessageArguments, default: LevelFilter) -> LevelFilter {
    match messages.verbose {
        _ if messages.quiet => LevelFilter::ERROR.min(default),
        0 => default,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    }
}

fn command_of(command: Subcommands, parsed: &Parsed) -> Result<Command, Error> {
    let Arguments { download, .. } = &parsed.arguments;
    match command {
        Subcommands::Config { command: None | Some(ConfigSubcommands::Show) } => {
            Ok(Command::ShowSettings(Box::new(parsed.effective())))
        }
        Subcommands::Plugin { .. } if !download.url.is_empty() || !download.positional.is_empty() => {
            Err(usage("there are a URL and a command", "dfget URL, or dfget plugin"))
        }
        Subcommands::Plugin { command: None | Some(PluginSubcommands::List) } => Ok(Command::List),
        Subcommands::Plugin { command: Some(PluginSubcommands::Info { name }) } => Ok(Command::Info { name }),
        Subcommands::Plugin { command: Some(PluginSubcommands::Lock) } => Ok(Command::Lock),
        // `serve` looks for --debug itself.
        Subcommands::Plugin { command: Some(PluginSubcommands::Serve { scheme, debug: _ }) } => {
            Ok(Command::Serve { scheme })
        }
        Subcommands::Plugin { command: Some(PluginSubcommands::Validate(validate)) } => {
            Ok(Command::Validate(Box::new(subject(validate)?)))
        }
    }
}

fn subject(arguments: ValidateArguments) -> Result<Subject, Error> {
    let ValidateArguments { path, url, missing, empty, directory, options: _, patience, strict, junit } = arguments;
    let parsed = |text: Option<String>| text.map(|text| resource(&text)).transpose();
    let (url, missing) = (parsed(url)?, parsed(missing)?);
    let (empty, directory) = (parsed(empty)?, parsed(directory)?);
    Ok(Subject { path, url, missing, empty, directory, patience, strict, junit })
}

fn batch(
    download: DownloadArguments,
    output: &OutputArguments,
    tree: TreeArguments,
    json: bool,
) -> Result<Batch, Error> {
    let wishes = download.url.iter().chain(&download.positional).map(|text| wish(text));
    let wishes: Vec<Wish> = wishes.collect::<Result<_, Error>>()?;
    if wishes.is_empty() && download.input_file.is_none() {
        return Err(usage("there is no URL to download", "dfget URL, or `dfget --help`"));
    }
    let several = wishes.len() > 1 || download.input_file.is_some() || tree.recursive;
    let target = output.output.as_ref().map(|path| match path {
        path if path.as_os_str() == "-" => Target::Stdout,
        path => Target::File(path.clone()),
    });
    refuse_contradictions(&download, &tree, target.as_ref(), several, json)?;
    let remote_name = output.remote_header_name && !tree.recursive && (several || target.is_none());
    if remote_name && (output.overwrite || output.if_modified) {
        let fact = "with -J the storage chooses the name, and --overwrite and -N replace what has it already";
        return Err(usage(fact, "name the output with -O, or leave the others out"));
    }
    Ok(Batch {
        wishes,
        target,
        action: action_of(&tree),
        output: output_options(output, several),
        if_modified: output.if_modified,
        remote_name,
        settings: Arc::new(download_settings(&download, output)?),
        jobs: tree.jobs.into(),
        tree: tree_options(tree)?,
        limit_rate: download.limit_rate,
        timeout: download.timeout.filter(|limit| !limit.is_zero()),
        input_file: download.input_file,
    })
}

fn action_of(tree: &TreeArguments) -> Action {
    match tree {
        _ if tree.list => Action::List,
        _ if tree.dry_run => Action::DryRun,
        _ => Action::Download,
    }
}

fn output_options(output: &OutputArguments, several: bool) -> OutputOptions {
    OutputOptions {
        overwrite: output.overwrite,
        no_fsync: output.no_fsync,
        no_preallocate: output.no_preallocate,
        // What is there already is known by its time.
        remote_time: output.remote_time || output.if_modified || several,
    }
}

fn download_settings(download: &DownloadArguments, output: &OutputArguments) -> Result<Settings, Error> {
    Ok(Settings {
        header: parse_all("-H", &from_file::lines("-H", &download.header)?, values::header)?,
        wanted: download.range.unwrap_or_default(),
        original_offset: output.original_offset,
        connections: download.connections.map(usize::from),
        piece_length: download.piece_length,
        resume: !download.no_resume,
        tries: download.tries,
        restarts: download.plugin_restarts,
        slow: SlowLimit { rate: download.speed_limit, time: download.speed_time },
        digest: download.digest.clone(),
    })
}

fn tree_options(tree: TreeArguments) -> Result<TreeOptions, Error> {
    Ok(TreeOptions {
        recursive: tree.recursive,
        level: tree.level,
        max_files: tree.max_files,
        filter: Filter::new(&tree.include, &tree.exclude, tree.accept_regex, tree.reject_regex)
            .map_err(|error| usage(format!("the patterns cannot be used: {error}"), "use fewer of them"))?,
    })
}

fn refuse_contradictions(
    download: &DownloadArguments,
    tree: &TreeArguments,
    target: Option<&Target>,
    several: bool,
    json: bool,
) -> Result<(), Error> {
    let to_stdout = target == Some(&Target::Stdout);
    let one_only = "it goes with one URL, and without -r";
    match () {
        () if to_stdout && json => {
            Err(usage("-O - and --json both want stdout", "name a file with -O, or leave --json out"))
        }
        () if to_stdout && tree.recursive => Err(usage("a tree cannot be printed", "name a directory with -O")),
        () if to_stdout && several => {
            Err(usage("several resources cannot be printed", "name a directory with -O, or print them one by one"))
        }
        () if several && download.digest.is_some() => Err(usage("--digest is of one resource", one_only)),
        () if several && download.range.as_ref().is_some_and(|range| *range != Wanted::default()) => {
            Err(usage("--range is of one resource", one_only))
        }
        () => Ok(()),
    }
}

fn wish(text: &str) -> Result<Wish, Error> {
    Ok(Wish { url: resource(text)?, output: None })
}

fn resource(text: &str) -> Result<ResourceUrl, Error> {
    text.parse::<ResourceUrl>().map_err(|error| {
        let shown = escape::printable(crate::url::without_secrets(text));
        usage(format!("`{shown}` is no URL: {error}"), "a URL is SCHEME://HOST/PATH")
    })
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
    use plugin_sdk::Options;

    use super::*;

    fn parse(line: &str) -> Result<Opts, String> {
        let words: Vec<_> = std::iter::once("dfget").chain(line.split_whitespace()).map(OsString::from).collect();
        Opts::read(&words, &Surroundings::default()).map_err(|error| error.to_string())
    }

    fn batch(line: &str) -> Batch {
        match parse(line).map(|opts| opts.command) {
            Ok(Command::Download(batch)) => *batch,
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
        assert_eq!(batch("x://h/a").wishes, batch("-u x://h/a").wishes);
        assert_eq!(batch("x://h/a").target, None);
        assert_eq!(batch("x://h/a -O b").target, Some(Target::File("b".into())));
        assert_eq!(batch("-b x://h/a -O -").target, Some(Target::Stdout));
        assert_eq!(batch("-u x://h/a x://h/b").wishes.len(), 2);
    }

    #[test]
    fn the_names_that_dragonfly_gives_options_of_stores_are_known() {
        let line = "s3://b/k --storage-endpoint http://h --storage-access-key-id me --hdfs-delegation-token t \
                    --storage-insecure-skip-verify";
        let opts = parse(line).map_err(|error| panic!("{error}")).unwrap();
        let offered: Vec<_> = opts.options.insisted.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(offered, ["access-key-id=me", "delegation-token=t", "endpoint=http://h", "insecure=true"]);
        assert_eq!(opts.secrets()[..2], ["me", "t"]);
    }

    #[test]
    fn contradictions_are_refused() {
        for line in [
            "x://h/a -O - --json",
            "x://h/a x://h/b -O -",
            "-r x://h/a -O -",
            "-r x://h/a --range 0-1",
            "x://h/a x://h/b --digest crc32:00000000",
            "x://h/a --original-offset",
            "x://h/a -J --overwrite",
            "x://h/a -JN",
            "x://h/a --level 2",
            "x://h/a --include *.rs",
            "x://h/a --reject-regex b",
            "x://h/a --max-files 1",
            "-u x://h/a plugin",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert_eq!(batch("x://h/a --timeout 0").timeout, None);
        assert_eq!(batch("x://h/a --range -5").settings.wanted, Wanted::Last(5));
    }

    #[test]
    fn options_and_headers_are_taken_apart() {
        let line = "x://h/a --opt root=/a=b --opt empty= -H Accept:text";
        assert_eq!(
            parse(line).unwrap().options.all,
            Options::from([("root".into(), "/a=b".into()), ("empty".into(), String::new())])
        );
        assert_eq!(batch(line).settings.header, [("Accept".to_owned(), "text".to_owned())]);
        assert!(parse("x://h/a --opt secret").is_err());
    }

    #[test]
    fn plugin_lists_by_default() {
        for line in ["plugin", "plugin list", "--plugin-dir /a plugin", "plugin --plugin-dir /a -v"] {
            assert!(matches!(parse(line).unwrap().command, Command::List), "{line}");
        }
        assert!(parse("plugin --json").unwrap().style.json);
        let info = parse("plugin info x --json").unwrap();
        assert!(matches!(info.command, Command::Info { .. }) && info.style.json);
    }

    #[test]
    fn a_plugin_is_validated_with_its_resources_and_options() {
        let line = "plugin validate ./p x://u:pw@h/a --missing x://h/b --opt root=/srv/test --patience 2.5 --strict";
        let opts = parse(line).unwrap();
        let Command::Validate(subject) = &opts.command else { panic!("another command") };
        assert_eq!(subject.urls().map(ResourceUrl::as_str).collect::<Vec<_>>(), ["x://u:pw@h/a", "x://h/b"]);
        assert_eq!((subject.patience, subject.strict, &subject.junit), (2.5, true, &None));
        assert_eq!(opts.options.all["root"], "/srv/test");
        for secret in ["/srv/test", "pw"] {
            assert!(opts.secrets().contains(&secret.to_owned()), "{secret}");
        }
        for line in ["plugin validate", "plugin validate p nonsense", "plugin validate p x://h/a --patience 0"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(parse("").err().unwrap(), "there is no URL to download");
        assert_eq!(parse("host/a").err().unwrap(), "`host/a` is no URL: it has no scheme, such as `https://`");
    }
}
