//! What a search has found, and what it looks like.

use std::fmt;

/// What a read that was too old looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mistake {
    /// During the write nothing became invalid at all.
    NotAnnounced,
    /// During the write something became invalid, but not what the read asks for.
    AnnouncedOther {
        /// The keys and groups that became invalid.
        announced: Vec<String>,
        /// The key that was read.
        read: String,
    },
    /// It became invalid only after the write had returned.
    AnnouncedLate,
    /// It became invalid before the source had the new version: a load in between kept the old one.
    AnnouncedEarly,
    /// Two keys of the service share one entry of the cache.
    SharedEntry {
        /// The entry's key.
        entry: String,
    },
    /// The source gave an old version to a load that began after the write had returned.
    SourceLags,
    /// No cached function took part in the read.
    NotCached,
    /// The service did everything right: a promise of the cache itself is broken.
    Cache,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnnounced => out.write_str(
                "no event or invalidation was announced for this key during the write: is an event forgotten?",
            ),
            Self::AnnouncedOther { announced, read } => write!(
                out,
                "the write announced {}, but what was read is kept as `{read}`: does the event name the right argument, \
                 and does the function listen to it?",
                quoted(announced)
            ),
            Self::AnnouncedLate => out.write_str(
                "it was announced only after the write had returned: is the event published by a task of its own?",
            ),
            Self::AnnouncedEarly => out.write_str(
                "a load that began before the write returned, but after it was announced, was kept: is the event published \
                 before the commit, or does the source show commits late?",
            ),
            Self::SharedEntry { .. } => out.write_str(
                "several keys of the service are kept as one entry: does the key template leave out an argument?",
            ),
            Self::SourceLags => out.write_str(
                "the source gave an old version to a load that began after the write had returned: does it read a replica, \
                 or is the commit not awaited?",
            ),
            Self::NotCached => out.write_str("no cached function took part in the read: does the source lag?"),
            Self::Cache => out.write_str(
                "the service announced in time, and no load explains it: this looks like a fault of the cache; please \
                 report it with this text",
            ),
        }
    }
}

/// A read that was older than promised, explained. `Debug` prints the explanation too, so that `unwrap` and `?` show it.
#[derive(Clone)]
pub struct Incoherence {
    pub(super) seed: u64,
    pub(super) mistake: Mistake,
    pub(super) text: String,
}

impl Incoherence {
    /// What it looks like.
    #[must_use]
    pub fn mistake(&self) -> &Mistake {
        &self.mistake
    }

    /// What was left to chance: see [`Coherence::seed`](super::Coherence::seed).
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl fmt::Display for Incoherence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl fmt::Debug for Incoherence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl std::error::Error for Incoherence {}

/// As they stand in a sentence.
pub(super) fn quoted(texts: &[String]) -> String {
    texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")
}
