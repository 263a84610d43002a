//! `Init`, and what comes before it.

use plugin_proto::{PLUGIN_TYPE, resource as proto};
use tonic::Code;

use super::{
    logs,
    report::Findings,
    session::{Failed, Session, expect, resource},
};

/// An option and a feature that nobody knows.
const UNKNOWN: &str = "conformance-unknown";

/// Returns whether the plugin is ready for calls.
pub(super) async fn judge(session: &Session, findings: &mut Findings) -> bool {
    if !judge_describe(session, findings).await {
        return false;
    }
    judge_calls_before(session, findings).await;
    let answer = match session.init(|_| {}).await {
        Ok(answer) => answer,
        Err(failed) => return refuse(failed, "init.answer", findings),
    };
    findings.pass("init.answer");
    findings.judge("init.attributes", check_attributes(session, &answer));
    judge_options(session, findings).await;
    judge_further(session, findings).await;
    judge_resource(session, findings).await;
    true
}

fn refuse(failed: Failed, id: &'static str, findings: &mut Findings) -> bool {
    match failed {
        Failed::Died(fact) => {
            findings.fail(id, fact);
        }
        failed => {
            findings.fail(id, format!("Init: {failed}"));
        }
    }
    findings.stop("it cannot be asked for anything before its Init succeeds");
    false
}

async fn judge_describe(session: &Session, findings: &mut Findings) -> bool {
    let describe = |request: &mut proto::InitRequest| {
        request.options.clear();
        request.describe = true;
    };
    match session.init(describe).await {
        Ok(answer) => {
            findings.pass("init.describe");
            findings.judge("init.attributes", check_attributes(session, &answer));
            true
        }
        // It may still be right with options.
        Err(Failed::Status(status)) if status.code() != Code::Unimplemented => {
            findings.fail("init.describe", Failed::Status(status).to_string());
            true
        }
        Err(failed) => refuse(failed, "init.describe", findings),
    }
}

fn check_attributes(session: &Session, answer: &proto::InitResponse) -> Result<(), String> {
    let scheme = session.suite.name();
    let expect = |key: &str, expected: &str| match answer.attributes.get(key) {
        Some(value) if value == expected => Ok(()),
        Some(value) => Err(format!("`{key}` is `{value}`, where `{expected}` is expected")),
        None => Err(format!("`{key}` is absent, where `{expected}` is expected")),
    };
    expect("type", PLUGIN_TYPE)?;
    if let Some(name) = session.suite.name_in_file() {
        expect("name", name)?;
    }
    expect("scheme", &scheme)
}

async fn judge_calls_before(session: &Session, findings: &mut Findings) {
    let url = session.suite.url.clone().unwrap_or_else(|| format!("{}://host/path", session.suite.name()));
    let held = refuses_all(session, resource(&url)).await;
    findings.judge("init.first", held);
}

/// Whether every call is INVALID_ARGUMENT.
async fn refuses_all(session: &Session, resource: Option<proto::Resource>) -> Result<(), String> {
    let refuse = Code::InvalidArgument;
    let request = proto::GetContentLengthRequest { resource: resource.clone() };
    let answer = session.ask(async { session.client().get_content_length(request).await }).await;
    // Who lacks it breaks another rule.
    expect("GetContentLength", answer, refuse, true)?;
    let request = proto::GetMetadataRequest { resource: resource.clone() };
    let answer = session.ask(async { session.client().get_metadata(request).await }).await;
    expect("GetMetadata", answer, refuse, true)?;
    expect("List", session.list(resource.clone()).await, refuse, true)?;
    let request = proto::DownloadRequest { resource, range: None, validator: None };
    expect("Download", session.begin(request).await, refuse, false)
}

async fn judge_options(session: &Session, findings: &mut Findings) {
    let answer =
        session.init(|request| _ = request.options.insert(UNKNOWN.to_owned(), logs::OPTION_CANARY.to_owned())).await;
    if matches!(&answer, Err(Failed::Status(status)) if status.message().contains(logs::OPTION_CANARY)) {
        findings.fail("log.secrets", "the status of an Init that fails has the value of an option");
    }
    let held = match answer {
        Err(Failed::Status(status)) if status.code() == Code::InvalidArgument => {
            let named = status.message().contains(UNKNOWN);
            if named { Ok(()) } else { Err(format!("the status does not name it: {}", status.message())) }
        }
        Err(failed) => Err(format!("{failed}; INVALID_ARGUMENT is expected")),
        Ok(_) => Err("it is accepted".into()),
    };
    findings.judge("init.options", held);
}

/// Behind an `Init` that failed, or one that had an option too many.
async fn judge_further(session: &Session, findings: &mut Findings) {
    if let Some(url) = &session.suite.url {
        let request = proto::GetContentLengthRequest { resource: resource(url) };
        let answer = session.ask(async { session.client().get_content_length(request).await }).await;
        if let Err(Failed::Status(status)) = answer
            && status.code() == Code::InvalidArgument
        {
            findings.fail("init.again", format!("after one that failed: GetContentLength: {}", status.message()));
        }
    }
    let with_features = session.init(|request| request.features = vec![UNKNOWN.to_owned()]).await;
    let again = session.init(|_| {}).await.map(drop);
    findings.judge("init.again", again.map_err(|failed| format!("the same once more: {failed}")));
    let held = with_features.map(drop).map_err(|failed| format!("with the feature `{UNKNOWN}`: {failed}"));
    findings.judge("init.features", held);
}

async fn judge_resource(session: &Session, findings: &mut Findings) {
    let held = refuses_all(session, None).await;
    findings.judge("call.resource", held);
}
