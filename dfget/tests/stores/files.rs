//! Credentials in the files of the stores' own tools: the servers check what is signed with them.

use std::{fs, os::unix::fs::chown};

use faultplug::Content;
use rustix::process::geteuid;
use serde_json::json;

use crate::{
    harness::{Dfget, Run, TestEnv, skip},
    store::{Bucket, Store, azurite, cos, obs, oss},
};

const SMALL: Content = Content { seed: 61, size: 2_000 };
const KEYS: [&str; 2] = ["access-key-id", "access-key-secret"];
const ALL: [&str; 4] = ["access-key-id", "access-key-secret", "endpoint", "region"];

/// One file of one tool.
struct Tool {
    store: fn() -> Option<&'static Store>,
    /// Beneath the user's home.
    path: &'static str,
    /// With `<id>`, `<secret>` and `<token>`, `<endpoint>` and its `<host>`.
    text: &'static str,
    /// The variables of a key.
    variables: [&'static str; 2],
}

const TOOLS: [Tool; 4] = [OSSUTIL, OSSUTIL_2, COSCMD, OBSUTIL];

const OSSUTIL: Tool = Tool {
    store: oss,
    path: ".ossutilconfig",
    text: "\
[Credentials]
language=EN
endpoint=<endpoint>
accessKeyID=<id>
accessKeySecret=<secret>
stsToken=<token>
[Default]
loglevel=info
",
    variables: ["OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"],
};

const OSSUTIL_2: Tool = Tool {
    text: "\
[Credentials]
accessKeyID = nobody
accessKeySecret = nothing
[default]
mode = StsToken
access-key-id = <id>
access_key_secret = <secret>
ststoken = <token>
endpoint = <endpoint>
",
    ..OSSUTIL
};

/// Without an endpoint.
const ALIYUN: Tool = Tool {
    path: ".aliyun/config.json",
    text: r#"{
  "current": "reader",
  "profiles": [
    {"name": "default", "mode": "AK", "access_key_id": "nobody", "access_key_secret": "nothing"},
    {"name": "reader", "mode": "StsToken", "access_key_id": "<id>", "access_key_secret": "<secret>",
     "sts_token": "<token>", "region_id": "eu-central-1"},
    {"name": "machine", "mode": "EcsRamRole", "access_key_id": "", "ram_role_name": "role"}
  ],
  "meta_path": ""
}"#,
    ..OSSUTIL
};

const COSCMD: Tool = Tool {
    store: cos,
    path: ".cos.conf",
    text: "\
[common]
secret_id = <id>
secret_key = <secret>
token = <token>
bucket = other-125
endpoint = <host>
schema = http
verify = md5
anonymous = False
",
    variables: ["COS_SECRET_ID", "COS_SECRET_KEY"],
};

const OBSUTIL: Tool = Tool {
    store: obs,
    path: ".obsutilconfig",
    text: "\
# obsutil
endpoint=<endpoint>
ak=<id>
sk=<secret>
token=<token>
",
    variables: ["OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY"],
};

impl Tool {
    /// Puts its file, with this key, into the home of the test.
    fn save(&self, test: &TestEnv, store: &Store, [id, secret, token]: [&str; 3]) {
        let endpoint = store.option("endpoint");
        let text = self.text.replace("<endpoint>", endpoint).replace("<host>", endpoint.trim_start_matches("http://"));
        save(test, self.path, &text.replace("<id>", id).replace("<secret>", secret).replace("<token>", token));
    }

    /// With this key in the store's variables.
    fn with<'a>(&self, dfget: Dfget<'a>, id: &str, secret: &str) -> Dfget<'a> {
        dfget.env(self.variables[0], id).env(self.variables[1], secret)
    }
}

