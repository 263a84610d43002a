//! Strings that came from outside, made fit for a terminal and a log.

use plugin_proto::limits::STATUS_TEXT;

/// `text` in one line without control characters, cut after [`STATUS_TEXT`] of those that are shown.
#[must_use]
pub fn printable(text: &str) -> String {
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
    // A character takes up to four bytes: what lies behind that would be cut anyway, whatever it is.
    let bytes = &bytes[..bytes.len().min(4 * (STATUS_TEXT + 1))];
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    printable(&text)
}

fn visible(character: char) -> impl Iterator<Item = char> {
    let (plain, escaped) =
        if is_harmless(character) { (Some(character), None) } else { (None, Some(character.escape_default())) };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

/// Neither a control character nor one that reorders or hides the text around it.
fn is_harmless(character: char) -> bool {
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
    fn a_long_text_is_cut() {
        assert_eq!(printable(&"x".repeat(STATUS_TEXT)).chars().count(), STATUS_TEXT);
        assert_eq!(printable(&"x".repeat(STATUS_TEXT + 1)).chars().count(), STATUS_TEXT + 1);
        assert!(printable(&"é".repeat(9999)).ends_with("é…"));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_numbers() {
        assert_eq!(printable_bytes(b"ok\xff\xfe!"), r"ok\xff\xfe!");
    }
}
