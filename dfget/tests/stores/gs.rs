//! What Google Cloud Storage has alone: tokens, service accounts, generations.

use std::fs;

use faultplug::Content;
use serde_json::json;

use crate::{
    harness::{Dfget, TestEnv},
    store::{Bucket, Store, gcs},
};

const SMALL: Content = Content { seed: 51, size: 2_000 };

#[test]
fn a_generation_is_chosen_by_the_url() {
    let Some(store) = gcs() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket_with("generation-125", &json!({"versioned": true})));
    let first = bucket.put(&test, "file", SMALL).unwrap();
    let new = Content { seed: 52, size: 3_000 };
    bucket.put(&test, "file", new);
    bucket.get(&test, &format!("file?generation={first}"), SMALL).run().succeeded();
    bucket.get(&test, "file", new).arg("--overwrite").run().succeeded();
}

#[test]
fn an_expired_token_is_told() {
    let Some(store) = gcs() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("expired-125"));
    bucket.put(&test, "file", SMALL);
    let expired = store.facts["expired"].as_str().unwrap();
    let dfget = bucket.get_without(&test, "file", SMALL, &["token"]).arg("-vv");
    let run = dfget.arg("--opt").arg(format!("token={expired}")).run();
    run.failed_saying(21, &["token"]);
    assert!(!run.stderr.contains(expired), "the token is shown: {}", run.stderr);
}

/// As a machine would that trusts this authority, and has no way out but the proxy.
fn as_google<'a>(test: &'a TestEnv, store: &Store, bucket: &Bucket, account: &str) -> Dfget<'a> {
    let (authority, credentials) = (test.path("authority.pem"), test.path("account.json"));
    fs::write(&authority, store.facts["authority"].as_str().unwrap()).unwrap();
    fs::write(&credentials, store.facts[account].as_str().unwrap()).unwrap();
    let dfget = bucket.get_without(test, "file", SMALL, &["endpoint", "token"]);
    let dfget = dfget.env("https_proxy", store.facts["proxy"].as_str().unwrap()).env("SSL_CERT_FILE", authority);
    dfget.env("GOOGLE_APPLICATION_CREDENTIALS", credentials)
}

#[test]
fn a_service_account_gets_a_token_and_the_object() {
    let Some(store) = gcs() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("account-125"));
    bucket.put(&test, "file", SMALL);
    as_google(&test, store, &bucket, "account").run().succeeded();
}

#[test]
fn a_service_account_with_another_key_is_told() {
    let Some(store) = gcs() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("stranger-125"));
    bucket.put(&test, "file", SMALL);
    let run = as_google(&test, store, &bucket, "stranger").arg("-vv").run();
    run.failed_saying(21, &["invalid_grant"]);
    assert!(!run.stderr.contains("PRIVATE KEY"), "the key is shown: {}", run.stderr);
}
