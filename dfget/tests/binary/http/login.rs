//! As whom dfget comes: users, tokens, `~/.netrc`, and secrets that stand in files and variables.

use std::fs;

use super::{
    answer::{Answer, Resource},
    server::Server,
    site::{Site, Wanted},
};
use crate::harness::{Dfget, TestEnv, skip};

const ME_PASS: &str = "Basic bWU6cGFzcw==";
const YOU_WORD: &str = "Basic eW91OndvcmQ=";

/// What a request had as `Authorization`, after a download that was well.
fn authorization(server: &Server, run: Dfget<'_>) -> Option<String> {
    run.output("file").arg("--overwrite").run().succeeded();
    server.asked().pop().unwrap().header("authorization")
}

fn plain() -> Server {
    Server::of(Resource::default(), |_, answer| answer)
}

fn with_login(url: &str, login: &str) -> String {
    url.replacen("://", &format!("://{login}@"), 1)
}

#[test]
fn nginx_lets_in_who_has_the_password() {
    let test = TestEnv::new();
    fs::write(test.path("htpasswd"), "me:{PLAIN}pass word!\n").unwrap();
    let protected = format!("auth_basic here; auth_basic_user_file {};", test.path("htpasswd").display());
    let Some(site) = Site::start(&test, "nginx", &Wanted::default().and(&protected)) else {
        return skip("nginx_lets_in_who_has_the_password", "nginx is missing");
    };
    let hint = "hint: credentials go by --opt key=value or -H 'Name: value', as the source has it";
    let words = format!("dfget: {}: the server answered 401 Unauthorized\n  {hint}", site.url());
    site.get().tries(3).run().failed(21, &words);
    site.get().args(&["--user", "me:another"]).run().failed(21, &words);
    site.get().args(&["--user", "me:pass word!"]).run().succeeded();
    site.get().env("DFGET_USER", "me:pass word!").run().succeeded();
    site.get_at(&with_login(&site.url(), "me:pass%20word%21")).run().succeeded();
    fs::write(test.path("home/.netrc"), "machine 127.0.0.1 login me password \"pass word!\"\n").unwrap();
    site.get().run().succeeded();
    site.get().arg("--no-netrc").run().failed(21, &words);
}

#[test]
fn a_header_wins_over_a_flag_that_over_the_url_and_that_over_netrc() {
    let (test, server) = (TestEnv::new(), plain());
    fs::write(test.path("home/.netrc"), "machine 127.0.0.1 login you password word").unwrap();
    let (bare, user) = (server.url("/file"), with_login(&server.url("/file"), "me:pass"));
    let sent = |url: &str, arguments: &[&str]| authorization(&server, test.get(url).args(arguments)).unwrap();
    assert_eq!(sent(&bare, &[]), YOU_WORD);
    assert_eq!(sent(&user, &[]), ME_PASS);
    assert_eq!(sent(&user, &["--user", "you:word"]), YOU_WORD);
    assert_eq!(sent(&user, &["--oauth2-bearer", "token"]), "Bearer token");
    assert_eq!(sent(&user, &["--user", "you:word", "-H", "authorization: Own x"]), "Own x");
    assert_eq!(sent(&user, &["--opt", "user=you:word"]), YOU_WORD);
}

#[test]
fn netrc_has_the_password_of_a_user_whom_the_url_names() {
    let (test, server) = (TestEnv::new(), plain());
    let text = "machine 127.0.0.1 login you password word\nmachine 127.0.0.1 login me password pass";
    fs::write(test.path("netrc"), text).unwrap();
    let sent = |login: &str| {
        let url = with_login(&server.url("/file"), login);
        authorization(&server, test.get(&url).arg("--netrc-file").arg(test.path("netrc")))
    };
    assert_eq!(sent("me").as_deref(), Some(ME_PASS));
    assert_eq!(sent("nobody").as_deref(), Some("Basic bm9ib2R5Og=="));
    let by_variable = test.get(&server.url("/file")).env("NETRC", test.path("netrc"));
    assert_eq!(authorization(&server, by_variable).as_deref(), Some(YOU_WORD));
}

#[test]
fn a_netrc_that_makes_no_sense_is_told_and_matters_only_where_it_is_named() {
    let (test, server) = (TestEnv::new(), plain());
    fs::write(test.path("home/.netrc"), "machine 127.0.0.1\ns3cret s3cret").unwrap();
    let why = "line 2: a word is none of machine, default, login and password";
    let words = format!(" WARN ROOT/home/.netrc is ignored: {why}; --no-netrc does not read it");
    test.get(&server.url("/file")).output("file").run().succeeded_saying(&words);
    let named = |path: &str| test.get(&server.url("/file")).output("other").args(&["--netrc-file", path]).run();
    named("../home/.netrc").failed(24, &format!("dfget: http: netrc-file: ../home/.netrc: {why}"));
    let words = "dfget: http: netrc-file: nosuch: No such file or directory (os error 2)";
    named("nosuch").failed(24, words);
}

