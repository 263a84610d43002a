//! Sets of bytes: which parts of a resource are there, and which are missing.

use std::{collections::BTreeMap, ops::Range};

/// Byte ranges, none of which overlap or touch. `Range` here has an end, unlike the protocol's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet(BTreeMap<u64, u64>);

impl RangeSet {
    /// Adds `range`, joined with what it overlaps or touches.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        // Backwards from the last one that begins at or before our end, as long as they reach us.
        while let Some((&other, &other_end)) = self.0.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            start = start.min(other);
            end = end.max(other_end);
            self.0.remove(&other);
        }
        self.0.insert(start, end);
    }

    /// All ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().map(|(&start, &end)| start..end)
    }

    /// What lies between them up to `total`, in order.
    #[must_use]
    pub fn missing(&self, total: u64) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut next = 0;
        for range in self.iter().take_while(|range| range.start < total) {
            missing.push(next..range.start);
            next = range.end;
        }
        missing.push(next..total);
        missing.retain(|range| !range.is_empty());
        missing
    }

    /// How many bytes there are without a gap from the beginning.
    #[must_use]
    pub fn prefix(&self) -> u64 {
        self.0.get(&0).copied().unwrap_or(0)
    }

    /// Bytes in all ranges together.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what lies at or behind `end`.
    pub fn truncate(&mut self, end: u64) {
        self.0.retain(|&start, range_end| {
            *range_end = end.min(*range_end);
            start < end
        });
    }
}

impl FromIterator<Range<u64>> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut set = Self::default();
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a model that has a flag a byte.
        #[test]
        fn it_holds_what_was_put_in(ranges in prop::collection::vec((0_u64..60, 0_u64..12), 0..20), cut in 0_u64..70) {
            let mut model = [false; 80];
            let mut set = RangeSet::default();
            for (start, length) in ranges {
                set.insert(start..start + length);
                model[start as usize..(start + length) as usize].fill(true);
            }
            set.truncate(cut);
            model[cut as usize..].fill(false);
            let mut held = [false; 80];
            set.iter().for_each(|range| held[range.start as usize..range.end as usize].fill(true));
            prop_assert_eq!(held, model);
            prop_assert_eq!(set.len(), model.iter().filter(|&&there| there).count() as u64);
            prop_assert_eq!(set.prefix(), model.iter().take_while(|&&there| there).count() as u64);
            let mut filled = set.clone();
            set.missing(80).into_iter().for_each(|range| filled.insert(range));
            prop_assert_eq!(filled.missing(80), vec![]);
            prop_assert_eq!(filled.iter().collect::<Vec<_>>(), vec![0..80]);
        }
    }
}
