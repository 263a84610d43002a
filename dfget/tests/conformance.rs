//! The conformance suite: each misbehaviour of `faultplug` breaks the rule that it should.
//!
//! A program of its own: it starts so many plugins that tests beside it would not keep their times.

#![allow(clippy::unwrap_used, reason = "all of this is tests, functions that they share included")]

#[path = "harness/programs.rs"]
#[allow(dead_code, reason = "most of it is for the tests of the command")]
mod programs;

use std::{collections::BTreeSet, os::unix::fs::symlink, path::Path, sync::Mutex, time::Duration};

use plugin_sdk::conformance::{self, Limits, Outcome, RULES, Report, Suite};

use self::programs::faultplug;

/// Modes that are looked at at the same time: they mostly wait.
const AT_ONCE: usize = 12;

/// Long enough for a machine that is busy, and short enough for plugins that hang.
const LIMITS: Limits = Limits {
    start: Duration::from_secs(5),
    answer: Duration::from_secs(3),
    whole: Duration::from_secs(8),
    end: Duration::from_secs(2),
};

/// What `raw` does not do, which is a plugin with `Init` and `Download` alone and without an SDK.
const RAW: &[&str] = &[
    "handshake.multiplex",
    "init.first",
    "init.options",
    "call.resource",
    "metadata.required",
    "metadata.get",
    "validator.held",
    "end.life-line",
    "end.sigint",
    "end.socket",
    "tls.mutual",
    "tls.nonsense",
];

/// A misbehaviour: the name under which the plugin is started, what its URLs have, and the rules that it breaks.
struct Mode {
    name: &'static str,
    urls: &'static [(Resource, &'static str)],
    broken: &'static [&'static str],
    /// Besides these.
    base: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Resource {
    Exists,
    Missing,
    Empty,
    Directory,
}

use Resource::{Directory, Empty, Exists, Missing};

/// By its name alone.
const fn start(name: &'static str, broken: &'static [&'static str]) -> Mode {
    Mode { name, urls: &[(Exists, "f")], broken, base: &[] }
}

/// A plugin made with the SDK, and wrong where its URL says.
const fn good(urls: &'static [(Resource, &'static str)], broken: &'static [&'static str]) -> Mode {
    Mode { name: "good", urls, broken, base: &[] }
}

/// One made without it.
const fn raw(urls: &'static [(Resource, &'static str)], broken: &'static [&'static str]) -> Mode {
    Mode { name: "raw", urls, broken, base: RAW }
}

