//! Directories: trees of real servers, and indexes that no server should make.

use std::{fs, path::Path};

use super::{
    Server as Python,
    answer::{Answer, CONTENT},
    apache::Apache,
    nginx::Nginx,
    server::Server,
};
use crate::harness::{Run, Snapshot, TestEnv, set_mode, skip, snapshot};

/// Names that mean something in a URL, in HTML, in a shell; and one that Apache and nginx show cut.
const NAMES: [&str; 22] = [
    "plain.txt",
    "a b",
    "50%",
    "a%20b",
    "a#b",
    "a?b=c",
    "a&b",
    "a&amp;b",
    "it's",
    "say \"hi\"",
    "<b>",
    "ünï 漢字",
    "a:b",
    "http:x",
    "a;b",
    "a+b",
    "a=b,c",
    "~x",
    "(i) [d] {c}",
    "a\\b",
    "x..",
    "UPPER",
];

const DIRECTORIES: [&str; 5] = ["sub", "sub/deep", "sub/deep/with space & %41", "empty", "ünter"];

/// What each real server serves.
fn make_tree(directory: &Path) -> Snapshot {
    let long = "n".repeat(200);
    for name in [""].into_iter().chain(DIRECTORIES) {
        fs::create_dir_all(directory.join(name)).unwrap();
        set_mode(&directory.join(name), 0o755);
    }
    for name in NAMES.into_iter().chain([&*long, "sub/f", "sub/deep/f", "sub/deep/with space & %41/g h", "ünter/f"]) {
        fs::write(directory.join(name), format!("this is {name}").repeat(name.len())).unwrap();
    }
    snapshot(directory)
}

fn run(test: &TestEnv, url: &str) -> Run {
    test.dfget(&["-r", url, "-O", "tree", "--json"]).into_directory("tree").run()
}

/// All of it comes, with the right bytes; and again nothing does.
fn comes_whole(url: &str, tree: &Snapshot) {
    let (test, files) = (TestEnv::new(), tree.values().flatten().count());
    let first = run(&test, url);
    first.succeeded();
    assert_eq!((first.count("finished"), &snapshot(&test.work("tree"))), (files, tree), "{url}");
    let again = run(&test, url);
    again.succeeded();
    assert_eq!((again.count("finished"), again.count("up_to_date")), (0, files), "{url}");
}

#[test]
fn a_tree_of_nginx_comes_whole_by_each_of_its_indexes() {
    let test = TestEnv::new();
    let Some(nginx) = Nginx::start(&test, CONTENT) else {
        return skip("a_tree_of_nginx_comes_whole_by_each_of_its_indexes", "nginx is missing");
    };
    let tree = make_tree(&test.path("nginx/tree"));
    for path in ["/html/", "/rounded/", "/json/"] {
        comes_whole(&nginx.url(path), &tree);
    }
}

#[test]
fn a_tree_of_apache_comes_whole_by_each_of_its_indexes() {
    let (test, place) = (TestEnv::new(), "apache-tree");
    let tree = make_tree(&test.path(place));
    let Some(apache) = Apache::start(&test, &test.path(place)) else {
        return skip("a_tree_of_apache_comes_whole_by_each_of_its_indexes", "apache2 is missing");
    };
    for path in ["/plain/", "/fancy/", "/table/", "/table"] {
        comes_whole(&apache.url(path), &tree);
    }
}

#[test]
fn a_tree_of_pythons_server_comes_whole() {
    let test = TestEnv::new();
    let tree = make_tree(&test.path("tree"));
    let Some(python) = Python::of(&test.path("tree")) else {
        return skip("a_tree_of_pythons_server_comes_whole", "python3 is missing");
    };
    comes_whole(&format!("{}/", python.url), &tree);
}

