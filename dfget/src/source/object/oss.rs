//! `oss://`: Alibaba Cloud OSS.

use std::sync::Arc;

use opendal::services::Oss;
use plugin_sdk::{Error, Options, ResourceClient};

use super::{
    Asking, Identity, Service, Store, Versions, Words,
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
        credentials: "--opt access-key-id=… with access-key-secret=…, or OSS_ACCESS_KEY_ID with OSS_ACCESS_KEY_SECRET",
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

pub(in crate::source) fn open(options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    super::open(&STORE, options)
}

fn service(told: &Told, bucket: &str, asking: &Asking) -> Result<Service, Error> {
    let region = told.either("region", &["OSS_REGION", "ALIBABA_CLOUD_REGION_ID"]);
    let own = region.map(|region| format!("https://oss-{}.aliyuncs.com", region.trim_start_matches("oss-")));
    let endpoint = told.either("endpoint", &["OSS_ENDPOINT"]).or(own.as_deref());
    let hint = "--opt region=cn-hangzhou, --opt endpoint=oss-cn-hangzhou.aliyuncs.com, or OSS_ENDPOINT";
    let endpoint = told::endpoint_or(endpoint, hint)?;
    let style = match Addressing::of(told, &endpoint, OWN)? {
        Addressing::Path => "path",
        Addressing::Virtual => "virtual",
        Addressing::Domain => "cname",
    };
    let mut builder = Oss::default().bucket(bucket).endpoint(endpoint.as_str()).addressing_style(style);
    if asking.anonymous {
        builder = builder.skip_signature();
    } else if let Some(keys) = told.keys(KEYS)? {
        builder = builder.access_key_id(&keys.id).access_key_secret(&keys.secret);
        builder = builder.security_token(keys.token.as_deref().unwrap_or_default());
    }
    builder = builder.role_arn(told.option(&["role-arn"]).unwrap_or_default());
    let rules = Rules { instance_metadata: told.is_on("instance-metadata")?, ..Rules::default() };
    Service::new(builder, rules, asking)
}
