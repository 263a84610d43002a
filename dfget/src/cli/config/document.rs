//! What the configuration file says: a key an option, and a table a source.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use clap::{Arg, ArgAction, Command};
use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use super::{Configuration, Given, Origin, find, key, names, rules};
use crate::{cli::usage, error::Error, escape::printable};

/// The table with a table a source in it.
const SOURCE: &str = "source";

/// How like another name one must be for that to be suggested; as clap has it for options.
const ALIKE: f64 = 0.7;

/// What the file at `path` says.
pub(super) fn parse(command: &Command, path: &Path, text: &str) -> Result<Configuration, Error> {
    let document = Document { command, path, text };
    let table = DeTable::parse(text).map_err(|error| document.misspelt(&error))?;
    let mut configuration = Configuration { file: Some(path.to_owned()), ..Configuration::default() };
    for (name, value) in table.get_ref() {
        let (name, at) = (name.get_ref().as_ref(), document.origin(name));
        if name == SOURCE {
            document.sources(value.get_ref(), &at, &mut configuration)?;
            continue;
        }
        let arg = find(command, name).ok_or_else(|| document.unknown(name, value.get_ref(), &at))?;
        let key = key(arg).unwrap_or(name);
        let given = Given::new(key, Form::of(arg).read(name, value.get_ref(), &at)?, at.clone())?;
        if configuration.given.insert(key.to_owned(), given).is_some() {
            let fact = format!("{}: it is there twice, by two names", at.subject(key));
            return Err(usage(fact, "leave one of them out"));
        }
    }
    Ok(configuration)
}

struct Document<'a> {
    command: &'a Command,
    path: &'a Path,
    text: &'a str,
}

impl Document<'_> {
    fn origin<T>(&self, name: &Spanned<T>) -> Origin {
        Origin::File { path: self.path.to_owned(), line: self.place(name.span().start).0 }
    }

    /// Line and column, from 1.
    fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    /// Not as the parser shows it, with the line itself: there may be a secret in it.
    fn misspelt(&self, error: &toml::de::Error) -> Error {
        let (line, column) = self.place(error.span().map_or(0, |span| span.start));
        let fact = format!("{}:{line}:{column} is no TOML: {}", self.path.display(), printable(error.message()));
        usage(fact, "a line is `key = \"value\"`, `key = 8`, `key = true` or `[source.NAME]`")
    }

    fn unknown(&self, name: &str, value: &DeValue<'_>, at: &Origin) -> Error {
        let options = self.command.get_arguments().flat_map(names).filter(|_| !value.is_table());
        let alike = options.chain([SOURCE]).map(|known| (strsim::jaro_winkler(name, known), known));
        let alike = alike.filter(|(alike, _)| *alike > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
        let name = printable(name);
        let hint = match alike {
            Some((_, known)) => format!("there is `{known}`"),
            None if value.is_table() => format!("the options of a source are in [{SOURCE}.{name}]"),
            None => "a key is the long name of an option, without `--`; `dfget --help` has them all".into(),
        };
        usage(format!("{}: there is no such setting", at.subject(&name)), &hint)
    }

    fn sources(&self, value: &DeValue<'_>, at: &Origin, configuration: &mut Configuration) -> Result<(), Error> {
        for (name, value) in table(SOURCE, value, at)? {
            let full = format!("{SOURCE}.{}", name.get_ref());
            // Schemes are compared in lower case, as URLs have them.
            let scheme = name.get_ref().to_ascii_lowercase();
            let options = configuration.sources.entry(scheme.clone()).or_default();
            let rules = configuration.rules.entry(scheme).or_default();
            for (key, value) in table(&full, value.get_ref(), &self.origin(name))? {
                let at = self.origin(key);
                let (form, given) = match rules::form(key.get_ref()) {
                    Some(form) => (form, &mut *rules),
                    None => (Form::Option, &mut *options),
                };
                let full = format!("{full}.{}", key.get_ref());
                if let (Form::Option, Some(known)) = (form, rules::meant(key.get_ref())) {
                    let fact = format!("{}: there is no such setting", at.subject(&printable(&full)));
                    return Err(usage(
                        fact,
                        &format!("there is `{known}`; an option of that name can be set by --opt"),
                    ));
                }
                if let (Form::Option, DeValue::Table(parts)) = (form, value.get_ref()) {
                    self.dotted(&full, key.get_ref(), parts, given)?;
                    continue;
                }
                let values = form.read(&full, value.get_ref(), &at)?;
                put(given, &full, key.get_ref().to_string(), Given { values, origin: at })?;
            }
        }
        Ok(())
    }

    /// To TOML, a key with a dot in it that is not in quotes is a table; to its source it is an option of that name.
    fn dotted(
        &self,
        full: &str,
        name: &str,
        parts: &DeTable<'_>,
        given: &mut BTreeMap<String, Given>,
    ) -> Result<(), Error> {
        for (part, value) in parts {
            let (full, name) = (format!("{full}.{}", part.get_ref()), format!("{name}.{}", part.get_ref()));
            match value.get_ref() {
                DeValue::Table(parts) => self.dotted(&full, &name, parts, given)?,
                value => {
                    let origin = self.origin(part);
                    let values = Form::Option.read(&full, value, &origin)?;
                    put(given, &full, name, Given { values, origin })?;
                }
            }
        }
        Ok(())
    }
}

