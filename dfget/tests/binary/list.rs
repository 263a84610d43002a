//! `dfget plugin`.

use std::{fs, path::Path, time::Duration};

use crate::harness::{TestEnv, faultplug, program, skip};

const SECOND: Duration = Duration::from_secs(1);

/// What is searched last, if this machine has it: what it holds is none of a test's business.
const SYSTEM: &str = "search plugin in /usr/local/dragonfly/plugins\n";

const IN_TREE: &str = "\
source plugin: abs, location: in-tree
source plugin: azblob, location: in-tree
source plugin: cos, location: in-tree
source plugin: dfs, location: in-tree
source plugin: file, location: in-tree
source plugin: gs, location: in-tree
source plugin: hdfs, location: in-tree
source plugin: http, location: in-tree
source plugin: https, location: in-tree
source plugin: obs, location: in-tree
source plugin: oss, location: in-tree
source plugin: s3, location: in-tree
";

const D7YFS: &str = r#"resource plugin d7yfs, location: d7y-resource-plugin-d7yfs, attribute: {"buildCommit":"bb65f13","buildTime":"2021-12-13T08:53:04Z","name":"d7yfs","scheme":"d7yfs","type":"resource","vendor":"d7y"}
"#;

/// What is listed, with `ROOT` for the test's directory.
fn list(test: &TestEnv, arguments: &[&str], stderr: &str) -> String {
    let run = test.dfget(arguments).arg("plugin").run();
    run.succeeded_saying(stderr);
    let listed = run.stdout().split(SYSTEM).next().unwrap_or_default();
    listed.replace(&test.root().display().to_string(), "ROOT")
}

#[test]
fn all_sources_are_listed_byte_for_byte() {
    let test = TestEnv::new();
    test.install("d7yfs");
    assert_eq!(list(&test, &[], ""), format!("{IN_TREE}search plugin in ROOT/plugins\n{D7YFS}"));
}

#[test]
fn the_first_plugin_is_listed_with_its_own_build() {
    let test = TestEnv::new();
    test.install_into("plugins", &program("d7y-resource-plugin-d7yfs"), "d7yfs");
    let info = test.dfget(&["plugin", "info", "d7yfs", "--json"]).run();
    let info: serde_json::Value = serde_json::from_slice(&info.succeeded().stdout).unwrap();
    let attribute = |key: &str| info["attributes"][key].as_str().unwrap().to_owned();
    let line = D7YFS.replace("bb65f13", &attribute("buildCommit"));
    let line = line.replace("2021-12-13T08:53:04Z", &attribute("buildTime"));
    assert_eq!(list(&test, &[], ""), format!("{IN_TREE}search plugin in ROOT/plugins\n{line}"));
}

#[test]
fn without_any_plugin_the_list_says_so() {
    if Path::new("/usr/local/dragonfly/plugins").exists() {
        return skip("without_any_plugin_the_list_says_so", "plugins are installed on this machine");
    }
    let run = TestEnv::new().dfget(&["plugin"]).run();
    let listed = run.succeeded().stdout().lines().skip(IN_TREE.lines().count() + 1).collect::<Vec<_>>();
    assert_eq!(listed, ["no out of tree plugin found"]);
}

/// A script that leaves a trace when it is run.
fn tracing_plugin(test: &TestEnv, scheme: &str) {
    test.write_plugin(scheme, format!("#!/bin/sh\necho > {}\n", test.path("trace").display()));
}

#[test]
fn a_plugin_that_an_in_tree_source_shadows_is_listed_and_not_run() {
    let test = TestEnv::new();
    tracing_plugin(&test, "http");
    let line = "resource plugin http, location: d7y-resource-plugin-http, shadowed by the in-tree source\n";
    assert_eq!(list(&test, &[], ""), format!("{IN_TREE}search plugin in ROOT/plugins\n{line}"));
    assert!(!test.path("trace").exists());
}

#[test]
fn a_plugin_that_an_earlier_one_shadows_is_listed_and_not_run() {
    let test = TestEnv::new();
    test.install_into("first", &faultplug(), "d7yfs");
    tracing_plugin(&test, "d7yfs");
    let first = test.path("first").display().to_string();
    let shadowed = "resource plugin d7yfs, location: d7y-resource-plugin-d7yfs, \
                    shadowed by a plugin of the same name in an earlier directory\n";
    let expected = format!("{IN_TREE}search plugin in ROOT/first\n{D7YFS}search plugin in ROOT/plugins\n{shadowed}");
    assert_eq!(list(&test, &["--plugin-dir", &first], ""), expected);
    assert!(!test.path("trace").exists());
}

#[test]
fn a_pinned_plugin_is_listed_first() {
    let test = TestEnv::new();
    let path = test.install_into("elsewhere", &faultplug(), "d7yfs");
    let pinned = format!("d7yfs={}", path.display());
    let expected = format!("{IN_TREE}{D7YFS}search plugin in ROOT/plugins\n");
    assert_eq!(list(&test, &["--plugin", &pinned], ""), expected);
}

#[test]
fn of_ten_plugins_a_broken_and_a_hanging_one_delay_and_hide_no_other() {
    let test = TestEnv::new();
    let good = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for scheme in good.into_iter().chain(["exit3", "hang"]) {
        test.install(scheme);
    }
    let run = test.dfget(&["plugin", "--plugin-start-timeout", "1s"]).run();
    let words = "dfget: ROOT/plugins/d7y-resource-plugin-exit3: plugin d7y-resource-plugin-exit3 exited with status 3 \
                 before its handshake; its last words: no credentials
dfget: ROOT/plugins/d7y-resource-plugin-hang: plugin d7y-resource-plugin-hang wrote no handshake in 1s";
    run.succeeded_saying(words).within(2 * SECOND);
    let listed = run.stdout().split(SYSTEM).next().unwrap_or_default();
    let names = listed.lines().filter_map(|line| line.strip_prefix("resource plugin ")?.split(',').next());
    assert_eq!(names.collect::<Vec<_>>(), good);
}

