//! `obs://`: Huawei Cloud OBS.
//!
//! opendal's own OBS knows it by the names of Huawei's hosts, forgets the port of others, takes no temporary keys, and
//! lists without times. But for its signature OBS speaks S3's language: so requests are made as for S3, without a
//! signature, go a detour, and are signed on the way by the signer that opendal uses for OBS.

mod obsutil;

use std::sync::Arc;

use opendal::{ErrorKind, services::S3};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use plugin_sdk::{Error, Options, ResourceClient};
use reqsign_core::{Context, SignRequest};
use reqsign_huaweicloud_obs::{Credential, RequestSigner};

use self::obsutil::OBSUTIL;
use super::{
    Asking, Identity, Service, Store, Versions, Words,
    files::{self, Tool},
    rules::{Detour, Rules, Sign},
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
        credentials: "--opt access-key-id=… with access-key-secret=…, HUAWEI_CLOUD_ACCESS_KEY_ID and …, or ~/.obsutilconfig",
    },
};

pub(in crate::source) const OPTIONS: &[&[KnownOption]] = &[told::OPTIONS, told::REGIONAL, network::OPTIONS];

const OWN: &[&str] = &[".myhuaweicloud.com", ".myhuaweicloud.eu", ".huawei.com"];

const KEYS: &[[&str; 3]] = &[
    ["HUAWEI_CLOUD_ACCESS_KEY_ID", "HUAWEI_CLOUD_SECRET_ACCESS_KEY", "HUAWEI_CLOUD_SECURITY_TOKEN"],
    ["HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN"],
    ["OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"],
];

const TOOLS: &[Tool] = &[OBSUTIL];

/// All that RFC 3986 does not call unreserved, but for the slash.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Where opendal believes that it asks, whatever the bucket is called.
const NOWHERE: &str = "bucket.store";

pub(in crate::source) fn open(options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    super::open(&STORE, options)
}

fn service(told: &Told, bucket: &str, asking: &Asking) -> Result<Service, Error> {
    let region = told.either("region", &["OBS_REGION", "HUAWEICLOUD_SDK_REGION"]);
    let own = region.map(|region| format!("https://obs.{region}.myhuaweicloud.com"));
    let endpoint = files::endpoint(told, told.either("endpoint", &["OBS_ENDPOINT"]).or(own.as_deref()), TOOLS)?;
    let hint = "--opt region=cn-north-4, --opt endpoint=obs.cn-north-4.myhuaweicloud.com, or OBS_ENDPOINT";
    let endpoint = told::endpoint_or(endpoint.as_deref(), hint)?;
    let addressing = Addressing::of(told, &endpoint, OWN)?;
    let keys = if asking.anonymous { None } else { files::keys(told, KEYS, &[], TOOLS)? };
    // Of a bucket with a domain of its own, the signature names that.
    let signed = if addressing == Addressing::Domain { endpoint.host_str().unwrap_or_default() } else { bucket };
    let sign = keys.map(|keys| signer(signed, Credential::new(keys.id, keys.secret, keys.token)));
    let anonymous = sign.is_none();
    let detour = Some(Detour { from: NOWHERE.into(), to: addressing.base(&endpoint, bucket) });
    let builder = S3::default().bucket("bucket").endpoint("https://store").region("none").enable_virtual_host_style();
    let builder = builder.skip_signature().disable_list_objects_v2();
    let rules = Rules { detour, sign, ..Rules::default() };
    Ok(Service { anonymous, ..Service::new(builder, rules, asking)? })
}

fn signer(bucket: &str, credential: Credential) -> Sign {
    let (signer, credential) = (Arc::new(RequestSigner::new(bucket)), Arc::new(credential));
    Box::new(move |mut parts| {
        let (signer, credential) = (Arc::clone(&signer), Arc::clone(&credential));
        Box::pin(async move {
            parts.uri = encoded(&parts.uri)?;
            let signed = signer.sign_request(&Context::new(), &mut parts, Some(&credential), None).await;
            signed.map_err(|error| opendal::Error::new(ErrorKind::Unexpected, "cannot sign").set_source(error))?;
            Ok(parts)
        })
    })
}

/// The path with all encoded that can be, as the store has it when it checks a signature. opendal leaves some characters.
fn encoded(uri: &http::Uri) -> opendal::Result<http::Uri> {
    let path: String = percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
    let path = utf8_percent_encode(&path, PATH).to_string();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    let made = format!("{path}{query}").parse().map(Some);
    parts.path_and_query = made.map_err(|_| opendal::Error::new(ErrorKind::Unexpected, "the key makes no URL"))?;
    let whole = http::Uri::from_parts(parts);
    whole.map_err(|_| opendal::Error::new(ErrorKind::Unexpected, "the key makes no URL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_encoded_as_the_store_does() {
        let uri = encoded(&"https://store/a'(b)%20!*~/c?prefix=x'".parse().unwrap()).unwrap();
        assert_eq!(uri.to_string(), "https://store/a%27%28b%29%20%21%2A~/c?prefix=x'");
    }
}
