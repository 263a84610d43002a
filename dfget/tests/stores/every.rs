//! What holds of every store: bytes, ranges, trees, going on, versions.

use std::{collections::BTreeMap, fs, ops::Range, path::Path};

use faultplug::Content;
use rustix::process::Signal;

use crate::{
    harness::{Digest, Snapshot, TestEnv, snapshot, wait_for},
    store::{Bucket, Store, azurite, cos, gcs, moto, obs, oss, versitygw, webhdfs},
};

/// Each case, for each store.
macro_rules! every {
    ($($case:ident)*; $stores:tt) => { $( every!(@ $case $stores); )* };
    (@ $case:ident [$($store:ident)*]) => {
        mod $case { $(
            #[test]
            fn $store() {
                if let Some(store) = super::$store() {
                    super::check::$case(store);
                }
            }
        )* }
    };
}

every! {
    objects_of_all_sizes_arrive
    a_part_of_an_object_arrives
    a_tree_arrives_and_again_nothing_is_fetched
    a_tree_is_listed
    a_killed_download_asks_for_what_is_missing
    an_object_that_changes_between_runs_is_fetched_from_0
    an_object_that_changes_during_a_run_is_never_mixed
    ;
    [versitygw moto oss cos obs azurite gcs webhdfs]
}

/// Names that somebody might take for something else.
const NAMES: [&str; 14] = [
    "plain",
    "a space",
    "a+plus",
    "a%percent",
    "a%20percent",
    "an&ampersand",
    "an=equals",
    "a'quote",
    "a(parenthesis)",
    "a~tilde",
    "a,comma",
    "an@at",
    "größe",
    "中文",
];

/// A tree of 56 files: the names above, at four depths.
pub(crate) fn tree() -> BTreeMap<String, Content> {
    let mut files = BTreeMap::new();
    for (depth, directory) in ["", "one/", "one/t w+o/", "one/t w+o/drei%ß/"].iter().enumerate() {
        for (number, name) in NAMES.iter().enumerate() {
            let content = Content { seed: (depth * 100 + number) as u64, size: (number * 7) as u64 };
            files.insert(format!("{directory}{name}-leaf"), content);
        }
    }
    files
}

pub(crate) fn files_of(directory: &Path) -> Snapshot {
    snapshot(directory).into_iter().filter(|(_, digest)| digest.is_some()).collect()
}

pub(crate) fn expected(files: &BTreeMap<String, Content>) -> Snapshot {
    files.iter().map(|(name, content)| (name.clone(), Some(Digest::of_content(*content)))).collect()
}

/// The ranges that a state says are on the disk.
fn durable(state: &Path) -> Vec<Range<u64>> {
    let document: serde_json::Value = serde_json::from_slice(&fs::read(state).unwrap()).unwrap();
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    document["ranges"].as_array().unwrap().iter().map(|range| number(&range[0])..number(&range[1])).collect()
}

/// What lies between `held`, up to `size`.
fn gaps(held: &[Range<u64>], size: u64) -> Vec<Range<u64>> {
    let begins = std::iter::once(0).chain(held.iter().map(|range| range.end));
    let ends = held.iter().map(|range| range.start).chain([size]);
    begins.zip(ends).map(|(begin, end)| begin..end).filter(|gap| !gap.is_empty()).collect()
}

mod check {
    use super::*;

    pub(super) fn objects_of_all_sizes_arrive(store: &'static Store) {
        let (test, bucket) = (TestEnv::new(), store.bucket("sizes-125"));
        for size in [0, 1, 20 << 20] {
            let content = Content { seed: size, size };
            bucket.put(&test, &format!("of {size}"), content);
            let run = bucket.get(&test, &format!("of%20{size}"), content);
            run.args(&["-n", "4", "--piece-length", "3M", "--overwrite"]).run().succeeded();
        }
        let requests = bucket.requests();
        let parts = requests.iter().filter(|request| request.target().contains("20971520"));
        assert!(parts.filter(|request| request.range().is_some()).count() >= 6, "{requests:?}");
    }

    pub(super) fn a_part_of_an_object_arrives(store: &'static Store) {
        let (test, bucket) = (TestEnv::new(), store.bucket("part-125"));
        let content = Content { seed: 2, size: 5_000 };
        bucket.put(&test, "file", content);
        for (range, bytes) in [("100-199", 100..200), ("4990-", 4_990..5_000), ("-7", 4_993..5_000)] {
            let run = bucket.get(&test, "file", content).expect(Digest::of_bytes(&content.bytes(bytes)));
            run.args(&["--overwrite", "--range", range]).run().succeeded();
        }
        let run = bucket.get(&test, "file", content).args(&["--overwrite", "--range", "5000-"]).run();
        run.failed_saying(24, &[]);
    }

