//! Invalidations and sweeps.

use std::collections::BTreeMap;

use super::*;
use crate::redis::real::{Real, poll};
use crate::store::{Invalidated, Invalidation, Needed, Position};

fn of(unlink: &[&str]) -> Invalidation {
    Invalidation {
        unlink: unlink.iter().map(|&name| name.to_owned()).collect(),
        put: None,
        fields: vec![("keys", br#"["user:42:7"]"#.to_vec())],
    }
}

#[track_caller]
fn position(outcome: Result<Invalidated, Fault>) -> Position {
    match outcome {
        Ok(Invalidated::At(position)) => position,
        other => panic!("{other:?}"),
    }
}

async fn on_the_bus(world: &World) -> i64 {
    let Value::Int(length) = world.command(&[&"XLEN", &"shop:bus"]).await else { panic!("a number") };
    length
}

#[tokio::test]
async fn an_invalidation_unlinks_and_tells() {
    let world = World::new().await;
    for name in ["shop:v1:a", "shop:v2:a", "shop:group:g", "shop:v1:other"] {
        world.command(&[&"SET", &name, &"x"]).await;
    }
    let first = position(world.store.invalidate(&of(&["shop:v1:a", "shop:v2:a", "shop:group:g"]), None).await);
    for (name, exists) in [("shop:v1:a", false), ("shop:v2:a", false), ("shop:group:g", false), ("shop:v1:other", true)]
    {
        assert_eq!(world.exists(name).await, exists, "{name}");
    }
    let second = position(world.store.invalidate(&of(&[]), None).await);
    assert!(second > first);
    let tail = world.store.probe(Some(first), Some(first), 10, Duration::ZERO).await.expect("an answer");
    assert_eq!(tail.messages.len(), 1);
    assert_eq!(tail.messages[0].position, second);
    assert_eq!(tail.messages[0].fields, [("keys".to_owned(), br#"["user:42:7"]"#.to_vec())]);
}

#[tokio::test]
async fn thousands_of_names_are_unlinked_at_once() {
    let world = World::new().await;
    let entries: Vec<String> = (0..5_000).map(|i| format!("shop:v1:{i}")).collect();
    for entry in &entries {
        world.command(&[&"SET", entry, &"x"]).await;
    }
    let invalidation = Invalidation { unlink: entries, ..of(&[]) };
    position(world.store.invalidate(&invalidation, None).await);
    assert_eq!(world.command(&[&"DBSIZE"]).await, Value::Int(1), "the bus alone");
}

#[tokio::test]
async fn nothing_is_told_while_the_routes_are_others() {
    let world = World::new().await;
    world.command(&[&"SET", &"shop:v1:a", &"x"]).await;
    let version = world.store.register(&[("f".to_owned(), "r".to_owned())]).await.expect("a version");
    for old in [None, Some("0123")] {
        world.command(&[&"SET", &"shop:v1:a", &"x"]).await;
        assert_eq!(world.store.invalidate(&of(&["shop:v1:a"]), old).await, Ok(Invalidated::RoutesChanged));
        assert!(!world.exists("shop:v1:a").await, "unlinked all the same");
    }
    assert_eq!(on_the_bus(&world).await, 0);
    position(world.store.invalidate(&of(&["shop:v1:a"]), Some(&version)).await);
    world.command(&[&"UNLINK", &"{shop:bus}:routes"]).await;
    assert_eq!(world.store.invalidate(&of(&[]), Some(&version)).await, Ok(Invalidated::RoutesChanged));
    assert_eq!(on_the_bus(&world).await, 1);
}

#[tokio::test]
async fn what_is_put_takes_the_place_of_an_entry_and_its_lease() {
    let world = World::new().await;
    let (token, _) = world.take("shop:v1:a", &[]).await;
    let bytes = value(Token([5; 16]), b"put");
    let put = Some(("shop:v1:a".to_owned(), bytes.clone(), LIFE));
    let invalidation = Invalidation { put, ..of(&["shop:v1:a", "shop:v2:a"]) };
    position(world.store.invalidate(&invalidation, None).await);
    assert_eq!(world.bytes("shop:v1:a").await, Some(bytes));
    let remaining = world.remaining("shop:v1:a").await;
    assert!(remaining <= LIFE && remaining > LIFE / 2, "{remaining:?}");
    let late = world.store.end("shop:v1:a", token, Ending::Fill(&value(token, b"late"), LIFE), &[]).await;
    assert!(!late.expect("an answer").held);
}

#[tokio::test]
async fn out_of_memory_an_invalidation_passes_and_a_put_empties_its_slot() {
    let world = World::new().await;
    for name in ["shop:v1:a", "shop:v1:b"] {
        world.command(&[&"SET", &name, &"x"]).await;
    }
    world.use_up_memory().await;
    let put = Some(("shop:v1:b".to_owned(), value(Token([5; 16]), b"put"), LIFE));
    position(world.store.invalidate(&Invalidation { put, ..of(&["shop:v1:a"]) }, None).await);
    position(world.store.invalidate(&of(&[]), None).await);
    assert!(!world.exists("shop:v1:a").await && !world.exists("shop:v1:b").await);
    assert_eq!(on_the_bus(&world).await, 2);
}

#[tokio::test]
async fn another_type_at_the_bus_or_the_routes_is_replaced() {
    let world = World::new().await;
    for name in ["shop:bus", "{shop:bus}:routes", "{shop:bus}:nodes"] {
        world.command(&[&"SET", &name, &"no stream, no hash"]).await;
    }
    let tail =
        world.store.probe(Some(Position::default()), Some(Position::default()), 10, LIFE).await.expect("an answer");
    assert_eq!((tail.end.map(|end| end.added), tail.routes), (Some(1), None));
    world.command(&[&"SET", &"shop:bus", &"no stream"]).await;
    position(world.store.invalidate(&of(&[]), None).await);
    assert_eq!(on_the_bus(&world).await, 1);
    let version = world.store.register(&[("f".to_owned(), "r".to_owned())]).await.expect("a version");
    position(world.store.invalidate(&of(&[]), Some(&version)).await);
}

#[tokio::test]
async fn without_replicas_an_invalidation_that_needs_them_does_not_count() {
    let world = World::new().await;
    let mut settings = StoreSettings { min_replicas: 1, ..world.server.settings() };
    settings.servers.op_timeout = Duration::from_millis(500);
    let store = Store::open(settings).await.expect("a server");
    world.command(&[&"SET", &"shop:v1:a", &"x"]).await;
    check_refused(store.invalidate(&of(&["shop:v1:a"]), None).await, Refusal::TooFewReplicas);
    assert!(!world.exists("shop:v1:a").await);
    let done = store.invalidate(&of(&["shop:v1:a"]), Some("0123456789abcdef")).await;
    assert_eq!(done, Ok(Invalidated::RoutesChanged), "nobody was told yet");
}

#[tokio::test]
async fn who_waits_for_replicas_that_are_not_there_is_in_nobodys_way() {
    let world = World::new().await;
    let mut settings = StoreSettings { min_replicas: 1, ..world.server.settings() };
    settings.servers.op_timeout = Duration::from_millis(500);
    let store = Store::open(settings).await.expect("a server");
    let waits = async || world.calls("wait").await;
    check_refused(store.invalidate(&of(&["shop:v1:a"]), None).await, Refusal::TooFewReplicas);
    let first = waits().await;
    for _ in 0..20 {
        check_refused(store.invalidate(&of(&["shop:v1:a"]), None).await, Refusal::TooFewReplicas);
    }
    let later = waits().await - first;
    assert!(later < 3 * first + 20, "{later} waits for 20 invalidations, after {first} for one");
}

#[tokio::test]
async fn a_sweep_takes_what_begins_alike_and_nothing_else() {
    let world = World::new().await;
    let prefix = "shop:v1:[a]*?\\x:";
    let entries: Vec<String> = (0..2_500).map(|i| format!("{prefix}{i}")).collect();
    for entry in &entries {
        world.command(&[&"SET", entry, &"x"]).await;
    }
    let others = ["shop:v1:a-b-x:1", "shop:v1:[a]", "shop:v1:[a]*?x:1", "Shop:v1:[a]*?\\x:1", "x:shop:v1:[a]*?\\x:1"];
    for other in others {
        world.command(&[&"SET", &other, &"x"]).await;
    }
    let sweep = async |prefix: &str| world.store.sweep(&[prefix.to_owned()], true).await;
    assert_eq!(sweep(prefix).await, Ok(2_500));
    for other in others {
        assert!(world.exists(other).await, "{other}");
    }
    assert_eq!(sweep(prefix).await, Ok(0));
    assert_eq!(sweep("shop:").await, Ok(3));
}

#[tokio::test]
async fn what_is_unlinked_in_pieces_is_unlinked_in_rounds() {
    let world = World::new().await;
    let names: Vec<_> = (0..2_500).map(|i| format!("shop:v1:{i}")).collect();
    for (most_rounds, unlinks) in [(1, 3), (3, 9)] {
        let store = Store::open(StoreSettings { most_rounds, ..world.server.settings() }).await.expect("a server");
        let before = world.calls("unlink").await;
        assert_eq!(store.unlink(names.clone()).await, Ok(()));
        assert_eq!(world.calls("unlink").await - before, unlinks);
    }
}

/// They may be made of each other.
#[tokio::test]
async fn whole_functions_are_swept_at_once() {
    let world = World::new().await;
    let prefixes = ["shop:v1:outer:", "shop:v1:inner:"].map(str::to_owned);
    for most_rounds in [1, 3] {
        let store = Store::open(StoreSettings { most_rounds, ..world.server.settings() }).await.expect("a server");
        for name in ["shop:v1:outer:1", "shop:v1:inner:1", "shop:v1:other:1"] {
            world.command(&[&"SET", &name, &"v"]).await;
        }
        let before = world.calls("scan").await;
        assert_eq!(store.sweep(&prefixes, true).await, Ok(2));
        assert_eq!(world.calls("scan").await - before, 1);
        assert!(world.exists("shop:v1:other:1").await);
        assert_eq!(store.rounds(), most_rounds);
    }
}

#[tokio::test]
async fn a_sweep_that_too_few_replicas_have_does_not_count() {
    let world = World::new().await;
    let mut settings = StoreSettings { min_replicas: 1, ..world.server.settings() };
    settings.servers.op_timeout = Duration::from_millis(500);
    let store = Store::open(settings).await.expect("a server");
    let names: Vec<_> = (0..2_500).map(|i| format!("shop:v1:a:{i}")).collect();
    for name in &names {
        world.command(&[&"SET", name, &"x"]).await;
    }
    let sweep = async || store.sweep(&["shop:v1:a:".to_owned()], true).await;
    check_refused(sweep().await, Refusal::TooFewReplicas);
    for name in &names {
        assert!(!world.exists(name).await, "{name} has gone all the same");
    }
    check_refused(sweep().await, Refusal::TooFewReplicas);
}

/// What was unlinked may have been unlinked before, by way of another connection: it is not told to replicas again.
#[tokio::test]
async fn replicas_are_waited_for_whoever_has_written() {
    let primary = Real::start(&[]);
    let replica = Real::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    poll("the replica is ready", || replica.cli(&["INFO", "replication"]).contains("master_link_status:up"));
    let servers =
        ServerSettings { url: primary.url(), op_timeout: Duration::from_secs(2), ..ServerSettings::default() };
    let settings = StoreSettings { servers, app: "shop".to_owned(), min_replicas: 1, ..StoreSettings::default() };
    let store = Store::open(settings).await.expect("a server");
    let sweep = async || store.sweep(&["shop:v1:a:".to_owned()], true).await;
    assert_eq!((sweep().await, store.unlink(vec!["shop:v1:b".to_owned()]).await), (Ok(0), Ok(())));
    replica.signal("STOP");
    primary.cli(&["SET", "shop:v1:b", "x"]);
    primary.cli(&["UNLINK", "shop:v1:b"]);
    check_refused(sweep().await, Refusal::TooFewReplicas);
    check_refused(store.unlink(vec!["shop:v1:b".to_owned()]).await, Refusal::TooFewReplicas);
    replica.signal("CONT");
    while sweep().await.is_err() {}
    let unlink = async || store.unlink(vec!["shop:v1:b".to_owned()]).await;
    assert_eq!(unlink().await, Ok(()));
    // Also where there is no room.
    primary.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    primary.cli(&["UNLINK", "shop:mark:{0}"]);
    assert_eq!(unlink().await, Ok(()));
    replica.signal("STOP");
    primary.cli(&["UNLINK", "shop:mark:{0}"]);
    check_refused(unlink().await, Refusal::TooFewReplicas);
}

/// A connection to it is up, and whatever else it was sent for would be done with each try.
#[tokio::test]
async fn a_bus_that_takes_no_writes_is_not_there() {
    let world = World::new().await;
    let needed = world.store.needs(&["shop:v1:a".to_owned()], true);
    assert_eq!(world.store.lacking(&needed, false).await, BTreeMap::new());
    assert!(!world.exists("shop:bus").await, "nothing was told");
    world.command(&[&"CONFIG", &"SET", &"min-replicas-to-write", &"1"]).await;
    let lacking = world.store.lacking(&needed, false).await;
    let is_refused = |fault: &Fault| matches!(fault, Fault::Refused(Refusal::WritesStopped, _));
    assert!(lacking.keys().eq([&Needed::Bus]) && lacking.values().all(is_refused), "{lacking:?}");
    let untold = world.store.needs(&["shop:v1:a".to_owned()], false);
    assert_eq!(world.store.lacking(&untold, false).await, BTreeMap::new());
}

/// Where so much at once takes too long, less may not, from the first step on.
#[tokio::test]
async fn a_sweep_whose_first_step_is_late_goes_on_in_smaller_ones() {
    let world = World::new().await;
    let mut settings = world.server.settings();
    settings.servers.op_timeout = Duration::from_millis(300);
    let store = Store::open(settings).await.expect("a server");
    world.command(&[&"SET", &"shop:v1:a", &"x"]).await;
    world.command(&[&"CLIENT", &"PAUSE", &"450", &"ALL"]).await;
    assert_eq!(store.sweep(&["shop:v1:".to_owned()], true).await, Ok(1));
}

/// The server takes no writes for longer than one of them may take.
#[tokio::test]
async fn a_sweep_goes_on_behind_a_late_reply() {
    let world = World::new().await;
    let mut settings = world.server.settings();
    settings.servers.op_timeout = Duration::from_millis(300);
    let store = Store::open(settings).await.expect("a server");
    let fill = "for i = 1, 200000 do redis.call('SET', 'shop:v1:' .. i, 'x') end";
    world.command(&[&"EVAL", &fill, &"0"]).await;
    let size = async || match world.command(&[&"DBSIZE"]).await {
        Value::Int(size) => size,
        other => panic!("{other:?}"),
    };
    let hinder = async {
        while size().await > 190_000 {}
        world.command(&[&"CLIENT", &"PAUSE", &"450", &"WRITE"]).await;
        size().await
    };
    let before = world.calls("scan").await;
    let prefixes = ["shop:v1:".to_owned()];
    let (swept, left) = tokio::join!(store.sweep(&prefixes, true), hinder);
    assert!(swept.is_ok() && left > 0, "{swept:?} with {left} left");
    assert_eq!(size().await, 0);
    let scans = world.calls("scan").await - before;
    assert!(scans < 300, "it did not begin anew: {scans}");
}
