//! A file's bytes, which the kernel sends.

use std::{
    fs,
    io::{self, Read},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::Arc,
};

use futures_util::{StreamExt, stream};
use plugin_proto::resource::{DownloadResponse, End, Opened as WireOpened, download_response::Event};
use tonic::Status;

use super::{DataSocket, Messages};
use crate::{Error, Opened, body::FileBody};

/// Bytes that the kernel is asked to send at a time.
const AT_ONCE: usize = 4 * 1024 * 1024;

pub(super) fn messages(opened: Opened, file: FileBody, socket: DataSocket) -> Messages {
    let opened = WireOpened { data_socket: socket.name.clone(), ..opened.into() };
    let end = stream::once(async move { deliver(socket, file).await.map_err(Status::from) });
    let events = stream::iter([Ok(Event::Opened(opened))]).chain(end);
    events.map(|event| event.map(|event| DownloadResponse { event: Some(event) })).boxed()
}

async fn deliver(socket: DataSocket, body: FileBody) -> Result<Event, Error> {
    let stream = socket.accept().await?.into_std()?;
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
