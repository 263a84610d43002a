//! What a plugin says of a resource without serving it, and whether that is so.

use plugin_proto::{
    UNKNOWN_CONTENT_LENGTH,
    resource::{self as proto, DownloadRequest, Metadata, Validator, download_response::Event},
};
use tonic::Code;

use super::{
    report::Findings,
    session::{Failed, Session, expect, name_of, resource},
    stream::{self, Body},
};

/// A validator that nobody gave.
const FOREIGN: &str = "\"conformance-foreign\"";

/// An hour, in milliseconds.
const HOUR: i64 = 3_600_000;

/// What a plugin says of a resource.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) metadata: Metadata,
}

impl Told {
    pub(super) fn length(&self) -> Option<u64> {
        self.metadata.content_length
    }

    pub(super) fn validator(&self) -> Option<&Validator> {
        self.metadata.validator.as_ref().filter(|validator| **validator != Validator::default())
    }
}

/// What the short calls say.
struct Short {
    length: i64,
    support_range: bool,
    last_modified: i64,
}

/// Asks for all of it.
pub(super) async fn judge(session: &Session, url: &str, findings: &mut Findings) -> Option<Told> {
    let all = get(session, url).await;
    let short = match short(session, url).await {
        Ok(short) => {
            findings.pass("metadata.required");
            Some(short)
        }
        Err(found) => {
            findings.fail("metadata.required", found);
            None
        }
    };
    match all {
        Ok(metadata) => {
            findings.pass("metadata.get");
            if let Some(short) = &short {
                findings.judge("metadata.agree", agree(&metadata, short));
            }
            judge_stable(session, url, &metadata, findings).await;
            Some(Told { metadata })
        }
        Err(failed) => {
            let why = if failed.is_absence() { String::new() } else { format!(": {failed}") };
            findings.fail("metadata.get", format!("GetMetadata has no answer{why}"));
            findings.skip("metadata.agree", "there is no GetMetadata");
            // A plugin without any of them may still serve.
            Some(short.map(Told::from).unwrap_or_default())
        }
    }
}

impl From<Short> for Told {
    fn from(short: Short) -> Self {
        let last_modified = (short.last_modified >= 0).then_some(short.last_modified);
        let validator = last_modified.map(|time| Validator { etag: String::new(), last_modified: Some(time) });
        let content_length = u64::try_from(short.length).ok();
        let metadata =
            Metadata { content_length, support_range: short.support_range, validator, ..Metadata::default() };
        Self { metadata }
    }
}

pub(super) async fn get(session: &Session, url: &str) -> Result<Metadata, Failed> {
    let request = proto::GetMetadataRequest { resource: resource(url) };
    let answer = session.ask(async { session.client().get_metadata(request).await }).await?;
    Ok(answer.metadata.unwrap_or_default())
}

async fn short(session: &Session, url: &str) -> Result<Short, String> {
    let named = |call: &'static str| move |failed: Failed| format!("{call}: {failed}");
    let request = proto::GetContentLengthRequest { resource: resource(url) };
    let length = session.ask(async { session.client().get_content_length(request).await }).await;
    let request = proto::IsSupportRangeRequest { resource: resource(url) };
    let range = session.ask(async { session.client().is_support_range(request).await }).await;
    let request = proto::GetLastModifiedRequest { resource: resource(url) };
    let time = session.ask(async { session.client().get_last_modified(request).await }).await;
    is_expired(session, url, None).await.map_err(named("IsExpired"))?;
    Ok(Short {
        length: length.map_err(named("GetContentLength"))?.content_length,
        support_range: range.map_err(named("IsSupportRange"))?.support_range,
        last_modified: time.map_err(named("GetLastModified"))?.last_modified,
    })
}

