//! The races of caching between processes, one by one: each ends well, and ends badly without the rule that decides it.
//!
//! Caches in one process stand for processes: they share nothing but the server. Nothing is left to chance: loads wait at
//! a gate, replies are held by a proxy.

#![expect(unused_variables, reason = "keys are what tells these calls apart")]

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_runtime::testing::{ManualClock, Rule};
use cache_runtime::{Cache, Delivery, Event, Metric, Outcome, cached, explain};
use cache_tests::Gate;
use cache_tests::eventually::eventually;
use cache_tests::fault_proxy::{Fault, FaultProxy};
use cache_tests::on_redis::{entries, process, process_with, sees};
use cache_tests::redis_server::RedisServer;
use futures::FutureExt;
use futures::future::join_all;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Changed {
    id: u64,
}

#[derive(Event, Serialize, Deserialize)]
struct ShopClosed {
    shop: u64,
}

#[cached(ttl = "1m", key = "single:<id>", invalidate_on = "Changed")]
async fn single(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "strict:<id>", l1 = off, invalidate_on = "Changed")]
async fn strict(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "local:<id>", l2 = off, invalidate_on = "Changed")]
async fn local(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "item:<shop>:<id>", invalidate_on = "ShopClosed => item:<shop>:*")]
async fn item(shop: u64, id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "300ms", stale_while_revalidate = "1m", key = "refreshed:<id>", skip(source), invalidate_on = "Changed")]
async fn refreshed(id: u64, source: Arc<Gate>) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "fallible:<id>")]
async fn fallible(id: u64, #[cache(skip)] source: &Gate) -> Result<u64, String> {
    match source.load().await {
        0 => Err("not yet".to_owned()),
        version => Ok(version),
    }
}

/// Has no value for the first version.
#[cached(ttl = "1m", key = "brittle:<id>")]
async fn brittle(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    let version = source.load().await;
    assert_ne!(version, 0, "asked to");
    version
}

/// A server, and a proxy before it.
struct Remote {
    server: RedisServer,
    proxy: FaultProxy,
}

impl Remote {
    fn start() -> Self {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(server.address()).expect("a port is free");
        Self { server, proxy }
    }

    fn url(&self) -> String {
        self.server.url()
    }

    /// The same server, through the proxy.
    fn distant(&self) -> String {
        self.server.url_at(self.proxy.port())
    }

    /// What the process behind the proxy hears of the bus waits.
    fn hold_bus(&self) {
        self.proxy.named("test:bus").both(Fault::Hold);
        self.proxy.named("test:ear").both(Fault::Hold);
    }

    /// Waits until the process behind the proxy asks nothing of the bus and waits to hear.
    async fn quiet_bus(&self) {
        let asked = || {
            let connections = self.proxy.connections().into_iter();
            connections.filter(|one| one.name.as_deref() != Some("test:pool")).map(|one| one.requested).sum::<u64>()
        };
        let (mut before, mut times) = (asked(), 0);
        eventually(Duration::from_secs(10), async || {
            let now = asked();
            times = if now == before { times + 1 } else { 0 };
            before = now;
            times > 10
        })
        .await;
    }

    /// How often the server has run a command.
    fn calls(&self, command: &str) -> u64 {
        let info = self.server.cli(&["INFO", "commandstats"]);
        let line = info.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:")));
        let calls = line.and_then(|line| line.split_once("calls=")).and_then(|(_, rest)| rest.split(',').next());
        calls.map_or(0, |calls| calls.parse().expect("a number"))
    }
}

async fn publish(cache: &Cache, id: u64) {
    let receipt = cache.publish(&Changed { id }).await.expect("the event is JSON");
    assert_eq!(receipt.delivery(), Delivery::Applied);
}

/// What a process that was not there before reads.
async fn read_anew(url: &str, source: &Gate) -> u64 {
    process(url, &[]).await.scope(single(1, source)).await
}

// 1

async fn invalidated_between_lease_and_fill(rules: &[Rule]) -> u64 {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), rules).await, process(&server.url(), &[]).await);
    source.close();
    let mut call = Box::pin(a.scope(single(1, &source)));
    source.wait_for_load(&mut call).await;
    source.commit();
    publish(&b, 1).await;
    source.open();
    assert_eq!(call.await, 0, "its call began before");
    read_anew(&server.url(), &source).await
}

