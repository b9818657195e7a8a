//! The same promises on one server, behind sentinels and in a cluster, while servers fail over and slots move.
#![cfg(unix)]
#![expect(unused_variables, reason = "keys are what tells these calls apart")]

#[path = "topologies/encrypted.rs"]
mod encrypted;
#[path = "faults/log.rs"]
#[expect(dead_code, reason = "the tests of faults ask more of it")]
mod log;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::testing::Rule;
use cache_runtime::{Cache, Delivery, Event, Metric, Outcome, Token, cached, explain};
use cache_tests::fault_proxy::Connection;
use cache_tests::redis_server::RedisOptions;
use cache_tests::{Cluster, Fault, FaultProxy, Gate, RedisServer, Sentinels, eventually};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::log::{AWAY, BLIND, GAP, Log};

#[derive(Event, Serialize, Deserialize)]
struct ItemChanged {
    shop: u64,
    id: u64,
}

#[derive(Event, Serialize, Deserialize)]
struct ShopClosed {
    shop: u64,
}

#[cached(
    ttl = "1m",
    key = "item:<shop>:<id>",
    invalidate_on = ["ItemChanged", "ShopClosed => item:<shop>:*"]
)]
async fn item(shop: u64, id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

#[cached(ttl = "1m", key = "strict:<id>", l1 = off)]
async fn strict(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    source.load().await
}

const SOON: Duration = Duration::from_secs(20);

async fn process(app: &str, url: &str) -> Cache {
    process_without(app, url, &[]).await
}

async fn process_without(app: &str, url: &str, rules: &[Rule]) -> Cache {
    let builder = Cache::builder(app).redis(url).op_timeout(Duration::from_secs(1));
    let builder = rules.iter().fold(builder, |builder, rule| builder.without_rule(*rule));
    let cache = builder.build().await.expect("the functions of this test do not contradict each other");
    works(&cache).await;
    cache
}

/// Waits until the cache serves from its in-process tier and its journal is empty.
async fn works(cache: &Cache) {
    eventually(SOON, async || cache.health().serves_near() && cache.health().queued() == 0).await;
}

/// Everything that holds while nothing fails.
async fn promises(app: &str, url: &str) {
    reads_are_shared(&format!("{app}1"), url).await;
    events_reach_all(&format!("{app}2"), url).await;
    tokens_and_strict_reads(&format!("{app}3"), url).await;
    one_load_for_all(&format!("{app}4"), url).await;
    for from_itself in [true, false] {
        let app = format!("{app}5{from_itself}");
        assert_eq!(overtaken_load(&app, url, from_itself, &[]).await, 1);
        assert_eq!(overtaken_load(&format!("{app}b"), url, from_itself, &[Rule::FillToken]).await, 0);
    }
}

async fn reads_are_shared(app: &str, url: &str) {
    let (a, b, source) = (process(app, url).await, process(app, url).await, Gate::new());
    for id in 0..50 {
        assert_eq!(a.scope(item(1, id, &source)).await, 0);
        let (_, lookups) = b.scope(explain(item(1, id, &source))).await;
        assert_eq!(lookups[0].outcome(), Outcome::HitL2);
    }
    assert_eq!(source.loads(), 50);
}

async fn events_reach_all(app: &str, url: &str) {
    let (a, b, source) = (process(app, url).await, process(app, url).await, Gate::new());
    for id in 0..20 {
        a.scope(item(1, id, &source)).await;
        b.scope(item(1, id, &source)).await;
    }
    source.commit();
    a.publish(&ItemChanged { shop: 1, id: 3 }).everywhere(SOON).await.expect("all have applied it");
    assert_eq!((a.scope(item(1, 3, &source)).await, b.scope(item(1, 3, &source)).await), (1, 1));
    assert_eq!(b.scope(item(1, 4, &source)).await, 0);
    b.publish(&ShopClosed { shop: 1 }).everywhere(SOON).await.expect("all have applied it");
    for id in 0..20 {
        assert_eq!((a.scope(item(1, id, &source)).await, b.scope(item(1, id, &source)).await), (1, 1));
    }
}

async fn tokens_and_strict_reads(app: &str, url: &str) {
    let (a, b, source) = (process(app, url).await, process(app, url).await, Gate::new());
    for round in 1..20 {
        b.scope(item(1, 2, &source)).await;
        b.scope(strict(1, &source)).await;
        source.commit();
        let receipt = a.publish(&ItemChanged { shop: 1, id: 2 }).await.expect("the event is JSON");
        let token: Token = receipt.token().expect("it is applied");
        assert_eq!(b.after(&token).scope(item(1, 2, &source)).await, round);
        a.scope(async { strict_entry(1).invalidate().await }).await.expect("it is applied or queued");
        assert_eq!(b.scope(strict(1, &source)).await, round);
    }
}

async fn one_load_for_all(app: &str, url: &str) {
    let source = Arc::new(Gate::new());
    let mut callers = Vec::new();
    for _ in 0..4 {
        let cache = process(app, url).await;
        for _ in 0..250 {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            callers.push(tokio::spawn(async move { cache.scope(item(1, 2, &source)).await }));
        }
    }
    for caller in callers {
        assert_eq!(caller.await.expect("no panics"), 0);
    }
    assert_eq!(source.loads(), 1);
}

async fn overtaken_load(app: &str, url: &str, from_itself: bool, rules: &[Rule]) -> u64 {
    let (a, b, source) = (process_without(app, url, rules).await, process(app, url).await, Gate::new());
    source.close();
    let mut call = Box::pin(a.scope(item(1, 2, &source)));
    source.wait_for_load(&mut call).await;
    source.commit();
    let publisher = if from_itself { &a } else { &b };
    publisher.publish(&ItemChanged { shop: 1, id: 2 }).await.expect("the event is JSON");
    source.open();
    assert_eq!(call.await, 0, "its call began before");
    process(app, url).await.scope(item(1, 2, &source)).await
}

const NOT_CONFIRMED: &str = "redis: most sentinels do not answer, so no server is used until they do";

/// What the second tier did not do.
fn faults(cache: &Cache) -> u64 {
    cache.stats().iter().map(|stats| stats.count(Metric::FaultL2)).sum()
}

/// Each gap that a process has counted was said once.
#[track_caller]
fn says_each_gap(log: &Log, caches: &[&Cache]) {
    let counted: u64 = caches.iter().map(|cache| cache.health().gaps()).sum();
    assert_eq!(u64::try_from(log.lines(GAP).len()), Ok(counted), "{:#?}", log.lines(GAP));
}

/// Calls go on while it fails, and each is answered.
async fn while_called(cache: &Cache, source: &Gate, fail: impl AsyncFnOnce()) {
    let is_over = Cell::new(false);
    let failing = async {
        fail().await;
        is_over.set(true);
    };
    let calling = async {
        for id in (0..20).cycle() {
            assert_eq!(cache.scope(strict(id, source)).await, 0);
            if is_over.get() {
                break;
            }
            // tidy: sleep because callers that are answered at once would leave no time for what they are to see
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    futures::join!(failing, calling);
}

/// What holds when a server is lost and another takes over: nobody waits, nobody is wrong once it is over. It is told and
/// counted.
async fn survives(app: &str, url: &str, fail: impl AsyncFnOnce()) {
    let (log, listening) = Log::start();
    let (a, b, source) = (process(app, url).await, process(app, url).await, Gate::new());
    for id in 0..20 {
        a.scope(item(1, id, &source)).await;
        b.scope(item(1, id, &source)).await;
    }
    while_called(&a, &source, fail).await;
    // Written while nobody may be there to hear it.
    source.commit();
    let receipt = a.publish(&ShopClosed { shop: 1 }).await.expect("it is applied or queued");
    assert_eq!(a.scope(item(1, 3, &source)).await, 1, "in its own process it holds at once ({receipt})");
    works(&a).await;
    works(&b).await;
    eventually(SOON, async || {
        let receipt = b.publish(&ItemChanged { shop: 2, id: 1 }).everywhere(Duration::from_secs(1)).await;
        receipt.is_ok_and(|receipt| receipt.delivery() == Delivery::Applied)
    })
    .await;
    for id in 0..20 {
        assert_eq!((a.scope(item(1, id, &source)).await, b.scope(item(1, id, &source)).await), (1, 1), "{id}");
    }
    assert!(faults(&a) > 0, "{}", a.health());
    assert_eq!((a.health().gaps(), b.health().gaps()), (1, 1));
    says_each_gap(&log, &[&a, &b]);
    log.tells_once(2, &[AWAY, GAP]);
    drop(listening);
    promises(&format!("{app}after"), url).await;
}

#[tokio::test]
async fn one_server() {
    let server = RedisServer::start();
    promises("one", &server.url()).await;
}

#[tokio::test]
async fn a_unix_socket() {
    let server = RedisServer::options().unix_socket().start();
    assert!(server.url().starts_with("unix://"), "{}", server.url());
    promises("unix", &server.url()).await;
}

/// A name, a virtual address or a proxy: another server has it from now on, and connections that stand stay with the old
/// one, which is its replica and has not caught up.
#[tokio::test]
async fn behind_an_address_that_moves_to_another_server() {
    let (log, _listening) = Log::start();
    let (old, new) = (RedisServer::start(), RedisServer::start());
    new.cli(&["REPLICAOF", "127.0.0.1", &old.port().to_string()]);
    eventually(SOON, async || new.info("master_link_status").as_deref() == Some("up")).await;
    let (moved, to) = watch::channel(old.port());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (app, url) = ("moved", format!("redis://{}", listener.local_addr().expect("it has one")));
    let forwarding = tokio::spawn(forward(listener, to));
    let (a, source) = (process(app, &url).await, Gate::new());
    assert_eq!((a.scope(item(1, 1, &source)).await, a.scope(strict(1, &source)).await), (0, 0));
    assert_eq!(old.cli(&["WAIT", "1", "10000"]).trim(), "1");
    new.cli(&["REPLICAOF", "NO", "ONE"]);
    moved.send_replace(new.port());
    // Of nobody that is there: it stays as old as it is.
    old.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    eventually(SOON, async || a.health().gaps() > 0).await;
    works(&a).await;
    assert_eq!(a.health().gaps(), 1);
    says_each_gap(&log, &[&a]);
    log.tells_once(1, &[AWAY, GAP]);
    let b = process(app, &url).await;
    source.commit();
    b.publish(&ItemChanged { shop: 1, id: 1 }).everywhere(SOON).await.expect("all have applied it");
    b.scope(async { strict_entry(1).invalidate().await }).await.expect("it is applied or queued");
    assert_eq!((a.scope(item(1, 1, &source)).await, a.scope(strict(1, &source)).await), (1, 1));
    forwarding.abort();
}

async fn forward(listener: TcpListener, to: watch::Receiver<u16>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let port = *to.borrow();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
        });
    }
}

