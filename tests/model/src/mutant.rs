//! Rules of the protocol that can be taken away, to see that the model notices.

use crate::config::Config;
use crate::configurations::{
    BEGUN, EVERYWHERE, FAILOVER, FIRST, FOREIGN, GAP, GROUP, HANDS, HOT, JOIN, JOURNAL, LEASE, MEMBERS, NEAR, OWN,
    PROMOTED, PUT, ROUTES, SHARD, STALE, TOKEN, TOLD, WITHOUT,
};

/// A protocol with one rule less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// `Rule::Seal`: callers join a flight whose fill was sent.
    Seal,
    /// `Rule::NoSharedHits`: a hit is given to callers that came after its read was sent.
    NoSharedHits,
    /// What the leader finds in its process on a second look is given to those who joined meanwhile.
    SharedLook,
    /// `Rule::Verdict`: joiners get the value of a fill that was refused.
    Verdict,
    /// `Rule::Detach`: callers join flights from before an invalidation.
    Detach,
    /// `Rule::BoundedRetries`: a call may lose flights for ever.
    BoundedRetries,
    /// `Rule::HandOver`: a leader that leaves tells nobody.
    HandOver,
    /// `Rule::Fence`: the in-process tier serves whatever it holds.
    Fence,
    /// `Rule::FillToken`: a fill needs no lease.
    FillToken,
    /// `Rule::FillToken` of a refresh: it needs no stale value to replace.
    RefreshToken,
    /// `Rule::FillToken` of a put: the value is sent with the invalidation, without a lease before it.
    PutLease,
    /// `Rule::Stamps`: a stored value is used under any stamp.
    Stamps,
    /// `Rule::Snapshot`: the stamp of a value is the one from after its load.
    Snapshot,
    /// `Rule::UnlinkFirst`: the bus tells before the entries are unlinked.
    UnlinkFirst,
    /// `Rule::SecondBump`: a publisher does not fence itself again.
    SecondBump,
    /// `Rule::Right`: a blind process serves.
    Right,
    /// `Rule::RightFromSending`: the right begins with the reply.
    RightFromSending,
    /// `Rule::Gap`: a gap in the bus drops nothing.
    Gap,
    /// What is still there behind a gap in the bus is not applied.
    GapAlone,
    /// Of another server only the end of the bus is adopted.
    EndAlone,
    /// What was unlinked for a message is not unlinked again from another server.
    OnceOnly,
    /// `Rule::Identity`: another server is taken for the same.
    Identity,
    /// An answer over another connection extends the right as well.
    Generation,
    /// `Rule::Journal`: the second tier is read before the journal is replayed.
    Journal,
    /// `Rule::Routes`: publishers know the functions of their own process alone.
    Routes,
    /// The lease is a key of its own, and survives an invalidation of the entry.
    SeparateLock,
    /// Stamps are counters.
    CounterStamps,
    /// A stamp that is missing counts as 0, and is not made.
    MissingStamp,
    /// The writer invalidates before it commits.
    InvalidateFirst,
    /// A lease is good for more than one fill.
    DoubleFill,
    /// A renewal brings back a lease that is gone.
    RenewLost,
    /// Nothing is repeated after a failover.
    Recent,
    /// Nothing is repeated at the first look at a server.
    FirstLook,
    /// A receiver fences itself before it unlinks what the publisher has not covered.
    FenceFirst,
    /// A process stores values before the server knows its routes.
    Registered,
    /// A token of another process is not waited for.
    Token,
    /// `everywhere` believes what another server tells than the one that was looked at.
    ListOfAnother,
    /// `everywhere` believes a server that has lost something, or that its process has just met.
    Doubt,
    /// `everywhere` believes a list that was begun a moment ago.
    YoungList,
    /// Where there is no bus, a look at it begins none.
    Begin,
    /// A load without a lease may be joined for ever.
    LateJoin,
    /// A lease has no lifetime of its own.
    ImmortalLease,
    /// No wake-up arrives, and who waits for one does not look by itself.
    LostWakeUp,
}

/// Where a mutant is caught, and by which property.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// The rule that is taken away.
    pub mutant: Mutant,
    /// The configuration that notices.
    pub config: &'static Config,
    /// How the name of the property begins that is broken first.
    pub property: &'static str,
}

const fn kill(mutant: Mutant, config: &'static Config, property: &'static str) -> Kill {
    Kill { mutant, config, property }
}

/// Each mutant, where it is caught, and the promise that it breaks first.
pub const KILLS: &[Kill] = &[
    kill(Mutant::Seal, &JOIN, "strict"),
    kill(Mutant::NoSharedHits, &JOIN, "strict"),
    kill(Mutant::SharedLook, &TOKEN, "causal"),
    kill(Mutant::Verdict, &JOIN, "strict"),
    kill(Mutant::Detach, &JOURNAL, "own process"),
    kill(Mutant::BoundedRetries, &HOT, "retries"),
    kill(Mutant::HandOver, &HANDS, "liveness"),
    kill(Mutant::Fence, &OWN, "own process"),
    kill(Mutant::FillToken, &LEASE, "leases"),
    kill(Mutant::RefreshToken, &STALE, "leases"),
    kill(Mutant::PutLease, &PUT, "strict"),
    kill(Mutant::Stamps, &GROUP, "strict"),
    kill(Mutant::Snapshot, &MEMBERS, "strict"),
    kill(Mutant::UnlinkFirst, &NEAR, "heard"),
    kill(Mutant::SecondBump, &OWN, "own process"),
    kill(Mutant::Right, &NEAR, "bounded"),
    kill(Mutant::RightFromSending, &NEAR, "bounded"),
    kill(Mutant::Gap, &GAP, "bus"),
    kill(Mutant::GapAlone, &FOREIGN, "heard"),
    kill(Mutant::EndAlone, &TOLD, "heard"),
    kill(Mutant::OnceOnly, &TOLD, "heard"),
    kill(Mutant::Identity, &FAILOVER, "own process"),
    kill(Mutant::Generation, &FAILOVER, "own process"),
    kill(Mutant::Journal, &JOURNAL, "journal"),
    kill(Mutant::Routes, &ROUTES, "strict"),
    kill(Mutant::SeparateLock, &LEASE, "strict"),
    kill(Mutant::CounterStamps, &SHARD, "strict"),
    kill(Mutant::MissingStamp, &GROUP, "strict"),
    kill(Mutant::InvalidateFirst, &LEASE, "strict"),
    kill(Mutant::DoubleFill, &LEASE, "leases"),
    kill(Mutant::RenewLost, &LEASE, "strict"),
    kill(Mutant::Recent, &FAILOVER, "own process"),
    kill(Mutant::FirstLook, &FIRST, "own process"),
    kill(Mutant::FenceFirst, &FOREIGN, "heard"),
    kill(Mutant::Registered, &ROUTES, "strict"),
    kill(Mutant::Token, &TOKEN, "causal"),
    kill(Mutant::ListOfAnother, &PROMOTED, "everywhere"),
    kill(Mutant::Doubt, &PROMOTED, "everywhere"),
    kill(Mutant::YoungList, &EVERYWHERE, "everywhere"),
    kill(Mutant::Begin, &BEGUN, "heard"),
    kill(Mutant::LateJoin, &WITHOUT, "bounded"),
    kill(Mutant::ImmortalLease, &HANDS, "liveness"),
    kill(Mutant::LostWakeUp, &HANDS, "liveness"),
];