#[tokio::test]
async fn race_1_an_invalidation_between_lease_and_fill() {
    assert_eq!(invalidated_between_lease_and_fill(&[]).await, 1);
}

#[tokio::test]
async fn race_1_without_the_token_the_old_value_is_stored() {
    assert_eq!(invalidated_between_lease_and_fill(&[Rule::FillToken]).await, 0);
}

// 2

async fn invalidated_while_a_hit_is_under_way(rules: &[Rule]) -> u64 {
    let (remote, source) = (Remote::start(), Gate::new());
    let (a, b) = (process(&remote.distant(), rules).await, process(&remote.url(), &[]).await);
    assert_eq!(b.scope(single(1, &source)).await, 0);
    let reads = remote.calls("mget");
    remote.proxy.named("test:pool").replies(Fault::Hold);
    let mut call = Box::pin(a.scope(explain(single(1, &source))));
    eventually(Duration::from_secs(5), async || {
        assert!(futures::poll!(call.as_mut()).is_pending(), "its reply is held");
        remote.calls("mget") > reads
    })
    .await;
    source.commit();
    let published = b.publish(&Changed { id: 1 }).everywhere(Duration::from_secs(5)).await;
    published.expect("the bus of the other process is not held");
    remote.proxy.heal();
    let (value, lookups) = call.await;
    assert_eq!((value, lookups[0].outcome()), (0, Outcome::HitL2), "it was read before");
    a.scope(single(1, &source)).await
}

#[tokio::test]
async fn race_2_an_invalidation_while_a_reply_is_under_way() {
    assert_eq!(invalidated_while_a_hit_is_under_way(&[]).await, 1);
}

#[tokio::test]
async fn race_2_without_fence_and_detach_the_old_value_is_kept() {
    assert_eq!(invalidated_while_a_hit_is_under_way(&[Rule::Fence, Rule::Detach]).await, 0);
}

// 3

async fn joined_a_load_from_before(rules: &[Rule]) -> u64 {
    let (remote, source) = (Remote::start(), Gate::new());
    let (a, b) = (process(&remote.distant(), rules).await, process(&remote.url(), &[]).await);
    source.close();
    let mut first = Box::pin(a.scope(strict(1, &source)));
    source.wait_for_load(&mut first).await;
    // This process hears nothing of what happens now.
    remote.hold_bus();
    source.commit();
    publish(&b, 1).await;
    let mut second = Box::pin(a.scope(strict(1, &source)));
    assert!(futures::poll!(second.as_mut()).is_pending(), "it joins the load");
    source.open();
    let (first, second) = futures::join!(first, second);
    assert_eq!(first, 0, "its call began before");
    second
}

#[tokio::test]
async fn race_3_a_caller_joins_a_load_that_began_before() {
    assert_eq!(joined_a_load_from_before(&[]).await, 1);
}

#[tokio::test]
async fn race_3_without_the_verdict_it_gets_the_old_value() {
    assert_eq!(joined_a_load_from_before(&[Rule::Verdict]).await, 0);
}

#[tokio::test]
async fn race_3_where_no_lease_tells_nobody_joins_who_must_see_what_is_new() {
    const RIGHT: Duration = Duration::from_millis(300);
    for has_token in [true, false] {
        let (remote, source) = (Remote::start(), Gate::new());
        let right = if has_token { Duration::from_mins(1) } else { RIGHT };
        let a = process_with(&remote.distant(), |builder| builder.max_staleness(right)).await;
        let b = process(&remote.url(), &[]).await;
        source.close();
        let mut first = Box::pin(a.scope(local(1, &source)));
        source.wait_for_load(&mut first).await;
        remote.hold_bus();
        source.commit();
        let token = b.publish(&Changed { id: 1 }).await.expect("the event is JSON").token().expect("it is applied");
        let after = a.after(&token);
        let mut second: Pin<Box<dyn Future<Output = u64>>> = if has_token {
            Box::pin(after.scope(local(1, &source)))
        } else {
            let told = Instant::now();
            eventually(Duration::from_secs(10), async || told.elapsed() > RIGHT).await;
            Box::pin(a.scope(local(1, &source)))
        };
        let loads = tokio::time::timeout(Duration::from_secs(10), source.wait_for_load(&mut second)).await;
        loads.expect("it does not join the load that may be too old");
        source.open();
        assert_eq!(futures::join!(first, second), (0, 1));
    }
}

