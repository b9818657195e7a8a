//! The search finds each mistake, every time, and says which it is; and it finds nothing where there is none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cache_runtime::testing::coherence::Mistake;
use cache_runtime::testing::{Coherence, Incoherence, Rule, assert_coherent};
use cache_runtime::{Cache, Event, cached, emits};
use serde::{Deserialize, Serialize};
use tokio::task::yield_now;

/// Runs of each search.
const RUNS: u64 = 20;

/// Runs in which a load ended, and another began and was kept, before somebody who had joined the first was answered.
const JOINED: [u64; 3] = [18_215_613_012_226_242_433, 5_889_787_847_785_732_739, 40_480_539_025_788_223];

// A service.

/// Its source: what the caches of one test load.
#[derive(Debug, Default)]
struct Source(Mutex<BTreeMap<u64, u64>>);

impl Source {
    fn version(&self, id: u64) -> u64 {
        self.0.lock().expect("nobody panics with it").get(&id).copied().unwrap_or_default()
    }

    /// A database takes its time.
    async fn commit(&self, id: u64, version: u64) {
        yield_now().await;
        self.0.lock().expect("nobody panics with it").insert(id, version);
    }
}

#[derive(Event, Serialize, Deserialize)]
struct Changed {
    tenant: u64,
    id: u64,
}

#[derive(Event, Serialize, Deserialize)]
struct AllChanged {
    tenant: u64,
}

#[cached(
    ttl = "1h",
    key = "item:<tenant>:<id>",
    invalidate_on = ["Changed", "AllChanged => item:<tenant>:*"]
)]
async fn item(tenant: u64, id: u64, #[cache(skip)] source: &Source) -> u64 {
    let _ = tenant;
    source.version(id)
}

#[cached(ttl = "1h", key = "strict:<id>", l1 = off, invalidate_on = "Changed")]
async fn strict(id: u64, #[cache(skip)] source: &Source) -> u64 {
    source.version(id)
}

#[cached(ttl = "1h", key = "shelf:<id>", invalidate_on = "Changed")]
async fn shelf(id: u64, #[cache(skip)] place: u64, #[cache(skip)] source: &Source) -> u64 {
    source.version(id * 2 + place)
}

#[emits(Changed { tenant: 1, id })]
async fn change(id: u64, version: u64, source: &Source) -> Result<(), ()> {
    source.commit(id, version).await;
    Ok(())
}

async fn publish(event: &impl Event) {
    Cache::current().publish(event).await.expect("the event can be written down");
}

// Its ways to write.

async fn rightly(source: &Source, id: u64, version: u64) {
    change(id, version, source).await.expect("the source is there");
}

async fn group(source: &Source, id: u64, version: u64) {
    source.commit(id, version).await;
    publish(&AllChanged { tenant: 1 }).await;
}

async fn entry(source: &Source, id: u64, version: u64) {
    source.commit(id, version).await;
    item_entry(1, id).invalidate().await.expect("an invalidation never fails");
}

async fn put(source: &Source, id: u64, version: u64) {
    source.commit(id, version).await;
    item_entry(1, id).put(version).await.expect("a put never fails");
}

async fn event_first(source: &Source, id: u64, version: u64) {
    publish(&Changed { tenant: 1, id }).await;
    source.commit(id, version).await;
}

async fn entry_first(source: &Source, id: u64, version: u64) {
    item_entry(1, id).invalidate().await.expect("an invalidation never fails");
    source.commit(id, version).await;
}

async fn silently(source: &Source, id: u64, version: u64) {
    source.commit(id, version).await;
}

async fn of_another(source: &Source, id: u64, version: u64) {
    source.commit(id, version).await;
    publish(&Changed { tenant: 1, id: id + 100 }).await;
}

async fn of_another_tenant(source: &Source, id: u64, version: u64) {
    source.commit(id, version).await;
    publish(&AllChanged { tenant: 2 }).await;
}

// The searches.

async fn search(search: Coherence, write: impl AsyncFn(&Source, u64, u64)) -> Result<(), Incoherence> {
    let source = Source::default();
    let write = async |id, version| write(&source, id, version).await;
    search.check(async |id| item(1, id, &source).await, write).await.map(|summary| println!("{summary}"))
}

async fn finds_nothing(write: impl AsyncFn(&Source, u64, u64)) {
    for _ in 0..RUNS {
        search(Coherence::new().operations(4_000), &write).await.expect("it is right");
    }
}

async fn finds(write: impl AsyncFn(&Source, u64, u64), is_it: impl Fn(&Mistake) -> bool) -> String {
    let mut last = String::new();
    for _ in 0..RUNS {
        let found = search(Coherence::new(), &write).await.expect_err("it is wrong");
        assert!(is_it(found.mistake()), "{found}");
        last = found.to_string();
    }
    last
}

