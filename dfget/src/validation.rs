//! Whether a plugin keeps to PROTOCOL.md: `dfget plugin validate`. The suite is the SDK's; what is dfget's own is the
//! trust in the file, the sandbox, and how the report is shown.

mod junit;
mod table;

use std::{fs, path::PathBuf};

use futures_util::StreamExt;
use plugin_sdk::{
    DownloadRequest, Options, Request,
    conformance::{Limits, Outcome, Report, Suite, Verdict},
};
use serde_json::{Value, json};

use crate::{
    error::Error,
    escape::printable,
    plugin::{Plugin, Sandbox, Settings, discover::Candidate},
    registry::Registry,
    url::ResourceUrl,
};

/// The rule that needs dfget.
const SANDBOX: &str = "sandbox.default";

/// A plugin, what is known of its resources, and where the report goes besides stdout.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The executable.
    pub path: PathBuf,
    /// A resource that exists.
    pub url: Option<ResourceUrl>,
    /// One that does not.
    pub missing: Option<ResourceUrl>,
    /// One of no bytes.
    pub empty: Option<ResourceUrl>,
    /// One that can be listed.
    pub directory: Option<ResourceUrl>,
    /// All time limits are so many times as long.
    pub patience: f64,
    /// What a plugin SHOULD do it must.
    pub strict: bool,
    /// A file for the report as JUnit has it.
    pub junit: Option<PathBuf>,
}

impl Subject {
    /// Each URL.
    pub fn urls(&self) -> impl Iterator<Item = &ResourceUrl> {
        [&self.url, &self.missing, &self.empty, &self.directory].into_iter().flatten()
    }

    fn candidate(&self) -> Result<Candidate, Error> {
        let path = self.path.clone();
        let of_file = Candidate::name_of(&path);
        let of_url = self.urls().next().map(|url| url.scheme().to_owned());
        let name = of_file.or(of_url).ok_or_else(|| Error::Usage {
            fact: format!("neither the name of {} nor a URL says which scheme it serves", path.display()),
            hint: "dfget plugin validate PATH URL".into(),
        })?;
        Ok(Candidate::file(&name, path))
    }

    fn suite(&self, candidate: &Candidate, options: &Options, settings: &Settings) -> Suite {
        let mut suite = Suite::new(&candidate.path).scheme(&candidate.name).limits(self.limits(settings));
        suite = options.iter().fold(suite, |suite, (key, value)| suite.option(key, value));
        suite = settings.inherit.iter().fold(suite, Suite::inherit);
        suite = name(suite, self.url.as_ref(), Suite::url);
        suite = name(suite, self.missing.as_ref(), Suite::missing);
        suite = name(suite, self.empty.as_ref(), Suite::empty);
        suite = name(suite, self.directory.as_ref(), Suite::directory);
        if self.strict { suite.strict() } else { suite }
    }

    fn limits(&self, settings: &Settings) -> Limits {
        Limits { start: settings.start_timeout.mul_f64(self.patience), ..Limits::times(self.patience) }
    }
}

fn name(suite: Suite, url: Option<&ResourceUrl>, name: fn(Suite, String) -> Suite) -> Suite {
    match url {
        Some(url) => name(suite, url.as_str().to_owned()),
        None => suite,
    }
}

/// What came of it.
pub struct Validation {
    plugin: String,
    report: Report,
}

impl Validation {
    /// Holds the plugin to all rules, if it may be executed at all.
    ///
    /// # Errors
    ///
    /// * [`Error::Usage`]: nobody knows its scheme
    /// * [`Error::Refused`], [`Error::Unexecutable`]: as of any plugin
    /// * [`Error::LocalIo`]: the report cannot be written
    pub async fn run(subject: &Subject, registry: &Registry) -> Result<Self, Error> {
        let candidate = subject.candidate()?;
        let (options, settings) = (registry.options(&candidate.name), registry.settings());
        Plugin::check(&candidate, settings).await?;
        let mut report = subject.suite(&candidate, &options, settings).run().await;
        if let Some(outcome) = judge_sandbox(subject, &candidate, &options, settings, &report).await {
            report.replace(SANDBOX, outcome);
        }
        let validation = Self { plugin: candidate.title(), report };
        if let Some(path) = &subject.junit {
            let failed = |source| Error::LocalIo { action: "write", path: path.clone(), source };
            fs::write(path, junit::document(&validation.plugin, &validation.report)).map_err(failed)?;
        }
        Ok(validation)
    }

