//! `https://`: whose certificates are believed, which ones are shown, and HTTP/2, against a real nginx.

use std::fs;

use rcgen::CertificateParams;

use super::{
    authority::{
        Authority, Identity, expired, not_yet_valid, of_an_authority, of_another_host, of_this_machine,
        signed_by_itself,
    },
    site::{Site, Wanted},
};
use crate::harness::{TestEnv, skip};

const WARNING: &str = " WARN no certificate is checked, as --insecure says: anybody may pose as the server";

const ANYWAY: &str = "--insecure takes it nevertheless";

fn path(file: &std::path::Path) -> &str {
    file.to_str().unwrap()
}

#[test]
fn what_a_made_up_authority_has_signed_is_believed_if_it_is_named_and_comes_by_http_2() {
    let test = TestEnv::new();
    let authority = Authority::new(&test, "authority");
    let wanted = Wanted { listen: "ssl http2", ..Wanted::tls(&authority.signs("server", &of_this_machine())) };
    let Some(site) = Site::start(&test, "nginx", &wanted) else {
        return skip(
            "what_a_made_up_authority_has_signed_is_believed_if_it_is_named_and_comes_by_http_2",
            "nginx is missing",
        );
    };
    let named = ["--cacert", path(&authority.file)];
    site.get().args(&named).run().succeeded();
    site.get().args(&named).arg("--http1").run().succeeded();
    site.get().env("DFGET_CACERT", &authority.file).run().succeeded();
    site.get().args(&["--opt", &format!("cacert={}", path(&authority.file))]).run().succeeded();
    // The system's are where it is said.
    site.get().env("SSL_CERT_FILE", &authority.file).run().succeeded();
    site.get_at(&format!("{}?run=end", site.url())).args(&named).run();
    let protocols: Vec<_> = site.asked().into_iter().map(|words| words[1].clone()).collect();
    assert_eq!(protocols, ["HTTP/2.0", "HTTP/1.1", "HTTP/2.0", "HTTP/2.0", "HTTP/2.0"]);
}

#[test]
fn pieces_come_over_one_connection_of_http_2_and_over_several_of_http_1() {
    let test = TestEnv::new();
    let authority = Authority::new(&test, "authority");
    let wanted = Wanted { listen: "ssl http2", ..Wanted::tls(&authority.signs("server", &of_this_machine())) };
    let Some(site) = Site::start(&test, "nginx", &wanted.and("limit_rate 3m;")) else {
        return skip("pieces_come_over_one_connection_of_http_2_and_over_several_of_http_1", "nginx is missing");
    };
    let get = |run: &str, connections: &str| {
        let pieces = ["-n", connections, "--piece-length", "1M", "--cacert", path(&authority.file)];
        site.get_at(&format!("{}?run={run}", site.url())).args(&pieces)
    };
    get("many", "3").run().succeeded();
    get("each", "3").arg("--http1").run().succeeded();
    get("turn", "1").arg("--http1").run().succeeded();
    get("end", "1").run();
    let connections = |run: &str| {
        let mut found: Vec<_> =
            site.asked().into_iter().filter(|words| words[0] == run).map(|words| words[2].clone()).collect();
        let requests = found.len();
        found.sort();
        found.dedup();
        (requests, found.len())
    };
    assert_eq!((connections("many"), connections("each")), ((3, 1), (3, 3)));
    // The first answer is of the whole, and left where its piece ends: its connection goes with it.
    assert_eq!(connections("turn"), (3, 2), "a connection is used again");
}

fn is_refused(wanted: &Wanted, arguments: &[&str], test: &TestEnv, words: &str) {
    let Some(site) = Site::start(test, "nginx", wanted) else {
        let thread = std::thread::current();
        return skip(thread.name().and_then(|name| name.rsplit("::").next()).unwrap(), "nginx is missing");
    };
    let url = site.url();
    site.get().args(arguments).tries(3).run().failed(24, &format!("dfget: {url}: {words}; {ANYWAY}"));
    site.get().arg("-k").run().succeeded_saying(WARNING);
    site.get_at(&format!("{url}?run=end")).arg("-k").run();
    assert_eq!(site.asked().len(), 1, "nothing is asked for over a connection to nobody knows whom");
}

