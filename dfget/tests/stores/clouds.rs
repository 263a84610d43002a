//! What OSS, COS and OBS have alone.

use std::{collections::BTreeMap, fs};

use faultplug::Content;
use serde_json::json;

use crate::{
    every::{expected, files_of},
    harness::TestEnv,
    store::{Store, cos, obs, oss},
};

const SMALL: Content = Content { seed: 31, size: 2_000 };

fn all() -> impl Iterator<Item = &'static Store> {
    [oss, cos, obs].into_iter().filter_map(|store| store())
}

#[test]
fn more_than_a_thousand_objects_are_listed() {
    for store in all() {
        let (test, bucket) = (TestEnv::new(), store.bucket("thousand-125"));
        store.call(&json!({"do": "fill", "bucket": bucket.name, "prefix": "top/a/", "count": 1_050}));
        let run = bucket.dfget(&test, &["-r", "-O", "tree", "--no-fsync"], "top/").into_directory("tree").run();
        run.succeeded();
        let names: BTreeMap<_, _> = files_of(&test.work("tree"));
        assert_eq!((names.len(), names.keys().next_back().unwrap().as_str()), (1_050, "a/01049"));
    }
}

#[test]
fn a_version_is_chosen_by_the_url() {
    for store in all() {
        let (test, bucket) = (TestEnv::new(), store.bucket_with("versions-125", &json!({"versioned": true})));
        let first = bucket.put(&test, "file", SMALL).expect("the bucket has versions");
        let new = Content { seed: 32, size: 3_000 };
        bucket.put(&test, "file", new);
        bucket.get(&test, &format!("file?versionId={first}"), SMALL).run().succeeded();
        bucket.get(&test, "file", new).arg("--overwrite").run().succeeded();
    }
}

#[test]
fn the_key_may_be_of_the_environment() {
    let names = [
        ["OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"],
        ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"],
        ["HUAWEI_CLOUD_ACCESS_KEY_ID", "HUAWEI_CLOUD_SECRET_ACCESS_KEY"],
    ];
    for (store, [id, secret]) in all().zip(names) {
        let (test, bucket) = (TestEnv::new(), store.bucket("environment-125"));
        bucket.put(&test, "file", SMALL);
        let dfget = bucket.get_without(&test, "file", SMALL, &["access-key-id", "access-key-secret"]);
        let dfget = dfget.env(id, store.option("access-key-id")).env(secret, store.option("access-key-secret"));
        dfget.run().succeeded();
    }
}

#[test]
fn the_wrong_region_is_told() {
    let wrong = [
        (oss(), "http://oss-eu-central-1.aliyuncs.test", 24, "oss-cn-hangzhou"),
        (cos(), "http://cos.eu-frankfurt.myqcloud.test", 20, "no bucket"),
    ];
    for (store, endpoint, code, words) in wrong {
        let Some(store) = store else { return };
        let (test, bucket) = (TestEnv::new(), store.bucket("region-125"));
        bucket.put(&test, "file", SMALL);
        let dfget = bucket.get_without(&test, "file", SMALL, &["endpoint"]);
        dfget.arg("--opt").arg(format!("endpoint={endpoint}")).run().failed_saying(code, &[words]);
    }
}

#[test]
fn a_tree_at_the_top_of_a_bucket_arrives() {
    for store in all() {
        let (test, bucket) = (TestEnv::new(), store.bucket("top-125"));
        let files = BTreeMap::from([("a".to_owned(), SMALL), ("b/c".to_owned(), SMALL)]);
        bucket.put_tree(&test, "", &files);
        bucket.dfget(&test, &["-r", "-O", "tree"], "").into_directory("tree").run().succeeded();
        assert_eq!(files_of(&test.work("tree")), expected(&files));
        fs::remove_dir_all(test.work("tree")).unwrap();
    }
}
