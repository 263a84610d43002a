//! What came of the rules.

use std::{collections::BTreeMap, fmt};

use super::{
    Suite,
    rules::{Level, RULES, Rule},
};

/// What came of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The plugin keeps it.
    Pass,
    /// The plugin does otherwise: this.
    Fail(String),
    /// The same of a rule that says SHOULD, where the suite is not strict.
    Warn(String),
    /// It could not be seen: why.
    Skip(String),
}

/// A rule, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which rule.
    pub rule: &'static Rule,
    /// What came of it.
    pub outcome: Outcome,
}

impl Verdict {
    /// Whether the plugin must be mended.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self.outcome, Outcome::Fail(_))
    }
}

/// A verdict for each of [`RULES`], in their order. All texts are printable and without the options' values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One for each rule.
    pub verdicts: Vec<Verdict>,
}

impl Report {
    /// Whether no rule was broken.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The rules that were broken.
    pub fn failures(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| verdict.is_failure())
    }

    /// What came of the rule of this id.
    #[must_use]
    pub fn outcome(&self, id: &str) -> Option<&Outcome> {
        self.verdicts.iter().find(|verdict| verdict.rule.id == id).map(|verdict| &verdict.outcome)
    }

    /// Puts another outcome in the place of a rule's: for a host that can see more than the suite.
    pub fn replace(&mut self, id: &str, outcome: Outcome) {
        if let Some(verdict) = self.verdicts.iter_mut().find(|verdict| verdict.rule.id == id) {
            verdict.outcome = outcome;
        }
    }
}

impl fmt::Display for Report {
    /// The rules that were broken, with what to do about them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Verdict { rule, outcome } in &self.verdicts {
            match outcome {
                Outcome::Fail(found) => writeln!(
                    f,
                    "fail {}: {}\n  found: {found}\n  to do: {} (PROTOCOL.md, {})",
                    rule.id, rule.title, rule.advice, rule.section
                )?,
                Outcome::Warn(found) => writeln!(f, "warn {}: {}\n  found: {found}", rule.id, rule.title)?,
                Outcome::Pass | Outcome::Skip(_) => {}
            }
        }
        Ok(())
    }
}

/// What is known so far.
pub(super) struct Findings {
    outcomes: BTreeMap<&'static str, Outcome>,
    secrets: Vec<String>,
    strict: bool,
    /// Why what was not looked at was not.
    stopped: Option<String>,
}

impl Findings {
    pub(super) fn new(suite: &Suite) -> Self {
        Self { outcomes: BTreeMap::new(), secrets: suite.secrets(), strict: suite.strict, stopped: None }
    }

    /// `Err` is what was found instead. The first failure of a rule is the one that counts.
    pub(super) fn judge(&mut self, id: &'static str, held: Result<(), String>) -> bool {
        let good = held.is_ok();
        let outcome = match (held, Rule::of_id(id).map(|rule| rule.level)) {
            (Ok(()), _) => Outcome::Pass,
            (Err(found), Some(Level::Should)) if !self.strict => Outcome::Warn(self.shown(&found)),
            (Err(found), _) => Outcome::Fail(self.shown(&found)),
        };
        self.note(id, outcome);
        good
    }

    pub(super) fn pass(&mut self, id: &'static str) {
        self.judge(id, Ok(()));
    }

    /// Returns false, as [`judge`](Self::judge) of the same does.
    pub(super) fn fail(&mut self, id: &'static str, found: impl Into<String>) -> bool {
        self.judge(id, Err(found.into()))
    }

    pub(super) fn skip(&mut self, id: &'static str, why: impl Into<String>) {
        let why = self.shown(&why.into());
        self.note(id, Outcome::Skip(why));
    }

    /// Rules that have no outcome in the end could not be looked at because of this, the nearest reason that is known.
    pub(super) fn stop(&mut self, why: &str) {
        self.stopped = Some(why.to_owned());
    }

    /// Whether nothing is known to be wrong with it.
    pub(super) fn holds(&self, id: &str) -> bool {
        !matches!(self.outcomes.get(id), Some(Outcome::Fail(_) | Outcome::Warn(_)))
    }

    pub(super) fn into_report(self) -> Report {
        let why = self.stopped.as_deref().unwrap_or("it was not reached").to_owned();
        let mut outcomes = self.outcomes;
        let verdicts = RULES.iter().map(|rule| {
            let outcome = outcomes.remove(rule.id).unwrap_or_else(|| Outcome::Skip(why.clone()));
            Verdict { rule, outcome }
        });
        let report = Report { verdicts: verdicts.collect() };
        debug_assert!(outcomes.is_empty(), "there are no such rules: {outcomes:?}");
        report
    }

    fn note(&mut self, id: &'static str, outcome: Outcome) {
        let known = self.outcomes.get(id);
        let is_final = matches!(known, Some(Outcome::Fail(_) | Outcome::Warn(_)));
        // One way of keeping it that was seen outweighs another that was not.
        let is_less = matches!((known, &outcome), (Some(Outcome::Pass), Outcome::Skip(_)));
        if !is_final && !is_less {
            self.outcomes.insert(id, outcome);
        }
    }

    fn shown(&self, text: &str) -> String {
        let hidden = self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"));
        hidden.chars().flat_map(visible).take(LONGEST).collect()
    }
}

/// Characters of one finding.
const LONGEST: usize = 1000;

/// Control characters, and those that reorder what stands around them, are shown escaped.
fn visible(character: char) -> impl Iterator<Item = char> {
    let harmful = character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let escaped = harmful.then(|| character.escape_default());
    (!harmful).then_some(character).into_iter().chain(escaped.into_iter().flatten())
}
