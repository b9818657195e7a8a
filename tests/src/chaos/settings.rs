//! What a run is like.

use std::fmt;
use std::time::Duration;

use cache_runtime::testing::Rule;

/// Where the cache's second tier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Standalone,
    /// A primary and two replicas that three sentinels watch.
    Sentinel,
    /// Three primaries with a replica each.
    Cluster,
}

impl Topology {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Standalone, Self::Sentinel, Self::Cluster];

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topology| topology.to_string() == name)
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Standalone => "standalone",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        })
    }
}

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One after the other.
    pub topologies: Vec<Topology>,
    /// How long it runs in all, without starts and ends.
    pub time: Duration,
    /// What is random follows from it, except for time itself.
    pub seed: u64,
    /// Rules that are taken away.
    pub without: Vec<Rule>,
    /// Whether a line tells every five seconds how it goes.
    pub talks: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            topologies: Topology::ALL.into(),
            time: Duration::from_mins(6),
            seed: fastrand::u64(..),
            without: Vec::new(),
            talks: true,
        }
    }
}
