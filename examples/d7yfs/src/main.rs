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
        if !wanted.validator.is_empty() && !wanted.validator.matches(&metadata.validator) {
            return Err(Error::Changed("it has changed; download it from its start".into()));
        }
        let mut download = Download::from_bytes(CONTENT, wanted.range)?;
        download.opened.metadata = metadata;
        Ok(download)
    }
}

fn main() -> std::process::ExitCode {
    let (commit, time) = (env!("D7YFS_BUILD_COMMIT"), env!("D7YFS_BUILD_TIME"));
    let attributes = Attributes::of_scheme("d7yfs").with("vendor", "d7y");
    plugin_sdk::serve_on_one_thread(attributes.with("buildCommit", commit).with("buildTime", time), open)
}

/// There is nothing to choose: an option is a mistake.
fn open(options: Options) -> Result<D7yfs, Error> {
    match options.into_keys().next() {
        Some(key) => Err(Error::InvalidRequest(format!("there is no option `{key}`"))),
        None => Ok(D7yfs),
    }
}

#[cfg(test)]
mod tests;