/// An option of a source may be there in two ways: `a.b` and `"a.b"`, or beneath `[source.x]` and `[source.X]`.
fn put(all: &mut BTreeMap<String, Given>, full: &str, name: String, given: Given) -> Result<(), Error> {
    let fact = format!("{}: it is there twice", given.origin.subject(&printable(full)));
    match all.insert(name, given) {
        None => Ok(()),
        Some(_) => Err(usage(fact, "leave one of them out")),
    }
}

/// The type that a value is to have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Switch,
    Count,
    One,
    Many,
    /// Of a source: what it is to be is the source's affair.
    Option,
    Table,
}

impl Form {
    fn of(arg: &Arg) -> Self {
        match arg.get_action() {
            ArgAction::SetTrue => Self::Switch,
            ArgAction::Count => Self::Count,
            ArgAction::Append => Self::Many,
            _ => Self::One,
        }
    }

    fn read(self, key: &str, value: &DeValue<'_>, at: &Origin) -> Result<Vec<OsString>, Error> {
        let texts = match (self, value) {
            (Self::Switch | Self::Option, DeValue::Boolean(value)) => Some(vec![value.to_string().into()]),
            (Self::Count, DeValue::Integer(value)) => Some(vec![number(value).into()]),
            (Self::One | Self::Many | Self::Option, value) if !value.is_array() => text(value).map(|text| vec![text]),
            (Self::Many, DeValue::Array(values)) => values.iter().map(|value| text(value.get_ref())).collect(),
            _ => None,
        };
        texts.ok_or_else(|| self.refuse(key, value, at))
    }

    fn refuse(self, key: &str, value: &DeValue<'_>, at: &Origin) -> Error {
        let (wanted, example) = match self {
            Self::Switch => ("true or false", "true"),
            Self::Count => ("a whole number", "1"),
            Self::One => ("a string or a number", "\"…\""),
            Self::Many => ("a string or an array of strings", "[\"…\"]"),
            Self::Option => ("a string, a number, true or false", "\"…\""),
            Self::Table => ("a table", ""),
        };
        let key = printable(key);
        let hint = if let Self::Table = self {
            format!("[{SOURCE}.NAME], and behind it the options of the source")
        } else {
            format!("write it as {} = {example}", key.rsplit('.').next().unwrap_or_default())
        };
        usage(format!("{}: it is of the type {}, and is to be {wanted}", at.subject(&key), value.type_str()), &hint)
    }
}

fn table<'a, 'i>(key: &str, value: &'a DeValue<'i>, at: &Origin) -> Result<&'a DeTable<'i>, Error> {
    value.as_table().ok_or_else(|| Form::Table.refuse(key, value, at))
}

fn text(value: &DeValue<'_>) -> Option<OsString> {
    match value {
        DeValue::String(value) => Some(value.as_ref().into()),
        DeValue::Integer(value) => Some(number(value).into()),
        DeValue::Float(value) => Some(value.as_str().into()),
        _ => None,
    }
}

