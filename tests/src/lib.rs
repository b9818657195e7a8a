//! What the tests of this workspace share: caches of their own, a source that tests stop and release step by step, real
//! servers and processes, and a network that fails on demand.

pub mod eventually;

#[cfg(unix)]
pub mod certificates;
#[cfg(all(unix, feature = "harness"))]
pub mod chaos;
#[cfg(all(unix, feature = "harness"))]
pub mod cluster;
#[cfg(all(unix, feature = "harness"))]
pub mod fleet;
#[cfg(unix)]
pub mod on_redis;
#[cfg(unix)]
pub mod process;
#[cfg(unix)]
pub mod redis_server;
#[cfg(unix)]
pub mod scratch;
#[cfg(all(unix, feature = "harness"))]
pub mod sentinels;
#[cfg(all(unix, feature = "harness"))]
pub mod stress;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(feature = "harness")]
use cache_runtime::testing::Rule;
use cache_runtime::{Builder, Cache};
use tokio::sync::Semaphore;

#[cfg(all(unix, feature = "harness"))]
pub use cache_runtime::testing::{fault_proxy, port as ports};
#[cfg(feature = "harness")]
pub use cache_runtime::testing::{history, resp};
pub use eventually::{eventually, eventually_ok};
pub use resp::Reply;

#[cfg(all(unix, feature = "harness"))]
pub use cluster::Cluster;
#[cfg(all(unix, feature = "harness"))]
pub use fault_proxy::{Fault, FaultProxy};
#[cfg(all(unix, feature = "harness"))]
pub use fleet::Fleet;
#[cfg(unix)]
pub use redis_server::RedisServer;
#[cfg(all(unix, feature = "harness"))]
pub use sentinels::Sentinels;

/// The runtime's own, which is not there in what ships.
#[cfg(all(unix, not(feature = "harness")))]
#[path = "../../cache-runtime/src/testing/port.rs"]
pub mod ports;
/// The runtime's own, which is not there in what ships.
#[cfg(not(feature = "harness"))]
#[path = "../../cache-runtime/src/testing/resp.rs"]
pub mod resp;

/// A cache for one test.
///
/// # Panics
///
/// If the annotated functions of the test contradict each other.
pub async fn cache() -> Cache {
    build(Cache::builder("test")).await
}

/// A cache for one test, with some rules of the protocol taken away.
///
/// # Panics
///
/// If the annotated functions of the test contradict each other.
#[cfg(feature = "harness")]
pub async fn cache_without(rules: &[Rule]) -> Cache {
    build(rules.iter().fold(Cache::builder("test"), |builder, rule| builder.without_rule(*rule))).await
}

async fn build(builder: Builder) -> Cache {
    builder.build().await.expect("the functions of this test do not contradict each other")
}

/// A source of truth that reads its version first and answers when the gate lets it.
#[derive(Debug)]
pub struct Gate {
    version: AtomicU64,
    loads: AtomicU64,
    permits: Semaphore,
}

/// As good as infinitely many.
const OPEN: usize = 1 << 30;

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// Version 0; the gate is open.
    #[must_use]
    pub fn new() -> Self {
        Self { version: AtomicU64::new(0), loads: AtomicU64::new(0), permits: Semaphore::new(OPEN) }
    }

    /// Loads that begin from here on read the source, and then wait.
    pub fn close(&self) {
        self.permits.forget_permits(OPEN);
    }

    /// Lets all loads through.
    pub fn open(&self) {
        self.permits.add_permits(OPEN);
    }

    /// Lets as many loads through.
    pub fn let_through(&self, loads: usize) {
        self.permits.add_permits(loads);
    }

    /// Writes the next version.
    pub fn commit(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    /// How many loads have read the source.
    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }

    /// The body of a cached function.
    ///
    /// # Panics
    ///
    /// Never: the gate is not destroyed.
    pub async fn load(&self) -> u64 {
        let version = self.version.load(Ordering::SeqCst);
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.expect("the gate is never destroyed").forget();
        version
    }

    /// Polls `call` until it has begun a load of its own.
    ///
    /// # Panics
    ///
    /// If the call ends although the gate is closed.
    pub async fn wait_for_load<F: Future + ?Sized>(&self, call: &mut Pin<Box<F>>) {
        let before = self.loads();
        while self.loads() == before {
            assert!(futures::poll!(call.as_mut()).is_pending(), "the gate is closed");
            tokio::task::yield_now().await;
        }
    }
}
