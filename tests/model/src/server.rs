//! The second tier: what its commands and scripts do, each in one step.

use crate::protocol::{Bus, MESSAGES, Message, Name, Reading, Seen, Server, Slot, Stored, Version, each};

impl Server {
    /// `MGET` of an entry and the stamp; for a value past its ttl the refresh lease too.
    pub fn read(&mut self, key: usize, is_over: impl Fn(&Stored, Name) -> bool) -> Seen {
        let stamp = self.stamp;
        match &mut self.slots[key] {
            Slot::Empty => Seen::Take(0),
            Slot::Lease(token) => Seen::Lease(*token),
            Slot::Value(stored) if is_over(stored, stamp) => Seen::Take(stored.etag),
            Slot::Value(stored) if stored.is_stale => {
                let is_ours = !std::mem::replace(&mut stored.is_refreshing, true);
                Seen::Stale(stored.version, is_ours.then_some((stored.etag, stamp)))
            }
            Slot::Value(stored) => Seen::Hit(stored.version),
        }
    }

    /// `SET NX` of a lease, or the lease over the value that is over. Tells whether it was taken.
    pub fn take(&mut self, key: usize, token: Name, over: Name) -> bool {
        let is_free = match self.slots[key] {
            Slot::Empty => true,
            Slot::Lease(_) => false,
            Slot::Value(stored) => stored.etag == over,
        };
        if is_free {
            self.slots[key] = Slot::Lease(token);
        }
        is_free
    }

    /// Whether this lease stands.
    #[must_use]
    pub fn holds(&self, key: usize, token: Name) -> bool {
        self.slots[key] == Slot::Lease(token)
    }

    /// Whether the value with this name stands.
    #[must_use]
    pub fn has(&self, key: usize, etag: Name) -> bool {
        matches!(self.slots[key], Slot::Value(stored) if stored.etag == etag)
    }

    /// A value takes the slot.
    pub fn set(&mut self, key: usize, version: Version, stamp: Name, etag: Name) {
        let stored = Stored { version, stamp, etag, is_stale: false, is_refreshing: false };
        self.slots[key] = Slot::Value(stored);
    }

    /// `UNLINK` of entries; with a separate lock their leases stay.
    pub fn unlink(&mut self, keys: u8, spares_leases: bool) {
        for key in each(keys) {
            if !(spares_leases && matches!(self.slots[key], Slot::Lease(_))) {
                self.slots[key] = Slot::Empty;
            }
        }
    }
}

impl Bus {
    /// What is still there.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages[..usize::from(self.length)]
    }

    /// Whether there is one: it has counted a message.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.end.added > 0
    }

    /// `XADD`.
    pub fn add(&mut self, message: Message) {
        if usize::from(self.length) == MESSAGES {
            self.trim();
        }
        self.messages[usize::from(self.length)] = message;
        self.length += 1;
        self.end = Reading { last: message.id, added: self.end.added + 1 };
    }

    /// The oldest is gone.
    pub fn trim(&mut self) {
        self.messages.rotate_left(1);
        self.length -= 1;
        self.messages[usize::from(self.length)] = Message::default();
    }

    /// What stands behind this id, and the end.
    #[must_use]
    pub fn after(&self, last: Name) -> Self {
        let mut tail = Self { end: self.end, ..Self::default() };
        for message in self.messages().iter().filter(|message| message.id > last) {
            tail.messages[usize::from(tail.length)] = *message;
            tail.length += 1;
        }
        tail
    }
}
