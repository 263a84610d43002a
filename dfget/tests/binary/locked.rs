//! The lock file: which sha256 each plugin is to have.

use std::fs;

use crate::harness::{Dfget, TestEnv, faultplug, set_mode};

const URL: &str = "x://h/file?size=2000";

const LOCK: &str = "home/.config/dragonfly/plugins.lock";

const NO_ONE: &str = "there is no lock file at ROOT/home/.config/dragonfly/plugins.lock or \
                      /etc/dragonfly/plugins.lock";

const NEXT: &str = "`dfget plugin lock` takes down what is installed";

/// A place with a plugin for `x` in it.
fn place() -> TestEnv {
    let test = TestEnv::new();
    test.install("x");
    test
}

/// A place in which the plugins that are installed are locked.
fn locked() -> TestEnv {
    let test = place();
    test.dfget(&["plugin", "lock"]).run().succeeded();
    test
}

/// Another file takes the place of the plugin; it works as well.
fn replace(test: &TestEnv) {
    let path = test.path("plugins/d7y-resource-plugin-x");
    let mut program = fs::read(&path).unwrap();
    program.push(0);
    fs::remove_file(&path).unwrap();
    test.write_plugin("x", program);
}

/// The sha256 that `dfget plugin info` shows, and what it says of the lock.
fn info(test: &TestEnv) -> (String, String) {
    let run = test.dfget(&["plugin", "info", "x", "--json"]).run();
    let document: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let text = |key: &str| document[key].as_str().unwrap().to_owned();
    (text("sha256"), text("locked"))
}

/// A download that no later one is to be well after: the plugin stays refused.
fn get<'a>(test: &'a TestEnv, output: &str, arguments: &[&str]) -> Dfget<'a> {
    test.get_as_is(URL).output(test.work(output)).args(arguments).last()
}

/// What `--locked` says of the plugin.
fn refused(test: &TestEnv, fact: &str, hint: &str) {
    let words = format!("dfget: plugin ROOT/plugins/d7y-resource-plugin-x is refused: {fact}\n  hint: {hint}");
    get(test, "refused", &["--locked"]).run().failed(11, &words);
}

#[test]
fn what_is_installed_is_locked_and_what_changed_is_told() {
    let test = place();
    let lock = || {
        let run = test.dfget(&["plugin", "lock"]).run();
        run.succeeded().stdout().replace(&test.root().display().to_string(), "ROOT")
    };
    let (first, unlocked) = info(&test);
    let written = format!("written to ROOT/{LOCK}\n");
    assert_eq!(unlocked, "no");
    assert_eq!(lock(), format!("x: {first} (new)\n{written}"));
    assert_eq!(lock(), format!("x: {first}\n{written}"));
    assert_eq!(info(&test), (first.clone(), "yes".into()));
    replace(&test);
    let (second, state) = info(&test);
    assert_eq!(state, "differs");
    assert_eq!(lock(), format!("x: {second} (it was {first})\n{written}"));
    fs::remove_file(test.path("plugins/d7y-resource-plugin-x")).unwrap();
    assert_eq!(lock(), format!("x: removed\n{written}"));
}

#[test]
fn a_plugin_as_it_was_locked_is_started() {
    let test = locked();
    get(&test, "a", &["--locked"]).run().succeeded();
    get(&test, "b", &["--plugin-lock", "enforce"]).run().succeeded();
    get(&test, "c", &[]).run().succeeded();
    get(&test, "d", &["--locked"]).env("DFGET_PLUGIN_LOCK", "off").run().succeeded();
}

#[test]
fn a_plugin_that_was_replaced_is_refused_or_told_or_started() {
    let test = locked();
    let (expected, _) = info(&test);
    replace(&test);
    let (actual, _) = info(&test);
    let fact = format!("its sha256 is {actual}, and the lock file ROOT/{LOCK} has {expected}");
    let hint = "if you have updated it, `dfget plugin lock` takes that down; else install it again";
    refused(&test, &fact, hint);
    let warning = format!(" WARN plugin ROOT/plugins/d7y-resource-plugin-x: {fact}; {hint}");
    get(&test, "a", &[]).run().succeeded_saying(&warning);
    get(&test, "b", &["--plugin-lock", "off"]).run().succeeded();
    let run = get(&test, "c", &["--plugin-lock", "off"]).env("DFGET_LOCKED", "1").run();
    run.succeeded();
    get(&test, "d", &["--plugin-lock", "enforce"]).run().failed_saying(11, &[&fact]);
}