fn save(test: &TestEnv, path: &str, text: &str) {
    let path = test.path("home").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn own(store: &'static Store) -> [&'static str; 3] {
    [store.option("access-key-id"), store.option("access-key-secret"), ""]
}

fn temporary(store: &'static Store) -> [&'static str; 3] {
    ["key", "secret", "token"].map(|name| store.facts["temporary"][name].as_str().unwrap())
}

/// The store, and a bucket of it with one object.
fn one_object(test: &TestEnv, store: fn() -> Option<&'static Store>, name: &str) -> Option<(&'static Store, Bucket)> {
    let store = store()?;
    let bucket = store.bucket(name);
    bucket.put(test, "file", SMALL);
    Some((store, bucket))
}

/// Runs it with all that there is to log, in which none of these secrets is.
fn run(dfget: Dfget<'_>, secrets: &[&str]) -> Run {
    let run = dfget.args(&["-vv", "--overwrite"]).run();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        assert!(!run.stderr.contains(secret), "a secret is shown: {}", run.stderr);
    }
    run
}

#[test]
fn key_and_endpoint_are_found_in_the_file_of_the_stores_own_tool() {
    for tool in TOOLS {
        let test = TestEnv::new();
        let Some((store, bucket)) = one_object(&test, tool.store, "files-125") else { continue };
        let get = || bucket.get_without(&test, "file", SMALL, &ALL);
        for key in [own(store), temporary(store)] {
            tool.save(&test, store, key);
            run(get(), &key[1..]).succeeded();
            get().args(&["--isolate", "--overwrite"]).run().succeeded();
            // Even where it is no secret.
            let nowhere = bucket.get_without(&test, key[1], SMALL, &ALL);
            run(nowhere, &key[1..]).failed_saying(20, &["`***`"]);
        }
        let [id, secret, _] = temporary(store);
        tool.save(&test, store, [id, secret, "another-token"]);
        run(get(), &[secret, "another-token"]).failed_saying(21, &[]);
    }
}

#[test]
fn options_outweigh_variables_and_those_a_file() {
    for tool in TOOLS.into_iter().chain([ALIYUN]) {
        let test = TestEnv::new();
        let Some((store, bucket)) = one_object(&test, tool.store, "order-125") else { continue };
        let [id, secret, _] = own(store);
        let get = || bucket.get_without(&test, "file", SMALL, &KEYS);
        let wrong = ["the secret of the access key"];

        tool.save(&test, store, [id, "not-the-secret", ""]);
        run(tool.with(bucket.get(&test, "file", SMALL), id, "nor-this-one"), &[secret]).succeeded();
        run(tool.with(get(), id, secret), &[secret]).succeeded();
        run(get(), &["not-the-secret"]).failed_saying(21, &wrong);
        tool.save(&test, store, [id, secret, ""]);
        run(tool.with(get(), id, "nor-this-one"), &[secret, "nor-this-one"]).failed_saying(21, &wrong);
        run(get(), &[secret]).succeeded();
    }
}

#[test]
fn a_file_that_makes_no_sense_is_told_by_its_line_and_is_no_reason_to_ask_anonymously() {
    let broken = [
        (OSSUTIL, "[Credentials]\naccessKeyID=me\ns3cret-of-me\n", "line 3 is neither [SECTION] nor NAME = VALUE"),
        (OSSUTIL, "[Credential]\naccessKeySecret=s3cret-of-me\n", "it has no section [default] or [Credentials]"),
        (OSSUTIL, "[default]\naccessKeySecret=s3cret-of-me\n", "accessKeySecret is there without accessKeyID"),
        (ALIYUN, "{\"profiles\": [\n{\"access_key_secret\": s3cret-of-me", "line 2 is no JSON"),
        (ALIYUN, "{\"current\": \"reader\", \"profiles\": []}", "it has no profile reader"),
        (ALIYUN, "[{\"access_key_secret\": \"s3cret-of-me\"}]", "it has no profile default"),
        (COSCMD, "[common]\nsecret_id = me\n[s3cret-of-me\n", "line 3 is neither [SECTION] nor NAME = VALUE"),
        (COSCMD, "secret_id = me\nsecret_key = s3cret-of-me\n", "it has no section [common]"),
        (OBSUTIL, "ak=me\ns3cret-of-me\n", "line 2 is neither [SECTION] nor NAME = VALUE"),
        (OBSUTIL, "ak=me\nsk=\n", "ak is there without sk"),
    ];
    for (tool, text, fact) in broken {
        let test = TestEnv::new();
        let Some(store) = (tool.store)() else { continue };
        let bucket = store.public_bucket("broken-125");
        bucket.put(&test, "file", SMALL);
        save(&test, tool.path, text);
        let get = || bucket.get_without(&test, "file", SMALL, &KEYS);
        let said =
            format!("the credential file ROOT/home/{} cannot be used: {fact}; mend it, or use options", tool.path);
        run(get(), &["s3cret-of-me"]).failed_saying(21, &[&said]);
        // It is not looked at.
        run(bucket.get(&test, "file", SMALL), &[]).succeeded();
        run(get().args(&["--opt", "anonymous=true"]), &[]).succeeded();
    }
}

