//! Memory of dfget's in which a plugin puts the bytes of a download, so that no kernel has to copy them from one process to
//! the other.
//!
//! A plugin can write there at any time. Whoever looks at such bytes more than once has to copy them first, as the digest's
//! side does.
//!
//! * `memory`: how it is made and handed over
//! * `uses`: what of it is in use, and what the plugin has heard of that

mod memory;
mod uses;

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use plugin_proto::extent::Extent;
use tokio::net::{
    UnixStream,
    unix::{OwnedReadHalf, OwnedWriteHalf},
};
use tokio_util::io::poll_read_buf;

pub(super) use self::memory::Memory;
use self::uses::{UNREAD, Uses};

/// What is needed no more is told as soon as it is this part of the memory: each time wakes the plugin.
const GATHERED: usize = 4;

/// So are as many extents: of small ones that part of the memory takes long to come.
const GATHERED_EXTENTS: usize = 64;

/// Bytes of extents that are read at once.
const READ: usize = 64 * Extent::SIZE;

/// The memory, and what is known of its use.
struct Shared {
    memory: Memory,
    stream: OwnedWriteHalf,
    uses: Mutex<Uses>,
}

impl Shared {
    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, uses: &mut Uses) {
        if uses.done_bytes * GATHERED >= self.memory.size() || uses.done.len() >= GATHERED_EXTENTS {
            uses.tell(&self.stream);
        }
    }
}

/// Bytes that a plugin has put into the memory, and leaves alone until this is dropped.
struct InUse {
    shared: Arc<Shared>,
    extent: Extent,
}

impl AsRef<[u8]> for InUse {
    fn as_ref(&self) -> &[u8] {
        &self.shared.memory.bytes()[self.extent.offset as usize..][..self.extent.length as usize]
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut uses = self.shared.uses();
        uses.end(self.extent);
        self.shared.tell(&mut uses);
    }
}

/// Reads where the next bytes of a download are.
pub(super) struct Reader {
    stream: OwnedReadHalf,
    shared: Arc<Shared>,
    told: BytesMut,
}

impl Reader {
    /// `memory` was shared over `stream`.
    pub(super) fn new(memory: Memory, stream: UnixStream) -> Self {
        let (read, write) = stream.into_split();
        let shared = Arc::new(Shared { memory, stream: write, uses: Mutex::default() });
        Self { stream: read, shared, told: BytesMut::new() }
    }

