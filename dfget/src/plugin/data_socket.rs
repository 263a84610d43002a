//! What comes on the data socket of a download: its bytes, or where they are in shared memory.

use std::{
    io::{self, ErrorKind},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, net::UnixStream};

use super::{
    buffers,
    shared_memory::{self, Memory},
};

/// Instead of memory, where there is none: the bytes are wanted themselves.
const NO_MEMORY: [u8; 1] = [0];

pub(super) enum DataSocket {
    Bytes(buffers::Reader<UnixStream>),
    Memory(shared_memory::Reader),
}

impl DataSocket {
    /// Reads what a plugin sends on `stream`, which waits for memory if it is to `share` some.
    pub(super) async fn open(mut stream: UnixStream, share: bool) -> io::Result<Self> {
        if share {
            match Memory::new() {
                Ok(memory) => return shared_memory::Reader::lend(memory, stream).map(Self::Memory),
                Err(error) => tracing::debug!("no memory can be shared with the plugin: {error}"),
            }
            stream.write_all(&NO_MEMORY).await?;
        }
        Ok(Self::Bytes(buffers::Reader::new(stream)))
    }

    /// The next bytes; `None` at the end, or where the connection broke. The reason is told by the messages, or by the
    /// plugin's end.
    ///
    /// # Errors
    ///
    /// * the plugin has told what cannot be
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, String>> {
        let read = match self {
            Self::Bytes(reader) => reader.poll_read(context),
            Self::Memory(reader) => reader.poll_read(context),
        };
        read.map(|read| match read {
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(error.to_string()),
            read => Ok(read.unwrap_or_default()),
        })
    }
}
