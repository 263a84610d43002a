//! What is tried again after an error, when, and how often.

use std::time::Duration;

use plugin_sdk::ResourceClient;
use tokio::time::sleep;

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
    /// As often as the plugin is started anew.
    Restart,
}

impl Class {
    fn of(error: &Error) -> Self {
        match error {
            Error::Source { class: SourceClass::Unavailable, retry_after, .. } => Self::Often(*retry_after),
            Error::Source { class: SourceClass::DataLoss | SourceClass::Internal, .. } | Error::Integrity { .. } => {
                Self::Once
            }
            Error::Truncated { .. } => Self::Often(None),
            Error::Crashed { lost: false, .. } => Self::Restart,
            _ => Self::Never,
        }
    }
}

/// What comes before the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    Time(Duration),
    /// Its plugin died: it has to be started.
    UntilReady,
}

impl Pause {
    /// Waits for the source to be ready; fails with `error`, which led to it, if it stays dead.
    pub(crate) async fn pass(self, client: &dyn ResourceClient, error: Error) -> Result<(), Error> {
        if let Self::Time(time) = self {
            sleep(time).await;
            return Ok(());
        }
        match client.ready().await.map_err(|failed| Error::of_source("its source", failed)) {
            Err(Error::Crashed { .. }) => Err(error),
            ready => ready,
        }
    }

    /// How long it takes, where that is known.
    pub(crate) fn time(self) -> Option<Duration> {
        match self {
            Self::Time(time) => Some(time),
            Self::UntilReady => None,
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
    /// Starts of its plugin that may follow without progress.
    restarts: u32,
    deaths: u32,
}

impl Retry {
    pub(crate) fn new(tries: u32, restarts: u32) -> Self {
        Self { tries, failed: 0, once_used: false, restarts, deaths: 0 }
    }

    /// Bytes have come since the last failure, so the count begins anew.
    pub(crate) fn progressed(&mut self) {
        self.failed = 0;
        self.deaths = 0;
    }

    /// What to wait for before the next try, if there is to be one.
    pub(crate) fn after(&mut self, error: &Error) -> Option<Pause> {
        match Class::of(error) {
            Class::Restart => {
                self.deaths += 1;
                (self.deaths <= self.restarts).then_some(Pause::UntilReady)
            }
            class => self.after_failure(class).map(Pause::Time),
        }
    }

    fn after_failure(&mut self, class: Class) -> Option<Duration> {
        self.failed += 1;
        let allowed = self.failed < self.tries;
        match class {
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
    use crate::error::Ending;

    fn error(class: SourceClass, retry_after: Option<Duration>) -> Error {
        Error::Source { class, subject: "x://y".into(), fact: "no".into(), retry_after }
    }

    #[test]
    fn an_unavailable_storage_is_tried_with_growing_pauses_then_given_up() {
        let mut retry = Retry::new(4, 3);
        let mut pause = || retry.after(&error(SourceClass::Unavailable, None));
        for full in [500, 1000, 2000].map(Duration::from_millis) {
            let pause = pause().unwrap().time().unwrap();
            assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
        }
        assert_eq!(pause(), None);
        retry.progressed();
        assert!(retry.after(&error(SourceClass::Unavailable, None)).is_some());
    }

    #[test]
    fn a_storage_says_when_to_come_back_but_not_next_week() {
        let asked = Duration::from_secs(7);
        assert_eq!(Retry::new(2, 3).after(&error(SourceClass::Unavailable, Some(asked))), Some(Pause::Time(asked)));
        let week = Duration::from_secs(7 * 24 * 3600);
        assert!(Retry::new(2, 3).after(&error(SourceClass::Unavailable, Some(week))).is_none());
    }

    #[test]
    fn some_errors_are_tried_once_more_and_most_are_not() {
        let mut retry = Retry::new(5, 3);
        assert!(retry.after(&error(SourceClass::DataLoss, None)).is_some());
        assert!(retry.after(&error(SourceClass::Internal, None)).is_none());
        for class in [SourceClass::NotFound, SourceClass::Auth, SourceClass::Changed, SourceClass::Invalid] {
            assert!(Retry::new(5, 3).after(&error(class, None)).is_none(), "{class:?}");
        }
    }

    #[test]
    fn a_death_is_no_try_and_progress_forgives_it() {
        let crashed = |lost| Error::Crashed {
            plugin: "x".into(),
            ending: Ending::Signal(9),
            doing: String::new(),
            restarts: 0,
            lost,
            last_words: Vec::new(),
        };
        let mut retry = Retry::new(1, 2);
        let mut pauses = || [0; 3].map(|_| retry.after(&crashed(false)));
        assert_eq!(pauses(), [Some(Pause::UntilReady), Some(Pause::UntilReady), None]);
        retry.progressed();
        assert_eq!(retry.after(&crashed(false)), Some(Pause::UntilReady));
        assert_eq!(retry.after(&crashed(true)), None);
    }
}
