//! The first calls to a plugin, whoever started it: is it well, and is it the one that is wanted?

use std::time::Duration;

use plugin_proto::{
    FILE_NAME_PREFIX, HEALTH_SERVICE, PLUGIN_TYPE,
    resource::{InitRequest, InitResponse, resource_client_client::ResourceClientClient},
};
use plugin_sdk::Options;
use tonic::{Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::{About, Confined, discover::Candidate, status};
use crate::{error::StartFault, escape::printable};

/// What dfget calls itself in `Init`.
const HOST: &str = concat!("dfget/", env!("CARGO_PKG_VERSION"));

/// Why a plugin that was connected to is of no use.
pub(super) enum NotIntroduced {
    /// The connection broke.
    Gone(StartFault),
    Fault(StartFault),
    /// It answered, and refused.
    Refused(Status),
}

impl From<StartFault> for NotIntroduced {
    fn from(fault: StartFault) -> Self {
        Self::Fault(fault)
    }
}

/// Health and `Init` at once: it saves a round trip, and a plugin without Health is none the worse. `options` of `None`
/// only asks what it is; `features` are those that the host has for it.
pub(super) async fn introduce(
    channel: &Channel,
    candidate: &Candidate,
    options: Option<&Options>,
    features: &[&str],
) -> Result<InitResponse, NotIntroduced> {
    let request = InitRequest {
        options: options.cloned().unwrap_or_default(),
        scheme: candidate.name.clone(),
        host: HOST.into(),
        features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        describe: options.is_none(),
    };
    let mut client = ResourceClientClient::new(channel.clone());
    let (health, introduced) = tokio::join!(check_health(channel), client.init(request));
    health?;
    let introduced = introduced.map_err(refused)?.into_inner();
    check_attributes(&introduced, candidate)?;
    Ok(introduced)
}

fn refused(status: Status) -> NotIntroduced {
    if status::is_unreadable(&status) {
        return NotIntroduced::Fault(StartFault::Unreachable(status::cause(&status)));
    }
    if status::is_local(&status) {
        return NotIntroduced::Gone(StartFault::Unreachable(status::cause(&status)));
    }
    NotIntroduced::Refused(status)
}

async fn check_health(channel: &Channel) -> Result<(), StartFault> {
    let request = HealthCheckRequest { service: HEALTH_SERVICE.into() };
    match HealthClient::new(channel.clone()).check(request).await.map(|answer| answer.into_inner().status()) {
        Ok(ServingStatus::NotServing) => Err(StartFault::NotServing("not serving".into())),
        Ok(_) => Ok(()),
        // If the connection is broken, Init says so.
        Err(status) => {
            tracing::debug!("no health from the plugin: {}", printable(status.message()));
            Ok(())
        }
    }
}

/// In the order in which Dragonfly checks them.
fn check_attributes(introduced: &InitResponse, candidate: &Candidate) -> Result<(), StartFault> {
    let expect = |key: &'static str, expected: &str| {
        let value = introduced.attributes.get(key);
        if value.is_some_and(|value| value == expected) {
            return Ok(());
        }
        Err(StartFault::BadAttribute(key, value.map(|value| printable(value)), expected.to_owned()))
    };
    expect("type", PLUGIN_TYPE)?;
    // A file named on the command line may have any name.
    if let Some(name) = candidate.title().strip_prefix(FILE_NAME_PREFIX) {
        expect("name", name)?;
    }
    expect("scheme", &candidate.name)
}

impl About {
    pub(super) fn new(app_version: u32, introduced: &InitResponse, start_time: Duration, confined: Confined) -> Self {
        let shown = introduced.attributes.iter().map(|(key, value)| (printable(key), printable(value)));
        Self {
            app_version,
            attributes: shown.collect(),
            features: introduced.features.iter().map(|feature| printable(feature)).collect(),
            start_time,
            confined,
        }
    }
}
