//! The smallest source plugin: whatever follows `d7yfs://`, its bytes are `hello world`.

use plugin_sdk::{Attributes, Download, DownloadRequest, Error, Metadata, Options, Request, ResourceClient, Validator};

const CONTENT: &str = "hello world";
/// The MD5 of [`CONTENT`], as object storages make their ETags.
const ETAG: &str = "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"";

struct D7yfs;

#[plugin_sdk::async_trait]
impl ResourceClient for D7yfs {
    async fn metadata(&self, _: &Request) -> Result<Metadata, Error> {
        let validator = Validator { etag: Some(ETAG.into()), last_modified: None };
        let content_length = Some(CONTENT.len() as u64);
        Ok(Metadata { content_length, support_range: true, validator, ..Metadata::default() })
    }

    async fn download(&self, wanted: &DownloadRequest) -> Result<Download, Error> {
        let metadata = self.metadata(&wanted.request).await?;
        wanted.validator.require(&metadata.validator)?;
        let mut download = Download::from_bytes(CONTENT, wanted.range)?;
        download.opened.metadata = metadata;
        Ok(download)
    }
}

fn main() -> std::process::ExitCode {
    let attributes = Attributes::of_scheme("d7yfs").with("buildCommit", env!("D7YFS_BUILD_COMMIT"));
    plugin_sdk::serve_on_one_thread(attributes.with("buildTime", env!("D7YFS_BUILD_TIME")).with("vendor", "d7y"), open)
}

fn open(options: Options) -> Result<D7yfs, Error> {
    let refuse = |key| Err(Error::InvalidRequest(format!("there is no option `{key}`")));
    options.into_keys().next().map_or(Ok(D7yfs), refuse)
}

#[cfg(test)]
mod tests;
