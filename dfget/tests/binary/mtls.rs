//! AutoMTLS: a plugin in TLS is the same plugin, and one that does not do what was asked is refused.

use std::fs;

use crate::harness::TestEnv;

const IN_TLS: [&str; 1] = ["--plugin-mtls"];

#[test]
fn a_download_in_tls_is_the_same_download() {
    let test = TestEnv::new();
    test.get("good://h/file?size=3000000").args(&IN_TLS).run().succeeded();
    let in_tls = fs::read(test.work("file")).unwrap();
    let other = TestEnv::new();
    other.get("good://h/file?size=3000000").run().succeeded();
    assert_eq!(in_tls.len(), 3_000_000);
    assert!(in_tls == fs::read(other.work("file")).unwrap());
}

#[test]
fn a_certificate_that_nobody_has_the_key_of_leads_to_no_call() {
    let run = TestEnv::new().get("certificate://h/file").args(&IN_TLS).run();
    run.failed_saying(13, &["cannot be reached after its handshake: TLS: "]);
}
