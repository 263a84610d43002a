//! The ways in which a host ends a plugin, `Shutdown` aside: SIGTERM, and its own death. And Ctrl-C, where it was started by
//! hand.

use std::{io, os::fd::AsFd, process, thread};

use rustix::fs::FileType;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{GRACE, environment::Environment, watch::Watch};

/// What is cancelled with the end of stdin, if that is the host's life line: it is the host's own. A plugin that does not end
/// by itself then, since the author's code keeps its threads, is ended.
pub(super) fn hold(environment: &Environment, watch: &mut Watch) -> CancellationToken {
    let gone = CancellationToken::new();
    if environment.life_line && is_pipe(io::stdin()) {
        let gone = gone.clone();
        watch.add(io::stdin(), move |bytes| {
            if bytes.is_none() {
                gone.cancel();
                thread::sleep(GRACE);
                process::exit(1);
            }
        });
    }
    gone
}

/// Watches signals for as long as it lives.
pub(super) struct Signals {
    _task: AbortOnDropHandle<()>,
}

impl Signals {
    /// SIGTERM cancels `stop`.
    pub(super) fn watch(environment: &Environment, stop: CancellationToken) -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let task = tokio::spawn(obey(terminate, interrupt, environment.by_hand, stop));
        Ok(Self { _task: AbortOnDropHandle::new(task) })
    }
}

/// A shell that starts a plugin in the background gives it `/dev/null` instead, whose end says nothing.
fn is_pipe(stdin: impl AsFd) -> bool {
    let kind = rustix::fs::fstat(stdin).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket))
}

async fn obey(mut terminate: Signal, mut interrupt: Signal, by_hand: bool, stop: CancellationToken) {
    loop {
        tokio::select! {
            _ = terminate.recv() => stop.cancel(),
            // Ctrl-C reaches a whole terminal: when the plugin ends is the host's decision, if there is one.
            _ = interrupt.recv() => if by_hand { stop.cancel() },
        }
    }
}
