//! What nobody may read on the terminal or in a log.

use crate::harness::TestEnv;

const SECRETS: [&str; 5] = ["s3cret-option", "s3cret-header", "s3cret-password", "s3cret-query", "s3cret-bare"];

fn check(scheme: &str, query: &str) {
    let url = format!("{scheme}://me:s3cret-password@h/file?{query}&sig=s3cret-query&s3cret-bare");
    let secrets = ["--opt", "key=s3cret-option", "--json", "-H", "Authorization: Bearer s3cret-header", "-vv"];
    let run = TestEnv::new().get(&url).args(&secrets).args(&["--stall-timeout", "300ms"]).run();
    for secret in SECRETS {
        let told = run.stderr.contains(secret) || run.stdout().contains(secret);
        assert!(!told, "{scheme} with {query} tells {secret}: {}", run.stderr);
    }
}

#[test]
fn no_secret_is_told_by_a_download_that_is_well() {
    check("good", "size=1000");
}

#[test]
fn no_secret_is_told_by_a_download_that_fails() {
    for query in ["die-at=500", "fail-at=500", "panic-at=500", "panic-handler", "hold-at=500"] {
        check("good", query);
    }
    for query in ["no-end", "short&at=5", "long", "offset&by=1", "status&code=16", "status&code=14", "disconnect"] {
        check("raw", &format!("fault={query}"));
    }
}

#[test]
fn no_secret_is_told_by_a_plugin_that_tells_all() {
    check("good", "tell-all");
    check("init-tells", "size=1000");
    let test = TestEnv::new();
    let run = test.get("good://h/file?tell-all&sig=s3cret-query").args(&["-H", "X-Token: s3cret-header"]).run();
    let words = r#"good://h/file?***&sig=***: not for [("X-Token", "***")]: good://h/file?tell-all&sig=***"#;
    run.failed_saying(21, &[words]);
}

#[test]
fn no_secret_is_told_by_a_plugin_that_does_not_start() {
    for scheme in ["exit3", "version2", "tcp", "closes", "init-refuses", "wrong-name"] {
        check(scheme, "size=1000");
    }
}

#[test]
fn no_secret_is_told_where_the_command_line_makes_no_sense() {
    let test = TestEnv::new();
    for arguments in [
        &["good://me:s3cret-password@h/?s3cret-bare"][..],
        &["good://me:s3cret-password@h:x/file?sig=s3cret-query"],
        &["good://h/file", "--opt", "s3cret-option"],
        &["good://h/file", "-H", "s3cret-header"],
        &["nosuch://me:s3cret-password@h/file?s3cret-bare"],
        &["http://me:s3cret-password@127.0.0.1:1/file?s3cret-bare", "-H", "X: s3cret-header"],
    ] {
        let run = test.dfget(arguments).args(&["-vv", "--timeout", "1s"]).run();
        assert!(!run.is_success(), "{arguments:?}");
        assert!(!run.stderr.contains("s3cret") && !run.stdout().contains("s3cret"), "{}", run.stderr);
    }
}
