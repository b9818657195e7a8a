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

/// How often a kind of fault may happen.
pub type Count = fn(&mut Faults) -> &mut u8;

impl Faults {
    /// Each kind, by its name.
    pub const KINDS: [(&str, Count); 9] = [
        ("an eviction", |faults| &mut faults.evictions),
        ("an aging", |faults| &mut faults.agings),
        ("a timeout", |faults| &mut faults.timeouts),
        ("a caller who leaves", |faults| &mut faults.leaves),
        ("a crash", |faults| &mut faults.crashes),
        ("a trim", |faults| &mut faults.trims),
        ("a loss", |faults| &mut faults.losses),
        ("a failover", |faults| &mut faults.failovers),
        ("a tick", |faults| &mut faults.ticks),
    ];
}
