//! The ways in which a host ends a plugin, `Shutdown` aside: SIGTERM, and its own death. And Ctrl-C, where it was started by
//! hand.

use std::{
    io::{self, Read},
    os::fd::AsFd,
    thread,
};

use rustix::fs::FileType;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::environment::Environment;

/// Watches signals and stdin for as long as it lives.
pub(super) struct LifeLine {
    gone: CancellationToken,
    _signals: AbortOnDropHandle<()>,
}

impl LifeLine {
    /// SIGTERM cancels `stop`; the end of stdin, if that is the host's life line, is the host's.
    pub(super) fn hold(environment: &Environment, stop: CancellationToken) -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let gone = CancellationToken::new();
        if environment.life_line && is_pipe(io::stdin()) {
            let gone = gone.clone();
            thread::Builder::new().name("life-line".into()).spawn(move || {
                wait_for_end(io::stdin());
                gone.cancel();
            })?;
        }
        let signals = tokio::spawn(obey(terminate, interrupt, environment.by_hand, stop));
        Ok(Self { gone, _signals: AbortOnDropHandle::new(signals) })
    }

    /// Returns once the host is gone, so that nobody waits for a graceful end.
    pub(super) async fn host_gone(&self) {
        self.gone.cancelled().await;
    }
}

/// A shell that starts a plugin in the background gives it `/dev/null` instead, whose end says nothing.
fn is_pipe(stdin: impl AsFd) -> bool {
    let kind = rustix::fs::fstat(stdin).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket))
}

fn wait_for_end(mut stdin: impl Read) {
    let mut ignored = [0; 512];
    while !matches!(stdin.read(&mut ignored), Ok(0) | Err(_)) {}
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
