//! `hdfs://NAMENODE:PORT/PATH`: HDFS by WebHDFS, so the port is that of its HTTP, 9870 if none is named.

use std::sync::Arc;

use opendal::services::Webhdfs;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use plugin_sdk::{Error, Options, ResourceClient};

use super::{
    Asking, Identity, Service, Store, Versions, Words,
    rules::Rules,
    told::{self, Told},
};
use crate::source::{KnownOption, network};

const STORE: Store = Store {
    service,
    identity: Identity::Time,
    versions: Versions::None,
    words: Words {
        bucket: "namenode",
        secret: "the delegation token",
        credentials: "--opt user-name=…, HADOOP_USER_NAME, or --opt delegation-token=…",
    },
};

pub(in crate::source) const OPTIONS: &[&[KnownOption]] = &[OWN_OPTIONS, network::OPTIONS];

const OWN_OPTIONS: &[KnownOption] = &[
    KnownOption { name: "endpoint", summary: "where WebHDFS is, as a URL, if not at the URL's host by http" },
    KnownOption { name: "user-name", summary: "who asks" },
    KnownOption { name: "delegation-token", summary: "a token of the namenode's" },
];

const PORT: u16 = 9870;

pub(in crate::source) fn open(options: &Options) -> Result<Arc<dyn ResourceClient>, Error> {
    super::open(&STORE, options)
}

fn service(told: &Told, namenode: &str, asking: &Asking) -> Result<Service, Error> {
    let mut endpoint = told::endpoint(told.option(&["endpoint"]).unwrap_or(&format!("http://{namenode}")))?;
    if endpoint.port().is_none() && told.option(&["endpoint"]).is_none() && !namenode.ends_with(":80") {
        // It fails only for URLs that cannot have a port.
        let _ = endpoint.set_port(Some(PORT));
    }
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut builder = Webhdfs::default().endpoint(endpoint.as_str());
    if let Some(token) = told.option(&["delegation-token"]) {
        builder = builder.delegation(&encoded(token));
    } else if let Some(user) = told.either("user-name", &["HADOOP_USER_NAME", "USER", "LOGNAME"]) {
        builder = builder.user_name(&encoded(user));
    }
    // The namenode sends to the datanode that has the bytes, and puts into the URL what that wants to see.
    let rules = Rules { follows: true, ..Rules::default() };
    Service::new(builder, rules, asking)
}
