//! `dfget plugin validate`: what it prints, and how it ends. `tests/conformance.rs` is about the rules.

use std::fs;

use plugin_sdk::conformance::RULES;

use crate::harness::{TestEnv, program, set_mode};

/// Another machine than the author's has another pace.
const PATIENCE: [&str; 2] = ["--patience", "5"];

#[test]
fn a_plugin_by_the_book_breaks_no_rule() {
    let test = TestEnv::new();
    let plugin = test.install("good");
    let (urls, plugin) =
        (["f?size=900000", "f?size=0", "t?files=2&dirs=1"].map(|rest| format!("good://h/{rest}")), plugin.display());
    let line = format!("plugin validate {plugin} {} --empty {} --directory {} --strict", urls[0], urls[1], urls[2]);
    let words: Vec<&str> = line.split(' ').chain(PATIENCE).collect();
    let run = test.dfget(&words).run();
    run.succeeded();
    assert!(
        run.stdout().ends_with("d7y-resource-plugin-good: 64 passed, 0 failed, 0 warnings, 2 skipped\n"),
        "{}",
        run.stdout()
    );
    assert!(run.stdout().contains("\npass  sandbox.default "), "{}", run.stdout());
}

#[test]
fn the_examples_break_no_rule() {
    let test = TestEnv::new();
    let d7yfs = test.install_into("plugins", &program("d7y-resource-plugin-d7yfs"), "d7yfs").display().to_string();
    let words = ["plugin", "validate", &d7yfs, "d7yfs://h/x", "--strict"];
    test.dfget(&words).args(&PATIENCE).run().succeeded();
    let root = test.path("root");
    fs::create_dir_all(root.join("tree/beneath")).unwrap();
    for (name, bytes) in [("large", 900_000), ("empty", 0), ("tree/with a % and ü", 9)] {
        fs::write(root.join(name), vec![7; bytes]).unwrap();
    }
    let share = test.install_into("plugins", &program("d7y-resource-plugin-share"), "share").display().to_string();
    let root = format!("root={}", root.display());
    let words = ["plugin", "validate", &share, "share:///large", "--missing", "share:///none", "--opt", &root];
    let run = test.dfget(&words).args(&["--empty", "share:///empty", "--directory", "share:///tree", "--strict"]);
    let run = run.args(&PATIENCE).run();
    run.succeeded();
    assert!(
        run.stdout().ends_with("d7y-resource-plugin-share: 65 passed, 0 failed, 0 warnings, 1 skipped\n"),
        "{}",
        run.stdout()
    );
}

#[test]
fn a_broken_rule_is_exit_15_in_words_in_json_and_in_xml() {
    let test = TestEnv::new();
    let plugin = test.install("good").display().to_string();
    let (broken, junit) = ("good://h/f?lie=expired", test.path("report.xml"));
    let words = ["plugin", "validate", &plugin, broken, "--junit", "../report.xml"];
    let run = test.dfget(&words).args(&PATIENCE).run();
    run.failed(
        15,
        "dfget: plugin d7y-resource-plugin-good does not keep to PROTOCOL.md: validator.expired
  hint: PROTOCOL.md has each rule beside the sentence that it is of",
    );
    let found = "
fail  validator.expired      IsExpired is false for the current validator, and true for another one and for none
      found: with another validator it is false
      to do: compare ETags byte for byte; where not both have one, the times in milliseconds; else it is expired";
    assert!(run.stdout().contains(found), "{}", run.stdout());
    let xml = fs::read_to_string(junit).unwrap();
    assert!(xml.contains("<failure message=\"with another validator it is false\">to do: compare ETags"), "{xml}");
    let run = test.dfget(&words[..4]).arg("--json").args(&PATIENCE).run();
    assert_eq!(run.code(), Some(15));
    let report: serde_json::Value = serde_json::from_str(run.stdout()).unwrap();
    assert_eq!((&report["failed"], &report["plugin"]), (&1.into(), &"d7y-resource-plugin-good".into()));
    let rules = report["rules"].as_array().unwrap();
    assert_eq!(rules.len(), RULES.len());
    let failed: Vec<_> = rules.iter().filter(|rule| rule["outcome"] == "fail").collect();
    assert_eq!((failed.len(), &failed[0]["id"]), (1, &"validator.expired".into()));
    assert_eq!(failed[0]["found"], "with another validator it is false");
}

#[test]
#[cfg(target_os = "linux")]
fn a_plugin_that_writes_elsewhere_does_not_serve_in_the_sandbox() {
    let test = TestEnv::new();
    let plugin = test.install("good").display().to_string();
    let broken = format!("good://h/f?write={}", test.path("elsewhere").display());
    let run = test.dfget(&["plugin", "validate", &plugin, &broken]).args(&PATIENCE).run();
    assert!(test.path("elsewhere").exists());
    run.failed_saying(15, &["does not keep to PROTOCOL.md: sandbox.default\n"]);
    let run = test.dfget(&["plugin", "validate", &plugin, &broken, "--sandbox", "off"]).args(&PATIENCE).run();
    run.succeeded();
}

#[test]
fn what_is_no_plugin_that_may_be_started_keeps_its_own_exit_codes() {
    let test = TestEnv::new();
    let text = test.write_plugin("text", "hello").display().to_string();
    test.dfget(&["plugin", "validate", &text]).run().failed_saying(12, &["cannot be executed"]);
    let open = test.install("open");
    set_mode(&open, 0o777);
    let open = open.display().to_string();
    test.dfget(&["plugin", "validate", &open]).run().failed_saying(11, &["is refused"]);
    let nameless = test.work("../plugins/nameless");
    fs::write(&nameless, "").unwrap();
    let nameless = nameless.display().to_string();
    test.dfget(&["plugin", "validate", &nameless]).run().failed_saying(2, &["says which scheme it serves"]);
    test.dfget(&["plugin", "validate"]).run().failed_saying(2, &["<PATH>"]);
}

#[test]
fn neither_options_nor_what_is_secret_in_a_url_is_shown() {
    let test = TestEnv::new();
    let plugin = test.install("init-tells").display().to_string();
    let words = ["plugin", "validate", &plugin, "init-tells://ada:s3cret-pw@h/f", "--opt", "key=s3cret-option", "-vv"];
    for more in [&["--json"][..], &["--junit", "../report.xml"]] {
        let run = test.dfget(&words).args(more).args(&PATIENCE).run();
        assert_eq!(run.code(), Some(15));
        let xml = fs::read_to_string(test.path("report.xml")).unwrap_or_default();
        let shown = [run.stdout(), &run.stderr, &xml].concat();
        assert!(shown.contains("these options make no sense") && !shown.contains("s3cret"), "{shown}");
    }
}
