//! Where bytes of a download lie in memory that host and plugin share (PROTOCOL.md, "Shared memory").

/// The byte with which the host hands the memory over: a descriptor comes with it.
pub const MEMORY_COMES: u8 = 1;

/// The byte that the host sends where it has none, and takes the bytes themselves.
pub const NO_MEMORY: u8 = 0;

/// The least that is handed over.
pub const LEAST_MEMORY: usize = 64 * 1024;

/// A part of that memory, as it stands on a data socket: the plugin says that bytes are there, and the host says the same
/// once it needs them no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Of its first byte, from the beginning of the memory.
    pub offset: u32,
    /// In bytes.
    pub length: u32,
}

impl Extent {
    /// Bytes of one on the socket.
    pub const SIZE: usize = 8;

    /// As it goes over the socket: offset and length, both little-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        (u64::from(self.length) << 32 | u64::from(self.offset)).to_le_bytes()
    }

    /// As it came over the socket.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let both = u64::from_le_bytes(bytes);
        Self { offset: (both & u64::from(u32::MAX)) as u32, length: (both >> 32) as u32 }
    }

    /// Where it ends, which is beyond 4 GiB for some.
    #[must_use]
    pub fn end(self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_is_two_little_endian_numbers() {
        let extent = Extent { offset: 0x0102_0304, length: 5 };
        assert_eq!(extent.to_bytes(), [4, 3, 2, 1, 5, 0, 0, 0]);
        assert_eq!(Extent::from_bytes(extent.to_bytes()), extent);
        assert_eq!(Extent { offset: u32::MAX, length: u32::MAX }.end(), 0x1_ffff_fffe);
    }
}
