//! The forms that values on the command line have.
//!
//! What a parser refuses it does not repeat: it may be a secret.

use std::{path::PathBuf, time::Duration};

use crate::{download::Wanted, plugin::lock};

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        // Never the text itself: it may be a secret.
        _ => Err("there is no `=` in it".into()),
    }
}

pub(super) fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("there is no `:` in it".into()),
    }
}

/// Seconds, as curl has them, or with a unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.map_or_else(|| humantime::parse_duration(text).map_err(|error| error.to_string()), Ok)
}

/// As [`duration`], and 0 is as good as for ever.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    duration(text).map(|time| if time.is_zero() { YEAR } else { time })
}

/// A number above 0, and within reason.
pub(super) fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor| (0.001..=1000.0).contains(factor));
    factor.ok_or_else(|| "it is no number from 0.001 to 1000".into())
}

pub(super) fn pinned(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((scheme, path)) if !scheme.is_empty() && !path.is_empty() => Ok((scheme.to_owned(), path.into())),
        _ => Err("it is not SCHEME=PATH".into()),
    }
}

/// What is said elsewhere than on the command line says nothing of a current directory.
pub(super) fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("it does not begin with `/`".into()) }
}

pub(super) fn lock_mode(text: &str) -> Result<lock::Mode, String> {
    match text {
        "off" => Ok(lock::Mode::Off),
        "warn" => Ok(lock::Mode::Warn),
        "enforce" => Ok(lock::Mode::Enforce),
        _ => Err("it is none of off, warn and enforce".into()),
    }
}

pub(super) fn variable(text: &str) -> Result<String, String> {
    // Its value is inherited: one on the command line would be seen by everybody.
    if text.is_empty() || text.contains('=') { Err("it is not a name".into()) } else { Ok(text.to_owned()) }
}

/// Bytes, or K, M, G, T of 1024, with or without `iB` or `B`: as curl, wget and rclone have them.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power = match unit.to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(format!("`{unit}` is not one of K, M, G, T")),
    };
    let number: f64 = number.parse().map_err(|_| "it is not a number with K, M, G or T".to_owned())?;
    Ok((number * 1024_f64.powi(power)) as u64)
}

pub(super) fn piece_length(text: &str) -> Result<u64, String> {
    match size(text)? {
        length if length < 64 * 1024 => Err("a part has at least 64K".into()),
        length => Ok(length),
    }
}

/// FIRST-LAST, FIRST- or -N, as curl has them.
pub(super) fn wanted(text: &str) -> Result<Wanted, String> {
    const FORM: &str = "it is not FIRST-LAST, FIRST- or -N, in bytes";
    let (first, last) = text.split_once('-').ok_or(FORM)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| FORM.to_owned());
    let range = match (first, last) {
        ("", "" | "0") => return Err("it has no byte in it".into()),
        ("", last) => return number(last).map(Wanted::Last),
        (first, "") => number(first)?..u64::MAX,
        (first, last) => number(first)?..number(last)?.checked_add(1).ok_or(FORM)?,
    };
    if range.is_empty() { Err("it ends before it begins".into()) } else { Ok(Wanted::Range(range.start, range.end)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        for (text, millis) in [("90", 90_000), ("0.5", 500), ("2m", 120_000), ("100ms", 100)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert!(patience("0").is_ok_and(|time| time > Duration::from_secs(1_000_000)));
        assert!(duration("-1").is_err() && duration("soon").is_err());
    }

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, bytes) in
            [("7", 7), ("1K", 1024), ("1.5k", 1536), ("2MiB", 2 << 20), ("3GB", 3 << 30), ("1T", 1 << 40)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert!(size("fast").is_err() && size("1X").is_err() && size("").is_err());
    }

    #[test]
    fn a_range_has_its_last_byte_in_it() {
        assert_eq!(wanted("2-5"), Ok(Wanted::Range(2, 6)));
        assert_eq!(wanted("2-"), Ok(Wanted::Range(2, u64::MAX)));
        assert_eq!(wanted("-5"), Ok(Wanted::Last(5)));
        for wrong in ["5-2", "5", "a-b", "-", "-0", "--5", "0-18446744073709551615"] {
            assert!(wanted(wrong).is_err(), "{wrong}");
        }
    }
}
