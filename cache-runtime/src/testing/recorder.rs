//! What one test made its caches do, counted.

use std::ptr;

use crate::cache::Cache;
use crate::function::Function;
use crate::metric::Metric;

/// Counts what some caches did for each function since it was made: loads, hits, invalidations.
///
/// # Examples
///
/// ```standalone_crate
/// # tokio_test(async {
/// use cache_runtime::testing::Recorder;
/// use cache_runtime::{Cache, Metric, cached};
///
/// #[cached(ttl = "1m", key = "square:<of>")]
/// async fn square(of: u64) -> u64 {
///     of * of
/// }
///
/// let cache = Cache::builder("test").build().await.expect("a cache without a server needs nothing");
/// let recorder = Recorder::new(&cache);
/// cache.scope(async { [square(7).await, square(7).await, square(8).await] }).await;
/// assert_eq!((recorder.loads("square"), recorder.hits("square")), (2, 1));
/// assert_eq!(recorder.count("square", Metric::RefusedFill), 0);
/// # });
/// # fn tokio_test(future: impl Future<Output = ()>) {
/// #     tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    caches: Vec<Cache>,
    /// What had been counted when this was made, as [`Recorder::counted`] tells it.
    before: Vec<Counted>,
}

/// What the caches counted for one function, in the order of [`Metric::ALL`].
#[derive(Clone, Debug)]
struct Counted {
    function: &'static Function,
    counts: Vec<u64>,
}

impl Counted {
    fn is_of(&self, other: &Self) -> bool {
        ptr::eq(self.function, other.function)
    }
}

impl Recorder {
    /// What this cache does from here on.
    #[must_use]
    pub fn new(cache: &Cache) -> Self {
        Self::over([cache])
    }

    /// What these caches do from here on, together.
    #[must_use]
    pub fn over<'a>(caches: impl IntoIterator<Item = &'a Cache>) -> Self {
        let mut recorder = Self { caches: caches.into_iter().cloned().collect(), before: Vec::new() };
        recorder.restart();
        recorder
    }

    /// Begins to count from 0 again.
    pub fn restart(&mut self) {
        self.before = self.counted();
    }

    /// One count of the function with this name: `load_user`; `users::load_user` where several have that name; its key
    /// template, `user:<tenant>:<id>`, where several stand in one module, as methods do.
    ///
    /// # Panics
    ///
    /// If no cached function of the program has this name, or several have.
    #[must_use]
    #[track_caller]
    pub fn count(&self, function: &str, metric: Metric) -> u64 {
        let now = self.counted();
        match found(&now, function).as_slice() {
            [one] => {
                let before = self.before.iter().find(|before| before.is_of(one));
                one.counts[metric as usize] - before.map_or(0, |before| before.counts[metric as usize])
            }
            [] => panic!("no cached function is named `{function}`; there are {}", listed(&now)),
            several => panic!("several cached functions are named `{function}`: {}", listed(several.iter().copied())),
        }
    }

    /// Loads that the caches began: runs of the function's body, those without the cache not counted.
    ///
    /// # Panics
    ///
    /// As [`Recorder::count`].
    #[must_use]
    #[track_caller]
    pub fn loads(&self, function: &str) -> u64 {
        self.count(function, Metric::Load)
    }

    /// Calls that were answered from a tier, whichever it was.
    ///
    /// # Panics
    ///
    /// As [`Recorder::count`].
    #[must_use]
    #[track_caller]
    pub fn hits(&self, function: &str) -> u64 {
        [Metric::HitL1, Metric::HitL2, Metric::Stale].map(|metric| self.count(function, metric)).iter().sum()
    }

    /// The functions of the program, and what all caches counted for each of them.
    fn counted(&self) -> Vec<Counted> {
        let mut sums: Vec<Counted> = Vec::new();
        for stats in self.caches.iter().flat_map(Cache::stats) {
            let counts = Metric::ALL.iter().map(|metric| stats.count(*metric)).collect();
            let counted = Counted { function: stats.function(), counts };
            match sums.iter_mut().find(|other| other.is_of(&counted)) {
                Some(sum) => sum.counts.iter_mut().zip(counted.counts).for_each(|(sum, count)| *sum += count),
                None => sums.push(counted),
            }
        }
        sums
    }
}

/// Those with this name; where there are none, those with this key template.
fn found<'a>(all: &'a [Counted], name: &str) -> Vec<&'a Counted> {
    let of = |has: &dyn Fn(&Function) -> bool| all.iter().filter(|one| has(one.function)).collect::<Vec<_>>();
    let named = of(&|function| is_named(&function.path(), name));
    if named.is_empty() { of(&|function| function.spec().template == name) } else { named }
}

/// Whether the path ends in this name, at its beginning or after a `::`.
fn is_named(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with("::"))
}

/// As they stand in a message: two in one module have the same path.
fn listed<'a>(all: impl IntoIterator<Item = &'a Counted>) -> String {
    let named = |one: &Counted| format!("{} (key `{}`)", one.function.path(), one.function.spec().template);
    all.into_iter().map(named).collect::<Vec<_>>().join(", ")
}