    pub(super) fn a_tree_arrives_and_again_nothing_is_fetched(store: &'static Store) {
        let (test, bucket, files) = (TestEnv::new(), store.bucket("tree-125"), tree());
        bucket.put_tree(&test, "top/", &files);
        bucket.put(&test, "top-leaf", Content { seed: 1, size: 1 });
        let run = || bucket.dfget(&test, &["-r", "-O", "tree"], "top/").into_directory("tree").run();
        run().succeeded();
        assert_eq!(files_of(&test.work("tree")), expected(&files));
        let before = bucket.requests().len();
        run().succeeded();
        let again = bucket.requests().split_off(before);
        let fetched = again.iter().find(|request| request.target().contains("leaf"));
        assert!(fetched.is_none(), "{fetched:?}");
    }

    pub(super) fn a_tree_is_listed(store: &'static Store) {
        let (test, bucket) = (TestEnv::new(), store.bucket("list-125"));
        let file = |seed| Content { seed, size: seed };
        let files = [("a b".to_owned(), file(3)), ("c/d+e".to_owned(), file(4)), ("c/f".to_owned(), file(0))];
        bucket.put_tree(&test, "top/", &BTreeMap::from(files));
        let run = bucket.dfget(&test, &["-l"], "top/").run();
        let listed = run.succeeded().stdout();
        assert!(listed.lines().any(|line| line.ends_with(" a b") && line.contains('3')), "{listed}");
        assert!(listed.lines().any(|line| line.ends_with(" c/") || line.ends_with(" c")), "{listed}");
    }

    pub(super) fn a_killed_download_asks_for_what_is_missing(store: &'static Store) {
        let (test, bucket) = (TestEnv::new(), store.bucket("killed-125"));
        let content = Content { seed: 4, size: 56 << 20 };
        bucket.put(&test, "file", content);
        let options = ["-n", "2", "--no-fsync", "--limit-rate", "24M"];
        let mut run = bucket.get(&test, "file", content).args(&options).start();
        let state = test.work("file.part.state");
        wait_for("a state with something in it", || (state.exists() && !durable(&state).is_empty()).then_some(()));
        run.signal(Signal::KILL);
        run.finish().ended_by(Signal::KILL);
        let missing = gaps(&durable(&state), content.size);
        assert!(!missing.is_empty() && (missing.len() > 1 || missing[0] != (0..content.size)), "{missing:?}");
        let before = bucket.requests().len();
        bucket.get(&test, "file", content).args(&["-n", "1"]).run().succeeded();
        let asked: Vec<_> =
            bucket.requests().split_off(before).iter().filter_map(crate::store::Request::range).collect();
        for gap in &missing {
            assert!(asked.iter().any(|range| range.start == gap.start), "{gap:?} is not asked for: {asked:?}");
        }
        for range in asked {
            let within = |gap: &&Range<u64>| gap.contains(&range.start) && range.end.min(content.size) <= gap.end;
            assert!(range == (0..1) || missing.iter().any(|gap| within(&gap)), "{range:?} is not of {missing:?}");
        }
    }

    /// Interrupts a download in its middle.
    fn interrupt(test: &TestEnv, bucket: &Bucket, content: Content) {
        let mut run = bucket.get(test, "file", content).args(&["-n", "1", "--limit-rate", "1M"]).start();
        run.wait_for_bytes(1 << 20);
        run.signal(Signal::INT);
        run.finish().ended_by(Signal::INT);
    }

    pub(super) fn an_object_that_changes_between_runs_is_fetched_from_0(store: &'static Store) {
        let (test, bucket) = (TestEnv::new(), store.bucket("between-125"));
        let (old, new) = (Content { seed: 5, size: 3 << 20 }, Content { seed: 6, size: 3 << 20 });
        bucket.put(&test, "file", old);
        interrupt(&test, &bucket, old);
        bucket.put(&test, "file", new);
        let run = bucket.get(&test, "file", new).run();
        assert!(run.is_success() && run.stderr.contains("restarting from 0"), "{}", run.stderr);
    }

    pub(super) fn an_object_that_changes_during_a_run_is_never_mixed(store: &'static Store) {
        let (test, bucket) = (TestEnv::new(), store.bucket("during-125"));
        let (old, new) = (Content { seed: 7, size: 4 << 20 }, Content { seed: 8, size: 4 << 20 });
        bucket.put(&test, "file", old);
        let options = ["-n", "1", "--piece-length", "1M", "--limit-rate", "2M"];
        let run = bucket.get(&test, "file", new).args(&options).start();
        run.wait_for_bytes(1);
        bucket.put(&test, "file", new);
        let run = run.finish();
        // What came is checked by the harness: it is the new object, or there is none.
        assert!(matches!(run.code(), Some(0 | 23)), "{}", run.stderr);
        let told = ["has changed", "another version"].iter().any(|words| run.stderr.contains(words));
        assert!(told, "{}", run.stderr);
    }
}
