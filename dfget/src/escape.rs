//! Strings that came from outside, made fit for a terminal and a log.

use std::{
    borrow::Cow,
    sync::{PoisonError, RwLock},
};

use plugin_proto::limits::STATUS_TEXT;

/// Shorter ones are words, too, that have nothing to do with a secret.
const SHORTEST_SECRET: usize = 6;

/// So many secrets are looked for in every text.
const SECRETS: usize = 256;

/// Of bytes, that many are looked at. A character takes up to four: what lies behind that is hardly ever shown.
const LOOKED_AT: usize = 4 * (STATUS_TEXT + 1);

/// What nobody may read, longest first. Of the process: a secret is one wherever it turns up.
static HIDDEN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// From now on [`printable`] shows `***` in the place of each of these texts, unless it is very short.
pub fn hide<S: Into<String>>(secrets: impl IntoIterator<Item = S>) {
    let mut hidden = HIDDEN.write().unwrap_or_else(PoisonError::into_inner);
    let secrets = secrets.into_iter().map(Into::into).filter(|secret| secret.len() >= SHORTEST_SECRET);
    hidden.extend(secrets);
    hidden.sort_by(|one, other| (other.len(), one).cmp(&(one.len(), other)));
    hidden.dedup();
    hidden.truncate(SECRETS);
}

/// Whether the value of an option or a header of this name is nobody's business.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    const PARTS: [&str; 9] = ["pass", "secret", "token", "key", "cred", "sig", "auth", "cookie", "session"];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

fn without_secrets(text: &str) -> Cow<'_, str> {
    let hidden = HIDDEN.read().unwrap_or_else(PoisonError::into_inner);
    let found = hidden.iter().filter(|secret| text.contains(secret.as_str()));
    found.fold(Cow::Borrowed(text), |text, secret| text.replace(secret.as_str(), "***").into())
}

/// `text` in one line without control characters and without what is to be [`hide`]d, cut after [`STATUS_TEXT`] of the
/// characters that are shown.
#[must_use]
pub fn printable(text: &str) -> String {
    let text = without_secrets(text);
    if text.len() <= STATUS_TEXT && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        // As nearly every URL and path is.
        return text.into_owned();
    }
    let mut all = text.trim_end().chars().flat_map(visible);
    let mut shown: String = all.by_ref().take(STATUS_TEXT).collect();
    if all.next().is_some() {
        shown.push('…');
    }
    shown
}

/// As [`printable`], of bytes that may be no text: those that are not appear as `\xNN`.
#[must_use]
pub fn printable_bytes(bytes: &[u8]) -> String {
    let Some((bytes, [_, ..])) = bytes.split_at_checked(LOOKED_AT) else { return printable(&text_of(bytes)) };
    // At the cut may be the beginning of a character, or of a secret, by which neither is recognised.
    let torn = bytes.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len());
    let text = text_of(&bytes[..bytes.len() - torn]);
    let mut shown = printable(without_begun_secret(&without_secrets(&text)));
    if !shown.ends_with('…') {
        shown.push('…');
    }
    shown
}

fn text_of(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn without_begun_secret(text: &str) -> &str {
    let hidden = HIDDEN.read().unwrap_or_else(PoisonError::into_inner);
    let begun = |secret: &String| {
        let lengths = secret.char_indices().rev().map(|(at, _)| at);
        lengths.into_iter().find(|&length| text.ends_with(&secret[..length])).unwrap_or(0)
    };
    let longest = hidden.iter().map(begun).max().unwrap_or(0);
    &text[..text.len() - longest]
}

fn visible(character: char) -> impl Iterator<Item = char> {
    let (plain, escaped) =
        if is_harmless(character) { (Some(character), None) } else { (None, Some(character.escape_default())) };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

/// Neither a control character nor one that reorders or hides the text around it.
pub(crate) fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_reordering_are_shown_and_not_obeyed() {
        assert_eq!(printable("a\u{1b}[2Jb\tc\0\u{202e}é\n"), r"a\u{1b}[2Jb\tc\u{0}\u{202e}é");
    }

    #[test]
    fn what_is_hidden_is_not_shown_wherever_it_turns_up() {
        hide(["opensesame", "opensesame-and-more", "no"]);
        assert_eq!(printable("no, opensesame-and-more than opensesame!"), "no, *** than ***!");
        assert!(is_secret("X-Auth-Token") && is_secret("storage_access_KEY_id") && !is_secret("root"));
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(printable(&"x".repeat(STATUS_TEXT)).chars().count(), STATUS_TEXT);
        assert_eq!(printable(&"x".repeat(STATUS_TEXT + 1)).chars().count(), STATUS_TEXT + 1);
        assert!(printable(&"é".repeat(9999)).ends_with("é…"));
    }

    /// A seed of the fuzzer's: many secrets make room for what was cut, and it was the beginning of one more.
    #[test]
    fn a_secret_that_is_cut_is_not_shown_either() {
        hide(["swordfish-swordfish"]);
        let shown = printable_bytes("swordfish-swordfish,".repeat(LOOKED_AT).as_bytes());
        assert_eq!(shown.trim_end_matches('…').replace("***,", ""), "");
        assert_eq!(printable_bytes(&[b"x", "é".repeat(LOOKED_AT).as_bytes()].concat()).chars().nth(1), Some('é'));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_numbers() {
        assert_eq!(printable_bytes(b"ok\xff\xfe!"), r"ok\xff\xfe!");
    }
}
