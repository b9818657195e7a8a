//! How a cache stands with its second tier, for readiness probes and dashboards.

use std::fmt;

use crate::node::Node;

/// How a cache stands with its second tier at one moment; made by [`Cache::health`](crate::Cache::health).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    has_second: bool,
    reaches_server: bool,
    serves_near: bool,
    queued: usize,
    gaps: u64,
    messages: u64,
    flawed: u64,
    unlinked: u64,
    faults: u64,
    leases: usize,
}

impl Health {
    pub(crate) fn of(node: &Node) -> Self {
        let serves_near = node.may_serve_now();
        match &node.second {
            None => Self {
                has_second: false,
                reaches_server: true,
                serves_near,
                queued: 0,
                gaps: 0,
                messages: 0,
                flawed: 0,
                unlinked: 0,
                faults: 0,
                leases: 0,
            },
            Some(second) => Self {
                has_second: true,
                reaches_server: second.store.servers().is_up(),
                serves_near,
                queued: second.journal.len(),
                gaps: second.tally.gaps(),
                messages: second.tally.messages(),
                flawed: second.tally.flawed(),
                unlinked: second.tally.unlinked(),
                faults: second.tally.faults(),
                leases: second.keeper.len(),
            },
        }
    }

    /// Whether there is a second tier at all.
    #[must_use]
    pub fn has_second_tier(&self) -> bool {
        self.has_second
    }

    /// Whether the server of the second tier answers; true for an embedded cache.
    #[must_use]
    pub fn reaches_server(&self) -> bool {
        self.reaches_server
    }

    /// Whether hits come from the in-process tier: the process has read every invalidation, as of `max_staleness` ago.
    #[must_use]
    pub fn serves_near(&self) -> bool {
        self.serves_near
    }

    /// How many invalidations wait for the server.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// How often this process may have missed an invalidation, and dropped its in-process tier for it.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// How many messages of other processes were applied.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// How many messages, or parts of them, were not understood.
    #[must_use]
    pub fn flawed_messages(&self) -> u64 {
        self.flawed
    }

    /// How many entries and group stamps this process has unlinked because the publisher of an event had not.
    #[must_use]
    pub fn unlinked_for_others(&self) -> u64 {
        self.unlinked
    }

    /// How often the bus could not be read.
    #[must_use]
    pub fn bus_faults(&self) -> u64 {
        self.faults
    }

    /// How many loads of this process hold a lease.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.leases
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.has_second {
            return f.write_str("embedded");
        }
        let server = if self.reaches_server { "server reached" } else { "server away" };
        let near = if self.serves_near { "serves from the in-process tier" } else { "blind" };
        write!(f, "{server}, {near}, {} queued, {} gaps, {} leases", self.queued, self.gaps, self.leases)
    }
}
