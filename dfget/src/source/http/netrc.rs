//! `~/.netrc`: a login and a password a host, as ftp, curl and wget read them.
//!
//! Like the latter two it is read whoever else may read it: to complain of that is the affair of those who write it.

use std::{env, fs, io, path::PathBuf};

use plugin_sdk::{Error, Options};

/// All that is in a file, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Netrc(Vec<Entry>);

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// `None` fits every host.
    machine: Option<String>,
    pub(super) login: Option<String>,
    pub(super) password: Option<String>,
}

impl Netrc {
    /// The file that `netrc-file` names, else that of `$NETRC`, else `~/.netrc`. One that is not named need be neither
    /// there nor right.
    pub(super) fn of(options: &Options) -> Result<Self, Error> {
        match options.get("netrc-file") {
            Some(path) if path.is_empty() => Ok(Self::default()),
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|error| error.to_string());
                let parsed = text.and_then(|text| Self::parse(&text));
                parsed.map_err(|why| Error::InvalidRequest(format!("netrc-file: {path}: {why}")))
            }
            None => Ok(Self::of_user().unwrap_or_default()),
        }
    }

    fn of_user() -> Option<Self> {
        let home = || Some(PathBuf::from(env::var_os("HOME").filter(|home| !home.is_empty())?).join(".netrc"));
        let path = env::var_os("NETRC").filter(|path| !path.is_empty()).map(PathBuf::from).or_else(home)?;
        let text = match fs::read_to_string(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return None;
            }
            text => text.map_err(|error| error.to_string()),
        };
        let parsed = text.and_then(|text| Self::parse(&text));
        parsed.map_err(|why| tracing::warn!("{} is ignored: {why}; --no-netrc does not read it", path.display())).ok()
    }

    /// The entry for `host`, and for `login` there if that is known.
    pub(super) fn find(&self, host: &str, login: Option<&str>) -> Option<&Entry> {
        // A URL has an address of version 6 in brackets.
        let host = host.trim_matches(['[', ']']);
        let fits = |entry: &&Entry| {
            let is_host = entry.machine.as_ref().is_none_or(|machine| machine.eq_ignore_ascii_case(host));
            is_host && login.is_none_or(|login| entry.login.as_deref() == Some(login))
        };
        self.0.iter().find(fits)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut words = Words { text, line: 1 };
        while let Some(word) = words.next()? {
            match word.as_str() {
                "machine" => entries.push(Entry { machine: Some(words.value(&word)?), ..Entry::default() }),
                "default" => entries.push(Entry::default()),
                "login" | "password" | "account" => {
                    let value = words.value(&word)?;
                    let misplaced = || format!("line {}: `{word}` stands before every `machine`", words.line);
                    let entry = entries.last_mut().ok_or_else(misplaced)?;
                    match word.as_str() {
                        "login" => entry.login = Some(value),
                        "password" => entry.password = Some(value),
                        _ => {}
                    }
                }
                "macdef" => words.skip_macro(),
                // Not shown: it may be a password in the wrong place.
                _ => {
                    return Err(format!("line {}: a word is none of machine, default, login and password", words.line));
                }
            }
        }
        Ok(Self(entries))
    }
}

struct Words<'a> {
    text: &'a str,
    line: usize,
}

impl Words<'_> {
    /// The next word that is no comment.
    fn next(&mut self) -> Result<Option<String>, String> {
        while self.skip_space() == Some('#') {
            self.advance(self.text.find('\n').unwrap_or(self.text.len()));
        }
        self.word()
    }

    /// The value that follows the word `of`, which may begin with `#`.
    fn value(&mut self, of: &str) -> Result<String, String> {
        let line = self.line;
        self.word()?.ok_or_else(|| format!("line {line}: nothing follows `{of}`"))
    }

    fn word(&mut self) -> Result<Option<String>, String> {
        match self.skip_space() {
            None => Ok(None),
            Some('"') => self.quoted().map(Some),
            Some(_) => {
                let (word, rest) = self.text.split_at(self.text.find(char::is_whitespace).unwrap_or(self.text.len()));
                self.text = rest;
                Ok(Some(word.to_owned()))
            }
        }
    }

    /// The first character behind it.
    fn skip_space(&mut self) -> Option<char> {
        self.advance(self.text.len() - self.text.trim_start().len());
        self.text.chars().next()
    }

    /// As curl has it: `"a \"b\" c"`.
    fn quoted(&mut self) -> Result<String, String> {
        let (mut value, mut characters) = (String::new(), self.text.char_indices().skip(1));
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.advance(at + 1);
                    return Ok(value);
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| match escaped {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                })),
                other => value.push(other),
            }
        }
        Err(format!("line {}: a quote is not closed", self.line))
    }

    /// Up to the next empty line.
    fn skip_macro(&mut self) {
        let ends = ["\n\n", "\r\n\r\n"].into_iter().filter_map(|end| self.text.find(end));
        self.advance(ends.min().unwrap_or(self.text.len()));
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.text.split_at(bytes);
        self.line += passed.matches('\n').count();
        self.text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, host: &str, login: Option<&str>) -> Option<(String, String)> {
        let netrc = Netrc::parse(text).unwrap();
        let entry = netrc.find(host, login)?;
        Some((entry.login.clone().unwrap_or_default(), entry.password.clone().unwrap_or_default()))
    }

    const FILE: &str = "
# a comment with machine z login z password z
machine a.example login me password one
machine A.example
    login you
    password \"t w\\\"o\"  account x
macdef init
machine b.example login no password no

machine b.example password #three login me
default login anonymous password me@here
machine c.example login late password late";

    #[test]
    fn the_first_entry_that_fits_the_host_and_the_login_counts() {
        let pair = |login: &str, password: &str| Some((login.to_owned(), password.to_owned()));
        assert_eq!(found(FILE, "a.example", None), pair("me", "one"));
        assert_eq!(found(FILE, "a.EXAMPLE", Some("you")), pair("you", "t w\"o"));
        assert_eq!(found(FILE, "b.example", None), pair("me", "#three"));
        assert_eq!(found(FILE, "c.example", None), pair("anonymous", "me@here"));
        assert_eq!(found(FILE, "a.example", Some("nobody")), None);
        assert_eq!(found("machine a login b", "c", None), None);
        assert_eq!(found("machine ::1 login b", "[::1]", None), pair("b", ""));
    }

    #[test]
    fn what_makes_no_sense_has_a_line_and_is_not_shown() {
        for (text, why) in [
            ("\nmachine", "line 2: nothing follows `machine`"),
            ("machine a\nlogin", "line 2: nothing follows `login`"),
            ("password s3cret", "line 1: `password` stands before every `machine`"),
            ("machine a login b\ns3cret c", "line 2: a word is none of machine, default, login and password"),
            ("machine a\npassword \"s3cret\n", "line 2: a quote is not closed"),
        ] {
            assert_eq!(Netrc::parse(text).unwrap_err(), why);
        }
    }
}
