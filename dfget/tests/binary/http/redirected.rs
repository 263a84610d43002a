//! Redirects and credentials: an origin that the user has not named gets none of the user's.

use std::fs;

use super::{
    answer::{Answer, Resource},
    authority::{Authority, of_this_machine},
    server::{Asked, Server},
    site::{Site, Wanted},
};
use crate::harness::{TestEnv, skip};

const ME_PASS: &str = "Basic bWU6cGFzcw==";
const YOU_WORD: &str = "Basic eW91OndvcmQ=";

fn sent(asked: &Asked) -> Option<String> {
    asked.header("authorization")
}

/// Serves `/file`, and what `elsewhere` says for all else.
fn server(elsewhere: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Server {
    Server::start(move |asked| match &*asked.target {
        "/file" => Resource::default().answer(asked),
        _ => elsewhere(asked),
    })
}

/// What each of two origins was shown, where the first one redirects to the second.
fn shown(way: &[&str], user: &str) -> (Option<String>, Option<String>) {
    let other = server(|_| Answer::status(404));
    let first = server({
        let elsewhere = other.url("/file");
        move |_| Answer::redirect(302, &elsewhere)
    });
    let test = TestEnv::new();
    let url = first.url("/here").replace("://", &format!("://{user}"));
    test.get(&url).output("file").args(way).run().succeeded();
    (sent(&first.asked()[0]), sent(&other.asked()[0]))
}

#[test]
fn neither_user_nor_token_goes_to_another_origin() {
    assert_eq!(shown(&["--user", "me:pass"], ""), (Some(ME_PASS.into()), None));
    assert_eq!(shown(&["--oauth2-bearer", "t"], ""), (Some("Bearer t".into()), None));
    assert_eq!(shown(&[], "me:pass@"), (Some(ME_PASS.into()), None));
}

#[test]
fn another_host_gets_what_netrc_has_for_it() {
    let test = TestEnv::new();
    let other = server(|_| Answer::status(404));
    let first = server({
        let elsewhere = other.url("/file").replace("127.0.0.1", "localhost");
        move |_| Answer::redirect(302, &elsewhere)
    });
    let text = "machine 127.0.0.1 login me password pass\nmachine localhost login you password word";
    fs::write(test.path("home/.netrc"), text).unwrap();
    test.get(&first.url("/here")).output("file").run().succeeded();
    assert_eq!((sent(&first.asked()[0]), sent(&other.asked()[0])), (Some(ME_PASS.into()), Some(YOU_WORD.into())));
    test.get(&first.url("/here")).output("file").args(&["--overwrite", "--user", "a:b"]).run().succeeded();
    assert_eq!(sent(&other.asked()[1]).as_deref(), Some(YOU_WORD));
}

#[test]
fn who_comes_back_to_the_first_origin_is_known_there() {
    let other = Server::start(|asked| Answer::redirect(302, &asked.target[1..]));
    let first = server({
        let elsewhere = other.url("/");
        move |asked| Answer::redirect(302, &format!("{elsewhere}http://{}/file", asked.header("host").unwrap()))
    });
    let run = TestEnv::new().get(&first.url("/here")).output("file").args(&["--user", "me:pass"]).run();
    run.succeeded();
    let all: Vec<_> = first.asked().iter().chain(&other.asked()).map(sent).collect();
    assert_eq!(all, [Some(ME_PASS.into()), Some(ME_PASS.into()), None]);
}

#[test]
fn what_was_asked_for_with_tls_is_asked_for_without_it_as_nobody() {
    let test = TestEnv::new();
    let authority = Authority::new(&test, "authority");
    let other = server(|_| Answer::status(404));
    let elsewhere = other.url("/file");
    let wanted = Wanted::tls(&authority.signs("server", &of_this_machine()));
    let Some(site) = Site::start(&test, "nginx", &wanted.and(&format!("return 302 {elsewhere};"))) else {
        return skip("what_was_asked_for_with_tls_is_asked_for_without_it_as_nobody", "nginx is missing");
    };
    fs::write(test.path("home/.netrc"), "machine 127.0.0.1 login me password pass").unwrap();
    let run = test.get(&site.url()).output("file").arg("--cacert").arg(&authority.file);
    run.args(&["-H", "Cookie: x"]).run().succeeded();
    assert_eq!((sent(&other.asked()[0]), other.asked()[0].header("cookie")), (None, None));
    test.get(&site.url()).arg("--overwrite").args(&["-k", "--user", "a:b"]).run();
    test.get(&format!("{}?run=end", site.url())).arg("--overwrite").arg("-k").run();
    assert_eq!(site.asked().iter().map(|words| &*words[4]).collect::<Vec<_>>(), ["[me]", "[a]"]);
    assert!(other.asked().iter().all(|asked| sent(asked).is_none()));
}

#[test]
fn an_origin_that_wants_credentials_is_told_from_the_one_that_the_user_named() {
    let other = Server::start(|_| Answer::status(401));
    let first = server({
        let elsewhere = other.url("/file");
        move |_| Answer::redirect(302, &elsewhere)
    });
    let (url, test) = (first.url("/here"), TestEnv::new());
    let origin = |server: &Server| server.url("");
    let hint = "  hint: credentials go by --opt key=value or -H 'Name: value', as the source has it";
    let fact = format!(
        "the server answered 401 Unauthorized at {}, where it is redirected to and what you send to {} does not go",
        origin(&other),
        origin(&first)
    );
    for way in [["--user", "me:pass"], ["-H", "Authorization: x"]] {
        test.get(&url).output("file").args(&way).run().failed(21, &format!("dfget: {url}: {fact}\n{hint}"));
    }
    let fact = "the server answered 401 Unauthorized";
    test.get(&url).output("file").run().failed(21, &format!("dfget: {url}: {fact}\n{hint}"));
}

#[test]
fn so_many_redirects_are_followed_as_was_said() {
    let first = Server::start(|asked| match asked.target.split('?').next().unwrap() {
        "/file" => Resource::default().answer(asked),
        "/1" => Answer::redirect(302, "/file"),
        path => Answer::redirect(302, &format!("/{}?t=s3cret", path[1..].parse::<u32>().unwrap() - 1)),
    });
    let test = TestEnv::new();
    let get = |count: u32, limit: &str| {
        test.get(&first.url(&format!("/{count}"))).output("file").args(&["--overwrite", "--max-redirs", limit]).run()
    };
    get(3, "3").succeeded();
    get(25, "25").succeeded();
    let last = first.url("/1?t=***");
    let words = format!("the server redirects more than 2 times, last to {last}; --max-redirs sets the limit");
    get(4, "2").failed(24, &format!("dfget: {}: {words}", first.url("/4")));
    let words =
        format!("the server redirects more than 0 times, last to {}; --max-redirs sets the limit", first.url("/file"));
    get(1, "0").failed(24, &format!("dfget: {}: {words}", first.url("/1")));
}
