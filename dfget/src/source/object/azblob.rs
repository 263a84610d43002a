//! `azblob://` and `abs://`: Azure Blob Storage. A bucket is a container; the account comes by options or variables.

use std::sync::Arc;

use opendal::services::Azblob;
use plugin_sdk::{Error, Options, ResourceClient};

use super::{
    Asking, Identity, Service, Store, Versions, Words,
    rules::Rules,
    told::{self, Told},
};
use crate::source::{KnownOption, network};

const STORE: Store = Store {
    service,
    identity: Identity::ETag,
    versions: Versions::None,
    words: Words {
        bucket: "container",
        secret: "the account key or sas-token",
        credentials: "--opt account-name=… with account-key=… or sas-token=…, or AZURE_STORAGE_CONNECTION_STRING",
    },
};

pub(in crate::source) const OPTIONS: &[&[KnownOption]] = &[told::OPTIONS, OWN_OPTIONS, network::OPTIONS];

const OWN_OPTIONS: &[KnownOption] = &[
    KnownOption { name: "account-name", summary: "whose containers they are; also access-key-id" },
    KnownOption { name: "account-key", summary: "its key, in base64; also access-key-secret" },
    KnownOption { name: "sas-token", summary: "a shared access signature" },
];

pub(in crate::source) fn open(options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    super::open(&STORE, options)
}

fn service(told: &Told, container: &str, asking: &Asking) -> Result<Service, Error> {
    let account = told.option(&["account-name", "access-key-id"]);
    let account = account.or(told.variable(&["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"]));
    let key = told.option(&["account-key", "access-key-secret"]);
    let key = key.or(told.variable(&["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"]));
    let signature = told.either("sas-token", &["AZURE_STORAGE_SAS_TOKEN"]).map(|token| token.trim_start_matches('?'));
    let endpoint = told.either("endpoint", &["AZURE_STORAGE_BLOB_ENDPOINT", "AZURE_STORAGE_ENDPOINT"]);
    crate::escape::hide(key.iter().chain(&signature).copied());

    let mut builder = match (endpoint.or(account), told.variable(&["AZURE_STORAGE_CONNECTION_STRING"])) {
        (None, Some(string)) => connected(string)?,
        _ => Azblob::default().endpoint(&endpoint_of(endpoint, account)?),
    };
    builder = builder.container(container).account_name(account.unwrap_or_default());
    if asking.anonymous {
        builder = builder.skip_signature();
    } else {
        builder = builder.account_key(key.unwrap_or_default()).sas_token(signature.unwrap_or_default());
    }
    let rules = Rules { instance_metadata: told.is_on("instance-metadata")?, ..Rules::default() };
    Service::new(builder, rules, asking)
}

fn connected(string: &str) -> Result<Azblob, Error> {
    // A value may have a `=` of its own; all are hidden, as keys and signatures are among them.
    let values = string.split(';').filter_map(|pair| pair.split_once('=').map(|(_, value)| value));
    crate::escape::hide(values.filter(|value| value.len() > 32));
    let refused = "AZURE_STORAGE_CONNECTION_STRING is not NAME=VALUE;NAME=VALUE";
    Azblob::from_connection_string(string).map_err(|_| Error::InvalidRequest(refused.into()))
}

fn endpoint_of(endpoint: Option<&str>, account: Option<&str>) -> Result<String, Error> {
    match (endpoint, account) {
        (Some(endpoint), _) => Ok(told::endpoint(endpoint)?.as_str().trim_end_matches('/').to_owned()),
        (None, Some(account)) => Ok(format!("https://{account}.blob.core.windows.net")),
        (None, None) => {
            let hint =
                "--opt account-name=…, --opt endpoint=…, AZURE_STORAGE_ACCOUNT, or AZURE_STORAGE_CONNECTION_STRING";
            Err(Error::InvalidRequest(format!("it is not known whose container it is: say it by {hint}")))
        }
    }
}