#[test]
fn secrets_can_stand_in_files_and_variables() {
    let (test, server) = (TestEnv::new(), plain());
    fs::write(test.work("header"), "# for the server\nAuthorization: Own x\r\n\nX-More: y\n").unwrap();
    fs::write(test.work("login"), "me:pass\n").unwrap();
    fs::write(test.work("options"), "user=you:word\nnetrc-file=\n").unwrap();
    let url = server.url("/file");
    let sent = |run: Dfget<'_>| authorization(&server, run).unwrap();
    assert_eq!(sent(test.get(&url).args(&["-H", "@header", "-H", "X-Other: z"])), "Own x");
    let last = server.asked().pop().unwrap();
    assert_eq!((last.header("x-more"), last.header("x-other")), (Some("y".into()), Some("z".into())));
    assert_eq!(sent(test.get(&url).args(&["--user", "@login"])), ME_PASS);
    assert_eq!(sent(test.get(&url).args(&["--oauth2-bearer", "@login"])), "Bearer me:pass");
    assert_eq!(sent(test.get(&url).args(&["--opt", "@options"])), YOU_WORD);
    assert_eq!(sent(test.get(&url).args(&["--user", "@-"]).stdin(Some("you:word\n"))), YOU_WORD);
    assert_eq!(sent(test.get(&url).args(&["-H", "@-"]).stdin(Some("Authorization: In"))), "In");
    assert_eq!(sent(test.get(&url).env("DFGET_OAUTH2_BEARER", "token")), "Bearer token");
    assert_eq!(sent(test.get(&url).env("DFGET_HEADER", "Authorization: By y")), "By y");
    let absolute = format!("@{}", test.work("login").display());
    assert_eq!(sent(test.get(&url).env("DFGET_USER", absolute)), ME_PASS);
}

#[test]
fn a_file_of_secrets_that_makes_no_sense_is_told_without_them() {
    let test = TestEnv::new();
    fs::write(test.work("own"), "s3cret\n").unwrap();
    let hint = "\n  hint: `dfget --help` shows its form";
    let from = "\n  hint: @FILE reads the value from a file, @- from stdin";
    for (arguments, words) in [
        (&["-H", "@own"][..], format!("a value of -H makes no sense: there is no `:` in it{hint}")),
        (&["--opt", "@own"], format!("a value of --opt makes no sense: there is no `=` in it{hint}")),
        (&["-H", "@nosuch"], format!("-H @nosuch: cannot read it: No such file or directory (os error 2){from}")),
        (
            &["--user", "@-", "-H", "@-"],
            "stdin can be read once, and is named more than once\n  hint: name a file for all but one of them".into(),
        ),
    ] {
        let run = test.get("http://127.0.0.1:1/file").args(arguments).run();
        run.failed(2, &format!("dfget: {words}"));
    }
    let run = test.get("http://127.0.0.1:1/file").args(&["--user", "@own"]).run();
    run.failed(24, "dfget: http: user: there is no `:` before a password in it");
    // What says nothing of a current directory may be said anywhere.
    let run = test.get("http://127.0.0.1:1/file").env("DFGET_USER", "@own").run();
    let hint = "`dfget --help` shows the form of --user";
    run.failed(2, &format!("dfget: DFGET_USER: it does not begin with `/`\n  hint: {hint}"));
}

/// Each word of it, however it is written.
const SECRETS: [&str; 2] = ["s3cret", "czNjcmV0"];

#[test]
fn no_flag_tells_its_secret_whatever_the_server_does() {
    let test = TestEnv::new();
    fs::write(test.work("header"), "X-Token: s3cret-header\n").unwrap();
    fs::write(test.path("home/.netrc"), "machine 127.0.0.1 login me password s3cret-netrc\n").unwrap();
    let ways: [&[&str]; 7] = [
        &["--user", "s3cret-user:s3cret-password"],
        &["--oauth2-bearer", "s3cret-token"],
        &["--opt", "user=me:s3cret-password"],
        &["-H", "@header"],
        &["--proxy", "http://s3cret-user:s3cret-password@127.0.0.1:1"],
        &["--proxy", "ftp://s3cret-user:s3cret-password@127.0.0.1:1"],
        &["--opt", "proxy=s3cret-user:s3cret-password@127.0.0.1:1"],
    ];
    for answer in [|| Answer::status(401), || Answer::status(503), || Answer::status(407), || Answer::gone()] {
        let server = Server::of(Resource::default(), move |_, _| answer());
        for way in ways {
            let run = test.get(&server.url("/file")).args(way).args(&["-vv", "--json"]).tries(2).run();
            let told = SECRETS.iter().any(|secret| run.stderr.contains(secret) || run.stdout().contains(secret));
            assert!(!told && !run.is_success(), "{way:?}: {}{}", run.stderr, run.stdout());
            let shown = test.dfget(way).args(&["-u", "http://h/file", "config"]).run();
            assert!(!shown.stdout().contains("s3cret-password"), "{way:?}: {}", shown.stdout());
        }
    }
}

#[test]
fn nginx_that_wants_to_be_asked_less_often_is_waited_for() {
    let test = TestEnv::new();
    let wanted = Wanted {
        above: "limit_req_zone $server_port zone=slow:1m rate=30r/m;".into(),
        within: "limit_req zone=slow; limit_req_status 429; add_header Retry-After 2 always;".into(),
        ..Wanted::default()
    };
    let Some(site) = Site::start(&test, "nginx", &wanted) else {
        return skip("nginx_that_wants_to_be_asked_less_often_is_waited_for", "nginx is missing");
    };
    let run = site.get().args(&["-n", "1", "--piece-length", "2M"]).tries(5).run();
    let fact = "the server answered 429 Too Many Requests; trying again in 2.0 s";
    assert!(run.is_success() && run.stderr.contains(fact), "{}", run.stderr);
}
