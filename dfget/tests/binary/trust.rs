//! Who else could have written a plugin, and whether it is the one that was locked.

use std::{
    fs,
    os::unix::fs::{chown, symlink},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use crate::harness::{TestEnv, faultplug, not_allowed, set_mode};

const URL: &str = "x://h/file?size=2000";

/// Some user who is neither root nor the one of the tests.
const SOMEBODY: u32 = 12_345;

/// A place with a plugin for `x` that leaves a trace as soon as it is started.
fn traced() -> (TestEnv, PathBuf) {
    let test = TestEnv::new();
    let path = test.write_plugin("x", format!("#!/bin/sh\necho > {}\n", test.path("trace").display()));
    (test, path)
}

fn id() -> u32 {
    geteuid().as_raw()
}

/// The plugin is refused without being started: `fact`, with `ID` for the user of the tests, and `hint` are said.
fn refused(test: &TestEnv, fact: &str, hint: &str) {
    let run = test.get_as_is(URL).run();
    let words = format!("dfget: plugin ROOT/plugins/d7y-resource-plugin-x is refused: {fact}\n  hint: {hint}");
    run.failed(11, &words.replace("ID", &id().to_string()));
    assert!(!test.path("trace").exists(), "the plugin was started");
}

#[test]
fn a_plugin_that_its_group_may_write_is_refused() {
    let (test, path) = traced();
    set_mode(&path, 0o775);
    refused(
        &test,
        "ROOT/plugins/d7y-resource-plugin-x can be written by its group (owner ID, mode 0775)",
        "chmod go-w ROOT/plugins/d7y-resource-plugin-x; if that is meant to be, --trust-plugin-dir ROOT/plugins",
    );
}

#[test]
fn a_plugin_in_a_directory_that_others_may_write_is_refused() {
    for mode in [0o757, 0o1757] {
        let (test, _) = traced();
        set_mode(&test.path("plugins"), mode);
        refused(
            &test,
            &format!("ROOT/plugins can be written by others (owner ID, mode {mode:04o})"),
            "chmod go-w ROOT/plugins; if that is meant to be, --trust-plugin-dir ROOT/plugins",
        );
    }
}

#[test]
fn a_plugin_beneath_a_directory_that_its_group_may_write_is_refused() {
    let test = TestEnv::new();
    fs::create_dir(test.path("above")).unwrap();
    let path = test.install_into("above/plugins", &faultplug(), "x");
    set_mode(&test.path("above"), 0o775);
    let run = test.get_as_is(URL).env("DFGET_PLUGIN_DIR", path.parent().unwrap()).run();
    run.failed_saying(11, &["ROOT/above can be written by its group", "hint: chmod go-w ROOT/above; "]);
}

#[test]
fn a_plugin_behind_a_link_into_a_directory_that_others_may_write_is_refused() {
    let (test, path) = traced();
    fs::create_dir(test.path("open")).unwrap();
    set_mode(&test.path("open"), 0o777);
    fs::rename(&path, test.path("open/plugin")).unwrap();
    symlink("../open/plugin", &path).unwrap();
    refused(
        &test,
        "ROOT/open can be written by its group and by others (owner ID, mode 0777)",
        "chmod go-w ROOT/open; if that is meant to be, --trust-plugin-dir ROOT/open",
    );
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    if !geteuid().is_root() {
        return not_allowed("what_belongs_to_another_user_is_refused", "only root gives files away");
    }
    let hint = "install it as root or as yourself; if that is meant to be, --trust-plugin-dir ROOT/plugins";
    for name in ["plugins/d7y-resource-plugin-x", "plugins"] {
        let (test, _) = traced();
        chown(test.path(name), Some(SOMEBODY), None).unwrap();
        let fact = "belongs to another user, and root runs only what is root's";
        refused(&test, &format!("ROOT/{name} {fact} (owner {SOMEBODY}, mode 0755)"), hint);
    }
}

#[test]
fn a_user_may_run_what_is_roots_and_nobody_runs_what_is_nobodys() {
    if !geteuid().is_root() {
        return not_allowed("a_user_may_run_what_is_roots", "only root gives files away");
    }
    let test = TestEnv::new();
    let path = test.write_plugin("nobodys", "#!/bin/sh\nexit 3\n");
    chown(&path, Some(65_534), None).unwrap();
    test.get("good://h/file?size=2000").unprivileged().run().succeeded();
    let run = test.get_as_is("nobodys://h/file").output("other").unprivileged().last().run();
    run.failed_saying(11, &["belongs to another user, who is not root (owner 65534, mode 0755)"]);
}

#[test]
fn a_plugin_named_on_the_command_line_is_checked_too() {
    let (test, path) = traced();
    set_mode(&path, 0o757);
    fs::rename(&path, test.work("mine")).unwrap();
    let run = test.get_as_is(URL).args(&["--plugin", "x=./mine"]).run();
    run.failed_saying(11, &["plugin ROOT/work/mine is refused: ROOT/work/mine can be written by others"]);
    assert!(!test.path("trace").exists(), "the plugin was started");
}

#[test]
fn a_directory_that_the_user_trusts_is_not_checked_and_what_it_is_in_is() {
    let test = TestEnv::new();
    set_mode(&test.install("x"), 0o755);
    set_mode(&test.path("plugins"), 0o777);
    let trusted = test.path("plugins").display().to_string();
    let get = |output: &str| test.get(URL).output(test.work(output)).args(&["--trust-plugin-dir", &trusted]);
    get("a").run().succeeded();
    let accepted = "ROOT/plugins can be written by its group and by others";
    get("b").arg("-v").run().failed_saying(0, &[accepted, "accepted, as --trust-plugin-dir says"]);
    test.get(URL).output(test.work("c")).env("DFGET_TRUST_PLUGIN_DIR", &trusted).run().succeeded();
    set_mode(test.root(), 0o777);
    get("d").last().run().failed_saying(11, &["ROOT can be written by its group and by others"]);
}

#[test]
fn a_refused_plugin_is_listed_as_broken() {
    let (test, path) = traced();
    set_mode(&path, 0o775);
    let run = test.dfget(&["plugin"]).run();
    let fact = "plugin ROOT/plugins/d7y-resource-plugin-x is refused: ROOT/plugins/d7y-resource-plugin-x can be \
                written by its group";
    run.failed_saying(0, &[fact]);
    let run = test.dfget(&["plugin", "--json"]).run();
    let document: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(document["plugins"][0]["error"]["exitCode"], 11);
    assert!(!test.path("trace").exists(), "the plugin was started");
}

#[test]
fn nothing_is_looked_for_in_the_current_directory() {
    let (test, path) = traced();
    fs::rename(&path, test.work("d7y-resource-plugin-x")).unwrap();
    for listed in [":/nonexistent", "/nonexistent:", ".", "../work:."] {
        let run = test.get_as_is(URL).env("DFGET_PLUGIN_DIR", listed).last().run();
        run.failed_saying(10, &["in DFGET_PLUGIN_DIR is ignored: it does not begin with `/`"]);
    }
    assert!(!test.path("trace").exists(), "the plugin was started");
    test.install_into("work", &faultplug(), "good");
    let run = test.dfget(&["--plugin-dir", ".", "good://h/file?size=9", "-O", "-"]).env("DFGET_PLUGIN_DIR", "").run();
    assert_eq!(run.succeeded().stdout.len(), 9);
}

#[test]
fn a_file_of_settings_names_no_path_of_the_current_directory() {
    let (test, _) = traced();
    let settings = [("plugin-dir", "plugins"), ("trust-plugin-dir", "."), ("plugin-lock-file", "a.lock")];
    for (key, value) in settings.into_iter().chain([("plugin", "x=../plugins/d7y-resource-plugin-x")]) {
        fs::write(test.path("settings"), format!("{key} = \"{value}\"\n")).unwrap();
        let run = test.get_as_is(URL).env("DFGET_CONFIG", test.path("settings")).last().run();
        run.failed_saying(2, &[&format!("ROOT/settings:1: `{key}`: it does not begin with `/`")]);
    }
    let run = test.get_as_is(URL).env("DFGET_TRUST_PLUGIN_DIR", ".").last().run();
    run.failed_saying(2, &["DFGET_TRUST_PLUGIN_DIR: it does not begin with `/`"]);
    assert!(!test.path("trace").exists(), "the plugin was started");
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_may_be_executed_and_not_read_works_but_cannot_be_locked() {
    let test = TestEnv::new();
    let path = test.path("plugins/d7y-resource-plugin-good");
    fs::copy(faultplug(), &path).unwrap();
    set_mode(&path, 0o711);
    if !geteuid().is_root() {
        return not_allowed(
            "a_program_that_may_be_executed_and_not_read",
            "only root has a file that others do not read",
        );
    }
    test.get_as_is("good://h/file?size=2000").unprivileged().run().succeeded();
    let lock = test.path("plugins.lock");
    fs::write(&lock, format!("[sha256]\ngood = \"{}\"\n", "0f".repeat(32))).unwrap();
    set_mode(&lock, 0o644);
    let run = test.get_as_is("good://h/file?size=2000").output("other").arg("--locked").unprivileged().last();
    let run = run.arg("--plugin-lock-file").arg(&lock).run();
    run.failed_saying(11, &["its sha256 cannot be told: permission denied"]);
}

#[test]
fn a_script_finds_what_lies_beside_it() {
    let test = TestEnv::new();
    test.install_into("real", &faultplug(), "x");
    test.write_plugin("x", "#!/bin/sh\n. \"$(dirname \"$0\")/settings\"\nexec \"$(dirname \"$0\")/$PROGRAM\"\n");
    fs::write(test.path("plugins/settings"), "PROGRAM=../real/d7y-resource-plugin-x\n").unwrap();
    test.get(URL).run().succeeded();
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_has_its_own_name_and_inherits_nothing() {
    let test = TestEnv::new();
    let mut started = test.get("x://h/file?size=100000&stop-at=0").start();
    let plugin = started.plugin();
    let of_proc = |name: &str| fs::read_link(format!("/proc/{}/{name}", plugin.pid)).unwrap();
    assert_eq!(plugin.arg0, test.path("plugins/d7y-resource-plugin-x"));
    assert_eq!(of_proc("exe"), test.path("plugins/d7y-resource-plugin-x"));
    let open = fs::read_dir(format!("/proc/{}/fd", plugin.pid)).unwrap().flatten();
    let paths = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    let inherited: Vec<PathBuf> = paths.filter(|path| path.starts_with(test.root())).collect();
    assert_eq!(inherited, [] as [&Path; 0]);
    started.signal(rustix::process::Signal::KILL);
    started.finish();
}

#[test]
fn a_download_plants_no_plugin() {
    let (test, _) = traced();
    let closed = "plugins are looked for there, and a download must not plant one";
    for output in ["../plugins/d7y-resource-plugin-y", "../plugins/new", "link/y", "../home/.dragonfly/plugins/y"] {
        let _ = symlink("../plugins", test.work("link"));
        let run = test.get_as_is(URL).output(output).last().run();
        run.failed(44, &format!("dfget: {output} is refused: {closed}"));
    }
    let run = test.dfget(&["-r", URL, "-O", "../home/.dragonfly/plugins"]).run();
    run.failed(44, &format!("dfget: ../home/.dragonfly/plugins is refused: {closed}"));
    let run = test.dfget(&[URL, "dfs://h/y", "-O", "../plugins"]).run();
    run.failed(44, &format!("dfget: ../plugins is refused: {closed}"));
    assert!(!test.path("trace").exists() && !test.path("home/.dragonfly").exists(), "something was done");
}

#[test]
fn of_a_tree_with_plugins_in_it_nothing_goes_where_those_are() {
    let test = TestEnv::new();
    test.install_into("work/tree", &faultplug(), "y");
    let plugins = test.install_into("work/tree/d0", &faultplug(), "x").parent().unwrap().to_owned();
    let run = test.dfget(&["-r", "x://h/tree?files=8&size=9&dirs=2", "-O", "tree"]).env("DFGET_PLUGIN_DIR", &plugins);
    let run = run.into_directory("tree").last().run();
    run.failed_saying(50, &["tree/d0 is refused: plugins are looked for there, and a download must not plant one"]);
    let names: Vec<_> = fs::read_dir(plugins).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["d7y-resource-plugin-x"]);
    assert!(test.work("tree/f0").exists(), "nothing else was downloaded");
}