#[test]
fn of_100_plugins_90_broken_ones_hide_none_and_a_download_starts_its_own_alone() {
    let test = TestEnv::new();
    let starts = test.path("starts");
    for number in 0..90 {
        let script = format!("#!/bin/sh\necho start >>'{}'\nexit 3\n", starts.display());
        test.write_plugin(&format!("broken{number}"), script);
    }
    (0..10).for_each(|number| _ = test.install(&format!("whole{number}")));
    test.get("whole0://h/file").arg("--sandbox=off").run().succeeded();
    assert!(!starts.exists(), "another plugin was started");
    let run = test.dfget(&["plugin", "--sandbox=off"]).run();
    assert_eq!(fs::read_to_string(starts).unwrap().lines().count(), 90);
    assert_eq!(run.stderr.matches("exited with status 3 before its handshake").count(), 90, "{}", run.stderr);
    assert_eq!(run.stdout().matches("resource plugin whole").count(), 10, "{}", run.stdout());
    run.within(4 * SECOND);
}

#[test]
fn hanging_plugins_are_waited_for_at_the_same_time() {
    let test = TestEnv::new();
    for scheme in ["a", "b", "c", "d", "e"] {
        test.write_plugin(scheme, "#!/bin/sh\nexec sleep 60\n");
    }
    let run = test.dfget(&["plugin", "--plugin-start-timeout", "1s"]).run();
    assert_eq!(run.stderr.matches("wrote no handshake in 1s").count(), 5, "{}", run.stderr);
    run.within(3 * SECOND);
}

#[test]
fn a_list_as_json_has_the_broken_ones_too() {
    let test = TestEnv::new();
    for scheme in ["d7yfs", "exit3", "http"] {
        test.install(scheme);
    }
    let run = test.dfget(&["plugin", "--json"]).run();
    let document: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let plugin =
        |name: &str| document["plugins"].as_array().unwrap().iter().find(|plugin| plugin["name"] == name).unwrap();
    let in_tree: Vec<&str> = IN_TREE.lines().filter_map(|line| line.split([' ', ',']).nth(2)).collect();
    assert_eq!(document["inTree"], serde_json::json!(in_tree));
    assert_eq!(plugin("d7yfs")["attributes"]["buildCommit"], "bb65f13");
    assert_eq!(plugin("exit3")["error"]["exitCode"], 13);
    assert_eq!(plugin("http")["shadowedBy"], "the in-tree source");
}

#[test]
fn attributes_for_a_terminal_to_trip_over_are_shown_escaped() {
    let test = TestEnv::new();
    test.install("escaped-attributes");
    for arguments in [&["plugin"][..], &["plugin", "--json"], &["plugin", "info", "escaped-attributes"]] {
        let run = test.dfget(arguments).run();
        let text = run.succeeded().stdout();
        assert!(text.contains("[2Jevil"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
}

#[test]
fn one_plugin_is_shown_in_full() {
    let test = TestEnv::new();
    test.install("d7yfs");
    let run = test.dfget(&["plugin", "info", "d7yfs"]).run();
    let keys: Vec<_> = run.succeeded().stdout().lines().filter_map(|line| line.split(':').next()).collect();
    let attributes = ["  buildCommit", "  buildTime", "  name", "  scheme", "  type", "  vendor"];
    let own = ["name", "path", "sha256", "locked", "protocol", "features", "sandbox", "limits", "started", "attribute"];
    assert_eq!(keys[..own.len()], own);
    assert_eq!(keys[own.len()..], attributes);
}

#[test]
fn a_broken_plugin_shown_in_full_fails_as_its_download_would() {
    let test = TestEnv::new();
    test.install("exit3");
    test.dfget(&["plugin", "info", "exit3"]).run().failed_saying(13, &["exited with status 3", "no credentials"]);
    test.dfget(&["plugin", "info", "nosuch"]).run().failed_saying(10, &["no source serves `nosuch`"]);
}

#[test]
fn a_closed_stdout_is_no_panic() {
    let test = TestEnv::new();
    let run = test.dfget(&["plugin"]).stdout("/dev/full").run();
    run.failed_saying(41, &["cannot write stdout"]);
}

#[test]
fn an_in_tree_source_has_its_options_with_what_they_are_for() {
    let test = TestEnv::new();
    let run = test.dfget(&["plugin", "info", "dfs"]).run();
    assert_eq!(run.succeeded().stdout(), "name:      dfs\nlocation:  in-tree\noptions:   none\n");
    let run = test.dfget(&["plugin", "info", "https"]).run();
    let lines: Vec<_> = run.succeeded().stdout().lines().collect();
    assert_eq!(lines[..3], ["name:      https", "location:  in-tree", "options:"]);
    assert!(lines.contains(&"  insecure         true: believe every certificate"), "{lines:?}");
    let run = test.dfget(&["plugin", "info", "https", "--json"]).run();
    let document: serde_json::Value = serde_json::from_str(run.succeeded().stdout()).unwrap();
    let option = document["options"].as_array().unwrap().iter().find(|option| option["name"] == "insecure").unwrap();
    assert_eq!(option["summary"], "true: believe every certificate");
}
