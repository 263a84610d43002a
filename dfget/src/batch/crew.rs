//! Those who work at the same time: some fetch, and one gives what is whole its name.

use std::sync::Arc;

use tokio::{
    sync::{Mutex, mpsc},
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

/// Files that were found, and that nobody fetches yet.
const QUEUE: usize = 16;

/// A file that was fetched, and who is to hear of it.
struct Done {
    whole: Whole,
    summary: Summary,
    tracker: Tracker,
}

/// Up to `--jobs` hands that fetch one file after the other. Dropped, they are cancelled.
pub(super) struct Crew {
    work: Arc<Work>,
    queue: mpsc::Sender<Item>,
    items: Arc<Mutex<mpsc::Receiver<Item>>>,
    hands: JoinSet<Result<(), Error>>,
    done: mpsc::Sender<Done>,
    /// Until it is known how it ended.
    committer: Option<AbortOnDropHandle<Result<(), Error>>>,
    /// Nothing more is to be fetched.
    failed: bool,
}

impl Crew {
    pub(super) fn new(work: &Arc<Work>) -> Self {
        work.reporter.many();
        let (queue, items) = mpsc::channel(QUEUE);
        let (done, whole) = mpsc::channel(GROUP);
        let committer = Some(AbortOnDropHandle::new(tokio::spawn(commit(whole))));
        let (work, items, hands) = (Arc::clone(work), Arc::new(Mutex::new(items)), JoinSet::new());
        Self { work, queue, items, hands, done, committer, failed: false }
    }

    /// Has a file fetched as soon as there is a hand for it; waits while many are before it.
    ///
    /// # Errors
    ///
    /// * what an earlier one has ended with, if all others would too
    pub(super) async fn take(&mut self, item: Item) -> Result<(), Error> {
        if self.hands.len() < self.work.batch.jobs {
            let hand = fetch_all(Arc::clone(&self.work), Arc::clone(&self.items), self.done.clone());
            self.hands.spawn(hand);
        }
        let taken = tokio::select! {
            biased;
            // Before the queue is closed, one ends only with such an error; and so does the one who gives names.
            Some(ended) = self.hands.join_next() => flatten(ended),
            () = self.done.closed() => committed(self.committer.take()).await,
            _ = self.queue.send(item) => Ok(()),
        };
        self.failed |= taken.is_err();
        taken
    }

    /// Waits for all that run, and until all have their names.
    ///
    /// # Errors
    ///
    /// * as [`take`](Self::take)
    pub(super) async fn finish(self) -> Result<(), Error> {
        let Self { mut hands, queue, done, committer, failed, .. } = self;
        drop((queue, done));
        if failed {
            hands.abort_all();
        }
        let mut result = Ok(());
        while let Some(ended) = hands.join_next().await {
            result = result.and(flatten(ended));
            if result.is_err() {
                hands.abort_all();
            }
        }
        // Of a committer that has failed, those who fetch know but that it is gone.
        committed(committer).await.and(result)
    }
}

/// How the one who gives names has ended, unless that was told before.
async fn committed(committer: Option<AbortOnDropHandle<Result<(), Error>>>) -> Result<(), Error> {
    match committer {
        Some(committer) => flatten(committer.await),
        None => Ok(()),
    }
}

/// One hand. A task for each file would cost more than its bytes do: there may be a million, and of a task's state some
/// 12 KiB are moved each time.
async fn fetch_all(
    work: Arc<Work>,
    items: Arc<Mutex<mpsc::Receiver<Item>>>,
    done: mpsc::Sender<Done>,
) -> Result<(), Error> {
    while let Some(item) = next(&items).await {
        fetch(&work, item, &done).await?;
    }
    Ok(())
}

async fn next(items: &Mutex<mpsc::Receiver<Item>>) -> Option<Item> {
    items.lock().await.recv().await
}

async fn fetch(work: &Work, item: Item, done: &mpsc::Sender<Done>) -> Result<(), Error> {
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
