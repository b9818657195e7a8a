//! The same search over the caches that are commonly written by hand: it finds what they keep too long.

use std::collections::BTreeMap;
use std::sync::Mutex;

use cache_runtime::testing::{Coherence, Incoherence, RedisServer};
use cache_tests::Reply;
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

/// What `moka`'s `get_with` and its like promise: one load for each key, kept whatever happens meanwhile.
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
