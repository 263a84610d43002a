//! `-v` and `--log-level`: whose messages are shown, and which.

use std::fs;

use crate::harness::{Run, TestEnv};

/// With two plugins, each of which says how much it serves.
fn two_plugins() -> TestEnv {
    let test = TestEnv::new();
    ["good", "other"].iter().for_each(|scheme| _ = test.install(scheme));
    test
}

/// Downloads by both. Who was heard, a line each.
fn heard(test: &TestEnv, arguments: &[&str], variable: &str) -> (Run, Vec<String>) {
    let urls = ["good://h/a?size=10", "other://h/b?size=20&print-lines=1", "-O", "out", "--overwrite", "--sandbox=off"];
    let run = test.dfget(&urls).args(arguments).env("DFGET_LOG_LEVEL", variable).into_directory("out").run();
    assert!(run.is_success(), "{}", run.stderr);
    let lines = run.stderr.lines().filter(|line| line.contains("good: ") || line.contains("other: "));
    let mut lines: Vec<String> = lines.map(|line| line.trim_start().to_owned()).collect();
    lines.sort();
    (run, lines)
}

const GOOD: &str = "INFO good: serving 10 bytes from 0";
const OTHER: &str = "INFO other: serving 20 bytes from 0";
const PRINTED: &str = "DEBUG other: stdout: 0: the quick brown fox jumps over the lazy dog, again and again";

#[test]
fn a_plugins_lines_are_shown_with_its_name() {
    let test = two_plugins();
    assert_eq!(heard(&test, &[], "").1, [""; 0]);
    assert_eq!(heard(&test, &["-v"], "").1, [GOOD, OTHER]);
    assert_eq!(heard(&test, &["-vv"], "").1, [PRINTED, GOOD, OTHER]);
    assert_eq!(heard(&test, &["-q", "-v"], "").1, [""; 0]);
}

#[test]
fn a_level_is_for_one_plugin_or_for_all() {
    let test = two_plugins();
    for (levels, expected) in [
        (&["good=info"][..], &[GOOD][..]),
        (&["OTHER=debug"], &[PRINTED, OTHER]),
        (&["good=warn"], &[]),
        (&["info,good=off"], &[OTHER]),
        (&["info", "good=off"], &[OTHER]),
        (&["info", "good=off", "good=info"], &[GOOD, OTHER]),
        (&["info,other=debug"], &[PRINTED, GOOD, OTHER]),
        (&["debug,other=error"], &[GOOD]),
    ] {
        let arguments: Vec<&str> = levels.iter().flat_map(|level| ["--log-level", level]).collect();
        assert_eq!(heard(&test, &arguments, "").1, expected, "{levels:?}");
        if let [level] = levels {
            assert_eq!(heard(&test, &[], level).1, expected, "as a variable: {level}");
            let config = test.path("levels.toml");
            fs::write(&config, format!("log-level = \"{level}\"\n")).unwrap();
            let config = config.display().to_string();
            assert_eq!(heard(&test, &["--config", &config], "").1, expected, "in a file: {level}");
        }
    }
}

#[test]
fn a_level_for_a_plugin_says_nothing_of_dfget_itself() {
    let test = two_plugins();
    let tells = |arguments: &[&str]| heard(&test, arguments, "").0.stderr.contains("is ready after");
    assert!(tells(&["--log-level", "debug"]) && tells(&["--log-level", "debug,good=off"]));
    assert!(!tells(&["--log-level", "good=debug"]));
}

#[test]
fn verbosity_that_is_nearer_leaves_the_levels_of_single_plugins() {
    let test = two_plugins();
    assert_eq!(heard(&test, &["-v"], "error,good=off").1, [OTHER]);
    assert_eq!(heard(&test, &["-q"], "info,good=info").1, [GOOD]);
}

#[test]
fn a_level_that_makes_no_sense_is_told() {
    let test = TestEnv::new();
    test.install("good");
    let run = |level: &str| test.dfget(&["good://h/a", "--log-level", level]).run();
    let words = "invalid value 'verbose' for '--log-level <[NAME=]LEVEL>': `verbose` is none of off, error, warn, info, debug and trace";
    run("verbose").failed_saying(2, &[words]);
    run("a_b=info").failed_saying(2, &["`a_b` is no name of a plugin, as in NAME=LEVEL"]);
    let words = "\
dfget: --log-level: there is no plugin `goood`
  hint: `dfget plugin` lists what is installed";
    run("goood=info").failed(2, words);
    let variable = test.dfget(&["plugin", "info", "good"]).env("DFGET_LOG_LEVEL", "loud").run();
    let words = "\
dfget: DFGET_LOG_LEVEL: `loud` is none of off, error, warn, info, debug and trace
  hint: `dfget --help` shows the form of --log-level";
    variable.failed(2, words);
}

#[test]
fn a_plugin_that_only_another_machine_has_is_no_reason_to_fail() {
    let test = TestEnv::new();
    let run = test.get("good://h/file?size=5").env("DFGET_LOG_LEVEL", "elsewhere=debug").run();
    run.succeeded_saying(" WARN DFGET_LOG_LEVEL: there is no plugin `elsewhere`");
}
