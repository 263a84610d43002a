//! The rules in the code, in PROTOCOL.md and in docs/VALIDATE.md are the same.

use std::collections::HashSet;

use super::*;

const PROTOCOL: &str = include_str!("../../../proto/PROTOCOL.md");
const VALIDATE: &str = include_str!("../../../docs/VALIDATE.md");

/// As GitHub makes it of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'));
    kept.map(|character| if character == ' ' { '-' } else { character }).collect()
}

fn headings() -> HashSet<String> {
    let titles = PROTOCOL
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    titles.map(anchor).chain(["restart".to_owned()]).collect()
}

/// The rows between this heading and the next one that name a rule.
fn rows(text: &str, heading: &str) -> Vec<String> {
    let (_, part) = text.split_once(&format!("\n## {heading}\n")).expect(heading);
    let part = part.split("\n## ").next().unwrap_or_default();
    part.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect()
}

#[test]
fn the_table_of_protocol_md_is_that_of_the_code() {
    let expected: Vec<String> = RULES
        .iter()
        .map(|rule| {
            format!(
                "| `{}` | {} | {} | [{}](#{}) |",
                rule.id,
                rule.level,
                rule.title,
                rule.section,
                anchor(rule.section)
            )
        })
        .collect();
    assert_eq!(rows(PROTOCOL, "Rules"), expected);
}

#[test]
fn the_table_of_validate_md_is_that_of_the_code() {
    // A bar would end the cell, in backticks too.
    let row = |rule: &Rule| format!("| `{}` | {} |", rule.id, rule.advice.replace('|', "\\|"));
    let expected: Vec<String> = RULES.iter().map(row).collect();
    assert_eq!(rows(VALIDATE, "What to do"), expected);
}

#[test]
fn every_rule_stands_beside_the_sentence_that_it_is_of() {
    let (prose, _) = PROTOCOL.split_once("\n## Rules\n").expect("there is a table");
    for rule in RULES {
        assert!(prose.contains(&format!("[{}]", rule.id)), "{} stands beside no sentence", rule.id);
        assert!(headings().contains(&anchor(rule.section)), "{}: there is no section {}", rule.id, rule.section);
    }
    let ids: HashSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
}

#[test]
fn what_of_a_url_is_a_secret_is_found() {
    assert_eq!(url_secrets("x://ada:pw@host/a?token=abc&b"), ["ada:pw", "pw", "abc"]);
    assert!(url_secrets("x://host/a@b").is_empty());
}

#[test]
fn no_option_is_shown_and_the_first_failure_counts() {
    let suite = Suite::new("d7y-resource-plugin-x").option("key", "s3cret");
    let mut findings = Findings::new(&suite);
    findings.pass("init.answer");
    findings.fail("init.answer", "no s3cret \x1b[2J\u{202e}");
    findings.fail("init.answer", "later");
    findings.pass("init.answer");
    findings.skip("init.answer", "much later");
    findings.fail("init.options", "it is accepted");
    let report = findings.into_report();
    assert_eq!(report.outcome("init.answer"), Some(&Outcome::Fail("no *** \\u{1b}[2J\\u{202e}".into())));
    assert_eq!(report.outcome("init.options"), Some(&Outcome::Warn("it is accepted".into())));
    assert_eq!(report.failures().count(), 1);
    assert_eq!(report.verdicts.len(), RULES.len());
}

#[test]
fn strictly_a_should_is_a_must() {
    let mut findings = Findings::new(&Suite::new("x").strict());
    findings.fail("init.options", "it is accepted");
    assert!(!findings.into_report().is_good());
}
