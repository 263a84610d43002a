//! What a gRPC status means: who it is from, and which error it is.

use std::error::Error as _;

use tonic::{Code, Status};

use super::discover::{Candidate, Presence};
use crate::{error::Error, escape::printable};

/// How tonic begins the statuses that it makes itself of a message it does not accept. They have no source.
const DECODING: [&str; 2] = ["Error, decoded message length too large", "failed to decode Protobuf message"];

/// Whether the status was made at this end, of a broken connection or an unreadable message, and not by the plugin.
pub(super) fn is_local(status: &Status) -> bool {
    status.source().is_some() || is_unreadable(status)
}

/// Whether it stands for a message that is too large or no message at all.
pub(super) fn is_unreadable(status: &Status) -> bool {
    DECODING.iter().any(|text| status.message().starts_with(text))
}

/// What broke, down to the first cause.
pub(super) fn cause(status: &Status) -> String {
    let mut cause = status.source();
    let mut text = status.message().to_owned();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    printable(&text)
}

/// The source's own answer, its text printable.
pub(super) fn source_error(status: &Status) -> plugin_sdk::Error {
    let text = printable(status.message());
    let details = status.details().to_vec().into();
    let text = if text.is_empty() { format!("no reason given ({:?})", status.code()) } else { text };
    Status::with_details(status.code(), text, details).into()
}

/// A plugin answered `Init`, and refused what it was asked to be.
pub(super) fn refused(candidate: &Candidate, status: &Status) -> Error {
    let plugin = candidate.title();
    if status.code() == Code::Unimplemented {
        return Error::Protocol { plugin, fact: "it does not implement Init".into() };
    }
    let subject = match candidate.presence {
        // As if it had been asked here.
        Presence::InTree => plugin,
        _ => format!("plugin {plugin}"),
    };
    Error::of_source(&subject, source_error(status))
}
