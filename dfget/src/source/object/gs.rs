//! `gs://`: Google Cloud Storage, by its JSON API.
//!
//! What tells versions apart is the generation, which listings, metadata and downloads all tell, and which the store
//! compares; ETags differ between its APIs.

use std::sync::Arc;

use opendal::services::Gcs;
use plugin_sdk::{Error, Options, ResourceClient};

use super::{
    Asking, Identity, Service, Store, Versions, Words,
    rules::Rules,
    told::{self, Told},
};
use crate::source::{KnownOption, network};

const STORE: Store = Store {
    service,
    identity: Identity::Generation,
    versions: Versions::Query("generation"),
    words: Words {
        bucket: "bucket",
        secret: "the credentials",
        credentials: "--opt credential-path=FILE, GOOGLE_APPLICATION_CREDENTIALS, or --opt token=…",
    },
};

pub(in crate::source) const OPTIONS: &[&[KnownOption]] = &[OWN_OPTIONS, network::OPTIONS];

const OWN_OPTIONS: &[KnownOption] = &[
    KnownOption { name: "endpoint", summary: "where the store is, as a URL" },
    KnownOption { name: "credential-path", summary: "the file of a service account or of a user" },
    KnownOption { name: "token", summary: "an OAuth token" },
    KnownOption { name: "anonymous", summary: "ask without credentials: true or false" },
    KnownOption { name: "instance-metadata", summary: "take credentials from this machine's cloud: true or false" },
];

const FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// dfget reads only.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

pub(in crate::source) fn open(options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    super::open(&STORE, options)
}

fn service(told: &Told, bucket: &str, asking: &Asking) -> Result<Service, Error> {
    let emulator = told.variable(&["STORAGE_EMULATOR_HOST"]);
    let emulator = emulator.map(|host| if host.contains("://") { host.to_owned() } else { format!("http://{host}") });
    let endpoint = told.option(&["endpoint"]).or(emulator.as_deref()).unwrap_or("https://storage.googleapis.com");
    let endpoint = told::endpoint(endpoint)?;
    let instance_metadata = told.is_on("instance-metadata")?;

    let mut builder = Gcs::default().bucket(bucket).scope(SCOPE).endpoint(endpoint.as_str().trim_end_matches('/'));
    if !instance_metadata {
        builder = builder.disable_vm_metadata();
    }
    if asking.anonymous {
        builder = builder.skip_signature();
    } else if let Some(token) = told.either("token", &["CLOUDSDK_AUTH_ACCESS_TOKEN"]) {
        crate::escape::hide([token]);
        builder = builder.token(token.to_owned());
    } else if let Some((name, path)) = file(told) {
        check(name, path)?;
        builder = builder.credential_path(path);
    }
    // What is stored compressed comes as it is: unpacked by the store it has neither length nor ranges.
    let rules = Rules { instance_metadata, packed: true, ..Rules::default() };
    Service::new(builder, rules, asking)
}

/// The file of credentials that is named, and where.
fn file(told: &Told) -> Option<(&'static str, &str)> {
    let option = told.option(&["credential-path"]).map(|path| ("credential-path", path));
    option.or_else(|| Some((FILE, told.variable(&[FILE])?)))
}

/// A file that is named and cannot be used is no reason to ask anonymously. Its path is not shown: what is named so may be
/// a secret.
fn check(name: &str, path: &str) -> Result<(), Error> {
    let refused = |fact: String| Error::Unauthenticated(format!("the file of {name} cannot be used: {fact}"));
    let bytes = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    let is_json = serde_json::from_slice::<serde_json::Map<_, _>>(&bytes).is_ok();
    if is_json { Ok(()) } else { Err(refused("it is not JSON".into())) }
}