#[tokio::test]
async fn race_3_nor_does_anybody_peek_at_what_is_older_than_a_token() {
    let (remote, source) = (Remote::start(), Gate::new());
    let right = |builder: cache_runtime::Builder| builder.max_staleness(Duration::from_mins(1));
    let (a, b) = (process_with(&remote.distant(), right).await, process(&remote.url(), &[]).await);
    assert_eq!(a.scope(single(1, &source)).await, 0);
    remote.hold_bus();
    let token = b.publish(&Changed { id: 1 }).await.expect("the event is JSON").token().expect("it is applied");
    let entry = single_entry(1).within(&a);
    assert_eq!(entry.peek().await.expect("the server answers").map(|peek| *peek.value()), Some(0));
    let peeked = a.after(&token).scope(async { entry.peek().await }).await;
    assert!(peeked.expect("the server answers").is_none(), "it is gone there, and may be served here");
}

// 4

async fn filled_late(rules: &[Rule]) -> u64 {
    let (remote, slow, fast) = (Remote::start(), Gate::new(), Gate::new());
    // What it sends is late, and is not given up.
    let set = |builder: cache_runtime::Builder| {
        let builder = builder.lease(Duration::from_secs(1)).op_timeout(Duration::from_mins(1));
        rules.iter().fold(builder, |builder, rule| builder.without_rule(*rule))
    };
    let (a, b) = (process_with(&remote.distant(), set).await, process(&remote.url(), &[]).await);
    slow.close();
    let mut late = Box::pin(a.scope(single(1, &slow)));
    slow.wait_for_load(&mut late).await;
    // As if its process had been stopped: its lease is not renewed, and ends.
    remote.proxy.named("test:pool").both(Fault::Hold);
    let holds = || remote.server.cli(&["EXISTS", "test:v1:single:1"]).trim() == "1";
    assert!(holds());
    eventually(Duration::from_secs(10), async || !holds()).await;
    fast.commit();
    assert_eq!(b.scope(single(1, &fast)).await, 1);
    remote.proxy.heal();
    slow.open();
    assert_eq!(late.await, 0);
    read_anew(&remote.url(), &fast).await
}

#[tokio::test]
async fn race_4_the_first_leader_fills_after_the_second() {
    assert_eq!(filled_late(&[]).await, 1);
}

#[tokio::test]
async fn race_4_without_the_token_the_late_fill_wins() {
    assert_eq!(filled_late(&[Rule::FillToken]).await, 0);
}

// 5

/// How the leader of a load leaves those who wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    Dropped,
    Panicked,
}

/// How often those who wait had to take the key from a leader of which they heard nothing.
async fn left_to_a_thousand_who_wait(leaves: Leaves, rules: &[Rule]) -> u64 {
    let (server, source) = (RedisServer::start(), Gate::new());
    // With the rule nobody waits for it.
    let hung = if rules.is_empty() { Duration::from_mins(1) } else { Duration::from_millis(500) };
    let set = |builder: cache_runtime::Builder| {
        rules.iter().fold(builder.load_timeout(hung), |builder, rule| builder.without_rule(*rule))
    };
    let (a, b) = (process_with(&server.url(), set).await, process(&server.url(), &[]).await);
    source.close();
    let mut leader = Box::pin(a.scope(brittle(1, &source)));
    source.wait_for_load(&mut leader).await;
    let callers = (0..1_000).map(|number| [&a, &b][number % 2].scope(brittle(1, &source)));
    let mut waiting = pin!(join_all(callers));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    source.commit();
    if leaves == Leaves::Panicked {
        source.let_through(1);
        assert!(AssertUnwindSafe(leader).catch_unwind().await.is_err(), "it has read the version that has no value");
    } else {
        drop(leader);
    }
    source.open();
    assert!(waiting.await.into_iter().all(|value| value == 1));
    // A panic is a failure, behind which another process does not wait for a second one.
    let most = if leaves == Leaves::Panicked { 3 } else { 2 };
    assert!(source.loads() <= most, "{} loads after {leaves:?}", source.loads());
    eventually(Duration::from_secs(5), async || a.health().leases() + b.health().leases() == 0).await;
    let stats = a.stats();
    stats.iter().find(|stats| stats.name() == "brittle").expect("it was called").count(Metric::LoadTimeout)
}

