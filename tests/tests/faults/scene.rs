//! What the tests are made of: a server, a proxy before it, two processes, and calls that are timed.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Builder, Cache, Delivery, Lookup, Metric, Outcome, Receipt, explain};
use cache_tests::Gate;
use cache_tests::eventually::eventually;
use cache_tests::fault_proxy::FaultProxy;
use cache_tests::on_redis::process_with;
use cache_tests::redis_server::{RedisOptions, RedisServer};
use tokio::task::JoinHandle;

use crate::log::{GAP, Log};
use crate::{Changed, item, strict};

/// The most that the second tier may add to a call.
pub(crate) const OP_TIMEOUT: Duration = Duration::from_millis(200);

/// The same on a machine that has other things to do: figures are measured apart.
pub(crate) const MOST: Duration = Duration::from_millis(1_200);

/// After this a process that hears nothing does not serve from its own tier.
pub(crate) const MAX_STALENESS: Duration = Duration::from_millis(900);

/// How long anything may take that happens by itself.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// How often a caller calls.
const PACE: Duration = Duration::from_millis(1);

/// A server, and a proxy before it.
pub(crate) struct Scene {
    pub(crate) server: RedisServer,
    pub(crate) proxy: FaultProxy,
    pub(crate) source: Arc<Gate>,
}

impl Scene {
    pub(crate) fn start() -> Self {
        Self::with(RedisServer::options())
    }

    pub(crate) fn with(options: RedisOptions) -> Self {
        let server = options.start();
        let proxy = FaultProxy::start(server.address()).expect("a port is free");
        Self { server, proxy, source: Arc::new(Gate::new()) }
    }

    /// A process beside the proxy.
    pub(crate) async fn near(&self) -> Cache {
        process_with(&self.server.url(), usual).await
    }

    /// A process behind the proxy.
    pub(crate) async fn distant(&self) -> Cache {
        process_with(&self.server.url_at(self.proxy.port()), usual).await
    }

    /// Two processes, of which the first is behind the proxy, and both know item 1.
    pub(crate) async fn two(&self) -> (Cache, Cache) {
        let (a, b) = (self.distant().await, self.near().await);
        for cache in [&a, &b] {
            assert_eq!(cache.scope(item(1, &self.source)).await, (1, 0));
            assert_eq!(cache.scope(strict(1, &self.source)).await, (1, 0));
        }
        (a, b)
    }

    /// The answer for item 1, and where it came from. It is the version that the source had before, or a later one.
    pub(crate) async fn call(&self, cache: &Cache) -> (u64, Outcome) {
        let ((id, version), lookup) = timed(cache, MOST, item(1, &self.source)).await;
        assert_eq!(id, 1);
        (version, lookup.outcome())
    }

    /// The same without the in-process tier.
    pub(crate) async fn call_strict(&self, cache: &Cache) -> (u64, Outcome) {
        let ((id, version), lookup) = timed(cache, MOST, strict(1, &self.source)).await;
        assert_eq!(id, 1);
        (version, lookup.outcome())
    }

    /// Changes the source, and says so. It waits for the server; this process knows it at once.
    pub(crate) async fn change_while_away(&self, cache: &Cache) -> u64 {
        let version = self.change(cache, Delivery::Queued).await;
        assert!(cache.health().queued() > 0);
        assert_eq!(self.call(cache).await.0, version, "the process that published it knows");
        assert_eq!(self.call_strict(cache).await.0, version, "the process that published it knows");
        version
    }

    /// Changes the source, and says so. The version that it has now.
    pub(crate) async fn change(&self, cache: &Cache, delivery: Delivery) -> u64 {
        let version = self.commit().await;
        let began = Instant::now();
        let receipt = publish(cache, 1).await;
        // Each of its steps has the time of an operation.
        assert!(began.elapsed() < 2 * MOST, "{:?}", began.elapsed());
        assert_eq!(receipt.delivery(), delivery);
        assert_eq!(receipt.token().is_some(), delivery == Delivery::Applied);
        version
    }

    /// The next version of the source.
    pub(crate) async fn commit(&self) -> u64 {
        self.source.commit();
        self.source.load().await
    }

    /// All is as before, and everybody reads this version, from both tiers.
    pub(crate) async fn ends_well(&self, caches: &[&Cache], version: u64) {
        for cache in caches {
            recovered(cache).await;
            eventually(SOON, async || self.call(cache).await.0 == version).await;
            eventually(SOON, async || self.call(cache).await.1 == Outcome::HitL1).await;
            // Of many callers at once, one reads for all.
            let hits = [(version, Outcome::HitL2), (version, Outcome::Joined)];
            eventually(SOON, async || hits.contains(&self.call_strict(cache).await)).await;
        }
        for cache in caches {
            for _ in 0..20 {
                assert_eq!(self.call(cache).await.0, version);
                assert_eq!(self.call_strict(cache).await.0, version);
            }
        }
    }
}

