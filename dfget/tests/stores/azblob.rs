//! What Azure has alone: shared access signatures, connection strings, and Dragonfly's name for it.

use faultplug::Content;
use serde_json::json;

use crate::{harness::TestEnv, store::azurite};

const SMALL: Content = Content { seed: 41, size: 2_000 };

#[test]
fn a_shared_access_signature_is_good_until_it_expires() {
    let Some(store) = azurite() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("signature-125"));
    bucket.put(&test, "file", SMALL);
    let get = |hours: i32| {
        let call = json!({"do": "signature", "bucket": bucket.name, "hours": hours});
        let signature = store.call(&call).as_str().unwrap().to_owned();
        let dfget = bucket.get_without(&test, "file", SMALL, &["account-key"]).arg("--overwrite").arg("-vv");
        let run = dfget.arg("--opt").arg(format!("sas-token={signature}")).run();
        let secret = signature.split("sig=").nth(1).unwrap().to_owned();
        assert!(!run.stderr.contains(&secret), "the signature is shown: {}", run.stderr);
        run
    };
    assert!(get(1).is_success());
    get(-1).failed_saying(21, &["signature"]);
}

#[test]
fn a_wrong_account_key_is_told() {
    let Some(store) = azurite() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("wrong-key-125"));
    bucket.put(&test, "file", SMALL);
    let wrong = "dGhpcy1pcy1ub3QtdGhlLWtleS1vZi10aGUtYWNjb3VudA==";
    let dfget = bucket.get_without(&test, "file", SMALL, &["account-key"]).arg("-vv");
    let run = dfget.arg("--opt").arg(format!("account-key={wrong}")).run();
    run.failed_saying(21, &["account key"]);
    assert!(!run.stderr.contains(wrong), "the key is shown: {}", run.stderr);
}

#[test]
fn a_connection_string_is_all_it_takes() {
    let Some(store) = azurite() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("connection-125"));
    bucket.put(&test, "file", SMALL);
    let string = format!(
        "DefaultEndpointsProtocol=http;AccountName={};AccountKey={};BlobEndpoint={};",
        store.option("account-name"),
        store.option("account-key"),
        store.option("endpoint")
    );
    let dfget = bucket.get_without(&test, "file", SMALL, &["endpoint", "account-name", "account-key"]);
    dfget.env("AZURE_STORAGE_CONNECTION_STRING", string).run().succeeded();
}

#[test]
fn abs_is_another_name_for_it() {
    let Some(store) = azurite() else { return };
    let (test, bucket) = (TestEnv::new(), store.bucket("abs-125"));
    bucket.put(&test, "file", SMALL);
    let url = bucket.url("file").replace("azblob://", "abs://");
    let dfget = test.get_as_is(&url).output("file").expect(crate::harness::Digest::of_content(SMALL)).last();
    store.with(dfget, &[]).run().succeeded();
}
