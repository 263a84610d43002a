//! Proxies: tinyproxy for HTTP and its tunnels, microsocks for SOCKS, and one that is written here.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use super::{
    answer::{Answer, Resource},
    authority::{Authority, of_this_machine},
    server::Server,
    site::{Site, Wanted},
};
use crate::harness::{Dfget, Digest, TestEnv, skip, wait_for};

/// Nothing listens there: whoever is sent to it says so.
const NOBODY: &str = "http://127.0.0.1:1";

const REFUSED: &str = "cannot connect to the proxy http://127.0.0.1:1: Connection refused (os error 111)";

/// A proxy of its own process, which lets in `me` with the password `pass`.
struct Proxy {
    process: Child,
    port: u16,
}

impl Proxy {
    /// `None` without tinyproxy.
    fn http(test: &TestEnv, tunnels_to: &Site<'_>) -> Option<Self> {
        let allowed = tunnels_to.authority();
        let allowed = allowed.split(':').next_back().unwrap().to_owned();
        Self::start(|port| {
            let (file, log) = (test.path("tinyproxy.conf"), test.path("tinyproxy.log"));
            let text = format!("Port {port}\nListen 127.0.0.1\nLogFile \"{}\"\nBasicAuth me pass\n", log.display());
            fs::write(&file, text + &format!("Timeout 60\nConnectPort {allowed}\n")).unwrap();
            let mut command = Command::new("tinyproxy");
            command.arg("-d").arg("-c").arg(file);
            command
        })
    }

    /// `None` without microsocks.
    fn socks() -> Option<Self> {
        Self::start(|port| {
            let mut command = Command::new("microsocks");
            command.args(["-i", "127.0.0.1", "-u", "me", "-P", "pass", "-p", &port.to_string()]);
            command
        })
    }

    /// Neither can listen on a port of the kernel's choice: where somebody else was quicker, another one is tried.
    fn start(command: impl Fn(u16) -> Command) -> Option<Self> {
        loop {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let mut command = command(port);
            let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
            let mut proxy = Self { process: spawned, port };
            let is_there = wait_for("the proxy", || match proxy.process.try_wait().unwrap() {
                Some(_) => Some(false),
                None => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok().map(|_| true),
            });
            if is_there && proxy.process.try_wait().unwrap().is_none() {
                return Some(proxy);
            }
        }
    }