fn agree(metadata: &Metadata, short: &Short) -> Result<(), String> {
    let length = metadata.content_length.and_then(|length| i64::try_from(length).ok());
    let (told, length) = (short.length, length.unwrap_or(UNKNOWN_CONTENT_LENGTH));
    if told != length && (told >= 0 || length >= 0) {
        return Err(format!("GetContentLength says {told}, and GetMetadata {length}"));
    }
    if short.support_range != metadata.support_range {
        let (range, other) = (short.support_range, metadata.support_range);
        return Err(format!("IsSupportRange says {range}, and GetMetadata {other}"));
    }
    let time = metadata.validator.as_ref().and_then(|validator| validator.last_modified);
    match (short.last_modified, time) {
        (told, Some(time)) if told != time => Err(format!("GetLastModified says {told}, and GetMetadata {time}")),
        // A time that is no part of the validator may be known all the same.
        _ => Ok(()),
    }
}

async fn judge_stable(session: &Session, url: &str, metadata: &Metadata, findings: &mut Findings) {
    if let Ok(again) = get(session, url).await {
        findings.judge("validator.stable", same(metadata.validator.as_ref(), again.validator.as_ref(), "asked again"));
    }
}

/// An absent validator is an empty one.
fn same(one: Option<&Validator>, other: Option<&Validator>, circumstance: &str) -> Result<(), String> {
    let (one, other) = (one.cloned().unwrap_or_default(), other.cloned().unwrap_or_default());
    if one == other { Ok(()) } else { Err(format!("it was {one:?}, and {circumstance} it is {other:?}")) }
}

/// Whether that and what is served are one.
pub(super) fn judge_served(told: &Told, body: &Body, findings: &mut Findings) {
    let opened = stream::metadata(&body.opened);
    let total = body.total;
    let lengths = [("GetMetadata", told.length()), ("Opened", opened.content_length)];
    let other = lengths.into_iter().find_map(|(by, length)| Some((by, length.filter(|length| *length != total)?)));
    let held = other.map_or(Ok(()), |(by, length)| Err(format!("{by} says {length} bytes, and {total} are served")));
    findings.judge("metadata.served", held);
    let stable = same(told.metadata.validator.as_ref(), opened.validator.as_ref(), "in Opened");
    findings.judge("validator.stable", stable);
    if told.metadata.digests.is_empty() && opened.digests.is_empty() {
        findings.skip("metadata.digests", "none is announced");
    } else {
        findings.judge("metadata.digests", body.digests.clone());
    }
}

/// Whether versions are told apart.
pub(super) async fn judge_validator(session: &Session, url: &str, told: &Told, findings: &mut Findings) {
    if !findings.holds("metadata.required") || !findings.holds("validator.stable") {
        findings.skip("validator.expired", "the validator is not to be had, or not stable");
    } else {
        let expired = judge_expired(session, url, told).await;
        findings.judge("validator.expired", expired);
    }
    let held = judge_held(session, url, told).await;
    findings.judge("validator.held", held);
}

async fn judge_expired(session: &Session, url: &str, told: &Told) -> Result<(), String> {
    let cases = [
        ("the current validator", told.validator().cloned(), told.validator().is_none()),
        ("another validator", Some(another(told)), true),
        ("no validator", None, true),
    ];
    for (what, validator, expected) in cases {
        match is_expired(session, url, validator).await {
            Ok(expired) if expired == expected => {}
            Ok(expired) => return Err(format!("with {what} it is {expired}")),
            Err(failed) => return Err(format!("with {what}: {failed}")),
        }
    }
    Ok(())
}

async fn is_expired(session: &Session, url: &str, validator: Option<Validator>) -> Result<bool, Failed> {
    let request = proto::IsExpiredRequest { resource: resource(url), validator, expires: None };
    Ok(session.ask(async { session.client().is_expired(request).await }).await?.expired)
}

/// Comparable where it can be, and never equal.
fn another(told: &Told) -> Validator {
    match told.validator() {
        Some(Validator { etag, last_modified: Some(time) }) if etag.is_empty() => {
            Validator { etag: String::new(), last_modified: Some(time - HOUR) }
        }
        _ => Validator { etag: FOREIGN.into(), last_modified: None },
    }
}