#[tokio::test]
async fn race_5_a_leader_leaves_a_thousand_who_wait() {
    assert_eq!(left_to_a_thousand_who_wait(Leaves::Dropped, &[]).await, 0);
}

#[tokio::test]
async fn race_5_a_leader_panics_and_a_thousand_wait() {
    assert_eq!(left_to_a_thousand_who_wait(Leaves::Panicked, &[]).await, 0);
}

#[tokio::test]
async fn race_5_without_the_hand_over_they_wait_until_it_counts_as_hung() {
    for leaves in [Leaves::Dropped, Leaves::Panicked] {
        assert_eq!(left_to_a_thousand_who_wait(leaves, &[Rule::HandOver]).await, 1, "{leaves:?}");
    }
}

#[tokio::test]
async fn race_5_a_leader_fails_and_a_thousand_wait() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), &[]).await, process(&server.url(), &[]).await);
    source.close();
    let mut leader = Box::pin(a.scope(fallible(1, &source)));
    source.wait_for_load(&mut leader).await;
    let callers = (0..1_000).map(|number| [&a, &b][number % 2].scope(fallible(1, &source)));
    let mut waiting = pin!(join_all(callers));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    source.open();
    assert!(leader.await.is_err());
    assert!(waiting.await.into_iter().all(|value| value.is_err()));
    assert!(source.loads() <= 3, "{} loads: one for each process, and no convoy", source.loads());
    source.commit();
    eventually(Duration::from_secs(5), async || b.scope(fallible(1, &source)).await == Ok(1)).await;
}

// 6

async fn group_invalidated_while_a_member_loads(rules: &[Rule], from_itself: bool) -> u64 {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), rules).await, process(&server.url(), &[]).await);
    source.close();
    let mut call = Box::pin(a.scope(item(1, 2, &source)));
    source.wait_for_load(&mut call).await;
    source.commit();
    let publisher = if from_itself { &a } else { &b };
    publisher.publish(&ShopClosed { shop: 1 }).await.expect("the event is JSON");
    // Another member of the group gives it a new stamp.
    b.scope(item(1, 3, &Gate::new())).await;
    source.open();
    assert_eq!(call.await, 0, "its call began before");
    process(&server.url(), rules).await.scope(item(1, 2, &source)).await
}

#[tokio::test]
async fn race_6_a_group_is_invalidated_while_a_member_loads() {
    for from_itself in [true, false] {
        assert_eq!(group_invalidated_while_a_member_loads(&[], from_itself).await, 1);
    }
}

#[tokio::test]
async fn race_6_without_stamps_or_their_snapshot_the_old_value_stays() {
    for rule in [Rule::Stamps, Rule::Snapshot] {
        for from_itself in [true, false] {
            assert_eq!(group_invalidated_while_a_member_loads(&[rule], from_itself).await, 0, "{rule:?}");
        }
    }
}

// 7

async fn read_between_the_publishers_fence_and_its_unlink(rules: &[Rule]) -> u64 {
    let (server, source) = (RedisServer::start(), Gate::new());
    let with_rules = |builder: cache_runtime::Builder| {
        rules.iter().fold(builder.pool_size(1), |builder, rule| builder.without_rule(*rule))
    };
    let (a, b) = (process_with(&server.url(), with_rules).await, process(&server.url(), &[]).await);
    assert_eq!(b.scope(single(1, &source)).await, 0);
    source.commit();
    let event = Changed { id: 1 };
    let mut publish = pin!(a.publish(&event).into_future());
    let mut read = Box::pin(a.scope(explain(single(1, &source))));
    // Its own fence is up, nothing is sent: the task that sends has not run.
    assert!(futures::poll!(publish.as_mut()).is_pending());
    // The read goes over the one connection first.
    assert!(futures::poll!(read.as_mut()).is_pending());
    assert!(futures::poll!(read.as_mut()).is_pending());
    let (published, (value, lookups)) = futures::join!(publish, read);
    published.expect("the event is JSON");
    assert_eq!((value, lookups[0].outcome()), (0, Outcome::HitL2), "it was read before the unlink");
    a.scope(single(1, &source)).await
}

