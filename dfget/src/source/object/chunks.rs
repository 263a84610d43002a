//! The body of a store's answer, as opendal wants it: an object's as it comes, any other within bounds.

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use opendal::{Buffer, Error, ErrorKind};

/// Bytes of an answer that is no object: the longest pages of listings have some 5 MiB.
const PAGE: usize = 16 * 1024 * 1024;

pub(super) type ByteStream = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// Chunks as they come. The lock is never taken: it makes the stream [`Sync`], as opendal wants it.
pub(super) struct Chunks {
    stream: Mutex<ByteStream>,
    /// Bytes that may still come, where they are limited.
    left: Option<usize>,
}

impl Chunks {
    pub(super) fn all(stream: ByteStream) -> Self {
        Self { stream: Mutex::new(stream), left: None }
    }

    /// Of what is collected before it is read, and so must have an end.
    pub(super) fn page(stream: ByteStream) -> Self {
        Self { left: Some(PAGE), ..Self::all(stream) }
    }
}

impl Stream for Chunks {
    type Item = opendal::Result<Buffer>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, left } = &mut *self;
        let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
        stream.as_mut().poll_next(context).map(|chunk| {
            let broken = |error: reqwest::Error| Error::new(ErrorKind::Unexpected, last_cause(&error.without_url()));
            let chunk = chunk?.map_err(broken);
            Some(chunk.and_then(|chunk| within(left, chunk)).map(Buffer::from))
        })
    }
}

/// The chunk, if so much may come.
fn within(left: &mut Option<usize>, chunk: Bytes) -> opendal::Result<Bytes> {
    if let Some(left) = left {
        *left = left.checked_sub(chunk.len()).ok_or_else(|| {
            Error::new(ErrorKind::Unexpected, format!("an answer that is no object has more than {PAGE} bytes"))
        })?;
    }
    Ok(chunk)
}

fn last_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
