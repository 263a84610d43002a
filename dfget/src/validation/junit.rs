//! A report as the XML that CI systems read: <https://github.com/testmoapp/junitxml>.

use std::fmt::{self, Write};

use plugin_sdk::conformance::{Outcome, Report, Verdict};

use super::Counts;

pub(super) fn document(plugin: &str, report: &Report) -> String {
    let mut xml = String::new();
    // A String takes whatever is written to it.
    let _ = write(&mut xml, plugin, report);
    xml
}

fn write(xml: &mut String, plugin: &str, report: &Report) -> fmt::Result {
    let (tests, plugin) = (report.verdicts.len(), Escaped(plugin));
    let Counts { failed, skipped, .. } = Counts::of(report);
    let counts = format!("tests=\"{tests}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\"");
    writeln!(xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(xml, "<testsuites {counts}>\n  <testsuite name=\"{plugin}\" {counts}>")?;
    report.verdicts.iter().try_for_each(|verdict| write_case(xml, &plugin, verdict))?;
    writeln!(xml, "  </testsuite>\n</testsuites>")
}

fn write_case(xml: &mut String, plugin: &Escaped<'_>, verdict: &Verdict) -> fmt::Result {
    let Verdict { rule, outcome } = verdict;
    write!(xml, "    <testcase classname=\"{plugin}\" name=\"{}: {}\"", Escaped(rule.id), Escaped(rule.title))?;
    let to_do = format!("to do: {} (PROTOCOL.md, {})", rule.advice, rule.section);
    match outcome {
        Outcome::Pass => writeln!(xml, "/>"),
        Outcome::Skip(why) => writeln!(xml, "><skipped message=\"{}\"/></testcase>", Escaped(why)),
        Outcome::Fail(found) => {
            writeln!(xml, "><failure message=\"{}\">{}</failure></testcase>", Escaped(found), Escaped(&to_do))
        }
        // There are no warnings in this format.
        Outcome::Warn(found) => {
            writeln!(xml, "><system-out>warning: {}\n{}</system-out></testcase>", Escaped(found), Escaped(&to_do))
        }
    }
}

/// Fit for text and for attributes. What XML cannot hold at all is replaced.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\n' => f.write_str("&#10;"),
            control if control.is_control() => f.write_char(char::REPLACEMENT_CHARACTER),
            '\u{fffe}' | '\u{ffff}' => f.write_char(char::REPLACEMENT_CHARACTER),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::conformance::Rule;

    use super::*;

    #[test]
    fn a_report_is_well_formed_whatever_is_found() {
        let verdict = |id: &str, outcome| Verdict { rule: Rule::of_id(id).unwrap(), outcome };
        let report = Report {
            verdicts: vec![
                verdict("end.sigterm", Outcome::Pass),
                verdict("end.shutdown", Outcome::Fail("<a & \"b\">\u{1}".into())),
                verdict("end.sigint", Outcome::Warn("it ended".into())),
                verdict("end.socket", Outcome::Skip("it's TCP".into())),
            ],
        };
        let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\">
  <testsuite name=\"x&amp;y\" tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\">
    <testcase classname=\"x&amp;y\" name=\"end.sigterm: it ends within 1 s of SIGTERM\"/>
    <testcase classname=\"x&amp;y\" name=\"end.shutdown: it ends within 1 s of Shutdown, also with open streams\">\
<failure message=\"&lt;a &amp; &quot;b&quot;&gt;\u{fffd}\">to do: end the streams yourself: a graceful stop of a \
server waits for them (PROTOCOL.md, `plugin.GRPCController/Shutdown`)</failure></testcase>
    <testcase classname=\"x&amp;y\" name=\"end.sigint: SIGINT does not end it\"><system-out>warning: it ended
to do: ignore it: the host decides on the end (PROTOCOL.md, Life of a plugin)</system-out></testcase>
    <testcase classname=\"x&amp;y\" name=\"end.socket: after Shutdown its socket's file is gone\">\
<skipped message=\"it's TCP\"/></testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(document("x&y", &report), expected);
    }
}
