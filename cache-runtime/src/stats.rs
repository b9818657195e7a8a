//! What one cache counted for one function.

use std::time::Duration;

use crate::function::Function;
use crate::functions::State;
use crate::metric::Metric;
use crate::node::Node;

/// What one cache counted for one function since it was built.
#[derive(Clone, Debug)]
pub struct FunctionStats {
    function: &'static Function,
    counts: Vec<u64>,
    load_time: Duration,
}

impl FunctionStats {
    pub(crate) fn of(node: &Node, function: &'static Function) -> Self {
        let state = node.functions.peek(function);
        let count = |metric: &Metric| state.map_or(0, |state| state.get(*metric));
        Self {
            function,
            counts: Metric::ALL.iter().map(count).collect(),
            load_time: state.map_or(Duration::ZERO, State::load_time),
        }
    }

    /// Whose counts these are.
    #[cfg(feature = "testing")]
    pub(crate) fn function(&self) -> &'static Function {
        self.function
    }

    /// The function's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.function.spec().name
    }

    /// The module it stands in.
    #[must_use]
    pub fn module(&self) -> &'static str {
        self.function.spec().module
    }

    /// Its key template: it tells apart methods that have the same name in the same module.
    #[must_use]
    pub fn template(&self) -> &'static str {
        self.function.spec().template
    }

    /// One count.
    #[must_use]
    pub fn count(&self, metric: Metric) -> u64 {
        self.counts[metric as usize]
    }

    /// Calls that were answered from a tier, whichever it was.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.count(Metric::HitL1) + self.count(Metric::HitL2) + self.count(Metric::Stale)
    }

    /// Calls that found nothing in the in-process tier that they could be given at once.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.count(Metric::Miss)
    }

    /// Loads that the cache began.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.count(Metric::Load)
    }

    /// Calls that were answered by another call's load.
    #[must_use]
    pub fn joined(&self) -> u64 {
        self.count(Metric::Joined)
    }

    /// The share of calls that were answered from a tier, from 0 to 1; 0 without calls.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no 53 bits")]
    pub fn hit_rate(&self) -> f64 {
        match self.count(Metric::HitL1) + self.misses() {
            0 => 0.0,
            calls => self.hits() as f64 / calls as f64,
        }
    }

    /// The time of all loads together.
    #[must_use]
    pub fn load_time(&self) -> Duration {
        self.load_time
    }
}
