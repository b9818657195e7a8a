//! The same search over the caches that are commonly used, and those that are commonly written by hand: it finds what they
//! keep too long.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

use cache_runtime::testing::{Coherence, Incoherence, RedisServer, assert_coherent};
use cache_tests::Reply;
use futures::FutureExt as _;
use moka::future::Cache as Moka;
use tokio::task::yield_now;

/// Runs of each search.
const RUNS: u64 = 6;

type Table = Mutex<BTreeMap<u64, u64>>;

fn get(table: &Table, key: u64) -> Option<u64> {
    table.lock().expect("nobody panics with it").get(&key).copied()
}

/// A load takes its time, before and after it reads.
async fn load(source: &Table, key: u64) -> u64 {
    yield_now().await;
    let version = get(source, key).unwrap_or_default();
    for _ in 0..fastrand::u8(..4) {
        yield_now().await;
    }
    version
}

async fn commit(source: &Table, key: u64, version: u64) {
    yield_now().await;
    source.lock().expect("nobody panics with it").insert(key, version);
}

/// `moka` as its documentation says: `get_with` to read, `invalidate` behind the commit.
async fn moka_get_with(seed: u64) -> Result<(), Incoherence> {
    let (source, kept) = (Table::default(), Moka::new(1_000));
    let read = async |key| kept.get_with(key, load(&source, key)).await;
    let write = async |key, version| {
        commit(&source, key, version).await;
        kept.invalidate(&key).await;
    };
    Coherence::new().seed(seed).check(read, write).await.map(drop)
}

/// The same with `try_get_with`.
async fn moka_try_get_with(seed: u64) -> Result<(), Incoherence> {
    let (source, kept) = (Table::default(), Moka::new(1_000));
    let read = async |key| {
        let loaded = kept.try_get_with(key, async { Ok::<_, Infallible>(load(&source, key).await) }).await;
        loaded.expect("no load fails")
    };
    let write = async |key, version| {
        commit(&source, key, version).await;
        kept.invalidate(&key).await;
    };
    Coherence::new().seed(seed).check(read, write).await.map(drop)
}

/// One load for each key, kept whatever happens meanwhile, written by hand.
async fn get_with(seed: u64) -> Result<(), Incoherence> {
    let (source, kept) = (Table::default(), Table::default());
    let loading = tokio::sync::Mutex::new(());
    let read = async |key| {
        if let Some(version) = get(&kept, key) {
            return version;
        }
        let _alone = loading.lock().await;
        if let Some(version) = get(&kept, key) {
            return version;
        }
        let version = load(&source, key).await;
        kept.lock().expect("nobody panics with it").insert(key, version);
        version
    };
    let write = async |key, version| {
        commit(&source, key, version).await;
        kept.lock().expect("nobody panics with it").remove(&key);
    };
    Coherence::new().seed(seed).check(read, write).await.map(drop)
}

/// A lock in a key of its own, `SET .. NX`, then `SET` and `DEL`: one load for each key, in all processes.
async fn set_nx(server: &RedisServer, seed: u64) -> Result<(), Incoherence> {
    let source = Table::default();
    let ask = |words: &[&str]| server.call(words).expect("the server is there");
    ask(&["FLUSHALL"]);
    let read = async |key: u64| {
        let (entry, lock) = (format!("entry:{key}"), format!("lock:{key}"));
        loop {
            if let Reply::Bytes(version) = ask(&["GET", &entry]) {
                return String::from_utf8_lossy(&version).parse().expect("a version");
            }
            if matches!(ask(&["SET", &lock, "1", "NX", "PX", "10000"]), Reply::Nil) {
                yield_now().await;
                continue;
            }
            let version = load(&source, key).await;
            ask(&["SET", &entry, &version.to_string(), "PX", "60000"]);
            ask(&["DEL", &lock]);
            return version;
        }
    };
    let write = async |key: u64, version| {
        commit(&source, key, version).await;
        ask(&["DEL", &format!("entry:{key}")]);
    };
    Coherence::new().seed(seed).operations(4_000).check(read, write).await.map(drop)
}

#[tokio::test]
async fn moka_is_found_out() {
    for seed in 0..RUNS {
        moka_get_with(seed).await.expect_err("a load that was overtaken is kept");
        moka_try_get_with(seed).await.expect_err("a load that was overtaken is kept");
    }
}

/// What a service's own test would say of it.
#[tokio::test]
async fn moka_is_not_coherent() {
    let (source, kept) = (Table::default(), Moka::new(1_000));
    let read = async |key| kept.get_with(key, load(&source, key)).await;
    let write = async |key, version| {
        commit(&source, key, version).await;
        kept.invalidate(&key).await;
    };
    let asserted = AssertUnwindSafe(assert_coherent(read, write)).catch_unwind().await;
    let panic = asserted.expect_err("a load that was overtaken is kept");
    let said = panic.downcast_ref::<String>().expect("it is a text");
    assert!(said.contains("version"), "{said}");
}

/// It does not find what is not there.
#[tokio::test]
async fn without_a_cache_nothing_is_found() {
    for seed in 0..RUNS {
        let source = Table::default();
        let read = async |key| load(&source, key).await;
        let write = async |key, version| commit(&source, key, version).await;
        Coherence::new().seed(seed).operations(10_000).check(read, write).await.map(drop).expect("everybody loads");
    }
}

#[tokio::test]
async fn a_map_with_one_load_for_each_key_is_found_out() {
    for seed in 0..RUNS {
        get_with(seed).await.expect_err("a load that was overtaken is kept");
    }
}

#[tokio::test]
async fn a_lock_beside_the_entry_is_found_out() {
    let server = RedisServer::start().expect("it is installed");
    for seed in 0..RUNS {
        set_nx(&server, seed).await.expect_err("a load that was overtaken is kept");
    }
}
