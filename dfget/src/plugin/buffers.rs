//! Memory for bytes that come, used again as soon as they have gone: new memory costs a page fault every 4 KiB. All
//! streams share it, and the more there are, the less each may have on its way to the disk.

use std::{
    io, mem,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

/// Bytes of each, and the most that all streams read at once.
const BUFFER: usize = 1024 * 1024;

/// The least that is worth a read.
const READ: usize = 128 * 1024;

/// So many are kept: one that is read into, and what is on its way to the disk.
const KEPT: usize = 8;

/// Those of this process.
static SHARED: Mutex<Buffers> = Mutex::new(Buffers { kept: Vec::new(), readers: 0 });

struct Buffers {
    /// The last one is read into; of the others some bytes may still be on their way.
    kept: Vec<BytesMut>,
    readers: usize,
}

impl Buffers {
    /// Nobody waits while holding them.
    fn shared() -> MutexGuard<'static, Self> {
        SHARED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that has room for a read.
    fn with_room(&mut self) -> &mut BytesMut {
        if self.kept.last().is_none_or(|last| last.capacity() < READ) {
            let free = self.kept.iter_mut().position(|buffer| buffer.try_reclaim(BUFFER));
            if free.is_none() && self.kept.len() == KEPT {
                // It goes with the last bytes in it; of all that will be longest.
                self.kept.pop();
            }
            let next = free.map_or_else(|| BytesMut::with_capacity(BUFFER), |free| self.kept.remove(free));
            self.kept.push(next);
        }
        self.kept.last_mut().expect("one was put there")
    }

    /// The most that each of so many may read at once.
    const fn share(&self) -> usize {
        let share = BUFFER / self.readers;
        if share > READ { share } else { READ }
    }
}

/// Reads a stream into the shared buffers.
pub(super) struct Reader<R> {
    stream: R,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(stream: R) -> Self {
        Buffers::shared().readers += 1;
        Self { stream }
    }

    /// The next bytes; `None` at the end.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let mut buffers = Buffers::shared();
        let share = buffers.share();
        let buffer = buffers.with_room();
        let read = ready!(poll_read_buf(Pin::new(&mut self.stream), context, &mut buffer.limit(share)))?;
        Poll::Ready(Ok((read > 0).then(|| buffer.split().freeze())))
    }
}

impl<R> Drop for Reader<R> {
    fn drop(&mut self) {
        let mut buffers = Buffers::shared();
        buffers.readers -= 1;
        if buffers.readers == 0 {
            // Nobody knows whether there will be another.
            drop(mem::take(&mut buffers.kept));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn fill(buffers: &mut Buffers) -> BytesMut {
        let buffer = buffers.with_room();
        buffer.resize(buffer.capacity(), 7);
        buffer.split()
    }

    #[test]
    fn memory_is_used_again_once_its_bytes_have_gone_and_never_before() {
        let mut buffers = Buffers { kept: Vec::new(), readers: 1 };
        let (first, second) = (fill(&mut buffers), fill(&mut buffers));
        assert_ne!(first.as_ptr(), second.as_ptr());
        let freed = first.as_ptr();
        drop(first);
        assert_eq!(fill(&mut buffers).as_ptr(), freed);
        assert!(second.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn of_many_that_are_on_their_way_only_some_are_kept() {
        let mut buffers = Buffers { kept: Vec::new(), readers: 1 };
        let filled: Vec<BytesMut> = (0..3 * KEPT).map(|_| fill(&mut buffers)).collect();
        assert!(filled.iter().all(|bytes| bytes.len() == BUFFER));
        assert_eq!(buffers.kept.len(), KEPT);
    }

    #[test]
    fn what_is_left_of_one_is_used_first() {
        let mut buffers = Buffers { kept: Vec::new(), readers: 1 };
        let read = |buffers: &mut Buffers| {
            let buffer = buffers.with_room();
            buffer.resize(BUFFER / 4, 7);
            buffer.split()
        };
        let (first, second) = (read(&mut buffers), read(&mut buffers));
        assert_eq!(first.as_ptr().wrapping_add(BUFFER / 4), second.as_ptr());
    }

    #[test]
    fn of_many_streams_each_reads_less() {
        let share = |readers| Buffers { kept: Vec::new(), readers }.share();
        assert_eq!([share(1), share(4), share(1000)], [BUFFER, BUFFER / 4, READ]);
    }

    #[tokio::test]
    async fn all_bytes_of_a_stream_are_read_and_then_its_end() {
        let bytes: Vec<u8> = (0..3 * BUFFER + 5).map(|at| (at % 251) as u8).collect();
        let mut reader = Reader::new(&bytes[..]);
        let mut read = Vec::new();
        while let Some(next) = poll_fn(|context| reader.poll_read(context)).await.unwrap() {
            assert!(next.len() <= BUFFER);
            read.extend_from_slice(&next);
        }
        assert!(read == bytes);
    }
}