#[tokio::test]
async fn nothing_is_found_in_a_service_that_is_right() {
    finds_nothing(rightly).await;
}

#[tokio::test]
async fn nor_with_groups() {
    finds_nothing(group).await;
}

#[tokio::test]
async fn nor_with_entries() {
    finds_nothing(entry).await;
}

#[tokio::test]
async fn nor_with_puts() {
    finds_nothing(put).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_on_several_threads() {
    finds_nothing(rightly).await;
}

/// Writes in a task of its own, as services do that are not to be cancelled.
async fn search_spawned<W>(search: Coherence, write: impl Fn(Arc<Source>, u64, u64) -> W) -> Result<(), Incoherence>
where
    W: Future<Output = ()> + Send + 'static,
{
    let source = Arc::new(Source::default());
    let write = async |id, version| {
        let (cache, written) = (Cache::current(), write(Arc::clone(&source), id, version));
        let task = tokio::spawn(async move { cache.scope(written).await });
        task.await.expect("it does not panic");
    };
    search.check(async |id| item(1, id, &source).await, write).await.map(|summary| println!("{summary}"))
}

#[tokio::test]
async fn nor_with_writes_in_tasks_of_their_own() {
    for _ in 0..RUNS {
        let write = async |source: Arc<Source>, id, version| rightly(&source, id, version).await;
        search_spawned(Coherence::new().operations(4_000), write).await.expect("it is right");
    }
}

#[tokio::test]
async fn a_mistake_in_a_task_of_its_own_is_found() {
    for _ in 0..RUNS {
        let write = async |source: Arc<Source>, id, version| of_another(&source, id, version).await;
        let found = search_spawned(Coherence::new(), write).await.expect_err("it is wrong");
        assert!(matches!(found.mistake(), Mistake::AnnouncedOther { .. }), "{found}");
        assert!(found.to_string().contains("the write announces"), "{found}");
    }
}

#[tokio::test]
async fn an_event_before_the_commit_is_found() {
    let text = finds(event_first, |mistake| *mistake == Mistake::AnnouncedEarly).await;
    for part in [
        "although the write of version",
        "a read sees what its own process wrote before it",
        "`item:1:",
        "the write announces",
        "a load of `item:1:",
        "has its value",
        "is kept",
        "<-- wrong",
        "is the event published before the commit, or",
        "Coherence::new().seed(",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

#[tokio::test]
async fn an_invalidation_before_the_commit_is_found() {
    finds(entry_first, |mistake| *mistake == Mistake::AnnouncedEarly).await;
}

#[tokio::test]
async fn a_forgotten_event_is_found() {
    let text = finds(silently, |mistake| *mistake == Mistake::NotAnnounced).await;
    assert!(text.contains("no event or invalidation was announced for this key during the write"), "{text}");
}

#[tokio::test]
async fn an_event_of_another_key_is_found() {
    let text = finds(of_another, |mistake| matches!(mistake, Mistake::AnnouncedOther { .. })).await;
    assert!(text.contains("the write announced `item:1:10"), "{text}");
}

#[tokio::test]
async fn an_event_of_another_group_is_found() {
    let text = finds(of_another_tenant, |mistake| matches!(mistake, Mistake::AnnouncedOther { .. })).await;
    assert!(text.contains("the write announced `item:2:*`, but what was read is kept as `item:1:"), "{text}");
}

#[tokio::test]
async fn a_key_that_leaves_out_an_argument_is_found() {
    for _ in 0..RUNS {
        let source = Source::default();
        let read = async |key| shelf(key / 2, key % 2, &source).await;
        let write = async |key, version| {
            source.commit(key, version).await;
            publish(&Changed { tenant: 1, id: key / 2 }).await;
        };
        let found = Coherence::new().check(read, write).await.expect_err("two shelves are kept as one");
        assert!(matches!(found.mistake(), Mistake::SharedEntry { entry } if entry.starts_with("shelf:")), "{found}");
    }
}

#[tokio::test]
async fn a_source_that_lags_is_found() {
    let mut lags = 0;
    for _ in 0..RUNS {
        let (primary, replica) = (Source::default(), Source::default());
        let read = async |id| item(1, id, &replica).await;
        let write = async |id, version| {
            // What was written before arrives with the next write.
            replica.commit(id, primary.version(id).max(1)).await;
            primary.commit(id, version).await;
            publish(&Changed { tenant: 1, id }).await;
        };
        let found = Coherence::new().keys(1).check(read, write).await.expect_err("the replica lags");
        // A load between event and return may be the one or the other.
        assert!(matches!(found.mistake(), Mistake::SourceLags | Mistake::AnnouncedEarly), "{found}");
        lags += u32::from(*found.mistake() == Mistake::SourceLags);
    }
    assert!(lags > 0, "a load that begins after the write is no other mistake");
}

#[tokio::test]
async fn a_read_without_a_cached_function_is_found() {
    let source = Source::default();
    let read = async |id| {
        let version = source.version(id);
        yield_now().await;
        version.saturating_sub(version % 5).max(1)
    };
    let write = async |id, version| source.commit(id, version).await;
    let found = Coherence::new().keys(1).check(read, write).await.expect_err("it is older than what was written");
    assert_eq!(*found.mistake(), Mistake::NotCached, "{found}");
}

#[tokio::test]
#[should_panic(expected = "is an event forgotten?")]
async fn an_assertion_panics_with_the_explanation() {
    let source = Source::default();
    let write = async |id, version| source.commit(id, version).await;
    assert_coherent(async |id| item(1, id, &source).await, write).await;
}

#[tokio::test]
#[should_panic(expected = "a search in one process has no second tier")]
async fn a_second_tier_in_one_process_is_refused() {
    let server = cache_runtime::testing::RedisServer::start().expect("there is a redis-server");
    let url = server.url();
    let _ = search(Coherence::new().builder(move |builder| builder.redis(&url)), rightly).await;
}

#[tokio::test]
async fn a_seed_repeats_what_was_found() {
    let found = search(Coherence::new(), event_first).await.expect_err("it is wrong");
    let again = search(Coherence::new().seed(found.seed()), event_first).await.expect_err("it is as wrong");
    let first_line = |found: &Incoherence| found.to_string().split(" had returned").next().map(str::to_owned);
    assert_eq!(first_line(&found), first_line(&again));
}

/// Who joins a load that was overtaken is answered by it, though a later one is kept by then: the source is not blamed.
#[tokio::test]
async fn the_load_that_was_joined_is_told_from_a_later_one() {
    for seed in JOINED {
        let search_of = Coherence::new().seed(seed).builder(|builder| builder.without_rule(Rule::Detach));
        let found = search(search_of, rightly).await.expect_err("it keeps what was overtaken");
        assert_eq!(*found.mistake(), Mistake::Cache, "{found}");
    }
}

/// A cache that breaks its rules is found too, and nobody else is blamed.
#[tokio::test]
async fn a_cache_without_its_rules_is_found() {
    for rules in [&[Rule::Detach, Rule::Fence][..], &[Rule::Detach]] {
        let rules = rules.to_vec();
        let set = move |builder| {
            rules.iter().fold(builder, |builder: cache_runtime::Builder, rule| builder.without_rule(*rule))
        };
        let found = search(Coherence::new().builder(set), rightly).await.expect_err("it keeps what was overtaken");
        println!("{found}");
        assert_eq!(*found.mistake(), Mistake::Cache, "{found}");
    }
}

// Over a server.

#[tokio::test]
async fn nothing_is_found_in_a_fleet() {
    search(Coherence::new().fleet(3), rightly).await.expect("it is right");
}

#[tokio::test]
async fn nothing_is_found_in_a_fleet_of_strict_functions() {
    let source = Source::default();
    let write = async |id, version| rightly(&source, id, version).await;
    let search = Coherence::new().fleet(2).strict().operations(4_000);
    search.check(async |id| strict(id, &source).await, write).await.expect("it is right");
}

/// While the server is away, its invalidations wait there: other processes cannot know them.
#[tokio::test]
async fn nothing_is_found_in_a_fleet_that_writes_in_tasks_of_its_own() {
    for seed in 0..3 {
        let write = async |source: Arc<Source>, id, version| rightly(&source, id, version).await;
        search_spawned(Coherence::new().fleet(3).seed(seed), write).await.expect("it is right");
    }
}

#[tokio::test]
async fn mistakes_are_found_in_a_fleet() {
    for _ in 0..3 {
        let found = search(Coherence::new().fleet(2), event_first).await.expect_err("it is wrong");
        assert_eq!(*found.mistake(), Mistake::AnnouncedEarly, "{found}");
        let found = search(Coherence::new().fleet(2), silently).await.expect_err("it is wrong");
        assert_eq!(*found.mistake(), Mistake::NotAnnounced, "{found}");
    }
}

/// What only several processes can show.
#[tokio::test]
async fn a_cache_without_its_rules_is_found_in_a_fleet() {
    let without =
        |rule| Coherence::new().fleet(3).operations(40_000).builder(move |builder| builder.without_rule(rule));
    search(without(Rule::FillToken), rightly).await.expect_err("a leader that was superseded fills");
    search(without(Rule::Stamps), group).await.expect_err("a stored value outlives its group");
    search(without(Rule::Fence), rightly).await.expect_err("what was overtaken is served");
}
