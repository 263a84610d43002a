//! Before the handshake: no plugin, no program, no word, or too many.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use crate::harness::{Run, TestEnv, faultplug, make_fifo, set_mode};

const SECOND: Duration = Duration::from_secs(1);

/// What is searched after the directories of a test, if this machine has it.
const SYSTEM: &str = "/usr/local/dragonfly/plugins";

#[test]
fn an_unknown_scheme_explains_itself() {
    let run = TestEnv::new().get_as_is("nosuch://h/file").run();
    let system = if Path::new(SYSTEM).is_dir() { format!(", {SYSTEM}") } else { String::new() };
    let words = format!(
        "dfget: no source serves `nosuch`
  looked for d7y-resource-plugin-nosuch in ROOT/plugins{system}
  hint: put the plugin there, or name it with --plugin nosuch=PATH; `dfget plugin` lists what is installed"
    );
    run.failed(10, &words).within(SECOND);
}

/// A file that is no plugin: `fact` and `hint` are all that is said of it.
fn refused_as_a_program(test: &TestEnv, scheme: &str, fact: &str, hint: &str) {
    let run = test.get_as_is(&format!("{scheme}://h/file")).run();
    let hint = if hint.is_empty() { String::new() } else { format!("\n  hint: {hint}") };
    let path = format!("ROOT/plugins/d7y-resource-plugin-{scheme}");
    run.failed(12, &format!("dfget: plugin {path} cannot be executed: {fact}{hint}")).within(SECOND);
}

#[test]
fn a_plugin_without_the_right_to_be_executed_says_chmod() {
    let test = TestEnv::new();
    let path = test.write_plugin("x", "#!/bin/sh\n");
    set_mode(&path, 0o644);
    let hint = "chmod +x ROOT/plugins/d7y-resource-plugin-x";
    refused_as_a_program(&test, "x", "it has no right to be executed", hint);
}

#[test]
fn a_plugin_that_is_a_directory_is_no_program() {
    let test = TestEnv::new();
    let path = test.path("plugins/d7y-resource-plugin-x");
    fs::create_dir(&path).unwrap();
    set_mode(&path, 0o755);
    refused_as_a_program(&test, "x", "it is a directory", "a plugin is a regular file");
}

#[test]
fn a_plugin_that_is_a_fifo_is_no_program() {
    let test = TestEnv::new();
    let path = test.path("plugins/d7y-resource-plugin-x");
    make_fifo(&path);
    set_mode(&path, 0o644);
    refused_as_a_program(&test, "x", "it is a fifo", "a plugin is a regular file");
}

#[test]
fn a_plugin_that_is_a_loop_of_links_is_no_program() {
    let test = TestEnv::new();
    symlink("d7y-resource-plugin-x", test.path("plugins/d7y-resource-plugin-x")).unwrap();
    refused_as_a_program(&test, "x", "Too many levels of symbolic links (os error 40)", "");
}

