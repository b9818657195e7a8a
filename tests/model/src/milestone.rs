//! Situations that a configuration has to reach: without them its promises would be kept by doing nothing.

/// Something that happens on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// A call was answered from its process.
    HitNear,
    /// A call was answered from the second tier.
    HitStored,
    /// A call got the value of another call's load.
    Joined,
    /// A call lost its flight and joined again.
    Lost,
    /// A call loaded for itself, after too many lost flights.
    WriteHot,
    /// A call waited for another process's lease.
    Waited,
    /// A lease was asked for without a look, and something stood there.
    FoundUnseen,
    /// A lease was taken over a value of another stamp.
    TakenOver,
    /// A fill was refused.
    Refused,
    /// A fill of a given-up operation arrived and was refused.
    LateFill,
    /// An invalidation of a given-up operation arrived.
    LateInvalidation,
    /// A leader left, and those who waited joined again.
    HandedOver,
    /// The lease of a dead process expired.
    LeaseExpired,
    /// A value past its ttl was served.
    Stale,
    /// It was replaced by a refresh.
    Refreshed,
    /// A put took the place of its lease.
    Put,
    /// A load without a lease.
    WithoutLease,
    /// A call joined one.
    JoinedWithoutLease,
    /// A call was too late to join one.
    Closed,
    /// A process had no right to serve what it held.
    Blind,
    /// A message was applied.
    Heard,
    /// What a publisher had not covered was unlinked.
    Uncovered,
    /// A gap on the bus was found by counting.
    Gap,
    /// What another server had behind the last place was read.
    ReadBehind,
    /// Another server was noticed.
    AnotherServer,
    /// A failover lost an invalidation that had returned.
    LostInvalidation,
    /// A lost invalidation was repeated.
    Repeated,
    /// An invalidation waited in the journal.
    Queued,
    /// The journal was replayed.
    Replayed,
    /// A read was kept off the second tier by the journal or by missing routes.
    KeptOff,
    /// A publisher met routes it did not know.
    RoutesChanged,
    /// A call with a token came before the bus.
    TokenAhead,
    /// A writer was told that all processes know.
    Everywhere,
    /// The list of those who read the bus was in doubt.
    Doubted,
    /// A bus began, by who looked for one.
    Begun,
    /// A process died and started again.
    Crashed,
}

impl Milestone {
    /// How many there are.
    pub const COUNT: usize = Self::Crashed as usize + 1;
}