#[tokio::test]
async fn behind_sentinels_and_a_failover() {
    let sentinels = Sentinels::start().await;
    promises("sent", &sentinels.url()).await;
    survives("sentfail", &sentinels.url(), async || _ = sentinels.kill_primary().await).await;
}

/// Nobody tells it that another server has become the primary, and the one it knows answers it as ever.
#[tokio::test]
async fn a_process_that_is_cut_off_with_the_old_primary_serves_nothing_old() {
    let (log, _listening) = Log::start();
    let sentinels = Sentinels::start_behind_proxies().await;
    let doors = sentinels.sentinels().iter().map(|sentinel| FaultProxy::start(sentinel.address()).expect("a port"));
    let doors: Vec<_> = doors.collect();
    let places: Vec<_> = doors.iter().map(|door| door.address().to_string()).collect();
    let (app, source) = ("sentcut", Gate::new());
    let a = process(app, &format!("redis-sentinel://{}/cache", places.join(","))).await;
    assert_eq!((a.scope(item(1, 1, &source)).await, a.scope(strict(1, &source)).await), (0, 0));
    let old = sentinels.find_primary().expect("it is calm");
    assert_eq!(sentinels.stores()[old].cli(&["WAIT", "2", "10000"]).trim(), "2");
    for door in &doors {
        door.all().both(Fault::Hold);
    }
    sentinels.proxies()[old].matching(move |client| !is_of(client, app)).both(Fault::Hold);
    eventually(SOON, async || sentinels.find_primary().is_some_and(|primary| primary != old)).await;
    let b = process(app, &sentinels.url()).await;
    source.commit();
    let receipt = b.publish(&ItemChanged { shop: 1, id: 1 }).await.expect("the event is JSON");
    assert_eq!(receipt.delivery(), Delivery::Applied);
    b.scope(async { strict_entry(1).invalidate().await }).await.expect("it is applied or queued");
    eventually(SOON, async || !a.health().reaches_server() && !a.health().serves_near()).await;
    for _ in 0..3 {
        assert_eq!((a.scope(item(1, 1, &source)).await, a.scope(strict(1, &source)).await), (1, 1));
    }
    for line in [NOT_CONFIRMED, BLIND] {
        eventually(SOON, async || log.lines(line).len() == 1).await;
    }
    doors.iter().for_each(FaultProxy::heal);
    works(&a).await;
    assert_eq!((a.scope(item(1, 1, &source)).await, a.scope(strict(1, &source)).await), (1, 1));
    assert!(faults(&a) > 0);
    assert_eq!((a.health().gaps(), b.health().gaps()), (1, 0));
    says_each_gap(&log, &[&a, &b]);
    log.tells_once(1, &[NOT_CONFIRMED, BLIND, GAP]);
}

