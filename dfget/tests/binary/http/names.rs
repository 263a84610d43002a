//! `-J`: the name that a server has for a file.

use super::{
    answer::{Answer, Resource},
    server::Server,
};
use crate::harness::{Digest, Run, TestEnv};

fn named(disposition: &'static str) -> Server {
    Server::of(Resource::default(), move |_, answer| answer.header("Content-Disposition", disposition))
}

fn get(test: &TestEnv, server: &Server, output: &str) -> Run {
    test.get(&server.url("/of-the-url?x=1")).arg("-J").output_expected(output).run()
}

#[test]
fn the_output_has_the_name_that_the_server_says() {
    for (disposition, output) in [
        ("attachment; filename=\"a b.txt\"", "a b.txt"),
        ("inline; filename=x; filename*=UTF-8''%C3%BC%20%E2%82%AC", "ü €"),
        ("attachment; filename=\"C:\\\\dir\\\\file\"", "C:\\dir\\file"),
        // Without one, as ever.
        ("attachment", "of-the-url"),
        ("attachment; filename=\"\"", "of-the-url"),
    ] {
        get(&TestEnv::new(), &named(disposition), output).succeeded();
    }
}

#[test]
fn without_the_option_and_with_a_name_of_the_users_nobody_asks_for_it() {
    let server = named("attachment; filename=other");
    TestEnv::new().get(&server.url("/of-the-url")).output_expected("of-the-url").run().succeeded();
    TestEnv::new().get(&server.url("/of-the-url")).arg("-J").output("mine").run().succeeded();
    let methods: Vec<_> = server.asked().into_iter().map(|asked| asked.method).collect();
    assert_eq!(methods, ["GET", "GET"]);
}

#[test]
fn a_name_that_is_unsafe_is_refused_and_nothing_written() {
    for (disposition, shown, fact) in [
        ("attachment; filename=\"../../etc/passwd\"", "../../etc/passwd", "it leads to another directory"),
        ("attachment; filename=/etc/passwd", "/etc/passwd", "it leads to another directory"),
        ("attachment; filename=..", "..", "it leads to another directory"),
        ("attachment; filename=\"%2e%2e%2fx\"", "%2e%2e%2fx", "it leads to another directory"),
        ("attachment; filename*=UTF-8''a%00b", r"a\u{0}b", "there are control characters in it"),
        ("attachment; filename*=UTF-8''%1b[2J", r"\u{1b}[2J", "there are control characters in it"),
        ("attachment; filename=.bashrc", ".bashrc", "it would be hidden"),
        ("attachment; filename=x.part", "x.part", "dfget's own files are named so while they are incomplete"),
    ] {
        let (test, server) = (TestEnv::new(), named(disposition));
        let url = server.url("/of-the-url?x=***");
        get(&test, &server, "none").failed(44, &format!("dfget: `{shown}` of {url} is refused: {fact}"));
        assert!(server.asked().iter().all(|asked| asked.method == "HEAD"));
    }
}

#[test]
fn a_file_of_that_name_is_never_replaced() {
    let (test, server) = (TestEnv::new(), named("attachment; filename=mine"));
    std::fs::write(test.work("mine"), "mine").unwrap();
    get(&test, &server, "mine").failed_saying(42, &["mine"]);
    for option in ["--overwrite", "-N"] {
        let run = test.get(&server.url("/x")).args(&["-J", option]).output_expected("mine").run();
        let words = "with -J the storage chooses the name, and --overwrite and -N replace what has it already";
        run.failed_saying(2, &[words]);
    }
}

#[test]
fn a_url_that_is_signed_for_get_alone_has_a_name_too() {
    let server = Server::of(Resource::default(), |asked, answer| match &*asked.method {
        "HEAD" => Answer::status(403),
        _ => answer.header("Content-Disposition", "attachment; filename=signed"),
    });
    get(&TestEnv::new(), &server, "signed").succeeded();
    let server = Server::of(Resource::default(), |asked, answer| match asked.number {
        0 => Answer::status(503),
        _ => answer.header("Content-Disposition", "attachment; filename=late"),
    });
    let run = TestEnv::new();
    let run = run.get(&server.url("/x")).arg("-J").tries(2).output_expected("late").run();
    assert!(run.is_success() && run.stderr.contains("503 Service Unavailable; asking again in 0."), "{}", run.stderr);
}

#[test]
fn each_of_many_has_its_name_and_a_tree_none() {
    let server = Server::start(|asked| {
        let name = format!("attachment; filename=\"{}.txt\"", asked.target.trim_start_matches('/'));
        match &*asked.target {
            "/" => Answer::status(200).header("Content-Type", "text/html").body("<a href=a>a</a>"),
            _ => Answer::status(200).header("Content-Disposition", name).body("content"),
        }
    });
    let test = TestEnv::new();
    let run = test.dfget(&["-J", &server.url("/a"), &server.url("/b"), "-O", "out"]).into_directory("out").run();
    run.succeeded();
    for name in ["out/a.txt", "out/b.txt"] {
        assert_eq!(Digest::of_file(&test.work(name)), Some(Digest::of_bytes(b"content")), "{name}");
    }
    test.dfget(&["-J", "-r", &server.url("/"), "-O", "tree"]).into_directory("tree").run().succeeded();
    assert!(test.work("tree/a").exists());
}

#[test]
fn a_plugin_can_name_a_file_too() {
    let test = TestEnv::new();
    test.get("good://h/file?name=of-the-plugin").arg("-J").output_expected("of-the-plugin").run().succeeded();
    let run = test.get("good://h/file?name=../x").arg("-J").output_expected("none").run();
    run.failed(44, "dfget: `../x` of good://h/file?name=*** is refused: it leads to another directory");
}
