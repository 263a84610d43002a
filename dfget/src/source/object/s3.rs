//! `s3://`: Amazon S3, and all that speak its language.

mod profile;

use std::sync::Arc;

use opendal::services::S3;
use plugin_sdk::{Error, Options, ResourceClient};

use self::profile::Profile;
use super::{
    Asking, Identity, Service, Store, Versions, Words,
    route::Route,
    rules::Rules,
    told::{self, Addressing, Told},
    transport::Transport,
};
use crate::source::{KnownOption, network};

const STORE: Store = Store {
    service,
    identity: Identity::ETag,
    versions: Versions::Known,
    words: Words {
        bucket: "bucket",
        secret: "the secret of the access key",
        credentials: "--opt access-key-id=… with access-key-secret=…, AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, or a profile",
    },
};

pub(in crate::source) const OPTIONS: &[&[KnownOption]] =
    &[told::OPTIONS, told::REGIONAL, OWN_OPTIONS, network::OPTIONS];

const OWN_OPTIONS: &[KnownOption] = &[
    KnownOption { name: "profile", summary: "whose keys of ~/.aws to take" },
    KnownOption { name: "role-arn", summary: "the role to assume with them" },
    KnownOption { name: "external-id", summary: "what its owner wants to hear" },
    KnownOption { name: "request-payer", summary: "pay for requests of a bucket of somebody else: true or false" },
];

/// Amazon's own, where a bucket is a host.
const OWN: &[&str] = &[".amazonaws.com", ".amazonaws.com.cn"];

const KEYS: &[[&str; 3]] = &[["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]];

/// Where requests are signed for if nobody says, and the region of stores that have none.
const REGION: &str = "us-east-1";

pub(in crate::source) fn open(options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    if options.contains_key("role-arn") {
        // The service that lends roles is asked apart from the store, by whatever the process has installed.
        opendal::HttpTransporter::install_default(Transport::new(Route::of(options)?));
    }
    super::open(&STORE, options)
}

fn service(told: &Told, bucket: &str, asking: &Asking) -> Result<Service, Error> {
    let profile = Profile::read(told);
    let endpoint =
        told.either("endpoint", &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]).or(profile.endpoint.as_deref());
    let endpoint = told::endpoint(endpoint.unwrap_or("https://s3.amazonaws.com"))?;
    let region = told.either("region", &["AWS_REGION", "AWS_DEFAULT_REGION"]).or(profile.region.as_deref());
    // What the store has told is none: one that tells another each time is not asked for ever.
    let is_guess = region.is_none() && asking.region.is_none();
    let region = asking.region.as_deref().or(region).unwrap_or(REGION).to_owned();

    let mut builder = S3::default().bucket(bucket).endpoint(endpoint.as_str()).region(&region);
    match Addressing::of(told, &endpoint, OWN)? {
        // A certificate for `*.s3.amazonaws.com` is not one for `a.b.s3.amazonaws.com`.
        Addressing::Virtual if !bucket.contains('.') => builder = builder.enable_virtual_host_style(),
        Addressing::Virtual | Addressing::Path => {}
        Addressing::Domain => {
            return Err(Error::InvalidRequest("the option addressing is path or virtual here".into()));
        }
    }
    if told.is_on("request-payer")? {
        builder = builder.enable_request_payer();
    }
    if asking.anonymous {
        builder = builder.skip_signature();
    } else if let Some(keys) = told.keys(if told.option(&["profile"]).is_none() { KEYS } else { &[] })? {
        builder = builder.access_key_id(&keys.id).secret_access_key(&keys.secret);
        builder = builder.session_token(keys.token.as_deref().unwrap_or_default());
    }
    builder = builder.profile(told.option(&["profile"]).unwrap_or_default());
    builder = builder.role_arn(told.option(&["role-arn"]).unwrap_or_default());
    builder = builder.external_id(told.option(&["external-id"]).unwrap_or_default());
    let rules = Rules { instance_metadata: told.is_on("instance-metadata")?, ..Rules::default() };
    Ok(Service { region: Some(region), is_guess, ..Service::new(builder, rules, asking)? })
}