#[tokio::test]
async fn race_7_a_read_between_the_publishers_fence_and_its_unlink() {
    assert_eq!(read_between_the_publishers_fence_and_its_unlink(&[]).await, 1);
}

#[tokio::test]
async fn race_7_without_the_second_fence_the_publisher_keeps_the_old_value() {
    assert_eq!(read_between_the_publishers_fence_and_its_unlink(&[Rule::SecondBump]).await, 0);
}

// 8

/// Neither publisher knows yet that what it sent is done when a third process loads between the two.
async fn loaded_between_two_who_publish_the_same(rules: &[Rule]) -> u64 {
    let (remote, source) = (Remote::start(), Gate::new());
    // Their replies are late, and are not given up.
    let patient = |builder: cache_runtime::Builder| builder.op_timeout(Duration::from_mins(1));
    let (a, b) = (process_with(&remote.distant(), patient).await, process_with(&remote.distant(), patient).await);
    let c = process(&remote.url(), rules).await;
    for cache in [&a, &b, &c] {
        assert_eq!(cache.scope(single(1, &source)).await, 0);
    }
    let before = c.health().messages();
    let hears = async |messages| {
        eventually(Duration::from_secs(5), async || c.health().messages() == before + messages).await;
    };
    remote.proxy.named("test:pool").replies(Fault::Hold);
    source.commit();
    let first = tokio::spawn({
        let a = a.clone();
        async move { publish(&a, 1).await }
    });
    hears(1).await;
    source.close();
    let mut between = Box::pin(c.scope(single(1, &source)));
    source.wait_for_load(&mut between).await;
    source.commit();
    let second = tokio::spawn({
        let b = b.clone();
        async move { publish(&b, 1).await }
    });
    hears(2).await;
    assert!(!first.is_finished() && !second.is_finished(), "both are under way");
    source.open();
    assert_eq!(between.await, 1, "its call began before the second one");
    remote.proxy.heal();
    first.await.expect("it is applied");
    second.await.expect("it is applied");
    for cache in [&a, &b, &c] {
        let value = cache.scope(single(1, &source)).await;
        assert!(!rules.is_empty() || value == 2, "{value}");
    }
    read_anew(&remote.url(), &source).await
}

#[tokio::test]
async fn race_8_two_processes_publish_the_same_at_once() {
    assert_eq!(loaded_between_two_who_publish_the_same(&[]).await, 2);
}

#[tokio::test]
async fn race_8_without_the_token_what_was_loaded_between_the_two_is_stored() {
    assert_eq!(loaded_between_two_who_publish_the_same(&[Rule::FillToken]).await, 1);
}

// 9

async fn refresh_overtaken(rules: &[Rule]) -> u64 {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let (a, b) = (process(&server.url(), rules).await, process(&server.url(), &[]).await);
    assert_eq!(a.scope(refreshed(1, Arc::clone(&source))).await, 0);
    // Its value is past its lifetime, and served all the same, while it is refreshed.
    source.close();
    eventually(Duration::from_secs(5), async || {
        let (value, lookups) = a.scope(explain(refreshed(1, Arc::clone(&source)))).await;
        assert_eq!(value, 0);
        lookups[0].outcome() == Outcome::Stale && source.loads() == 2
    })
    .await;
    source.commit();
    publish(&b, 1).await;
    source.open();
    eventually(Duration::from_secs(5), async || a.loads_in_flight() == 0).await;
    let value = process(&server.url(), rules).await.scope(refreshed(1, Arc::clone(&source))).await;
    let nobody_stale = a.scope(refreshed(1, source)).await;
    assert!(!rules.is_empty() || nobody_stale == 1);
    value
}

#[tokio::test]
async fn race_9_a_stale_value_is_served_while_its_refresh_is_overtaken() {
    assert_eq!(refresh_overtaken(&[]).await, 1);
}

