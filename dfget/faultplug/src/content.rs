//! Bytes that look random, and that the plugin and its tests know at every offset without keeping them.

use std::ops::Range;

use crate::{Tree, query};

/// Bytes of a resource whose URL does not say how many.
const SIZE: u64 = 100_000;

/// A resource of `size` bytes; another `seed` is other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Which bytes.
    pub seed: u64,
    /// How many.
    pub size: u64,
}

impl Content {
    /// The resource that `size` and `seed` in the query of `url` name; of a tree each file has a seed of its own.
    #[must_use]
    pub fn of_url(url: &str) -> Self {
        let seed = query::number(url, "seed").unwrap_or(1).wrapping_add(Tree::seed_of(url));
        Self { seed, size: query::number(url, "size").unwrap_or(SIZE) }
    }

    /// The bytes of `range`, which may reach behind the end: a fault may want more than there is.
    #[must_use]
    pub fn bytes(&self, range: Range<u64>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize + 16);
        for index in range.start / 8..range.end.div_ceil(8) {
            bytes.extend_from_slice(&self.word(index));
        }
        bytes.drain(..(range.start % 8) as usize);
        bytes.truncate((range.end - range.start) as usize);
        bytes
    }

    /// SplitMix64 of the index: <https://prng.di.unimi.it/splitmix64.c>.
    fn word(&self, index: u64) -> [u8; 8] {
        let mut word =
            index.wrapping_add(self.seed.rotate_left(32)).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_the_whole_has_there() {
        let content = Content { seed: 3, size: 100 };
        let whole = content.bytes(0..100);
        for range in [0..0, 0..100, 0..1, 7..9, 8..16, 13..77, 99..100] {
            assert_eq!(content.bytes(range.clone()), whole[range.start as usize..range.end as usize], "{range:?}");
        }
    }

    #[test]
    fn another_seed_is_other_bytes() {
        let bytes = |seed| Content { seed, size: 8 }.bytes(0..8);
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn a_url_names_its_resource() {
        assert_eq!(Content::of_url("good://h/f?size=10&seed=2"), Content { seed: 2, size: 10 });
        assert_eq!(Content::of_url("good://h/f"), Content { seed: 1, size: SIZE });
    }
}
