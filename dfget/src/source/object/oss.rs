//! `oss://`: Alibaba Cloud OSS.

mod aliyun;
mod ossutil;

use std::sync::Arc;

use opendal::services::Oss;
use plugin_sdk::{Error, Options, ResourceClient};

use self::{aliyun::ALIYUN, ossutil::OSSUTIL};
use super::{
    Asking, Identity, Service, Store, Versions, Words,
    files::{self, Tool},
    rules::Rules,
    told::{self, Addressing, Told},
};
use crate::source::{KnownOption, network};

const STORE: Store = Store {
    service,
    identity: Identity::ETag,
    versions: Versions::Known,
    words: Words {
        bucket: "bucket",
        secret: "the secret of the access key",
        credentials: "--opt access-key-id=… with access-key-secret=…, OSS_ACCESS_KEY_ID with …_SECRET, or ~/.ossutilconfig",
    },
};

pub(in crate::source) const OPTIONS: &[&[KnownOption]] =
    &[told::OPTIONS, told::REGIONAL, OWN_OPTIONS, network::OPTIONS];

const OWN_OPTIONS: &[KnownOption] = &[KnownOption { name: "role-arn", summary: "the role to assume with the key" }];

const OWN: &[&str] = &[".aliyuncs.com"];

const KEYS: &[[&str; 3]] = &[
    ["ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"],
    ["OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"],
];

/// By which a key is lent to a pod.
const LENT: &[&str] = &["ALIBABA_CLOUD_OIDC_TOKEN_FILE"];

/// OSS' own tool first.
const TOOLS: &[Tool] = &[OSSUTIL, ALIYUN];

pub(in crate::source) fn open(options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    super::open(&STORE, options)
}

fn service(told: &Told, bucket: &str, asking: &Asking) -> Result<Service, Error> {
    let region = told.either("region", &["OSS_REGION", "ALIBABA_CLOUD_REGION_ID"]);
    let own = region.map(own);
    let endpoint = files::endpoint(told, told.either("endpoint", &["OSS_ENDPOINT"]).or(own.as_deref()), TOOLS)?;
    let hint = "--opt region=cn-hangzhou, --opt endpoint=oss-cn-hangzhou.aliyuncs.com, or OSS_ENDPOINT";
    let endpoint = told::endpoint_or(endpoint.as_deref(), hint)?;
    let style = match Addressing::of(told, &endpoint, OWN)? {
        Addressing::Path => "path",
        Addressing::Virtual => "virtual",
        Addressing::Domain => "cname",
    };
    let mut builder = Oss::default().bucket(bucket).endpoint(endpoint.as_str()).addressing_style(style);
    if asking.anonymous {
        builder = builder.skip_signature();
    } else if let Some(keys) = files::keys(told, KEYS, LENT, TOOLS)? {
        builder = builder.access_key_id(&keys.id).access_key_secret(&keys.secret);
        builder = builder.security_token(keys.token.as_deref().unwrap_or_default());
    }
    builder = builder.role_arn(told.option(&["role-arn"]).unwrap_or_default());
    let rules = Rules { instance_metadata: told.is_on("instance-metadata")?, ..Rules::default() };
    Service::new(builder, rules, asking)
}

/// The store's own endpoint for a region.
fn own(region: &str) -> String {
    format!("https://oss-{}.aliyuncs.com", region.trim_start_matches("oss-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIYUN: &str = r#"{"profiles": [{"name": "default", "access_key_id": "id", "access_key_secret": "secret",
        "region_id": "cn-beijing"}]}"#;

    #[test]
    fn the_region_of_a_file_is_an_endpoint_and_what_is_lent_comes_before_it() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aliyun")).unwrap();
        std::fs::write(home.path().join(".aliyun/config.json"), ALIYUN).unwrap();
        let home_is = ("HOME", home.path().to_str().unwrap());
        let told = told::told(&[], &[home_is]);
        let endpoint = || files::endpoint(&told, None, TOOLS).unwrap();
        assert_eq!(endpoint().as_deref(), Some("https://oss-cn-beijing.aliyuncs.com"));
        std::fs::write(home.path().join(".ossutilconfig"), "[default]\nregion = oss-eu-west-1\n").unwrap();
        assert_eq!(endpoint().as_deref(), Some("https://oss-eu-west-1.aliyuncs.com"));

        let is_known = |told: &Told| files::keys(told, KEYS, LENT, TOOLS).unwrap().is_some();
        assert!(is_known(&told) && !is_known(&told::told(&[], &[home_is, (LENT[0], "/token")])));
    }
}
