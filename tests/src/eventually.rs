//! Waiting for what will be true soon: without a guess how soon, and with a message when it is not.

use std::convert::identity;
use std::fmt::Display;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long nothing is asked after a no.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `condition` is true. On tokio's clock: under a paused one it takes no time, and nothing outside of the process
/// happens meanwhile.
///
/// # Panics
///
/// If it is not true `within` that time; the message names the line that waited.
#[track_caller]
pub fn eventually(within: Duration, condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let place = Location::caller();
    async move {
        let mut condition = condition;
        let attempt = async || if condition().await { Ok(()) } else { Err("it is not true") };
        wait(place, within, attempt).await;
    }
}

/// Waits until `attempt` succeeds, and returns what it found.
///
/// # Panics
///
/// If it does not succeed `within` that time; the message has the last error and the line that waited.
#[track_caller]
pub fn eventually_ok<T, E: Display>(
    within: Duration,
    attempt: impl AsyncFnMut() -> Result<T, E>,
) -> impl Future<Output = T> {
    wait(Location::caller(), within, attempt)
}

async fn wait<T, E: Display>(
    place: &Location<'_>,
    within: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let begun = Instant::now();
    for attempts in 1_u32.. {
        let error = match attempt().await {
            Ok(found) => return found,
            Err(error) => error,
        };
        assert!(begun.elapsed() < within, "{place}: after {within:?} and {attempts} attempts: {error}");
        // tidy: sleep because what happens in other processes does not wake this one
        sleep(PAUSE).await;
    }
    unreachable!("{place}: more attempts than fit into any time")
}

/// The same for threads without a runtime: asks every millisecond.
pub(crate) fn eventually_some<T>(within: Duration, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = std::time::Instant::now();
    std::iter::repeat_with(|| {
        let found = attempt();
        if found.is_none() {
            // tidy: sleep because what happens in other processes does not wake this one
            std::thread::sleep(Duration::from_millis(1));
        }
        found
    })
    .take_while(|found| found.is_some() || begun.elapsed() < within)
    .find_map(identity)
}
