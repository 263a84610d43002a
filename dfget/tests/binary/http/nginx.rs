//! A real nginx: pieces, and resuming, seen from its access log.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
    ops::Range,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use faultplug::Content;
use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt::set_socket_reuseport},
    process::Signal,
};

use crate::harness::{Dfget, Digest, TestEnv, skip, wait_for};

/// Large enough for a state to be recorded while it is downloaded.
const LARGE: Content = Content { seed: 11, size: 80 << 20 };

const SMALL: Content = Content { seed: 12, size: 3 << 20 };

/// `?run=slow` is slow; a query of any value has the same state.
const CONFIGURATION: &str = "
daemon off;
master_process off;
pid HOME/pid;
error_log HOME/error.log;
events { worker_connections 64; }
http {
    log_format asked '$arg_run $status $body_bytes_sent $http_range';
    access_log HOME/access.log asked;
    map $arg_run $rate { slow 8m; crawling 1m; default 0; }
    limit_rate $rate;
    client_body_temp_path HOME/temp;
    proxy_temp_path HOME/temp;
    fastcgi_temp_path HOME/temp;
    uwsgi_temp_path HOME/temp;
    scgi_temp_path HOME/temp;
    server {
        listen 127.0.0.1:PORT reuseport;
        root HOME/files;
        location /html/ { alias HOME/tree/; autoindex on; }
        location /rounded/ { alias HOME/tree/; autoindex on; autoindex_exact_size off; autoindex_localtime on; }
        location /json/ { alias HOME/tree/; autoindex on; autoindex_format json; }
    }
}
";

/// One line of the access log.
#[derive(Debug, PartialEq, Eq)]
struct Served {
    run: String,
    status: u16,
    body: u64,
    range: Option<Range<u64>>,
}

impl Served {
    fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap();
        let (run, status, body, range) = (word().to_owned(), word().parse().unwrap(), word().parse().unwrap(), word());
        let bytes = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
        let range = bytes.map(|(first, last)| first.parse().unwrap()..last.parse::<u64>().map_or(u64::MAX, |l| l + 1));
        Self { run, status, body, range }
    }
}

pub(super) struct Nginx {
    process: Child,
    home: PathBuf,
    port: u16,
    _port: OwnedFd,
}

impl Nginx {
    /// Serves `content` as `/file`, and `nginx/tree` with several indexes. `None` without nginx.
    pub(super) fn start(test: &TestEnv, content: Content) -> Option<Self> {
        let (home, (reserved, port)) = (test.path("nginx"), reserve_port());
        fs::create_dir_all(home.join("files")).unwrap();
        let text = CONFIGURATION.replace("HOME", home.to_str().unwrap()).replace("PORT", &port.to_string());
        fs::write(home.join("conf"), text).unwrap();
        let mut command = Command::new(program("nginx")?);
        command.arg("-p").arg(&home).arg("-e").arg(home.join("error.log")).arg("-c").arg(home.join("conf"));
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let nginx = Self { process, home, port, _port: reserved };
        nginx.serve(content, 0);
        wait_for("nginx", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        Some(nginx)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Replaces the file in one step. The ETag of nginx is made of the size and of the second, so that comes along.
    fn serve(&self, content: Content, second: u64) {
        let new = self.home.join("new");
        fs::write(&new, content.bytes(0..content.size)).unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000 + second);
        File::options().write(true).open(&new).unwrap().set_modified(modified).unwrap();
        fs::rename(new, self.home.join("files/file")).unwrap();
    }

    fn get<'a>(&self, test: &'a TestEnv, run: &str, content: Content) -> Dfget<'a> {
        test.get(&self.url(&format!("/file?run={run}"))).output("file").expect(Digest::of_content(content))
    }

    /// What it served in this `run`, which is over.
    fn served(&self, test: &TestEnv, run: &str) -> Vec<Served> {
        // A line is written after the answer has come: it is there when that of a later request is.
        let marker = test.path("marker");
        test.get(&format!("http://127.0.0.1:{}/marker?run=marker", self.port)).output(&marker).last().run();
        let log = self.home.join("access.log");
        let log = wait_for("the marker in nginx's log", || {
            fs::read_to_string(&log).ok().filter(|log| log.lines().any(|line| line.starts_with("marker ")))
        });
        log.lines().map(Served::parse).filter(|served| served.run == run).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = |name| fs::read_to_string(self.home.join(name)).unwrap_or_default();
            eprintln!("nginx: {}{}", log("error.log"), log("access.log"));
        }
    }
}

