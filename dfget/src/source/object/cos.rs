//! `cos://`: Tencent Cloud COS, whose buckets are named `NAME-APPID`.

mod coscmd;

use std::sync::Arc;

use opendal::services::Cos;
use plugin_sdk::{Error, Options, ResourceClient};

use self::coscmd::COSCMD;
use super::{
    Asking, Identity, Service, Store, Versions, Words,
    files::{self, Tool},
    rules::{Detour, Rules},
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
        credentials: "--opt access-key-id=… with access-key-secret=…, TENCENTCLOUD_SECRET_ID and …_KEY, or ~/.cos.conf",
    },
};

pub(in crate::source) const OPTIONS: &[&[KnownOption]] = &[told::OPTIONS, told::REGIONAL, network::OPTIONS];

const OWN: &[&str] = &[".myqcloud.com", ".tencentcos.cn"];

const KEYS: &[[&str; 3]] = &[
    ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN"],
    ["COS_SECRET_ID", "COS_SECRET_KEY", "COS_SESSION_TOKEN"],
];

/// By which a key is lent to a pod.
const LENT: &[&str] = &["TENCENTCLOUD_WEB_IDENTITY_TOKEN_FILE", "TKE_IDENTITY_TOKEN_FILE", "TKE_SECRET_ID"];

const TOOLS: &[Tool] = &[COSCMD];

pub(in crate::source) fn open(options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    super::open(&STORE, options)
}

fn service(told: &Told, bucket: &str, asking: &Asking) -> Result<Service, Error> {
    let region = told.either("region", &["COS_REGION", "TENCENTCLOUD_REGION"]);
    let own = region.map(host);
    let endpoint = files::endpoint(told, told.either("endpoint", &["COS_ENDPOINT"]).or(own.as_deref()), TOOLS)?;
    let hint = "--opt region=ap-guangzhou, --opt endpoint=cos.ap-guangzhou.myqcloud.com, or COS_ENDPOINT";
    let endpoint = told::endpoint_or(endpoint.as_deref(), hint)?;
    let detour = match Addressing::of(told, &endpoint, OWN)? {
        Addressing::Virtual => None,
        // The library knows the bucket in the host alone.
        other => Some(Detour { from: format!("{bucket}.{}", endpoint.authority()), to: other.base(&endpoint, bucket) }),
    };
    let mut builder = Cos::default().bucket(bucket).endpoint(endpoint.as_str());
    if asking.anonymous {
        builder = builder.secret_id("anonymous").secret_key("anonymous");
    } else if let Some(keys) = files::keys(told, KEYS, LENT, TOOLS)? {
        builder = builder.secret_id(&keys.id).secret_key(&keys.secret);
        builder = builder.security_token(keys.token.as_deref().unwrap_or_default());
    }
    let instance_metadata = told.is_on("instance-metadata")?;
    let rules = Rules { detour, unsigned: asking.anonymous, instance_metadata, ..Rules::default() };
    Service::new(builder, rules, asking)
}

/// The store's own host for a region.
fn host(region: &str) -> String {
    format!("cos.{region}.myqcloud.com")
}