#[tokio::test]
async fn race_9_without_the_token_the_refresh_stores_the_old_value() {
    assert_eq!(refresh_overtaken(&[Rule::FillToken]).await, 0);
}

#[tokio::test]
async fn one_refresh_for_all_processes() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let caches = [process(&server.url(), &[]).await, process(&server.url(), &[]).await];
    for cache in &caches {
        assert_eq!(cache.scope(refreshed(1, Arc::clone(&source))).await, 0);
    }
    source.commit();
    source.close();
    eventually(Duration::from_secs(5), async || {
        for cache in &caches {
            assert_eq!(cache.scope(refreshed(1, Arc::clone(&source))).await, 0);
        }
        source.loads() > 1
    })
    .await;
    for cache in caches.iter().cycle().take(200) {
        assert_eq!(cache.scope(refreshed(1, Arc::clone(&source))).await, 0);
    }
    assert_eq!(source.loads(), 2, "one load at first, one refresh");
    source.open();
    for cache in &caches {
        eventually(Duration::from_secs(5), async || cache.scope(refreshed(1, Arc::clone(&source))).await == 1).await;
    }
}

// The order of publishing: unlinked before anybody hears of it.

async fn heard_before_it_was_unlinked(rules: &[Rule]) -> u64 {
    let (remote, source) = (Remote::start(), Gate::new());
    let (a, b) = (process(&remote.distant(), rules).await, process(&remote.url(), &[]).await);
    assert_eq!(b.scope(single(1, &source)).await, 0);
    source.commit();
    // What the publisher sends is done, but it does not hear of it yet, and so does not go on.
    remote.proxy.named("test:pool").replies(Fault::Hold);
    let from = a.clone();
    let sending = tokio::spawn(async move { publish(&from, 1).await });
    eventually(Duration::from_secs(5), async || b.health().messages() > 0).await;
    b.scope(single(1, &source)).await;
    remote.proxy.heal();
    sending.await.expect("no panic");
    b.scope(single(1, &source)).await
}

#[tokio::test]
async fn a_reader_that_hears_of_an_event_finds_the_old_value_gone() {
    assert_eq!(heard_before_it_was_unlinked(&[]).await, 1);
}

#[tokio::test]
async fn told_before_it_is_unlinked_it_reads_the_old_value_again_and_keeps_it() {
    assert_eq!(heard_before_it_was_unlinked(&[Rule::UnlinkFirst]).await, 0);
}

// 10

async fn read_while_an_invalidation_waits(rules: &[Rule]) -> u64 {
    let (server, source) = (RedisServer::start(), Gate::new());
    let (a, b) = (process(&server.url(), rules).await, process(&server.url(), &[]).await);
    assert_eq!(b.scope(single(1, &source)).await, 0);
    // The server takes no writes, so nothing can be unlinked there.
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    source.commit();
    let receipt = a.publish(&Changed { id: 1 }).await.expect("it is queued");
    assert_eq!(receipt.delivery(), Delivery::Queued);
    let value = a.scope(single(1, &source)).await;
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    eventually(Duration::from_secs(10), async || a.health().queued() == 0).await;
    assert_eq!(read_anew(&server.url(), &source).await, 1, "it was sent later");
    value
}

#[tokio::test]
async fn race_10_a_read_before_the_journal_is_replayed() {
    assert_eq!(read_while_an_invalidation_waits(&[]).await, 1);
}

#[tokio::test]
async fn race_10_without_the_journals_fence_the_old_value_is_read() {
    assert_eq!(read_while_an_invalidation_waits(&[Rule::Journal]).await, 0);
}

// 11

/// How many entries are stored in the end.
async fn lease_is_evicted(rules: &[Rule], loss: &[&str]) -> usize {
    let (server, source) = (RedisServer::start(), Gate::new());
    let a = process(&server.url(), rules).await;
    source.close();
    let mut call = Box::pin(a.scope(single(1, &source)));
    source.wait_for_load(&mut call).await;
    server.cli(loss);
    source.open();
    assert_eq!(call.await, 0);
    entries(&server).len()
}

const LEASE_LOST: [&[&str]; 2] = [&["DEL", "test:v1:single:1"], &["FLUSHALL"]];

