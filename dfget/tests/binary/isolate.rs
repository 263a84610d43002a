//! In-tree sources as plugins: `dfget plugin serve`, and dfget that uses its own so. With http and its servers:
//! `http::isolated`.

use std::{
    fs,
    process::{Command, Output},
};

use rustix::process::Signal;

use crate::harness::{ByHand, Digest, TestEnv};

fn hello() -> Digest {
    Digest::of_bytes(b"hello world")
}

/// Started by a person, with settings around it that make no sense.
fn by_hand(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dfget"));
    let command = command.args(["plugin", "serve"]).args(words).env_clear();
    command.env("DFGET_CONFIG", "/nowhere/dfget.toml").env("DFGET_LIMIT_RATE", "fast").output().unwrap()
}

fn told(output: &Output) -> (Option<i32>, &str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn by_hand_it_says_what_every_plugin_says() {
    let words = "\
This binary is a plugin. These are not meant to be executed directly.
Please execute the program that consumes these plugins, which will
load any plugins automatically

With --debug it serves all the same, and says how dfget connects to it.
";
    for scheme in ["dfs", "http", "https"] {
        assert_eq!(told(&by_hand(&[scheme])), (Some(1), "", words));
    }
}

#[test]
fn a_scheme_that_is_not_in_tree_is_told_with_those_that_are() {
    let mut schemes: Vec<&str> = dfget::source::IN_TREE.iter().map(|source| source.scheme).collect();
    schemes.sort_unstable();
    let words = format!("dfget: there is no in-tree source `d7yfs`\n  hint: there are {}\n", schemes.join(", "));
    assert_eq!(told(&by_hand(&["d7yfs"])), (Some(2), "", &*words));
    let none = by_hand(&[]);
    assert_eq!(none.status.code(), Some(2));
    assert!(told(&none).2.contains("<SCHEME>"), "{none:?}");
}

#[test]
fn it_serves_in_a_debugger() {
    let (test, mut dfs) = (TestEnv::new(), ByHand::start_in_tree("dfs"));
    let run = test.get("dfs://h/file").env("DFGET_REATTACH_PLUGINS", &dfs.variable).expect(hello()).run();
    run.succeeded_saying(&dfs.words("dfs"));
    dfs.signal(Signal::INT);
    assert!(dfs.ends());
}

#[test]
fn what_it_is_it_says_as_any_plugin() {
    let test = TestEnv::new();
    let program = env!("CARGO_BIN_EXE_dfget");
    test.write_plugin("dfs", format!("#!/bin/sh\nexec '{program}' plugin serve dfs\n"));
    let path = test.path("plugins/d7y-resource-plugin-dfs");
    let pinned = format!("dfs={}", path.display());
    let run = test.dfget(&["plugin", "info", "dfs", "--json", "--plugin", &pinned]).run();
    run.succeeded();
    let info: serde_json::Value = serde_json::from_str(run.stdout()).unwrap();
    let expected = serde_json::json!({
        "type": "resource", "name": "dfs", "scheme": "dfs", "vendor": "d7y", "version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(info["attributes"], expected);
}

#[test]
fn each_way_of_saying_so_isolates() {
    let test = TestEnv::new();
    let file = |text: &str| {
        let path = test.path("dfget.toml");
        fs::write(&path, text).unwrap();
        path
    };
    let isolated = |told: &[&str], variable: &str, text: &str| {
        let run = test.get("dfs://h/file").args(told).args(&["-vv", "--overwrite"]).expect(hello());
        let run = run.env("DFGET_ISOLATE", variable).env("DFGET_CONFIG", file(text)).run();
        assert!(run.is_success(), "{}", run.stderr);
        run.stderr.contains("DEBUG plugin dfs is ready after ")
    };
    assert!(isolated(&["--isolate"], "", ""));
    assert!(isolated(&[], "true", "") && isolated(&[], "", "isolate = true"));
    assert!(isolated(&[], "", "[source.dfs]\nisolate = true") && !isolated(&[], "", "[source.http]\nisolate = true"));
    assert!(!isolated(&[], "", "isolate = true\n[source.dfs]\nisolate = false"));
    assert!(!isolated(&[], "", "") && !isolated(&["--isolate=false"], "true", ""));
}

#[test]
fn the_level_of_an_isolated_source_can_be_said_as_of_any_plugin() {
    let test = TestEnv::new();
    let get = |words: &[&str]| test.get("dfs://h/file").args(words).expect(hello()).arg("--overwrite").run();
    get(&["--isolate", "--log-level=dfs=debug"]).succeeded();
    get(&["--log-level=dfs=debug"]).failed_saying(2, &["--log-level: there is no plugin `dfs`"]);
}

#[test]
fn the_list_is_the_same() {
    let test = TestEnv::new();
    let print = |words: &[&str]| test.dfget(words).run().succeeded().stdout().to_owned();
    assert_eq!(print(&["plugin", "--isolate"]), print(&["plugin"]));
    let info = ["plugin", "info", "https"];
    assert_eq!(print(&[&info[..], &["--isolate"]].concat()), print(&info));
}

#[test]
fn a_plugin_that_the_user_names_is_used_all_the_same() {
    let test = TestEnv::new();
    let path = test.install("dfs");
    let pinned = format!("dfs={}", path.display());
    let run = test.get_as_is("dfs://h/file").args(&["--isolate", "--plugin", &pinned]).run();
    run.succeeded_saying(
        " WARN dfs: development plugin ROOT/plugins/d7y-resource-plugin-dfs is used, as --plugin says",
    );
    let run = test.get_as_is("dfs://h/file").args(&["--isolate", "--overwrite"]).expect(hello()).run();
    let plugin = "ROOT/plugins/d7y-resource-plugin-dfs";
    run.succeeded_saying(&format!(
        " WARN dfs: the in-tree source is used, not plugin {plugin}; --plugin dfs={plugin} uses that"
    ));
}

/// Neither is there a file of its own that could have been written by others, nor one that could be locked.
#[test]
fn neither_who_could_have_written_it_nor_the_lock_file_matters() {
    let test = TestEnv::new();
    test.dfget(&["plugin", "lock"]).run().succeeded();
    test.get("dfs://h/file").args(&["--isolate", "--locked"]).expect(hello()).last().run().succeeded();
}

#[test]
fn it_speaks_tls_if_that_is_asked_for() {
    let test = TestEnv::new();
    test.get("dfs://h/file").args(&["--isolate", "--plugin-mtls"]).expect(hello()).run().succeeded();
}
