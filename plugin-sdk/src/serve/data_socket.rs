//! The bytes of a file on a socket of their own, from the kernel's hand to the host's: no messages, no copies here.

use std::{
    fs,
    io::{self, Read},
    mem,
    net::Shutdown,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream, stream::BoxStream};
use plugin_proto::{
    limits,
    resource::{DownloadResponse, End, Opened as WireOpened, download_response::Event},
};
use tokio::{net::UnixListener, time::timeout};
use tonic::Status;

use crate::{Download, Error, Opened, body::FileBody};

/// For fewer bytes a connection costs more than it spares.
const WORTH_IT: u64 = 1024 * 1024;

/// How long the host may take to connect.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that the kernel is asked to send at a time.
const AT_ONCE: usize = 4 * 1024 * 1024;

type Messages = BoxStream<'static, Result<DownloadResponse, Status>>;

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

    /// The messages of `download`, whose bytes go over a socket; `None`, and nothing is changed, where that is not worth it
    /// or not possible.
    pub(super) fn offer(&self, download: &mut Download) -> Option<Messages> {
        let length = download.body.file_length().filter(|length| *length >= WORTH_IT)?;
        if download.opened.range.length != Some(length) {
            return None;
        }
        let tell = |error: &io::Error| tracing::debug!("a download goes without a data socket: {error}");
        let socket = self.listen().inspect_err(tell).ok()?;
        let file = download.body.take_file()?;
        Some(messages(mem::take(&mut download.opened), file, socket))
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

impl Drop for DataSocket {
    fn drop(&mut self) {
        // The host may have removed the directory before.
        let _ = fs::remove_file(&self.path);
    }
}

fn messages(opened: Opened, file: FileBody, socket: DataSocket) -> Messages {
    let opened = WireOpened { data_socket: socket.name.clone(), ..opened.into() };
    let end = stream::once(async move { deliver(socket, file).await.map_err(Status::from) });
    let events = stream::iter([Ok(Event::Opened(opened))]).chain(end);
    events.map(|event| event.map(|event| DownloadResponse { event: Some(event) })).boxed()
}

async fn deliver(socket: DataSocket, body: FileBody) -> Result<Event, Error> {
    let accepted = timeout(PATIENCE, socket.listener.accept()).await;
    let (stream, _) = accepted.map_err(|_| Error::internal("the host did not connect to the data socket"))??;
    drop(socket);
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    let cut = CutOnDrop(Arc::new(stream));
    let stream = Arc::clone(&cut.0);
    let sent = tokio::task::spawn_blocking(move || send(body, &stream));
    sent.await.map_err(|failed| Error::internal(format!("the thread that sends the body ended early: {failed}")))?
}

/// Ends the thread that uses it when the call is over.
struct CutOnDrop(Arc<UnixStream>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

fn send(body: FileBody, mut stream: &UnixStream) -> Result<Event, Error> {
    let FileBody { mut file, length, check } = body;
    let mut rest = length;
    while rest > 0 {
        let sent = send_some(&mut file, stream, rest)?;
        if sent == 0 {
            let text = format!("the source ended {rest} bytes short of the {length} announced");
            return Err(Error::DataLoss(text));
        }
        rest -= sent;
    }
    stream.shutdown(Shutdown::Write)?;
    // What the kernel has sent are the file's own pages. Only when the host has read them, and closed, can nobody
    // change them any more.
    while stream.read(&mut [0; 64])? > 0 {}
    check()?;
    Ok(Event::End(End { total: length }))
}

#[cfg(target_os = "linux")]
fn send_some(file: &mut fs::File, stream: &UnixStream, rest: u64) -> io::Result<u64> {
    let wanted = usize::try_from(rest).map_or(AT_ONCE, |rest| rest.min(AT_ONCE));
    match rustix::io::retry_on_intr(|| rustix::fs::sendfile(stream, &*file, None, wanted)) {
        // Of this file system.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => copy_some(file, stream, rest),
        sent => Ok(sent? as u64),
    }
}

#[cfg(not(target_os = "linux"))]
fn send_some(file: &mut fs::File, stream: &UnixStream, rest: u64) -> io::Result<u64> {
    copy_some(file, stream, rest)
}

fn copy_some(file: &mut fs::File, mut stream: &UnixStream, rest: u64) -> io::Result<u64> {
    io::copy(&mut file.take(rest.min(AT_ONCE as u64)), &mut stream)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::{Body, Metadata};

    const LENGTH: u64 = WORTH_IT + 3;

    fn download(written: u64, announced: u64, check: Result<(), Error>) -> Download {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; usize::try_from(written).unwrap()]).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let metadata = Metadata { content_length: Some(announced), ..Metadata::default() };
        Download { opened: Opened::whole(metadata), body: Body::from_file_checked(file, announced, || check) }
    }

    /// The bytes that came, and what the last message was.
    async fn receive(mut download: Download) -> (usize, Result<Event, String>) {
        let directory = tempfile::tempdir().unwrap();
        let sockets = DataSockets::new(directory.path().to_owned());
        let mut messages = sockets.offer(&mut download).expect("it is worth it");
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

    #[tokio::test]
    async fn what_is_small_or_no_file_goes_as_messages() {
        let directory = tempfile::tempdir().unwrap();
        let sockets = DataSockets::new(directory.path().to_owned());
        assert!(sockets.offer(&mut download(9, 9, Ok(()))).is_none());
        let opened = download(LENGTH, LENGTH, Ok(())).opened;
        let bytes = vec![7; usize::try_from(LENGTH).unwrap()];
        assert!(sockets.offer(&mut Download { opened, body: Body::from_bytes(bytes) }).is_none());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_call_that_is_cancelled_leaves_neither_socket_nor_thread() {
        let directory = tempfile::tempdir().unwrap();
        let sockets = DataSockets::new(directory.path().to_owned());
        let mut messages = sockets.offer(&mut download(LENGTH, LENGTH, Ok(()))).unwrap();
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
        assert!((rest.len() as u64) < LENGTH - 1);
        assert!(!path.exists());
    }
}
