//! `@FILE` in the place of a value that may be a secret: what stands on a command line can be read by every user of the
//! machine, a file and the environment cannot.

use std::{fs, io::Read, path::Path};

use super::{arguments::Arguments, usage};
use crate::error::Error;

/// More is none of these.
const LONGEST: u64 = 1 << 20;

/// The lines of each `@FILE` in the place of that, all else as it is. Empty lines and those that begin with `#` are none.
pub(super) fn lines(flag: &str, values: &[String]) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    for value in values {
        match value.strip_prefix('@') {
            None => all.push(value.clone()),
            Some(path) => {
                let text = read(flag, path)?;
                let lines = text.lines().map(|line| line.trim_end_matches('\r'));
                all.extend(lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#')).map(str::to_owned));
            }
        }
    }
    Ok(all)
}

/// The first line of the file that `@FILE` names; any other value as it is.
pub(super) fn value(flag: &str, value: String) -> Result<String, Error> {
    let Some(path) = value.strip_prefix('@') else { return Ok(value) };
    let text = read(flag, path)?;
    let line = text.lines().next().unwrap_or_default().trim_end_matches('\r');
    if line.is_empty() {
        return Err(usage(format!("{flag} @{path}: its first line is empty"), "it is to hold the value alone"));
    }
    Ok(line.to_owned())
}

/// stdin can be read once.
pub(super) fn refuse_two_on_stdin(arguments: &Arguments) -> Result<(), Error> {
    let Arguments { download, network, .. } = arguments;
    let values = download.header.iter().chain(&download.options).chain(network.logins());
    let list = download.input_file.iter().filter(|file| file.as_os_str() == "-");
    if values.filter(|value| *value == "@-").count() + list.count() > 1 {
        return Err(usage(
            "stdin can be read once, and is named more than once",
            "name a file for all but one of them",
        ));
    }
    Ok(())
}

fn read(flag: &str, path: &str) -> Result<String, Error> {
    let mut text = String::new();
    let read = match path {
        "-" => std::io::stdin().take(LONGEST).read_to_string(&mut text),
        path => fs::File::open(Path::new(path)).and_then(|file| file.take(LONGEST).read_to_string(&mut text)),
    };
    let hint = "@FILE reads the value from a file, @- from stdin";
    read.map(|_| text).map_err(|error| usage(format!("{flag} @{path}: cannot read it: {error}"), hint))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_has_a_value_a_line_without_comments() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "# mine\nA: b\r\n\nC: @d\n").unwrap();
        let at = format!("@{}", file.path().display());
        assert_eq!(lines("-H", &["X: y".into(), at.clone()]).unwrap(), ["X: y", "A: b", "C: @d"]);
        fs::write(&file, "me:pass word \r\nmore").unwrap();
        assert_eq!(value("--user", at).unwrap(), "me:pass word ");
        assert_eq!(value("--user", "me:@x".into()).unwrap(), "me:@x");
    }

    #[test]
    fn a_file_that_is_not_there_or_empty_is_told() {
        let told = |value: Result<String, Error>| value.unwrap_err().to_string();
        let missing = "--user @/nowhere/x: cannot read it: No such file or directory (os error 2)";
        assert_eq!(told(value("--user", "@/nowhere/x".into())), missing);
        assert_eq!(told(value("--user", "@/dev/null".into())), "--user @/dev/null: its first line is empty");
    }
}
