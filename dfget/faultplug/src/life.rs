//! Faults of a plugin that serves well: what it does when it is run by hand, of its stdin, and of who outlives it.

use std::{
    io::{self, Read},
    process::{Command, ExitCode, Stdio},
    thread,
};

use crate::source;

/// Run without the cookie.
pub(crate) fn by_hand(fault: &str) -> ExitCode {
    if fault == "by-hand" {
        println!("I do nothing");
        return ExitCode::SUCCESS;
    }
    source::serve(fault)
}

/// Commits `fault`, if it is one of these, and returns.
pub(crate) fn play(fault: &str) {
    match fault {
        // Whatever the host says of it.
        "stdin-watcher" => drop(thread::spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        })),
        "leaver" => {
            let mut sleeper = Command::new("sleep");
            sleeper.arg("100").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            drop(sleeper.spawn().expect("there is sleep"));
        }
        "bad-log" => eprintln!("{{\"@level\":\"info\",\"@message\":{{}}}}"),
        _ => {}
    }
}
