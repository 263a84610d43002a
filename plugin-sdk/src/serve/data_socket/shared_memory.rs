//! Memory of the host's into which the bytes of a download are put, and how it is told where they lie.

use std::{
    io::{self, ErrorKind, IoSliceMut},
    mem::MaybeUninit,
    os::fd::OwnedFd,
};

use memmap2::MmapMut;
use plugin_proto::extent::{Extent, LEAST_MEMORY, MEMORY_COMES, NO_MEMORY};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::{
    io::{AsyncWriteExt, Interest},
    net::UnixStream,
    time::timeout,
};

use super::PATIENCE;

/// Parts of the memory, each of which is used again once the host needs nothing in it any more.
const SLOTS: usize = 8;

/// Acknowledgements that are read at once.
const READ: usize = 64;

/// The memory, as far as it is known what is in it.
pub(super) struct SharedMemory {
    memory: MmapMut,
    slots: [Slot; SLOTS],
    /// The one that is being filled.
    current: usize,
    /// The beginning of an acknowledgement that has come in part.
    rest: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// Bytes that were put into it since it was free.
    filled: usize,
    /// Of these, those which the host still needs.
    held: usize,
}

impl SharedMemory {
    /// What the host sends as soon as it has connected; `None` where it has none, and takes the bytes themselves.
    pub(super) async fn receive(stream: &UnixStream) -> io::Result<Option<Self>> {
        let received = timeout(PATIENCE, stream.async_io(Interest::READABLE, || receive(stream))).await;
        let nothing = |_| io::Error::new(ErrorKind::TimedOut, "the host has connected, and sent no memory");
        received.map_err(nothing)??.as_ref().map(Self::map).transpose()
    }

    fn map(descriptor: &OwnedFd) -> io::Result<Self> {
        let wrong =
            |fact: String| io::Error::new(ErrorKind::InvalidData, format!("the host shares memory that {fact}"));
        if !is_sealed(descriptor)? {
            return Err(wrong("may become shorter".into()));
        }
        // SAFETY: it cannot, and the host reads what is there only between the two messages that go over the socket for it.
        #[allow(unsafe_code)]
        let memory = unsafe { MmapMut::map_mut(descriptor) }?;
        match memory.len() {
            LEAST_MEMORY.. if u32::try_from(memory.len()).is_ok() => Ok(Self::over(memory)),
            length => Err(wrong(format!("has {length} bytes"))),
        }
    }

    fn over(memory: MmapMut) -> Self {
        Self { memory, slots: Default::default(), current: 0, rest: Vec::new() }
    }

    /// Puts `data` where there is room, waiting for it if need be, and tells the host where.
    pub(super) async fn write(&mut self, stream: &mut UnixStream, mut data: &[u8]) -> io::Result<()> {
        let mut told = Vec::new();
        self.take_back(stream)?;
        while !data.is_empty() {
            let Some(extent) = self.put(data) else {
                stream.write_all(&told).await?;
                told.clear();
                stream.readable().await?;
                self.take_back(stream)?;
                continue;
            };
            data = &data[extent.length as usize..];
            told.extend(extent.to_bytes());
        }
        stream.write_all(&told).await
    }

    /// Puts as much of `data` into one slot as it has room for. `None`: none has any.
    fn put(&mut self, data: &[u8]) -> Option<Extent> {
        let size = self.memory.len() / SLOTS;
        if self.slots[self.current].filled == size {
            // The lowest that is free: the fewer are used, the more of them is in the processor's caches.
            self.current = self.slots.iter().position(|slot| slot.held == 0)?;
        }
        let slot = &mut self.slots[self.current];
        if slot.held == 0 {
            slot.filled = 0;
        }
        let length = data.len().min(size - slot.filled);
        let offset = self.current * size + slot.filled;
        self.memory[offset..offset + length].copy_from_slice(&data[..length]);
        slot.filled += length;
        slot.held += length;
        // They fit, as the size of the whole does.
        Some(Extent { offset: offset as u32, length: length as u32 })
    }

