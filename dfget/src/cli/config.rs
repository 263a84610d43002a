//! What is set elsewhere than on the command line: by variables, and in a file.
//!
//! * `file`: which one it is
//! * `document`: what is in it
//! * `rules`: what is in it of plugins, and for dfget alone
//! * `given`: a value, and where it was set
//! * `variables`: `DFGET_*`
//! * `effective`: what came of it all, and from where; the only one that is shown, secrets masked
//!
//! clap is given all of it as default values. So it has the forms of the command line, which wins over it, and nothing
//! else need be there for it: a `level` in a file does not force `-r` on every download.

mod document;
mod effective;
mod file;
mod given;
mod rules;
mod variables;

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use clap::{
    Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches,
    builder::BoolishValueParser,
    error::{ContextKind, ContextValue},
    parser::ValueSource,
};
use plugin_sdk::Options;

pub use self::effective::Effective;
use self::given::Given;
pub(super) use self::{given::Origin, variables::Surroundings};
use super::{arguments::Arguments, levels};
use crate::{error::Error, plugin::Rules};

/// They have no key: the first names the file, the others do something else altogether.
const NO_SETTINGS: [&str; 3] = ["config", "help", "version"];

/// Of its levels only the one for all yields.
const LOG_LEVEL: &str = "log-level";

/// Settings that answer the same question: the first yields where one of the others was given nearer.
const YIELDS: [(&str, &[&str]); 6] = [
    ("locked", &["plugin-lock"]),
    ("quiet", &["verbose"]),
    (LOG_LEVEL, &["quiet", "verbose"]),
    ("no-progress", &["show-progress"]),
    ("url", &["input-file", URL_OR_COMMAND]),
    ("input-file", &["url", URL_OR_COMMAND]),
];

/// What stands on the command line without a `--`.
const URL_OR_COMMAND: &str = "";

/// All that variables and the file say.
#[derive(Debug, Default)]
struct Configuration {
    file: Option<PathBuf>,
    /// By the long name of the option.
    given: BTreeMap<String, Given>,
    /// What `[source.NAME]` has, one value each.
    sources: BTreeMap<String, BTreeMap<String, Given>>,
    /// What else it has: dfget's own.
    rules: BTreeMap<String, BTreeMap<String, Given>>,
}

/// The command line with everything that was set elsewhere.
pub(super) struct Parsed {
    pub(super) arguments: Arguments,
    configuration: Configuration,
    command: Command,
    matches: ArgMatches,
}

