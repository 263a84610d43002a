//! The story of one download: check the output, open the resource, write its body, commit.

use std::time::Duration;

use plugin_sdk::{BodyEvent, Download, DownloadRequest, Header, Options, Range, Request};
use tokio_stream::StreamExt;

use crate::{
    error::Error,
    output::{Output, OutputOptions, Target},
    progress::Progress,
    registry::Registry,
    url::ResourceUrl,
};

/// One resource to fetch.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which one.
    pub url: ResourceUrl,
    /// Sent along to the storage.
    pub header: Header,
    /// Settings of the source.
    pub options: Options,
    /// Where to.
    pub target: Target,
    /// How it is written.
    pub output: OutputOptions,
    /// For all of it; `None` is no limit.
    pub timeout: Option<Duration>,
}

/// A download that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Bytes in the output.
    pub bytes: u64,
}

/// Downloads one resource.
///
/// Cancel safe: dropped, it leaves at most a `.part` file. The plugin it started runs on until
/// [`Registry::stop`].
///
/// # Errors
///
/// * [`Error::NoSource`], and those of the output, before anything is started
/// * those of [`Registry::open`]
/// * [`Error::Crashed`], [`Error::Protocol`], [`Error::Stalled`]: the plugin failed
/// * [`Error::Source`], [`Error::Integrity`]: the resource cannot be had, or not as it was announced
/// * [`Error::TimedOut`]: it took longer than [`Job::timeout`]
pub async fn download(job: &Job, registry: &Registry, progress: &Progress) -> Result<Summary, Error> {
    let Some(limit) = job.timeout else { return fetch(job, registry, progress).await };
    let timed_out = |_| Error::TimedOut { url: job.url.to_string(), limit };
    tokio::time::timeout(limit, fetch(job, registry, progress)).await.map_err(timed_out)?
}

async fn fetch(job: &Job, registry: &Registry, progress: &Progress) -> Result<Summary, Error> {
    let source = registry.find(job.url.scheme())?;
    let mut output = Output::open(&job.target, job.output)?;
    let client = registry.open(&source, &job.options).await?;
    let request = DownloadRequest {
        request: Request { url: job.url.as_str().to_owned(), header: job.header.clone() },
        ..DownloadRequest::default()
    };
    let refused = |error| Error::of_source(&job.url.to_string(), error);
    let download = client.download(&request).await.map_err(refused)?;
    check_whole(&download, &job.url)?;
    progress.opened(download.opened.range.length);
    let copied = copy(download, &mut output, job, progress).await;
    progress.finished();
    match copied {
        Ok(bytes) => output.commit().await.map(|()| Summary { bytes }),
        Err(error) => {
            output.fail(&error).await;
            Err(error)
        }
    }
}

/// The whole was asked for.
fn check_whole(download: &Download, url: &ResourceUrl) -> Result<(), Error> {
    let Range { start, length } = download.opened.range;
    match download.opened.metadata.content_length {
        _ if start != 0 => Err(damaged(url, format!("it begins at byte {start}"))),
        Some(total) if length.is_some_and(|length| length != total) => {
            Err(damaged(url, format!("{} of {total} bytes are served", length.unwrap_or_default())))
        }
        _ => Ok(()),
    }
}

fn damaged(url: &ResourceUrl, fact: String) -> Error {
    Error::Integrity { url: url.to_string(), fact }
}

/// Writes the body as it comes. Returns its length, which is the one announced.
async fn copy(mut download: Download, output: &mut Output, job: &Job, progress: &Progress) -> Result<u64, Error> {
    let expected = download.opened.range.length;
    let mut received = 0;
    while let Some(event) = download.body.next().await {
        match event.map_err(|error| Error::of_source(&job.url.to_string(), error))? {
            BodyEvent::Chunk(chunk) => {
                received += chunk.len() as u64;
                if let Some(expected) = expected.filter(|expected| received > *expected) {
                    return Err(damaged(&job.url, format!("more came than the {expected} bytes announced")));
                }
                progress.advanced(chunk.len() as u64);
                output.write(chunk).await?;
            }
            BodyEvent::Waiting(reason) => progress.waiting(&reason),
        }
    }
    match expected {
        Some(expected) if received != expected => {
            Err(damaged(&job.url, format!("got {received} bytes, expected {expected}")))
        }
        _ => Ok(received),
    }
}