#[tokio::test]
async fn race_11_the_lease_is_evicted_under_a_load() {
    for loss in LEASE_LOST {
        let stored = lease_is_evicted(&[], loss).await;
        assert_eq!(stored, 0, "after {loss:?} its lease is gone, and so is its right to fill");
    }
}

#[tokio::test]
async fn race_11_without_the_token_it_fills_without_its_lease() {
    for loss in LEASE_LOST {
        assert_eq!(lease_is_evicted(&[Rule::FillToken], loss).await, 1, "{loss:?}");
    }
}

async fn stamp_is_evicted(rules: &[Rule]) -> u64 {
    let (server, source) = (RedisServer::start(), Gate::new());
    let a = process(&server.url(), rules).await;
    source.close();
    let mut call = Box::pin(a.scope(item(1, 2, &source)));
    source.wait_for_load(&mut call).await;
    server.cli(&["DEL", "test:group:item:1:*"]);
    source.commit();
    source.open();
    assert_eq!(call.await, 0);
    process(&server.url(), rules).await.scope(item(1, 2, &source)).await
}

#[tokio::test]
async fn race_11_the_stamp_is_evicted_under_a_load() {
    assert_eq!(stamp_is_evicted(&[]).await, 1, "a missing stamp is like no other");
}

#[tokio::test]
async fn race_11_without_stamps_what_was_loaded_under_the_lost_one_stays() {
    assert_eq!(stamp_is_evicted(&[Rule::Stamps]).await, 0);
}

async fn bus_is_lost(rules: &[Rule], loss: &[&str]) -> (u64, u64) {
    let (remote, source) = (Remote::start(), Gate::new());
    // So that it asks of itself at the beginning only.
    let set = |builder: cache_runtime::Builder| {
        let builder = builder.max_staleness(Duration::from_mins(5));
        rules.iter().fold(builder, |builder, rule| builder.without_rule(*rule))
    };
    let (a, b) = (process_with(&remote.distant(), set).await, process(&remote.url(), &[]).await);
    publish(&b, 9).await;
    assert_eq!(a.scope(single(1, &source)).await, 0);
    remote.quiet_bus().await;
    remote.hold_bus();
    source.commit();
    publish(&b, 1).await;
    // Else it would repeat what it has published.
    drop(b);
    remote.server.cli(loss);
    remote.proxy.heal();
    eventually(Duration::from_secs(10), async || a.health().gaps() > 0).await;
    sees(&a).await;
    (a.scope(single(1, &source)).await, a.health().gaps())
}

/// Whoever looks at no bus begins one with a message for everything, which would do what the rule does. A foreign publisher
/// comes first.
const REPLACED: &[&str] =
    &["EVAL", "redis.call('DEL', KEYS[1]) redis.call('XADD', KEYS[1], '*', 'keys', '[]')", "1", "test:bus"];

#[tokio::test]
async fn race_11_the_bus_is_lost() {
    for loss in [&["DEL", "test:bus"][..], &["FLUSHALL"], REPLACED] {
        assert_eq!(bus_is_lost(&[], loss).await.0, 1, "after {loss:?}");
    }
}

#[tokio::test]
async fn race_11_without_the_gap_rule_the_old_value_is_served() {
    assert_eq!(bus_is_lost(&[Rule::Gap], REPLACED).await.0, 0);
}

// 12

#[tokio::test]
async fn race_12_the_bus_is_trimmed_past_a_sleeping_reader() {
    assert_eq!(bus_is_lost(&[], &["XTRIM", "test:bus", "MAXLEN", "0"]).await.0, 1);
}

#[tokio::test]
async fn race_12_without_the_gap_rule_the_old_value_is_served() {
    assert_eq!(bus_is_lost(&[Rule::Gap], &["XTRIM", "test:bus", "MAXLEN", "0"]).await.0, 0);
}

// 13 is in stopped.rs, with processes whose wall clocks are off. Here it is the monotonic clock, which no two processes
// count from the same moment.

