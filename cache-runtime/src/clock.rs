//! The clock port: lifetimes are measured on it, and loads wait on it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::instant::Instant;
use crate::timer;

/// A moment on the clock of one cache: time since that clock's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// `duration` later than this; at most the end of time.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// `duration` earlier than this, if the clock had begun then.
    pub(crate) fn before(self, duration: Duration) -> Option<Self> {
        self.0.checked_sub(nanos(duration)).map(Self)
    }

    /// Whole milliseconds since the clock's beginning.
    pub(crate) fn millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Time since the clock's beginning.
    pub(crate) fn since_origin(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The time from `earlier` to this; zero when `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A future that ends after some time.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A source of monotonic time, replaced in tests.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Time since a beginning of this clock's own. Never decreases.
    fn now(&self) -> Duration;

    /// A future that ends once `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// The clock of one cache. Not a trait object in the usual case: every hit asks it.
#[derive(Clone, Debug)]
pub(crate) enum Time {
    System { origin: Instant, coarse: Coarse },
    Given(Arc<dyn Clock>),
}

/// How far the coarse clock may lag behind: entries this close to their end are checked on the exact clock.
///
/// A tick is 1 to 10 ms; a virtual processor that lost its turn may see a tick late.
const LAG_NANOS: u64 = 50_000_000;

impl Time {
    pub(crate) fn system() -> Self {
        Self::System { origin: Instant::now(), coarse: Coarse::start() }
    }

    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::System { origin, .. } => Moment(nanos(origin.elapsed())),
            Self::Given(clock) => Moment(nanos(clock.now())),
        }
    }

    /// Whether the deadline, in milliseconds since the clock's beginning, has not come yet.
    #[inline(always)]
    pub(crate) fn is_before_millis(&self, deadline: u64) -> bool {
        self.is_before(Moment(deadline.saturating_mul(1_000_000)))
    }

    #[inline(always)]
    fn is_before(&self, deadline: Moment) -> bool {
        match self {
            Self::System { coarse, .. } => {
                coarse.since_start().saturating_add(LAG_NANOS) < deadline.0 || self.now() < deadline
            }
            Self::Given(_) => self.now() < deadline,
        }
    }

    /// A future that ends once `duration` has passed.
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        match self {
            Self::System { .. } => Box::pin(timer::sleep(duration)),
            Self::Given(clock) => clock.sleep(duration),
        }
    }
}

/// The kernel's coarse monotonic clock: 7 ns where the exact one takes 23. It may lag, never lead.
#[derive(Clone, Copy, Debug)]
#[cfg(target_os = "linux")]
pub(crate) struct Coarse {
    start: u64,
}

#[cfg(target_os = "linux")]
impl Coarse {
    fn start() -> Self {
        Self { start: Self::read() }
    }

    /// Not after the exact time.
    #[inline(always)]
    fn since_start(self) -> u64 {
        Self::read().saturating_sub(self.start)
    }

    #[inline(always)]
    fn read() -> u64 {
        #[cfg(feature = "simulation")]
        if let Some(now) = crate::world::now() {
            return nanos(now);
        }
        let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        time.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec.cast_unsigned())
    }
}

/// No coarse clock here: every check asks the exact one.
#[derive(Clone, Copy, Debug)]
#[cfg(not(target_os = "linux"))]
pub(crate) struct Coarse;

#[cfg(not(target_os = "linux"))]
impl Coarse {
    fn start() -> Self {
        Self
    }

    /// The end of time: never before a deadline, so that the exact clock is asked.
    #[inline(always)]
    fn since_start(self) -> u64 {
        u64::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_exact_although_the_clock_is_coarse() {
        let time = Time::system();
        let soon = time.now().after(Duration::from_micros(200));
        while time.now() < soon {}
        assert!(!time.is_before(soon));
        assert!(time.is_before(time.now().after(Duration::from_secs(5))));
    }

    #[test]
    fn the_end_of_time_is_later_than_now() {
        let time = Time::system();
        assert!(time.is_before(time.now().after(Duration::MAX)));
    }
}
