//! What is tried again after an error, when, and how often.

use std::time::Duration;

use crate::error::{Error, SourceClass};

/// Before the first retry; doubled for each that follows, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The longest that a storage can ask to be left alone.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// What an error allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Never,
    Once,
    /// As often as the user allows; after this time, if the storage says so.
    Often(Option<Duration>),
}

impl Class {
    fn of(error: &Error) -> Self {
        match error {
            Error::Source { class: SourceClass::Unavailable, retry_after, .. } => Self::Often(*retry_after),
            Error::Source { class: SourceClass::DataLoss | SourceClass::Internal, .. } | Error::Integrity { .. } => {
                Self::Once
            }
            _ => Self::Never,
        }
    }
}

/// The tries of one piece.
#[derive(Debug)]
pub(crate) struct Retry {
    /// Including the first.
    tries: u32,
    failed: u32,
    once_used: bool,
}

impl Retry {
    pub(crate) fn new(tries: u32) -> Self {
        Self { tries, failed: 0, once_used: false }
    }

    /// Bytes have come since the last failure, so the count begins anew.
    pub(crate) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// How long to wait before the next try, if there is to be one.
    pub(crate) fn after(&mut self, error: &Error) -> Option<Duration> {
        self.failed += 1;
        let allowed = self.failed < self.tries;
        match Class::of(error) {
            Class::Often(Some(asked)) if allowed && asked <= LONGEST_RETRY_AFTER => Some(asked),
            Class::Often(None) if allowed => Some(jittered(self.pause())),
            Class::Once if allowed && !self.once_used => {
                self.once_used = true;
                Some(jittered(FIRST_PAUSE))
            }
            _ => None,
        }
    }

    fn pause(&self) -> Duration {
        let doubled = 1_u32.checked_shl(self.failed - 1).and_then(|factor| FIRST_PAUSE.checked_mul(factor));
        doubled.unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)
    }
}

/// Between half of `pause` and all of it, so that clients that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(fastrand::f64().mul_add(0.5, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(class: SourceClass, retry_after: Option<Duration>) -> Error {
        Error::Source { class, subject: "x://y".into(), fact: "no".into(), retry_after }
    }

    #[test]
    fn an_unavailable_storage_is_tried_with_growing_pauses_then_given_up() {
        let mut retry = Retry::new(4);
        let mut pause = || retry.after(&error(SourceClass::Unavailable, None));
        for full in [500, 1000, 2000].map(Duration::from_millis) {
            let pause = pause().unwrap();
            assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
        }
        assert_eq!(pause(), None);
        retry.progressed();
        assert!(retry.after(&error(SourceClass::Unavailable, None)).is_some());
    }

    #[test]
    fn a_storage_says_when_to_come_back_but_not_next_week() {
        let asked = Duration::from_secs(7);
        assert_eq!(Retry::new(2).after(&error(SourceClass::Unavailable, Some(asked))), Some(asked));
        let week = Duration::from_secs(7 * 24 * 3600);
        assert!(Retry::new(2).after(&error(SourceClass::Unavailable, Some(week))).is_none());
    }

    #[test]
    fn some_errors_are_tried_once_more_and_most_are_not() {
        let mut retry = Retry::new(5);
        assert!(retry.after(&error(SourceClass::DataLoss, None)).is_some());
        assert!(retry.after(&error(SourceClass::Internal, None)).is_none());
        for class in [SourceClass::NotFound, SourceClass::Auth, SourceClass::Changed, SourceClass::Invalid] {
            assert!(Retry::new(5).after(&error(class, None)).is_none(), "{class:?}");
        }
    }
}