/// What `-l` prints, without the space that aligns it.
fn listed(test: &TestEnv, url: &str) -> Vec<String> {
    let run = test.dfget(&["-l", url]).run();
    run.succeeded();
    run.stdout().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn nginx_tells_lengths_and_times_in_json_alone() {
    let test = TestEnv::new();
    let Some(nginx) = Nginx::start(&test, CONTENT) else {
        return skip("nginx_tells_lengths_and_times_in_json_alone", "nginx is missing");
    };
    let file = test.path("nginx/tree/f");
    fs::create_dir_all(test.path("nginx/tree/d")).unwrap();
    fs::write(&file, "12345").unwrap();
    let time = |path| humantime::format_rfc3339_seconds(fs::metadata(path).unwrap().modified().unwrap()).to_string();
    let (of_file, of_directory) = (time(&file), time(&test.path("nginx/tree/d")));
    assert_eq!(listed(&test, &nginx.url("/json/")), [format!("- {of_directory} d/"), format!("5 {of_file} f")]);
    assert_eq!(listed(&test, &nginx.url("/html/")), ["- - d/", "- - f"]);
}

/// A server whose `/` is this page, and all else a file.
fn page(kind: &'static str, text: impl Into<String>) -> Server {
    let text = text.into();
    Server::start(move |asked| match asked.target.split('?').next() {
        Some("/") => Answer::status(200).header("Content-Type", kind).body(text.as_bytes()),
        Some("/missing/") => Answer::status(404),
        _ => Answer::status(200).header("ETag", "\"1\"").body("content"),
    })
}

fn html(text: impl Into<String>) -> Server {
    page("text/html; charset=utf-8", text)
}

#[test]
fn indexes_of_other_servers_are_read_too() {
    let lighttpd = r#"<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html><head><title>Index of /</title></head><body>
        <table summary="Directory Listing"><tbody><tr class="d"><td class="n"><a href="../">..</a>/</td></tr>
        <tr class="d"><td class="n"><a href="sub/">sub</a>/</td><td class="m">2024-Jan-01 00:00:00</td></tr>
        <tr><td class="n"><a href="a%20b">a b</a></td><td class="s">1.2K</td></tr></tbody></table></body></html>"#;
    let caddy = r#"<!DOCTYPE html><html><head><script>document.write('<a href="./no">')</script></head><body>
        <a href="/">root</a> <a href="./?sort=name&order=desc">Name</a> <!-- <a href="./neither"> -->
        <tr class="file"><td><a href="./sub/"><svg><use xlink:href="x"></use></svg><span>sub</span></a></td></tr>
        <tr class="file"><td><a href="./a%20b"><span class="name">a b</span></a></td></tr></body></html>"#;
    for text in [lighttpd, caddy] {
        let server = html(text);
        assert_eq!(listed(&TestEnv::new(), &server.url("/")), ["- - sub/", "- - a b"]);
    }
}

#[test]
fn a_page_that_is_no_index_gives_what_is_beneath_it() {
    let server = html(
        "<A HREF=one>1</A> <a href='https://elsewhere/x'>2</a> <a href=\"/other/three\">3</a> <a name=x>4</a>
         <a href='one'>again</a> <a href='a/b'>5</a> <a href='mailto:me@h'>6</a> <img src=seven> <link href=eight>",
    );
    let test = TestEnv::new();
    let run = test.dfget(&["-r", &server.url("/"), "-O", "tree"]).into_directory("tree").run();
    run.succeeded();
    assert_eq!(snapshot(&test.work("tree")).into_keys().collect::<Vec<_>>(), ["one"]);
}

#[test]
fn hostile_links_are_refused_or_lead_nowhere_and_the_others_come() {
    let server = html(
        "<a href='..%2f..%2fetc%2fpasswd'>a</a><a href='%2e%2e%2f'>b</a><a href='a%00b'>c</a><a href='x%1b[2J'>d</a>
         <a href='../../etc/passwd'>e</a><a href='%2e%2e/x'>f</a><a href='good'>g</a><a href='x.part'>h</a>",
    );
    let test = TestEnv::new();
    let run = test.dfget(&["-r", &server.url("/"), "-O", "tree"]).into_directory("tree").run();
    run.failed_saying(
        50,
        &[
            "`../../etc/passwd` in http://127.0.0.1:",
            "it leads to another directory",
            r"`a\u{0}b` in ",
            r"`x\u{1b}[2J` in ",
            "`x.part` in ",
            "dfget: 5 of 7 failed",
        ],
    );
    assert_eq!(snapshot(&test.work("tree")).into_keys().collect::<Vec<_>>(), ["good", "x"]);
    assert!(server.asked().iter().all(|asked| ["/", "/good", "/x"].contains(&&*asked.target)));
}

#[test]
fn the_query_and_the_credentials_of_a_directory_are_those_of_its_entries_and_of_no_other_host() {
    let other = Server::start(|asked| match &*asked.target {
        "/mirror/" => Answer::status(200).header("Content-Type", "text/html").body("<a href=f>f</a>"),
        _ => Answer::status(200).body("content"),
    });
    let mirror = other.url("/mirror");
    let server = Server::start(move |asked| match asked.target.split('?').next().unwrap() {
        "/d" => Answer::redirect(301, "/d/"),
        "/d/" => Answer::status(200).header("Content-Type", "text/html").body("<a href=f>f</a>"),
        "/e/" => Answer::redirect(302, &format!("{mirror}/")),
        "/e/f" => Answer::redirect(302, &format!("{mirror}/f")),
        _ => Answer::status(200).body("content"),
    });
    for (directory, entry) in [("/d", "/d/f?sig=1"), ("/d/", "/d/f?sig=1"), ("/e/", "/e/f?sig=1")] {
        let (test, url) = (TestEnv::new(), server.url(directory).replace("//", "//me:s3cret@"));
        let run = test.dfget(&["-r", &format!("{url}?sig=1"), "-O", "tree", "-H", "X-Own: s3cret"]);
        run.into_directory("tree").run().succeeded();
        let asked = server.asked().pop().unwrap();
        let sent = ["authorization", "x-own"].map(|name| asked.header(name).unwrap());
        assert_eq!((&*asked.target, sent), (entry, ["Basic bWU6czNjcmV0".to_owned(), "s3cret".to_owned()]));
    }
    assert_eq!(other.asked().len(), 2);
    assert!(other.asked().iter().all(|asked| asked.header("authorization").or(asked.header("x-own")).is_none()));
}

/// Fails with 24, and says this.
fn refused(server: &Server, words: &str) {
    let run = TestEnv::new().dfget(&["-l", &server.url("/"), "--tries", "1"]).run();
    run.failed(24, &format!("dfget: {}: {words}", server.url("/")));
}

#[test]
fn what_is_no_index_is_told() {
    refused(&page("text/plain", "a"), "its index is `text/plain`: dfget reads HTML, and nginx's JSON");
    let words = "its index is none that nginx makes: ";
    refused(
        &page("application/json", "{}"),
        &format!("{words}invalid type: map, expected a list of files and directories at line 1 column 1"),
    );
    refused(&page("application/json", "[{}]"), &format!("{words}missing field `name` at line 1 column 3"));
    let server = html("");
    let file = server.url("/file");
    let run = TestEnv::new().dfget(&["-r", &file]).run();
    run.failed(24, &format!("dfget: {file}: it is no directory: the URL of one ends in `/`"));
    let run = TestEnv::new().dfget(&["-l", &server.url("/missing/")]).run();
    run.failed_saying(20, &["/missing/: the server answered 404 Not Found"]);
}

#[test]
fn an_index_of_a_hundred_thousand_entries_is_read_and_a_larger_page_refused() {
    let links = |count: usize| (0..count).map(|n| format!("<a href=\"file-{n}\">file-{n}</a> 01-Jan-2026\n"));
    let server = html(links(100_000).collect::<String>());
    let run = TestEnv::new().dfget(&["-l", &server.url("/")]).run();
    run.succeeded();
    assert_eq!(run.stdout().lines().count(), 100_000);
    let item = |n| format!("{{\"name\":\"file-{n}\",\"type\":\"file\",\"mtime\":\"x\",\"size\":1}},");
    let json: String = (0..100_000).map(item).collect();
    let server = page("application/json", format!("[{}]", json.trim_end_matches(',')));
    assert_eq!(listed(&TestEnv::new(), &server.url("/")).len(), 100_000);

    let large = links(10).collect::<String>().repeat((33 << 20) / 400);
    refused(&html(large), "its index is larger than 32 MiB");
    refused(&html("x".repeat(2 << 20)), "it is no index: nothing is in 1 MiB of it");
    refused(
        &page("application/json", format!("[{}", " ".repeat(2 << 20))),
        "it is no index: nothing is in 1 MiB of it",
    );
}

#[test]
fn an_index_that_is_cut_is_no_shorter_index() {
    let text = "<a href=a>a</a>".repeat(1000);
    let server = Server::start(move |_| {
        Answer::status(200).header("Content-Type", "text/html").body(text.as_bytes()).closed_at(5000)
    });
    let run = TestEnv::new().dfget(&["-r", &server.url("/"), "-O", "tree"]).into_directory("tree").run();
    run.failed_saying(22, &["/: the answer broke off: "]);
    // Without a length its end shows that there is more.
    let server = Server::start(|_| {
        let answer = Answer::status(200).header("Content-Type", "application/json").body("[{\"name\":\"a\",");
        answer.without("Content-Length").closed_at(100)
    });
    let run = TestEnv::new().dfget(&["-l", &server.url("/"), "--tries", "1"]).run();
    run.failed_saying(30, &["its index ends in the middle"]);
}
