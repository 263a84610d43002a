//! Counts panics, and turns those in an author's code into errors.

use std::{
    any::Any,
    io::{self, Write},
    panic,
    sync::atomic::{AtomicU64, Ordering},
};

use super::log;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Starts counting. The usual message on stderr stays: it is what the host shows as last words.
pub(super) fn count() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        COUNT.fetch_add(1, Ordering::SeqCst);
        let text = info.to_string();
        if may_end_a_host(&text) {
            // If stderr is closed, the status has to do.
            let _ = writeln!(io::stderr(), "{}", log::error(text));
        } else {
            print(info);
        }
    }));
}

/// The usual message has the text on lines of its own, and a host made with go-plugin panics itself at one that looks
/// like hclog's and is not.
fn may_end_a_host(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with('{'))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_a_line_that_looks_like_hclog_is_no_line_of_its_own() {
        for text in ["{\"@message\":5}", "it answered:\n  {\"@level\":null}"] {
            assert!(may_end_a_host(text), "{text}");
            let line = log::error(text.to_owned());
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!((line["@message"].as_str(), line["@level"].as_str()), (Some(text), Some("error")));
            assert!(line["@timestamp"].is_string());
        }
        assert!(!may_end_a_host("no tape in {drive}"));
    }
}