#[test]
fn a_certificate_that_nobody_known_has_signed_is_refused() {
    let test = TestEnv::new();
    let server = Authority::new(&test, "stranger").signs("server", &of_this_machine());
    let other = Authority::new(&test, "authority");
    let words = "the certificate of 127.0.0.1 is signed by nobody who is trusted here: name the authority's certificate \
                 with --cacert";
    // The system's are not believed beside those of --cacert.
    is_refused(&Wanted::tls(&server), &["--cacert", path(&other.file)], &test, words);
    let Some(site) = Site::start(&test, "again", &Wanted::tls(&server)) else { return };
    let run = site.get().env("SSL_CERT_FILE", &other.file).run();
    run.failed(24, &format!("dfget: {}: {words}; {ANYWAY}", site.url()));
}

#[test]
fn a_certificate_that_is_signed_by_itself_is_refused_unless_it_is_named() {
    for params in [of_this_machine(), of_an_authority(of_this_machine())] {
        let test = TestEnv::new();
        let server = signed_by_itself(&test, "server", &params);
        let other = Authority::new(&test, "authority");
        let words =
            "the certificate of 127.0.0.1 is signed by itself alone: name it with --cacert if it is the right one";
        is_refused(&Wanted::tls(&server), &["--cacert", path(&other.file)], &test, words);
        let Some(site) = Site::start(&test, "again", &Wanted::tls(&server)) else { return };
        site.get().args(&["--cacert", path(&server.certificate)]).run().succeeded();
    }
}

#[test]
fn a_certificate_that_is_named_is_believed_of_its_own_host_and_in_its_time_alone() {
    for params in [of_another_host(), of_an_authority(of_another_host())] {
        let test = TestEnv::new();
        let server = signed_by_itself(&test, "server", &params);
        let words = "the certificate of 127.0.0.1 is for another name: a.example, *.b.example; check the URL";
        is_refused(&Wanted::tls(&server), &["--cacert", path(&server.certificate)], &test, words);
    }
    let test = TestEnv::new();
    let server = signed_by_itself(&test, "server", &of_an_authority(expired()));
    let words = "the certificate of 127.0.0.1 expired on 2020-02-01T00:00:00Z";
    is_refused(&Wanted::tls(&server), &["--cacert", path(&server.certificate)], &test, words);
}

fn is_refused_though_signed(params: &CertificateParams, words: &str) {
    let test = TestEnv::new();
    let authority = Authority::new(&test, "authority");
    let server = authority.signs("server", params);
    is_refused(&Wanted::tls(&server), &["--cacert", path(&authority.file)], &test, words);
}

#[test]
fn a_certificate_of_another_host_is_refused() {
    let words = "the certificate of 127.0.0.1 is for another name: a.example, *.b.example; check the URL";
    is_refused_though_signed(&of_another_host(), words);
}

#[test]
fn a_certificate_whose_time_is_over_or_has_not_come_is_refused() {
    is_refused_though_signed(&expired(), "the certificate of 127.0.0.1 expired on 2020-02-01T00:00:00Z");
    let words =
        "the certificate of 127.0.0.1 is not valid before 3000-01-01T00:00:00Z: look at the clock of this machine";
    is_refused_though_signed(&not_yet_valid(), words);
}

#[test]
fn a_client_shows_its_certificate_where_it_has_one() {
    let test = TestEnv::new();
    let authority = Authority::new(&test, "authority");
    let wanted = Wanted::tls(&authority.signs("server", &of_this_machine()));
    let ca = path(&authority.file);
    let wanted = wanted.and(&format!("ssl_client_certificate {ca}; ssl_verify_client on;"));
    let Some(site) = Site::start(&test, "nginx", &wanted) else {
        return skip("a_client_shows_its_certificate_where_it_has_one", "nginx is missing");
    };
    let client = authority.signs("client", &CertificateParams::default());
    let get = |client: &Identity| {
        site.get().args(&["--cacert", ca, "--cert", path(&client.certificate), "--key", path(&client.key)])
    };
    get(&client).run().succeeded();
    let both = test.path("both.pem");
    fs::write(&both, [fs::read(&client.key).unwrap(), fs::read(&client.certificate).unwrap()].concat()).unwrap();
    site.get().args(&["--cacert", ca]).env("DFGET_CERT", &both).run().succeeded();
    let fact =
        "the server answered 400 Bad Request: it wants a valid certificate of its client: --cert FILE and --key FILE";
    let hint = "credentials go by --opt key=value or -H 'Name: value', as the source has it";
    let words = format!("dfget: {}: {fact}\n  hint: {hint}", site.url());
    site.get().args(&["--cacert", ca]).run().failed(21, &words);
    get(&authority.signs("old", &expired())).run().failed(21, &words);
    get(&Authority::new(&test, "stranger").signs("strange", &of_this_machine())).run().failed(21, &words);
}

