//! What a host gets to see of this source.

use futures_util::StreamExt;
use plugin_sdk::{BodyEvent, DownloadRequest, Error, Range, Request, ResourceClient, Validator};

use super::D7yfs;

fn request(range: Range, etag: Option<&str>) -> DownloadRequest {
    let validator = Validator { etag: etag.map(Into::into), last_modified: None };
    DownloadRequest { request: Request::new("d7yfs://any/thing"), range, validator }
}

async fn text(range: Range) -> String {
    let mut body = D7yfs.download(&request(range, None)).await.unwrap().body;
    let mut bytes = Vec::new();
    while let Some(event) = body.next().await {
        let BodyEvent::Chunk(chunk) = event.unwrap() else { continue };
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn every_url_is_hello_world() {
    assert_eq!(text(Range::default()).await, "hello world");
    assert_eq!(text(Range { start: 6, length: Some(3) }).await, "wor");
}

#[tokio::test]
async fn metadata_and_an_opened_download_say_the_same() {
    let metadata = D7yfs.metadata(&Request::new("d7yfs://x")).await.unwrap();
    assert_eq!((metadata.content_length, metadata.support_range), (Some(11), true));
    let range = Range { start: 6, length: None };
    let opened = D7yfs.download(&request(range, metadata.validator.etag.as_deref())).await.unwrap().opened;
    assert_eq!((opened.status, opened.range), (206, Range { start: 6, length: Some(5) }));
    assert_eq!(opened.metadata, metadata);
}

#[tokio::test]
async fn another_version_and_a_range_behind_the_end_are_refused() {
    let changed = D7yfs.download(&request(Range::default(), Some("\"other\""))).await;
    assert!(matches!(changed, Err(Error::Changed(_))), "{changed:?}");
    let behind = D7yfs.download(&request(Range { start: 11, length: None }, None)).await;
    assert!(matches!(behind, Err(Error::OutOfRange(_))), "{behind:?}");
}

#[test]
fn the_build_is_stamped_with_a_commit_and_a_time() {
    let (commit, time) = (env!("D7YFS_BUILD_COMMIT"), env!("D7YFS_BUILD_TIME"));
    assert!(!commit.is_empty() && !commit.contains(char::is_whitespace), "{commit}");
    assert!(time == "unknown" || (time.len() == "2021-12-13T08:53:04Z".len() && time.ends_with('Z')), "{time}");
}