/// Why there is nothing to do, or not that.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// clap says it itself, help and version included.
    #[error(transparent)]
    ByClap(#[from] clap::Error),
    #[error(transparent)]
    BySense(#[from] Error),
}

impl Parsed {
    pub(super) fn read(words: &[OsString], surroundings: &Surroundings) -> Result<Self, Refused> {
        let command = Arguments::command();
        match Configuration::load(&command, words, surroundings) {
            Ok(configuration) => configuration.parse(command, words),
            // `--help` is there also for those whose file makes no sense.
            Err(error) => Configuration::default().parse(command, words).and(Err(error.into())),
        }
    }

    /// What each scheme's source is told.
    pub(super) fn sources(&self) -> BTreeMap<String, Options> {
        let option = |(key, given): (&String, &Given)| (key.clone(), given.text());
        let sources = self.configuration.sources.iter();
        sources.map(|(scheme, options)| (scheme.clone(), options.iter().map(option).collect())).collect()
    }

    /// What each scheme's plugin may do.
    pub(super) fn rules(&self) -> Result<BTreeMap<String, Rules>, Error> {
        let rules = self.configuration.rules.iter();
        rules.map(|(scheme, given)| Ok((scheme.clone(), rules::read(given)?))).collect()
    }

    /// Where this setting came from.
    pub(super) fn origin(&self, key: &str) -> Origin {
        let arg = find(&self.command, key);
        arg.map_or(Origin::BuiltIn, |arg| self.configuration.origin(arg, key, &self.matches))
    }

    /// All settings, fit to be shown.
    pub(super) fn effective(&self) -> Effective {
        Effective::new(&self.configuration, &self.command, &self.matches)
    }
}

impl Configuration {
    fn load(command: &Command, words: &[OsString], surroundings: &Surroundings) -> Result<Self, Error> {
        let mut configuration = match file::find(words, surroundings)? {
            Some((path, text)) => document::parse(command, &path, &text)?,
            None => Self::default(),
        };
        configuration.given.extend(surroundings.settings(command)?);
        Ok(configuration)
    }

    fn parse(mut self, command: Command, words: &[OsString]) -> Result<Parsed, Refused> {
        let mut command = self.adapt(command, words);
        let matches = command.try_get_matches_from_mut(words).map_err(|error| self.blame(error))?;
        let yielding = self.yielding(&command, &matches);
        if !yielding.is_empty() {
            self.given.retain(|key, given| !yielding.contains(&key.as_str()) || has_more_than_yields(key, given));
            return self.parse(Arguments::command(), words);
        }
        let arguments = Arguments::from_arg_matches(&matches)?;
        Ok(Parsed { arguments, configuration: self, command, matches })
    }

    fn adapt(&self, command: Command, words: &[OsString]) -> Command {
        command.mut_args(|arg| {
            let given = key(&arg).and_then(|key| self.given.get(key)).cloned();
            let arg = if has_a_value(&arg, words) { with_a_value(arg) } else { arg };
            let is_valued = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
            match given {
                // `--help` would show it, and it may be a secret.
                Some(Given { values, .. }) => arg.default_values(values).hide_default_value(is_valued),
                None => arg,
            }
        })
    }

    /// The keys that are not to count.
    fn yielding(&self, command: &Command, matches: &ArgMatches) -> Vec<&'static str> {
        let rank = |key: &str| match key {
            URL_OR_COMMAND if matches.contains_id("positional") || is_of_plugins(matches) => 0,
            URL_OR_COMMAND => u8::MAX,
            key => find(command, key).map_or(u8::MAX, |arg| self.weight(arg, key, matches)),
        };
        let yields = |key: &str, others: &[&str]| {
            let given = self.given.get(key).filter(|given| key != LOG_LEVEL || has_a_level_for_all(given));
            given.is_some_and(|given| others.iter().any(|other| rank(other) < given.origin.rank()))
        };
        YIELDS.into_iter().filter(|(key, others)| yields(key, others)).map(|(key, _)| key).collect()
    }

    fn weight(&self, arg: &Arg, key: &str, matches: &ArgMatches) -> u8 {
        let is_off = matches.get_raw(arg.get_id().as_str()).is_some_and(|mut raw| raw.all(|value| value == "false"));
        if is_off { u8::MAX } else { self.origin(arg, key, matches).rank() }
    }

    fn origin(&self, arg: &Arg, key: &str, matches: &ArgMatches) -> Origin {
        match matches.value_source(arg.get_id().as_str()) {
            Some(ValueSource::CommandLine) => Origin::CommandLine,
            _ => self.given.get(key).map_or(Origin::BuiltIn, |given| given.origin.clone()),
        }
    }

    /// clap names the option that a refused value was for: where the value came from is what its user can mend.
    fn blame(&self, error: clap::Error) -> Refused {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let argument = text(ContextKind::InvalidArg).unwrap_or_default().trim_start_matches("--");
        let key = argument.split([' ', '=', '[']).next().unwrap_or_default();
        let value = text(ContextKind::InvalidValue);
        match self.given.get(key).zip(value) {
            Some((given, value)) if given.values.iter().any(|own| own == value) => {
                let why = std::error::Error::source(&error).map_or_else(|| "it is empty".into(), ToString::to_string);
                given.origin.refuse(key, &why).into()
            }
            _ => error.into(),
        }
    }
}

fn has_a_level_for_all(given: &Given) -> bool {
    given.values.iter().any(|value| levels::without_that_for_all(&value.to_string_lossy()).is_some())
}

/// Takes from a setting what yields; whether anything is left of it.
fn has_more_than_yields(key: &str, given: &mut Given) -> bool {
    if key != LOG_LEVEL {
        return false;
    }
    for value in &mut given.values {
        if let Some(named) = levels::without_that_for_all(&value.to_string_lossy()) {
            *value = named.into();
        }
    }
    given.values.retain(|value| !value.is_empty());
    !given.values.is_empty()
}

/// By which an option is set in a file: its long name.
fn key(arg: &Arg) -> Option<&str> {
    arg.get_long().filter(|name| !NO_SETTINGS.contains(name))
}

