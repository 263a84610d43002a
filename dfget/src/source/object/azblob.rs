//! `azblob://` and `abs://`: Azure Blob Storage. A bucket is a container; the account comes by options, by variables, or
//! by the file of Azure's command line.

mod azure;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use opendal::{Builder, services::Azblob};
use plugin_sdk::{Error, Options, ResourceClient};

use self::azure::Saved;
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
        credentials: "--opt account-name=… with account-key=… or sas-token=…, AZURE_STORAGE_…, or ~/.azure/config",
    },
};

pub(in crate::source) const OPTIONS: &[&[KnownOption]] = &[told::OPTIONS, OWN_OPTIONS, network::OPTIONS];

const OWN_OPTIONS: &[KnownOption] = &[
    KnownOption { name: "account-name", summary: "whose containers they are; also access-key-id" },
    KnownOption { name: "account-key", summary: "its key, in base64; also access-key-secret" },
    KnownOption { name: "sas-token", summary: "a shared access signature" },
];

const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";

/// By which Entra lends a token to a service.
const LENT: &[&str] = &["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"];

pub(in crate::source) fn open(options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    super::open(&STORE, options)
}

fn service(told: &Told, container: &str, asking: &Asking) -> Result<Service, Error> {
    let access = Access::of(told, asking)?;
    let mut builder = match &access.connection {
        Some(string) => connected(string).map_err(|fact| Error::InvalidRequest(format!("{CONNECTION} {fact}")))?,
        None => Azblob::default().endpoint(&endpoint_of(access.endpoint.as_deref(), access.account.as_deref())?),
    };
    builder = builder.container(container).account_name(access.account.as_deref().unwrap_or_default());
    if asking.anonymous {
        builder = builder.skip_signature();
    } else {
        let key = access.key.as_deref().unwrap_or_default();
        if !is_key(key) {
            return Err(Error::InvalidRequest("the account key is no base64".into()));
        }
        builder = builder.account_key(key);
        builder = builder.sas_token(access.signature.as_deref().unwrap_or_default().trim_start_matches('?'));
    }
    let rules = Rules { instance_metadata: told.is_on("instance-metadata")?, ..Rules::default() };
    Service::new(builder, rules, asking)
}

/// Whose containers they are, and as whom they are asked.
struct Access {
    account: Option<String>,
    key: Option<String>,
    signature: Option<String>,
    endpoint: Option<String>,
    /// In the place of account and endpoint.
    connection: Option<String>,
}

impl Access {
    /// By options and variables, and by az's file if they leave something open.
    fn of(told: &Told, asking: &Asking) -> Result<Self, Error> {
        let access = Self::told(told);
        let is_placed = access.endpoint.is_some() || access.account.is_some() || access.connection.is_some();
        let is_signed = access.key.is_some() || access.signature.is_some() || access.connection.is_some();
        if is_placed && (is_signed || asking.anonymous || told.variable(LENT).is_some()) {
            return Ok(access);
        }
        Ok(access.or(Saved::read(told)?))
    }

    fn told(told: &Told) -> Self {
        let variable = |names: &[&str]| told.variable(names).map(str::to_owned);
        let either = |options: &[&str], names: &[&str]| told.option(options).map(str::to_owned).or(variable(names));
        let account =
            either(&["account-name", "access-key-id"], &["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"]);
        let endpoint = either(&["endpoint"], &["AZURE_STORAGE_BLOB_ENDPOINT", "AZURE_STORAGE_ENDPOINT"]);
        let is_placed = account.is_some() || endpoint.is_some();
        let access = Self {
            key: either(&["account-key", "access-key-secret"], &["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"]),
            signature: either(&["sas-token"], &["AZURE_STORAGE_SAS_TOKEN"]),
            connection: variable(&[CONNECTION]).filter(|_| !is_placed),
            account,
            endpoint,
        };
        crate::escape::hide(access.key.iter().chain(&access.signature));
        access
    }

    /// What is `saved` of an account goes to no other one.
    fn or(mut self, saved: Saved) -> Self {
        let is_signed = self.key.is_some() || self.signature.is_some();
        if self.account.is_none() && self.endpoint.is_none() && !is_signed && saved.connection.is_some() {
            return Self { connection: saved.connection, ..self };
        }
        let is_its_own = match (&self.account, &saved.account) {
            (Some(account), Some(saved)) => account == saved,
            (None, Some(saved)) => self.endpoint.as_ref().is_none_or(|endpoint| names(endpoint, saved)),
            (account, None) => account.is_some(),
        };
        if is_its_own {
            self.account = self.account.or(saved.account);
            if !is_signed {
                (self.key, self.signature) = (saved.key, saved.signature);
            }
        }
        self
    }
}

/// Whether an endpoint is that of an account: its host begins with it, or, where that has no name, its path is it.
fn names(endpoint: &str, account: &str) -> bool {
    told::endpoint(endpoint).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default();
        host.split('.').next() == Some(account) || url.path().trim_matches('/') == account
    })
}

/// Whether an account key can be one. opendal would show the character that makes it none.
fn is_key(key: &str) -> bool {
    STANDARD.decode(key).is_ok()
}

/// What a connection string says, or what is wrong with it.
fn connected(string: &str) -> Result<Azblob, &'static str> {
    // A value may have a `=` of its own; all are hidden, as keys and signatures are among them.
    let values = string.split(';').filter_map(|pair| pair.split_once('=').map(|(_, value)| value));
    crate::escape::hide(values.filter(|value| value.len() > 32));
    let parsed = || Azblob::from_connection_string(string).map_err(|_| "is not NAME=VALUE;NAME=VALUE");
    let is_whole = parsed()?.container("container").build().is_ok();
    if is_whole { parsed() } else { Err("has no endpoint, or a key that is no base64") }
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Asking = Asking { anonymous: false, region: None };

    #[test]
    fn what_is_told_comes_before_what_is_saved_and_what_is_lent_does_too() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config"), "[storage]\naccount = me\nkey = a2V5\n").unwrap();
        let home_is = ("AZURE_CONFIG_DIR", home.path().to_str().unwrap());
        let of = |options: &[(&str, &str)], variables: &[(&str, &str)]| {
            let access = Access::of(&told::told(options, &[&[home_is], variables].concat()), &NOBODY).unwrap();
            format!("{} {}", access.account.unwrap_or_default(), access.key.unwrap_or_default())
        };
        assert_eq!(of(&[], &[]), "me a2V5");
        assert_eq!(of(&[("account-key", "b3du")], &[]), "me b3du");
        assert_eq!(of(&[], &[("AZURE_STORAGE_ACCOUNT", "me")]), "me a2V5");
        assert_eq!(of(&[], &[("AZURE_STORAGE_ACCOUNT", "me"), ("AZURE_CLIENT_SECRET", "x")]), "me ");
        assert_eq!(of(&[], &[("AZURE_STORAGE_ACCOUNT", "you")]), "you ");
        assert_eq!(of(&[("endpoint", "https://me.blob.core.windows.net")], &[]), "me a2V5");
        assert_eq!(of(&[("endpoint", "http://127.0.0.1:10000/me")], &[]), "me a2V5");
        assert_eq!(of(&[("endpoint", "https://you.blob.core.windows.net")], &[]), " ");
    }
}
