//! What S3 has alone: regions, profiles, temporary keys, versions, and objects that came in parts.

use std::{collections::BTreeMap, fs};

use faultplug::Content;
use serde_json::json;

use crate::{
    every::{expected, files_of},
    harness::TestEnv,
    store::{Bucket, Store, moto, versitygw},
};

const CONTENT: Content = Content { seed: 21, size: 12 << 20 };
const SMALL: Content = Content { seed: 22, size: 2_000 };
const KEYS: [&str; 2] = ["access-key-id", "access-key-secret"];

/// Both S3 servers, as far as they are here.
fn both() -> impl Iterator<Item = &'static Store> {
    [versitygw, moto].into_iter().filter_map(|store| store())
}

#[test]
fn the_etag_of_an_object_that_came_in_parts_is_no_md5() {
    for store in both() {
        let (test, bucket) = (TestEnv::new(), store.bucket("parts-125"));
        let etag = bucket.put_in_parts(&test, "file", CONTENT);
        assert!(etag.ends_with("-3\""), "{etag}");
        bucket.get(&test, "file", CONTENT).args(&["-n", "3", "--piece-length", "2M"]).run().succeeded();
    }
}

#[test]
fn a_version_is_chosen_by_the_url() {
    for store in both() {
        let (test, bucket) = (TestEnv::new(), store.bucket_with("versions-125", &json!({"versioned": true})));
        let first = bucket.put(&test, "file", SMALL).expect("the bucket has versions");
        bucket.put(&test, "file", CONTENT);
        let old = bucket.get(&test, &format!("file?versionId={first}"), SMALL);
        old.run().succeeded();
        bucket.get(&test, "file", CONTENT).arg("--overwrite").run().succeeded();
        let nowhere = bucket.get(&test, "file?versionId=01AAAAAAAAAAAAAAAAAAAAAAAA", SMALL).arg("--overwrite").run();
        nowhere.failed_saying(20, &["there is no version `***` of `file` in `versions-125`"]);
    }
}

#[test]
fn another_version_is_not_put_to_the_part_of_the_first() {
    let Some(store) = versitygw() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket_with("versions-change-125", &json!({"versioned": true})));
    let old = Content { seed: 23, size: 4 << 20 };
    let first = bucket.put(&test, "file", old).expect("the bucket has versions");
    let options = ["-n", "1", "--piece-length", "1M", "--limit-rate", "1M"];
    let run = bucket.get(&test, &format!("file?versionId={first}"), old).args(&options).start();
    run.wait_for_bytes(1);
    bucket.put(&test, "file", Content { seed: 24, size: 4 << 20 });
    run.finish().succeeded();
}

#[test]
fn more_than_a_thousand_objects_are_listed() {
    let Some(store) = versitygw() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("thousand-125"));
    let file = |number: u64| (format!("d{}/{number:04}", number % 3), Content { seed: number, size: 5 });
    let files: BTreeMap<String, Content> = (0..1_050).map(file).collect();
    bucket.put_tree(&test, "top/", &files);
    bucket.dfget(&test, &["-r", "-O", "tree", "--no-fsync"], "top/").into_directory("tree").run().succeeded();
    assert_eq!(files_of(&test.work("tree")), expected(&files));
}

#[test]
fn the_wrong_region_is_told_with_the_right_one() {
    let Some(store) = versitygw() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("region-125"));
    bucket.put(&test, "file", SMALL);
    let dfget = bucket.get_without(&test, "file", SMALL, &["region"]).args(&["--opt", "region=us-west-2"]);
    dfget.run().failed_saying(24, &["is in region `eu-central-1`, not in `us-west-2`: set --opt region=eu-central-1"]);
}

/// The next `times` requests for this bucket are answered with what S3's documentation has.
fn refuse(bucket: &Bucket, times: u32, status: &str, code: &str, message: &str) {
    let body = format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let call = json!({"do": "refuse", "of": bucket.name, "times": times, "status": status, "body": body});
    bucket.store.call(&call);
}

