//! Options of object stores under the names that Dragonfly's dfget gives them.

use std::path::PathBuf;

use clap::Args;

use super::offered::Offered;

#[derive(Args)]
#[command(next_help_heading = "Object storage, each as --opt without the `storage-`")]
pub(super) struct StorageArguments {
    /// Where the store is, as a URL
    #[arg(long, value_name = "URL")]
    storage_endpoint: Option<String>,
    /// Where the bucket is
    #[arg(long, value_name = "REGION")]
    storage_region: Option<String>,
    /// Who asks; better as the variable DFGET_STORAGE_ACCESS_KEY_ID, as are the secrets: others can see a command line
    #[arg(long, value_name = "ID")]
    storage_access_key_id: Option<String>,
    /// The secret of that key
    #[arg(long, value_name = "SECRET")]
    storage_access_key_secret: Option<String>,
    /// The token of a temporary key
    #[arg(long, value_name = "TOKEN")]
    storage_session_token: Option<String>,
    /// The same
    #[arg(long, value_name = "TOKEN")]
    storage_security_token: Option<String>,
    /// A file with Google's credentials
    #[arg(long, value_name = "FILE")]
    storage_credential_path: Option<PathBuf>,
    /// Believe every certificate of the store, so that anybody may pose as it
    #[arg(long)]
    storage_insecure_skip_verify: bool,
    /// Taken and not used: it is for uploads
    #[arg(long, value_name = "ACL", hide = true)]
    storage_predefined_acl: Option<String>,
    /// A token of HDFS' namenode
    #[arg(long, value_name = "TOKEN")]
    hdfs_delegation_token: Option<String>,
}

impl StorageArguments {
    /// What is set of them.
    pub(super) fn options(&self) -> Vec<Offered> {
        let path = self.storage_credential_path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let all = [
            ("storage-endpoint", "endpoint", self.storage_endpoint.clone()),
            ("storage-region", "region", self.storage_region.clone()),
            ("storage-access-key-id", "access-key-id", self.storage_access_key_id.clone()),
            ("storage-access-key-secret", "access-key-secret", self.storage_access_key_secret.clone()),
            ("storage-session-token", "session-token", self.storage_session_token.clone()),
            ("storage-security-token", "security-token", self.storage_security_token.clone()),
            ("storage-credential-path", "credential-path", path),
            ("storage-insecure-skip-verify", "insecure", self.storage_insecure_skip_verify.then(|| "true".to_owned())),
            ("hdfs-delegation-token", "delegation-token", self.hdfs_delegation_token.clone()),
        ];
        all.into_iter().filter_map(|(flag, name, value)| Some(Offered { flag, name, value: value? })).collect()
    }
}
