//! Memory of dfget's in which a plugin puts the bytes of a download, so that no kernel has to copy them from one process to
//! the other.
//!
//! A plugin can write there at any time. Whoever looks at such bytes more than once has to copy them first, as the digest's
//! side does.

use std::{
    fs::File,
    io::{self, ErrorKind, IoSlice},
    mem::MaybeUninit,
    os::fd::AsFd,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use memmap2::Mmap;
use plugin_proto::extent::Extent;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};
use tokio::net::{
    UnixStream,
    unix::{OwnedReadHalf, OwnedWriteHalf},
};
use tokio_util::io::poll_read_buf;

/// Bytes of one, where it is the only one.
const MOST: usize = 4 * 1024 * 1024;

/// Bytes of one, however many there are.
const LEAST: usize = 512 * 1024;

/// Acknowledgements are gathered up to this part of the memory: each wakes the plugin.
const GATHERED: usize = 4;

/// What goes with it.
const HANDED_OVER: [u8; 1] = [0];

/// Those that are in use.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// Memory that nobody can make shorter.
pub(super) struct Memory {
    file: File,
    map: Mmap,
}

impl Memory {
    /// The more there are, the smaller each is.
    pub(super) fn new() -> io::Result<Self> {
        let others = IN_USE.load(Ordering::Relaxed);
        let file = sealed((MOST / (others + 1)).next_power_of_two().clamp(LEAST, MOST))?;
        // SAFETY: its length cannot change. Its bytes can, which is what the plugin is to do; nobody here relies on their
        // being the same twice.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }?;
        IN_USE.fetch_add(1, Ordering::Relaxed);
        Ok(Self { file, map })
    }

    /// To the plugin at the other end of `stream`.
    fn hand_over(&self, stream: &UnixStream) -> io::Result<()> {
        let descriptors = [self.file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(stream, &[IoSlice::new(&HANDED_OVER)], &mut control, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(target_os = "linux")]
fn sealed(size: usize) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    let file = File::from(memfd_create("dfget-download", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.set_len(size as u64)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn sealed(_: usize) -> io::Result<File> {
    Err(ErrorKind::Unsupported.into())
}

/// The memory, and what the plugin has yet to hear of it.
struct Shared {
    memory: Memory,
    stream: OwnedWriteHalf,
    consumed: Mutex<Consumed>,
}

/// Extents that were consumed, of which the plugin has not heard.
#[derive(Default)]
struct Consumed {
    extents: Vec<Extent>,
    bytes: usize,
}

impl Consumed {
    fn push(&mut self, extent: Extent) {
        self.bytes += extent.length as usize;
        match self.extents.last_mut() {
            Some(last) if last.end() == u64::from(extent.offset) => last.length += extent.length,
            _ => self.extents.push(extent),
        }
    }
}

impl Shared {
    fn consumed(&self, extent: Extent) {
        let mut consumed = self.consumed.lock().unwrap_or_else(PoisonError::into_inner);
        consumed.push(extent);
        if consumed.bytes * GATHERED < self.memory.map.len() {
            return;
        }
        let bytes: Vec<u8> = consumed.extents.iter().flat_map(|extent| extent.to_bytes()).collect();
        // All of it or nothing: it is far less than a socket's buffer holds. One that is full is that of a plugin that does not
        // listen, which can only harm itself.
        let sent = send(self.stream.as_ref().as_fd(), &bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        if sent.is_ok() {
            *consumed = Consumed::default();
        }
    }
}

/// Bytes that a plugin has put into the memory, which has them until this is dropped.
struct Lent {
    shared: Arc<Shared>,
    extent: Extent,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.shared.memory.map[self.extent.offset as usize..][..self.extent.length as usize]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.shared.consumed(self.extent);
    }
}

/// Reads where the next bytes of a download are.
pub(super) struct Reader {
    stream: OwnedReadHalf,
    shared: Arc<Shared>,
    told: BytesMut,
}

impl Reader {
    /// Hands the memory to the plugin at the other end.
    pub(super) fn lend(memory: Memory, stream: UnixStream) -> io::Result<Self> {
        memory.hand_over(&stream)?;
        let (read, write) = stream.into_split();
        let shared = Arc::new(Shared { memory, stream: write, consumed: Mutex::default() });
        Ok(Self { stream: read, shared, told: BytesMut::new() })
    }

    /// The next bytes; `None` at the end.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        while self.told.len() < Extent::SIZE {
            if ready!(poll_read_buf(Pin::new(&mut self.stream), context, &mut self.told))? == 0 {
                return Poll::Ready(Ok(None));
            }
        }
        let extent = Extent { offset: self.told.get_u32_le(), length: self.told.get_u32_le() };
        Poll::Ready(self.bytes(extent).map(Some))
    }

    fn bytes(&self, extent: Extent) -> io::Result<Bytes> {
        let size = self.shared.memory.map.len();
        if extent.length == 0 || extent.end() > size as u64 {
            let Extent { offset, length } = extent;
            let text = format!("it tells of {length} bytes at {offset} of {size} bytes of shared memory");
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        Ok(Bytes::from_owner(Lent { shared: Arc::clone(&self.shared), extent }))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// As a plugin would have it, without the memory.
    fn lend() -> (Reader, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("there are descriptors");
        let memory = Memory::new().expect("there is memory");
        (Reader::lend(memory, ours).expect("somebody listens"), theirs)
    }

    async fn tell(reader: &mut Reader, theirs: &UnixStream, offset: usize, length: usize) -> io::Result<Bytes> {
        let fit = |number| u32::try_from(number).expect("the memory is small");
        let extent = Extent { offset: fit(offset), length: fit(length) };
        assert_eq!(theirs.try_write(&extent.to_bytes()).expect("there is room"), Extent::SIZE);
        poll_fn(|context| reader.poll_read(context)).await.map(|bytes| bytes.expect("it is no end"))
    }

    #[tokio::test]
    async fn a_plugin_hears_of_what_is_needed_no_more_in_pieces_worth_their_while() {
        let (mut reader, mut theirs) = lend();
        let size = reader.shared.memory.map.len();
        assert_eq!(theirs.read_u8().await.unwrap(), HANDED_OVER[0]);
        let quarter = size / GATHERED;
        drop(tell(&mut reader, &theirs, 0, quarter - 1).await.unwrap());
        let held = tell(&mut reader, &theirs, quarter, 1).await.unwrap();
        assert_eq!(theirs.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(tell(&mut reader, &theirs, quarter - 1, 1).await.unwrap());
        let mut heard = [0; Extent::SIZE];
        theirs.read_exact(&mut heard).await.unwrap();
        assert_eq!(Extent::from_bytes(heard), Extent { offset: 0, length: u32::try_from(quarter).unwrap() });
        assert_eq!(theirs.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(held);
    }

    #[tokio::test]
    async fn the_end_of_the_socket_is_the_end() {
        let (mut reader, theirs) = lend();
        drop(theirs);
        assert!(poll_fn(|context| reader.poll_read(context)).await.unwrap_or_default().is_none());
    }

    #[tokio::test]
    async fn nothing_is_read_that_is_not_in_the_memory() {
        let (mut reader, theirs) = lend();
        let size = reader.shared.memory.map.len();
        assert_eq!(tell(&mut reader, &theirs, size - 1, 1).await.unwrap().len(), 1);
        for (offset, length) in [(size, 1), (size - 1, 2), (0, 0), (u32::MAX as usize, u32::MAX as usize)] {
            let error = tell(&mut reader, &theirs, offset, length).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
    }
}
