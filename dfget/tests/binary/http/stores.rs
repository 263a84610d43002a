//! Object stores that do everything wrong: S3, as anybody who can answer HTTP may play it.

use std::sync::atomic::{AtomicUsize, Ordering};

use faultplug::Content;

use super::{
    answer::{Answer, CONTENT, Resource},
    authority::{Authority, of_this_machine},
    server::{Asked, Server},
    site::{Site, Wanted},
};
use crate::harness::{Dfget, Digest, TestEnv, skip};

const ANONYMOUS: [&str; 2] = ["--opt", "anonymous=true"];

/// `s3://bucket/file` at `endpoint`.
fn get<'a>(test: &'a TestEnv, endpoint: &str) -> Dfget<'a> {
    test.get("s3://bucket/file").args(&["--opt", &format!("endpoint={endpoint}"), "--opt", "region=here"])
}

fn named(header: &str, asked: &[Asked], path: &str) -> Vec<Option<String>> {
    asked.iter().filter(|asked| asked.target.starts_with(path)).map(|asked| asked.header(header)).collect()
}

#[test]
fn a_header_goes_to_the_store_and_not_to_who_gives_credentials() {
    let test = TestEnv::new();
    let server = Server::start(|asked| match asked.target.starts_with("/credentials") {
        true => Answer::status(200).body(
            r#"{"AccessKeyId": "me", "SecretAccessKey": "s3cret", "Token": "t0ken",
            "Expiration": "2099-01-01T00:00:00Z"}"#,
        ),
        false => Resource::default().answer(asked),
    });
    let run = get(&test, &server.url("")).args(&["-H", "X-Own: one", "-H", "X-Own: two", "-vv"]);
    let run = run.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/credentials")).run();
    assert!(run.is_success() && !run.stderr.contains("s3cret"), "{}", run.stderr);
    let asked = server.asked();
    assert!(named("x-own", &asked, "/bucket").iter().all(|own| own.as_deref() == Some("one, two")), "{asked:?}");
    assert_eq!(named("x-own", &asked, "/credentials"), [None]);
}

#[test]
fn a_header_does_not_follow_to_another_server() {
    let test = TestEnv::new();
    let other = Server::start(|asked| Resource::default().answer(asked));
    let elsewhere = other.url("/elsewhere");
    let store = Server::start(move |_| Answer::redirect(307, &elsewhere));
    get(&test, &store.url("")).args(&ANONYMOUS).args(&["-H", "X-Own: one"]).run().succeeded();
    assert!(store.asked().iter().all(|asked| asked.header("x-own").is_some()));
    assert!(!other.asked().is_empty() && other.asked().iter().all(|asked| asked.header("x-own").is_none()));
}

#[test]
fn a_store_that_names_another_region_each_time_is_not_asked_for_ever() {
    let (test, number) = (TestEnv::new(), AtomicUsize::new(0));
    let server = Server::start(move |_| {
        let region = format!("r-{}", number.fetch_add(1, Ordering::Relaxed));
        Answer::status(400).header("x-amz-bucket-region", region)
    });
    let run = test.get("s3://bucket/file").args(&ANONYMOUS).args(&["--opt", &format!("endpoint={}", server.url(""))]);
    run.run().failed_saying(24, &["the bucket `bucket` is in region `r-"]);
    assert!(server.asked().len() < 10, "{} requests", server.asked().len());
}

#[test]
fn a_page_of_a_listing_without_end_is_refused() {
    let (test, server) = (TestEnv::new(), Server::start(|_| Answer::status(200).body(vec![b' '; 17 << 20])));
    let endpoint = format!("endpoint={}", server.url(""));
    let run = test.dfget(&["-l", "s3://bucket/", "--opt", &endpoint, "--opt", "region=here"]).args(&ANONYMOUS).run();
    run.failed_saying(24, &["an answer that is no object has more than 16777216 bytes"]);
}

#[test]
fn a_listing_that_goes_round_in_circles_is_refused() {
    let (test, page) = (TestEnv::new(), AtomicUsize::new(0));
    let server = Server::start(move |_| {
        let object =
            "<Contents><Key>a</Key><Size>1</Size><LastModified>2022-01-01T00:00:00.000Z</LastModified></Contents>";
        let next = page.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>{}\
             </ListBucketResult>",
            object.repeat(1_000)
        );
        Answer::status(200).body(body)
    });
    let endpoint = format!("endpoint={}", server.url(""));
    let run = test.dfget(&["-l", "s3://bucket/", "--opt", &endpoint, "--opt", "region=here"]).args(&ANONYMOUS).run();
    run.failed_saying(24, &["the listing does not go on: the same entries come again"]);
    assert!(server.asked().len() < 20, "{} requests", server.asked().len());
}

#[test]
fn a_certificate_that_is_not_believed_is_told_as_of_any_server() {
    let test = TestEnv::new();
    let wanted = Wanted::tls(&Authority::new(&test, "stranger").signs("server", &of_this_machine()));
    let Some(site) = Site::start(&test, "nginx", &wanted) else {
        return skip("a_certificate_that_is_not_believed_is_told_as_of_any_server", "nginx is missing");
    };
    let run = get(&test, &format!("https://{}", site.authority())).args(&ANONYMOUS).tries(3).run();
    run.failed_saying(24, &["the certificate of 127.0.0.1 is signed by nobody who is trusted here"]);
}

#[test]
fn a_proxy_that_wants_a_login_is_told_as_of_any_server() {
    let (test, proxy) = (TestEnv::new(), Server::start(|_| Answer::status(407)));
    let run = get(&test, "http://store.example").args(&ANONYMOUS).args(&["--proxy", &proxy.url("")]).run();
    run.failed_saying(21, &[&format!("the proxy {} wants a user and a password that it knows", proxy.url(""))]);
}

#[test]
fn a_weak_etag_puts_no_parts_together() {
    let (test, content) = (TestEnv::new(), Content { size: 3 << 20, ..CONTENT });
    let server = |etag| Server::start(move |asked| Resource { content, etag, ..Resource::default() }.answer(asked));
    let ranges = |server: &Server| {
        let run =
            get(&test, &server.url("")).args(&ANONYMOUS).args(&["-n", "4", "--piece-length", "1M", "--overwrite"]);
        run.expect(Digest::of_content(content)).run().succeeded();
        server.ranges().iter().flatten().count()
    };
    assert!(ranges(&server(Some("\"1\""))) > 1);
    assert_eq!(ranges(&server(Some("W/\"1\""))), 0);
}