#[test]
fn a_plugin_that_is_not_in_the_lock_file_is_refused_or_told() {
    let test = place();
    fs::create_dir_all(test.path(LOCK).parent().unwrap()).unwrap();
    fs::write(test.path(LOCK), "[sha256]\n").unwrap();
    let fact = format!("it is not in the lock file ROOT/{LOCK}");
    refused(&test, &fact, NEXT);
    let warning = format!(" WARN plugin ROOT/plugins/d7y-resource-plugin-x: {fact}; {NEXT}");
    get(&test, "a", &[]).run().succeeded_saying(&warning);
}

#[test]
fn without_a_lock_file_locked_refuses_and_others_say_nothing() {
    let test = place();
    refused(&test, NO_ONE, NEXT);
    get(&test, "a", &[]).run().succeeded();
    let named = test.path("other.lock").display().to_string();
    let run = get(&test, "b", &["--plugin-lock-file", &named]).run();
    run.failed_saying(0, &["WARN plugin", "there is no lock file at ROOT/other.lock"]);
}

#[test]
fn a_damaged_lock_file_is_refused_or_told() {
    for (text, fact) in [
        ("[sha256]\nx = 'no digest'\n", "line 2: what `x` has is no sha256"),
        ("[sha256]\nx = '", "line 2: it is no TOML: "),
        ("", "there is no [sha256]"),
    ] {
        let test = locked();
        fs::write(test.path(LOCK), text).unwrap();
        let fact = format!("the lock file ROOT/{LOCK} is damaged: {fact}");
        let hint = "mend it, or `dfget plugin lock` writes it anew";
        get(&test, "a", &["--locked"]).run().failed_saying(11, &[&fact, hint]);
        get(&test, "b", &[]).run().failed_saying(0, &["WARN plugin", &fact, hint]);
        test.dfget(&["plugin", "lock"]).run().succeeded();
        get(&test, "c", &["--locked"]).run().succeeded();
    }
}

#[test]
fn another_lock_file_is_used_where_one_is_named() {
    let test = place();
    let named = test.path("some/where/else.lock").display().to_string();
    test.dfget(&["plugin", "lock", "--plugin-lock-file", &named]).run().succeeded();
    assert!(!test.path(LOCK).exists());
    get(&test, "a", &["--locked", "--plugin-lock-file", &named]).run().succeeded();
    refused(&test, NO_ONE, NEXT);
}

#[test]
fn what_others_could_have_written_is_not_locked() {
    let test = place();
    set_mode(&test.write_plugin("y", "#!/bin/sh\n"), 0o757);
    let run = test.dfget(&["plugin", "lock"]).run();
    run.failed_saying(0, &["plugin ROOT/plugins/d7y-resource-plugin-y is refused", "it is not locked"]);
    let text = fs::read_to_string(test.path(LOCK)).unwrap();
    assert!(text.contains("\"x\" = ") && !text.contains("\"y\""), "{text}");
}

#[test]
fn the_listing_has_what_is_refused_as_broken() {
    let test = locked();
    replace(&test);
    let run = test.dfget(&["plugin", "--locked"]).run();
    run.failed_saying(0, &["plugin ROOT/plugins/d7y-resource-plugin-x is refused: its sha256 is "]);
    test.dfget(&["plugin", "info", "x", "--locked"]).run().failed_saying(11, &["its sha256 is "]);
}

#[test]
fn a_development_plugin_is_held_to_the_lock_too() {
    let test = locked();
    test.install_into("elsewhere", &faultplug(), "x");
    let mut program = fs::read(faultplug()).unwrap();
    program.push(0);
    fs::write(test.path("elsewhere/other"), program).unwrap();
    set_mode(&test.path("elsewhere/other"), 0o755);
    let pinned = |name: &str| format!("x={}", test.path("elsewhere").join(name).display());
    get(&test, "a", &["--locked", "-q", "--plugin", &pinned("d7y-resource-plugin-x")]).run().succeeded();
    get(&test, "b", &["--locked", "--plugin", &pinned("other")]).run().failed_saying(11, &["its sha256 is "]);
}
