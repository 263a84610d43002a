//! An nginx with whatever a test wants of it: TLS, passwords, limits.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use faultplug::Content;

use super::{
    authority::Identity,
    nginx::{program, reserve_port},
};
use crate::harness::{Dfget, Digest, TestEnv, wait_for};

const CONTENT: Content = Content { seed: 21, size: 3 << 20 };

const CONFIGURATION: &str = "
daemon off;
master_process off;
pid HOME/pid;
error_log HOME/error.log;
events { worker_connections 64; }
http {
    log_format asked '$arg_run $server_protocol $connection $status [$remote_user]';
    access_log HOME/access.log asked;
    client_body_temp_path HOME/temp;
    proxy_temp_path HOME/temp;
    fastcgi_temp_path HOME/temp;
    uwsgi_temp_path HOME/temp;
    scgi_temp_path HOME/temp;
    ABOVE
    server { listen 127.0.0.1:PORT reuseport LISTEN; root HOME/files; WITHIN }
}
";

/// One nginx, which serves `/file`.
pub(super) struct Site<'a> {
    test: &'a TestEnv,
    process: Child,
    home: PathBuf,
    scheme: &'static str,
    port: u16,
    _port: OwnedFd,
}

/// What is to stand in its configuration: above the server, in its `listen`, and within it.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) above: String,
    pub(super) listen: &'static str,
    pub(super) within: String,
}

impl Wanted {
    pub(super) fn tls(identity: &Identity) -> Self {
        let (certificate, key) = (identity.certificate.display(), identity.key.display());
        let within = format!("ssl_certificate {certificate}; ssl_certificate_key {key};");
        Self { listen: "ssl", within, ..Self::default() }
    }

    pub(super) fn and(mut self, within: &str) -> Self {
        self.within.push_str(within);
        self
    }
}

impl<'a> Site<'a> {
    /// `None` without nginx.
    pub(super) fn start(test: &'a TestEnv, name: &str, wanted: &Wanted) -> Option<Self> {
        let (home, (reserved, port)) = (test.path(name), reserve_port());
        fs::create_dir_all(home.join("files")).unwrap();
        fs::write(home.join("files/file"), CONTENT.bytes(0..CONTENT.size)).unwrap();
        let text = CONFIGURATION.replace("ABOVE", &wanted.above).replace("LISTEN", wanted.listen);
        let text = text.replace("WITHIN", &wanted.within).replace("PORT", &port.to_string());
        fs::write(home.join("conf"), text.replace("HOME", home.to_str().unwrap())).unwrap();
        let mut command = Command::new(program("nginx")?);
        command.arg("-p").arg(&home).arg("-e").arg(home.join("error.log")).arg("-c").arg(home.join("conf"));
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let scheme = if wanted.listen.contains("ssl") { "https" } else { "http" };
        let site = Self { test, process, home, scheme, port, _port: reserved };
        wait_for("nginx", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        Some(site)
    }

    pub(super) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/file", self.scheme, self.port)
    }

    pub(super) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn get(&self) -> Dfget<'a> {
        self.get_at(&self.url())
    }

    /// The file by another URL.
    pub(super) fn get_at(&self, url: &str) -> Dfget<'a> {
        self.test.get(url).arg("--overwrite").output("file").expect(Digest::of_content(CONTENT))
    }

    /// As it logs them: run, protocol, connection, status, user. It was asked for `?run=end` last, whatever came of it.
    pub(super) fn asked(&self) -> Vec<Vec<String>> {
        let log = self.home.join("access.log");
        let log = wait_for("the end in nginx's log", || {
            fs::read_to_string(&log).ok().filter(|log| log.lines().any(|line| line.starts_with("end ")))
        });
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        log.lines().map(words).filter(|words| words[0] != "end").collect()
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = |name| fs::read_to_string(self.home.join(name)).unwrap_or_default();
            eprintln!("nginx: {}{}", log("error.log"), log("access.log"));
        }
    }
}