/// The settings of every process here.
pub(crate) fn usual(builder: Builder) -> Builder {
    builder.op_timeout(OP_TIMEOUT).max_staleness(MAX_STALENESS)
}

pub(crate) async fn publish(cache: &Cache, id: u64) -> Receipt {
    cache.publish(&Changed { id }).await.expect("the event is JSON")
}

/// A call's answer, which may not take longer than this.
pub(crate) async fn timed<T>(cache: &Cache, most: Duration, call: impl Future<Output = T>) -> (T, Lookup) {
    let began = Instant::now();
    let (value, mut lookups) = cache.scope(explain(call)).await;
    assert!(began.elapsed() < most, "{:?}: {lookups:?}", began.elapsed());
    (value, lookups.remove(0))
}

/// What was counted for a function.
pub(crate) fn counted(cache: &Cache, function: &str, metric: Metric) -> u64 {
    cache.stats().iter().find(|stats| stats.name() == function).map_or(0, |stats| stats.count(metric))
}

/// What the second tier did not do, of all functions.
pub(crate) fn faults(cache: &Cache) -> u64 {
    cache.stats().iter().map(|stats| stats.count(Metric::FaultL2)).sum()
}

/// Each process has counted so many gaps, and said so as often.
#[track_caller]
pub(crate) fn gaps(log: &Log, caches: &[&Cache], each: u64) {
    let counted: Vec<_> = caches.iter().map(|cache| cache.health().gaps()).collect();
    assert!(counted.iter().all(|gaps| *gaps == each), "{counted:?}");
    let (said, counted) = (log.lines(GAP), counted.iter().sum::<u64>());
    assert_eq!(u64::try_from(said.len()), Ok(counted), "{said:#?}");
    assert!(said.iter().all(|line| line.level == "WARN"), "{said:#?}");
}

/// The second tier is there, nothing waits for it, and the in-process tier is in use.
pub(crate) async fn recovered(cache: &Cache) {
    eventually(SOON, async || {
        let health = cache.health();
        health.reaches_server() && health.serves_near() && health.queued() == 0
    })
    .await;
}

/// The server is known to be away.
pub(crate) async fn away(cache: &Cache) {
    eventually(SOON, async || !cache.health().reaches_server()).await;
}

/// The in-process tier is not in use.
pub(crate) async fn blind(cache: &Cache) {
    eventually(SOON, async || !cache.health().serves_near()).await;
}

/// Callers that ask one process all the time, until they are stopped.
pub(crate) struct Load {
    scene: Arc<Scene>,
    floor: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    callers: Vec<JoinHandle<u64>>,
}

impl Load {
    pub(crate) fn start(scene: &Arc<Scene>, cache: &Cache, callers: u64) -> Self {
        let (floor, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let caller = |number| {
            let (scene, cache) = (Arc::clone(scene), cache.clone());
            tokio::spawn(call_on(scene, cache, number, Arc::clone(&floor), Arc::clone(&is_over)))
        };
        let callers = (0..callers).map(caller).collect();
        Self { scene: Arc::clone(scene), floor, is_over, callers }
    }

    /// From here on, item 1 is this version or a later one.
    pub(crate) fn at_least(&self, version: u64) {
        self.floor.store(version, Ordering::SeqCst);
    }

    /// Ends them, and returns how many calls were answered.
    pub(crate) async fn stop(self) -> u64 {
        self.is_over.store(true, Ordering::SeqCst);
        let mut calls = 0;
        for caller in self.callers {
            calls += caller.await.expect("every call has the right answer, in time");
        }
        drop(self.scene);
        calls
    }
}

/// Item 1 is never older than what was published; the others are what they say.
async fn call_on(scene: Arc<Scene>, cache: Cache, number: u64, floor: Arc<AtomicU64>, is_over: Arc<AtomicBool>) -> u64 {
    let mut calls = 0;
    while !is_over.load(Ordering::SeqCst) {
        let least = floor.load(Ordering::SeqCst);
        assert!(scene.call(&cache).await.0 >= least);
        let least = floor.load(Ordering::SeqCst);
        assert!(scene.call_strict(&cache).await.0 >= least);
        let id = 2 + number * 1_000 + calls % 50;
        assert_eq!(timed(&cache, MOST, item(id, &scene.source)).await.0.0, id);
        calls += 3;
        // tidy: sleep because callers that are answered at once would leave no time for what happens beside them
        tokio::time::sleep(PACE).await;
    }
    calls
}
