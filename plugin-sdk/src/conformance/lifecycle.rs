//! How a plugin begins by hand, and the ways in which it ends.

use std::time::Duration;

use plugin_proto::goplugin::{Empty, grpc_controller_client::GrpcControllerClient};
use rustix::process::Signal;
use tokio::time::timeout;
use tonic::Code;

use super::{
    Suite, handshake,
    handshake::greet,
    logs,
    metadata::{self, Told},
    process::{Ended, Process, Start, Stdin, asking_for_tls},
    report::Findings,
    session::{Failed, Session, connect, health, resource},
};
use crate::tls::Identity;
use plugin_proto::{handshake::Address, resource::DownloadRequest};

/// How long a plugin has to end that should not.
const MOMENT: Duration = Duration::from_millis(400);

/// A protocol version from far ahead, and the one that there is.
const VERSIONS: &str = "2147483647,1";

/// As a person starts it.
pub(super) async fn judge_by_hand(suite: &Suite, findings: &mut Findings) {
    let start = Start { by_hand: true, stdin: Stdin::Null, ..Start::default() };
    let Ok(process) = Process::start(suite, &start) else { return };
    let ended = process.ended_within(suite.limits.start).await;
    process.bury().await;
    let (stdout, stderr) = (process.stdout.read(|it| it.total), process.stderr.read(|it| it.total));
    let limit = suite.limits.start;
    let held = match ended {
        None => Err(format!("it did not end in {limit:?}")),
        Some(ended) if ended.status.code() != Some(1) => Err(format!("it ended otherwise: {}", ended.status)),
        Some(_) if stderr == 0 => Err("it wrote nothing to stderr".into()),
        Some(_) if stdout > 0 => Err("it wrote something to stdout".into()),
        Some(_) => Ok(()),
    };
    findings.judge("start.by-hand", held);
}

/// The end of the process that did all the work.
pub(super) async fn judge_shutdown(suite: &Suite, session: Session, findings: &mut Findings) {
    judge_life(&session, findings).await;
    if session.process.ending().is_some() {
        findings.skip("end.shutdown", "it had ended before");
    } else {
        judge_connections(&session, findings).await;
        shut_down(suite, &session, findings).await;
    }
    if let Some(ended) = session.process.bury().await {
        judge_left(&ended, findings);
    }
    logs::judge(&session, findings);
}

/// Whether it is still there.
async fn judge_life(session: &Session, findings: &mut Findings) {
    let held = match session.ask(health(session.channel.clone())).await {
        Ok(_) | Err(Failed::Status(_)) => Ok(()),
        Err(failed) => Err(failed.to_string()),
    };
    findings.judge("life.serves", held);
}

/// A host that lost its connection dials again.
async fn judge_connections(session: &Session, findings: &mut Findings) {
    let again = async {
        let channel = connect(&session.greeting.handshake, session.identity.as_ref()).await;
        health(channel.map_err(|error| error.to_string())?).await.map_or_else(
            // An answer is an answer.
            |status| if std::error::Error::source(&status).is_some() { Err(status.to_string()) } else { Ok(()) },
            |_| Ok(()),
        )
    };
    let limit = session.limits.answer;
    let held = timeout(limit, again).await.unwrap_or_else(|_| Err(format!("nothing came in {limit:?}")));
    findings.judge("connection.again", held.map_err(|found| format!("a second connection: {found}")));
}

async fn shut_down(suite: &Suite, session: &Session, findings: &mut Findings) {
    // A stream that nobody reads; that of GRPCStdio is open, too.
    let open = match &suite.url {
        Some(url) => {
            let request = DownloadRequest { resource: resource(url), range: None, validator: None };
            session.begin(request).await.ok()
        }
        None => None,
    };
    let mut controller = GrpcControllerClient::new(session.channel.clone());
    let limit = suite.limits.end;
    let begun = session.process.ended_within(limit);
    // Any answer is fine, and so is none.
    let (answer, ended) = tokio::join!(timeout(limit, controller.shutdown(Empty {})), begun);
    drop(open);
    match (ended, answer) {
        (Some(ended), _) => {
            findings.pass("end.shutdown");
            judge_left(&ended, findings);
            judge_socket(session, findings);
        }
        (None, Ok(Err(status))) if status.code() == Code::Unimplemented => {
            findings.skip(
                "end.shutdown",
                "it has no plugin.GRPCController, so that hosts wait before they end it by signals",
            );
        }
        (None, _) => _ = findings.fail("end.shutdown", format!("it lives {limit:?} later")),
    }
}

fn judge_socket(session: &Session, findings: &mut Findings) {
    let Address::Unix(path) = &session.greeting.handshake.address else {
        return findings.skip("end.socket", "it listens on TCP");
    };
    let held = match std::fs::symlink_metadata(path) {
        Ok(_) => Err("it is still there".to_owned()),
        Err(_) => Ok(()),
    };
    findings.judge("end.socket", held);
}

fn judge_left(ended: &Ended, findings: &mut Findings) {
    let held = if ended.left.is_empty() { Ok(()) } else { Err(format!("left were {}", ended.left.join(", "))) };
    findings.judge("end.nothing-left", held);
}

