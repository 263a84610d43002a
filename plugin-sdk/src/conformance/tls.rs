//! AutoMTLS: with the host, with a stranger, and with nonsense.

use plugin_proto::{goplugin::Empty, handshake::Handshake};
use tokio::time::timeout;

use super::{
    Suite,
    handshake::{NoGreeting, greet},
    process::{Process, Start, asking_for_tls},
    report::Findings,
    session::{Failed, Session, connect, health},
};
use crate::tls::Identity;

/// What `PLUGIN_CLIENT_CERT` never is.
const NONSENSE: &str = "this is no certificate";

pub(super) async fn judge(suite: &Suite, findings: &mut Findings) {
    judge_mutual(suite, findings).await;
    judge_nonsense(suite, findings).await;
}

async fn judge_mutual(suite: &Suite, findings: &mut Findings) {
    let Ok(host) = Identity::generate() else { return };
    let Ok(process) = Process::start(suite, &asking_for_tls(&host)) else { return };
    match greet(&process, suite.limits.start).await {
        Ok(greeting) if greeting.handshake.certificate.is_none() => {
            findings.fail("tls.mutual", "it goes on without a certificate");
        }
        Ok(greeting) => match Session::connect(suite, process, greeting, Some(host)).await {
            Ok(session) => return judge_session(session, findings).await,
            Err(found) => {
                findings.fail("tls.mutual", found);
                return;
            }
        },
        Err(none) => judge_refusal(&none, &process, findings).await,
    }
    process.bury().await;
}

/// What does not speak TLS says so, and ends.
async fn judge_refusal(none: &NoGreeting, process: &Process, findings: &mut Findings) {
    process.bury().await;
    match none {
        NoGreeting::Ended(ended) if !ended.status.success() && process.stderr.read(|it| it.total) > 0 => {
            for id in ["tls.mutual", "tls.stranger"] {
                findings.skip(id, "it does not speak TLS, and says so");
            }
        }
        none => _ = findings.fail("tls.mutual", none.describe(process)),
    }
}

async fn judge_session(session: Session, findings: &mut Findings) {
    let held = match session.ask(health(session.channel.clone())).await {
        Ok(_) | Err(Failed::Status(_)) => Ok(()),
        Err(failed) => Err(failed.to_string()),
    };
    if findings.judge("tls.mutual", held) {
        let stranger = Identity::generate().ok();
        let handshake = &session.greeting.handshake;
        let strangers = [("with another certificate", stranger.as_ref()), ("without TLS", None)];
        for (who, identity) in strangers {
            let served = is_served(&session, handshake, identity).await;
            let held = if served { Err(format!("a host {who} is answered")) } else { Ok(()) };
            findings.judge("tls.stranger", held);
        }
    }
    session.process.bury().await;
}

/// Whether any answer comes.
async fn is_served(session: &Session, handshake: &Handshake, identity: Option<&Identity>) -> bool {
    let call = async {
        let channel = connect(handshake, identity).await.ok()?;
        match health(channel).await {
            Ok(_) => Some(Empty {}),
            Err(status) => std::error::Error::source(&status).is_none().then_some(Empty {}),
        }
    };
    timeout(session.limits.end, call).await.ok().flatten().is_some()
}

async fn judge_nonsense(suite: &Suite, findings: &mut Findings) {
    let start = Start { certificate: Some(NONSENSE.into()), ..Start::default() };
    let Ok(process) = Process::start(suite, &start) else { return };
    let held = match greet(&process, suite.limits.start).await {
        Ok(_) => Err("it goes on".to_owned()),
        Err(NoGreeting::Ended(ended)) if !ended.status.success() => Ok(()),
        Err(NoGreeting::Ended(ended)) => Err(format!("it ended: {}", ended.status)),
        Err(NoGreeting::Wrong(found)) => Err(found),
    };
    process.bury().await;
    findings.judge("tls.nonsense", held);
}
