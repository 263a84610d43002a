//! Connects to a plugin that runs already, under a debugger most likely. It is neither started nor ended here, and may be
//! stopped for as long as its author looks at it.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use plugin_proto::resource::InitResponse;
use plugin_sdk::Options;
use tokio::time::timeout;

use super::{
    About, Confined, Settings,
    connect::{Attached, attach as connect},
    discover::Candidate,
    introduce::{NotIntroduced, introduce},
    logs::Logs,
    process::Process,
    reattach::Attachment,
    running::{Drains, Running},
    status,
};
use crate::error::{Error, StartFault};

/// As [`start`](super::start::start), of a plugin that runs.
pub(super) async fn attach(
    candidate: &Candidate,
    attachment: &Attachment,
    options: Option<&Options>,
    settings: &Settings,
) -> Result<Running, Error> {
    let begun = Instant::now();
    let mut meeting = pin!(meet(candidate, attachment, options, settings));
    let met = match timeout(settings.start_timeout, meeting.as_mut()).await {
        Ok(met) => met,
        Err(_) => {
            tell_patience(candidate, settings.start_timeout);
            meeting.await
        }
    };
    let (Attached { channel, ended }, introduced, drains) =
        met.map_err(|failure| not_met(candidate, attachment, failure))?;
    let foreign = || "not of dfget's making: it was started by somebody else".to_owned();
    let confined = Confined { sandbox: foreign(), limits: foreign() };
    Ok(Running {
        name: candidate.title(),
        about: About::new(attachment.app_version, &introduced, begun.elapsed(), confined),
        channel,
        line: None,
        data_sockets: None,
        settings: settings.clone(),
        process: Process::of_somebody_else(ended),
        logs: Logs::none(),
        _drains: drains,
        leaving: Mutex::default(),
        progress: Arc::default(),
        restarts: 0,
    })
}

async fn meet(
    candidate: &Candidate,
    attachment: &Attachment,
    options: Option<&Options>,
    settings: &Settings,
) -> Result<(Attached, InitResponse, Drains), NotIntroduced> {
    let attached = connect(attachment).await?;
    let drains = Drains::start(candidate, settings, None, attached.channel.clone());
    let introduced = introduce(&attached.channel, candidate, options, &[]).await?;
    Ok((attached, introduced, drains))
}

fn tell_patience(candidate: &Candidate, limit: Duration) {
    let (name, limit) = (candidate.title(), humantime::format_duration(limit));
    tracing::warn!("plugin {name} has not answered in {limit}: a debugger may have stopped it, so dfget waits on");
}

fn not_met(candidate: &Candidate, attachment: &Attachment, failure: NotIntroduced) -> Error {
    let fault = match failure {
        NotIntroduced::Refused(status) => return status::refused(candidate, &status),
        // Nobody answers: the variable is out of date.
        NotIntroduced::Gone(StartFault::Unreachable(reason))
        | NotIntroduced::Fault(StartFault::Unreachable(reason)) => StartFault::NotThere(attachment.to_string(), reason),
        NotIntroduced::Gone(fault) | NotIntroduced::Fault(fault) => fault,
    };
    Error::Start { plugin: candidate.title(), fault, last_words: Vec::new() }
}
