//! Redirects: where they lead, and what goes along.

use super::{
    answer::{Answer, Resource},
    server::{Asked, Server},
};
use crate::harness::TestEnv;

/// Serves `/file`, and `redirect` of everything else.
fn redirecting(redirect: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Server {
    Server::start(move |asked| match &*asked.target {
        "/file" => Resource::default().answer(asked),
        _ => redirect(asked),
    })
}

fn failed(location: &str, words: &str) {
    let location = location.to_owned();
    let server = redirecting(move |_| Answer::redirect(302, &location));
    let url = server.url("/here");
    TestEnv::new().get(&url).output("file").run().failed(24, &format!("dfget: {url}: {words}"));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn every_kind_of_redirect_is_followed() {
    for code in [301, 302, 303, 307, 308] {
        let server = redirecting(move |_| Answer::redirect(code, "/file").body("moved"));
        TestEnv::new().get(&server.url("/here")).output("file").run().succeeded();
    }
}

#[test]
fn a_redirect_is_relative_to_where_it_stands() {
    for location in ["../file", "/file", "//HOST/file", "http://HOST/file", "?/../../file#part", "/b/../file"] {
        let server = redirecting(move |asked| {
            let host = asked.header("host").unwrap();
            let location = location.replace("HOST", &host);
            Answer::redirect(302, if asked.target.contains('?') { "/file" } else { &location })
        });
        TestEnv::new().get(&server.url("/a/here")).output("file").run().succeeded();
    }
}

#[test]
fn the_range_and_the_version_go_along() {
    let server = redirecting(|_| Answer::redirect(307, "/file"));
    let bent = Server::start({
        let url = server.url("/file");
        move |asked| match asked.number {
            0 => Resource::default().answer(asked).closed_at(50_000),
            _ => Answer::redirect(307, &url),
        }
    });
    assert!(TestEnv::new().get(&bent.url("/file")).tries(2).run().is_success());
    let asked = server.asked().pop().unwrap();
    let found = (asked.range(), asked.header("if-match"));
    assert_eq!(found, (Some("bytes=50000-99999".into()), Some("\"1\"".into())));
}

#[test]
fn the_users_header_goes_to_the_first_origin_alone() {
    let other = redirecting(|_| Answer::status(404));
    let server = redirecting({
        let elsewhere = other.url("/file");
        move |asked| Answer::redirect(302, if asked.target == "/here" { "/there" } else { &elsewhere })
    });
    let url = server.url("/here").replace("//", "//me:s3cret-password@");
    let header = ["-H", "Authorization: Bearer s3cret", "-H", "Cookie: s3cret", "-H", "X-Own: s3cret"];
    let run = TestEnv::new().get(&url).output("file").args(&header).run();
    run.succeeded();
    let sent = |asked: &Asked| ["authorization", "cookie", "x-own"].map(|name| asked.header(name));
    for asked in server.asked() {
        assert_eq!(sent(&asked), [Some("Bearer s3cret".into()), Some("s3cret".into()), Some("s3cret".into())]);
    }
    assert_eq!((server.asked().len(), sent(&other.asked()[0])), (2, [None, None, None]));
}

#[test]
fn the_password_of_the_url_stays_with_its_origin() {
    let other = redirecting(|_| Answer::status(404));
    let server = redirecting({
        let elsewhere = other.url("/file");
        move |asked| match &*asked.target {
            "/1" => Answer::redirect(302, "/2"),
            "/2" => Answer::redirect(302, &format!("http://{}/3", asked.header("host").unwrap())),
            _ => Answer::redirect(302, &elsewhere),
        }
    });
    let url = server.url("/1").replace("//", "//me:pass@");
    TestEnv::new().get(&url).output("file").run().succeeded();
    let sent: Vec<_> = server.asked().iter().map(|asked| asked.header("authorization")).collect();
    assert_eq!(sent, vec![Some("Basic bWU6cGFzcw==".to_owned()); 3]);
    assert_eq!(other.asked()[0].header("authorization"), None);
}

#[test]
fn a_redirect_loop_ends() {
    let server = redirecting(|_| Answer::redirect(302, "/here"));
    let url = server.url("/here");
    let run = TestEnv::new().get(&url).output("file").run();
    let words = format!("the server redirects more than 20 times, last to {url}; --max-redirs sets the limit");
    run.failed(24, &format!("dfget: {url}: {words}"));
    assert_eq!(server.asked().len(), 21);
}

#[test]
fn a_redirect_to_another_scheme_is_not_followed() {
    for (location, scheme) in [("file:///etc/passwd", "file"), ("FTP://h/file", "ftp"), ("good://h/file", "good")] {
        failed(location, &format!("the server redirects to `{scheme}`, which is not followed"));
    }
}

#[test]
fn a_redirect_to_nowhere_is_told() {
    failed("http://[", "the server redirects to what is no URL");
    let server = redirecting(|_| Answer::status(302));
    let url = server.url("/here");
    let run = TestEnv::new().get(&url).output("file").run();
    run.failed(24, &format!("dfget: {url}: the server answered 302 Found"));
}

#[test]
fn no_redirect_tells_its_secrets() {
    let server = redirecting(|_| Answer::redirect(302, "http://me:s3cret@127.0.0.1:1/file?sig=s3cret"));
    let run = TestEnv::new().get(&server.url("/here?key=s3cret")).output("file").arg("-vv").run();
    run.failed_saying(22, &["/here?key=***", "Connection refused"]);
    assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);
}

#[test]
fn the_output_has_the_name_of_what_was_asked_for() {
    let server = redirecting(|_| Answer::redirect(302, "/file"));
    TestEnv::new().get(&server.url("/name")).output_expected("name").run().succeeded();
}
