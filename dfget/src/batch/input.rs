//! `--input-file`: a URL a line, and behind white space its output.

use std::{
    fs,
    io::{self, Read},
    path::Path,
    thread,
};

use tokio::sync::oneshot;

use super::Wish;
use crate::{error::Error, escape::printable, url::without_secrets};

/// Reads all of it before anything is begun, so that what makes no sense loses nothing. `-` is stdin.
///
/// On a thread of its own, for which nobody waits: who writes to stdin may take for ever, and signals go on meanwhile.
pub(super) async fn read(path: &Path) -> Result<Vec<Wish>, Error> {
    let (path, (sender, receiver)) = (path.to_owned(), oneshot::channel());
    thread::spawn(move || sender.send(read_all(&path)));
    receiver.await.unwrap_or_else(|_| Err(Error::Bug { fact: "the input file is not read".into() }))
}

fn read_all(path: &Path) -> Result<Vec<Wish>, Error> {
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = text.map_err(|source| Error::LocalIo { action: "read", path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Empty lines, and those that begin with `#`, are left out.
fn parse(text: &str, path: &Path) -> Result<Vec<Wish>, Error> {
    // What Windows begins a text with is no part of it.
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let wishes = lines.map(|(index, line)| {
        let (url, output) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let refuse = |error| {
            let shown = printable(without_secrets(url));
            let fact = format!("{}, line {}: `{shown}` is no URL: {error}", path.display(), index + 1);
            Error::Usage { fact, hint: "a line is URL, or URL OUTPUT; `#` begins a comment".into() }
        };
        let output = Some(output.trim()).filter(|output| !output.is_empty());
        Ok(Wish { url: url.parse().map_err(refuse)?, output: output.map(Into::into) })
    });
    wishes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_url_and_maybe_its_output() {
        let text = "\u{feff}# comment\n\nx://h/a\n  x://h/b\tsub/b c.txt  \n";
        let wishes = parse(text, Path::new("list")).unwrap();
        let shown: Vec<_> = wishes.iter().map(|wish| (wish.url.as_str(), wish.output.as_deref())).collect();
        assert_eq!(shown, [("x://h/a", None), ("x://h/b", Some(Path::new("sub/b c.txt")))]);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        let error = parse("x://h/a\n//me:secret@h/b?sig=1\n", Path::new("list")).unwrap_err();
        assert_eq!(error.to_string(), "list, line 2: `h/b` is no URL: it has no scheme, such as `https://`");
        assert_eq!(error.exit_code(), 2);
    }
}
