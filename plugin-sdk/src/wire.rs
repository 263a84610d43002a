//! Between the types of this crate and the messages of the protocol, both ways.
//!
//! For [`serve`](crate::serve) and for hosts; a plugin's author needs nothing here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plugin_proto::resource as proto;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{Digest, DownloadRequest, Entry, Error, Header, Metadata, Opened, Range, Request, Validator};

/// Milliseconds since the epoch, rounded down; negative before it.
#[must_use]
pub fn millis(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => {
            let millis = before.duration().as_nanos().div_ceil(1_000_000);
            0_i64.checked_sub_unsigned(u64::try_from(millis).unwrap_or(u64::MAX)).unwrap_or(i64::MIN)
        }
    }
}

/// The time that [`millis`] gave; `None` where the clock of this platform does not reach it.
#[must_use]
pub fn time(millis: i64) -> Option<SystemTime> {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = chain(&error);
        if let Error::Unavailable { retry_after: Some(delay), .. } = error {
            return Self::with_error_details(Code::Unavailable, text, ErrorDetails::with_retry_info(Some(delay)));
        }
        Self::new(code(&error), text)
    }
}

fn code(error: &Error) -> Code {
    match error {
        Error::NotFound(_) => Code::NotFound,
        Error::Unauthenticated(_) => Code::Unauthenticated,
        Error::PermissionDenied(_) => Code::PermissionDenied,
        Error::Unavailable { .. } => Code::Unavailable,
        Error::Changed(_) => Code::FailedPrecondition,
        Error::DataLoss(_) => Code::DataLoss,
        Error::InvalidRequest(_) => Code::InvalidArgument,
        Error::OutOfRange(_) => Code::OutOfRange,
        Error::Unsupported(_) => Code::Unimplemented,
        Error::Internal(_) => Code::Internal,
    }
}

/// The error and what caused it in one line: the wire has no room for more.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

/// What a plugin's status says about a resource; [`Error::Internal`] for the codes that say nothing about one.
impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        match status.code() {
            Code::NotFound => Self::NotFound(message),
            Code::Unauthenticated => Self::Unauthenticated(message),
            Code::PermissionDenied => Self::PermissionDenied(message),
            Code::Unavailable | Code::Aborted | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled => {
                let retry_after = status.get_details_retry_info().and_then(|info| info.retry_delay);
                Self::Unavailable { message, retry_after }
            }
            Code::FailedPrecondition => Self::Changed(message),
            Code::DataLoss => Self::DataLoss(message),
            Code::InvalidArgument | Code::AlreadyExists => Self::InvalidRequest(message),
            Code::OutOfRange => Self::OutOfRange(message),
            Code::Unimplemented => Self::Unsupported(message),
            Code::Ok | Code::Internal | Code::Unknown => Self::internal(message),
        }
    }
}

impl From<Request> for proto::Resource {
    fn from(request: Request) -> Self {
        Self { url: request.url, header: header_to_wire(request.header) }
    }
}

impl From<proto::Resource> for Request {
    fn from(resource: proto::Resource) -> Self {
        Self { url: resource.url, header: header_from_wire(resource.header) }
    }
}

fn header_to_wire(header: Header) -> Vec<proto::Header> {
    header.into_iter().map(|(name, value)| proto::Header { name, value }).collect()
}

fn header_from_wire(header: Vec<proto::Header>) -> Header {
    header.into_iter().map(|proto::Header { name, value }| (name, value)).collect()
}

impl From<DownloadRequest> for proto::DownloadRequest {
    fn from(request: DownloadRequest) -> Self {
        Self {
            resource: Some(request.request.into()),
            range: (!request.range.is_whole()).then(|| request.range.into()),
            validator: (!request.validator.is_empty()).then(|| request.validator.into()),
        }
    }
}

impl From<proto::DownloadRequest> for DownloadRequest {
    fn from(request: proto::DownloadRequest) -> Self {
        Self {
            request: request.resource.unwrap_or_default().into(),
            range: request.range.unwrap_or_default().into(),
            validator: request.validator.unwrap_or_default().into(),
        }
    }
}

impl From<Range> for proto::Range {
    fn from(Range { start, length }: Range) -> Self {
        Self { start, length }
    }
}

impl From<proto::Range> for Range {
    fn from(proto::Range { start, length }: proto::Range) -> Self {
        Self { start, length }
    }
}

