//! `~/.azure/config` of Azure's command line, az, whose section `storage` has what the variables `AZURE_STORAGE_…` have
//! too: <https://learn.microsoft.com/en-us/cli/azure/azure-cli-configuration>.

use std::path::Path;

use plugin_sdk::Error;

use super::super::{
    files::{File, MEND},
    told::Told,
};

/// What the file has of an account.
#[derive(Default)]
pub(super) struct Saved {
    pub(super) account: Option<String>,
    pub(super) key: Option<String>,
    /// Wins over the key.
    pub(super) signature: Option<String>,
    /// Wins over all the others.
    pub(super) connection: Option<String>,
}

impl Saved {
    /// Nothing, if there is no file.
    ///
    /// # Errors
    ///
    /// * [`Error::Unauthenticated`]: it cannot be used
    pub(super) fn read(told: &Told) -> Result<Self, Error> {
        let file = match told.variable(&["AZURE_CONFIG_DIR"]) {
            Some(directory) => File::read(&Path::new(directory).join("config"))?,
            None => File::at_home(told, ".azure/config")?,
        };
        file.as_ref().map_or(Ok(Self::default()), Self::of)
    }

    fn of(file: &File) -> Result<Self, Error> {
        let ini = file.ini()?;
        // Python, in which az is written, takes `%` for the beginning of a reference unless there are two.
        let of = |name| ini.value("storage", name).map(|value| value.replace("%%", "%"));
        let saved = Self {
            account: of("account"),
            key: of("key"),
            signature: of("sas_token"),
            connection: of("connection_string"),
        };
        crate::escape::hide(saved.key.iter().chain(&saved.signature));
        if let Some(Err(fact)) = saved.connection.as_deref().map(super::connected) {
            return Err(file.unusable(format!("connection_string {fact}"), MEND));
        }
        if saved.key.as_deref().is_some_and(|key| !super::is_key(key)) {
            return Err(file.unusable("key is no base64", MEND));
        }
        Ok(saved)
    }
}
