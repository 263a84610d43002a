//! What a plugin tries that is none of its business, and what `--sandbox`, or the configuration, lets it do.

use std::{
    fs,
    net::TcpListener,
    os::{linux::net::SocketAddrExt, unix::net},
    path::Path,
};

use crate::harness::{Dfget, Run, TestEnv, not_allowed, program};

/// Landlock of the kernel that tests run on: 0 is none.
fn landlock() -> u32 {
    let info = TestEnv::new();
    info.install("good");
    let text = info.dfget(&["plugin", "info", "good"]).run().stdout().to_owned();
    let sandbox = text.lines().find_map(|line| line.strip_prefix("sandbox:   ")).expect("it tells");
    match sandbox {
        "default" => 6,
        "off: this kernel has no Landlock" => 0,
        text => text.split(' ').find_map(|word| word.parse().ok()).expect("it names its version"),
    }
}

/// Whether the kernel can do what `test` is about. A kernel is nothing that could be installed.
fn is_able(test: &str, version: u32) -> bool {
    let able = landlock() >= version;
    if !able {
        not_allowed(test, &format!("this kernel has no Landlock {version}"));
    }
    able
}

/// A download with a plugin that tries `attempt` before.
fn attempt<'a>(test: &'a TestEnv, attempt: &str, sandbox: &str) -> Dfget<'a> {
    test.get(&format!("good://h/file?{attempt}")).last().args(&["--sandbox", sandbox, "--overwrite"])
}

fn is_refused(run: &Run, words: &str) {
    run.failed_saying(21, &[words]);
}

/// Refused in both sandboxes, and allowed without.
fn only_without(test: &TestEnv, what: &str, words: &str) {
    for sandbox in ["default", "strict"] {
        is_refused(&attempt(test, what, sandbox).run(), words);
    }
    attempt(test, what, "off").run().succeeded();
}

/// With a configuration that has this.
fn configured<'a>(dfget: Dfget<'a>, test: &TestEnv, text: &str) -> Dfget<'a> {
    let path = test.path("dfget.toml");
    fs::write(&path, text).unwrap();
    dfget.env("DFGET_CONFIG", path)
}

#[test]
fn it_writes_nothing_of_the_users() {
    if !is_able("it_writes_nothing_of_the_users", 1) {
        return;
    }
    let test = TestEnv::new();
    let write = |name: &str| format!("write={}", test.path(name).display());
    ["home/x", "plugins/x"].iter().for_each(|name| only_without(&test, &write(name), "Permission denied"));
    for name in ["work/x", "tmp/x"] {
        is_refused(&attempt(&test, &write(name), "default").run(), "Permission denied");
    }
}

#[test]
fn it_writes_what_the_configuration_names_and_nothing_beside() {
    if !is_able("it_writes_what_the_configuration_names_and_nothing_beside", 1) {
        return;
    }
    let test = TestEnv::new();
    fs::create_dir(test.path("home/cache")).unwrap();
    let rule = "[source.GOOD]\nwritable = [\"~/cache\"]\n";
    for sandbox in ["default", "strict"] {
        let write = |name: &str| {
            let path = format!("write={}", test.path(name).display());
            configured(attempt(&test, &path, sandbox), &test, rule).run()
        };
        write("home/cache/x").succeeded();
        is_refused(&write("home/x"), "Permission denied");
    }
}

#[test]
fn its_own_directory_is_its_to_write_and_gone_afterwards() {
    let test = TestEnv::new();
    let real = test.install_into("real", &crate::harness::faultplug(), "x");
    let words = "#!/bin/sh\nset -e\ntest \"$TMPDIR\" = \"$PLUGIN_UNIX_SOCKET_DIR\"\nmkdir \"$TMPDIR/a\"\n\
                 echo b > \"$TMPDIR/a/b\"\necho > /dev/null\nexec ";
    test.write_plugin("x", format!("{words}'{}'\n", real.display()));
    for sandbox in ["off", "default"] {
        test.get("x://h/file").args(&["--sandbox", sandbox, "--overwrite"]).run().succeeded();
    }
}

