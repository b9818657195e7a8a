//! What a phase is measured by.

use std::time::Duration;

use crate::goods::ShopError;
use crate::ledger::Floor;

/// The counts of one client; those of all clients add up.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) reads: Latencies,
    pub(crate) writes: Latencies,
    /// Products viewed, and those among them that are of the most popular fifth.
    pub(crate) views: u64,
    pub(crate) top_views: u64,
    /// Values whose version was compared with the announced one, and those that were older.
    pub(crate) checked: u64,
    pub(crate) stale: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

impl Tally {
    pub(crate) fn requests(&self) -> u64 {
        self.reads.count() + self.writes.count() + self.failed
    }

    /// Compares what was read with what had been announced when the read began.
    pub(crate) fn check(&mut self, floor: Floor, version: u32) {
        self.checked += 1;
        self.stale += u64::from(floor.is_above(version));
    }

    pub(crate) fn fail(&mut self, error: &ShopError) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| error.to_string());
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.reads.add(&other.reads);
        self.writes.add(&other.writes);
        self.views += other.views;
        self.top_views += other.top_views;
        self.checked += other.checked;
        self.stale += other.stale;
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }
}

/// Durations, counted in steps of about 3 %: 32 steps for each power of two of nanoseconds.
pub(crate) struct Latencies(Vec<u64>);

const STEPS: usize = 32;
const BUCKETS: usize = STEPS * 60;

impl Default for Latencies {
    fn default() -> Self {
        Self(vec![0; BUCKETS])
    }
}

impl Latencies {
    pub(crate) fn record(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0[bucket(nanos)] += 1;
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The duration that `percent` of all do not exceed; `None` when there are none.
    pub(crate) fn percentile(&self, percent: u64) -> Option<Duration> {
        let wanted = (self.count() * percent).div_ceil(100);
        let mut seen = 0;
        let reached = self.0.iter().position(|count| {
            seen += count;
            seen >= wanted && seen > 0
        });
        reached.map(|bucket| Duration::from_nanos(lower_bound(bucket)))
    }

    fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }
}

/// Below 32 ns each nanosecond has its bucket; above, the five bits after the leading one choose.
fn bucket(nanos: u64) -> usize {
    let magnitude = nanos.max(1).ilog2().saturating_sub(5);
    let steps = usize::try_from(nanos >> magnitude).expect("six bits are left");
    magnitude as usize * STEPS + steps
}

fn lower_bound(bucket: usize) -> u64 {
    let magnitude = (bucket / STEPS).saturating_sub(1);
    ((bucket - magnitude * STEPS) as u64) << magnitude
}