#[test]
fn a_plugin_that_is_a_dangling_link_is_no_program() {
    let test = TestEnv::new();
    symlink("nowhere", test.path("plugins/d7y-resource-plugin-x")).unwrap();
    refused_as_a_program(&test, "x", "No such file or directory (os error 2)", "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_of_another_machine_names_both() {
    let (test, mut program) = (TestEnv::new(), fs::read(faultplug()).unwrap());
    let (number, theirs) = if cfg!(target_arch = "aarch64") { (62_u16, "x86_64") } else { (183, "aarch64") };
    program[18..20].copy_from_slice(&number.to_ne_bytes());
    test.write_plugin("x", program);
    let ours = std::env::consts::ARCH;
    let fact = format!("it is a program for {theirs}, and this machine is {ours}");
    refused_as_a_program(&test, "x", &fact, &format!("install the build for {ours}"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_was_cut_short_is_told() {
    let program = fs::read(faultplug()).unwrap();
    for length in [20, 4096, program.len() / 2, program.len() - 1] {
        let test = TestEnv::new();
        test.write_plugin("x", &program[..length]);
        refused_as_a_program(&test, "x", "it is a program that was cut short", "install it again");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_the_kernel_refuses_is_not_handed_to_a_shell() {
    let (test, mut program) = (TestEnv::new(), fs::read(faultplug()).unwrap());
    // Neither executable nor shared object: ET_NONE.
    program[16..18].fill(0);
    test.write_plugin("x", program);
    refused_as_a_program(&test, "x", "Exec format error (os error 8)", "");
}

#[test]
fn a_script_whose_interpreter_is_missing_names_it() {
    let (direct, by_env) = (TestEnv::new(), TestEnv::new());
    direct.write_plugin("x", "#!/opt/python9/bin/python9 -u\n");
    let hint = "install /opt/python9/bin/python9, or correct the first line";
    refused_as_a_program(&direct, "x", "its interpreter /opt/python9/bin/python9 is missing", hint);
    by_env.write_plugin("x", "#!/usr/bin/env python9\n");
    let hint = "install python9, or correct the first line";
    refused_as_a_program(&by_env, "x", "its interpreter python9 is missing", hint);
}

#[test]
fn a_script_with_the_line_ends_of_windows_names_its_interpreter() {
    let test = TestEnv::new();
    test.write_plugin("x", "#!/bin/sh\r\nexit\r\n");
    let fact = "its first line `#!/bin/sh` ends in CRLF, so its interpreter is not found";
    refused_as_a_program(&test, "x", fact, "save it with Unix line ends");
}

/// A shell that is handed the file leaves a trace.
fn never_run(content: impl Fn(&str) -> String, fact: &str, hint: &str) {
    let test = TestEnv::new();
    let trace = test.path("trace");
    test.write_plugin("x", content(&trace.display().to_string()));
    refused_as_a_program(&test, "x", fact, hint);
    assert!(!trace.exists(), "a shell ran the file");
}

#[test]
fn a_file_without_a_magic_is_not_run_by_a_shell() {
    let fact = "it is neither a program nor a script";
    let hint = "a script begins with `#!` and its interpreter";
    never_run(|trace| format!("echo > {trace}\n"), fact, hint);
    never_run(|trace| format!(": not #!/bin/sh\necho > {trace}\n"), fact, hint);
}

#[test]
fn an_html_page_is_not_run_by_a_shell() {
    let page = |trace: &str| format!("<!DOCTYPE html>\n<p>404\necho > {trace}\n");
    never_run(page, "it is an HTML page", "was an error page downloaded as the plugin?");
}

#[test]
fn an_empty_file_is_not_run_by_a_shell() {
    never_run(|_| String::new(), "it is empty", "install it again");
}

/// The plugin does not become ready: `fact` is why. It names nothing else but its own log.
fn ended_before_its_handshake(scheme: &str, fact: &str) -> Run {
    let run = TestEnv::new().get(&format!("{scheme}://h/file")).run();
    let hint = "-vv shows the plugin's own log";
    run.failed(13, &format!("dfget: plugin d7y-resource-plugin-{scheme} {fact}\n  hint: {hint}")).within(SECOND);
    run
}

#[test]
fn a_plugin_that_exits_with_0_did_not_start() {
    ended_before_its_handshake("exit0", "exited with status 0 before its handshake");
}

#[test]
fn a_plugin_that_exits_with_3_is_quoted() {
    let fact = "exited with status 3 before its handshake\n  its last words: no credentials";
    ended_before_its_handshake("exit3", fact);
}

#[test]
fn of_many_last_words_five_lines_are_quoted_escaped() {
    let words = "\n    3\n    4\n    5\n    6\n    \\u{1b}[31mred\\u{1b}[0m";
    let fact = format!("exited with status 1 before its handshake\n  its last words:{words}");
    ended_before_its_handshake("exit-verbose", &fact);
}

#[test]
fn a_plugin_that_is_killed_by_a_signal_names_it() {
    ended_before_its_handshake("segv", "was killed by SIGSEGV before its handshake");
    ended_before_its_handshake("killed", "was killed by SIGKILL before its handshake");
}

#[test]
fn a_grandchild_that_holds_the_pipes_of_a_dead_plugin_delays_nothing() {
    let test = TestEnv::new();
    test.write_plugin("x", "#!/bin/sh\nsleep 60 &\necho broken >&2\nexit 7\n");
    let words = "dfget: plugin d7y-resource-plugin-x exited with status 7 before its handshake
  its last words: broken
  hint: -vv shows the plugin's own log";
    test.get("x://h/file").run().failed(13, words).within(SECOND);
}

/// As long as a plugin may take to start here.
const START: [&str; 2] = ["--plugin-start-timeout", "700ms"];

#[test]
fn a_plugin_that_hangs_is_given_up() {
    let run = TestEnv::new().get("hang://h/file").args(&START).run();
    let words = "dfget: plugin d7y-resource-plugin-hang wrote no handshake in 700ms
  hint: --plugin-start-timeout waits longer";
    run.failed(13, words).no_sooner_than(Duration::from_millis(700)).within(2 * SECOND);
}

#[test]
fn half_a_handshake_is_quoted() {
    let run = TestEnv::new().get("partial://h/file").args(&START).run();
    let words = "dfget: plugin d7y-resource-plugin-partial wrote no whole handshake line in 700ms, only `1|1|unix|/tmp`
  hint: --plugin-start-timeout waits longer";
    run.failed(13, words).within(2 * SECOND);
}

#[test]
fn a_script_that_hangs_ends_with_its_children() {
    let test = TestEnv::new();
    test.write_plugin("x", "#!/bin/sh\nsleep 60 &\nsleep 60\n");
    let run = test.get("x://h/file").args(&START).run();
    run.failed_saying(13, &["wrote no handshake in 700ms"]).within(2 * SECOND);
}

#[test]
fn a_plugin_that_closes_stdout_and_lives_is_ended() {
    let run = TestEnv::new().get("close-stdout://h/file").run();
    let words = "dfget: plugin d7y-resource-plugin-close-stdout closed stdout without a handshake
  hint: -vv shows the plugin's own log";
    run.failed(13, words).within(2 * SECOND);
}

#[test]
fn a_banner_before_the_handshake_is_skipped_and_shown() {
    let run = TestEnv::new().get("banner://h/file").run();
    let line = " WARN plugin d7y-resource-plugin-banner wrote to stdout before its handshake:";
    run.succeeded_saying(&format!("{line} loading config\n{line} \\u{{1b}}[1mready\\u{{1b}}[0m"));
}

#[test]
fn a_banner_of_32_lines_is_the_longest() {
    let run = TestEnv::new().get("banner-longest://h/file").run();
    let line = " WARN plugin d7y-resource-plugin-banner-longest wrote to stdout before its handshake: banner\n";
    run.succeeded_saying(line.repeat(32).trim_end());
}

#[test]
fn a_flood_of_banners_is_no_handshake() {
    for scheme in ["banner-flood", "banner-endless"] {
        let run = TestEnv::new().get(&format!("{scheme}://h/file")).arg("-q").run();
        let fact = "wrote more than 32 lines or 64 KiB to stdout and no handshake; they begin with `banner`";
        let hint = "-vv shows the plugin's own log";
        let words = format!("dfget: plugin d7y-resource-plugin-{scheme} {fact}\n  hint: {hint}");
        run.failed(13, &words).within(SECOND);
    }
}

#[test]
fn a_banner_of_few_long_lines_is_no_handshake() {
    let run = TestEnv::new().get("banner-bytes://h/file").arg("-q").run();
    run.failed_saying(13, &["wrote more than 32 lines or 64 KiB to stdout and no handshake; they begin with `bbb"]);
    run.within(SECOND);
}

/// A line that can be no handshake line: `begins` is how it is shown.
fn bad_line(scheme: &str, begins: &str) {
    let fact = "wrote a line to stdout that is no text of at most 8 KiB; it begins with";
    ended_before_its_handshake(scheme, &format!("{fact} `{begins}`"));
}

#[test]
fn a_line_of_1_gib_is_cut_off() {
    bad_line("line-huge", &("x".repeat(512) + "…"));
}

#[test]
fn a_line_with_a_nul_is_shown_escaped() {
    bad_line("nul", r"1|1|unix|/a\u{0}b|grpc|");
}

#[test]
fn a_line_that_is_no_utf8_is_shown_escaped() {
    bad_line("no-utf8", r"1|1|unix|/\xff\xfe|grpc|");
}

#[test]
fn escape_bytes_in_a_line_do_not_reach_the_terminal() {
    bad_line("escapes", r"\u{1b}]0;owned\u{7}\u{1b}[2J 1|1\xff");
}

/// A script that starts the plugin proper as its child.
fn wrapped(test: &TestEnv, start: &str) {
    let real = test.install_into("real", &faultplug(), "wrapped");
    test.write_plugin("wrapped", format!("#!/bin/sh\n{start}\n").replace("REAL", &real.display().to_string()));
}

#[test]
fn a_script_whose_child_listens_works_and_both_end() {
    for start in ["\"REAL\"; exit $?", "exec 3<&0\n\"REAL\" <&3 &\nwait", "exec \"REAL\""] {
        let test = TestEnv::new();
        wrapped(&test, start);
        test.get("wrapped://h/file?size=200000").run().succeeded();
    }
}

/// A background job of `sh` has `/dev/null` for its stdin, which is at its end from the beginning.
#[test]
fn a_script_whose_child_listens_in_the_background_works_and_both_end() {
    let test = TestEnv::new();
    wrapped(&test, "\"REAL\" &\nwait");
    test.get("wrapped://h/file?size=200000").run().succeeded();
}
