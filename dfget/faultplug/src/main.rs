//! The plugin that does everything wrong, for the tests of dfget.
//!
//! What goes wrong *at the start* is chosen by the name under which it is started, `d7y-resource-plugin-<fault>`: a
//! plugin's environment is an allow list, and `Init` comes too late.
//!
//! * [`start`]: it never listens, or listens well and writes a wrong handshake line
//! * [`connection`]: it writes a good line, and what is behind it is no gRPC
//! * [`raw`]: gRPC without the SDK, so that it can break the rules of single calls
//! * [`life`]: it serves well, and begins or ends otherwise
//! * [`source`]: any other name is a plugin by the book, made with the SDK
//! * [`mod@tree`]: its listings
//!
//! What goes wrong *while it runs* is chosen by the query of the URL: see [`source`], [`mod@tree`], [`attempt`],
//! [`lie`] and [`raw`].

mod attempt;
mod connection;
mod lie;
mod life;
mod raw;
mod source;
mod start;
mod tree;

use std::{env, path::Path, process::ExitCode, thread, time::Duration};

use plugin_proto::{FILE_NAME_PREFIX, environment as names};

/// Nothing lives longer, whatever the host forgets: a test that fails must not leave a process for ever.
const FUSE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    thread::spawn(|| {
        thread::sleep(FUSE);
        std::process::exit(99);
    });
    let fault = name();
    if env::var_os(names::COOKIE_NAME).is_none() {
        // By hand it is well, but for one fault: what goes wrong at the start goes wrong for hosts.
        return life::by_hand(&fault);
    }
    life::play(&fault);
    start::play(&fault);
    connection::play(&fault);
    raw::play(&fault);
    source::serve(&fault)
}

/// The scheme in the name under which this process was started.
fn name() -> String {
    let arg0 = env::args().next().unwrap_or_default();
    let file_name = Path::new(&arg0).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    file_name.strip_prefix(FILE_NAME_PREFIX).unwrap_or(file_name).to_owned()
}

/// Where the host wants the socket.
fn socket_dir() -> String {
    env::var(names::SOCKET_DIR).unwrap_or_default()
}

/// Does nothing, until somebody kills it.
fn linger() -> ! {
    loop {
        thread::park();
    }
}