#[test]
fn it_reads_everything_unless_its_sandbox_is_strict() {
    if !is_able("it_reads_everything_unless_its_sandbox_is_strict", 1) {
        return;
    }
    let test = TestEnv::new();
    fs::write(test.path("home/letter"), "dear").unwrap();
    for what in ["read=ROOT/home/letter", "list=ROOT/home", "list=/home", "read=/proc/1/cmdline"] {
        let what = what.replace("ROOT", &test.root().display().to_string());
        ["off", "default"].iter().for_each(|sandbox| _ = attempt(&test, &what, sandbox).run().succeeded());
        is_refused(&attempt(&test, &what, "strict").run(), "Permission denied");
    }
    for what in ["read=/etc/passwd", "list=/usr/lib", "read=/proc/self/status", "read=/proc/meminfo"] {
        attempt(&test, what, "strict").run().succeeded();
    }
    let rule = format!("[source.good]\nsandbox = \"strict\"\nreadable = '{}'\n", test.path("home").display());
    let read = format!("read={}", test.path("home/letter").display());
    configured(attempt(&test, &read, "off"), &test, &rule).run().succeeded();
    is_refused(&configured(attempt(&test, "list=/home", "off"), &test, &rule).run(), "Permission denied");
}

#[test]
fn it_neither_signals_its_host_nor_looks_into_it() {
    if !is_able("it_neither_signals_its_host_nor_looks_into_it", 6) {
        return;
    }
    let test = TestEnv::new();
    only_without(&test, "signal-host", "Operation not permitted");
    only_without(&test, "look", "Permission denied");
}

#[test]
fn it_connects_to_no_abstract_socket_of_others() {
    if !is_able("it_connects_to_no_abstract_socket_of_others", 6) {
        return;
    }
    let name = format!("dft-{}", std::process::id());
    let address = net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = net::UnixListener::bind_addr(&address).unwrap();
    only_without(&TestEnv::new(), &format!("abstract={name}"), "Operation not permitted");
}

#[test]
fn the_network_is_taken_by_strict_or_by_the_configuration() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let test = TestEnv::new();
    for what in [&format!("connect={}", listener.local_addr().unwrap().port()), "udp"] {
        ["off", "default"].iter().for_each(|sandbox| _ = attempt(&test, what, sandbox).run().succeeded());
        is_refused(&attempt(&test, what, "strict").run(), "Permission denied");
        for (sandbox, network, is_there) in
            [("strict", true, true), ("default", false, false), ("off", false, false), ("off", true, true)]
        {
            let rule = format!("[source.good]\nsandbox = '{sandbox}'\nnetwork = {network}\n");
            let run = configured(attempt(&test, what, "default"), &test, &rule).run();
            if is_there { _ = run.succeeded() } else { is_refused(&run, "Permission denied") }
        }
    }
}

#[test]
fn a_plugin_that_says_so_has_no_network() {
    let test = TestEnv::new();
    let get = |sandbox: &str| test.get("networkless://h/file?udp").last().args(&["--sandbox", sandbox]).run();
    is_refused(&get("default"), "Permission denied");
    get("off").succeeded();
    let run = test.dfget(&["plugin", "info", "networkless"]).run();
    assert!(run.stdout().contains("no network"), "{}", run.stdout());
}

#[test]
fn the_rules_of_a_source_are_for_its_plugin_alone_and_told_to_none() {
    let test = TestEnv::new();
    let rule = "sandbox = \"strict\"\n[source.init-tells]\nnetwork = true\nregion = \"north-1\"\n\
                [source.other]\nnetwork = false\nsandbox = \"off\"\n";
    let run = configured(test.get("init-tells://h/file").last(), &test, rule).run();
    run.failed_saying(24, &["{\"region\": \"north-1\"}"]);
    configured(attempt(&test, "udp", "default"), &test, rule).run().succeeded();
}

