//! Every gRPC status, before and after data: the table of PROTOCOL.md, "Errors", as long as nothing is retried.

use std::time::Duration;

use crate::harness::TestEnv;

/// Code, exit code.
const TABLE: [(u32, i32); 19] = [
    // OK, and no End.
    (0, 15),
    (1, 22),
    (2, 24),
    (3, 24),
    (4, 22),
    (5, 20),
    (6, 24),
    (7, 21),
    (8, 22),
    (9, 23),
    (10, 22),
    (11, 24),
    (12, 15),
    (13, 24),
    (14, 22),
    (15, 30),
    (16, 21),
    (17, 24),
    (99, 24),
];

fn check(query: &str) {
    let test = TestEnv::new();
    for (code, exit) in TABLE {
        let run = test.get(&format!("raw://h/file?fault=status&code={code}{query}")).run();
        let said = format!("the storage said {code}");
        let words = if exit == 15 { "" } else { said.as_str() };
        run.failed_saying(exit, &["raw", words]).within(Duration::from_secs(2));
    }
}

#[test]
fn a_status_instead_of_an_answer_has_its_exit_code() {
    check("");
}

#[test]
fn a_status_after_data_has_its_exit_code() {
    check("&at=70000");
}

#[test]
fn a_status_is_said_with_its_url_and_the_next_step() {
    let run = TestEnv::new().get("raw://h/file?fault=status&code=16").run();
    let words = "dfget: raw://h/file?fault=***&code=***: the storage said 16
  hint: credentials go by --opt key=value or -H 'Name: value', as the source has it";
    run.failed(21, words);
}

#[test]
fn a_text_for_a_terminal_to_trip_over_is_shown_escaped() {
    let run = TestEnv::new().get("good://h/file?fail-at=50000").run();
    let words = r"dfget: good://h/file?fail-at=***: gone \u{1b}[2J\u{1b}]0;owned\u{7} \u{202e}away";
    run.failed(20, &format!("{words}\n  hint: check the URL"));
}

#[test]
fn a_long_text_is_cut() {
    let run = TestEnv::new().get("raw://h/file?fault=status&code=5&text-bytes=5000").run();
    let words = format!("{}…\n  hint: check the URL", "x".repeat(512));
    run.failed(20, &format!("dfget: raw://h/file?fault=***&code=***&text-bytes=***: {words}"));
}

#[test]
fn a_text_of_1_mib_broke_the_protocol() {
    for at in ["", "&at=70000"] {
        let run = TestEnv::new().get(&format!("raw://h/file?fault=status&code=5&text-bytes=1048576{at}")).run();
        run.failed_saying(15, &["plugin d7y-resource-plugin-raw broke the protocol"]);
    }
}