#[test]
fn where_no_store_can_be_is_told_of_the_file_that_says_so() {
    let nowhere = [
        (OSSUTIL, "[Credentials]\nendpoint=http://me:s3cret-of-me@store\n"),
        (ALIYUN, r#"{"profiles": [{"name": "default", "region_id": "a b"}]}"#),
        (COSCMD, "[common]\nendpoint = store\nschema = ftp\n"),
        (OBSUTIL, "endpoint=http://store?a=b\n"),
    ];
    for (tool, text) in nowhere {
        let test = TestEnv::new();
        let Some((_, bucket)) = one_object(&test, tool.store, "unaddressed-125") else { continue };
        save(&test, tool.path, text);
        let get = bucket.get_without(&test, "file", SMALL, &["endpoint", "region"]);
        let fact = "where it says that the store is, is no address; mend it, or use options";
        let said = format!("the credential file ROOT/home/{} cannot be used: {fact}", tool.path);
        run(get, &["s3cret-of-me"]).failed_saying(21, &[&said]);
    }
}

#[test]
fn what_only_its_own_tool_can_read_is_told() {
    let test = TestEnv::new();
    let Some((store, bucket)) = one_object(&test, obs, "encrypted-125") else { return };
    let encrypted = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    OBSUTIL.save(&test, store, [encrypted, encrypted, ""]);
    let run = run(bucket.get_without(&test, "file", SMALL, &ALL), &[encrypted]);
    run.failed_saying(
        21,
        &[".obsutilconfig cannot be used: obsutil has encrypted ak and sk, and nothing else can read"],
    );
    // Its endpoint is of use.
    let get = bucket.get_without(&test, "file", SMALL, &["endpoint", "region"]);
    get.run().succeeded();

    let Some((_, bucket)) = one_object(&test, cos, "yaml-125") else { return };
    save(&test, ".cos.yaml", "cos:\n  base:\n    secretid: x\n");
    let run = bucket.get_without(&test, "file", SMALL, &KEYS).args(&["-v", "--overwrite"]).run();
    run.failed_saying(21, &["~/.cos.yaml is coscli's, and not read", "~/.cos.conf"]);
}

#[test]
fn what_obsutil_writes_before_anybody_has_said_anything_is_nothing() {
    let test = TestEnv::new();
    let Some(store) = obs() else { return };
    let bucket = store.public_bucket("untouched-125");
    bucket.put(&test, "file", SMALL);
    let untouched =
        "endpoint=http://your-endpoint\nak=*** Provide your Access Key ***\nsk=*** Provide your Secret Key ***\n";
    save(&test, ".obsutilconfig", untouched);
    bucket.get_without(&test, "file", SMALL, &KEYS).run().succeeded();
    let nowhere = bucket.get_without(&test, "file", SMALL, &ALL).arg("--overwrite").run();
    nowhere.failed_saying(24, &["it is not known where the bucket is"]);
}

#[test]
fn the_file_of_another_user_is_not_believed() {
    if !geteuid().is_root() {
        return skip("the_file_of_another_user_is_not_believed", "only root gives files away");
    }
    for tool in TOOLS {
        let test = TestEnv::new();
        let Some((store, bucket)) = one_object(&test, tool.store, "owner-125") else { continue };
        tool.save(&test, store, own(store));
        chown(test.path("home").join(tool.path), Some(54_321), None).unwrap();
        let run = run(bucket.get_without(&test, "file", SMALL, &KEYS), &[]);
        run.failed_saying(21, &[tool.path, "it belongs to user 54321, and you are 0; make it your own, or"]);
    }
}

#[test]
fn variables_of_alibabas_tools_name_files_and_profiles() {
    let test = TestEnv::new();
    let Some((store, bucket)) = one_object(&test, oss, "profiles-125") else { return };
    let get = || bucket.get_without(&test, "file", SMALL, &KEYS);
    let [id, secret, _] = own(store);
    let elsewhere = test.path("home/elsewhere");
    save(&test, "elsewhere", &format!("[profile reader]\naccessKeyId={id}\naccessKeySecret={secret}\n[default]\n"));
    let named = || get().env("OSSUTIL_CONFIG_FILE", &elsewhere);
    run(named().env("OSSUTIL_PROFILE", "reader"), &[secret]).succeeded();
    run(named().env("OSSUTIL_PROFILE", "writer"), &[]).failed_saying(21, &["it has no section [writer]"]);
    run(named(), &[]).failed_saying(21, &["anonymous"]);
    save(&test, "machine", "[default]\nmode = EcsRamRole\n");
    let left = "is left alone: dfget does not know its mode EcsRamRole";
    run(get().env("OSSUTIL_CONFIG_FILE", test.path("home/machine")), &[]).failed_saying(21, &[left]);
    let missing = get().env("OSSUTIL_CONFIG_FILE", test.path("home/nowhere"));
    run(missing, &[]).failed_saying(21, &["home/nowhere cannot be used: it is not there; mend OSSUTIL_CONFIG_FILE"]);

    ALIYUN.save(&test, store, own(store));
    run(get(), &[secret]).succeeded();
    for (name, value) in [("ALIBABA_CLOUD_IGNORE_PROFILE", "TRUE"), ("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "true")] {
        run(get().env(name, value), &[]).failed_saying(21, &["anonymous"]);
        run(get().env(name, "false"), &[secret]).succeeded();
    }
    run(get().env("ALIBABA_CLOUD_PROFILE", "default"), &[]).failed_saying(21, &["the store knows no such access key"]);
    run(get().env("ALIBABA_CLOUD_PROFILE", "machine"), &[]).failed_saying(21, &[left]);
    fs::rename(test.path("home/.aliyun/config.json"), test.path("home/other.json")).unwrap();
    run(get().env("ALIBABA_CLOUD_CONFIG_FILE", test.path("home/other.json")), &[secret]).succeeded();
}

mod azure {
    use super::*;

    const ACCESS: [&str; 3] = ["endpoint", "account-name", "account-key"];

    #[test]
    fn account_and_key_are_found_in_the_file_of_az() {
        let test = TestEnv::new();
        let Some((store, bucket)) = one_object(&test, azurite, "azure-125") else { return };
        let [account, key] = ["account-name", "account-key"].map(|name| store.option(name));
        let text = format!("[core]\noutput = table\n[storage]\naccount = {account}\nkey = {key}\n");
        save(&test, ".azure/config", &text);
        let get = || bucket.get_without(&test, "file", SMALL, &ACCESS[1..]);
        run(get(), &[key]).succeeded();
        get().args(&["--isolate", "--overwrite"]).run().succeeded();
        run(get().arg("--opt").arg(format!("account-name={account}")), &[key]).succeeded();

        let wrong = "dGhpcy1pcy1ub3QtdGhlLWtleS1vZi10aGUtYWNjb3VudA==";
        run(get().env("AZURE_STORAGE_KEY", wrong), &[key, wrong]).failed_saying(21, &["account key"]);
        save(&test, ".azure/config", &text.replace(key, wrong));
        run(get(), &[wrong]).failed_saying(21, &["account key"]);
        run(get().env("AZURE_STORAGE_ACCOUNT", account).env("AZURE_STORAGE_KEY", key), &[key]).succeeded();

        fs::create_dir(test.path("home/az")).unwrap();
        save(&test, "az/config", &text);
        run(get().env("AZURE_CONFIG_DIR", test.path("home/az")), &[key]).succeeded();
    }

    #[test]
    fn a_signature_or_a_connection_string_may_be_in_the_file_of_az() {
        let test = TestEnv::new();
        let Some((store, bucket)) = one_object(&test, azurite, "azure-more-125") else { return };
        let [endpoint, account, key] = ACCESS.map(|name| store.option(name));
        let signature = store.call(&json!({"do": "signature", "bucket": bucket.name, "hours": 1}));
        let signature = signature.as_str().unwrap();
        assert!(signature.contains('%'), "{signature}");
        let of_python = signature.replace('%', "%%");
        save(&test, ".azure/config", &format!("[storage]\naccount={account}\nkey=bm8=\nsas_token=?{of_python}\n"));
        let secret = signature.split("sig=").nth(1).unwrap();
        run(bucket.get_without(&test, "file", SMALL, &ACCESS[1..]), &[secret]).succeeded();

        let string = format!("AccountName={account};AccountKey={key};BlobEndpoint={endpoint};");
        save(&test, ".azure/config", &format!("[storage]\nconnection_string={string}\n"));
        run(bucket.get_without(&test, "file", SMALL, &ACCESS), &[key]).succeeded();
    }

    #[test]
    fn what_is_saved_of_an_account_goes_to_no_other_one() {
        let test = TestEnv::new();
        let Some((store, bucket)) = one_object(&test, azurite, "azure-other-125") else { return };
        let signature = store.call(&json!({"do": "signature", "bucket": bucket.name, "hours": 1}));
        let signature = signature.as_str().unwrap();
        save(
            &test,
            ".azure/config",
            &format!("[storage]\naccount=other\nsas_token={}\n", signature.replace('%', "%%")),
        );
        run(bucket.get_without(&test, "file", SMALL, &ACCESS[1..]), &[]).failed_saying(21, &["anonymous"]);
        run(bucket.get_without(&test, "file", SMALL, &["account-key"]), &[]).failed_saying(21, &["anonymous"]);
        assert!(bucket.requests().iter().all(|request| !request.target().contains("sig=")));
    }

    #[test]
    fn a_file_of_az_that_makes_no_sense_is_told() {
        let test = TestEnv::new();
        let Some((_, bucket)) = one_object(&test, azurite, "azure-broken-125") else { return };
        let broken = [
            ("[storage]\nkey = x\ns3cret-of-me\n", "line 3 is neither [SECTION] nor NAME = VALUE"),
            ("[storage]\nconnection_string = s3cret-of-me\n", "connection_string is not NAME=VALUE;NAME=VALUE"),
            ("[storage]\nkey = s3cret-of-me\n", "key is no base64"),
            (
                "[storage]\nconnection_string = BlobEndpoint=http://store;AccountName=me;AccountKey=s3cret-of-me\n",
                "connection_string has no endpoint, or a key that is no base64",
            ),
            (
                "[storage]\nconnection_string = \"BlobEndpoint=http://store;AccountKey=s3cret-of-me\"\n",
                "connection_string has no endpoint, or a key that is no base64",
            ),
        ];
        for (text, fact) in broken {
            save(&test, ".azure/config", text);
            let said = format!(".azure/config cannot be used: {fact}; mend it, or use options or variables instead");
            let failed = run(bucket.get_without(&test, "file", SMALL, &ACCESS[1..]), &["s3cret-of-me"]);
            failed.failed_saying(21, &[&said]);
            run(bucket.get(&test, "file", SMALL), &[]).succeeded();
        }
        // Nor is it shown which of its characters makes it none.
        let told = bucket.get_without(&test, "file", SMALL, &ACCESS[2..]).env("AZURE_STORAGE_KEY", "s3cret-of-me");
        let failed = run(told, &["s3cret-of-me", "45", "offset"]);
        failed.failed_saying(24, &["the account key is no base64"]);
    }
}
