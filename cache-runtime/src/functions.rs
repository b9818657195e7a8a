//! The functions of one cache: what each of them counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::buckets::Buckets;
use crate::codec::CodecChoice;
use crate::finds::Finds;
use crate::function::Function;
use crate::metric::{Counts, Metric};
use crate::recorder::Handles;
use crate::threads::HitCounter;

/// The functions that one cache has seen, by their number in the registry.
#[derive(Debug)]
pub(crate) struct Functions {
    states: Buckets<OnceLock<State>>,
}

/// What one cache knows of one function.
pub(crate) struct State {
    counts: Counts,
    /// The hits that each thread counts by itself, and those of threads that are gone.
    hits: Mutex<Vec<Arc<AtomicU64>>>,
    handles: Handles,
    load_nanos: AtomicU64,
    /// Which codec carries its values.
    pub(crate) codec: CodecChoice,
    /// What its looks into the second tier found lately.
    pub(crate) second: Finds,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl State {
    fn new(function: &Function) -> Self {
        Self {
            counts: Counts::default(),
            hits: Mutex::default(),
            handles: Handles::new(function),
            load_nanos: AtomicU64::new(0),
            codec: CodecChoice::default(),
            second: Finds::default(),
        }
    }

    pub(crate) fn count(&self, metric: Metric) {
        self.counts.add(metric);
        self.handles.count(metric);
    }

    /// A counter of hits for one thread; those of threads that are gone are added up on the way.
    pub(crate) fn new_hits(&self) -> HitCounter {
        let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        hits.retain(|counter| {
            let is_used = Arc::strong_count(counter) > 1;
            if !is_used {
                self.counts.add_many(Metric::HitL1, counter.load(Ordering::Relaxed));
            }
            is_used
        });
        let counter = Arc::new(AtomicU64::new(0));
        hits.push(Arc::clone(&counter));
        HitCounter { count: counter, exported: self.handles.hits() }
    }

    pub(crate) fn load_took(&self, took: Duration) {
        self.handles.load_took(took);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.load_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, metric: Metric) -> u64 {
        match metric {
            Metric::HitL1 => {
                let hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
                let owned: u64 = hits.iter().map(|counter| counter.load(Ordering::Relaxed)).sum();
                owned + self.counts.get(metric)
            }
            other => self.counts.get(other),
        }
    }

    pub(crate) fn load_time(&self) -> Duration {
        Duration::from_nanos(self.load_nanos.load(Ordering::Relaxed))
    }
}

impl Functions {
    pub(crate) fn new() -> Self {
        Self { states: Buckets::new() }
    }

    #[inline(always)]
    pub(crate) fn state(&self, function: &Function) -> &State {
        self.states.get(function.number()).get_or_init(|| State::new(function))
    }

    /// The state, unless this cache never saw the function.
    pub(crate) fn peek(&self, function: &Function) -> Option<&State> {
        self.states.peek(function.number())?.get()
    }
}
