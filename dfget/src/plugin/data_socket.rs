//! What comes on the data socket of a download: its bytes, or where they are in shared memory.

use std::{
    io::{self, ErrorKind},
    task::{Context, Poll},
};

use bytes::Bytes;
use plugin_proto::extent::NO_MEMORY;
use tokio::{io::AsyncWriteExt, net::UnixStream};

use super::{
    buffers,
    shared_memory::{self, Memory},
};

pub(super) enum DataSocket {
    Bytes(buffers::Reader<UnixStream>),
    Memory(shared_memory::Reader),
}

impl DataSocket {
    /// Reads what a plugin sends on `stream`.
    pub(super) fn of_bytes(stream: UnixStream) -> Self {
        Self::Bytes(buffers::Reader::new(stream))
    }

    /// Shares memory with the plugin at the other end of `stream`, which waits for that. Where there is none, it is told so,
    /// and sends the bytes.
    pub(super) async fn of_memory(stream: UnixStream) -> io::Result<Self> {
        match Memory::share(&stream) {
            Ok(memory) => return Ok(Self::Memory(shared_memory::Reader::new(memory, stream))),
            Err(error) => tracing::debug!("no memory can be shared with the plugin: {error}"),
        }
        Self::without_memory(stream).await
    }

    async fn without_memory(mut stream: UnixStream) -> io::Result<Self> {
        stream.write_all(&[NO_MEMORY]).await?;
        Ok(Self::of_bytes(stream))
    }

    /// What the bytes come by.
    pub(super) fn title(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "data socket",
            Self::Memory(_) => "shared memory and data socket",
        }
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;

    use super::*;

    async fn read(socket: &mut DataSocket) -> Result<Option<Bytes>, String> {
        poll_fn(|context| socket.poll_read(context)).await
    }

    #[tokio::test]
    async fn without_memory_the_bytes_come_themselves() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut socket = DataSocket::without_memory(ours).await.unwrap();
        assert_eq!((theirs.read_u8().await.unwrap(), socket.title()), (NO_MEMORY, "data socket"));
        theirs.write_all(b"abc").await.unwrap();
        drop(theirs);
        assert_eq!(read(&mut socket).await, Ok(Some(Bytes::from("abc"))));
        assert_eq!(read(&mut socket).await, Ok(None));
    }
}
