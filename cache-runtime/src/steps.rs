//! The steps port: places on the paths of loads and invalidations at which a test may watch, and let others go first.
//!
//! Nobody watches but the search of `testing::Coherence`. Without the feature `testing` there is nothing here to be asked;
//! with it, a cache that nobody watches asks one atomic variable, and only on a load or an invalidation, never on a hit.

#[cfg(feature = "testing")]
use std::sync::{Arc, OnceLock};

#[cfg(feature = "testing")]
use crate::clock::Sleep;

/// What is about to happen, or has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// A load is about to run the function's body. Of loads at the same time, each has another number.
    Loading { load: u64, key: &'a str, groups: &'a [String] },
    /// The body has ended; its value is not kept yet.
    Loaded { load: u64, key: &'a str },
    /// The value is kept.
    Kept { load: u64, key: &'a str },
    /// The value is not kept: an invalidation overtook its load, or nobody knows whether one did.
    Refused { load: u64, key: &'a str },
    /// Something is about to become invalid.
    Invalidating,
    /// These keys and groups have become invalid, `applied` in the second tier too, if there is one.
    Invalidated { texts: &'a [String], applied: bool },
}

/// Who watches the steps of one cache.
#[cfg(feature = "testing")]
pub(crate) trait Observer: std::fmt::Debug + Send + Sync {
    /// The step happens here and now; what is returned is waited for before the next one.
    fn observe(&self, step: Step<'_>) -> Option<Sleep>;
}

/// The steps of one cache.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    #[cfg(feature = "testing")]
    observer: OnceLock<Arc<dyn Observer>>,
}

#[cfg(feature = "testing")]
impl Steps {
    /// From here on `observer` is told. Of several, the first.
    pub(crate) fn watch(&self, observer: Arc<dyn Observer>) {
        let _first = self.observer.set(observer);
    }

    pub(crate) fn are_watched(&self) -> bool {
        self.observer.get().is_some()
    }

    /// Tells, and waits as long as the observer likes.
    pub(crate) async fn at(&self, step: Step<'_>) {
        let pause = self.observer.get().and_then(|observer| observer.observe(step));
        if let Some(pause) = pause {
            pause.await;
        }
    }

    /// Tells where nothing can wait.
    pub(crate) fn note(&self, step: Step<'_>) {
        if let Some(observer) = self.observer.get() {
            let _nobody_waits = observer.observe(step);
        }
    }
}

#[cfg(not(feature = "testing"))]
#[expect(clippy::unused_self, reason = "the same calls as with the feature")]
impl Steps {
    #[inline(always)]
    pub(crate) fn are_watched(&self) -> bool {
        false
    }

    #[inline(always)]
    pub(crate) fn at(&self, _step: Step<'_>) -> std::future::Ready<()> {
        std::future::ready(())
    }

    #[inline(always)]
    pub(crate) fn note(&self, _step: Step<'_>) {}
}
