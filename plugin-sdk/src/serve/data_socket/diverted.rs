//! A body's bytes, taken out of its messages.

use futures_util::{StreamExt, stream};
use plugin_proto::resource::{DownloadResponse, download_response::Event};
use tokio::{io::AsyncWriteExt, net::UnixStream};
use tonic::Status;

use super::{Carrier, DataSocket, Messages, shared_memory::SharedMemory};
use crate::{Error, serve::frames::Frames};

/// Messages whose chunks go elsewhere.
struct Diverted {
    frames: Frames,
    /// Until somebody connects.
    socket: Option<DataSocket>,
    stream: Option<UnixStream>,
    carrier: Carrier,
    /// Into which the bytes go, where the host has shared some.
    memory: Option<SharedMemory>,
}

pub(super) fn messages(frames: Frames, socket: DataSocket, carrier: Carrier) -> Messages {
    let diverted = Diverted { frames, socket: Some(socket), stream: None, carrier, memory: None };
    stream::try_unfold(diverted, async |mut diverted| Ok(diverted.next().await?.map(|message| (message, diverted))))
        .boxed()
}

impl Diverted {
    /// The next message that is no chunk.
    async fn next(&mut self) -> Result<Option<DownloadResponse>, Status> {
        loop {
            match self.frames.next().await.transpose() {
                Err(status) => return Err(self.fail(status).await),
                Ok(message) => match message.and_then(|message| message.event) {
                    None => return Ok(None),
                    Some(Event::Chunk(chunk)) => self.write(&chunk.data).await?,
                    Some(event) => return Ok(Some(DownloadResponse { event: Some(self.pass(event).await?) })),
                },
            }
        }
    }

    /// Not before the host has connected: a socket that is gone would be all that it sees.
    async fn fail(&mut self, status: Status) -> Status {
        // Whoever does not connect has no use for a reason.
        let _ = self.connected().await;
        status
    }

    async fn pass(&mut self, event: Event) -> Result<Event, Error> {
        match event {
            Event::Opened(mut opened) => {
                opened.data_socket = self.socket.as_ref().map(|socket| socket.name.clone()).unwrap_or_default();
                opened.shared_memory = self.carrier == Carrier::Memory;
                Ok(Event::Opened(opened))
            }
            Event::End(end) => {
                self.connected().await?.shutdown().await?;
                Ok(Event::End(end))
            }
            event => Ok(event),
        }
    }

    async fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        self.connected().await?;
        match (&mut self.stream, &mut self.memory) {
            (Some(stream), Some(memory)) => Ok(memory.write(stream, data).await?),
            (Some(stream), None) => Ok(stream.write_all(data).await?),
            (None, _) => Err(not_connected()),
        }
    }

    async fn connected(&mut self) -> Result<&mut UnixStream, Error> {
        if let Some(socket) = self.socket.take() {
            let stream = socket.accept().await?;
            if self.carrier == Carrier::Memory {
                self.memory = SharedMemory::receive(&stream).await?;
            }
            self.stream = Some(stream);
        }
        self.stream.as_mut().ok_or_else(not_connected)
    }
}

fn not_connected() -> Error {
    Error::internal("the host did not connect to the data socket")
}
