//! The rules of the coherence protocol, as values that a test can take away to see that something notices.

/// One rule of the coherence protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(not(feature = "mutants"), expect(unreachable_pub, reason = "tests with the feature name them"))]
pub enum Rule {
    /// F1: nobody joins a flight once its fill was sent.
    Seal,
    /// F2: the reply to a read of the second tier is given only to callers that arrived before it was sent.
    NoSharedHits,
    /// F3: joiners get a loaded value only if its fill was accepted.
    Verdict,
    /// F4: an invalidation detaches the flights under way: callers after it start their own.
    Detach,
    /// F5: a caller that lost three flights loads for itself.
    BoundedRetries,
    /// F6: when a leader leaves without a result, those who wait take over.
    HandOver,
    /// P1: an entry is served only under the fence it was loaded under.
    Fence,
    /// A fill is accepted only while its lease stands in the slot.
    FillToken,
    /// A stored value is used only under the stamps of its groups.
    Stamps,
    /// The stamps of a value are those from before its load.
    Snapshot,
    /// Entries are unlinked before the bus tells of it.
    UnlinkFirst,
    /// An invalidation fences this process's own tier again once it has taken effect in the second.
    SecondBump,
    /// P4: a process serves from its in-process tier only while it is known to have read the bus to its end.
    Right,
    /// The right to serve begins when the bus was asked, not when it answered.
    RightFromSending,
    /// P4: on a gap in the bus everything in the in-process tier is dropped.
    Gap,
    /// Another server, or the same one with another memory, is a gap.
    Identity,
    /// P6: invalidations that wait for the server keep their keys from being read there.
    Journal,
    /// A publisher asks for the routes of functions that it does not link.
    Routes,
    /// What a load reads of other cached functions is as new as its lease.
    Nested,
    /// What is made invalid piece by piece is, once for each load inside a load that may have been between two pieces.
    Rounds,
}

/// So many loads inside each other see no piece of an invalidation without the others.
const NESTED: usize = 3;

/// Which rules hold: all of them, unless a test says otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    #[cfg(feature = "mutants")]
    missing: u32,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        #[cfg(feature = "mutants")]
        missing: 0,
    };

    #[cfg(feature = "mutants")]
    pub(crate) const fn without(self, rule: Rule) -> Self {
        Self { missing: self.missing | 1 << rule as u32 }
    }

    #[cfg(feature = "mutants")]
    pub(crate) const fn holds(self, rule: Rule) -> bool {
        self.missing & (1 << rule as u32) == 0
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "the same call with and without mutants")]
    pub(crate) const fn holds(self, _rule: Rule) -> bool {
        true
    }

    /// How often everything is made invalid at most that an invalidation names, where it happens piece by piece: once for
    /// each piece, if those are fewer.
    ///
    /// A load that begins behind its own piece may read, of another cached function, what is only invalid with a later one.
    /// Whatever loads itself is right after the first round; what is made of that, after the second.
    pub(crate) fn most_rounds(self) -> usize {
        if self.holds(Rule::Rounds) { NESTED } else { 1 }
    }
}