/// A port that nginx can listen on and nobody else gets: it is bound, with `SO_REUSEPORT`, and refuses connections.
pub(super) fn reserve_port() -> (OwnedFd, u16) {
    let reserved = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    fcntl_setfd(&reserved, FdFlags::CLOEXEC).unwrap();
    set_socket_reuseport(&reserved, true).unwrap();
    bind(&reserved, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = SocketAddrV4::try_from(getsockname(&reserved).unwrap()).unwrap();
    (reserved, address.port())
}

/// Debian keeps it where only root's PATH looks.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/sbin", "/opt/homebrew/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// The ranges that a state says are on the disk.
fn durable(state: &Path) -> Vec<Range<u64>> {
    let document: serde_json::Value = serde_json::from_slice(&fs::read(state).unwrap()).unwrap();
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    document["ranges"].as_array().unwrap().iter().map(|range| number(&range[0])..number(&range[1])).collect()
}

/// What lies between `held`, up to `size`.
fn gaps(held: &[Range<u64>], size: u64) -> Vec<Range<u64>> {
    let begins = std::iter::once(0).chain(held.iter().map(|range| range.end));
    let ends = held.iter().map(|range| range.start).chain([size]);
    begins.zip(ends).map(|(begin, end)| begin..end).filter(|gap| !gap.is_empty()).collect()
}

fn length(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

/// Kills a download over four connections once some of it is on the disk. Returns what is not.
fn kill_in_the_middle(test: &TestEnv, nginx: &Nginx) -> Vec<Range<u64>> {
    let mut run = nginx.get(test, "slow", LARGE).args(&["-n", "4", "--no-fsync"]).last().start();
    let state = test.work("file.part.state");
    wait_for("a state", || state.exists().then_some(()));
    run.signal(Signal::KILL);
    run.finish().ended_by(Signal::KILL);
    let missing = gaps(&durable(&state), LARGE.size);
    assert!(length(&missing) <= LARGE.size - (30 << 20) && !missing.is_empty(), "{missing:?}");
    missing
}

#[test]
fn pieces_of_nginx_are_put_together() {
    let test = TestEnv::new();
    let Some(nginx) = Nginx::start(&test, LARGE) else {
        return skip("pieces_of_nginx_are_put_together", "nginx is missing");
    };
    nginx.get(&test, "fast", LARGE).args(&["-n", "4", "--piece-length", "7M"]).run().succeeded();
    let served = nginx.served(&test, "fast");
    assert_eq!(
        (served.len() >= 11, served.iter().filter(|served| served.status == 206).count() + 1),
        (true, served.len())
    );
}

#[test]
fn a_killed_download_asks_nginx_for_exactly_what_is_missing() {
    let test = TestEnv::new();
    let Some(nginx) = Nginx::start(&test, LARGE) else {
        return skip("a_killed_download_asks_nginx_for_exactly_what_is_missing", "nginx is missing");
    };
    let missing = kill_in_the_middle(&test, &nginx);
    nginx.get(&test, "again", LARGE).args(&["-n", "1"]).run().succeeded();
    let served = nginx.served(&test, "again");
    let asked: Vec<_> = served.iter().map(|served| served.range.clone().unwrap()).collect();
    let bytes: u64 = served.iter().map(|served| served.body).sum();
    assert_eq!((asked, bytes), (missing.clone(), length(&missing)));
}

#[test]
fn a_killed_download_goes_on_over_several_connections() {
    let test = TestEnv::new();
    let Some(nginx) = Nginx::start(&test, LARGE) else {
        return skip("a_killed_download_goes_on_over_several_connections", "nginx is missing");
    };
    let missing = kill_in_the_middle(&test, &nginx);
    nginx.get(&test, "again", LARGE).args(&["-n", "4"]).run().succeeded();
    let served = nginx.served(&test, "again");
    for served in &served {
        let range = served.range.clone().unwrap();
        assert!(
            missing.iter().any(|gap| gap.contains(&range.start) && range.end <= gap.end),
            "{range:?} of {missing:?}"
        );
    }
    // Connections whose pieces were split have more on the way than they need: what their sockets hold.
    let bytes: u64 = served.iter().map(|served| served.body).sum();
    assert!(bytes <= length(&missing) + (28 << 20), "{bytes} of {missing:?}");
}

#[test]
fn a_file_that_is_replaced_between_runs_is_fetched_from_0() {
    let (test, new) = (TestEnv::new(), Content { seed: 13, ..SMALL });
    let Some(nginx) = Nginx::start(&test, SMALL) else {
        return skip("a_file_that_is_replaced_between_runs_is_fetched_from_0", "nginx is missing");
    };
    let mut run = nginx.get(&test, "crawling", SMALL).last().start();
    run.wait_for_bytes(1 << 20);
    run.signal(Signal::INT);
    run.finish().ended_by(Signal::INT);
    nginx.serve(new, 1);
    let run = nginx.get(&test, "again", new).run();
    let fact = "the resource has changed: the server answered 412 Precondition Failed";
    run.succeeded_saying(&format!(" WARN http://127.0.0.1:{}/file?run=***: {fact}; restarting from 0", nginx.port));
    let found: Vec<_> =
        nginx.served(&test, "again").iter().map(|served| (served.status, served.range.is_some())).collect();
    assert_eq!(found, [(412, true), (200, false)]);
}

#[test]
fn a_file_that_is_replaced_during_a_run_is_fetched_from_0() {
    let (test, new) = (TestEnv::new(), Content { seed: 13, ..SMALL });
    let Some(nginx) = Nginx::start(&test, SMALL) else {
        return skip("a_file_that_is_replaced_during_a_run_is_fetched_from_0", "nginx is missing");
    };
    let run = nginx.get(&test, "crawling", new).args(&["-n", "1", "--piece-length", "1M"]).start();
    run.wait_for_bytes(1);
    nginx.serve(new, 1);
    let fact = "the resource has changed: the server answered 412 Precondition Failed";
    let run = run.finish();
    run.succeeded_saying(&format!(" WARN http://127.0.0.1:{}/file?run=***: {fact}; restarting from 0", nginx.port));
}

#[test]
fn a_range_behind_the_end_of_a_file_is_refused() {
    let test = TestEnv::new();
    let Some(nginx) = Nginx::start(&test, SMALL) else {
        return skip("a_range_behind_the_end_of_a_file_is_refused", "nginx is missing");
    };
    let run = nginx.get(&test, "range", SMALL).args(&["--range", "3145728-"]).run();
    let words = format!("dfget: http://127.0.0.1:{}/file?run=***: ", nginx.port);
    run.failed(24, &(words + "the server answered 416 Range Not Satisfiable"));
}

#[test]
fn an_isolated_source_fetches_pieces_and_goes_on_with_what_one_that_is_not_has_left() {
    let test = TestEnv::new();
    let Some(nginx) = Nginx::start(&test, LARGE) else {
        return skip(
            "an_isolated_source_fetches_pieces_and_goes_on_with_what_one_that_is_not_has_left",
            "nginx is missing",
        );
    };
    nginx.get(&test, "fast", LARGE).args(&["--isolate", "-n", "4", "--piece-length", "7M"]).last().run().succeeded();
    let served = nginx.served(&test, "fast");
    let parts = served.iter().filter(|served| served.status == 206).count();
    assert!(parts >= 10 && parts + 1 == served.len(), "{served:?}");
    fs::remove_file(test.work("file")).unwrap();
    let missing = kill_in_the_middle(&test, &nginx);
    nginx.get(&test, "again", LARGE).args(&["--isolate", "-n", "1"]).run().succeeded();
    let served = nginx.served(&test, "again");
    let asked: Vec<_> = served.iter().map(|served| served.range.clone().unwrap()).collect();
    let bytes: u64 = served.iter().map(|served| served.body).sum();
    assert_eq!((asked, bytes), (missing.clone(), length(&missing)));
}
