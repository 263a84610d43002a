//! A real Apache, with the indexes that its mod_autoindex makes.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::nginx::program;
use crate::harness::{TestEnv, wait_for};

/// Somebody else may take a port between its choice and Apache's start.
const ATTEMPTS: usize = 5;

const MODULES: [&str; 5] = ["mpm_event", "authz_core", "alias", "dir", "autoindex"];

const CONFIGURATION: &str = "
ServerName localhost
ServerRoot HOME
DefaultRuntimeDir HOME
PidFile HOME/pid
Mutex sem
Listen 127.0.0.1:PORT
User www-data
Group www-data
ErrorLog HOME/error.log
Alias /plain TREE
Alias /fancy TREE
Alias /table TREE
<Location />
    Options +Indexes
</Location>
<Location /fancy>
    IndexOptions FancyIndexing
</Location>
<Location /table>
    IndexOptions FancyIndexing HTMLTable IconsAreLinks Charset=UTF-8
    AddIcon /icons/x ^^DIRECTORY^^
    DefaultIcon /icons/y
</Location>
";

pub(super) struct Apache {
    process: Child,
    port: u16,
}

impl Apache {
    /// Serves what is in `tree`. `None` without Apache.
    pub(super) fn start(test: &TestEnv, tree: &Path) -> Option<Self> {
        let (program, modules) = (program("apache2")?, Path::new("/usr/lib/apache2/modules"));
        let home = test.path("apache");
        fs::create_dir_all(&home).unwrap();
        let load = |name| format!("LoadModule {name}_module {}/mod_{name}.so\n", modules.display());
        let load: String = MODULES.into_iter().map(load).collect();
        let started = (0..ATTEMPTS).find_map(|_| {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let text = CONFIGURATION.replace("HOME", home.to_str().unwrap()).replace("PORT", &port.to_string());
            fs::write(home.join("conf"), load.clone() + &text.replace("TREE", tree.to_str().unwrap())).unwrap();
            let mut command = Command::new(&program);
            command.arg("-f").arg(home.join("conf")).args(["-D", "FOREGROUND"]).stdin(Stdio::null());
            let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            Self { process, port }.listening()
        });
        assert!(started.is_some(), "{}", fs::read_to_string(home.join("error.log")).unwrap_or_default());
        started
    }

    /// `None` if it got no port.
    fn listening(mut self) -> Option<Self> {
        let up = wait_for("Apache", || match self.process.try_wait().unwrap() {
            Some(_) => Some(false),
            None => TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok().map(|_| true),
        });
        up.then_some(self)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Apache {
    /// Its children go with it only if it is told.
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            crate::harness::kill(self.process.id().cast_signed(), rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
    }
}
