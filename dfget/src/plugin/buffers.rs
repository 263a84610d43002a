//! Memory for bytes that come, used again as soon as they have gone: new memory costs a page fault every 4 KiB.

use bytes::BytesMut;

/// Bytes of each.
const BUFFER: usize = 1024 * 1024;

/// The least that is worth a read.
const READ: usize = 64 * 1024;

/// So many are kept: one that is read into, and what is on its way to the disk.
const KEPT: usize = 4;

/// The last one is read into; of the others some bytes may still be on their way.
#[derive(Default)]
pub(super) struct Buffers(Vec<BytesMut>);

impl Buffers {
    /// One that has room for a read.
    pub(super) fn with_room(&mut self) -> &mut BytesMut {
        if self.0.last().is_none_or(|last| last.capacity() < READ) {
            let free = self.0.iter_mut().position(|buffer| buffer.try_reclaim(BUFFER));
            if free.is_none() && self.0.len() == KEPT {
                // It goes with the last bytes in it.
                self.0.remove(0);
            }
            let next = free.map_or_else(|| BytesMut::with_capacity(BUFFER), |free| self.0.remove(free));
            self.0.push(next);
        }
        self.0.last_mut().expect("one was put there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffers: &mut Buffers) -> BytesMut {
        let buffer = buffers.with_room();
        buffer.resize(buffer.capacity(), 7);
        buffer.split()
    }

    #[test]
    fn memory_is_used_again_once_its_bytes_have_gone_and_never_before() {
        let mut buffers = Buffers::default();
        let (first, second) = (fill(&mut buffers), fill(&mut buffers));
        assert_ne!(first.as_ptr(), second.as_ptr());
        let freed = first.as_ptr();
        drop(first);
        assert_eq!(fill(&mut buffers).as_ptr(), freed);
        assert!(second.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn of_many_that_are_on_their_way_only_some_are_kept() {
        let mut buffers = Buffers::default();
        let filled: Vec<BytesMut> = (0..3 * KEPT).map(|_| fill(&mut buffers)).collect();
        assert!(filled.iter().all(|bytes| bytes.len() == BUFFER));
        assert_eq!(buffers.0.len(), KEPT);
    }

    #[test]
    fn what_is_left_of_one_is_used_first() {
        let mut buffers = Buffers::default();
        let read = |buffers: &mut Buffers| {
            let buffer = buffers.with_room();
            buffer.resize(BUFFER / 4, 7);
            buffer.split()
        };
        let (first, second) = (read(&mut buffers), read(&mut buffers));
        assert_eq!(first.as_ptr().wrapping_add(BUFFER / 4), second.as_ptr());
    }
}
