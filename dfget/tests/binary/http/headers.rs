//! What the user sends along, and what of it nobody gets to see.

use plugin_sdk::{DownloadRequest, Options, Request};

use super::{
    answer::{Answer, CONTENT, Resource},
    server::Server,
};
use crate::harness::TestEnv;

fn plain() -> Server {
    Server::of(Resource::default(), |_, answer| answer)
}

#[test]
fn the_users_header_is_sent_as_it_is_and_in_place_of_our_own() {
    let server = plain();
    let header = ["-H", "X: 1", "-H", "x: 2", "-H", "User-Agent: me", "-H", "Accept-Encoding: gzip"];
    TestEnv::new().get(&server.url("/file")).args(&header).run().succeeded();
    let asked = server.asked().pop().unwrap();
    let sent = ["x", "user-agent", "accept-encoding"].map(|name| asked.header(name).unwrap());
    assert_eq!(sent, ["1, 2", "me", "gzip"]);
}

#[test]
fn without_a_header_nothing_is_asked_for_that_changes_the_bytes() {
    let server = plain();
    TestEnv::new().get(&server.url("/file")).run().succeeded();
    let asked = server.asked().pop().unwrap();
    let sent = ["accept-encoding", "authorization", "range", "if-match"].map(|name| asked.header(name));
    assert_eq!((&*asked.method, sent), ("GET", [Some("identity".into()), None, None, None]));
    assert!(asked.header("user-agent").unwrap().starts_with("dfget/"));
}

#[test]
fn the_users_authorization_outweighs_that_of_the_url() {
    let server = plain();
    let url = server.url("/file").replace("//", "//me:pass@");
    let test = TestEnv::new();
    test.get(&url).arg("--overwrite").run().succeeded();
    test.get(&url).args(&["--overwrite", "-H", "Authorization: Bearer token"]).run().succeeded();
    let sent: Vec<_> = server.asked().iter().map(|asked| asked.header("authorization").unwrap()).collect();
    assert_eq!(sent, ["Basic bWU6cGFzcw==", "Bearer token"]);
}

#[test]
fn a_range_is_no_header() {
    let server = plain();
    let run = TestEnv::new().get(&server.url("/file")).args(&["-H", "Range: bytes=0-9"]).run();
    let words = "a part is asked for with --range, not with a header";
    run.failed(24, &format!("dfget: {}: {words}", server.url("/file")));
    assert!(server.asked().is_empty());
}

#[test]
fn a_header_that_is_none_is_refused_and_not_shown() {
    let server = plain();
    for header in ["s3 cret: 1", "X: s3cret\u{1}", "s3crét: 1"] {
        let run = TestEnv::new().get(&server.url("/file")).args(&["-H", header]).run();
        let words = "a header has a name or a value that HTTP does not allow";
        run.failed(24, &format!("dfget: {}: {words}", server.url("/file")));
    }
}

#[test]
fn no_secret_is_told_whatever_the_server_does() {
    type Bend = fn(Answer) -> Answer;
    let bends: [Bend; 9] = [
        |answer| answer,
        |_| Answer::status(401),
        |_| Answer::status(503),
        |_| Answer::gone(),
        |_| Answer::line("garbage"),
        |_| Answer::redirect(302, "s3cret://me:s3cret@h/?s3cret").header("X", "s3cret"),
        |_| Answer::redirect(302, "http://s3cret:s3cret@["),
        |answer| answer.closed_at(10),
        |answer| answer.reset_at(10),
    ];
    for bend in bends {
        let server = Server::of(Resource::default(), move |asked, answer| match asked.number {
            0 => bend(answer),
            _ => answer,
        });
        let url = server.url("/file?sig=s3cret&s3cret#s3cret").replace("//", "//me:s3cret@");
        let run = TestEnv::new().get(&url).args(&["-H", "Authorization: Bearer s3cret", "-vv"]).tries(2).run();
        let words = run.stderr.replace("redirects to `s3cret`", "");
        assert!(!words.contains("s3cret") && !run.stdout().contains("s3cret"), "{words}");
        assert!(!server.asked().is_empty());
    }
}

/// dfget's own downloads need no HEAD; who uses its source as a library may.
#[tokio::test]
async fn a_server_that_refuses_head_is_asked_with_get() {
    for refusal in [405, 501] {
        let server =
            Server::of(
                Resource::default(),
                move |asked, answer| {
                    if asked.method == "HEAD" { Answer::status(refusal) } else { answer }
                },
            );
        let http = dfget::source::IN_TREE.iter().find(|source| source.scheme == "http").unwrap();
        let client = (http.open)(&Options::default()).unwrap();
        let metadata = client.metadata(&Request::new(server.url("/file"))).await.unwrap();
        assert_eq!((metadata.content_length, metadata.support_range), (Some(CONTENT.size), true));
        let methods: Vec<_> = server.asked().into_iter().map(|asked| asked.method).collect();
        assert_eq!(methods, ["HEAD", "GET"]);
        let request = DownloadRequest { request: Request::new(server.url("/file")), ..DownloadRequest::default() };
        assert_eq!(client.download(&request).await.unwrap().opened.metadata, metadata);
    }
}
