//! Flags that are options of sources: which of the two holds, where both are set.

use super::config::{Origin, Parsed};
use crate::registry::SourceOptions;

/// A flag that was set, on the command line or elsewhere.
pub(super) struct Offered {
    pub(super) flag: &'static str,
    /// Of the option.
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// Adds them to what the sources are `told`. What is set nearer wins: a flag over the section of a source, and over an
/// `--opt` that is further away.
pub(super) fn tell(flags: impl Iterator<Item = Offered>, told: &mut SourceOptions, parsed: &Parsed) {
    for Offered { flag, name, value } in flags {
        let rival = if told.all.contains_key(name) { parsed.origin("opt").rank() } else { Origin::FILE };
        let origin = parsed.origin(flag);
        if origin == Origin::CommandLine {
            told.typed.insert(name, flag);
        }
        let options = if origin.rank() < rival { &mut told.insisted } else { &mut told.offered };
        options.insert(name.to_owned(), value);
    }
}