/// The same, by its name.
const fn raw_start(name: &'static str, broken: &'static [&'static str]) -> Mode {
    Mode { name, urls: &[(Exists, "f")], broken, base: RAW }
}

const MODES: &[Mode] = &[
    start("by-hand", &["start.by-hand"]),
    // No handshake line, or a wrong one.
    start("exit0", &["handshake.line"]),
    start("exit3", &["handshake.line"]),
    start("segv", &["handshake.line"]),
    start("hang", &["handshake.line"]),
    start("partial", &["handshake.line"]),
    start("close-stdout", &["handshake.line"]),
    start("banner-flood", &["handshake.line"]),
    start("banner-endless", &["handshake.line"]),
    start("line-huge", &["handshake.line"]),
    start("nul", &["handshake.line"]),
    start("no-utf8", &["handshake.line"]),
    start("fields3", &["handshake.line"]),
    start("fields4", &["handshake.line"]),
    start("fields8", &["handshake.line"]),
    start("core2", &["handshake.line"]),
    start("overflow", &["handshake.line"]),
    start("signed", &["handshake.line"]),
    start("spaces", &["handshake.line"]),
    start("npipe", &["handshake.line"]),
    start("no-address", &["handshake.line"]),
    start("netrpc", &["handshake.line"]),
    start("multiplex", &["handshake.line"]),
    start("banner", &["handshake.first"]),
    start("version0", &["handshake.version"]),
    start("version2", &["handshake.version"]),
    start("certificate", &["handshake.certificate"]),
    start("tcp", &["handshake.socket"]),
    start("relative", &["handshake.socket"]),
    start("abstract", &["handshake.socket"]),
    start("too-long", &["handshake.socket"]),
    start("outside", &["handshake.socket"]),
    start("parent", &["handshake.socket"]),
    start("symlink", &["handshake.socket"]),
    start("no-socket", &["handshake.socket"]),
    start("missing", &["handshake.socket"]),
    // Something else behind the socket.
    start("silent", &["connection.grpc"]),
    start("not-listening", &["connection.grpc"]),
    start("closes", &["connection.grpc"]),
    start("http1", &["connection.grpc"]),
    start("garbage", &["connection.grpc"]),
    // Init.
    start("not-serving", &["health.serving"]),
    raw_start("no-init-answer", &["init.describe"]),
    raw_start("no-service", &["init.describe"]),
    start("init-refuses", &["init.answer"]),
    start("init-panics", &["init.answer"]),
    start("init-exits", &["init.answer", "life.serves"]),
    start("wrong-type", &["init.attributes"]),
    start("wrong-name", &["init.attributes"]),
    start("wrong-scheme", &["init.attributes"]),
    raw_start("no-attributes", &["init.attributes"]),
    raw_start("describe-refused", &["init.describe"]),
    raw_start("features-refused", &["init.features"]),
    // Life.
    start("stdin-watcher", &["end.stdin"]),
    start("leaver", &["end.nothing-left"]),
    start("bad-log", &["stderr.hclog"]),
    raw_start("stubborn", &["end.shutdown", "end.sigterm"]),
    raw_start("babbles", &["stdout.silent"]),
    raw_start("one-connection", &["connection.again"]),
    // What it logs.
    good(&[(Exists, "f?log-line=131072")], &["stderr.length"]),
    good(&[(Exists, "f?lie=tells")], &["log.secrets"]),
    // What it says of a resource.
    good(&[(Exists, "f?lie=length")], &["metadata.served"]),
    good(&[(Exists, "f?lie=disagree")], &["metadata.agree"]),
    good(&[(Exists, "f?lie=digest")], &["metadata.digests"]),
    good(&[(Exists, "f?lie=digest-form")], &["metadata.digests"]),
    good(&[(Exists, "f?lie=etag")], &["validator.stable", "validator.held", "validator.restart"]),
    good(&[(Exists, "f?lie=etag-of-process")], &["validator.restart"]),
    good(&[(Exists, "f?lie=expired")], &["validator.expired"]),
    good(&[(Exists, "f?lie=any-version")], &["validator.held"]),
    good(&[(Exists, "f"), (Missing, "g")], &["error.not-found"]),
    // Ranges.
    good(&[(Exists, "f?serve-all=1")], &["range.support", "range.beyond"]),
    good(&[(Exists, "f?lie=no-ranges")], &["range.support"]),
    good(&[(Exists, "f?lie=shift")], &["range.bytes"]),
    good(&[(Exists, "f?lie=beyond")], &["range.beyond"]),
    good(&[(Exists, "f?lie=past-end")], &["range.past-end"]),
    good(&[(Exists, "f?lie=elsewhere")], &["range.answer"]),
    raw(&[(Exists, "f?fault=opened-late&at=9")], &["download.opened"]),
    // Bodies.
    good(&[(Exists, "f?size=9"), (Empty, "f?size=0&lie=empty")], &["download.empty"]),
    good(&[(Exists, "f?size=9"), (Empty, "f?size=9")], &["download.empty"]),
    good(&[(Exists, "f?lie=alone&size=700000")], &["download.parallel", "cancel.frees"]),
    good(&[(Exists, "f?lie=leak&size=700000")], &["cancel.frees"]),
    good(&[(Exists, "f?lie=pool&size=700000")], &[]),
    good(&[(Exists, "f?lie=cancel&size=700000")], &["cancel.others"]),
    good(&[(Exists, "f?panic-handler")], &["download.answer"]),
    good(&[(Exists, "f?panic-at=9")], &["download.answer"]),
    good(&[(Exists, "f?fail-at=9")], &["download.answer"]),
    good(&[(Exists, "f?die-at=9")], &["life.serves"]),
    good(&[(Exists, "f?hold-at=9")], &["download.progress"]),
    good(&[(Exists, "f?trickle-at=9")], &["download.progress"]),
    good(&[(Exists, "f?wait-at=9&millis=60000")], &["download.progress"]),
    raw(&[(Exists, "f?fault=no-end")], &["download.end"]),
    raw(&[(Exists, "f?fault=short&at=9")], &["download.end"]),
    raw(&[(Exists, "f?fault=wrong-total")], &["download.end"]),
    raw(&[(Exists, "f?fault=after-end")], &["download.end"]),
    raw(&[(Exists, "f?fault=long")], &["download.chunks"]),
    raw(&[(Exists, "f?fault=endless")], &["download.chunks"]),
    raw(&[(Exists, "f?fault=offset&at=9&by=1")], &["download.chunks"]),
    raw(&[(Exists, "f?fault=offset&at=9&back=1")], &["download.chunks"]),
    raw(&[(Exists, "f?fault=empty-chunks&at=9")], &["download.chunks"]),
    raw(&[(Exists, "f?fault=no-events&at=9")], &["download.chunks"]),
    raw(&[(Exists, "f?fault=no-opened")], &["download.opened"]),
    raw(&[(Exists, "f?fault=opened-twice&at=9")], &["download.opened"]),
    raw(&[(Exists, "f?fault=waiting&at=9")], &["download.progress"]),
    raw(&[(Exists, "f?fault=no-answer")], &["download.progress"]),
    raw(&[(Exists, "f?fault=large&bytes=5000000&size=9000000")], &["download.message"]),
    raw(&[(Exists, "f?fault=large-opened&bytes=5000000")], &["download.message"]),
    raw(&[(Exists, "f?fault=big&size=5000000")], &["download.chunk-size"]),
    raw(&[(Exists, "f?fault=status&code=5")], &["download.answer"]),
    raw(&[(Exists, "f?fault=status&code=99&at=9")], &["download.answer"]),
    // It does so before its Init.
    raw(&[(Exists, "f?fault=disconnect&at=9")], &["init.answer", "life.serves", "end.shutdown"]),
    // Listings.
    good(&[(Directory, "t?files=2&lie=directory")], &["error.directory"]),
    good(&[(Exists, "f?lie=file")], &["list.file"]),
    good(&[(Directory, "t?files=2&list-fails-at=1")], &["list.answer"]),
    good(&[(Directory, "t?files=2&list-holds-at=1")], &["list.answer"]),
    good(&[(Directory, "t?files=2&list-unanswered")], &["list.answer"]),
    good(&[(Directory, "t?files=2&names=hostile")], &["list.names", "list.once"]),
    good(&[(Directory, "t?files=2&names=twice")], &["list.once"]),
    good(&[(Directory, "t?files=2&names=urls")], &["list.entries"]),
    good(&[(Directory, "t?files=2&dirs=1&missing=d0")], &["list.entries"]),
    raw(&[(Directory, "t?list=empty-pages")], &["list.answer", "error.directory"]),
    raw(&[(Directory, "t?list=large-page")], &["download.message", "error.directory"]),
];

fn url(name: &str, rest: &str) -> String {
    format!("{name}://h/{rest}")
}

/// For what is no matter of time.
const PATIENT: Limits = Limits { start: Duration::from_secs(30), answer: Duration::from_secs(30), ..LIMITS };

fn run(plugins: &Path, name: &str, urls: &[(Resource, &str)], limits: Limits) -> Report {
    let plugin = plugins.join(format!("d7y-resource-plugin-{name}"));
    if plugin.symlink_metadata().is_err() {
        // Another mode of the same name may be quicker.
        let _ = symlink(faultplug(), &plugin);
    }
    let suite = Suite::new(plugin).limits(limits).strict();
    let suite = urls.iter().fold(suite, |suite, (resource, rest)| match resource {
        Exists => suite.url(url(name, rest)),
        Missing => suite.missing(url(name, rest)),
        Empty => suite.empty(url(name, rest)),
        Directory => suite.directory(url(name, rest)),
    });
    conformance::run(&suite)
}

fn broken(report: &Report) -> BTreeSet<&'static str> {
    report.failures().map(|verdict| verdict.rule.id).collect()
}

