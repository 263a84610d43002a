//! Memory for bytes that come, used again as soon as they have gone: new memory costs a page fault every 4 KiB. All
//! streams share it. The more there are, down to 128 KiB of eight, the less each reads at once, of which some six reads may
//! be on their way to the disk.

use std::{
    io,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

/// Bytes of each, and the most that is read at once.
const BUFFER: usize = 1024 * 1024;

/// The least that is worth a read.
const READ: usize = 128 * 1024;

/// So many are kept: one that is read into, and what is on its way to the disk.
const KEPT: usize = 8;

/// Those of this process.
static SHARED: Mutex<Buffers> = Mutex::new(Buffers { kept: Vec::new(), readers: 0 });

struct Buffers {
    /// The last one is read into next; of the others some bytes may still be on their way.
    kept: Vec<BytesMut>,
    readers: usize,
}

impl Buffers {
    /// Nobody reads or waits while holding them.
    fn shared() -> MutexGuard<'static, Self> {
        SHARED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that has room for a read.
    fn take(&mut self) -> BytesMut {
        if let Some(last) = self.kept.pop_if(|last| last.capacity() >= READ) {
            return last;
        }
        let free = self.kept.iter_mut().position(|buffer| buffer.try_reclaim(BUFFER));
        free.map_or_else(|| BytesMut::with_capacity(BUFFER), |free| self.kept.remove(free))
    }

    /// The one that was taken.
    fn put(&mut self, buffer: BytesMut) {
        if self.kept.len() == KEPT {
            // It goes with the last bytes in it; of all that will be longest.
            self.kept.pop();
        }
        self.kept.push(buffer);
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
        let (mut buffer, share) = {
            let mut buffers = Buffers::shared();
            (buffers.take(), buffers.share())
        };
        let read = poll_read_buf(Pin::new(&mut self.stream), context, &mut (&mut buffer).limit(share));
        let bytes = buffer.split().freeze();
        Buffers::shared().put(buffer);
        read.map_ok(|read| Some(bytes).filter(|_| read > 0))
    }
}

impl<R> Drop for Reader<R> {
    fn drop(&mut self) {
        let mut buffers = Buffers::shared();
        buffers.readers -= 1;
        if buffers.readers == 0 {
            // Nobody knows whether there will be another.
            buffers.kept.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn fill(buffers: &mut Buffers) -> BytesMut {
        let length = buffers.kept.last().map_or(BUFFER, BytesMut::capacity);
        fill_some(buffers, if length < READ { BUFFER } else { length })
    }

    fn fill_some(buffers: &mut Buffers, length: usize) -> BytesMut {
        let mut buffer = buffers.take();
        buffer.resize(length, 7);
        let filled = buffer.split();
        buffers.put(buffer);
        filled
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
        let (first, second) = (fill_some(&mut buffers, BUFFER / 4), fill_some(&mut buffers, BUFFER / 4));
        assert_eq!(first.as_ptr().wrapping_add(BUFFER / 4), second.as_ptr());
    }

    #[test]
    fn of_many_streams_each_reads_less() {
        let share = |readers| Buffers { kept: Vec::new(), readers }.share();
        assert_eq!([share(1), share(4), share(1000)], [BUFFER, BUFFER / 4, READ]);
    }

    #[tokio::test]
    async fn streams_that_take_turns_keep_their_bytes_apart_and_to_the_end() {
        let bytes = |seed: usize| -> Vec<u8> { (0..3 * BUFFER + 5).map(|at| ((at + seed) % 251) as u8).collect() };
        let sources = [bytes(0), bytes(100)];
        let mut readers = sources.each_ref().map(|source| Reader::new(&source[..]));
        let mut read = [Vec::new(), Vec::new()];
        let mut ended = 0;
        while ended < 2 {
            ended = 0;
            for (reader, read) in readers.iter_mut().zip(&mut read) {
                match poll_fn(|context| reader.poll_read(context)).await.unwrap() {
                    Some(next) => {
                        assert!(next.len() <= BUFFER / 2, "{}", next.len());
                        read.push(next);
                    }
                    None => ended += 1,
                }
            }
        }
        // Held until now: none of it was written over meanwhile.
        assert!(read.map(|read| read.concat()) == sources);
    }
}
