//! Who may not, and what dfget says then: the fact, the next step, and no secret.

use faultplug::Content;

use crate::{
    harness::{Dfget, Run, TestEnv},
    store::{Bucket, Store, azurite, cos, gcs, moto, obs, oss, versitygw, webhdfs},
};

const CONTENT: Content = Content { seed: 3, size: 1_000 };

/// More than any store lets a clock be off.
const SKEW: &str = "-2h";

/// A bucket with one object, `file`.
fn one_object(test: &TestEnv, store: &'static Store, name: &str) -> Bucket {
    let bucket = store.bucket(name);
    bucket.put(test, "file", CONTENT);
    bucket
}

/// Runs it with all that there is to log; none of that may be a secret.
fn run(store: &Store, dfget: Dfget<'_>, more: &[&str]) -> Run {
    let run = dfget.arg("-vv").run();
    let secrets = store.secrets();
    for secret in secrets.iter().map(String::as_str).chain(more.iter().copied()) {
        let shown = run.stderr.contains(secret) || run.stdout().contains(secret);
        assert!(!shown, "a secret is shown: {}", run.stderr);
    }
    run
}

fn with<'a>(dfget: Dfget<'a>, options: &[(&str, &str)]) -> Dfget<'a> {
    options.iter().fold(dfget, |dfget, (name, value)| dfget.arg("--opt").arg(format!("{name}={value}")))
}

/// With a clock that is two hours off; `None` where nothing can turn it.
fn with_skew<'a>(dfget: Dfget<'a>, name: &str) -> Option<Dfget<'a>> {
    let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64"];
    let library = places.map(|place| format!("{place}/faketime/libfaketime.so.1"));
    let Some(library) = library.into_iter().find(|path| std::path::Path::new(path).exists()) else {
        crate::harness::skip(name, "libfaketime is missing");
        return None;
    };
    Some(dfget.env("LD_PRELOAD", library).env("FAKETIME", SKEW).env("FAKETIME_DONT_FAKE_MONOTONIC", "1"))
}

/// Tests `$case` for stores, each with what is to be said.
macro_rules! refused {
    ($case:ident: $($store:ident $code:literal $words:tt;)*) => {
        mod $case { $(
            #[test]
            fn $store() {
                if let Some(store) = super::$store() {
                    super::check::$case(store, $code, &$words);
                }
            }
        )* }
    };
}

refused! { a_wrong_secret:
    versitygw 21 ["the secret"];
    moto 21 ["the secret"];
    oss 21 ["the secret"];
    cos 21 ["the secret"];
    obs 21 ["the secret"];
}

refused! { an_unknown_key:
    versitygw 21 ["access key"];
    moto 21 ["access key"];
    oss 21 ["access key"];
    cos 21 ["access key"];
    obs 21 ["access key"];
}

refused! { a_clock_that_is_off:
    versitygw 21 ["clock"];
    oss 21 ["clock"];
    cos 21 ["clock"];
    obs 21 ["clock"];
}

refused! { nobody_in_particular_where_somebody_is_wanted:
    versitygw 21 ["credentials"];
    oss 21 ["credentials"];
    cos 21 ["credentials"];
    obs 21 ["credentials"];
    azurite 21 ["credentials"];
    gcs 21 ["credentials"];
}

refused! { no_such_object:
    versitygw 20 [];
    moto 20 [];
    oss 20 [];
    cos 20 [];
    obs 20 [];
    azurite 20 [];
    gcs 20 [];
    webhdfs 20 [];
}

refused! { no_such_bucket:
    versitygw 20 ["no bucket"];
    moto 20 ["no bucket"];
    oss 20 ["no bucket"];
    cos 20 ["no bucket"];
    obs 20 ["no bucket"];
    azurite 20 ["no container"];
    gcs 20 [];
    webhdfs 20 [];
}

refused! { no_such_bucket_to_list:
    versitygw 20 ["no bucket"];
    moto 20 ["no bucket"];
    oss 20 ["no bucket"];
    cos 20 ["no bucket"];
    obs 20 ["no bucket"];
    azurite 20 ["no container"];
    gcs 20 [];
    webhdfs 20 [];
}

refused! { a_wrong_secret_that_lists:
    versitygw 21 ["the secret"];
    moto 21 ["the secret"];
    oss 21 ["the secret"];
    cos 21 ["the secret"];
    obs 21 ["the secret"];
}