/// In decimal, as options are written, also if the file has it as `0x10`.
fn number(value: &DeInteger<'_>) -> String {
    i128::from_str_radix(value.as_str(), value.radix()).map_or_else(|_| value.to_string(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::{cli::arguments::Arguments, error::Explained};

    fn refused(text: &str) -> String {
        let error = parse(&Arguments::command(), Path::new("FILE"), text).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        Explained(&error).to_string()
    }

    #[test]
    fn unknown_keys_are_refused_with_the_one_that_was_meant() {
        for (text, hint) in [
            ("conections = 1", "there is `connections`"),
            ("limit_rate = 1", "there is `limit-rate`"),
            ("stall = 1", "there is `stall-timeout`"),
            ("[sources.oss]\na = 1", "there is `source`"),
            ("[oss]\na = 1", "the options of a source are in [source.oss]"),
            ("zzz = 1", "a key is the long name of an option, without `--`; `dfget --help` has them all"),
        ] {
            let key = text.trim_start_matches('[').split([' ', '.', ']']).next().unwrap();
            assert_eq!(refused(text), format!("dfget: FILE:1: `{key}`: there is no such setting\n  hint: {hint}"));
        }
        for own in ["config", "help", "version"] {
            assert!(refused(&format!("{own} = true")).contains("there is no such setting"), "{own}");
        }
    }

    #[test]
    fn values_of_another_type_are_refused() {
        for (text, fact) in [
            ("overwrite = 1", "`overwrite`: it is of the type integer, and is to be true or false"),
            ("verbose = true", "`verbose`: it is of the type boolean, and is to be a whole number"),
            ("output = [\"a\"]", "`output`: it is of the type array, and is to be a string or a number"),
            ("header = true", "`header`: it is of the type boolean, and is to be a string or an array of strings"),
            ("include = [[]]", "`include`: it is of the type array, and is to be a string or an array of strings"),
            ("source = 1", "`source`: it is of the type integer, and is to be a table"),
            ("source.oss = 1", "`source.oss`: it is of the type integer, and is to be a table"),
            (
                "source.oss.a = 2000-01-01",
                "`source.oss.a`: it is of the type datetime, and is to be a string, a number, true or false",
            ),
        ] {
            assert_eq!(refused(text).lines().next().unwrap(), format!("dfget: FILE:1: {fact}"));
        }
        assert!(refused("overwrite = 1").ends_with("hint: write it as overwrite = true"));
    }

    #[test]
    fn an_option_with_a_dot_in_its_name_needs_no_quotes() {
        let of = |text: &str| {
            let parsed = parse(&Arguments::command(), Path::new("FILE"), text).unwrap();
            let options = &parsed.sources["rclone"];
            options.iter().map(|(name, given)| (name.clone(), given.values.clone())).collect::<Vec<_>>()
        };
        let expected = [("a".into(), vec!["1".into()]), ("remote.sftp.host".into(), vec!["h".into()])];
        for text in
            ["[source.rclone]\na = 1\nremote.sftp.host = 'h'", "[source.rclone]\na = 1\n'remote.sftp.host' = 'h'"]
        {
            assert_eq!(of(text), expected, "{text}");
        }
        assert!(
            refused("[source.rclone]\nremote.port = []")
                .contains("`source.rclone.remote.port`: it is of the type array")
        );
    }

    #[test]
    fn what_is_no_toml_has_a_line_and_a_column_and_is_not_repeated() {
        let text = refused("tries = 1\nheader = \"s3cret\n");
        assert!(
            text.starts_with("dfget: FILE:2:") && text.contains(" is no TOML: ") && !text.contains("s3cret"),
            "{text}"
        );
        assert!(refused("tries = 1\ntries = 2").starts_with("dfget: FILE:2:1 is no TOML: duplicate key"));
    }

    #[test]
    fn a_setting_is_there_once() {
        let text = "dfget: FILE:2: `limit-rate`: it is there twice, by two names\n  hint: leave one of them out";
        assert_eq!(refused("limit-rate = 1\nratelimit = 2"), text);
        for (text, full) in [
            ("[source.rclone]\n'a.b' = 1\na.b = 2", "source.rclone.a.b"),
            ("[source.oss]\na = 1\n[source.OSS]\na = 1", "source.oss.a"),
        ] {
            let told = refused(text).to_ascii_lowercase();
            assert!(told.contains(&format!("`{full}`: it is there twice\n  hint: leave one of them out")), "{told}");
        }
    }
}
