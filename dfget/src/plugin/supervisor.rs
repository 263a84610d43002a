//! Keeps a plugin alive: whoever finds it dead has it started anew, as often as the budget allows.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use plugin_sdk::Options;
use tokio::{sync::Mutex, time::sleep};

use super::{Settings, discover::Candidate, running::Running, start};
use crate::error::{Ending, Error};

/// Bytes of bodies that are progress: a plugin that dies after them has all of its restarts again.
const PROGRESS: u64 = 1024 * 1024;

/// Before each restart without progress; the last one before all that follow.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

/// A plugin is being started anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// Its file name.
    pub plugin: String,
    /// How it ended.
    pub ending: Ending,
    /// How often it has been, this time included.
    pub number: u32,
    /// When it will be, from now.
    pub pause: Duration,
}

type Listener = dyn Fn(&Restart) + Send + Sync;

/// Hears of restarts, or nobody does.
#[derive(Clone, Default)]
pub struct Observer(Option<Arc<Listener>>);

impl Observer {
    /// Calls `listener` before each restart. It must not block.
    pub fn new(listener: impl Fn(&Restart) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    fn restarting(&self, restart: &Restart) {
        if let Some(listener) = &self.0 {
            listener(restart);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// One plugin through all of its lives. Dropping it kills the process. One that somebody else has started has one life.
pub(super) struct Supervisor {
    candidate: Candidate,
    options: Options,
    settings: Settings,
    progress: Arc<Progress>,
    /// Held while the plugin is started anew, so that all who need it wait for the same start.
    life: Mutex<Life>,
}

struct Life {
    /// `None` once it was stopped.
    running: Option<Arc<Running>>,
    restarts: u32,
    /// Restarts since there was progress.
    in_vain: u32,
}

impl Supervisor {
    /// Starts the plugin for the first time.
    pub(super) async fn start(candidate: &Candidate, options: &Options, settings: &Settings) -> Result<Self, Error> {
        let running = start::start(candidate, Some(options), settings).await?;
        let progress = Arc::clone(&running.progress);
        let life = Mutex::new(Life { running: Some(Arc::new(running)), restarts: 0, in_vain: 0 });
        Ok(Self { candidate: candidate.clone(), options: options.clone(), settings: settings.clone(), progress, life })
    }

    /// The plugin, alive as far as anybody knows; after a pause, if it must be started anew.
    ///
    /// # Errors
    ///
    /// * [`Error::Crashed`]: it has died too often, or is not to be used any more
    /// * those of [`start::start`]
    pub(super) async fn running(&self) -> Result<Arc<Running>, Error> {
        let mut life = self.life.lock().await;
        let Some(running) = life.running.clone() else { return Err(self.stopped()) };
        let Some(ending) = running.process.ending() else { return Ok(running) };
        if !running.process.is_own() {
            // Whoever started it may do so again.
            return Err(running.lost(ending).await);
        }
        loop {
            self.restart(&mut life, ending, &running).await?;
            match self.start_again(&life).await {
                Ok(running) => return Ok(Arc::clone(life.running.insert(Arc::new(running)))),
                Err(error @ Error::Start { .. }) if life.in_vain < self.settings.restarts => {
                    tracing::warn!("{error}");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a restart from the budget, tells of it, and waits until it is time.
    async fn restart(&self, life: &mut Life, ending: Ending, dead: &Running) -> Result<(), Error> {
        if self.progress.take() {
            life.in_vain = 0;
        }
        if life.in_vain >= self.settings.restarts {
            return Err(dead.lost(ending).await);
        }
        let pause = PAUSES[PAUSES.len().min(life.in_vain as usize + 1) - 1];
        life.in_vain += 1;
        life.restarts += 1;
        let plugin = self.candidate.title();
        self.settings.observer.restarting(&Restart { plugin, ending, number: life.restarts, pause });
        sleep(pause).await;
        Ok(())
    }

    async fn start_again(&self, life: &Life) -> Result<Running, Error> {
        let running = start::start(&self.candidate, Some(&self.options), &self.settings).await?;
        Ok(Running { progress: Arc::clone(&self.progress), restarts: life.restarts, ..running })
    }

    fn stopped(&self) -> Error {
        let (plugin, doing) = (self.candidate.title(), "nobody any more".to_owned());
        Error::Crashed { plugin, ending: Ending::Status(0), doing, restarts: 0, lost: true, last_words: Vec::new() }
    }

    /// Ends the plugin, and all that it would be restarted for.
    pub(super) async fn stop(&self) {
        let running = self.life.lock().await.running.take();
        if let Some(running) = running {
            running.stop().await;
        }
    }
}

/// What a plugin has delivered since its budget was full.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    /// Bytes of a body came.
    pub(super) fn came(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All that was asked for came.
    pub(super) fn completed(&self) {
        self.0.fetch_add(PROGRESS, Ordering::Relaxed);
    }

    /// Whether it was enough; then it is counted anew.
    fn take(&self) -> bool {
        let enough = self.0.load(Ordering::Relaxed) >= PROGRESS;
        if enough {
            self.0.store(0, Ordering::Relaxed);
        }
        enough
    }
}
