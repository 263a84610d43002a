//! The one line at the end.

use std::time::Duration;

use indicatif::BinaryBytes;

use super::Counts;
use crate::{download::Summary, escape::printable};

/// `file: 11 B in 0.01 s (1.07 KiB/s), sha256 checked`
pub(super) fn finished(output: Option<&str>, summary: &Summary, time: Duration) -> String {
    let Summary { bytes, resumed, verified, .. } = summary;
    let mut words = format!("{}: {}", printable(output.unwrap_or("stdout")), amount(*bytes, bytes - resumed, time));
    if *resumed > 0 {
        words += &format!(", {} of them were there", BinaryBytes(*resumed));
    }
    if let Some(verified) = verified {
        words += &format!(", {} checked", verified.algorithm());
    }
    words
}

/// Of one download as it was told; of many, how many there were.
pub(super) fn summary(counts: &Counts, time: Duration) -> String {
    let Counts { finished, up_to_date, failed, bytes, retries, verified, resumed, .. } = counts;
    if let (true, Some(only)) = (counts.is_first(), &counts.only) {
        return only.clone() + &restarts(counts);
    }
    let mut words = match finished {
        0 => format!("0 files in {:.2} s", time.as_secs_f64()),
        _ => format!("{}, {}", files(*finished), amount(bytes + resumed, *bytes, time)),
    };
    let tries = if *retries == 1 { "retry" } else { "retries" };
    let others = [(up_to_date, "up to date"), (verified, "checked"), (retries, tries), (failed, "failed")];
    for (count, what) in others.into_iter().filter(|(count, _)| **count > 0) {
        words += &format!(", {count} {what}");
    }
    words + &restarts(counts)
}

/// `, plugin d7y-resource-plugin-share restarted twice`
fn restarts(counts: &Counts) -> String {
    let told = counts.restarts.iter().map(|(plugin, count)| match count {
        1 => format!(", plugin {plugin} restarted once"),
        count => format!(", plugin {plugin} restarted {count} times"),
    });
    told.collect()
}

/// `1 file`, `2 files`
pub(super) fn files(count: u64) -> String {
    if count == 1 { "1 file".into() } else { format!("{count} files") }
}

/// All there is, and how fast those bytes came that were fetched.
fn amount(all: u64, fetched: u64, time: Duration) -> String {
    let rate = fetched as f64 / time.as_secs_f64().max(0.001);
    format!("{} in {:.2} s ({}/s)", BinaryBytes(all), time.as_secs_f64(), BinaryBytes(rate as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_download_is_told_with_what_was_resumed_and_checked() {
        let verified = Some("crc32:352441c2".parse().unwrap());
        let summary = Summary { bytes: 3 << 20, resumed: 1 << 20, verified, modified: None };
        let words = finished(Some("a\u{1b}b"), &summary, Duration::from_secs(2));
        assert_eq!(words, r"a\u{1b}b: 3.00 MiB in 2.00 s (1.00 MiB/s), 1.00 MiB of them were there, crc32 checked");
        let plain = Summary { bytes: 11, resumed: 0, verified: None, modified: None };
        assert_eq!(finished(None, &plain, Duration::from_millis(10)), "stdout: 11 B in 0.01 s (1.07 KiB/s)");
    }

    #[test]
    fn many_downloads_are_counted() {
        let counts = Counts { finished: 10, bytes: 2048, failed: 1, retries: 2, ..Counts::default() };
        let words = summary(&counts, Duration::from_secs(1));
        assert_eq!(words, "10 files, 2.00 KiB in 1.00 s (2.00 KiB/s), 2 retries, 1 failed");
        let words = summary(&Counts { finished: 1, retries: 1, ..counts }, Duration::from_secs(1));
        assert_eq!(words, "1 file, 2.00 KiB in 1.00 s (2.00 KiB/s), 1 retry, 1 failed");
    }
}
