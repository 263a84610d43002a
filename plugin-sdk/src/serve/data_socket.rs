//! The bytes of a download on a socket of their own, beside the messages: PROTOCOL.md, "Data sockets".
//!
//! * `file`: from the kernel's hand to the host's, where they are those of a file
//! * `diverted`: taken out of the messages, where they come from anywhere else
//! * `shared_memory`: of these, put where the host can see them

mod diverted;
mod file;
mod shared_memory;

use std::{
    fs, io, mem,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::stream::BoxStream;
use plugin_proto::{limits, resource::DownloadResponse};
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::{
    net::{UnixListener, UnixStream},
    time::timeout,
};
use tonic::Status;

use super::frames::Frames;
use crate::{Download, Error};

/// For fewer bytes a connection costs more than it spares.
const WORTH_IT: u64 = 1024 * 1024;

/// For fewer bytes it costs more than it spares to share memory.
const WORTH_SHARING: u64 = 16 * 1024 * 1024;

/// How long the host may take to connect.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that may be under way. The kernel may allow fewer.
const UNDER_WAY: usize = 1024 * 1024;

pub(super) type Messages = BoxStream<'static, Result<DownloadResponse, Status>>;

/// What bytes go by that are in no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// They go over a data socket.
    Socket,
    /// They are put into shared memory, and over the socket goes where.
    Memory,
}

/// Where data sockets are made.
#[derive(Debug)]
pub(super) struct DataSockets {
    directory: PathBuf,
    made: AtomicU64,
}

impl DataSockets {
    /// `directory` is one that the host has made for this plugin alone.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, made: AtomicU64::new(0) }
    }

    /// The messages of `download`: its bytes go by what the host takes, where that is worth it and possible, else as
    /// chunks. `panics_at_start` is for [`Frames`].
    pub(super) fn messages(&self, mut download: Download, takes: Carrier, panics_at_start: u64) -> Messages {
        let length = download.opened.range.length;
        let tell = |error: &io::Error| tracing::debug!("a download goes without a data socket: {error}");
        let is_worth_it = length.is_some_and(|length| length >= WORTH_IT);
        let socket = if is_worth_it { self.listen().inspect_err(tell).ok() } else { None };
        let Some(socket) = socket else { return Box::pin(Frames::new(download, panics_at_start)) };
        match download.body.take_file(length) {
            Some(body) => file::messages(mem::take(&mut download.opened), body, socket),
            None => {
                let carrier = match takes {
                    Carrier::Memory if length.is_some_and(|length| length < WORTH_SHARING) => Carrier::Socket,
                    takes => takes,
                };
                diverted::messages(Frames::new(download, panics_at_start), socket, carrier)
            }
        }
    }

    fn listen(&self) -> io::Result<DataSocket> {
        let name = format!("data{}", self.made.fetch_add(1, Ordering::Relaxed));
        let path = self.directory.join(&name);
        if path.as_os_str().len() > limits::SOCKET_PATH {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "its path would be too long"));
        }
        Ok(DataSocket { listener: UnixListener::bind(&path)?, name, path })
    }
}

/// A socket to which nobody has connected yet. It goes as soon as somebody has.
struct DataSocket {
    listener: UnixListener,
    name: String,
    path: PathBuf,
}

impl DataSocket {
    async fn accept(self) -> Result<UnixStream, Error> {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        let (stream, _) = accepted.map_err(|_| Error::internal("the host did not connect to the data socket"))??;
        // It works with what it has, too.
        let _ = set_socket_send_buffer_size(&stream, UNDER_WAY);
        Ok(stream)
    }
}

