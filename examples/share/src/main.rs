//! `share:///path`: the files beneath one directory, such as the mount point of an NFS share.
//!
//! * [`path`]: from a URL to names beneath the root; refuses what no file can be called
//! * [`root`]: opens them, never a file outside the root
//! * [`mod@file`]: reads a file, and notices when it is written meanwhile
//! * [`version`]: what tells one version of a file from another
//! * [`listing`]: the entries of a directory

mod beneath;
mod file;
mod listing;
mod path;
mod root;
#[cfg(test)]
mod tests;
mod version;

use std::{process::ExitCode, sync::Arc};

use futures_util::stream::BoxStream;
use plugin_sdk::{
    Attributes, Download, DownloadRequest, Entry, Error, Metadata, Options, Request, ResourceClient, async_trait, serve,
};

use crate::{path::TreePath, root::Root};

struct Share {
    root: Arc<Root>,
}

impl Share {
    fn open(options: Options) -> Result<Self, Error> {
        Ok(Self { root: Arc::new(Root::from_options(options)?) })
    }

    /// Runs `work` where it may block: on a network file system any call can take its time.
    async fn blocking<T: Send + 'static>(
        &self,
        request: &Request,
        work: impl FnOnce(&Arc<Root>, TreePath) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (root, path) = (Arc::clone(&self.root), TreePath::parse(request)?);
        tokio::task::spawn_blocking(move || work(&root, path)).await.map_err(Error::internal)?
    }
}

#[async_trait]
impl ResourceClient for Share {
    async fn metadata(&self, request: &Request) -> Result<Metadata, Error> {
        self.blocking(request, |root, path| Ok(root.open_file(&path)?.metadata())).await
    }

    async fn download(&self, request: &DownloadRequest) -> Result<Download, Error> {
        let (range, validator) = (request.range, request.validator.clone());
        let cached = self.root.open_cached_file(&TreePath::parse(&request.request)?);
        if let Some(download) = cached.and_then(|file| file.download_cached(range, &validator)) {
            return Ok(download);
        }
        self.blocking(&request.request, move |root, path| root.open_file(&path)?.download(range, &validator)).await
    }

    async fn list(&self, request: &Request) -> Result<BoxStream<'static, Result<Entry, Error>>, Error> {
        self.blocking(request, listing::entries).await
    }

    /// Where they are on a disk of this machine: what has just been listed is in memory.
    fn lists_content(&self) -> bool {
        self.root.is_local()
    }
}

fn main() -> ExitCode {
    serve(Attributes::of_scheme("share").with("vendor", "d7y"), Share::open)
}
