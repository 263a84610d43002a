//! The content of small files, put into the listing of them: a call less for each.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream::BoxStream};
use plugin_proto::limits;

use crate::{BodyEvent, Download, DownloadRequest, Entry, Error, Metadata, Range, Request, ResourceClient, resource};

/// Files that are read at the same time.
const AT_ONCE: usize = 16;

type Entries = BoxStream<'static, Result<Entry, Error>>;

/// `entries` of the directory that `listed` names, in their order, with the content of files of at most `limit` bytes.
pub(super) fn put_into(entries: Entries, client: Arc<dyn ResourceClient>, listed: Request, limit: u64) -> Entries {
    // What does not fit into a message is downloaded.
    let limit = limit.min(limits::CHUNK as u64);
    let listed = Arc::new(listed);
    let with_content = move |entry: Result<Entry, Error>| {
        let (client, listed) = (Arc::clone(&client), Arc::clone(&listed));
        async move { Ok(fill(&*client, &listed, entry?, limit).await) }
    };
    entries.map(with_content).buffered(AT_ONCE).boxed()
}

/// Whatever keeps the content from being read keeps the entry as it is: the host downloads it, and hears why that fails.
async fn fill(client: &dyn ResourceClient, listed: &Request, entry: Entry, limit: u64) -> Entry {
    let is_small = entry.metadata.content_length.is_some_and(|length| length <= limit);
    if entry.directory || !is_small {
        return entry;
    }
    let url = entry.url.clone().unwrap_or_else(|| resource::url_beneath(&listed.url, &entry.name));
    let request = Request { url, header: listed.header.clone() };
    let validator = entry.metadata.validator.clone();
    let wanted = DownloadRequest { request, range: Range::default(), validator };
    match client.download(&wanted).await.ok() {
        Some(download) => match whole(download, limit).await {
            Some((metadata, content)) => Entry { metadata, content: Some(content), ..entry },
            None => entry,
        },
        None => entry,
    }
}

/// All of a resource, if it is what its source announces, and as small as that was said.
async fn whole(download: Download, limit: u64) -> Option<(Metadata, Bytes)> {
    let Download { opened, mut body } = download;
    let length = opened.metadata.content_length.filter(|length| *length <= limit && opened.range.start == 0)?;
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(event) = body.next().await {
        match event.ok()? {
            BodyEvent::Chunk(chunk) if first.is_empty() => first = chunk,
            BodyEvent::Chunk(chunk) => {
                if rest.is_empty() {
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&chunk);
            }
            // The others are not to wait for it.
            BodyEvent::Waiting(_) => return None,
        }
        if first.len().max(rest.len()) as u64 > length {
            return None;
        }
    }
    let content = if rest.is_empty() { first } else { rest.freeze() };
    (content.len() as u64 == length).then_some((opened.metadata, content))
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

    use super::*;
    use crate::{Body, Opened, async_trait};

    /// Serves as many bytes as the last segment of the URL says, in chunks of 3; one that begins with `lie` announces one more.
    struct Numbers;

    #[async_trait]
    impl ResourceClient for Numbers {
        async fn metadata(&self, _: &Request) -> Result<Metadata, Error> {
            Err(Error::internal("nobody asks"))
        }

        async fn download(&self, wanted: &DownloadRequest) -> Result<Download, Error> {
            let name = wanted.request.url.rsplit('/').next().unwrap_or_default();
            let (lie, number) = name.strip_prefix("lie").map_or((0, name), |number| (1, number));
            let length: usize = number.parse().map_err(|_| Error::NotFound("no number".into()))?;
            let metadata = Metadata { content_length: Some((length + lie) as u64), ..Metadata::default() };
            let chunks: Vec<_> = vec![b'x'; length].chunks(3).map(|chunk| Ok(chunk.to_vec().into())).collect();
            let body = Body::from_events(stream::iter(chunks).map(|chunk| chunk.map(BodyEvent::Chunk)));
            Ok(Download { opened: Opened::whole(metadata), body })
        }
    }

    async fn contents(names: &[(&str, u64)], limit: u64) -> Vec<Option<usize>> {
        let entry = |(name, length): &(&str, u64)| {
            let metadata = Metadata { content_length: Some(*length), ..Metadata::default() };
            Ok(Entry { name: (*name).to_owned(), directory: *name == "7", metadata, ..Entry::default() })
        };
        let entries = stream::iter(names.iter().map(entry).collect::<Vec<_>>()).boxed();
        let filled = put_into(entries, Arc::new(Numbers), Request::new("x://h/d"), limit);
        filled.map(|entry| entry.unwrap().content.map(|content| content.len())).collect().await
    }

    #[tokio::test]
    async fn small_files_come_with_their_content() {
        let names = [("0", 0), ("1", 1), ("3", 3), ("8", 8), ("9", 9)];
        assert_eq!(contents(&names, 8).await, [Some(0), Some(1), Some(3), Some(8), None]);
    }

    #[tokio::test]
    async fn what_is_not_as_it_was_listed_is_left_to_its_download() {
        // Gone; longer than listed, and than the limit; shorter than it announces; a directory.
        assert_eq!(contents(&[("gone", 1), ("9", 1), ("lie4", 5), ("7", 7)], 8).await, [None, None, None, None]);
    }
}