    /// For a person; in colours on a terminal that wants them.
    #[must_use]
    pub fn table(&self, colours: bool) -> String {
        table::of(&self.plugin, &self.report, colours)
    }

    /// The same as one document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rules: Vec<Value> = self.report.verdicts.iter().map(rule_json).collect();
        let Counts { passed, failed, warned, skipped } = Counts::of(&self.report);
        json!({
            "plugin": printable(&self.plugin),
            "passed": passed,
            "failed": failed,
            "warned": warned,
            "skipped": skipped,
            "rules": rules,
        })
    }

    /// # Errors
    ///
    /// * [`Error::Nonconforming`]: a rule is broken
    pub fn verdict(&self) -> Result<(), Error> {
        let broken: Vec<&str> = self.report.failures().map(|verdict| verdict.rule.id).collect();
        match broken.as_slice() {
            [] => Ok(()),
            broken => Err(Error::Nonconforming { plugin: self.plugin.clone(), rules: broken.join(", ") }),
        }
    }
}

fn rule_json(verdict: &Verdict) -> Value {
    let Verdict { rule, outcome } = verdict;
    let mut json = json!({
        "id": rule.id,
        "level": rule.level.to_string(),
        "title": rule.title,
        "section": rule.section,
        "outcome": word(outcome),
    });
    match outcome {
        Outcome::Pass => {}
        Outcome::Skip(why) => json["why"] = json!(printable(why)),
        Outcome::Fail(found) | Outcome::Warn(found) => {
            json["found"] = json!(printable(found));
            json["advice"] = json!(rule.advice);
        }
    }
    json
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail(_) => "fail",
        Outcome::Warn(_) => "warn",
        Outcome::Skip(_) => "skip",
    }
}

/// How many of each.
struct Counts {
    passed: usize,
    failed: usize,
    warned: usize,
    skipped: usize,
}

impl Counts {
    fn of(report: &Report) -> Self {
        let count = |wanted: &str| report.verdicts.iter().filter(|verdict| word(&verdict.outcome) == wanted).count();
        Self { passed: count("pass"), failed: count("fail"), warned: count("warn"), skipped: count("skip") }
    }
}

/// Whether it serves as dfget starts it, after it did so without a sandbox. `None` where that is not known.
async fn judge_sandbox(
    subject: &Subject,
    candidate: &Candidate,
    options: &Options,
    settings: &Settings,
    report: &Report,
) -> Option<Outcome> {
    if settings.sandbox == Sandbox::Off {
        return Some(Outcome::Skip("the sandbox is off".into()));
    }
    let served = if subject.url.is_some() { "download.answer" } else { "init.answer" };
    if report.outcome(served) != Some(&Outcome::Pass) {
        return Some(Outcome::Skip("it does not serve without it either".into()));
    }
    let settings = Settings { start_timeout: subject.limits(settings).start, ..settings.clone() };
    Some(match serve(subject, candidate, options, &settings).await {
        Ok(()) => Outcome::Pass,
        Err(error) => {
            let details = error.details().iter().map(|line| format!("; {}", line.trim())).collect::<String>();
            Outcome::Fail(printable(&format!("{}{details}", error.with_causes())))
        }
    })
}

async fn serve(subject: &Subject, candidate: &Candidate, options: &Options, settings: &Settings) -> Result<(), Error> {
    let plugin = Plugin::start(candidate, options, settings).await?;
    let outcome = match &subject.url {
        Some(url) => download(&plugin, url).await,
        None => Ok(()),
    };
    plugin.stop().await;
    outcome
}

/// To its end, to nowhere.
async fn download(plugin: &Plugin, url: &ResourceUrl) -> Result<(), Error> {
    let request = DownloadRequest { request: Request::new(url.as_str()), ..DownloadRequest::default() };
    let failed = |error| Error::of_source(&url.to_string(), error);
    let mut body = plugin.client().download(&request).await.map_err(failed)?.body;
    while let Some(event) = body.next().await {
        event.map_err(failed)?;
    }
    Ok(())
}