    /// Hears what the host needs no more.
    fn take_back(&mut self, stream: &UnixStream) -> io::Result<()> {
        loop {
            let mut read = [0; READ * Extent::SIZE];
            match stream.try_read(&mut read) {
                Ok(0) => return Err(ErrorKind::BrokenPipe.into()),
                Ok(length) => self.rest.extend(&read[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            let (extents, rest) = self.rest.as_chunks();
            let (extents, rest) = (extents.to_vec(), rest.to_vec());
            self.rest = rest;
            for extent in extents {
                self.free(Extent::from_bytes(extent))?;
            }
        }
    }

    /// `extent` may be several that followed each other.
    fn free(&mut self, extent: Extent) -> io::Result<()> {
        let size = self.memory.len() / SLOTS;
        let (mut at, end) = (extent.offset as usize, extent.end());
        while (at as u64) < end {
            let slot = self.slots.get_mut(at / size);
            let next = (at / size + 1) * size;
            let length = next.min(usize::try_from(end).unwrap_or(next)) - at;
            let slot = slot.filter(|slot| slot.held >= length).ok_or_else(|| {
                io::Error::new(ErrorKind::InvalidData, "the host gives back memory in which there is nothing")
            })?;
            slot.held -= length;
            at += length;
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn is_sealed(descriptor: &OwnedFd) -> io::Result<bool> {
    use rustix::fs::{SealFlags, fcntl_get_seals};

    Ok(fcntl_get_seals(descriptor)?.contains(SealFlags::SHRINK))
}

/// No host has any.
#[cfg(not(target_os = "linux"))]
fn is_sealed(_: &OwnedFd) -> io::Result<bool> {
    Ok(false)
}

#[cfg(target_os = "linux")]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::empty();

/// A byte with a descriptor, or without.
fn receive(stream: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut byte = [NO_MEMORY];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    // It does not wait, as nothing does that the runtime has made.
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, CLOSE_ON_EXEC)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match (received.bytes, byte, descriptor) {
        (0, ..) => Err(ErrorKind::BrokenPipe.into()),
        (_, [NO_MEMORY], None) => Ok(None),
        (_, [MEMORY_COMES], Some(descriptor)) => Ok(Some(descriptor)),
        // The kernel drops it where there is no room for one more.
        (_, [MEMORY_COMES], None) => {
            Err(io::Error::other("the host's memory did not arrive; too many files may be open"))
        }
        (_, [byte], _) => Err(io::Error::other(format!("the host sent {byte} instead of its memory"))),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// Slots of four bytes.
    fn memory() -> SharedMemory {
        SharedMemory::over(MmapMut::map_anon(4 * SLOTS).expect("there is memory"))
    }

    fn extent(offset: u32, length: u32) -> Extent {
        Extent { offset, length }
    }

    #[test]
    fn memory_is_used_again_once_it_is_given_back_and_never_before() {
        let mut memory = memory();
        assert_eq!(memory.put(b"abc"), Some(extent(0, 3)));
        assert_eq!(memory.put(b"def"), Some(extent(3, 1)), "as much as there is room for");
        for slot in 1..SLOTS as u32 {
            assert_eq!(memory.put(b"0123456789"), Some(extent(4 * slot, 4)));
        }
        assert_eq!(memory.put(b"x"), None);
        memory.free(extent(0, 3)).unwrap();
        assert_eq!(memory.put(b"x"), None, "a byte of the slot is still needed");
        memory.free(extent(3, 3)).unwrap();
        assert_eq!(memory.put(b"x"), Some(extent(0, 1)));
        assert_eq!(memory.memory[..], *b"xbcd0123012301230123012301230123");
    }

    #[test]
    fn a_slot_whose_bytes_have_all_gone_is_begun_anew() {
        let mut memory = memory();
        for _ in 0..3 {
            assert_eq!(memory.put(b"ab"), Some(extent(0, 2)));
            memory.free(extent(0, 2)).unwrap();
        }
    }

    #[test]
    fn what_was_not_lent_cannot_be_given_back() {
        let mut memory = memory();
        memory.put(b"abc").unwrap();
        for wrong in [extent(0, 4), extent(4, 1), extent(u32::MAX, u32::MAX)] {
            assert!(memory.free(wrong).is_err(), "{wrong:?}");
        }
    }

    /// What comes of a byte of the host's, with a descriptor or without.
    #[cfg(target_os = "linux")]
    async fn received(byte: u8, descriptor: Option<OwnedFd>) -> Result<Option<usize>, String> {
        use std::{io::IoSlice, os::fd::AsFd};

        use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

        let (ours, theirs) = UnixStream::pair().expect("there are descriptors");
        let descriptors: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        sendmsg(&theirs, &[IoSlice::new(&[byte])], &mut control, SendFlags::empty()).expect("there is room");
        let memory = SharedMemory::receive(&ours).await.map_err(|error| error.to_string())?;
        Ok(memory.map(|memory| memory.memory.len()))
    }

    #[cfg(target_os = "linux")]
    fn made(size: usize, seals: rustix::fs::SealFlags) -> Option<OwnedFd> {
        use rustix::fs::{MemfdFlags, fcntl_add_seals, ftruncate, memfd_create};

        let memory = memfd_create("test", MemfdFlags::ALLOW_SEALING).expect("there is memory");
        ftruncate(&memory, size as u64).expect("there is room");
        fcntl_add_seals(&memory, seals).expect("they are its seals");
        Some(memory)
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn memory_is_taken_from_the_host_as_it_should_be() {
        use rustix::fs::SealFlags;

        let made = |size| made(size, SealFlags::SHRINK);
        assert_eq!(received(MEMORY_COMES, made(LEAST_MEMORY)).await, Ok(Some(LEAST_MEMORY)));
        assert_eq!(received(NO_MEMORY, None).await, Ok(None));
        let lost = "the host's memory did not arrive; too many files may be open";
        assert_eq!(received(MEMORY_COMES, None).await, Err(lost.into()));
        assert_eq!(received(7, None).await, Err("the host sent 7 instead of its memory".into()));
        let small = "the host shares memory that has 65535 bytes";
        assert_eq!(received(MEMORY_COMES, made(LEAST_MEMORY - 1)).await, Err(small.into()));
        let unsealed = self::made(LEAST_MEMORY, SealFlags::GROW);
        let shorter = "the host shares memory that may become shorter";
        assert_eq!(received(MEMORY_COMES, unsealed).await, Err(shorter.into()));
    }

    #[tokio::test]
    async fn bytes_are_told_once_each_and_wait_for_room() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let mut memory = memory();
        let written: Vec<u8> = (0..100).collect();
        let write = async { memory.write(&mut ours, &written).await.map(|()| memory) };
        let read = async {
            let mut total = 0;
            let mut told = [0; Extent::SIZE];
            while total < 100 {
                theirs.read_exact(&mut told).await.unwrap();
                total += Extent::from_bytes(told).length;
                // In two pieces, as a stream may have it.
                theirs.write_all(&told[..3]).await.unwrap();
                tokio::task::yield_now().await;
                theirs.write_all(&told[3..]).await.unwrap();
            }
            total
        };
        let (memory, total) = tokio::join!(write, read);
        assert_eq!(total, 100);
        drop(theirs);
        assert_eq!(memory.unwrap().write(&mut ours, b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
