//! What is counted, per function: one table that statistics, exporters and documentation read.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal),+ $(,)?) => {
        /// Something that is counted for a cached function: for [`FunctionStats`](crate::FunctionStats), and with the
        /// feature `metrics` for the exporter of the `metrics` facade that was there at the function's first call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Metric {
            $($(#[doc = $doc])+ $variant),+
        }

        impl Metric {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name for exporters. The labels tell whose it is: `function` the path of the cached function, such as
            /// `shop::users::load_user`, and `key` its key template.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            /// What it counts.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+)),+
                }
            }
        }
    };
}

metrics! {
    /// Calls answered from the in-process tier.
    HitL1 => "cache_hits_l1_total",
    /// Calls answered from the second tier.
    HitL2 => "cache_hits_l2_total",
    /// Calls answered with a value past its ttl, while it is refreshed.
    Stale => "cache_stale_total",
    /// Calls that found nothing they could be given at once.
    Miss => "cache_misses_total",
    /// Loads that were begun by the cache: runs of the function's body, bypasses not counted.
    Load => "cache_loads_total",
    /// Calls answered by a load that another call had begun.
    Joined => "cache_joined_total",
    /// Loads that ended with the function's own error.
    LoadError => "cache_load_errors_total",
    /// Loaded values that were not kept because their load was overtaken: by an invalidation, or by the end of its time.
    RefusedFill => "cache_refused_fills_total",
    /// Loaded values that were not kept because the attribute says so: `None`, `store_if`, `l1 = off`.
    NotKept => "cache_not_kept_total",
    /// Calls that ran the body without the cache.
    Bypassed => "cache_bypassed_total",
    /// Loads that lost their key after the load timeout.
    LoadTimeout => "cache_load_timeouts_total",
    /// Times that another process's load of the same key was waited for.
    Waited => "cache_waited_total",
    /// Values that were filled into the second tier, by refreshes too.
    FilledL2 => "cache_fills_l2_total",
    /// Reads, leases and fills that the second tier did not do: it was away, slow, full or read-only.
    FaultL2 => "cache_l2_faults_total",
    /// Stored bytes that were no value of this function: damaged, foreign, or of another shape.
    Damaged => "cache_damaged_total",
    /// Values that were not stored because they are larger than allowed, or survive no codec.
    Unstorable => "cache_unstorable_total",
    /// Keys and groups of this function that were invalidated.
    Invalidated => "cache_invalidated_total",
}

/// How many threads count without getting in each other's way. More share.
const STRIPES: usize = 8;

/// One counter for each metric, several times.
#[derive(Debug, Default)]
pub(crate) struct Counts([Stripe; STRIPES]);

/// No two in one line of the processor's cache, nor in two that are fetched together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; Metric::ALL.len()]);

impl Counts {
    pub(crate) fn add(&self, metric: Metric) {
        self.add_many(metric, 1);
    }

    pub(crate) fn add_many(&self, metric: Metric, many: u64) {
        self.0[own_stripe()].0[metric as usize].fetch_add(many, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, metric: Metric) -> u64 {
        self.0.iter().map(|stripe| stripe.0[metric as usize].load(Ordering::Relaxed)).sum()
    }
}

/// The stripe of this thread: in turn, by when it counts first.
fn own_stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<Option<usize>> = const { Cell::new(None) };
    }
    // A thread that ends has a place as any other.
    let own = OWN.try_with(|own| {
        own.get().unwrap_or_else(|| {
            let new = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
            own.set(Some(new));
            new
        })
    });
    own.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_count_is_added_up() {
        let counts = Counts::default();
        std::thread::scope(|scope| {
            for _ in 0..3 * STRIPES {
                scope.spawn(|| (0..100).for_each(|_| counts.add(Metric::Miss)));
            }
        });
        counts.add_many(Metric::Load, 7);
        assert_eq!([Metric::Miss, Metric::Load, Metric::Stale].map(|metric| counts.get(metric)), [2_400, 7, 0]);
        let used = counts.0.iter().filter(|stripe| stripe.0[Metric::Miss as usize].load(Ordering::Relaxed) > 0);
        assert!(used.count() > 1);
    }
}
