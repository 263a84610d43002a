//! The disk is full, a file may not grow, or the kernel answers EIO.

use std::{fs, process::Command, thread};

use rustix::process::Signal;

use crate::harness::{Run, TestEnv, not_allowed, skip};

const SIZE: u64 = 3_000_000;

/// After so many bytes at the latest the state is recorded.
const RECORDED: u64 = 32 * 1024 * 1024;

/// Plays `test` where it can mount file systems that nobody else sees. Skipped where that is not allowed.
fn with_own_mounts(name: &str, test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let played = scope.spawn(|| {
            if unshare() && mount(&["--make-rprivate", "/"]) {
                test();
            } else {
                not_allowed(name, "this user cannot mount a file system");
            }
        });
        played.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// This thread, and what it starts, leave the file systems of the others.
#[allow(unsafe_code)]
fn unshare() -> bool {
    // SAFETY: no descriptor is unshared, only the mounts, root and working directory of this thread.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.is_ok()
}

fn mount(words: &[&str]) -> bool {
    Command::new("mount").args(words).output().is_ok_and(|mount| mount.status.success())
}

/// `work/disk`, with room for so many KiB; mounted for the first time, or made larger.
fn disk(test: &TestEnv, kib: u64) {
    let path = test.work("disk").display().to_string();
    let again = fs::create_dir(&path).is_err();
    let options = format!("{}size={kib}k", if again { "remount," } else { "" });
    assert!(mount(&["-t", "tmpfs", "-o", &options, "dfget-test", &path]), "{options}");
}

#[test]
fn a_disk_that_is_too_small_is_told_with_what_is_needed_and_what_is_free() {
    with_own_mounts("a_disk_that_is_too_small", || {
        let test = TestEnv::new();
        disk(&test, 1024);
        let run = test.get(&format!("good://h/file?size={SIZE}")).output("disk/file").last().run();
        let words = "\
dfget: there is no room for disk/file.part: it needs 3000000 bytes, and 1048576 are free: no storage space
  hint: free some space, or name an output elsewhere with -O";
        run.failed(41, words);
        assert_eq!(fs::read_dir(test.work("disk")).unwrap().count(), 0, "something is left");
    });
}

/// Without the reservation, which not every file system can make.
/// ext4 gives a reservation that cannot be had all that is left, before it says so.
#[test]
fn what_is_free_is_told_as_it_is_where_a_reservation_fails() {
    let test = TestEnv::new();
    let system = rustix::fs::statvfs(test.work("")).unwrap();
    let size = system.f_bfree * system.f_frsize + (1 << 40);
    let run = test.get(&format!("good://h/file?size={size}")).last().run();
    run.failed_saying(41, &["there is no room for file.part: it needs ", " are free"]);
    assert!(!run.stderr.contains(" and 0 are free"), "{}", run.stderr);
}

#[test]
fn a_disk_that_fills_up_is_told_and_the_download_goes_on_when_there_is_space_again() {
    with_own_mounts("a_disk_that_fills_up", || {
        for kib in [4, 64, 100, 1024, 2500] {
            for connections in ["1", "3"] {
                let test = TestEnv::new();
                disk(&test, kib);
                let get = || {
                    let dfget = test.get(&format!("good://h/file?size={SIZE}")).output("disk/file").last();
                    dfget.args(&["-v", "--no-preallocate", "--piece-length", "1M", "-n", connections])
                };
                get()
                    .run()
                    .failed_saying(41, &["cannot write disk/file.part", "free some space and run it again to go on"]);
                disk(&test, 8192);
                let run = get().run();
                assert!(run.is_success(), "{}", run.stderr);
                let resumed = run.stderr.contains("going on at byte");
                // What came at once and did not fit is not counted.
                assert!(resumed || kib <= 100, "with {kib} KiB it began anew: {}", run.stderr);
            }
        }
    });
}

#[test]
fn a_file_that_may_not_grow_is_told_and_the_download_goes_on_when_it_may() {
    for arguments in [&["-n", "1"][..], &["-n", "1", "--no-preallocate"]] {
        for kib in [4, 64, 100, 1024] {
            let test = TestEnv::new();
            let get = || test.get(&format!("good://h/file?size={SIZE}")).args(arguments).last();
            let limit = format!("ulimit -f {} && exec \"$0\" \"$@\"", kib * 2);
            get().through(&["sh", "-c", &limit]).run().failed_saying(40, &["cannot write file.part", "File too large"]);
            get().run().succeeded();
        }
    }
}

/// Whether `test` can have calls answered by EIO. Skipped where it cannot.
fn can_inject(test: &str) -> bool {
    match Command::new("strace").args(["-f", "-e", "trace=none", "true"]).output() {
        Err(_) => skip(test, "strace is missing"),
        Ok(strace) if !strace.status.success() => not_allowed(test, "strace may not trace"),
        Ok(_) => return true,
    }
    false
}

/// Runs dfget with every `call` of its answered by `error`.
fn with_error(error: &str, call: &str, size: u64, arguments: &[&str]) -> Run {
    let test = TestEnv::new();
    let log = test.path("strace").display().to_string();
    let (traced, injected) = (format!("trace={call}"), format!("inject={call}:error={error}"));
    let strace = ["strace", "-f", "--seccomp-bpf", "-o", &log, "-e", &traced, "-e", &injected];
    let run = test.get(&format!("good://h/file?size={size}")).args(arguments).through(&strace).run();
    let hit = fs::read_to_string(&log).unwrap_or_default().contains("(INJECTED)");
    assert!(hit, "dfget has made no such call: {call}");
    run
}

#[test]
fn an_eio_is_told_whatever_it_answers() {
    if !can_inject("an_eio_is_told_whatever_it_answers") {
        return;
    }
    // One to be replaced is renamed by another call.
    let calls = [
        ("pwrite64", "", "cannot write file.part"),
        ("fsync", "", "cannot flush file.part"),
        ("rename,renameat,renameat2", "", "cannot rename to file"),
        ("rename,renameat,renameat2", "--overwrite", "cannot rename to file"),
    ];
    for (call, argument, words) in calls {
        let arguments: Vec<&str> = ["--no-preallocate", argument].into_iter().filter(|word| !word.is_empty()).collect();
        with_error("EIO", call, SIZE, &arguments).failed_saying(40, &[words, "Input/output error"]);
    }
    // So large that its state is recorded before the end.
    with_error("EIO", "fdatasync", 2 * RECORDED, &[])
        .failed_saying(40, &["cannot write file.part", "Input/output error"]);
}

#[test]
fn a_quota_that_is_used_up_is_a_disk_that_is_full() {
    if !can_inject("a_quota_that_is_used_up_is_a_disk_that_is_full") {
        return;
    }
    let told = ["quota exceeded", "free some space and run it again to go on"];
    with_error("EDQUOT", "pwrite64", SIZE, &["--no-preallocate"]).failed_saying(41, &told);
    with_error("EDQUOT", "fallocate", SIZE, &[]).failed_saying(41, &told[..1]);
}

/// Nothing is recorded that is not on the disk, and the signal it is that is told.
#[test]
fn an_eio_while_the_state_is_recorded_leaves_no_state() {
    if !can_inject("an_eio_while_the_state_is_recorded_leaves_no_state") {
        return;
    }
    let test = TestEnv::new();
    let inject = ["strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO"];
    let mut dfget = test.get("good://h/file?hold-at=50000").through(&inject).start();
    dfget.wait_for_bytes(50_000);
    dfget.signal(Signal::INT);
    dfget.finish().ended_by(Signal::INT);
    assert!(!test.work("file.part.state").exists());
}
