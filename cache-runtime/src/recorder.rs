//! The recorder port: where counts go besides the cache's own statistics.
//!
//! With the feature `metrics` (on by default): the `metrics` facade, and so any exporter of that ecosystem. Install the
//! exporter before the first cached call: handles are made once for each function, and a handle made without an
//! exporter stays silent.

use std::time::Duration;

use crate::function::Function;
use crate::metric::Metric;

/// The handles of one function. Its path alone, the label `function`, would be that of other methods too; with its key
/// template, the label `key`, it is its own.
#[cfg(feature = "metrics")]
pub(crate) struct Handles {
    counters: [metrics::Counter; Metric::ALL.len()],
    load_seconds: metrics::Histogram,
}

#[cfg(feature = "metrics")]
impl Handles {
    pub(crate) fn new(function: &Function) -> Self {
        let (path, key) = (metrics::SharedString::from(function.path()), function.spec().template);
        let counter = |metric: &Metric| metrics::counter!(metric.name(), "function" => path.clone(), "key" => key);
        Self {
            counters: std::array::from_fn(|place| counter(&Metric::ALL[place])),
            load_seconds: metrics::histogram!("cache_load_seconds", "function" => path.clone(), "key" => key),
        }
    }

    #[inline(always)]
    pub(crate) fn count(&self, metric: Metric) {
        self.counters[metric as usize].increment(1);
    }

    pub(crate) fn load_took(&self, took: Duration) {
        self.load_seconds.record(took);
    }

    pub(crate) fn hits(&self) -> HitHandle {
        HitHandle(self.counters[Metric::HitL1 as usize].clone())
    }
}

/// Tells the exporter of one function's hits.
#[cfg(feature = "metrics")]
#[derive(Clone)]
pub(crate) struct HitHandle(metrics::Counter);

#[cfg(feature = "metrics")]
impl HitHandle {
    #[inline(always)]
    pub(crate) fn hit(&self) {
        self.0.increment(1);
    }
}

/// Nobody listens: the feature `metrics` is off.
#[cfg(not(feature = "metrics"))]
#[derive(Clone)]
pub(crate) struct HitHandle;

#[cfg(not(feature = "metrics"))]
#[expect(clippy::unused_self, reason = "the same call as with the feature")]
impl HitHandle {
    #[inline(always)]
    pub(crate) fn hit(&self) {}
}

/// Nobody listens: the feature `metrics` is off.
#[cfg(not(feature = "metrics"))]
pub(crate) struct Handles;

#[cfg(not(feature = "metrics"))]
#[expect(clippy::unused_self, reason = "the same calls as with the feature")]
impl Handles {
    pub(crate) fn new(_function: &Function) -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn count(&self, _metric: Metric) {}

    pub(crate) fn load_took(&self, _took: Duration) {}

    pub(crate) fn hits(&self) -> HitHandle {
        HitHandle
    }
}