refused! { an_expired_token:
    oss 21 ["expired"];
    cos 21 ["expired"];
    obs 21 ["expired"];
}

mod check {
    use super::*;

    const WRONG: &str = "this-is-not-the-secret";

    pub(super) fn a_wrong_secret(store: &'static Store, code: i32, words: &[&str]) {
        let test = TestEnv::new();
        let bucket = one_object(&test, store, "wrong-secret-125");
        let dfget = bucket.get_without(&test, "file", CONTENT, &["access-key-secret"]);
        run(store, with(dfget, &[("access-key-secret", WRONG)]), &[WRONG]).failed_saying(code, words);
    }

    pub(super) fn a_wrong_secret_that_lists(store: &'static Store, code: i32, words: &[&str]) {
        let test = TestEnv::new();
        let bucket = one_object(&test, store, "wrong-secret-list-125");
        let dfget = store.with(test.dfget(&["-r", "-O", "tree", &bucket.url("")]), &["access-key-secret"]);
        let dfget = with(dfget, &[("access-key-secret", WRONG)]).into_directory("tree");
        run(store, dfget, &[WRONG]).failed_saying(code, words);
    }

    pub(super) fn an_unknown_key(store: &'static Store, code: i32, words: &[&str]) {
        let test = TestEnv::new();
        let bucket = one_object(&test, store, "unknown-key-125");
        let dfget = bucket.get_without(&test, "file", CONTENT, &["access-key-id"]);
        run(store, with(dfget, &[("access-key-id", "AKIANOBODYKNOWSTHIS0")]), &[]).failed_saying(code, words);
    }

    pub(super) fn a_clock_that_is_off(store: &'static Store, code: i32, words: &[&str]) {
        let test = TestEnv::new();
        let bucket = one_object(&test, store, "clock-125");
        let Some(dfget) = with_skew(bucket.get(&test, "file", CONTENT), "a_clock_that_is_off") else { return };
        run(store, dfget, &[]).failed_saying(code, words);
    }

    const CREDENTIALS: [&str; 5] = ["access-key-id", "access-key-secret", "account-key", "account-name", "token"];

    pub(super) fn nobody_in_particular_where_somebody_is_wanted(store: &'static Store, code: i32, words: &[&str]) {
        let test = TestEnv::new();
        let bucket = one_object(&test, store, "anonymous-125");
        let anonymous =
            |bucket: &Bucket| with(bucket.get_without(&test, "file", CONTENT, &CREDENTIALS), &[("anonymous", "true")]);
        run(store, anonymous(&bucket), &[]).failed_saying(code, words);
        let public = store.public_bucket("public-125");
        public.put(&test, "file", CONTENT);
        anonymous(&public).run().succeeded();
    }

    pub(super) fn no_such_object(store: &'static Store, code: i32, words: &[&str]) {
        let test = TestEnv::new();
        let bucket = one_object(&test, store, "no-object-125");
        run(store, bucket.get(&test, "nowhere", CONTENT), &[]).failed_saying(code, words);
    }

    pub(super) fn no_such_bucket(store: &'static Store, code: i32, words: &[&str]) {
        let test = TestEnv::new();
        let nowhere = Bucket { store, name: "nowhere-125".into() };
        run(store, nowhere.get(&test, "file", CONTENT), &[]).failed_saying(code, words);
    }

    pub(super) fn no_such_bucket_to_list(store: &'static Store, code: i32, words: &[&str]) {
        let test = TestEnv::new();
        let nowhere = Bucket { store, name: "nowhere-125".into() };
        let dfget = nowhere.dfget(&test, &["-r", "-O", "tree"], "top/").into_directory("tree");
        run(store, dfget, &[]).failed_saying(code, words);
    }

    pub(super) fn an_expired_token(store: &'static Store, code: i32, words: &[&str]) {
        let test = TestEnv::new();
        let bucket = one_object(&test, store, "expired-125");
        let get = |kind: &str| {
            let facts = &store.facts[kind];
            let [key, secret, token] = ["key", "secret", "token"].map(|name| facts[name].as_str().unwrap());
            let dfget = bucket.get_without(&test, "file", CONTENT, &["access-key-id", "access-key-secret"]);
            let options = [("access-key-id", key), ("access-key-secret", secret), ("session-token", token)];
            run(store, with(dfget, &options), &[secret, token])
        };
        assert!(get("temporary").is_success());
        std::fs::remove_file(test.work("file")).unwrap();
        get("expired").failed_saying(code, words);
    }
}
