//! `-l` and `--dry-run`: a line for each that there is, or that would be downloaded.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Item, Work};
use crate::{
    error::Error,
    escape::printable,
    tree::{Found, Leaf, Walk},
    url::ResourceUrl,
};

impl Work {
    /// Prints what is in a directory; with `-r` what is beneath it.
    pub(super) async fn list(&self, url: &ResourceUrl) -> Result<(), Error> {
        let source = self.registry.find(url.scheme())?;
        let client = self.registry.open(&source).await?;
        let mut walk = Walk::new(&*client, &self.batch.settings, &self.batch.tree, url);
        let mut files = 0;
        while let Some(found) = walk.next().await? {
            match found {
                Found::File(leaf) => {
                    self.count(&mut files, url)?;
                    self.print(&leaf, "")?;
                }
                Found::Directory(leaf) => self.print(&leaf, "/")?,
                Found::Failed { subject, error } => self.reporter.failed(&subject, &error),
            }
        }
        Ok(())
    }

    /// `length  time  path`, in columns; a directory ends in `/`.
    fn print(&self, leaf: &Leaf, suffix: &str) -> Result<(), Error> {
        let Leaf { url, path, metadata, .. } = leaf;
        let (length, modified) = (metadata.content_length, metadata.validator.last_modified);
        let shown_length = length.map_or_else(|| "-".into(), |length| length.to_string());
        let shown_time =
            modified.map_or_else(|| "-".into(), |time| humantime::format_rfc3339_seconds(time).to_string());
        let text = format!("{shown_length:>14}  {shown_time:20}  {}{suffix}", printable(path.as_str()));
        let digests = metadata.digests.iter().map(|digest| format!("{}:{}", digest.algorithm, digest.hex));
        let fields = json!({
            "url": url.to_string(),
            "path": path.as_str(),
            "directory": !suffix.is_empty(),
            "length": length,
            "modified": time(modified),
            "etag": metadata.validator.etag,
            "digests": digests.collect::<Vec<_>>(),
        });
        self.reporter.print("entry", &text, fields)
    }

    /// `length  path`, of what is missing or has changed.
    pub(super) fn plan(&self, item: &Item) -> Result<(), Error> {
        let length = item.listed.as_ref().and_then(|listed| listed.content_length);
        let output = item.place.path().map_or_else(|| "stdout".into(), |path| path.display().to_string());
        let shown_length = length.map_or_else(|| "-".into(), |length| length.to_string());
        let text = format!("{shown_length:>14}  {}", printable(&output));
        self.reporter.print(
            "planned",
            &text,
            json!({ "url": item.url.to_string(), "output": output, "length": length }),
        )
    }
}

fn time(time: Option<SystemTime>) -> Value {
    time.map_or(Value::Null, |time| humantime::format_rfc3339_millis(time).to_string().into())
}