    fn url(&self, scheme: &str, login: &str) -> String {
        format!("{scheme}://{login}127.0.0.1:{}", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn tinyproxy_carries_http_and_tunnels_https() {
    let test = TestEnv::new();
    let authority = Authority::new(&test, "authority");
    let secure = Wanted::tls(&authority.signs("server", &of_this_machine()));
    let Some((plain, secure)) = Site::start(&test, "plain", &Wanted::default())
        .and_then(|plain| Some((plain, Site::start(&test, "secure", &secure)?)))
    else {
        return skip("tinyproxy_carries_http_and_tunnels_https", "nginx is missing");
    };
    let Some(proxy) = Proxy::http(&test, &secure) else {
        return skip("tinyproxy_carries_http_and_tunnels_https", "tinyproxy is missing");
    };
    let (known, unknown) = (proxy.url("http", "me:pass@"), proxy.url("http", ""));
    let pieces = ["-n", "3", "--piece-length", "1M"];
    plain.get().args(&["--proxy", &known]).args(&pieces).run().succeeded();
    secure.get().args(&["--proxy", &known, "-k", "-q"]).args(&pieces).run().succeeded();
    secure.get().env("https_proxy", &known).args(&["--cacert", authority.file.to_str().unwrap()]).run().succeeded();
    let log = fs::read_to_string(test.path("tinyproxy.log")).unwrap();
    assert!(log.contains(&format!("CONNECT {} HTTP/1.1", secure.authority())), "{log}");
    assert!(log.contains(&format!("GET {} HTTP/1.1", plain.url())), "{log}");
    let form = proxy.url("http", "USER:PASSWORD@");
    let fact = format!("the proxy {unknown} wants a user and a password that it knows: --proxy {form}");
    let hint = "hint: credentials go by --opt key=value or -H 'Name: value', as the source has it";
    for site in [&plain, &secure] {
        let run = site.get().args(&["--proxy", &unknown]).tries(3).run();
        run.failed(21, &format!("dfget: {}: {fact}\n  {hint}", site.url()));
    }
    // Of all ports it makes tunnels to one alone.
    let url = plain.url().replace("http:", "https:");
    let fact = format!("the proxy {unknown} does not connect to {}", plain.authority());
    let words = format!("dfget: {url}: {fact}\n  hint: try again later");
    plain.get_at(&url).args(&["--proxy", &known]).run().failed(22, &words);
}

#[test]
fn microsocks_carries_both_and_finds_the_host_itself() {
    let test = TestEnv::new();
    let authority = Authority::new(&test, "authority");
    let Some(secure) = Site::start(&test, "secure", &Wanted::tls(&authority.signs("server", &of_this_machine())))
    else {
        return skip("microsocks_carries_both_and_finds_the_host_itself", "nginx is missing");
    };
    let Some(proxy) = Proxy::socks() else {
        return skip("microsocks_carries_both_and_finds_the_host_itself", "microsocks is missing");
    };
    let server = Server::of(Resource::default(), |_, answer| answer);
    for scheme in ["socks5", "socks5h"] {
        let known = proxy.url(scheme, "me:pass@");
        test.get(&server.url("/file")).args(&["--overwrite", "--proxy", &known]).run().succeeded();
        let by_name = secure.url().replace("127.0.0.1", "localhost");
        let named = ["--cacert", authority.file.to_str().unwrap()];
        secure.get_at(&by_name).env("ALL_PROXY", &known).args(&named).run().succeeded();
        for login in ["", "me:wrong@"] {
            let run = secure.get().args(&["--proxy", &proxy.url(scheme, login)]).run();
            run.failed_saying(21, &[&format!("the proxy {} wants a user and a password", proxy.url(scheme, ""))]);
        }
    }
    let url = "http://127.0.0.1:1/file";
    let run = test.get(url).output("other").args(&["--proxy", &proxy.url("socks5h", "me:pass@")]).run();
    let fact = format!("the proxy {} does not connect to 127.0.0.1:1: connection refused", proxy.url("socks5h", ""));
    run.failed(22, &format!("dfget: {url}: {fact}\n  hint: try again later"));
}

#[test]
fn a_proxy_gets_the_whole_url_and_its_own_password() {
    let (test, proxy) = (TestEnv::new(), Server::of(Resource::default(), |_, answer| answer));
    let through = proxy.url("").replace("://", "://me:p%40ss@");
    let run = test.get("http://you:word@a.example/file").output("file").args(&["--proxy", &through]).run();
    run.succeeded();
    let asked = proxy.asked().pop().unwrap();
    let header = |name| asked.header(name).unwrap();
    assert_eq!((&*asked.target, &*header("host")), ("http://a.example/file", "a.example"));
    assert_eq!(header("proxy-authorization"), "Basic bWU6cEBzcw==");
    assert_eq!(header("authorization"), "Basic eW91OndvcmQ=");
}

/// Whether a download goes through the proxy that is nowhere.
fn goes_through(run: Dfget<'_>) -> bool {
    let run = run.output("file").arg("--overwrite").run();
    assert_eq!(run.is_success(), !run.stderr.contains(REFUSED), "{}", run.stderr);
    !run.is_success()
}

#[test]
fn the_environment_names_a_proxy_unless_an_option_does() {
    let (test, server) = (TestEnv::new(), Server::of(Resource::default(), |_, answer| answer));
    let get = || test.get(&server.url("/file"));
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "DFGET_PROXY"] {
        assert!(goes_through(get().env(name, NOBODY)), "{name}");
    }
    for name in ["https_proxy", "HTTPS_PROXY", "ftp_proxy"] {
        assert!(!goes_through(get().env(name, NOBODY)), "{name}");
    }
    // A header of a request that anybody may send is that variable of a CGI program.
    assert!(!goes_through(get().env("HTTP_PROXY", NOBODY).env("REQUEST_METHOD", "GET")));
    assert!(goes_through(get().env("http_proxy", NOBODY).env("REQUEST_METHOD", "GET")));
    assert!(!goes_through(get().env("http_proxy", NOBODY).args(&["--proxy", ""])));
    assert!(goes_through(get().args(&["--proxy", "127.0.0.1:1"])));
    assert!(goes_through(get().args(&["--opt", &format!("proxy={NOBODY}")])));
}

#[test]
fn hosts_can_be_left_out() {
    let (test, server) = (TestEnv::new(), Server::of(Resource::default(), |_, answer| answer));
    let get = || test.get(&server.url("/file"));
    for list in ["127.0.0.1", "a.example, 127.0.0.0/8", "*"] {
        assert!(!goes_through(get().env("http_proxy", NOBODY).env("no_proxy", list)), "{list}");
        assert!(!goes_through(get().env("http_proxy", NOBODY).env("NO_PROXY", list)), "{list}");
        assert!(!goes_through(get().args(&["--proxy", NOBODY, "--noproxy", list])), "{list}");
    }
    assert!(goes_through(get().args(&["--proxy", NOBODY, "--noproxy", "a.example,10.0.0.0/8"])));
    assert!(goes_through(get().env("no_proxy", "*").args(&["--proxy", NOBODY, "--noproxy", ""])));
}

#[test]
fn a_proxy_that_makes_no_sense_or_refuses_is_told() {
    let test = TestEnv::new();
    let get = || test.get("http://a.example/file").output("file");
    let kinds = "it is no http, https, socks4, socks4a, socks5 or socks5h URL";
    get().args(&["--proxy", "ftp://me:s3cret@h"]).run().failed(24, &format!("dfget: http: proxy: {kinds}"));
    get().env("ALL_PROXY", "ftp://me:s3cret@h").run().failed(24, &format!("dfget: http: ALL_PROXY: {kinds}"));
    let proxy = Server::start(|_| Answer::status(407));
    let fact = format!("the proxy {} wants a user and a password that it knows", proxy.url(""));
    get().args(&["--proxy", &proxy.url("")]).run().failed_saying(21, &[&fact]);
    let run = get().args(&["--proxy", &proxy.url("").replace("http:", "https:")]).run();
    assert_eq!(run.code(), Some(22), "{}", run.stderr);
}

/// An `@` of a password ends it to some who read it.
#[test]
fn no_part_of_a_proxys_password_is_shown() {
    let test = TestEnv::new();
    let run = test.get("http://a.example/file").output("file").args(&["--proxy", "me:Secr@t99word@127.0.0.1:1"]).run();
    run.failed_saying(22, &["cannot connect to the proxy http://127.0.0.1:1"]);
    assert!(!run.stderr.contains("t99word") && !run.stderr.contains("Secr"), "{}", run.stderr);
}

#[test]
fn a_proxy_with_a_certificate_that_is_not_believed_is_told() {
    let test = TestEnv::new();
    let authority = Authority::new(&test, "authority");
    let Some(site) = Site::start(&test, "nginx", &Wanted::tls(&authority.signs("server", &of_this_machine()))) else {
        return skip("a_proxy_with_a_certificate_that_is_not_believed_is_told", "nginx is missing");
    };
    let proxy = format!("https://{}", site.authority());
    let run = test.get("http://a.example/file").output("file").args(&["--proxy", &proxy]).run();
    run.failed_saying(24, &[&format!("the certificate of a.example, or of the proxy {proxy}, is signed by nobody")]);
    // A server of files is no proxy, but it answers.
    let run = test.get("http://a.example/nosuch").output("file").args(&["-k", "--proxy", &proxy]).run();
    run.failed_saying(20, &["404 Not Found"]);
}

#[test]
fn a_flag_that_a_source_does_not_take_is_told_where_it_is_typed() {
    let test = TestEnv::new();
    let run = test.get("good://h/file?size=10").output("plugin").args(&["--proxy", NOBODY, "-k"]).run();
    run.succeeded_saying(" WARN good: a plugin is not told of --insecure, --proxy; what it takes goes by --opt");
    test.get("good://h/file?size=10").output("other").env("DFGET_PROXY", NOBODY).run().succeeded();
    let run = test.get("dfs://h/file").output("dfs").expect(Digest::of_bytes(b"hello world"));
    run.args(&["--no-netrc"]).run().succeeded_saying(" WARN dfs: the source does not take --no-netrc");
}

#[test]
fn a_host_that_nobody_knows_and_one_that_does_not_answer_are_told() {
    let test = TestEnv::new();
    // No resolver asks anybody for a name with so long a part.
    let host = "x".repeat(70);
    let words = format!("dfget: http://{host}/file: cannot find {host}: ");
    test.get(&format!("http://{host}/file")).output("file").run().failed_saying(22, &[&words, "hint: try again later"]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/file");
    let fact = format!("cannot connect to 127.0.0.1:{port}: Connection refused (os error 111)");
    test.get(&url).output("file").run().failed(22, &format!("dfget: {url}: {fact}\n  hint: try again later"));
}
