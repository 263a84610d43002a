//! From the errors of a source to those of dfget.

use plugin_sdk::Error as SourceError;

use super::{Error, SourceClass};
use crate::escape::printable;

impl Error {
    /// What a source said of `subject`, which is a URL without secrets.
    ///
    /// The proxy of a plugin hands errors of its own, such as a crash, through the trait as
    /// [`Internal`](SourceError::Internal): they come out as they went in.
    #[must_use]
    pub fn of_source(subject: &str, error: SourceError) -> Self {
        let class = match &error {
            SourceError::NotFound(_) => SourceClass::NotFound,
            SourceError::Unauthenticated(_) | SourceError::PermissionDenied(_) => SourceClass::Auth,
            SourceError::Unavailable { .. } => SourceClass::Unavailable,
            SourceError::Changed(_) => SourceClass::Changed,
            SourceError::DataLoss(_) => SourceClass::DataLoss,
            SourceError::Internal(_) => SourceClass::Internal,
            _ => SourceClass::Invalid,
        };
        let retry_after = match &error {
            SourceError::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        };
        match error {
            SourceError::Internal(inner) => match inner.downcast::<Self>() {
                Ok(own) => *own,
                Err(inner) => {
                    Self::Source { class, subject: subject.to_owned(), fact: printable(&chain(&*inner)), retry_after }
                }
            },
            error => {
                Self::Source { class, subject: subject.to_owned(), fact: printable(&error.to_string()), retry_after }
            }
        }
    }
}

/// An error and its causes in one line, each said once.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}
