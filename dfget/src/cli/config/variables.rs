//! `DFGET_*`: a variable an option, one value each.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use clap::{Arg, ArgAction, Command};

use super::{Given, Origin, key, names};
use crate::{
    cli::usage,
    error::Error,
    plugin::reattach::{self, Attachment},
};

const PREFIX: &str = "DFGET_";

/// Where `dfget.toml` is in each directory of configurations.
const IN_CONFIG_HOME: &str = "dragonfly/dfget.toml";

const OF_THE_SYSTEM: &str = "/etc/dragonfly/dfget.toml";

/// A list like PATH, searched after the directories of `--plugin-dir`: `SearchPath` reads it.
const OF_ANOTHER_MEANING: &str = "plugin-dir";

/// What a debugger stops may take its time, however long that is, unless the user says otherwise here and now.
const PATIENT: [&str; 2] = ["speed-time", "plugin-hang-timeout"];

/// What is around this process and may hold settings.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// By what follows `DFGET_`.
    pub(super) variables: BTreeMap<String, OsString>,
    /// The files that are looked for if none is named; the first one there is counts.
    pub(super) files: Vec<PathBuf>,
}

impl Surroundings {
    pub(crate) fn of_process() -> Self {
        let name = |name: &OsStr| name.to_str()?.strip_prefix(PREFIX).map(str::to_owned);
        let variables = env::vars_os().filter_map(|(full, value)| Some((name(&full)?, value))).collect();
        let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
        let files = home.map(|home| home.join(IN_CONFIG_HOME)).into_iter().chain([OF_THE_SYSTEM.into()]);
        Self { variables, files: files.collect() }
    }

    /// Where the lock file is looked for: beside each file of settings.
    pub(crate) fn lock_files(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.with_file_name("plugins.lock")).collect()
    }

    /// The plugins that run already, by scheme.
    ///
    /// # Errors
    ///
    /// * [`Error::Usage`]: their variable makes no sense
    pub(crate) fn attached(&self) -> Result<BTreeMap<String, Attachment>, Error> {
        let Some(value) = self.reattach() else { return Ok(BTreeMap::new()) };
        let parsed = value.to_str().ok_or_else(|| "it is no UTF-8".to_owned()).and_then(reattach::parse);
        parsed.map_err(|why| {
            let hint = "it is what a plugin prints that was started with --debug; docs/DEBUGGING.md shows it";
            usage(format!("{}: {why}", reattach::VARIABLE), hint)
        })
    }

    fn reattach(&self) -> Option<&OsString> {
        let name = reattach::VARIABLE.strip_prefix(PREFIX)?;
        self.variables.get(name).filter(|value| !value.is_empty())
    }

    /// What the variables say. An empty one says nothing.
    pub(super) fn settings(&self, command: &Command) -> Result<BTreeMap<String, Given>, Error> {
        if self.variables.is_empty() {
            return Ok(BTreeMap::new());
        }
        let keys = command.get_arguments().filter_map(|arg| Some((key(arg)?, arg)));
        let keys = keys.filter(|(key, _)| *key != OF_ANOTHER_MEANING);
        let given = keys.filter_map(|(key, arg)| {
            let (name, value) = self.find(arg)?;
            let origin = Origin::Variable(format!("{PREFIX}{name}"));
            Some(given(arg, key, value, origin).map(|given| (key.to_owned(), given)))
        });
        let mut given = given.collect::<Result<BTreeMap<_, _>, _>>()?;
        if self.reattach().is_some() {
            let patience = Given { values: vec!["0".into()], origin: Origin::Variable(reattach::VARIABLE.into()) };
            PATIENT.into_iter().for_each(|key| _ = given.entry(key.to_owned()).or_insert_with(|| patience.clone()));
        }
        Ok(given)
    }

    fn find(&self, arg: &Arg) -> Option<(String, &OsString)> {
        names(arg).find_map(|name| {
            let name = name.to_ascii_uppercase().replace('-', "_");
            let value = self.variables.get(&name).filter(|value| !value.is_empty())?;
            Some((name, value))
        })
    }
}

fn given(arg: &Arg, key: &str, value: &OsStr, origin: Origin) -> Result<Given, Error> {
    let value = match arg.get_action() {
        ArgAction::SetTrue => switch(value).ok_or_else(|| origin.refuse(key, "it is neither true nor false"))?.into(),
        _ => value.to_owned(),
    };
    Given::new(key, vec![value], origin)
}

fn switch(value: &OsStr) -> Option<&'static str> {
    match value.to_str()?.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some("true"),
        "false" | "no" | "off" | "0" => Some("false"),
        _ => None,
    }
}
