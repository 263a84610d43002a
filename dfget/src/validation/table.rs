//! A report for a person: a line a rule, and what to do where one is broken.

use std::fmt::{self, Write};

use plugin_sdk::conformance::{Outcome, Report, Verdict};

use super::{Counts, word};
use crate::escape::printable;

const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";
const DIM: &str = "2";

pub(super) fn of(plugin: &str, report: &Report, colours: bool) -> String {
    let mut text = String::new();
    // A String takes whatever is written to it.
    let _ = write(&mut text, plugin, report, colours);
    text
}

fn write(text: &mut String, plugin: &str, report: &Report, colours: bool) -> fmt::Result {
    let widest = report.verdicts.iter().map(|verdict| verdict.rule.id.len()).max().unwrap_or_default();
    for Verdict { rule, outcome } in &report.verdicts {
        let word = painted(outcome, colours);
        writeln!(text, "{word}  {:widest$}  {}", rule.id, rule.title)?;
        match outcome {
            Outcome::Pass => {}
            Outcome::Skip(why) => writeln!(text, "      {}", printable(why))?,
            Outcome::Fail(found) | Outcome::Warn(found) => {
                writeln!(text, "      found: {}", printable(found))?;
                writeln!(text, "      to do: {} (PROTOCOL.md, {})", rule.advice, rule.section)?;
            }
        }
    }
    let Counts { passed, failed, warned, skipped } = Counts::of(report);
    let plugin = printable(plugin);
    writeln!(text, "{plugin}: {passed} passed, {failed} failed, {warned} warnings, {skipped} skipped")
}

fn painted(outcome: &Outcome, colours: bool) -> String {
    let colour = match outcome {
        Outcome::Pass => GREEN,
        Outcome::Fail(_) => RED,
        Outcome::Warn(_) => YELLOW,
        Outcome::Skip(_) => DIM,
    };
    let word = word(outcome);
    if colours { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::conformance::Rule;

    use super::*;

    #[test]
    fn a_broken_rule_says_what_to_do_and_colours_are_for_terminals() {
        let verdict = |id: &str, outcome| Verdict { rule: Rule::of_id(id).unwrap(), outcome };
        let report = Report {
            verdicts: vec![
                verdict("end.sigterm", Outcome::Pass),
                verdict("end.sigint", Outcome::Warn("it ended: signal: 2".into())),
                verdict("end.shutdown", Outcome::Fail("it lives 1s later".into())),
                verdict("end.socket", Outcome::Skip("it listens on TCP".into())),
            ],
        };
        let text = of("d7y-resource-plugin-x", &report, false);
        let expected = "\
pass  end.sigterm   it ends within 1 s of SIGTERM
warn  end.sigint    SIGINT does not end it
      found: it ended: signal: 2
      to do: ignore it: the host decides on the end (PROTOCOL.md, Life of a plugin)
fail  end.shutdown  it ends within 1 s of Shutdown, also with open streams
      found: it lives 1s later
      to do: end the streams yourself: a graceful stop of a server waits for them (PROTOCOL.md, `plugin.GRPCController/Shutdown`)
skip  end.socket    after Shutdown its socket's file is gone
      it listens on TCP
d7y-resource-plugin-x: 1 passed, 1 failed, 1 warnings, 1 skipped
";
        assert_eq!(text, expected);
        assert!(of("x", &report, true).contains("\x1b[31mfail\x1b[0m  end.shutdown"));
    }
}
