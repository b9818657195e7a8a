//! How long an invalidation takes: for its publisher, and until the last of eight processes has dropped the value.

use std::time::Duration;

use cache_runtime::{Cache, Delivery, Event, Outcome, cached, explain};
use harness::children::{Child, say, serve};
use harness::stage::Stage;
use harness::statistics::percentile;
use harness::work::body;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::children::command;
use super::contenders::ours;
use super::turns::Extent;
use crate::report::progress;
use crate::table::Table;
use crate::workload::{LoadError, User};

const PROCESSES: usize = 8;
/// The one user that everybody has.
const USER: (u64, u64) = (7, 2_000_000);
/// How long all processes together may take.
const PATIENCE: Duration = Duration::from_secs(5);

const HEAD: &[&str] = &["what", "until", "p50, us", "p99, us", "worst, us"];

#[derive(Event, Serialize, Deserialize)]
struct UserChanged {
    tenant: u64,
    id: u64,
}

#[cached(ttl = "30m", key = "watched:<tenant>:<id>", invalidate_on = "UserChanged")]
async fn watched(tenant: u64, id: u64) -> Result<User, LoadError> {
    body(tenant, id).await
}

/// How an event is published.
#[derive(Clone, Copy)]
enum Way {
    Plain,
    Everywhere,
}

/// What one event took, in nanoseconds.
struct Took {
    publisher: u32,
    last: u32,
}

/// A table of both ways to publish.
pub(super) fn measure(stage: &Stage, extent: Extent) -> Table {
    let cache = stage.runtime.block_on(ours::cache(ours::builder(stage)));
    let start = |_| Child::start(&mut command(&["listen", stage.server.url()]));
    let mut children: Vec<Child> = (0..PROCESSES).map(start).collect();
    children.iter_mut().for_each(Child::ready);
    // The first of a process waits for what may be in force from before its start.
    one(stage, &cache, &mut children, Way::Everywhere);
    let mut table = Table::new(HEAD);
    for (way, name) in [(Way::Plain, "`publish`"), (Way::Everywhere, "`publish(..).everywhere(..)`")] {
        progress(&format!("{} events with {name}, {PROCESSES} processes", extent.events));
        let took: Vec<Took> = (0..extent.events).map(|_| one(stage, &cache, &mut children, way)).collect();
        table.row(row(name, "it returns", took.iter().map(|took| took.publisher).collect()));
        let last = "the last of 8 processes has dropped the value";
        table.row(row(name, last, took.iter().map(|took| took.last).collect()));
    }
    table
}

fn row(name: &str, until: &str, mut times: Vec<u32>) -> Vec<String> {
    times.sort_unstable();
    let percentiles = [50, 99, 100].map(|percent| format!("{:.0}", percentile(&times, percent)));
    [name.to_owned(), until.to_owned()].into_iter().chain(percentiles).collect()
}

/// Everybody has the value in process; it is invalidated; everybody says when it was gone.
fn one(stage: &Stage, cache: &Cache, children: &mut [Child], way: Way) -> Took {
    for child in children.iter_mut() {
        child.tell("keep");
    }
    for child in children.iter_mut() {
        child.expect("kept");
    }
    let (tenant, id) = USER;
    let event = UserChanged { tenant, id };
    let begun = now();
    let publish = match way {
        Way::Plain => cache.publish(&event),
        Way::Everywhere => cache.publish(&event).everywhere(PATIENCE),
    };
    let receipt = stage.runtime.block_on(async { publish.await }).expect("the server is there");
    let returned = now();
    assert_eq!(receipt.delivery(), Delivery::Applied, "the server is there");
    let dropped = children.iter_mut().map(|child| child.hear().parse::<u64>().expect("a time"));
    let last = dropped.max().expect("there are children");
    Took { publisher: since(returned, begun), last: since(last, begun) }
}

/// A child: for each line it keeps the value in process, and when that was invalidated, says at which moment.
pub(super) fn child(url: &str) {
    let stage = Stage::at(url);
    let cache = stage.runtime.block_on(ours::cache(ours::builder(&stage)));
    let mut events = cache.subscribe::<UserChanged>();
    serve(|_| {
        stage.runtime.block_on(cache.scope(async {
            while outcome().await != Outcome::HitL1 {}
            say("kept");
            events.recv().await.expect("the cache is there");
            // Subscribers are told after the value was fenced.
            let dropped = now();
            assert_ne!(outcome().await, Outcome::HitL1, "the old value is still served");
            dropped.to_string()
        }))
    });
}

/// Where one more call finds the value.
async fn outcome() -> Outcome {
    let (tenant, id) = USER;
    let (user, lookups) = explain(watched(tenant, id)).await;
    user.expect("a load never fails");
    lookups.first().expect("it is a cached function").outcome()
}

/// In nanoseconds, on a clock that all processes of a machine read alike.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let part = |part| u64::try_from(part).expect("a clock that began at 0");
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

fn since(end: u64, begin: u64) -> u32 {
    u32::try_from(end.saturating_sub(begin)).unwrap_or(u32::MAX)
}
