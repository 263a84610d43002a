//! INI as the stores' tools write it: sections, `NAME = VALUE`, comments in lines of their own.
//!
//! Values are taken as they stand, as these tools take them: a quote or a backslash may be part of a secret. Names are
//! compared as ossutil does, which is the least particular: without regard to case, `-` and `_`.

/// All settings, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::source::object) struct Ini<'a> {
    sections: Vec<&'a str>,
    settings: Vec<Setting<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Setting<'a> {
    /// Empty before the first.
    section: &'a str,
    name: &'a str,
    value: &'a str,
}

impl<'a> Ini<'a> {
    /// # Errors
    ///
    /// The number of the first line that makes no sense. What stands there may be a secret.
    pub(in crate::source::object) fn parse(text: &'a str) -> Result<Self, usize> {
        let mut ini = Self::default();
        for (line, number) in text.lines().zip(1..) {
            // An indented line without a name goes on with the value above it.
            let goes_on = line.starts_with([' ', '\t']) && !ini.settings.is_empty();
            let line = line.trim();
            let section = line.strip_prefix('[').map(|rest| rest.split_once(']').ok_or(number)).transpose()?;
            match (section, line.split_once(['=', ':'])) {
                _ if line.is_empty() || line.starts_with(['#', ';']) => {}
                (Some((section, _)), _) => ini.sections.push(section.trim()),
                (None, Some((name, value))) if !name.trim().is_empty() => {
                    let section = ini.sections.last().copied().unwrap_or_default();
                    ini.settings.push(Setting { section, name: name.trim(), value: value.trim() });
                }
                _ if goes_on => {}
                _ => return Err(number),
            }
        }
        Ok(ini)
    }

    /// Whether there is such a section, be it empty.
    pub(in crate::source::object) fn has(&self, section: &str) -> bool {
        self.sections.iter().any(|known| known.eq_ignore_ascii_case(section))
    }

    /// The value of this name, the last if there are several; an empty one is none.
    pub(in crate::source::object) fn value(&self, section: &str, name: &str) -> Option<&'a str> {
        let is_it = |setting: &&Setting<'_>| {
            setting.section.eq_ignore_ascii_case(section) && plain(setting.name).eq(plain(name))
        };
        self.settings.iter().rev().find(is_it).map(|setting| setting.value).filter(|value| !value.is_empty())
    }
}

fn plain(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|character| !['-', '_'].contains(character)).map(|character| character.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
bare = 1
[Credentials]
    accessKeyID = id
    access-key-secret= "a\b=#c"
# token = no
; token = no
[ other ] ; section
token: a
  goes on
Token = b
empty =
"#;

    #[test]
    fn values_are_found_by_section_and_name_and_taken_as_they_stand() {
        let ini = Ini::parse(TEXT).unwrap();
        assert_eq!(ini.value("", "bare"), Some("1"));
        assert_eq!(ini.value("credentials", "access_key_id"), Some("id"));
        assert_eq!(ini.value("Credentials", "accessKeySecret"), Some(r#""a\b=#c""#));
        assert_eq!(ini.value("Credentials", "token"), None);
        assert_eq!((ini.value("other", "token"), ini.value("other", "empty")), (Some("b"), None));
        assert!(ini.has("OTHER") && !ini.has("othe"));
    }

    #[test]
    fn a_line_that_makes_no_sense_has_a_number() {
        for (text, line) in [("[a]\ns3cret\nb = c", 2), ("[a", 1), ("a = b\n= c", 2), (" s3cret", 1)] {
            assert_eq!(Ini::parse(text), Err(line), "{text}");
        }
    }
}
