use http::StatusCode;

use super::*;

const WORDS: Words = Words { bucket: "bucket", secret: "the secret", credentials: "access-key-id" };

const ASKED: Asked<'static> =
    Asked { bucket: "b", key: "a/k", version: Some("v1"), anonymous: false, region: Some("us-east-1"), words: WORDS };

fn came(status: u16, header: &[(&'static str, &'static str)], body: &'static str) -> Came {
    let header = header.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let status = StatusCode::from_u16(status).unwrap();
    Came { status, header, refusal: body.into(), host: "h".into(), head: false }
}

fn xml(status: u16, code: &str, more: &str) -> Came {
    let body = format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>It is so.</Message>{more}</Error>");
    Came { refusal: body.into(), ..came(status, &[], "") }
}

/// `CLASS: text`
fn told(asked: Asked<'_>, came: &Came) -> String {
    match refused(asked, came) {
        Error::NotFound(text) => format!("not found: {text}"),
        Error::Unauthenticated(text) => format!("unauthenticated: {text}"),
        Error::PermissionDenied(text) => format!("denied: {text}"),
        Error::Unavailable { message, retry_after } => format!("unavailable {retry_after:?}: {message}"),
        Error::Changed(text) => format!("changed: {text}"),
        Error::InvalidRequest(text) => format!("invalid: {text}"),
        error => format!("else: {error}"),
    }
}