fn is_of(connection: &Connection, app: &str) -> bool {
    connection.name.as_ref().is_some_and(|name| name.starts_with(app))
}

#[tokio::test]
async fn in_a_cluster() {
    let cluster = Cluster::start().await;
    promises("clus", &cluster.url()).await;
}

#[tokio::test]
async fn in_a_cluster_that_loses_the_server_of_the_bus() {
    let cluster = Cluster::start().await;
    let slot = cluster.slot_of("clusbus:bus");
    survives("clusbus", &cluster.url(), async || _ = cluster.kill_primary_of(slot).await).await;
}

/// What was unlinked is back, on a server that has no part in the bus.
#[tokio::test]
async fn in_a_cluster_where_a_failover_loses_what_the_bus_has_told() {
    let (log, _listening) = Log::start();
    let (cluster, app) = (Cluster::start_behind_proxies().await, "cluslost");
    let (url, source) = (cluster.url(), Gate::new());
    let (a, b) = (process(app, &url).await, process(app, &url).await);
    let slot = |id: u64| cluster.slot_of(&format!("{app}:v1:item:1:{id}"));
    let owner = |slot| cluster.find_primary_of(slot).expect("all slots have one");
    let bus = owner(cluster.slot_of(&format!("{app}:bus")));
    let id = (0..100).find(|id| owner(slot(*id)) != bus).expect("keys go to all servers");
    assert_eq!(a.scope(item(1, id, &source)).await, 0);
    let (primary, proxy) = (&cluster.nodes()[owner(slot(id))], &cluster.proxies()[owner(slot(id))]);
    assert_eq!(primary.cli(&["WAIT", "1", "10000"]).trim(), "1");
    proxy.matching(is_replica).replies(Fault::Hold);
    source.commit();
    let receipt = a.publish(&ItemChanged { shop: 1, id }).await.expect("the event is JSON");
    assert_eq!(receipt.delivery(), Delivery::Applied);
    primary.kill();
    proxy.matching(is_replica).cut();
    proxy.heal();
    cluster.until_promoted(slot(id), primary.port()).await;
    let c = process(app, &url).await;
    for cache in [&a, &b, &c] {
        eventually(SOON, async || cache.health().reaches_server()).await;
        eventually(SOON, async || cache.scope(item(1, id, &source)).await == 1).await;
    }
    eventually(SOON, async || a.health().gaps() > 0 && b.health().gaps() > 0).await;
    says_each_gap(&log, &[&a, &b, &c]);
    log.tells_once(3, &[AWAY, GAP]);
}

