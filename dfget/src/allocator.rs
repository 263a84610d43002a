//! What the allocator of the C library is told.

use std::hint::black_box;

/// More than any buffer on the way of the bytes.
const LARGE: usize = 2 * 1024 * 1024;

/// Lets freed memory be used again, up to 4 MiB at the end of each heap, instead of giving it back at once: a body is one
/// buffer after the other, and to get new memory for each costs a page fault every 4 KiB.
///
/// glibc gives back what is free at the end of a heap above twice the largest mapped block that was ever freed (mallopt(3),
/// "dynamic mmap threshold"), so it is shown one; blocks below that size are of a heap from then on. Other
/// libraries do as before.
pub fn keep_freed_memory() {
    drop(black_box(Vec::<u8>::with_capacity(LARGE)));
}