#[tokio::test]
async fn race_13_a_process_whose_clock_began_earlier() {
    let (server, source) = (RedisServer::start(), Gate::new());
    let clock = ManualClock::new();
    clock.advance(Duration::from_mins(15));
    let a = process_with(&server.url(), |builder| builder.clock(clock.clone())).await;
    let b = process(&server.url(), &[]).await;
    a.scope(single(1, &source)).await;
    let (_, lookups) = b.scope(explain(single(1, &source))).await;
    assert_eq!(lookups[0].outcome(), Outcome::HitL2);
    let peek = b.scope(async { single_entry(1).peek().await }).await.expect("the server is there").expect("kept");
    assert!(peek.age() < Duration::from_secs(5) && peek.remaining() <= Duration::from_mins(1), "{peek:?}");
    source.commit();
    publish(&b, 1).await;
    eventually(Duration::from_secs(5), async || a.scope(single(1, &source)).await == 1).await;
}

// 14 is in stopped.rs, with a process that is really stopped; here its bus alone is cut.

async fn blind_for_too_long(rules: &[Rule]) -> u64 {
    let (remote, source) = (Remote::start(), Gate::new());
    let most = Duration::from_millis(900);
    let set = |builder: cache_runtime::Builder| {
        rules.iter().fold(builder.max_staleness(most), |builder, rule| builder.without_rule(*rule))
    };
    let (a, b) = (process_with(&remote.distant(), set).await, process(&remote.url(), &[]).await);
    assert_eq!(a.scope(single(1, &source)).await, 0);
    remote.quiet_bus().await;
    remote.hold_bus();
    source.commit();
    publish(&b, 1).await;
    let published = Instant::now();
    eventually(Duration::from_secs(5), async || published.elapsed() > most).await;
    a.scope(single(1, &source)).await
}

#[tokio::test]
async fn race_14_a_process_that_hears_nothing_stops_serving() {
    assert_eq!(blind_for_too_long(&[]).await, 1);
}

#[tokio::test]
async fn race_14_without_that_rule_it_serves_the_old_value() {
    assert_eq!(blind_for_too_long(&[Rule::Right]).await, 0);
}

// Routes: a publisher that does not link the function.

async fn publisher_without_the_function(rules: &[Rule]) -> String {
    let server = RedisServer::start();
    let a = process(&server.url(), rules).await;
    let version = server.cli(&["HGET", "{test:bus}:routes", ":version"]);
    assert!(!version.is_empty(), "routes are registered");
    // Another program's version of the function, with a value.
    let fields = server.cli(&["HKEYS", "{test:bus}:routes"]);
    let field = fields.lines().find(|field| field.contains("single") && field.contains("Changed"));
    let field = field.expect("the route of this program").to_owned();
    let record = server.cli(&["HGET", "{test:bus}:routes", &field]);
    let (field, record) = (field.replace("v1", "v7"), record.replace("\"version\":1", "\"version\":7"));
    server.cli(&["HSET", "{test:bus}:routes", &field, &record, ":version", "0123456789abcdef"]);
    server.cli(&["SET", "test:v7:single:1", "a value of another program"]);
    publish(&a, 1).await;
    server.cli(&["EXISTS", "test:v7:single:1"]).trim().to_owned()
}

#[tokio::test]
async fn a_publisher_invalidates_functions_that_it_does_not_link() {
    assert_eq!(publisher_without_the_function(&[]).await, "0");
}

#[tokio::test]
async fn without_the_routes_of_others_it_does_not() {
    assert_eq!(publisher_without_the_function(&[Rule::Routes]).await, "1");
}

#[tokio::test]
async fn a_hundred_processes_callers_and_events_end_with_the_truth() {
    let (server, source) = (RedisServer::start(), Arc::new(Gate::new()));
    let url = server.url();
    let caches = join_all((0..8).map(|_| process(&url, &[]))).await;
    let mut tasks = Vec::new();
    for (number, cache) in caches.iter().enumerate() {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        tasks.push(tokio::spawn(async move {
            for round in 0..100 {
                if round % 10 == number {
                    source.commit();
                    publish(&cache, 1).await;
                }
                cache.scope(single(1, &source)).await;
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panics");
    }
    let truth = source.load().await;
    for cache in &caches {
        eventually(Duration::from_secs(5), async || cache.scope(single(1, &source)).await == truth).await;
    }
}