#[test]
fn a_server_that_speaks_no_tls_is_told() {
    let test = TestEnv::new();
    let Some(site) = Site::start(&test, "nginx", &Wanted::default()) else {
        return skip("a_server_that_speaks_no_tls_is_told", "nginx is missing");
    };
    let url = site.url().replace("http:", "https:");
    let words = format!("{} does not speak TLS: is it http:// that is meant?", site.authority());
    site.get_at(&url).tries(3).run().failed(24, &format!("dfget: {url}: {words}"));
}

#[test]
fn files_that_are_no_certificates_or_keys_are_told_before_anybody_is_asked() {
    let test = TestEnv::new();
    let client = signed_by_itself(&test, "client", &of_this_machine());
    let other = signed_by_itself(&test, "other", &of_this_machine());
    let (certificate, key) = (path(&client.certificate), path(&client.key));
    for (arguments, words) in [
        (&["--cacert", "nosuch.pem"][..], "cacert: nosuch.pem: No such file or directory (os error 2)"),
        (&["--cacert", key], "cacert: ROOT/client.key: there is no certificate in PEM in it"),
        (&["--cert", "/dev/null"], "cert: /dev/null: there is no certificate in PEM in it"),
        (&["--cert", certificate], "key: ROOT/client.pem: there is no key in PEM without a passphrase"),
        (&["--key", key], "key: there is no `cert` that it could belong to"),
        (
            &["--cert", certificate, "--key", path(&other.key)],
            "key: it does not go with the certificate: keys may not be consistent: KeyMismatch",
        ),
    ] {
        let run = test.get("https://127.0.0.1:1/file").output("file").args(arguments).run();
        assert_eq!(run.code(), Some(24), "{}", run.stderr);
        let told = run.stderr.lines().next().unwrap();
        assert!(told.starts_with(&format!("dfget: https: {words}")), "{arguments:?}: {told}");
    }
}

#[test]
fn a_flag_wins_over_the_section_of_a_source_and_that_over_a_flag_of_the_file() {
    let test = TestEnv::new();
    let authority = Authority::new(&test, "authority");
    let server = authority.signs("server", &of_this_machine());
    let Some(site) = Site::start(&test, "nginx", &Wanted::tls(&server)) else {
        return skip("a_flag_wins_over_the_section_of_a_source_and_that_over_a_flag_of_the_file", "nginx is missing");
    };
    let (right, wrong) = (path(&authority.file), path(&server.certificate));
    let get = |text: &str| {
        let file = test.path("dfget.toml");
        fs::write(&file, text).unwrap();
        site.get().env("DFGET_CONFIG", file)
    };
    let section = |cacert: &str| format!("[source.https]\ncacert = \"{cacert}\"\n");
    get(&section(right)).run().succeeded();
    get(&format!("cacert = \"/nosuch\"\n{}", section(right))).run().succeeded();
    get(&section("/nosuch")).args(&["--cacert", right]).run().succeeded();
    get(&section("/nosuch")).env("DFGET_CACERT", right).run().succeeded();
    get(&section("/nosuch")).env("DFGET_OPT", "cacert=/nosuch").args(&["--cacert", right]).run().succeeded();
    get(&section(right)).env("DFGET_CACERT", wrong).args(&["--opt", &format!("cacert={right}")]).run().succeeded();
    get(&section(right)).args(&["--cacert", "/nosuch"]).run().failed_saying(24, &["cacert: /nosuch: "]);
}
