//! What is set by variables and in a file, and `dfget config`.

use std::{fs, path::PathBuf, time::Duration};

use crate::harness::{Run, TestEnv, program};

/// What `docs/CONFIG.md` shows as an example.
const EXAMPLE: &str = include_str!("../../../docs/CONFIG.md");

/// Writes the file that is read unless another is named.
fn configure(test: &TestEnv, text: &str) -> PathBuf {
    let directory = test.path("home/.config/dragonfly");
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("dfget.toml");
    fs::write(&path, text).unwrap();
    path
}

/// stdout, with `ROOT` for the test's directory.
fn shown(test: &TestEnv, run: &Run) -> String {
    run.succeeded().stdout().replace(&test.root().display().to_string(), "ROOT")
}

#[test]
fn the_file_at_home_takes_effect() {
    let test = TestEnv::new();
    configure(&test, "overwrite = true\nlimit-rate = \"100K\"\n");
    fs::write(test.work("file"), "old").unwrap();
    let run = test.get("good://h/file?size=250000").output_expected("file").without_env("DFGET_CONFIG").run();
    run.succeeded().no_sooner_than(Duration::from_secs(1));
}

#[test]
fn a_section_is_for_its_source_alone() {
    let test = TestEnv::new();
    test.install_into("plugins", &program("d7y-resource-plugin-share"), "share");
    fs::write(test.path("tmp/a"), "hello").unwrap();
    let root = test.path("tmp").display().to_string();
    configure(&test, &format!("[source.SHARE]\nroot = '{root}'\n[source.dfs]\nregion = 1\n"));
    let get = |url: &str| test.dfget(&[url, "-O", "-"]).without_env("DFGET_CONFIG").run();
    assert_eq!(get("share:///a").succeeded().stdout(), "hello");
    get("dfs:///a").failed_saying(24, &["region"]);
    let opt = test.dfget(&["share:///a", "-O", "-", "--opt", "root=/nowhere"]).without_env("DFGET_CONFIG").run();
    assert!(!opt.is_success());
}

#[test]
fn the_command_line_wins_over_variables_and_they_over_the_file() {
    let test = TestEnv::new();
    configure(&test, "tries = 2\njobs = 2\nlevel = 2\n");
    let run = test.dfget(&["--tries", "4", "config"]).without_env("DFGET_CONFIG");
    let text = shown(&test, &run.env("DFGET_TRIES", "3").env("DFGET_JOBS", "3").run());
    let from = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    assert_eq!(from("tries"), "tries = 4                         # command line");
    assert_eq!(from("jobs"), "jobs = 3                          # DFGET_JOBS");
    assert_eq!(from("level"), "level = 2                         # ROOT/home/.config/dragonfly/dfget.toml");
    assert_eq!(from("speed-time"), "speed-time = \"30s\"                # default");
}

#[test]
fn the_first_file_counts_and_no_other() {
    let test = TestEnv::new();
    configure(&test, "tries = 2\n");
    for (name, tries) in [("xdg/dragonfly/dfget.toml", 3), ("variable.toml", 4), ("named.toml", 5)] {
        fs::create_dir_all(test.path(name).parent().unwrap()).unwrap();
        fs::write(test.path(name), format!("tries = {tries}\n")).unwrap();
    }
    let path = |name: &str| test.path(name).display().to_string();
    let file = |arguments: &[&str], variables: &[(&str, String)]| {
        let run = test.dfget(arguments).arg("config").without_env("DFGET_CONFIG");
        let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        shown(&test, &run.run()).lines().next().unwrap().trim_start_matches("# the configuration file: ").to_owned()
    };
    let xdg = ("XDG_CONFIG_HOME", path("xdg"));
    let variable = ("DFGET_CONFIG", path("variable.toml"));
    assert_eq!(file(&[], &[]), "ROOT/home/.config/dragonfly/dfget.toml");
    assert_eq!(file(&[], std::slice::from_ref(&xdg)), "ROOT/xdg/dragonfly/dfget.toml");
    assert_eq!(file(&[], &[xdg, variable.clone()]), "ROOT/variable.toml");
    assert_eq!(file(&["--config", &path("named.toml")], std::slice::from_ref(&variable)), "ROOT/named.toml");
    assert_eq!(file(&[&format!("--config={}", path("named.toml"))], &[]), "ROOT/named.toml");
    assert_eq!(file(&["--config", ""], &[variable]), "none");
}

#[test]
fn a_named_file_must_be_there() {
    let test = TestEnv::new();
    let words = "\
dfget: cannot read the configuration ROOT/absent.toml: No such file or directory (os error 2)
  hint: name another one with --config FILE, or none with --config ''";
    test.dfget(&["config"]).env("DFGET_CONFIG", test.path("absent.toml")).run().failed(2, words);
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    let test = TestEnv::new();
    configure(&test, "# mine\nlimit_rate = \"10M\"\n");
    let words = "\
dfget: ROOT/home/.config/dragonfly/dfget.toml:2: `limit_rate`: there is no such setting
  hint: there is `limit-rate`";
    test.dfget(&["plugin"]).without_env("DFGET_CONFIG").run().failed(2, words);
}