#[test]
fn an_expired_token_is_told() {
    let Some(store) = versitygw() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("expired-125"));
    refuse(&bucket, 9, "400 Bad Request", "ExpiredToken", "The provided token has expired.");
    let run = bucket.get(&test, "file", SMALL).args(&["--opt", "session-token=of-yesterday"]).run();
    run.failed_saying(21, &["the session token has expired: get a new one"]);
    assert!(!run.stderr.contains("of-yesterday"), "the token is shown: {}", run.stderr);
}

#[test]
fn an_archived_object_is_told() {
    let Some(store) = versitygw() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("archived-125"));
    let message = "The operation is not valid for the object's storage class";
    refuse(&bucket, 9, "403 Forbidden", "InvalidObjectState", message);
    bucket.get(&test, "file", SMALL).run().failed_saying(24, &["the object is archived: restore it first"]);
}

#[test]
fn an_overloaded_store_is_asked_again() {
    let Some(store) = versitygw() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("overloaded-125"));
    bucket.put(&test, "file", SMALL);
    let refuse = |times| refuse(&bucket, times, "503 Slow Down", "SlowDown", "Please reduce your request rate.");
    refuse(2);
    let run = bucket.get(&test, "file", SMALL).tries(4).run();
    assert!(run.is_success(), "{}", run.stderr);
    refuse(9);
    let run = bucket.get(&test, "file", SMALL).arg("--overwrite").run();
    run.failed_saying(22, &["the store is overloaded (503 SlowDown: Please reduce your request rate)"]);
}

/// Without a key of its own, and with its environment.
fn with_key_of<'a>(test: &'a TestEnv, bucket: &Bucket, key: &str) -> crate::harness::Dfget<'a> {
    bucket.get_without(test, key, SMALL, &KEYS)
}

#[test]
fn the_key_may_be_of_the_environment_or_of_a_profile() {
    for store in both() {
        let (test, bucket) = (TestEnv::new(), store.bucket("profile-125"));
        bucket.put(&test, "file", SMALL);
        let [id, secret] = KEYS.map(|name| store.option(name));
        let run = with_key_of(&test, &bucket, "file").env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
        run.run().succeeded();

        fs::create_dir(test.path("home/.aws")).unwrap();
        let file = format!(
            "[default]\naws_access_key_id = AKIANOBODY\naws_secret_access_key = x\n\n\
             [reader]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"
        );
        fs::write(test.path("home/.aws/credentials"), &file).unwrap();
        let again = || with_key_of(&test, &bucket, "file").arg("--overwrite");
        again().args(&["--opt", "profile=reader"]).run().succeeded();
        again().env("AWS_PROFILE", "reader").run().succeeded();
        again().run().failed_saying(21, &["access key"]);

        fs::write(test.path("elsewhere"), file.replace("[reader]", "[else]")).unwrap();
        let elsewhere = again().env("AWS_SHARED_CREDENTIALS_FILE", test.path("elsewhere")).env("AWS_PROFILE", "else");
        elsewhere.run().succeeded();
    }
}

#[test]
fn a_temporary_key_is_good_with_its_token_alone() {
    let Some(store) = moto() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("temporary-125"));
    bucket.put(&test, "file", SMALL);
    let given = |name: &str| store.facts["temporary"][name].as_str().unwrap().to_owned();
    let get = |token: &str| {
        let options = [("access-key-id", given("key")), ("access-key-secret", given("secret"))];
        let dfget = with_key_of(&test, &bucket, "file").arg("--overwrite");
        let dfget = options.iter().fold(dfget, |run, (name, value)| run.arg("--opt").arg(format!("{name}={value}")));
        dfget.arg("--opt").arg(format!("session-token={token}")).run()
    };
    get(&given("token")).succeeded();
    get("this-is-not-the-token").failed_saying(21, &["token"]);
}

#[test]
fn whoever_may_nothing_is_told_so() {
    let Some(store) = moto() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("stranger-125"));
    bucket.put(&test, "file", SMALL);
    let stranger = &store.facts["stranger"];
    let dfget = with_key_of(&test, &bucket, "file");
    let run = dfget
        .env("AWS_ACCESS_KEY_ID", stranger["key"].as_str().unwrap())
        .env("AWS_SECRET_ACCESS_KEY", stranger["secret"].as_str().unwrap())
        .run();
    run.failed_saying(21, &["may not"]);
}
