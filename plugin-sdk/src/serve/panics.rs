//! Counts panics, and turns those in an author's code into errors.

use std::{
    any::Any,
    panic,
    sync::atomic::{AtomicU64, Ordering},
};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Starts counting. The usual message on stderr stays: it is what the host shows as last words.
pub(super) fn count() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        COUNT.fetch_add(1, Ordering::SeqCst);
        print(info);
    }));
}

/// Panics so far, in any thread. The hook runs before the panicking task lets go of its channel, so whoever sees the
/// channel close sees the panic counted.
pub(super) fn so_far() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

/// The text of a caught panic.
pub(super) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("the plugin panicked: {}", text.unwrap_or("no message"))
}