const SHOWN: &str = r#"# the configuration file: ROOT/home/.config/dragonfly/dfget.toml
url = ["x://***@h/a?sig=***"]     # command line
# input-file =
header = ["Authorization: ***"]   # DFGET_HEADER
opt = ["token=***", "b=c"]        # command line
# range =
# digest =
# timeout =
speed-time = "30s"                # default
speed-limit = "1K"                # default
limit-rate = "10M"                # ROOT/home/.config/dragonfly/dfget.toml
# connections =
# piece-length =
tries = 5                         # default
plugin-restarts = 3               # default
no-resume = false                 # default
# proxy =
# noproxy =
# cacert =
# cert =
# key =
insecure = false                  # default
# user =
# oauth2-bearer =
# netrc-file =
no-netrc = false                  # default
# max-redirs =
# connect-timeout =
http1 = false                     # default
# output =
remote-header-name = false        # default
overwrite = true                  # ROOT/home/.config/dragonfly/dfget.toml
if-modified = false               # default
remote-time = false               # default
original-offset = false           # default
no-preallocate = false            # default
no-fsync = true                   # DFGET_NO_FSYNC
recursive = false                 # default
list = false                      # default
# level =
# include =
# exclude =
# accept-regex =
# reject-regex =
# max-files =
jobs = 16                         # default
dry-run = false                   # default
# storage-endpoint =
# storage-region =
# storage-access-key-id =
# storage-access-key-secret =
# storage-session-token =
# storage-security-token =
# storage-credential-path =
storage-insecure-skip-verify = false  # default
# storage-predefined-acl =
# hdfs-delegation-token =
# plugin =
# plugin-dir =
# plugin-env =
sandbox = "default"               # default
isolate = false                   # default
plugin-mtls = false               # default
plugin-start-timeout = "10s"      # default
plugin-hang-timeout = "1m"        # default
# trust-plugin-dir =
plugin-lock = "warn"              # default
locked = false                    # default
# plugin-lock-file =
quiet = false                     # default
verbose = 0                       # default
# log-level =
json = false                      # default
no-progress = false               # default
show-progress = false             # default

[source.oss]
access-key = "***"                # ROOT/home/.config/dragonfly/dfget.toml
b = "c"                           # command line
endpoint = "https://***@h/"       # ROOT/home/.config/dragonfly/dfget.toml
token = "***"                     # command line
"#;

const WITH_SECRETS: &str = "\
overwrite = true
limit-rate = \"10M\"
[source.oss]
access-key = \"s3cret\"
endpoint = \"https://me:s3cret@h/\"
b = 1
";

#[test]
fn all_settings_are_shown_without_secrets() {
    let test = TestEnv::new();
    configure(&test, WITH_SECRETS);
    let arguments = ["-u", "x://me:s3cret@h/a?sig=s3cret", "--opt", "token=s3cret", "--opt", "b=c"];
    let run = |arguments: &[&str]| {
        let run = test.dfget(arguments).without_env("DFGET_CONFIG").env("DFGET_NO_FSYNC", "1");
        shown(&test, &run.env("DFGET_HEADER", "Authorization: s3cret").run())
    };
    assert_eq!(run(&[&arguments[..], &["config", "show"]].concat()), SHOWN);
    let text = run(&[&arguments[..], &["config", "--json"]].concat());
    assert!(!text.contains("s3cret"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let setting = |value: serde_json::Value, from: &str| serde_json::json!({ "value": value, "from": from });
    assert_eq!(json["settings"]["no-fsync"], setting(true.into(), "DFGET_NO_FSYNC"));
    assert_eq!(json["settings"]["tries"], setting(5.into(), "default"));
    assert_eq!(json["settings"]["output"], setting(().into(), "default"));
    assert_eq!(json["source"]["oss"]["token"], setting("***".into(), "command line"));
    assert_eq!(json["file"], "ROOT/home/.config/dragonfly/dfget.toml");
}

#[test]
fn what_is_shown_can_be_the_configuration() {
    let test = TestEnv::new();
    configure(&test, "include = [\"a\\\"\\u001b\"]\nconnections = \"8\"\n[source.\"a+b\"]\n\"c d\" = true\n");
    let show = || shown(&test, &test.dfget(&["config"]).without_env("DFGET_CONFIG").run());
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.rsplit_once("  # ").map_or(line, |(value, _)| value).trim_end().to_owned())
            .collect()
    };
    let first = show();
    configure(&test, &first);
    assert_eq!(values(&show()), values(&first));
    assert!(first.contains("[source.\"a+b\"]\n\"c d\" = \"true\" "), "{first}");
}

/// What is shown of the example with this number, from 1.
fn shown_of_example(number: usize) -> String {
    let example = EXAMPLE.split("```toml\n").nth(number).unwrap().split("```").next().unwrap();
    let test = TestEnv::new();
    configure(&test, example);
    shown(&test, &test.dfget(&["config"]).without_env("DFGET_CONFIG").run())
}

#[test]
fn the_example_of_what_a_plugin_may_do_is_a_configuration() {
    let text = shown_of_example(2);
    for line in ["readable = [\"/srv/tape\"] ", "network = true ", "memory = \"512MiB\" ", "open-files = 256 "] {
        assert!(text.lines().any(|shown| shown.starts_with(line)), "{line}: {text}");
    }
}

#[test]
fn the_example_of_the_documentation_is_a_configuration() {
    let text = shown_of_example(1);
    for line in
        ["limit-rate = \"10M\" ", "connections = 8 ", "overwrite = true ", "verbose = 1 ", "root = \"/mnt/data\" "]
    {
        assert!(text.lines().any(|shown| shown.starts_with(line)), "{line}: {text}");
    }
}

#[test]
fn a_secret_of_a_section_or_a_variable_is_told_nowhere() {
    let test = TestEnv::new();
    configure(&test, "[source.init-tells]\nkey = \"s3cret-option\"\nregion = \"north-1\"\n");
    let run = test.get("init-tells://h/file").without_env("DFGET_CONFIG").arg("-vv").run();
    run.failed_saying(24, &["north-1", "***"]);
    assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);
    let run = test.get("good://h/file?tell-all").env("DFGET_HEADER", "X-Token: s3cret-header").run();
    run.failed_saying(21, &["(\"X-Token\", \"***\")"]);
}