#[test]
fn each_code_of_a_store_says_what_to_do() {
    for (came, expected) in [
        (xml(404, "NoSuchKey", ""), "not found: there is no object `a/k` in `b` (404 NoSuchKey: It is so)"),
        (
            xml(404, "NoSuchBucket", ""),
            "not found: there is no bucket `b` at h: check its name, the region and the endpoint (404 NoSuchBucket: It is so)",
        ),
        (
            xml(403, "InvalidAccessKeyId", ""),
            "unauthenticated: the store knows no such access key: access-key-id (403 InvalidAccessKeyId: It is so)",
        ),
        (
            xml(403, "SignatureDoesNotMatch", ""),
            "unauthenticated: the signature does not fit: check the secret and the endpoint (403 SignatureDoesNotMatch: It is so)",
        ),
        (
            xml(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
            "invalid: the bucket `b` is in region `eu-west-1`, not in `us-east-1`: set --opt region=eu-west-1 (400 AuthorizationHeaderMalformed: It is so)",
        ),
        (
            xml(403, "AccessDenied", "<Endpoint>oss-cn-beijing.aliyuncs.com</Endpoint>"),
            "invalid: the bucket `b` is at another endpoint: set --opt endpoint=oss-cn-beijing.aliyuncs.com (403 AccessDenied: It is so)",
        ),
        (
            xml(400, "ExpiredToken", ""),
            "unauthenticated: the session token has expired: get a new one (400 ExpiredToken: It is so)",
        ),
        (
            xml(403, "InvalidObjectState", "<StorageClass>GLACIER</StorageClass>"),
            "invalid: the object is archived as GLACIER: restore it first (403 InvalidObjectState: It is so)",
        ),
        (xml(503, "SlowDown", ""), "unavailable None: the store is overloaded (503 SlowDown: It is so)"),
        (
            xml(403, "AccessDenied", ""),
            "denied: these credentials may not read it; without the right to list, a missing object is refused alike (403 AccessDenied: It is so)",
        ),
        (xml(412, "PreconditionFailed", ""), "changed: the resource has changed (412 PreconditionFailed: It is so)"),
        (xml(400, "Strange", ""), "invalid: the store refuses the request (400 Strange: It is so)"),
    ] {
        assert_eq!(told(ASKED, &came), expected);
    }
}

#[test]
fn a_version_that_is_not_there_is_told_apart_from_an_object() {
    let expected = "not found: there is no version `v1` of `a/k` in `b` (404 NoSuchVersion: It is so)";
    assert_eq!(told(ASKED, &xml(404, "NoSuchVersion", "")), expected);
    let strange = came(400, &[], "<Code>InvalidArgument</Code><Message>Invalid version id specified</Message>");
    assert!(told(ASKED, &strange).starts_with("not found: there is no version `v1`"));
}

#[test]
fn both_clocks_are_told() {
    let skewed = xml(403, "RequestTimeTooSkewed", "<ServerTime>2026-01-02T03:04:05Z</ServerTime>");
    let text = told(ASKED, &skewed);
    assert!(text.starts_with("unauthenticated: the clocks differ: it is 2"), "{text}");
    assert!(text.contains(" here, and 2026-01-02T03:04:05Z at the store; set the clock of this machine"), "{text}");
}

#[test]
fn who_has_no_credentials_is_told_how_to_set_them() {
    let anonymous = Asked { anonymous: true, ..ASKED };
    let expected =
        "unauthenticated: anonymous access is refused: give credentials by access-key-id (403 AccessDenied: It is so)";
    assert_eq!(told(anonymous, &xml(403, "AccessDenied", "")), expected);
}

#[test]
fn an_answer_without_a_body_is_read_by_its_header() {
    let moved = came(301, &[("x-amz-bucket-region", "eu-west-1")], "");
    let expected =
        "invalid: the bucket `b` is in region `eu-west-1`, not in `us-east-1`: set --opt region=eu-west-1 (status 301)";
    assert_eq!(told(ASKED, &moved), expected);
    assert!(Came { head: true, ..moved }.is_mute());
    let azure = Came { head: true, ..came(404, &[("x-ms-error-code", "ContainerNotFound")], "") };
    assert!(told(ASKED, &azure).starts_with("not found: there is no bucket `b`"));
    assert!(!azure.is_mute());
    let oss = came(404, &[("x-oss-err", "PEVycm9yPjxDb2RlPk5vU3VjaEtleTwvQ29kZT48L0Vycm9yPg==")], "");
    assert_eq!(told(ASKED, &oss), "not found: there is no object `a/k` in `b` (404 NoSuchKey)");
    let busy = came(503, &[("retry-after", "7")], "");
    assert_eq!(told(ASKED, &busy), "unavailable Some(7s): the store is overloaded (status 503)");
}

#[test]
fn refusals_in_json_are_read_too() {
    let google =
        came(404, &[], r#"{"error":{"code":404,"message":"No such object: b/a/k","errors":[{"reason":"notFound"}]}}"#);
    assert_eq!(
        told(ASKED, &google),
        "not found: there is no object `a/k` in `b` (404 notFound: No such object: b/a/k)"
    );
    let hdfs = came(
        404,
        &[],
        r#"{"RemoteException":{"exception":"FileNotFoundException","message":"File does not exist: /a/k"}}"#,
    );
    let expected = "not found: there is no object `a/k` in `b` (404 FileNotFoundException: File does not exist: /a/k)";
    assert_eq!(told(ASKED, &hdfs), expected);
    let wrong =
        came(404, &[], "It looks like you are making an HTTP request to a Hadoop IPC port. This is not it.\r\n");
    assert!(told(ASKED, &wrong).starts_with("invalid: this is the port of Hadoop's own protocol"));
}

#[test]
fn a_page_of_something_else_is_not_read_as_a_refusal() {
    let page = came(502, &[], "<html><Code>x</html>");
    assert_eq!(told(ASKED, &page), "unavailable None: the store is out of order (status 502)");
}

/// As Azure's documentation of its error codes has them, and Google's of service accounts.
#[test]
fn one_code_for_many_things_is_told_by_its_detail() {
    let azure = |code, detail: &str, message: &str| {
        let detail = format!("<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>");
        let body = format!("<Error><Code>{code}</Code><Message>{message}</Message>{detail}</Error>");
        told(Asked { anonymous: false, ..ASKED }, &Came { refusal: body.into(), ..came(403, &[], "") })
    };
    let old = "Request date header too old: 'Wed, 25 Nov 2026 10:00:00 GMT'";
    assert!(azure("AuthenticationFailed", old, "m").starts_with("unauthenticated: the clocks differ: "));
    let late = "Signature not valid in the specified time frame: Start [a] - Expiry [b] - Current [c]";
    assert!(azure("AuthenticationFailed", late, "m").contains("the shared access signature has expired"));
    let wrong = "The MAC signature found in the HTTP request is not the same as any computed signature.";
    assert!(azure("AuthenticationFailed", wrong, "m").contains("the signature does not fit"));
    let network = "This request is not authorized to perform this operation.";
    assert!(azure("AuthorizationFailure", "", network).starts_with("denied: these credentials may not read it"));
    let closed = told(Asked { anonymous: true, ..ASKED }, &xml(409, "PublicAccessNotPermitted", ""));
    assert!(closed.starts_with("unauthenticated: anonymous access is refused"), "{closed}");
    let skewed = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat \
                  and exp values in the JWT claim.";
    let body = format!(r#"{{"error": "invalid_grant", "error_description": "{skewed}"}}"#);
    let google = told(ASKED, &Came { refusal: body.into(), ..came(400, &[], "") });
    assert!(google.starts_with("unauthenticated: the clocks differ: "), "{google}");
}
