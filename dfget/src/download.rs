//! The story of one download: open the resource, fetch what is missing, verify, commit.

#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod job;
mod plan;
pub mod ranges;
mod retry;
pub mod state;
mod story;
mod transfer;

use std::time::{Duration, SystemTime};

use plugin_sdk::ResourceClient;

pub use self::job::{Job, Settings, Wanted};
use self::story::Story;
pub(crate) use self::{retry::Retry, transfer::in_time};
use crate::{
    error::Error,
    limit::RateLimit,
    output::{Output, Whole},
    report::Tracker,
    verify::Expected,
};

/// Connections for one resource, where the user does not say.
pub const CONNECTIONS: usize = 4;

/// The proxy of a plugin, which knows more, watches the same time: it has the first word.
const FIRST_WORD: Duration = Duration::from_millis(500);

/// A download that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Bytes in the output.
    pub bytes: u64,
    /// Those of them that an earlier run had fetched.
    pub resumed: u64,
    /// The digest that was checked.
    pub verified: Option<Expected>,
    /// When the resource changed last, if its source tells.
    pub modified: Option<SystemTime>,
}

/// A download all of whose bytes are there and right, and that has yet to get its name.
#[must_use = "it has no name yet"]
pub struct Fetched {
    /// What it will be.
    pub summary: Summary,
    /// `None` if it was a stream.
    pub(crate) whole: Option<Whole>,
}

impl Fetched {
    /// Gives the output its name. Needs no source any more, so plugins may be stopped meanwhile.
    ///
    /// # Errors
    ///
    /// * [`Error::LocalIo`]: it could not be flushed or renamed
    /// * [`Error::OutputExists`]: one has appeared in the meantime
    pub async fn commit(self) -> Result<Summary, Error> {
        if let Some(whole) = self.whole {
            whole.commit().await?;
        }
        Ok(self.summary)
    }
}

/// Downloads one resource into `output`, up to its [`commit`](Fetched::commit).
///
/// Cancel safe: dropped, it leaves at most a `.part` file and its state.
///
/// # Errors
///
/// * [`Error::Crashed`], [`Error::Protocol`], [`Error::Stalled`]: the plugin failed
/// * [`Error::Source`], [`Error::Integrity`]: the resource cannot be had, or not as it was announced
/// * [`Error::LocalIo`], [`Error::DiskFull`]: it cannot be written
pub async fn download(
    job: &Job,
    client: &dyn ResourceClient,
    output: Output,
    limit: &RateLimit,
    tracker: &Tracker,
) -> Result<Fetched, Error> {
    let story = Story { job, client, output: &output, limit, tracker };
    match story.tell().await {
        Ok(summary) => {
            let whole = output.whole(summary.modified);
            Ok(Fetched { summary, whole })
        }
        Err(error) => {
            output.fail(&error).await;
            Err(error)
        }
    }
}