/// What differs, if something does.
fn look_at(plugins: &Path, mode: &Mode) -> Option<String> {
    let report = run(plugins, mode.name, mode.urls, LIMITS);
    // Whoever has no URL to be asked for breaks fewer of the base.
    let asked = mode.urls.iter().any(|(resource, _)| *resource == Exists);
    let of_base = |id: &&&str| asked || report.outcome(id).is_some_and(|outcome| matches!(outcome, Outcome::Fail(_)));
    let expected: BTreeSet<&str> = mode.broken.iter().chain(mode.base.iter().filter(of_base)).copied().collect();
    // What could not be reached was not broken.
    let reached = |id: &&str| !matches!(report.outcome(id), Some(Outcome::Skip(_))) || mode.broken.contains(id);
    let expected: BTreeSet<&str> = expected.into_iter().filter(reached).collect();
    let broken = broken(&report);
    let urls: Vec<&str> = mode.urls.iter().map(|(_, rest)| *rest).collect();
    (broken != expected).then(|| format!("{} {urls:?}: {broken:?}, expected {expected:?}\n{report}", mode.name))
}

#[test]
fn each_misbehaviour_breaks_the_rule_that_it_should() {
    let plugins = tempfile::tempdir().unwrap();
    let (next, wrong) = (Mutex::new(MODES.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(mode) = next.lock().unwrap().next() else { return };
                    let found = look_at(plugins.path(), mode);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} modes:\n{}", wrong.len(), MODES.len(), wrong.join("\n"));
}

#[test]
fn every_rule_is_broken_by_some_misbehaviour() {
    // Each has a test of its own: here, and in `binary/validate.rs`.
    let others = ["init.again", "tls.stranger", "sandbox.default"];
    let shown: BTreeSet<&str> =
        MODES.iter().flat_map(|mode| mode.broken.iter().chain(mode.base)).chain(&others).copied().collect();
    let missing: Vec<&str> = RULES.iter().map(|rule| rule.id).filter(|id| !shown.contains(id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_plugin_that_forgets_its_configuration_is_told() {
    let plugins = tempfile::tempdir().unwrap();
    let report = run(plugins.path(), "init-forgets", &[(Exists, "f")], PATIENT);
    assert!(broken(&report).contains("init.again"), "{report}");
    assert_eq!(report.outcome("init.options"), Some(&Outcome::Pass));
}

#[test]
fn a_plugin_that_answers_strangers_is_told() {
    let plugins = tempfile::tempdir().unwrap();
    let report = run(plugins.path(), "tls-optional", &[(Exists, "f")], PATIENT);
    assert_eq!(report.outcome("tls.mutual"), Some(&Outcome::Pass));
    let found = "a host without TLS is answered".to_owned();
    assert_eq!(report.outcome("tls.stranger"), Some(&Outcome::Fail(found)));
}