    /// The next bytes; `None` at the end.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        // A socket that had no room for it may have some now.
        self.shared.tell(&mut self.shared.uses());
        while self.told.len() < Extent::SIZE {
            self.told.reserve(READ);
            if ready!(poll_read_buf(Pin::new(&mut self.stream), context, &mut self.told))? == 0 {
                return Poll::Ready(Ok(None));
            }
        }
        Poll::Ready(self.next().map(Some))
    }

    /// The first extent that was told, and those that follow it in the memory. Not too many: what is left of the memory is
    /// filled while these are written.
    fn next(&mut self) -> io::Result<Bytes> {
        let most = (self.shared.memory.size() / GATHERED) as u64;
        let first = Extent { offset: self.told.get_u32_le(), length: self.told.get_u32_le() };
        let mut extent = self.check(first)?;
        while let Some(next) = self.told.first_chunk().map(|bytes| Extent::from_bytes(*bytes)) {
            let joined = u64::from(extent.length) + u64::from(next.length);
            if u64::from(next.offset) != extent.end() || joined > most {
                break;
            }
            extent.length += self.check(next)?.length;
            self.told.advance(Extent::SIZE);
        }
        Ok(Bytes::from_owner(InUse { shared: Arc::clone(&self.shared), extent }))
    }

    /// That it is in the memory, and nothing of it can be in use already.
    fn check(&self, extent: Extent) -> io::Result<Extent> {
        let (size, Extent { offset, length }) = (self.shared.memory.size(), extent);
        let wrong = |text: String| Err(io::Error::new(ErrorKind::InvalidData, text));
        if length == 0 || extent.end() > size as u64 {
            return wrong(format!("it tells of {length} bytes at {offset} of {size} bytes of shared memory"));
        }
        let mut uses = self.shared.uses();
        if uses.bytes + length as usize > size {
            let in_use = uses.bytes;
            return wrong(format!(
                "it tells of {length} bytes more in shared memory of which {in_use} of {size} are in use"
            ));
        }
        if uses.done.len() > UNREAD {
            return wrong(format!("it does not read what is needed no more of shared memory, {UNREAD} extents by now"));
        }
        uses.bytes += length as usize;
        Ok(extent)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::future::poll_fn;

    use plugin_proto::extent::MEMORY_COMES;
    use tokio::io::AsyncReadExt;

    use super::*;

    /// As a plugin would have it, without the memory.
    fn share() -> (Reader, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("there are descriptors");
        let memory = Memory::share(&ours).expect("there is memory");
        (Reader::new(memory, ours), theirs)
    }

    fn extent(offset: usize, length: usize) -> Extent {
        let fit = |number| u32::try_from(number).expect("the memory is small");
        Extent { offset: fit(offset), length: fit(length) }
    }

    fn tell(theirs: &UnixStream, extents: &[Extent]) {
        let bytes: Vec<u8> = extents.iter().flat_map(|extent| extent.to_bytes()).collect();
        assert_eq!(theirs.try_write(&bytes).expect("there is room"), bytes.len());
    }

    async fn read(reader: &mut Reader) -> io::Result<Bytes> {
        poll_fn(|context| reader.poll_read(context)).await.map(|bytes| bytes.expect("it is no end"))
    }

    async fn refused(reader: &mut Reader) -> String {
        let error = read(reader).await.expect_err("it is wrong");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        error.to_string()
    }

    #[tokio::test]
    async fn a_plugin_hears_of_what_is_needed_no_more_in_pieces_worth_their_while() {
        let (mut reader, mut theirs) = share();
        assert_eq!(theirs.read_u8().await.unwrap(), MEMORY_COMES);
        let quarter = reader.shared.memory.size() / GATHERED;
        let nothing = |theirs: &UnixStream| theirs.try_read(&mut [0]).unwrap_err().kind() == ErrorKind::WouldBlock;
        tell(&theirs, &[extent(0, quarter - 1), extent(quarter, 1), extent(quarter - 1, 1)]);
        drop(read(&mut reader).await.unwrap());
        let held = read(&mut reader).await.unwrap();
        assert!(nothing(&theirs));
        drop(read(&mut reader).await.unwrap());
        let mut heard = [0; Extent::SIZE];
        theirs.read_exact(&mut heard).await.unwrap();
        assert_eq!(Extent::from_bytes(heard), extent(0, quarter));
        assert!(nothing(&theirs));
        assert_eq!(reader.shared.uses().bytes, held.len());
    }

    #[tokio::test]
    async fn extents_that_follow_each_other_are_read_as_one() {
        let (mut reader, theirs) = share();
        tell(&theirs, &[extent(5, 5), extent(10, 1), extent(11, 9), extent(4, 1), extent(20, 1)]);
        for length in [15, 1, 1] {
            assert_eq!(read(&mut reader).await.unwrap().len(), length);
        }
        let most = reader.shared.memory.size() / GATHERED;
        tell(&theirs, &[extent(0, most - 1), extent(most - 1, 2)]);
        assert_eq!(read(&mut reader).await.unwrap().len(), most - 1);
    }

    #[tokio::test]
    async fn the_end_of_the_socket_is_the_end() {
        let (mut reader, theirs) = share();
        drop(theirs);
        assert!(poll_fn(|context| reader.poll_read(context)).await.unwrap_or_default().is_none());
    }

    #[tokio::test]
    async fn nothing_is_read_that_is_not_in_the_memory() {
        let (mut reader, theirs) = share();
        let size = reader.shared.memory.size();
        tell(&theirs, &[extent(size - 1, 1)]);
        assert_eq!(read(&mut reader).await.unwrap().len(), 1);
        for wrong in [extent(size, 1), extent(size - 1, 2), extent(0, 0), extent(u32::MAX as usize, u32::MAX as usize)]
        {
            tell(&theirs, &[wrong]);
            assert!(refused(&mut reader).await.contains(&format!("of {size} bytes of shared memory")));
        }
    }

    #[tokio::test]
    async fn memory_that_is_in_use_is_not_used_again() {
        let (mut reader, theirs) = share();
        let size = reader.shared.memory.size();
        tell(&theirs, &[extent(0, size - 1), extent(0, 2)]);
        let _held = read(&mut reader).await.unwrap();
        assert!(refused(&mut reader).await.contains(&format!("of which {} of {size} are in use", size - 1)));
    }

    #[tokio::test]
    async fn a_plugin_that_does_not_listen_is_stopped() {
        let (mut reader, theirs) = share();
        let quarter = reader.shared.memory.size() / GATHERED;
        // Until the socket has no room for it.
        while reader.shared.uses().done.is_empty() {
            tell(&theirs, &[extent(0, quarter)]);
            drop(read(&mut reader).await.unwrap());
        }
        for offset in 0..UNREAD {
            tell(&theirs, &[extent(quarter + 2 * offset + 1, 1)]);
            drop(read(&mut reader).await.unwrap());
        }
        tell(&theirs, &[extent(0, 1)]);
        assert!(refused(&mut reader).await.contains("does not read"));
    }

    #[tokio::test]
    async fn a_plugin_hears_of_many_small_extents_before_it_is_said_not_to_listen() {
        let (mut reader, mut theirs) = share();
        assert_eq!(theirs.read_u8().await.unwrap(), MEMORY_COMES);
        let mut heard = [0; GATHERED_EXTENTS * Extent::SIZE];
        for offset in 1..=2 * UNREAD {
            tell(&theirs, &[extent(2 * offset, 1)]);
            drop(read(&mut reader).await.unwrap());
            if offset % GATHERED_EXTENTS == 0 {
                theirs.read_exact(&mut heard).await.unwrap();
                assert_eq!(heard[heard.len() - Extent::SIZE..], extent(2 * offset, 1).to_bytes());
            }
        }
    }

    #[tokio::test]
    async fn a_plugin_that_listens_late_hears_everything() {
        let (mut reader, mut theirs) = share();
        let quarter = reader.shared.memory.size() / GATHERED;
        let mut told = 0;
        while reader.shared.uses().done.len() < 2 {
            tell(&theirs, &[extent(quarter * (told % 2), quarter)]);
            drop(read(&mut reader).await.unwrap());
            told += 1;
        }
        assert_eq!(theirs.read_u8().await.unwrap(), MEMORY_COMES);
        let mut heard = [0; Extent::SIZE];
        for turn in 0..told {
            theirs.read_exact(&mut heard).await.unwrap();
            assert_eq!(Extent::from_bytes(heard), extent(quarter * (turn % 2), quarter));
            // It is told again with what is read next.
            assert!(poll_fn(|context| Poll::Ready(reader.poll_read(context))).await.is_pending());
        }
        let uses = reader.shared.uses();
        assert_eq!((uses.bytes, uses.done_bytes, uses.sent), (0, 0, 0));
    }
}
