//! Values out of bytes: the same bytes give the same values, and few bytes give the interesting ones.

/// What is left of the bytes. At their end all values are 0.
pub(crate) struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// Small ones mostly, those at the end of what a number can be, and any.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=199 => small.into(),
            large @ 200..=219 => u64::MAX - u64::from(large - 200),
            // Around the largest that is no negative one when somebody takes it for signed.
            middle @ 220..=239 => (1 << 63) - 10 + u64::from(middle - 220),
            _ => self.rest(8).iter().fold(0, |number, &byte| number << 8 | u64::from(byte)),
        }
    }

    /// Mostly `expected`, or next to it.
    pub(crate) fn near(&mut self, expected: u64) -> u64 {
        match self.byte() {
            0..=99 => expected,
            byte @ 100..=149 => expected.saturating_add(u64::from(byte - 100)),
            byte @ 150..=199 => expected.saturating_sub(u64::from(byte - 150)),
            _ => self.number(),
        }
    }

    pub(crate) fn maybe(&mut self) -> Option<u64> {
        (!self.byte().is_multiple_of(4)).then(|| self.number())
    }

    pub(crate) fn text(&mut self) -> String {
        let length = usize::from(self.byte());
        String::from_utf8_lossy(self.rest(length)).into_owned()
    }

    fn rest(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