#[test]
fn the_example_plugins_run_in_every_sandbox() {
    let test = TestEnv::new();
    for scheme in ["share", "d7yfs"] {
        test.install_into("plugins", &program(&format!("d7y-resource-plugin-{scheme}")), scheme);
    }
    fs::create_dir(test.path("shared")).unwrap();
    fs::write(test.path("shared/a"), "hello").unwrap();
    let root = test.path("shared").display().to_string();
    let rule = format!("[source.share]\nroot = '{root}'\nreadable = '{root}'\n");
    for sandbox in ["off", "default", "strict"] {
        let share = test.dfget(&["share:///a", "-O", "-", "--sandbox", sandbox]);
        assert_eq!(configured(share, &test, &rule).run().succeeded().stdout(), "hello");
        let d7yfs = test.dfget(&["d7yfs://host:56001/path", "-O", "-", "-q", "--sandbox", sandbox]);
        assert!(!d7yfs.run().succeeded().stdout().is_empty());
    }
}

#[test]
fn a_plugin_that_is_a_link_runs_in_every_sandbox() {
    let test = TestEnv::new();
    let real = test.install_into("elsewhere", &crate::harness::faultplug(), "good");
    std::os::unix::fs::symlink(&real, test.path("plugins/d7y-resource-plugin-good")).unwrap();
    for sandbox in ["default", "strict"] {
        attempt(&test, "size=1000", sandbox).run().succeeded();
    }
}

#[test]
fn what_is_in_force_is_told() {
    let test = TestEnv::new();
    test.install("good");
    let told = |arguments: &[&str], rule: &str| {
        let info = configured(test.dfget(&["plugin", "info", "good", "--json"]).args(arguments), &test, rule).run();
        let json: serde_json::Value = serde_json::from_str(info.succeeded().stdout()).unwrap();
        (json["sandbox"].as_str().unwrap().to_owned(), json["limits"].as_str().unwrap().to_owned())
    };
    let (off, limits) = told(&["--sandbox", "off"], "");
    assert_eq!((off.as_str(), limits.as_str()), ("off", "none"));
    let rule = "[source.good]\nnetwork = false\nmemory = \"512MiB\"\nopen-files = 256\n";
    let (off, limits) = told(&["--sandbox", "off"], rule);
    assert_eq!(off, "off, no network");
    let whose = if limits.contains("in all") { "in all" } else { "in each process" };
    assert_eq!(limits, format!("512.00 MiB of memory {whose}, 256 open files in each process"));
    if is_able("what_is_in_force_is_told", 6) {
        assert_eq!(told(&[], "").0, "default");
        assert_eq!(told(&["--sandbox", "strict"], "").0, "strict, no network");
    }
}

#[test]
fn an_unknown_sandbox_is_refused_wherever_it_stands() {
    let test = TestEnv::new();
    let wrong = "it is not `off`, `default` or `strict`";
    test.dfget(&["plugin", "--sandbox", "loose"]).run().failed_saying(2, &["--sandbox", wrong]);
    test.dfget(&["plugin"]).env("DFGET_SANDBOX", "loose").run().failed_saying(2, &["DFGET_SANDBOX", wrong]);
    let refused = |text: &str, words: &[&str]| {
        configured(test.dfget(&["plugin"]), &test, text).run().failed_saying(2, words);
    };
    refused("[source.good]\nsandbox = \"loose\"\n", &["dfget.toml:2: `sandbox`", wrong]);
    refused("[source.good]\nwritable = [\"cache\"]\n", &["`writable`", "a path begins with `/` or `~/`"]);
    refused("[source.good]\nmemory = \"1K\"\n", &["`memory`", "less than 16M"]);
    refused("[source.good]\nopen_files = 64\n", &["`source.good.open_files`", "there is `open-files`"]);
    refused("[source.good]\nnetwork = \"no\"\n", &["`source.good.network`", "true or false"]);
}

#[test]
fn a_path_that_is_not_there_is_no_reason_to_fail() {
    let test = TestEnv::new();
    assert!(!Path::new("/nowhere").exists());
    let rule = "[source.good]\nwritable = [\"/nowhere\"]\nreadable = [\"/nowhere\"]\n";
    configured(attempt(&test, "size=10", "strict"), &test, rule).run().succeeded();
}
