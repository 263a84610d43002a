//! `--remote-header-name`: a file is called what its source calls it.

use std::{path::PathBuf, sync::Arc};

use super::{Wish, Work};
use crate::{download::Job, error::Error, escape::printable, tree::SafeRelativePath, url::ResourceUrl};

impl Work {
    /// With the name that its source has for it, if that is wanted and the user has none.
    ///
    /// # Errors
    ///
    /// * [`Error::PathRefused`]: the name is unsafe
    /// * those of [`Job::metadata`]
    pub(super) async fn named(&self, wish: &Wish) -> Result<Wish, Error> {
        if !self.batch.remote_name || wish.output.is_some() {
            return Ok(wish.clone());
        }
        let client = self.registry.open(&self.registry.find(wish.url.scheme())?).await?;
        let job = Job { url: wish.url.clone(), settings: Arc::clone(&self.batch.settings) };
        let name = job.metadata(&*client).await?.file_name;
        name.iter().try_for_each(|name| refuse_unsafe(name, &wish.url))?;
        Ok(Wish { output: name.map(PathBuf::from), ..wish.clone() })
    }
}

/// A hidden file is more than a name: shells and other programs read some of them.
fn refuse_unsafe(name: &str, url: &ResourceUrl) -> Result<(), Error> {
    let safe = SafeRelativePath::default().join(name);
    let harmless = safe.and_then(|_| if name.starts_with('.') { Err("it would be hidden") } else { Ok(()) });
    harmless.map_err(|fact| Error::PathRefused { path: format!("`{}` of {url}", printable(name)), fact })
}
