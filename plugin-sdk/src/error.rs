//! What can be wrong with a resource, told so that the host knows what to do about it.

use std::{error::Error as StdError, io, time::Duration};

/// Why a source cannot do what it was asked for.
///
/// The variant decides what the host does next and with which exit code dfget ends; the text is for the user, so let
/// it say what was asked of the storage and what it answered. Each variant is one gRPC code on the wire.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such resource. `NOT_FOUND`: not retried, exit 20.
    #[error("{0}")]
    NotFound(String),
    /// Credentials are missing or wrong. `UNAUTHENTICATED`: not retried, exit 21.
    #[error("{0}")]
    Unauthenticated(String),
    /// These credentials do not suffice. `PERMISSION_DENIED`: not retried, exit 21.
    #[error("{0}")]
    PermissionDenied(String),
    /// The storage cannot be reached or is overloaded. `UNAVAILABLE`: retried, after `retry_after` if given; exit 22.
    #[error("{message}")]
    Unavailable {
        /// What the storage answered, if it did.
        message: String,
        /// How long the storage asks to be left alone; a `google.rpc.RetryInfo` on the wire.
        retry_after: Option<Duration>,
    },
    /// The resource no longer fits the validator. `FAILED_PRECONDITION`: from 0, once; exit 23.
    #[error("{0}")]
    Changed(String),
    /// The storage delivered something broken. `DATA_LOSS`: retried once, exit 30.
    #[error("{0}")]
    DataLoss(String),
    /// The URL, the header or an option makes no sense to this source. `INVALID_ARGUMENT`: not retried, exit 24.
    #[error("{0}")]
    InvalidRequest(String),
    /// The range begins at the resource's end or behind it. `OUT_OF_RANGE`: not retried, exit 24.
    #[error("{0}")]
    OutOfRange(String),
    /// This source cannot do that at all. `UNIMPLEMENTED`: the host falls back where it can.
    #[error("{0}")]
    Unsupported(String),
    /// Anything else. `INTERNAL`: retried once, exit 24.
    #[error("{0}")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// [`Error::Unavailable`] of a storage that does not say when to come back.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), retry_after: None }
    }

    /// [`Error::Internal`] of anything that is an error or a text.
    pub fn internal(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }
}

/// So that `?` works on files: absence and missing rights keep their meaning, the rest is [`Error::Internal`].
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound(error.to_string()),
            io::ErrorKind::PermissionDenied => Self::PermissionDenied(error.to_string()),
            _ => Self::internal(error),
        }
    }
}
