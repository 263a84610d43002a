//! What of the memory is in use, and what the plugin has heard of that.

use std::collections::VecDeque;

use plugin_proto::extent::Extent;
use tokio::net::unix::OwnedWriteHalf;

/// Extents that a plugin may leave unread: far more than those in as many bytes as a socket's buffer holds.
pub(super) const UNREAD: usize = 4096;

/// What of it the plugin must leave alone.
#[derive(Default)]
pub(super) struct Uses {
    /// Bytes of which the plugin has told, and not heard that they are needed no more.
    pub(super) bytes: usize,
    /// Extents that are needed no more, of which the plugin has not heard.
    pub(super) done: VecDeque<Extent>,
    /// Bytes in these.
    pub(super) done_bytes: usize,
    /// Of the first of these, as it goes over the socket, this much has gone.
    pub(super) sent: usize,
}

impl Uses {
    /// `extent` is needed no more.
    pub(super) fn end(&mut self, extent: Extent) {
        self.done_bytes += extent.length as usize;
        let is_going = self.done.len() == 1 && self.sent > 0;
        match self.done.back_mut() {
            Some(last) if !is_going && last.end() == u64::from(extent.offset) => last.length += extent.length,
            _ => self.done.push_back(extent),
        }
    }

    /// Tells it, as far as the socket has room for it.
    pub(super) fn tell(&mut self, stream: &OwnedWriteHalf) {
        let bytes: Vec<u8> = self.done.iter().take(UNREAD).flat_map(|extent| extent.to_bytes()).collect();
        // It does not wait, as nothing does that the runtime has made. Whether the plugin is still there is told elsewhere.
        let Ok(told) = rustix::io::write(stream.as_ref(), &bytes[self.sent..]) else { return };
        self.sent += told;
        while self.sent >= Extent::SIZE
            && let Some(extent) = self.done.pop_front()
        {
            self.sent -= Extent::SIZE;
            self.done_bytes -= extent.length as usize;
            self.bytes -= extent.length as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_gone_in_part_is_not_changed_any_more() {
        let mut uses = Uses::default();
        uses.end(Extent { offset: 0, length: 1 });
        uses.end(Extent { offset: 1, length: 1 });
        assert_eq!(uses.done, [Extent { offset: 0, length: 2 }]);
        uses.sent = 3;
        uses.end(Extent { offset: 2, length: 1 });
        assert_eq!(uses.done, [Extent { offset: 0, length: 2 }, Extent { offset: 2, length: 1 }]);
    }
}
