//! Who fetches which bytes: pieces, handed out, and split when somebody is idle.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
};

/// No piece is split into parts shorter than this: a request more has to pay.
const SHORTEST_SPLIT: u64 = 1024 * 1024;

/// Pieces that are chosen from the size are at least this long.
const SHORTEST_PIECE: u64 = 8 * 1024 * 1024;

/// A piece in the hands of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PieceId(u64);

/// The missing bytes of one resource. An end of `u64::MAX` is one that nobody knows.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Longest piece that is handed out.
    piece_length: u64,
    waiting: VecDeque<Range<u64>>,
    /// `start` is the byte that comes next.
    active: HashMap<PieceId, Range<u64>>,
    last_id: u64,
}

impl Plan {
    /// Of the `missing` parts. `forced` is the user's piece length, else it is chosen for so many `connections`.
    pub(super) fn new(missing: Vec<Range<u64>>, connections: usize, forced: Option<u64>) -> Self {
        let bytes = missing.iter().fold(0_u64, |bytes, range| bytes.saturating_add(range.end - range.start));
        let share = bytes.div_ceil(connections.max(1) as u64);
        let piece_length = forced.unwrap_or(share.max(SHORTEST_PIECE)).max(1);
        Self { piece_length, waiting: missing.into(), ..Self::default() }
    }

    /// A piece to fetch, or `None` if nothing is left to be begun.
    pub(super) fn take(&mut self) -> Option<PieceId> {
        let range = self.next_waiting().or_else(|| self.split())?;
        self.last_id += 1;
        self.active.insert(PieceId(self.last_id), range);
        Some(PieceId(self.last_id))
    }

    fn next_waiting(&mut self) -> Option<Range<u64>> {
        let range = self.waiting.pop_front()?;
        let middle = range.start.saturating_add(self.piece_length);
        // A rest too short to be worth a request goes along.
        if range.end.saturating_sub(middle) < SHORTEST_SPLIT {
            return Some(range);
        }
        self.waiting.push_front(middle..range.end);
        Some(range.start..middle)
    }

    /// Takes the second half of the piece that has the most left.
    fn split(&mut self) -> Option<Range<u64>> {
        let known = self.active.values_mut().filter(|range| range.end != u64::MAX);
        let longest = known.max_by_key(|range| range.end - range.start)?;
        let rest = longest.end - longest.start;
        if rest < 2 * SHORTEST_SPLIT {
            return None;
        }
        let middle = longest.start + rest / 2;
        let half = middle..longest.end;
        longest.end = middle;
        Some(half)
    }

    /// What is left of a piece.
    pub(super) fn rest(&self, piece: PieceId) -> Range<u64> {
        self.active.get(&piece).cloned().unwrap_or_default()
    }

    /// `length` bytes of a piece have come. Returns where they belong, and how many of them still are the piece's: its
    /// end may have been given to somebody else.
    pub(super) fn advance(&mut self, piece: PieceId, length: u64) -> Range<u64> {
        let Some(range) = self.active.get_mut(&piece) else { return 0..0 };
        let start = range.start;
        range.start = start.saturating_add(length).min(range.end);
        start..range.start
    }

    /// Whether somebody else has a piece too.
    pub(super) fn is_shared(&self) -> bool {
        self.active.len() > 1
    }

    /// Leaves what is left of a piece to the others. Returns whether there are any.
    pub(super) fn give_back(&mut self, piece: PieceId) -> bool {
        if !self.is_shared() {
            return false;
        }
        self.waiting.extend(self.active.remove(&piece));
        true
    }

    /// Nothing is left of a piece.
    pub(super) fn finish(&mut self, piece: PieceId) {
        self.active.remove(&piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn whole(length: u64, connections: usize, forced: Option<u64>) -> Plan {
        Plan::new(std::iter::once(0..length).collect(), connections, forced)
    }

    #[test]
    fn pieces_share_the_missing_parts() {
        let mut plan = Plan::new(vec![0..30 * MIB, 50 * MIB..60 * MIB], 4, None);
        let pieces: Vec<PieceId> = (0..4).map_while(|_| plan.take()).collect();
        let ranges: Vec<Range<u64>> = pieces.iter().map(|&piece| plan.rest(piece)).collect();
        assert_eq!(ranges, [0..10 * MIB, 10 * MIB..20 * MIB, 20 * MIB..30 * MIB, 50 * MIB..60 * MIB]);
    }

    #[test]
    fn an_idle_connection_takes_half_of_what_the_slowest_has_left() {
        let mut plan = whole(16 * MIB, 1, None);
        let slow = plan.take().unwrap();
        assert_eq!(plan.advance(slow, 4 * MIB), 0..4 * MIB);
        let idle = plan.take().unwrap();
        assert_eq!((plan.rest(slow), plan.rest(idle)), (4 * MIB..10 * MIB, 10 * MIB..16 * MIB));
        assert_eq!(plan.advance(slow, 8 * MIB), 4 * MIB..10 * MIB);
        assert_eq!(plan.rest(slow), 10 * MIB..10 * MIB);
    }

    #[test]
    fn a_piece_is_given_back_only_if_there_are_others() {
        let mut plan = whole(16 * MIB, 2, None);
        let (first, second) = (plan.take().unwrap(), plan.take().unwrap());
        assert!(plan.give_back(second));
        assert!(!plan.give_back(first));
        let again = plan.take().unwrap();
        assert_eq!(plan.rest(again), 8 * MIB..16 * MIB);
    }

    #[test]
    fn neither_a_short_rest_nor_an_unknown_end_is_split() {
        let mut plan = whole(2 * MIB - 1, 4, None);
        assert!(plan.take().is_some() && plan.take().is_none());
        let mut plan = whole(u64::MAX, 4, None);
        plan.piece_length = u64::MAX;
        assert!(plan.take().is_some() && plan.take().is_none());
    }

    #[test]
    fn every_byte_is_handed_out_once_whatever_the_order() {
        let mut plan = whole(100 * MIB + 7, 3, Some(5 * MIB));
        let (mut seen, mut pieces) = (crate::download::ranges::RangeSet::default(), Vec::new());
        let mut bytes = 0;
        loop {
            pieces.extend(plan.take());
            let Some(&piece) = pieces.get(pieces.len() / 2) else { break };
            let came = plan.advance(piece, MIB);
            bytes += came.end - came.start;
            seen.insert(came);
            if plan.rest(piece).is_empty() {
                plan.finish(piece);
                pieces.retain(|&other| other != piece);
            }
        }
        assert_eq!(seen.missing(100 * MIB + 7), []);
        assert_eq!(bytes, 100 * MIB + 7);
    }
}