impl From<Validator> for proto::Validator {
    fn from(validator: Validator) -> Self {
        Self { etag: validator.etag.unwrap_or_default(), last_modified: validator.last_modified.map(millis) }
    }
}

impl From<proto::Validator> for Validator {
    fn from(validator: proto::Validator) -> Self {
        Self { etag: non_empty(validator.etag), last_modified: validator.last_modified.and_then(time) }
    }
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl From<Metadata> for proto::Metadata {
    fn from(metadata: Metadata) -> Self {
        Self {
            content_length: metadata.content_length,
            support_range: metadata.support_range,
            validator: (!metadata.validator.is_empty()).then(|| metadata.validator.into()),
            expires: metadata.expires.map(millis),
            content_type: metadata.content_type.unwrap_or_default(),
            digests: metadata.digests.into_iter().map(Into::into).collect(),
            file_name: metadata.file_name.unwrap_or_default(),
        }
    }
}

impl From<proto::Metadata> for Metadata {
    fn from(metadata: proto::Metadata) -> Self {
        Self {
            content_length: metadata.content_length,
            support_range: metadata.support_range,
            validator: metadata.validator.unwrap_or_default().into(),
            expires: metadata.expires.and_then(time),
            content_type: non_empty(metadata.content_type),
            digests: metadata.digests.into_iter().map(Into::into).collect(),
            file_name: non_empty(metadata.file_name),
        }
    }
}

impl From<Digest> for proto::Digest {
    fn from(Digest { algorithm, hex }: Digest) -> Self {
        Self { algorithm, hex }
    }
}

impl From<proto::Digest> for Digest {
    fn from(proto::Digest { algorithm, hex }: proto::Digest) -> Self {
        Self { algorithm, hex }
    }
}

impl From<Opened> for proto::Opened {
    fn from(opened: Opened) -> Self {
        Self {
            status: opened.status,
            header: header_to_wire(opened.header),
            range: Some(opened.range.into()),
            metadata: Some(opened.metadata.into()),
            data_socket: String::new(),
            shared_memory: false,
        }
    }
}

impl From<proto::Opened> for Opened {
    fn from(opened: proto::Opened) -> Self {
        Self {
            status: opened.status,
            header: header_from_wire(opened.header),
            range: opened.range.unwrap_or_default().into(),
            metadata: opened.metadata.unwrap_or_default().into(),
        }
    }
}

impl From<Entry> for proto::Entry {
    fn from(entry: Entry) -> Self {
        Self {
            name: entry.name,
            directory: entry.directory,
            metadata: Some(entry.metadata.into()),
            url: entry.url.unwrap_or_default(),
            content: entry.content,
        }
    }
}

impl From<proto::Entry> for Entry {
    fn from(entry: proto::Entry) -> Self {
        Self {
            name: entry.name,
            directory: entry.directory,
            metadata: entry.metadata.unwrap_or_default().into(),
            url: non_empty(entry.url),
            content: entry.content,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_the_epoch_survive() {
        for moment in [0, 1, -1, 1_639_385_584_123, -62_135_596_800_000, i64::MIN, i64::MAX] {
            assert_eq!(time(moment).map(millis), Some(moment));
        }
        assert_eq!(millis(UNIX_EPOCH - Duration::from_micros(1)), -1);
    }

    #[test]
    fn every_error_keeps_its_meaning_over_the_wire() {
        let errors = [
            Error::NotFound("a".into()),
            Error::Unauthenticated("b".into()),
            Error::PermissionDenied("c".into()),
            Error::Unavailable { message: "d".into(), retry_after: Some(Duration::from_millis(1500)) },
            Error::unavailable("e"),
            Error::Changed("f".into()),
            Error::DataLoss("g".into()),
            Error::InvalidRequest("h".into()),
            Error::OutOfRange("i".into()),
            Error::Unsupported("j".into()),
            Error::internal("k"),
        ];
        for error in errors {
            let before = format!("{error:?}");
            assert_eq!(format!("{:?}", Error::from(Status::from(error))), before);
        }
    }

    #[test]
    fn the_cause_of_an_error_goes_along_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open the tape")]
        struct Tape(#[source] std::fmt::Error);
        let status = Status::from(Error::internal(Tape(std::fmt::Error)));
        assert_eq!(status.message(), format!("cannot open the tape: {}", std::fmt::Error));
    }
}