async fn judge_held(session: &Session, url: &str, told: &Told) -> Result<(), String> {
    if let Some(current) = told.validator() {
        serves(session, url, current).await.map_err(|found| format!("with the current validator: {found}"))?;
    }
    let validator = Some(another(told));
    let request = DownloadRequest { resource: resource(url), range: None, validator };
    let mut began = session.begin(request).await;
    // Opened is no harm.
    if let Ok((Some(first), stream)) = &mut began
        && matches!(first.event, Some(Event::Opened(_)))
    {
        let second = session.next(session.limits.answer, stream).await;
        return expect("Download with another validator", second, Code::FailedPrecondition, false);
    }
    expect("Download with another validator", began, Code::FailedPrecondition, false)
}

/// Whether a download with this validator is begun.
async fn serves(session: &Session, url: &str, validator: &Validator) -> Result<(), String> {
    let request = DownloadRequest { resource: resource(url), range: None, validator: Some(validator.clone()) };
    match session.begin(request).await {
        Ok((Some(first), _)) if matches!(first.event, Some(Event::Opened(_))) => Ok(()),
        Ok(_) => Err("the first message is not Opened".into()),
        Err(failed) => Err(failed.to_string()),
    }
}

/// Whether a new process knows the same version.
pub(super) async fn judge_restart(session: &Session, url: &str, told: &Told, findings: &mut Findings) {
    let Some(validator) = told.validator() else {
        return findings.skip("validator.restart", "the resource has no validator");
    };
    let held = match get(session, url).await {
        Ok(now) => same(Some(validator), now.validator.as_ref(), "of the new process"),
        Err(failed) if failed.is_absence() => Ok(()),
        Err(failed) => Err(format!("GetMetadata: {failed}")),
    };
    let held = match held {
        Ok(()) => serves(session, url, validator).await,
        found => found,
    };
    findings.judge("validator.restart", held);
}

/// A resource that does not exist.
pub(super) async fn judge_missing(suite: &super::Suite, session: &Session, findings: &mut Findings) {
    let Some(url) = &suite.missing else {
        return findings.skip("error.not-found", "name a resource that does not exist");
    };
    let held = is_missing(session, url).await;
    findings.judge("error.not-found", held);
}

async fn is_missing(session: &Session, url: &str) -> Result<(), String> {
    let missing = Code::NotFound;
    expect("GetMetadata", get(session, url).await, missing, true)?;
    let request = proto::GetContentLengthRequest { resource: resource(url) };
    let answer = session.ask(async { session.client().get_content_length(request).await }).await;
    expect("GetContentLength", answer, missing, true)?;
    let request = DownloadRequest { resource: resource(url), range: None, validator: None };
    expect("Download", session.begin(request).await, missing, false)
}

/// Where a listing and the plugin itself say different things of one resource.
pub(super) fn contradict(listed: &Metadata, told: &Metadata) -> Result<(), String> {
    let validators = |metadata: &Metadata| metadata.validator.clone().unwrap_or_default();
    let (one, other) = (validators(listed), validators(told));
    let etags = !one.etag.is_empty() && !other.etag.is_empty() && one.etag != other.etag;
    let times = one.last_modified.zip(other.last_modified).is_some_and(|(one, other)| one != other);
    let lengths = listed.content_length.zip(told.content_length).is_some_and(|(one, other)| one != other);
    match () {
        () if etags || times => Err(format!("the listing says {one:?}, and GetMetadata {other:?}")),
        () if lengths => Err(format!(
            "the listing says {:?} bytes, and GetMetadata {:?}",
            listed.content_length, told.content_length
        )),
        () => Ok(()),
    }
}

/// A status in words, for a rule that expects another.
pub(super) fn unexpected(code: Code, expected: Code) -> String {
    format!("{}; {} is expected", name_of(code), name_of(expected))
}
