//! What HDFS has alone: users, blocks on other servers, directories.

use faultplug::Content;
use serde_json::json;

use crate::{harness::TestEnv, store::webhdfs};

/// Of more than one block.
const CONTENT: Content = Content { seed: 61, size: 3_500_000 };

#[test]
fn a_user_who_may_not_is_told_so() {
    let Some(store) = webhdfs() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket_with("private-125", &json!({"permission": "700"})));
    bucket.put(&test, "file", CONTENT);
    let dfget = bucket.get_without(&test, "file", CONTENT, &["user-name"]).args(&["--opt", "user-name=nobody"]);
    dfget.run().failed_saying(21, &["nobody"]);
    bucket.get(&test, "file", CONTENT).run().succeeded();
}

#[test]
fn a_directory_is_no_file() {
    let Some(store) = webhdfs() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("directory-125"));
    bucket.put(&test, "one/file", CONTENT);
    bucket.get(&test, "one", CONTENT).run().failed_saying(24, &["is a directory", "-r"]);
}

#[test]
fn more_files_than_one_answer_holds_are_listed() {
    let Some(store) = webhdfs() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("hundreds-125"));
    let file = |number: u64| (format!("{number:03}"), Content { seed: number, size: 3 });
    let files = (0..50).map(file).collect();
    bucket.put_tree(&test, "top/", &files);
    bucket.dfget(&test, &["-r", "-O", "tree", "--no-fsync"], "top/").into_directory("tree").run().succeeded();
    assert_eq!(crate::every::files_of(&test.work("tree")), crate::every::expected(&files));
}
