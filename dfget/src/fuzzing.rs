//! What must hold of whatever comes from outside. Each function takes any bytes and panics where a rule is broken.
//!
//! For `make fuzz`, which invents the bytes, and for the tests, which take those of `fuzz/seeds`. It is no part of a
//! dfget that somebody installs.

mod draw;

use std::path::{Component, Path};

use url::Url;

pub(crate) use self::draw::Draw;
pub use crate::{
    download::fuzzing::state,
    plugin::fuzzing::{assembly, handshake, stderr_line},
    source::http_fuzzing::{http_header, http_index},
};
use crate::{
    escape::{hide, is_harmless, printable, printable_bytes},
    tree::{SafeRelativePath, is_own},
    url::{ResourceUrl, without_secrets},
};

/// Two texts that are to be hidden. They are of one length, and no text ends one and begins the other.
const SECRETS: [&str; 2] = ["open-sesame-vzjq", "HOCUS=POCUS+XWKD"];

/// `text` may be printed on a terminal.
pub(crate) fn assert_harmless(text: &str) {
    assert!(text.chars().all(is_harmless), "{text:?}");
}

/// The names of one path, a line each: accepted, they lead beneath the output and nowhere else.
pub fn list_name(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut path = SafeRelativePath::default();
    let mut url: ResourceUrl = "x://host/directory/?token=1".parse().expect("it is one");
    for name in text.split('\n') {
        let Ok(deeper) = path.join(name) else { continue };
        assert_eq!((deeper.parent(), deeper.file_name()), (path, name));
        assert_eq!(deeper.names().last(), Some(name));
        assert!(!is_own(name));
        url = url.child(name).expect("a good name makes a URL");
        assert_eq!(url.file_name().as_deref(), Some(name), "the source is asked for another file");
        path = deeper;
    }
    assert!(url.as_str().starts_with("x://host/directory/") && url.as_str().ends_with("?token=1"), "{url:?}");
    assert_beneath(&path);
}

fn assert_beneath(path: &SafeRelativePath) {
    let components: Vec<Component<'_>> = Path::new(path.as_str()).components().collect();
    assert_eq!(components.len(), path.names().count(), "{path}");
    assert!(components.iter().all(|component| matches!(component, Component::Normal(_))), "{path}");
    assert!(path.as_str().len() <= 4096 && !path.as_str().contains(char::is_control), "{path:?}");
}

/// A URL, shown: it is the same whatever its secrets are, so it tells nothing of them.
pub fn url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let shown = crate::url::shown(&text);
    assert_harmless(&shown);
    assert_harmless(&printable(without_secrets(&text)));
    assert!(!without_secrets(&text).contains(['@', '?', '#']), "{text:?}");
    let Ok(url) = text.parse::<ResourceUrl>() else { return };
    assert_eq!(url.as_str(), text);
    assert_eq!(format!("{url:?}"), format!("ResourceUrl({shown})"));
    let Some(other) = with_other_secrets(url.as_str()) else { return };
    assert_eq!(shown, crate::url::shown(other.as_str()), "of {text:?} and {other}");
}

/// `None` if it has none, or is one that its own parser reads otherwise once it is written. Parts that are absent stay so.
fn with_other_secrets(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !has_user && url.query().is_none() && url.fragment().is_none() {
        return None;
    }
    if has_user {
        url.set_username("somebody").ok()?;
        url.set_password(Some("else")).ok()?;
    }
    if url.fragment().is_some() {
        url.set_fragment(Some("other"));
    }
    let query = url.query().map(|query| {
        let pairs = query.split('&').map(|pair| pair.split_once('=').map_or("other", |(name, _)| name).to_owned());
        let values = query.split('&').map(|pair| if pair.contains('=') { "=other" } else { "" });
        pairs.zip(values).map(|(name, value)| name + value).collect::<Vec<_>>().join("&")
    });
    url.set_query(query.as_deref());
    (Url::parse(url.as_str()).as_ref() == Ok(&url)).then_some(url)
}

/// Any bytes, and a secret in the place of each NUL: what is shown of them is harmless, short, and the same whatever the
/// secret is.
pub fn escape(bytes: &[u8]) {
    hide(SECRETS);
    let with = |secret: &str| {
        let parts: Vec<&[u8]> = bytes.split(|&byte| byte == 0).collect();
        parts.join(secret.as_bytes())
    };
    let [one, other] = SECRETS.map(|secret| printable_bytes(&with(secret)));
    assert_eq!(one, other);
    assert_harmless(&one);
    assert!(one.chars().count() <= plugin_proto::limits::STATUS_TEXT + 1);
    let [one, other] = SECRETS.map(|secret| printable(&String::from_utf8_lossy(&with(secret))));
    assert_eq!(one, other);
}

#[cfg(test)]
mod tests {
    use super::*;

    type Target = (&'static str, fn(&[u8]));

    /// Also what the fuzzer has once found: a finding becomes a seed.
    #[test]
    fn every_seed_of_the_fuzzer_keeps_the_rules() {
        let targets: [Target; 9] = [
            ("assembly", assembly),
            ("escape", escape),
            ("handshake", handshake),
            ("http_header", http_header),
            ("http_index", http_index),
            ("list_name", list_name),
            ("state", state),
            ("stderr_line", stderr_line),
            ("url", url),
        ];
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
        assert_eq!(std::fs::read_dir(&seeds).unwrap().count(), targets.len());
        for (name, target) in targets {
            let files = std::fs::read_dir(seeds.join(name)).unwrap().map(|file| file.unwrap().path());
            files.for_each(|file| target(&std::fs::read(file).unwrap()));
        }
    }
}