/// It has no replica, and may be away for long.
#[tokio::test]
async fn in_a_cluster_what_waits_for_one_server_is_not_in_the_way_of_others() {
    let (log, _listening) = Log::start();
    let (cluster, app) = (Cluster::start_behind_proxies().await, "clusaway");
    for node in cluster.nodes() {
        node.cli(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let (url, source) = (cluster.url(), Gate::new());
    let (a, b) = (process(app, &url).await, process(app, &url).await);
    let slot = |id: u64| cluster.slot_of(&format!("{app}:v1:item:1:{id}"));
    let owner = |slot| cluster.find_primary_of(slot).expect("all slots have one");
    let bus = owner(cluster.slot_of(&format!("{app}:bus")));
    let lost = (0..100).find(|id| owner(slot(*id)) != bus).expect("keys go to all servers");
    let late =
        (0..100).find(|id| ![bus, owner(slot(lost))].contains(&owner(slot(*id)))).expect("keys go to all servers");
    let held = &cluster.proxies()[owner(slot(late))];
    assert_eq!(b.scope(item(1, late, &source)).await, 0);
    cluster.replica_of(slot(lost)).kill();
    cluster.primary_of(slot(lost)).kill();
    eventually(SOON, async || !a.health().reaches_server()).await;
    assert_eq!(a.scope(item(1, lost, &source)).await, 0, "what is on it is loaded");
    assert!(faults(&a) > 0);
    source.commit();
    held.matching(move |client| is_of(client, app)).both(Fault::Hold);
    for id in [lost, late] {
        let receipt = a.publish(&ItemChanged { shop: 1, id }).await.expect("it is kept");
        assert_eq!(receipt.delivery(), Delivery::Queued);
    }
    held.heal();
    eventually(SOON, async || a.health().queued() == 1).await;
    eventually(SOON, async || b.scope(item(1, late, &source)).await == 1).await;
    assert_eq!((a.health().gaps(), b.health().gaps()), (0, 0));
    log.tells_once(2, &[AWAY]);
}

fn is_replica(connection: &Connection) -> bool {
    connection.first_bytes.windows(5).any(|word| word == b"PSYNC")
}

#[tokio::test]
async fn in_a_cluster_whose_slots_move() {
    let (log, _listening) = Log::start();
    let cluster = Cluster::start().await;
    let (url, app) = (cluster.url(), "clusmove");
    let (a, b, source) = (process(app, &url).await, process(app, &url).await, Gate::new());
    let key = "clusmove:v1:item:1:2";
    for round in 0..6 {
        assert_eq!(a.scope(item(1, 2, &source)).await, round);
        assert_eq!(b.scope(item(1, 2, &source)).await, round);
        let slot = cluster.slot_of(if round % 2 == 0 { key } else { "clusmove:bus" });
        let owner = cluster.primary_of(slot).port();
        let to = cluster.nodes().iter().find(|node| node.port() != owner && is_primary(node)).expect("three primaries");
        cluster.migrate_slot(slot, to).await;
        source.commit();
        eventually(SOON, async || {
            let receipt = a.publish(&ItemChanged { shop: 1, id: 2 }).everywhere(Duration::from_secs(1)).await;
            receipt.is_ok_and(|receipt| receipt.delivery() == Delivery::Applied)
        })
        .await;
        works(&a).await;
        works(&b).await;
        assert_eq!(b.scope(item(1, 2, &source)).await, round + 1);
    }
    // The slot of the bus has moved three times.
    eventually(SOON, async || a.health().gaps() == 3 && b.health().gaps() == 3).await;
    says_each_gap(&log, &[&a, &b]);
    log.tells_once(6, &[GAP]);
}

/// Until it is there, nobody lists it: only those that are sent on know of it.
#[tokio::test]
async fn in_a_cluster_where_a_new_server_gets_its_first_slot() {
    let (cluster, app) = (Cluster::start().await, "clusfirst");
    let (url, source) = (cluster.url(), Gate::new());
    let a = process(app, &url).await;
    let slot = cluster.slot_of(&format!("{app}:v1:item:1:2"));
    let from = cluster.find_primary_of(slot).expect("all slots have one");
    let new = RedisOptions::cluster_node().start();
    let port = new.cli(&["CONFIG", "GET", "cluster-port"]).lines().last().expect("it has one").to_owned();
    for node in cluster.nodes() {
        node.cli(&["CLUSTER", "MEET", "127.0.0.1", &new.port().to_string(), &port]);
    }
    let knows = |node: &RedisServer| {
        let state = node.cli(&["CLUSTER", "INFO"]);
        state.contains("cluster_known_nodes:7") && state.contains("cluster_state:ok")
    };
    eventually(SOON, async || knows(&new) && cluster.nodes().iter().all(knows)).await;
    let id = |node: &RedisServer| node.cli(&["CLUSTER", "MYID"]).trim().to_owned();
    let (old, text) = (&cluster.nodes()[from], slot.to_string());
    new.cli(&["CLUSTER", "SETSLOT", &text, "IMPORTING", &id(old)]);
    old.cli(&["CLUSTER", "SETSLOT", &text, "MIGRATING", &id(&new)]);
    eventually(SOON, async || {
        let receipt = a.publish(&ItemChanged { shop: 1, id: 2 }).await.expect("the event is JSON");
        receipt.delivery() == Delivery::Applied
    })
    .await;
    // A server that is busy is done without now and then.
    eventually(SOON, async || a.scope(item(1, 2, &source)).await == 0 && new.cli(&["DBSIZE"]).trim() == "1").await;
    for node in [&new, old] {
        node.cli(&["CLUSTER", "SETSLOT", &text, "NODE", &id(&new)]);
    }
    source.commit();
    eventually(SOON, async || {
        let receipt = a.publish(&ItemChanged { shop: 1, id: 2 }).everywhere(Duration::from_secs(1)).await;
        receipt.is_ok_and(|receipt| receipt.delivery() == Delivery::Applied)
    })
    .await;
    works(&a).await;
    assert_eq!(process(app, &url).await.scope(item(1, 2, &source)).await, 1);
}

fn is_primary(server: &RedisServer) -> bool {
    server.info("role").as_deref() == Some("master")
}
