//! Those who work at the same time: some fetch, and one gives what is whole its name.

use std::sync::Arc;

use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};
use tokio_util::task::AbortOnDropHandle;

use super::{Item, Outcome, Work, is_everybodys};
use crate::{
    download::{Fetched, Summary},
    error::Error,
    output::{Whole, commit_all},
    report::Tracker,
};

/// Files that get their names together, and as many that wait meanwhile. Each is an open descriptor.
const GROUP: usize = 64;

/// A file that was fetched, and who is to hear of it.
struct Done {
    whole: Whole,
    summary: Summary,
    tracker: Tracker,
}

/// Up to `--jobs` downloads that run. Dropped, they are cancelled.
pub(super) struct Crew {
    work: Arc<Work>,
    running: JoinSet<Result<(), Error>>,
    done: mpsc::Sender<Done>,
    committer: AbortOnDropHandle<Result<(), Error>>,
}

impl Crew {
    pub(super) fn new(work: &Arc<Work>) -> Self {
        work.reporter.many();
        let (done, queue) = mpsc::channel(GROUP);
        let committer = AbortOnDropHandle::new(tokio::spawn(commit(queue)));
        Self { work: Arc::clone(work), running: JoinSet::new(), done, committer }
    }

    /// Begins a download as soon as there is somebody for it.
    ///
    /// # Errors
    ///
    /// * what an earlier one has ended with, if all others would too
    pub(super) async fn take(&mut self, item: Item) -> Result<(), Error> {
        while let Some(ended) = self.running.try_join_next() {
            flatten(ended)?;
        }
        if self.running.len() >= self.work.batch.jobs
            && let Some(ended) = self.running.join_next().await
        {
            flatten(ended)?;
        }
        self.running.spawn(fetch(Arc::clone(&self.work), item, self.done.clone()));
        Ok(())
    }

    /// Waits for all that run, and until all have their names.
    ///
    /// # Errors
    ///
    /// * as [`take`](Self::take)
    pub(super) async fn finish(self) -> Result<(), Error> {
        let Self { mut running, done, committer, .. } = self;
        drop(done);
        let mut result = Ok(());
        while let Some(ended) = running.join_next().await {
            result = result.and(flatten(ended));
            if result.is_err() {
                running.abort_all();
            }
        }
        // Of a committer that has failed, those who fetch know but that it is gone.
        flatten(committer.await).and(result)
    }
}

async fn fetch(work: Arc<Work>, item: Item, done: mpsc::Sender<Done>) -> Result<(), Error> {
    let mut tracker = work.reporter.track(&item.url, item.place.path().as_deref());
    match work.fetch(&item, &tracker).await {
        Ok(Outcome::Fetched(fetched)) => match *fetched {
            Fetched { summary, whole: None } => tracker.finished(&summary),
            Fetched { summary, whole: Some(whole) } => {
                tracker.fetched();
                // A committer that is gone has failed, and its error is the one that counts.
                let _ = done.send(Done { whole, summary, tracker }).await;
            }
        },
        Ok(Outcome::UpToDate) => tracker.up_to_date(),
        Ok(Outcome::Planned) => {}
        Err(error) => return told(tracker, error),
    }
    Ok(())
}

/// Gives all that come their names: those that came while the last ones were flushed are flushed together.
async fn commit(mut queue: mpsc::Receiver<Done>) -> Result<(), Error> {
    let mut group = Vec::new();
    while queue.recv_many(&mut group, GROUP).await > 0 {
        let done = group.drain(..).map(|Done { whole, summary, tracker }| (whole, (summary, tracker)));
        let (files, waiting): (Vec<_>, Vec<_>) = done.unzip();
        let results = tokio::task::spawn_blocking(move || commit_all(&files)).await;
        let results = results.map_err(|failed| Error::Bug { fact: failed.to_string() })?;
        for ((summary, tracker), result) in waiting.into_iter().zip(results) {
            match result {
                Ok(()) => tracker.finished(&summary),
                Err(error) => told(tracker, error)?,
            }
        }
    }
    Ok(())
}

/// A failure of one file is told, and the others go on; unless they would all fail so.
fn told(tracker: Tracker, error: Error) -> Result<(), Error> {
    if is_everybodys(&error) {
        tracker.failed(&error);
        return Err(error);
    }
    tracker.failed_beside_others(&error);
    Ok(())
}

fn flatten(ended: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
    match ended {
        Ok(result) => result,
        Err(failed) if failed.is_cancelled() => Ok(()),
        Err(failed) => Err(Error::Bug { fact: failed.to_string() }),
    }
}
