//! The signals that ask dfget to end.

use std::{fs, io, path::Path};

use nix::sys::signal::{SigHandler, Signal as Number};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Error;

/// Its number.
pub const SIGPIPE: i32 = Number::SIGPIPE as i32;

/// Listens for SIGHUP, SIGINT and SIGTERM from the moment it is made, but not for those that whoever started dfget has
/// it ignore, as `nohup` and a shell's `&` do.
pub struct Signals(Vec<(Signal, SignalKind)>);

impl Signals {
    /// # Errors
    ///
    /// * the kernel refuses to install a handler
    pub fn listen() -> io::Result<Self> {
        let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()];
        let ignored = ignored();
        let wanted = kinds.into_iter().filter(|kind| ignored & (1 << (kind.as_raw_value() - 1)) == 0);
        Ok(Self(wanted.map(|kind| Ok((signal(kind)?, kind))).collect::<io::Result<_>>()?))
    }

    /// The number of the next one. Cancel safe.
    pub async fn next(&mut self) -> i32 {
        let next = self.0.iter_mut().map(|(signal, kind)| {
            Box::pin(async {
                signal.recv().await;
                kind.as_raw_value()
            })
        });
        match next.collect::<Vec<_>>() {
            none if none.is_empty() => std::future::pending().await,
            some => futures_util::future::select_all(some).await.0,
        }
    }
}

/// The signals that this process ignores, a bit each; none where the system does not tell.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Has a write beyond `ulimit -f` fail instead of ending dfget without a word.
#[allow(unsafe_code)]
pub fn ignore_file_size_limit() {
    // SAFETY: to ignore a signal runs no code of ours.
    let _ = unsafe { nix::sys::signal::signal(Number::SIGXFSZ, SigHandler::SigIgn) };
}

/// Whether whoever read stdout does not read it any more, which ends a program of a pipeline silently.
#[must_use]
pub fn is_closed_stdout(error: &Error) -> bool {
    matches!(error, Error::LocalIo { path, source, .. }
        if path == Path::new("stdout") && source.kind() == io::ErrorKind::BrokenPipe)
}

/// Ends this process as if `number` had never been caught, so that whoever waits for it sees the signal.
pub fn end_by(number: i32) {
    // Fails only for signals that are not ours.
    let _ = signal_hook::low_level::emulate_default_handler(number);
}
