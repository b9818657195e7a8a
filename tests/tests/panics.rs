//! An output whose own code panics, because of the cache alone: the call answers as without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, Peek, cached};
use serde::{Deserialize, Serialize, Serializer};

use crate::log::Log;

#[path = "faults/log.rs"]
#[expect(dead_code, reason = "the tests of faults ask more of it")]
mod log;

/// Has no form from 10 on, and no copy from 20 on.
#[derive(Debug, PartialEq, Deserialize)]
struct Brittle(u64);

impl Serialize for Brittle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 < 10, "asked to");
        serializer.serialize_u64(self.0)
    }
}

impl Clone for Brittle {
    fn clone(&self) -> Self {
        assert!(self.0 < 20, "asked to");
        Self(self.0)
    }
}

#[cached(ttl = "1m", key = "brittle:<id>")]
async fn brittle(id: u64) -> Brittle {
    Brittle(id)
}

#[cached(ttl = "1m", key = "slow:<id>")]
async fn slow(id: u64, #[cache(skip)] loads: Arc<AtomicU64>) -> Brittle {
    tokio::task::yield_now().await;
    loads.fetch_add(1, Ordering::SeqCst);
    Brittle(id)
}

/// In its caller's task.
#[cached(ttl = "1m", key = "borrowed:<id>")]
async fn borrowed(id: u64, #[cache(skip)] by: &u64) -> Result<Brittle, String> {
    Ok(Brittle(id + by))
}

#[cached(ttl = "1m", key = "chosen:<id>", store_if = |value: &u64| { assert_ne!(*value, 7, "asked to"); true })]
async fn chosen(id: u64) -> u64 {
    id
}

#[cached(ttl = "1m", key = "told:<id>")]
async fn told(id: u64) -> Brittle {
    Brittle(id)
}

async fn embedded() -> Cache {
    Cache::builder("test").build().await.expect("nothing contradicts")
}

#[tokio::test]
async fn a_value_whose_serialize_panics_is_returned_and_not_kept() {
    embedded()
        .await
        .scope(async {
            assert_eq!((brittle(1).await, borrowed(1, &1).await), (Brittle(1), Ok(Brittle(2))));
            assert_eq!(brittle_entry(1).peek().await.expect("embedded").map(Peek::into_value), Some(Brittle(1)));
            for id in [10, 20] {
                assert_eq!((brittle(id).await, borrowed(id, &1).await), (Brittle(id), Ok(Brittle(id + 1))));
                assert!(brittle_entry(id).peek().await.expect("embedded").is_none());
                assert_eq!(brittle(id).await, Brittle(id));
            }
        })
        .await;
}

/// One load for all who can be given a copy; where there is none, each looks by itself.
#[tokio::test]
async fn so_is_it_to_those_who_wait() {
    embedded()
        .await
        .scope(async {
            for id in [11, 21] {
                let loads = Arc::new(AtomicU64::new(0));
                let answers = futures::future::join_all((0..5).map(|_| slow(id, Arc::clone(&loads))));
                let answers = tokio::time::timeout(Duration::from_secs(10), answers).await.expect("nobody hangs");
                assert_eq!(answers, [id; 5].map(Brittle));
                assert_eq!(loads.load(Ordering::SeqCst) == 1, id == 11);
            }
        })
        .await;
}

#[tokio::test]
async fn so_is_one_that_store_if_panics_of() {
    embedded()
        .await
        .scope(async {
            assert_eq!((chosen(7).await, chosen(8).await, chosen(7).await), (7, 8, 7));
            assert!(chosen_entry(7).peek().await.expect("embedded").is_none());
            assert!(chosen_entry(8).peek().await.expect("embedded").is_some());
        })
        .await;
}

#[tokio::test]
async fn each_function_tells_once() {
    let (log, _listens) = Log::start();
    let cache = embedded().await;
    for id in [14, 15, 24, 16] {
        assert_eq!(cache.scope(told(id)).await, Brittle(id));
    }
    let lines = log.lines("the `Serialize` or `Clone` of an output, or `store_if`, panicked");
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.level == "ERROR" && line.fields[0].1.contains("`told`"), "{line:?}");
}

#[tokio::test]
async fn one_that_is_put_only_invalidates() {
    embedded()
        .await
        .scope(async {
            let entry = brittle_entry(5);
            assert_eq!(brittle(5).await, Brittle(5));
            entry.put(Brittle(12)).await.expect("embedded");
            assert!(entry.peek().await.expect("embedded").is_none());
        })
        .await;
}
