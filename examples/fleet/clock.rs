//! One clock for all processes of this machine: what one of them notes, another can compare.

use std::time::Duration;

/// The time since some moment that is the same for all processes.
#[cfg(unix)]
pub(crate) fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(time).expect("the monotonic clock does not show negative times")
}

/// The time since some moment that is the same for all processes.
#[cfg(not(unix))]
pub(crate) fn now() -> Duration {
    std::time::SystemTime::UNIX_EPOCH.elapsed().expect("it is after 1970")
}
