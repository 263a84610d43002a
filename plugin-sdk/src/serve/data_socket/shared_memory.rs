//! Memory of the host's into which the bytes of a download are put, and how it is told where they lie.

use std::{
    io::{self, ErrorKind, IoSliceMut},
    mem::MaybeUninit,
    os::fd::OwnedFd,
};

use memmap2::MmapMut;
use plugin_proto::extent::Extent;
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
        let received = timeout(PATIENCE, stream.async_io(Interest::READABLE, || receive(stream)));
        let Some(descriptor) = received.await?? else { return Ok(None) };
        // SAFETY: the host cannot shrink it, as it is sealed, and reads what is there only between the two messages that
        // go over the socket for it.
        #[allow(unsafe_code)]
        let memory = unsafe { MmapMut::map_mut(&descriptor) }?;
        Self::over(memory).map(Some)
    }

    fn over(memory: MmapMut) -> io::Result<Self> {
        let fits = memory.len() >= SLOTS && u32::try_from(memory.len()).is_ok();
        if !fits {
            let text = format!("the host shares {} bytes of memory, which is of no use", memory.len());
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        Ok(Self { memory, slots: Default::default(), current: 0, rest: Vec::new() })
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
            // The first that is free: what was used last is in the processor's caches.
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

/// A byte with a descriptor, or without.
fn receive(stream: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    if received.bytes == 0 {
        return Err(ErrorKind::BrokenPipe.into());
    }
    Ok(control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots of four bytes.
    fn memory() -> SharedMemory {
        SharedMemory::over(MmapMut::map_anon(4 * SLOTS).expect("there is memory")).expect("it is large enough")
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

    #[test]
    fn memory_that_is_too_small_is_of_no_use() {
        assert!(SharedMemory::over(MmapMut::map_anon(SLOTS - 1).unwrap()).is_err());
    }
}