/// The option that has this name, or had it in another program.
fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| key(arg).is_some() && names(arg).any(|own| own == name))
}

fn names(arg: &Arg) -> impl Iterator<Item = &str> {
    key(arg).into_iter().chain(arg.get_visible_aliases().unwrap_or_default())
}

/// `dfget plugin`, for which a URL would be one too many. `dfget config` shows it.
fn is_of_plugins(matches: &ArgMatches) -> bool {
    matches.subcommand_name() == Some("plugin")
}

/// `--overwrite=false`, against a file that has `overwrite = true`.
fn has_a_value(arg: &Arg, words: &[OsString]) -> bool {
    let name = arg.get_long().filter(|_| matches!(arg.get_action(), ArgAction::SetTrue));
    name.is_some_and(|name| {
        let start = format!("--{name}=");
        words.iter().any(|word| word.as_encoded_bytes().starts_with(start.as_bytes()))
    })
}

fn with_a_value(switch: Arg) -> Arg {
    let switch =
        switch.action(ArgAction::Set).num_args(0..=1).require_equals(true).value_parser(BoolishValueParser::new());
    switch.default_missing_value("true").default_value("false")
}

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;

    use super::*;
    use crate::{
        cli::{arguments::DownloadArguments, levels::Levels},
        error::Explained,
    };

    /// What `dfget LINE` has, with these variables and a file with this text.
    fn read(line: &str, variables: &[(&str, &str)], text: &str) -> Result<Parsed, String> {
        let words: Vec<OsString> = ["dfget"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        let surroundings = Surroundings { variables, files: vec!["/nowhere".into(), file.path().into()] };
        Parsed::read(&words, &surroundings).map_err(|refused| {
            let text = match refused {
                Refused::BySense(error) => Explained(&error).to_string(),
                Refused::ByClap(error) => error.to_string(),
            };
            text.replace(&file.path().display().to_string(), "FILE")
        })
    }

    fn arguments(line: &str, variables: &[(&str, &str)], text: &str) -> Arguments {
        read(line, variables, text).map_err(|error| panic!("{error}")).unwrap().arguments
    }

    fn refused(line: &str, variables: &[(&str, &str)], text: &str) -> String {
        read(line, variables, text).err().unwrap()
    }

    #[test]
    fn the_command_line_wins_over_variables_and_they_over_the_file() {
        let tries = |line, variables: &[_], text| arguments(line, variables, text).download.tries;
        assert_eq!(tries("", &[], ""), 5);
        assert_eq!(tries("", &[], "tries = 2"), 2);
        assert_eq!(tries("", &[("TRIES", "3")], "tries = 2"), 3);
        assert_eq!(tries("--tries 4", &[("TRIES", "3")], "tries = 2"), 4);
        assert_eq!(tries("", &[("TRIES", "")], "tries = 2"), 2);
        assert_eq!(tries("--config=", &[("TRIES", "3")], "tries = 2"), 3);
        assert_eq!(tries("--config=", &[], "tries = 2"), 5);
        assert_eq!(tries("", &[("CONFIG", "")], "tries = 2"), 5);
    }

    #[test]
    fn a_switch_can_be_turned_off_again() {
        let overwrite = |line, variables: &[_]| arguments(line, variables, "overwrite = true").output.overwrite;
        assert!(overwrite("", &[]) && overwrite("--overwrite", &[]) && overwrite("--overwrite=true", &[]));
        assert!(!overwrite("", &[("OVERWRITE", "0")]));
        assert!(!overwrite("--overwrite=false -q", &[("OVERWRITE", "yes")]));
        assert!(!arguments("--overwrite=false", &[], "").output.overwrite);
    }

    #[test]
    fn repeatable_options_are_replaced_and_not_added_to() {
        let include = |line, variables: &[_]| {
            let include = arguments(line, variables, "include = [\"*.a\", \"*.b\"]").tree.include;
            include.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(include("", &[]), ["*.a", "*.b"]);
        assert_eq!(include("", &[("INCLUDE", "*.c")]), ["*.c"]);
        assert_eq!(include("-r --include *.d", &[("INCLUDE", "*.c")]), ["*.d"]);
    }

    #[test]
    fn other_names_of_an_option_are_names_of_its_setting() {
        assert_eq!(arguments("", &[], "ratelimit = 7").download.limit_rate, Some(7));
        assert_eq!(arguments("", &[("RATELIMIT", "8")], "ratelimit = 7").download.limit_rate, Some(8));
    }

    #[test]
    fn what_an_option_requires_need_not_be_there_for_a_setting() {
        let arguments = arguments("x://h/a", &[("LEVEL", "2"), ("ORIGINAL_OFFSET", "true")], "");
        assert_eq!((arguments.tree.level, arguments.output.original_offset), (Some(2), true));
    }

    #[test]
    fn the_nearer_one_of_two_that_contradict_each_other_holds() {
        let quiet = |line, variables: &[_]| arguments(line, variables, "quiet = true").messages.quiet;
        assert!(quiet("", &[]) && quiet("--quiet", &[]) && quiet("", &[("QUIET", "1"), ("VERBOSE", "1")]));
        assert!(!quiet("-v", &[]) && !quiet("", &[("VERBOSE", "1")]));
        let text = "log-level = [\"warn,a=debug\", \"info\"]";
        let level = |line| Levels::of(&arguments(line, &[], text).messages.log_level);
        assert!([level(""), level("--quiet=false")].iter().all(|level| level.all == Some(LevelFilter::INFO)));
        assert!([level("-v"), level("-q")].iter().all(|level| level.all.is_none()));
        assert!([level(""), level("-v")].iter().all(|level| level.by_scheme["a"] == LevelFilter::DEBUG));
        assert_eq!(level("--log-level error").by_scheme.len(), 0);
        let no_progress = |line| arguments(line, &[], "no-progress = true").messages.no_progress;
        assert!(no_progress("") && !no_progress("-b") && no_progress("--no-progress"));
    }

    #[test]
    fn what_is_to_be_downloaded_is_said_in_one_place() {
        let text = "url = \"x://h/a\"\ninput-file = \"list\"";
        let wanted = |line| {
            let DownloadArguments { url, positional, input_file, .. } = arguments(line, &[], text).download;
            (url.len() + positional.len(), input_file.is_some())
        };
        assert_eq!(wanted(""), (1, true));
        assert_eq!(wanted("x://h/b"), (1, false));
        assert_eq!(wanted("-u x://h/b"), (1, false));
        assert_eq!(wanted("-i other"), (0, true));
        assert_eq!(wanted("plugin"), (0, false));
        assert_eq!(wanted("config"), (1, true));
    }

    #[test]
    fn a_value_that_makes_no_sense_is_told_with_its_place() {
        assert_eq!(
            refused("", &[], "\nlimit-rate = \"fast\""),
            "dfget: FILE:2: `limit-rate`: `fast` is not one of K, M, G, T
  hint: `dfget --help` shows the form of --limit-rate"
        );
        assert_eq!(
            refused("", &[("CONNECTIONS", "0")], ""),
            "dfget: DFGET_CONNECTIONS: 0 is not in 1..=256
  hint: `dfget --help` shows the form of --connections"
        );
        assert!(refused("--limit-rate slow", &[], "limit-rate = 1").contains("invalid value 'slow' for '--limit-rate"));
        assert!(
            refused("", &[], "header = [\"s3cret\"]").starts_with("dfget: FILE:1: `header`: there is no `:` in it")
        );
        assert!(refused("", &[("OPT", "s3cret")], "").starts_with("dfget: DFGET_OPT: there is no `=` in it"));
    }

    #[test]
    fn help_is_there_whatever_the_file_says_and_tells_nothing_of_it() {
        assert!(refused("--help", &[], "nonsense").contains("Usage: dfget"));
        let help = refused("--help", &[], "header = [\"A: s3cret\"]\nlimit-rate = \"77M\"\noverwrite = true");
        assert!(help.contains("--header") && !help.contains("s3cret") && !help.contains("77M"), "{help}");
    }

    #[test]
    fn the_sections_of_sources_are_their_options() {
        let text = "[source.OSS]\nregion = \"a\"\npart = 0x10\nratio = 0.5\nssl = true\n[source.share]\nroot = \"/\"";
        let sources = read("", &[], text).map_err(|error| panic!("{error}")).unwrap().sources();
        let pairs = |scheme: &str| sources[scheme].iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
        assert_eq!(pairs("oss"), ["part=16", "ratio=0.5", "region=a", "ssl=true"]);
        assert_eq!(pairs("share"), ["root=/"]);
    }
}
