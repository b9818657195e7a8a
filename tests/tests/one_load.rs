//! P7 across processes, where nothing goes wrong: however many call at the same time, in however many processes, a key is
//! loaded once after each invalidation. Not once more: every load has a lease, and no lease dies here.

#![cfg(unix)]
#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, Delivery, Event, cached};
use cache_tests::fleet::{Fleet, child};
use cache_tests::on_redis::process_with;
use cache_tests::redis_server::RedisServer;
use futures::future::join_all;
use serde::{Deserialize, Serialize};

const PROCESSES: usize = 4;
/// Calls at a time in each process.
const CALLS: u64 = 250;
/// Keys of each function.
const KEYS: u64 = 5;
const FUNCTIONS: u64 = 3;
const ROUNDS: u64 = 6;

/// What a busy machine never takes.
const LONG: Duration = Duration::from_secs(20);

#[derive(Event, Serialize, Deserialize)]
struct Changed {
    id: u64,
}

#[derive(Event, Serialize, Deserialize)]
struct GroupChanged {
    group: u64,
}

#[cached(ttl = "1h", key = "bounded:<id>", invalidate_on = "Changed")]
async fn bounded(id: u64, #[cache(skip)] round: u64) -> u64 {
    load(round).await
}

#[cached(ttl = "1h", key = "strict:<id>", l1 = off, invalidate_on = "Changed")]
async fn strict(id: u64, #[cache(skip)] round: &u64) -> u64 {
    load(*round).await
}

#[cached(ttl = "1h", key = "grouped:<group>:<id>", invalidate_on = "GroupChanged => grouped:<group>:*")]
async fn grouped(group: u64, id: u64, #[cache(skip)] round: u64) -> u64 {
    load(round).await
}

/// Loads of this process.
static LOADS: AtomicU64 = AtomicU64::new(0);

async fn load(round: u64) -> u64 {
    LOADS.fetch_add(1, Ordering::SeqCst);
    // tidy: sleep because a source takes its time, so that all others come meanwhile
    tokio::time::sleep(Duration::from_millis(20)).await;
    round
}

async fn call(number: u64, round: u64) -> u64 {
    let key = number / FUNCTIONS % KEYS;
    match number % FUNCTIONS {
        0 => bounded(key, round).await,
        1 => strict(key, &round).await,
        _ => grouped(1, key, round).await,
    }
}

/// All at once; returns how many of them were answered with something else than this round's value.
async fn call_all(cache: &Cache, round: u64) -> usize {
    let calls = (0..CALLS).map(|number| {
        let cache = cache.clone();
        tokio::spawn(async move { cache.scope(call(number, round)).await })
    });
    let answers = join_all(calls).await;
    answers.into_iter().filter(|answer| !matches!(answer, Ok(answered) if *answered == round)).count()
}

async fn change_all(cache: &Cache) {
    for id in 0..KEYS {
        let told = cache.publish(&Changed { id }).everywhere(LONG).await.expect("all of them hear of it");
        assert_eq!(told.delivery(), Delivery::Applied);
    }
    let told = cache.publish(&GroupChanged { group: 1 }).everywhere(LONG).await.expect("all of them hear of it");
    assert_eq!(told.delivery(), Delivery::Applied);
}

#[test]
fn a_process() {
    child(async |mut questions| {
        let url = std::env::var("ONE_LOAD_URL").expect("the parent gives it");
        // A command, a lease or a load that takes too long on a busy machine would be a load more.
        let cache = process_with(&url, |builder| builder.op_timeout(LONG).lease(LONG).load_timeout(3 * LONG)).await;
        while let Some(question) = questions.next().await {
            let answer = match *question.words() {
                ["change"] => {
                    change_all(&cache).await;
                    "changed".to_owned()
                }
                ["call", round] => call_all(&cache, round.parse().expect("a round is a number")).await.to_string(),
                ["loads"] => LOADS.load(Ordering::SeqCst).to_string(),
                ref other => panic!("nobody asks {other:?}"),
            };
            question.answer(&answer);
        }
    });
}

#[tokio::test]
async fn a_thousand_calls_in_four_processes_load_each_key_once_after_each_invalidation() {
    let server = RedisServer::start();
    let fleet = Fleet::start_with(PROCESSES, "a_process", &[("ONE_LOAD_URL", &server.url())]).await;
    let keys = KEYS * FUNCTIONS;
    for round in 1..=ROUNDS {
        let publisher = usize::try_from(round).expect("few rounds") % PROCESSES;
        assert_eq!(fleet[publisher].ask("change").await, "changed");
        assert_eq!(fleet.ask_all(&format!("call {round}")).await, ["0"; PROCESSES], "wrong answers in round {round}");
        let loads: Vec<u64> =
            fleet.ask_all("loads").await.iter().map(|loads| loads.parse().expect("a number")).collect();
        assert_eq!(loads.iter().sum::<u64>(), round * keys, "loads of the processes until round {round}: {loads:?}");
    }
}
