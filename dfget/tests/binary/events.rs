//! `--json`: what programs are told.

use std::collections::{HashMap, HashSet};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Run, TestEnv};

const SECRETS: [&str; 5] = ["s3cret-option", "s3cret-header", "s3cret-password", "s3cret-query", "s3cret-bare"];

fn names(run: &Run) -> Vec<String> {
    run.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

/// The last event is the summary and the only one; what is finished was started once, and nothing follows its end.
fn check_order(run: &Run) {
    let names = names(run);
    assert_eq!(names.iter().filter(|name| *name == "summary").count(), 1, "{names:?}");
    assert_eq!(names.last().map(String::as_str), Some("summary"));
    let (mut started, mut ended) = (HashMap::new(), HashSet::new());
    for event in run.events() {
        assert!(event["time"].is_string());
        let output = (event["output"].clone().to_string(), event["url"].clone().to_string());
        match event["event"].as_str().unwrap() {
            "started" => *started.entry(output).or_insert(0) += 1,
            "finished" => {
                assert_eq!(started.get(&output), Some(&1), "{output:?}");
                assert!(ended.insert(output));
            }
            "up_to_date" => assert!(!started.contains_key(&output) && ended.insert(output)),
            // A directory, or a name that is refused, has no output and is told by the directory that it is in.
            "failed" => assert!(event["output"].is_null() || ended.insert(output)),
            "retried" | "progress" | "waiting" | "restarted" | "entry" | "planned" | "summary" => {}
            other => panic!("an event of that name is unknown: {other}"),
        }
    }
}

fn summary(run: &Run) -> Value {
    run.events().pop().unwrap()
}

#[test]
fn a_download_is_started_and_finished_and_summed_up() {
    let run = TestEnv::new().get("good://h/file?size=1000").arg("--json").run();
    assert_eq!(names(&run), ["started", "finished", "summary"]);
    check_order(&run);
    let events = run.events();
    assert_eq!((&events[0]["length"], &events[0]["resumed"]), (&1000.into(), &0.into()));
    assert_eq!((&events[1]["bytes"], &events[1]["output"]), (&1000.into(), &"file".into()));
    let summary = summary(&run);
    assert_eq!((&summary["downloaded"], &summary["failed"], &summary["exit_code"]), (&1.into(), &0.into(), &0.into()));
}

#[test]
fn a_failure_is_told_once_and_with_its_cause() {
    let test = TestEnv::new();
    let run = test.get("good://h/file?fail-at=5").arg("--json").run();
    assert_eq!(names(&run), ["started", "failed", "summary"]);
    assert_eq!((&summary(&run)["failed"], &summary(&run)["exit_code"]), (&1.into(), &20.into()));
    let run = test.get("good://h/file").output("missing/file").arg("--json").last().run();
    assert_eq!(names(&run), ["failed", "summary"]);
    let error = "cannot create missing/file: No such file or directory (os error 2)";
    assert_eq!((&run.events()[0]["error"], &summary(&run)["error"]), (&error.into(), &error.into()));
}

#[test]
fn a_tree_is_told_file_by_file() {
    let test = TestEnv::new();
    let run = test.tree("good://h/tree?files=30&dirs=1&modified=1000&fail-every=10").arg("--json").run();
    check_order(&run);
    assert_eq!((run.count("finished"), run.count("failed")), (54, 6));
    let (told, words) = (summary(&run), "6 of 60 failed");
    assert_eq!((&told["downloaded"], &told["failed"], &told["error"]), (&54.into(), &6.into(), &words.into()));
    let again = test.tree("good://h/tree?files=30&dirs=1&modified=1000").arg("--json").run();
    check_order(&again);
    assert_eq!(summary(&again)["up_to_date"], 54);
}

#[test]
fn a_failure_that_ends_the_run_is_counted() {
    let run = TestEnv::new().tree("good://h/tree?files=3&size=17592186044416").args(&["--json", "-j", "1"]).run();
    check_order(&run);
    assert_eq!((&summary(&run)["failed"], &summary(&run)["exit_code"]), (&1.into(), &41.into()));
}

#[test]
fn an_interruption_is_told() {
    let test = TestEnv::new();
    let mut run = test.get("good://h/file?hold-at=50000").arg("--json").start();
    run.wait_for_bytes(50_000);
    run.signal(Signal::INT);
    let run = run.finish();
    run.ended_by(Signal::INT);
    check_order(&run);
    assert_eq!((&summary(&run)["exit_code"], &summary(&run)["error"]), (&130.into(), &"interrupted by SIGINT".into()));
}

#[test]
fn a_retry_and_a_waiting_source_are_told() {
    let run = TestEnv::new().get("good://h/file?wait-at=50000&millis=100").arg("--json").run();
    check_order(&run);
    assert!(run.count("waiting") > 0);
    assert!(!run.stdout().contains('\u{1b}'));
}

#[test]
fn no_secret_is_among_the_events_nor_in_any_text() {
    let secrets = ["--opt", "key=s3cret-option", "-H", "Authorization: Bearer s3cret-header", "-vv"];
    let query = "sig=s3cret-query&s3cret-bare";
    for (mode, rest) in [
        (&["-r"][..], "files=4&dirs=1&fail-every=2&missing=d0&names=hostile"),
        (&["-r"], "files=4&list-fails-at=2"),
        (&["-r"], "size=5"),
        (&["-r", "--max-files", "2"], "files=4"),
        (&["-r", "--timeout", "300ms"], "files=4&hold-at=5"),
        (&["-r", "--dry-run"], "files=4"),
        (&["-l", "-r"], "files=4&dirs=1&names=twice"),
        (&["good://me:s3cret-password@h/file?s3cret-bare"], "size=5"),
        (&["-N"], "size=5"),
    ] {
        for json in [&[][..], &["--json"]] {
            let test = TestEnv::new();
            test.install("good");
            let url = format!("good://me:s3cret-password@h/tree?{query}&{rest}");
            let run = test.dfget(&[&url]).args(mode).args(json).args(&secrets).into_directory("tree");
            let run = run.args(&["-O", "tree"]).run();
            if !json.is_empty() {
                check_order(&run);
            }
            for secret in SECRETS {
                let told = run.stderr.contains(secret) || run.stdout().contains(secret);
                assert!(!told, "{mode:?} {rest} tells {secret}: {}{}", run.stderr, run.stdout());
            }
        }
    }
}

#[test]
fn a_closed_stdout_ends_it_quietly() {
    let test = TestEnv::new();
    test.install("good");
    for arguments in [
        &["-l", "good://h/tree?files=9000"][..],
        &["-l", "--json", "good://h/tree?files=9000"],
        &["-r", "--dry-run", "good://h/tree?files=9000"],
        &["-r", "--json", "--no-fsync", "-O", "tree", "good://h/tree?files=9&size=9"],
    ] {
        let run = test.dfget(arguments).into_directory("tree").closed_stdout().run();
        run.ended_by(Signal::PIPE);
        assert_eq!(run.stderr, "", "{arguments:?}");
    }
}
