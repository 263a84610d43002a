//! A plugin that somebody else has started, for debugging: dfget may use it, and leaves it as it is.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use plugin_proto::environment::REATTACH;
use rustix::process::Signal;
use tempfile::TempDir;

use super::{TestEnv, faultplug, kill, programs::dfget, wait_for};

/// A plugin, started with `--debug`. It is killed when this is dropped.
pub(crate) struct ByHand {
    child: Child,
    /// Not in the test's own place, by which those are known whom dfget has started.
    _directory: TempDir,
    /// What the variable is to be.
    pub(crate) variable: String,
}

impl ByHand {
    /// `faultplug`.
    pub(crate) fn start(test: &TestEnv, scheme: &str) -> Self {
        Self::start_program(test, &faultplug(), scheme)
    }

    pub(crate) fn start_program(test: &TestEnv, program: &Path, scheme: &str) -> Self {
        Self::start_command(Command::new(test.install_into("by-hand", program, scheme)))
    }

    /// An in-tree source of dfget's.
    pub(crate) fn start_in_tree(scheme: &str) -> Self {
        let mut command = Command::new(dfget());
        command.args(["plugin", "serve", scheme]);
        Self::start_command(command)
    }

    fn start_command(mut command: Command) -> Self {
        let directory = tempfile::Builder::new().prefix("dfh-").tempdir_in("/tmp").expect("/tmp is writable");
        command.arg("--debug").env_clear().env("TMPDIR", directory.path());
        // A debugger gives no life line.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it was installed");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it is a pipe");
        let variable = line.trim_end().strip_prefix(&format!("{REATTACH}='")).and_then(|line| line.strip_suffix('\''));
        let variable = variable.unwrap_or_else(|| panic!("no line to paste: {line}")).to_owned();
        Self { child, _directory: directory, variable }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The path of its socket.
    pub(crate) fn socket(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.variable).expect("it is JSON");
        let mut all = json.as_object().expect("it is an object").values();
        all.next().expect("there is one")["Addr"]["String"].as_str().expect("it is text").to_owned()
    }

    /// What dfget says when it uses it.
    pub(crate) fn words(&self, scheme: &str) -> String {
        let (pid, socket) = (self.pid(), self.socket());
        format!(" WARN {scheme}: the plugin that runs as process {pid} at unix:{socket} is used, as {REATTACH} says")
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Waits for its end, and tells whether it took its directory along.
    pub(crate) fn ends(&mut self) -> bool {
        wait_for("its end", || self.child.try_wait().expect("it is ours"));
        !Path::new(&self.socket()).parent().expect("a socket is in a directory").exists()
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
