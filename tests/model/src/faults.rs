//! What may go wrong.

/// What may go wrong, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// Entries or stamps that are evicted or expire.
    pub evictions: u8,
    /// Values that grow older than their ttl.
    pub agings: u8,
    /// Operations that time out; what they sent may arrive later.
    pub timeouts: u8,
    /// Callers that leave.
    pub leaves: u8,
    /// Processes that die and start again.
    pub crashes: u8,
    /// Messages that are trimmed.
    pub trims: u8,
    /// Evictions of the bus, or of the list of those who read it.
    pub losses: u8,
    /// Failovers, each to what the replica had.
    pub failovers: u8,
    /// Ticks of the clock.
    pub ticks: u8,
}
