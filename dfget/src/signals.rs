//! The signals that ask dfget to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for SIGHUP, SIGINT and SIGTERM from the moment it is made.
pub struct Signals([(Signal, SignalKind); 3]);

impl Signals {
    /// # Errors
    ///
    /// * the kernel refuses to install a handler
    pub fn listen() -> io::Result<Self> {
        let [hangup, interrupt, terminate] = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()];
        Ok(Self([(signal(hangup)?, hangup), (signal(interrupt)?, interrupt), (signal(terminate)?, terminate)]))
    }

    /// The number of the next one. Cancel safe.
    pub async fn next(&mut self) -> i32 {
        let [(hangup, a), (interrupt, b), (terminate, c)] = &mut self.0;
        let kind = tokio::select! {
            _ = hangup.recv() => a,
            _ = interrupt.recv() => b,
            _ = terminate.recv() => c,
        };
        kind.as_raw_value()
    }
}

/// Ends this process as if `number` had never been caught, so that whoever waits for it sees the signal.
pub fn end_by(number: i32) {
    // Fails only for signals that are not ours.
    let _ = signal_hook::low_level::emulate_default_handler(number);
}
