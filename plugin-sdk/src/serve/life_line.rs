//! The ways in which a host ends a plugin, `Shutdown` aside: SIGTERM, and its own death. And Ctrl-C, where it was started by
//! hand.

use std::{io, os::fd::AsFd, thread};

use rustix::{
    fs::FileType,
    io::fcntl_dupfd_cloexec,
    process::{getpid, kill_process},
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{GRACE, environment::Environment, watch::Watch};

/// What is cancelled with the end of stdin, if that is the host's life line: it is the host's own. A plugin that does not
/// end by itself then, since the author's code keeps its threads, is killed.
pub(super) fn hold(environment: &Environment, watch: &mut Watch) -> io::Result<CancellationToken> {
    let gone = CancellationToken::new();
    if environment.life_line && is_pipe(io::stdin()) {
        // The author's code may put something else in its place.
        let stdin = fcntl_dupfd_cloexec(io::stdin(), 3)?;
        let gone = gone.clone();
        watch.add(stdin, move |bytes| {
            if bytes.is_none() {
                gone.cancel();
                if thread::Builder::new().spawn(end_for_good).is_err() {
                    end_for_good();
                }
            }
        });
    }
    Ok(gone)
}

/// Not by `exit`, which waits for the locks of whoever does not end.
fn end_for_good() {
    thread::sleep(GRACE);
    let _ = kill_process(getpid(), rustix::process::Signal::KILL);
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