/// All other ends, each of a process of its own.
pub(super) async fn judge_ends(suite: &Suite, told: Option<&Told>, findings: &mut Findings) {
    judge_without_life_line(suite, told, findings).await;
    judge_sigterm(suite, findings).await;
    judge_life_line(suite, findings).await;
}

/// A host that offers more than there is, whose stdin says nothing.
async fn judge_sigterm(suite: &Suite, findings: &mut Findings) {
    // One that watches every stdin would not get as far as its handshake line.
    let stdin = if findings.holds("end.stdin") { Stdin::Null } else { Stdin::Held };
    let start = Start { stdin, versions: Some(VERSIONS), multiplex: true, ..Start::default() };
    let Ok(process) = Process::start(suite, &start) else { return };
    match greet(&process, suite.limits.start).await {
        Ok(greeting) => {
            handshake::judge_version(&greeting.handshake, findings);
            let held = greeting.handshake.multiplex.map(drop).ok_or("asked for, it is not there".to_owned());
            findings.judge("handshake.multiplex", held);
            let died = process.ended_within(MOMENT).await;
            if judge_stdin(died.as_ref(), "/dev/null, and the variable is there", &process, findings) {
                process.signal(Signal::TERM);
                judge_end(&process, suite, "end.sigterm", findings).await;
            } else {
                findings.skip("end.sigterm", "it had ended before");
            }
        }
        Err(none) => {
            process.bury().await;
            let found = format!("asked for multiplexing, with the versions {VERSIONS}: {}", none.describe(&process));
            findings.fail("handshake.multiplex", found);
        }
    }
    process.bury().await;
}

fn judge_stdin(died: Option<&Ended>, stdin: &str, process: &Process, findings: &mut Findings) -> bool {
    let words = || process.stderr.last_words();
    let held =
        died.map_or(Ok(()), |ended| Err(format!("it ended ({}), where stdin is {stdin}{}", ended.status, words())));
    findings.judge("end.stdin", held)
}

async fn judge_end(process: &Process, suite: &Suite, id: &'static str, findings: &mut Findings) {
    let limit = suite.limits.end;
    match process.ended_within(limit).await {
        Some(ended) => {
            findings.pass(id);
            judge_left(&ended, findings);
        }
        None => _ = findings.fail(id, format!("it lives {limit:?} later")),
    }
}

/// A go-plugin host that hands its own stdin on; and the process that comes after one that died.
async fn judge_without_life_line(suite: &Suite, told: Option<&Told>, findings: &mut Findings) {
    let is_stdin = "a pipe at its end, and the variable is not there";
    match start_without_life_line(suite).await {
        Ok(session) => {
            let died = session.process.ended_within(MOMENT).await;
            if judge_stdin(died.as_ref(), is_stdin, &session.process, findings) {
                judge_restart(&session, told, findings).await;
                judge_interrupt(&session, findings).await;
            }
            session.process.bury().await;
        }
        Err(found) => _ = findings.fail("end.stdin", format!("where stdin is {is_stdin}: {found}")),
    }
}

async fn start_without_life_line(suite: &Suite) -> Result<Session, String> {
    let start = |identity: Option<&Identity>| {
        let asking = identity.map(asking_for_tls).unwrap_or_default();
        Start { stdin: Stdin::Ended, without_life_line: true, ..asking }
    };
    let mut identity = None;
    loop {
        let process = Process::start(suite, &start(identity.as_ref())).map_err(|error| error.to_string())?;
        match greet(&process, suite.limits.start).await {
            Ok(greeting) if matches!(greeting.handshake.address, Address::Tcp(_)) && identity.is_none() => {
                process.bury().await;
                identity = Some(Identity::generate().map_err(|error| error.to_string())?);
            }
            Ok(greeting) => return Session::connect(suite, process, greeting, identity).await,
            Err(none) => {
                process.bury().await;
                return Err(none.describe(&process));
            }
        }
    }
}

async fn judge_restart(session: &Session, told: Option<&Told>, findings: &mut Findings) {
    let Some((url, told)) = session.suite.url.as_ref().zip(told) else { return };
    match session.init(|_| {}).await {
        Ok(_) => metadata::judge_restart(session, url, told, findings).await,
        Err(failed) => _ = findings.fail("validator.restart", format!("Init: {failed}")),
    }
}

async fn judge_interrupt(session: &Session, findings: &mut Findings) {
    session.process.signal(Signal::INT);
    let held = match session.process.ended_within(MOMENT).await {
        Some(ended) => Err(format!("it ended: {}", ended.status)),
        None => Ok(()),
    };
    findings.judge("end.sigint", held);
}

/// A host that is gone.
async fn judge_life_line(suite: &Suite, findings: &mut Findings) {
    let Ok(process) = Process::start(suite, &Start::default()) else { return };
    if greet(&process, suite.limits.start).await.is_ok() {
        process.end_life_line();
        judge_end(&process, suite, "end.life-line", findings).await;
    }
    process.bury().await;
}