impl Drop for DataSocket {
    fn drop(&mut self) {
        // The host may have removed the directory before.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use futures_util::{StreamExt, stream};
    use plugin_proto::resource::{End, download_response::Event};
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::{Body, Metadata, Opened, serve::panics};

    const LENGTH: u64 = WORTH_IT + 3;

    fn download(written: u64, announced: u64, check: Result<(), Error>) -> Download {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; usize::try_from(written).unwrap()]).unwrap();
        file.rewind().unwrap();
        let metadata = Metadata { content_length: Some(announced), ..Metadata::default() };
        Download { opened: Opened::whole(metadata), body: Body::from_file_checked(file, announced, || check) }
    }

    /// The bytes that came, and what the last message was.
    async fn receive(download: Download) -> (usize, Result<Event, String>) {
        let directory = tempfile::tempdir().unwrap();
        let sockets = DataSockets::new(directory.path().to_owned());
        let mut messages = sockets.messages(download, Carrier::Socket, panics::so_far());
        let Some(Event::Opened(opened)) = messages.next().await.unwrap().unwrap().event else { panic!("no Opened") };
        let path = directory.path().join(opened.data_socket);
        let read = async {
            let mut bytes = Vec::new();
            tokio::net::UnixStream::connect(&path).await.unwrap().read_to_end(&mut bytes).await.unwrap();
            bytes.len()
        };
        let (read, last) = tokio::join!(read, messages.next());
        assert!(!path.exists(), "the socket is gone");
        let last = last.unwrap().map(|message| message.event.unwrap());
        (read, last.map_err(|status| status.message().to_owned()))
    }

    #[tokio::test]
    async fn the_bytes_of_a_file_come_on_a_socket() {
        let (read, last) = receive(download(LENGTH, LENGTH, Ok(()))).await;
        assert_eq!((read as u64, last), (LENGTH, Ok(Event::End(End { total: LENGTH }))));
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_has_no_end() {
        let (read, last) = receive(download(LENGTH - 2, LENGTH, Ok(()))).await;
        let text = format!("the source ended 2 bytes short of the {LENGTH} announced");
        assert_eq!((read as u64, last), (LENGTH - 2, Err(text)));
    }

    #[tokio::test]
    async fn a_file_that_fails_its_check_has_no_end() {
        let (_, last) = receive(download(LENGTH, LENGTH, Err(Error::Changed("written to".into())))).await;
        assert_eq!(last, Err("written to".into()));
    }

    fn in_memory(length: u64, announced: u64) -> Download {
        let bytes = vec![7; usize::try_from(length).unwrap()];
        let metadata = Metadata { content_length: Some(announced), ..Metadata::default() };
        Download { opened: Opened::whole(metadata), body: Body::from_bytes(bytes) }
    }

    #[tokio::test]
    async fn bytes_from_anywhere_come_on_a_socket() {
        let (read, last) = receive(in_memory(LENGTH, LENGTH)).await;
        assert_eq!((read as u64, last), (LENGTH, Ok(Event::End(End { total: LENGTH }))));
        let (read, last) = receive(in_memory(LENGTH - 2, LENGTH)).await;
        let text = format!("the source ended 2 bytes short of the {LENGTH} announced");
        assert_eq!((read as u64, last), (LENGTH - 2, Err(text)));
    }

    /// What the body of a connection that broke at once comes to: the socket must not be gone before the reason is told.
    #[tokio::test]
    async fn a_body_that_fails_before_its_first_byte_is_connected_to_and_told() {
        let opened = download(LENGTH, LENGTH, Ok(())).opened;
        let fails = stream::iter([Err(Error::NotFound("no tape".into()))]);
        let (read, last) = receive(Download { opened, body: Body::from_events(fails) }).await;
        assert_eq!((read, last), (0, Err("no tape".into())));
    }

    #[tokio::test]
    async fn what_is_small_goes_as_messages() {
        let directory = tempfile::tempdir().unwrap();
        let sockets = DataSockets::new(directory.path().to_owned());
        let mut messages = sockets.messages(in_memory(9, 9), Carrier::Memory, panics::so_far());
        let Some(Event::Opened(opened)) = messages.next().await.unwrap().unwrap().event else { panic!("no Opened") };
        assert_eq!(opened.data_socket, "");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_call_that_is_cancelled_leaves_neither_socket_nor_thread() {
        // More than a socket holds.
        const LARGE: u64 = 16 * LENGTH;
        let directory = tempfile::tempdir().unwrap();
        let sockets = DataSockets::new(directory.path().to_owned());
        let mut messages = sockets.messages(download(LARGE, LARGE, Ok(())), Carrier::Memory, panics::so_far());
        messages.next().await.unwrap().unwrap();
        let path = directory.path().join("data0");
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        // Long enough for the thread to begin: it has filled the socket and waits.
        tokio::select! {
            _ = messages.next() => panic!("nobody has read the bytes"),
            read = stream.read_u8() => assert_eq!(read.unwrap(), 7),
        }
        drop(messages);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!((rest.len() as u64) < LARGE - 1);
        assert!(!path.exists());
    }
}
