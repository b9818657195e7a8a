//! The bus, its readers, and the routes.

use std::time::Instant;

use super::*;
use crate::store::{Invalidated, Invalidation, LONGEST_MESSAGE, Message, Nodes, Position, Reading, Tail};

async fn tell(world: &World, text: &str) -> Position {
    let fields = vec![("keys", text.as_bytes().to_vec())];
    match world.store.invalidate(&Invalidation { fields, ..Invalidation::default() }, None).await {
        Ok(Invalidated::At(position)) => position,
        other => panic!("{other:?}"),
    }
}

async fn probe(world: &World, last: Option<Position>) -> Tail {
    world.store.probe(last, last, 100, LIFE).await.expect("an answer")
}

#[tokio::test]
async fn where_there_is_no_bus_whoever_looks_begins_one() {
    for last in [None, Some(Position::default()), Some(Position { millis: 9, sequence: 9 })] {
        let world = World::new().await;
        let tail = probe(&world, last).await;
        assert_eq!((tail.end.map(|end| end.added), tail.routes), (Some(1), None));
        assert!(tail.server_millis > 1 << 40);
        // Its first message is for those who read another one.
        let all = vec![("all".to_owned(), b"1".to_vec())];
        let told: Vec<_> = tail.messages.into_iter().map(|message| message.fields).collect();
        assert_eq!(told, if last.is_some() { vec![all] } else { Vec::new() });
        let again = probe(&world, tail.end.map(|end| end.last)).await;
        assert_eq!((again.end, again.messages), (tail.end, Vec::new()));
    }
}

/// The last id that there can be, used by a stranger: Redis adds nothing behind it, and answers nobody who asks for that.
async fn use_last_id(world: &World) -> Position {
    world.command(&[&"XADD", &"shop:bus", &"18446744073709551615-18446744073709551615", &"event", &"E"]).await;
    Position { millis: u64::MAX, sequence: u64::MAX }
}

fn fields(tail: &Tail) -> Vec<&str> {
    tail.messages.iter().map(|message| message.fields[0].0.as_str()).collect()
}

#[tokio::test]
async fn behind_the_last_id_who_tells_begins_another_bus() {
    let world = World::new().await;
    tell(&world, "a").await;
    let last = use_last_id(&world).await;
    assert_eq!(fields(&probe(&world, Some(Position { millis: u64::MAX, sequence: 0 })).await), ["event"]);
    assert_eq!(fields(&probe(&world, Some(Position::default())).await), ["keys", "event"]);
    let told = tell(&world, "b").await;
    assert!(told < last);
    // It ends before what was read.
    let tail = probe(&world, Some(last)).await;
    assert_eq!((tail.end, tail.messages), (Some(Reading { last: told, added: 2 }), Vec::new()));
    assert_eq!(fields(&probe(&world, Some(Position::default())).await), ["all", "keys"]);
}

#[tokio::test]
async fn behind_the_last_id_who_has_read_it_begins_another_bus() {
    let world = World::new().await;
    let last = use_last_id(&world).await;
    let tail = probe(&world, Some(last)).await;
    assert_eq!((tail.end.map(|end| end.added), tail.messages.len()), (Some(1), 0));
    assert_eq!(fields(&probe(&world, Some(Position::default())).await), ["all"]);
    // How far the other one was read says nothing about this one.
    assert_eq!(world.store.nodes().await.expect("an answer").seen[0].applied, Position::default());
    let another = probe(&world, Some(last)).await;
    assert_eq!(another.end, tail.end, "but once");
    assert_eq!(world.store.nodes().await.expect("an answer").seen[0].applied, Position::default());
}

#[tokio::test]
async fn a_probe_reads_what_is_new_oldest_first() {
    let world = World::new().await;
    let mut told = Vec::new();
    for text in ["a", "b", "c"] {
        told.push(tell(&world, text).await);
    }
    let adopted = probe(&world, None).await;
    assert_eq!((adopted.end, adopted.messages.len()), (Some(Reading { last: told[2], added: 3 }), 0));
    let tail = probe(&world, Some(told[0])).await;
    assert_eq!(tail.messages.iter().map(|message| message.position).collect::<Vec<_>>(), told[1..]);
    assert_eq!(tail.messages[0].fields, [("keys".to_owned(), b"b".to_vec())]);
    let few =
        world.store.probe(Some(Position::default()), Some(Position::default()), 2, LIFE).await.expect("an answer");
    assert_eq!((few.messages.len(), few.end), (2, Some(Reading { last: told[2], added: 3 })));
}

/// Adds a message of these fields, the last one of so many bytes.
async fn tell_long(world: &World, fields: &[&str], last: usize) {
    let long = "x".repeat(last);
    let texts = [&["XADD", "shop:bus", "*"], fields, &[long.as_str()]].concat();
    let words: Vec<_> = texts.iter().map(|text| text as &dyn Word).collect();
    world.command(&words).await;
}

#[tokio::test]
async fn of_messages_that_are_too_long_the_names_of_events_are_read() {
    let world = World::new().await;
    let begin = tell(&world, "first").await;
    let name = "n".repeat(2_000);
    tell_long(&world, &["event", "A", "event", &name, "data"], LONGEST_MESSAGE).await;
    tell_long(&world, &["event", "B", "data"], LONGEST_MESSAGE).await;
    tell_long(&world, &["keys"], LONGEST_MESSAGE).await;
    let fields = |message: &Message| -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        message.fields.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let tail = probe(&world, Some(begin)).await;
    let read: Vec<_> = tail.messages.iter().map(fields).collect();
    assert_eq!(read[0], [pair("long", "1050591"), pair("event", "A"), pair("all", "1")]);
    assert_eq!(read[1], [pair("long", "1048586"), pair("event", "B")]);
    assert_eq!(read[2], [pair("long", "1048580"), pair("all", "1")]);
    assert!(!tail.more && read.len() == 3);
    for _ in 0..10 {
        tell_long(&world, &["keys"], LONGEST_MESSAGE).await;
    }
    let many = probe(&world, Some(begin)).await;
    assert_eq!((many.messages.len(), many.more), (8, true), "to look at more would take too long");
}

#[tokio::test]
async fn no_more_is_read_at_once_than_there_is_room_for() {
    let world = World::new().await;
    let mut last = tell(&world, "first").await;
    for _ in 0..70 {
        tell_long(&world, &["event", "A", "data"], 100_000).await;
    }
    let mut batches = Vec::new();
    loop {
        let tail = probe(&world, Some(last)).await;
        batches.push(tail.messages.len());
        last = tail.messages.last().expect("there was more").position;
        if !tail.more {
            assert_eq!(tail.end, Some(Reading { last, added: 71 }));
            break;
        }
    }
    assert_eq!(batches, [10, 10, 10, 10, 10, 10, 10]);
}

#[tokio::test]
async fn many_messages_are_read_in_order_and_in_bounds() {
    let world = World::new().await;
    let mut told = Vec::new();
    for number in 0..200 {
        told.push(tell(&world, &number.to_string()).await);
    }
    let tail = probe(&world, Some(told[0])).await;
    let read: Vec<_> = tail.messages.iter().map(|message| message.position).collect();
    assert_eq!((read.as_slice(), tail.more), (&told[1..=100], true));
    let rest = probe(&world, Some(told[100])).await;
    let read: Vec<_> = rest.messages.iter().map(|message| message.position).collect();
    assert_eq!((read.as_slice(), rest.more), (&told[101..], false));
}

#[tokio::test]
async fn a_bus_that_is_discarded_begins_anew() {
    let world = World::new().await;
    tell(&world, "a").await;
    world.store.discard().await.expect("it is there");
    let tail = probe(&world, Some(Position::default())).await;
    assert_eq!(tail.end.map(|end| end.added), Some(1));
    assert_eq!(tail.messages[0].fields, [("all".to_owned(), b"1".to_vec())]);
}

/// It stands before a look, which mends that.
#[tokio::test]
async fn a_write_of_nothing_does_not_mind_what_stands_anywhere() {
    let world = World::new().await;
    for key in ["shop:bus", "{shop:bus}:nodes", "{shop:bus}:routes"] {
        world.command(&[&"SET", &key, &"text"]).await;
    }
    assert_eq!(world.store.write_nothing().await, Ok(()));
}

#[tokio::test]
async fn trimming_shows_in_what_was_added() {
    let world = World::new().await;
    let first = tell(&world, "first").await;
    for text in ["lost", "lost", "kept"] {
        tell(&world, text).await;
    }
    world.command(&[&"XTRIM", &"shop:bus", &"MAXLEN", &1]).await;
    let tail = probe(&world, Some(first)).await;
    assert_eq!(tail.messages.len(), 1);
    assert_eq!(tail.end.map(|end| end.added), Some(4), "one was read before, one is here: two are missing");
}

#[tokio::test]
async fn the_bus_stays_about_as_long_as_it_is_set() {
    let world = World::new().await;
    let settings = StoreSettings { bus_length: 100, ..world.server.settings() };
    let world = World { store: Store::open(settings).await.expect("a server"), ..world };
    for _ in 0..500 {
        tell(&world, "a").await;
    }
    let Value::Int(length) = world.command(&[&"XLEN", &"shop:bus"]).await else { panic!("a number") };
    assert!((100..=200).contains(&length), "{length}");
    assert_eq!(probe(&world, None).await.end.map(|end| end.added), Some(500));
}

#[tokio::test]
async fn a_flushed_bus_ends_before_its_readers() {
    let world = World::new().await;
    let last = tell(&world, "a").await;
    world.command(&[&"FLUSHALL"]).await;
    assert_eq!(probe(&world, None).await.end.map(|end| end.added), Some(1));
    world.command(&[&"FLUSHALL"]).await;
    world.command(&[&"XADD", &"shop:bus", &"1-1", &"keys", &"[]"]).await;
    let tail = probe(&world, Some(last)).await;
    assert_eq!(tail.end, Some(Reading { last: Position { millis: 1, sequence: 1 }, added: 1 }));
    assert!(tail.messages.is_empty());
}

#[tokio::test]
async fn foreign_messages_come_as_they_are() {
    let world = World::new().await;
    world.command(&[&"XADD", &"shop:bus", &"*", &"event", &"UserUpdated", &"data", &r#"{"id":7}"#]).await;
    world.command(&[&"XADD", &"shop:bus", &"*", &&b"\xff\xfe"[..], &&b"\x00\xff"[..], &"", &""]).await;
    let messages = probe(&world, Some(Position::default())).await.messages;
    let field = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    assert_eq!(messages[0].fields, [field("event", b"UserUpdated"), field("data", br#"{"id":7}"#)]);
    assert_eq!(messages[1].fields, [field("\u{fffd}\u{fffd}", b"\x00\xff"), field("", b"")]);
}

#[tokio::test]
async fn who_listens_hears_of_a_message_or_of_the_end_of_its_time() {
    let world = World::new().await;
    let last = tell(&world, "a").await;
    assert_eq!(world.store.listen(last, Duration::from_millis(20)).await, Ok(()));
    let (heard, _) = tokio::join!(world.store.listen(last, LIFE), tell(&world, "b"));
    assert_eq!(heard, Ok(()));
    assert_eq!(world.store.listen(last, LIFE).await, Ok(()), "it is there already");
}

#[tokio::test]
async fn processes_are_seen_until_their_right_ended_long_ago() {
    let world = World::new().await;
    let last = tell(&world, "a").await;
    probe(&world, Some(last)).await;
    let [ended, unknown] = [world.other("b2").await, world.other("c3").await];
    ended.probe(Some(last), Some(last), 1, Duration::ZERO).await.expect("an answer");
    unknown.probe(None, None, 1, Duration::ZERO).await.expect("an answer");
    for (node, entry) in [("d4", "12-3 1000"), ("e5", "nonsense"), ("f6", "1-1 99999999999999999999x")] {
        world.command(&[&"HSET", &"{shop:bus}:nodes", &node, &entry]).await;
    }
    let mut nodes = world.store.nodes().await.expect("an answer").seen;
    nodes.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>(), ["a1", "b2", "c3"]);
    let remaining = nodes[0].remaining.expect("it may serve");
    assert!(nodes[0].applied == last && remaining <= LIFE && remaining > LIFE / 2, "{nodes:?}");
    assert_eq!((nodes[1].applied, nodes[1].remaining), (last, None));
    assert_eq!((nodes[2].applied, nodes[2].remaining), (Position::default(), None));
    assert_eq!(world.command(&[&"HLEN", &"{shop:bus}:nodes"]).await, Value::Int(4), "the others are forgotten");
    world.store.leave().await;
    assert!(world.store.nodes().await.expect("an answer").seen.iter().all(|node| node.id != "a1"));
}

#[tokio::test]
async fn no_processes_are_seen_where_there_are_none() {
    let world = World::new().await;
    let nobody = Nodes { seen: Vec::new(), kept_for: Duration::ZERO };
    assert_eq!(world.store.nodes().await.as_ref(), Ok(&nobody));
    world.command(&[&"SET", &"{shop:bus}:nodes", &"no hash"]).await;
    assert_eq!(world.store.nodes().await, Ok(nobody));
}

#[tokio::test]
async fn it_is_known_since_when_processes_are_seen() {
    let world = World::new().await;
    let kept_for = async || world.store.nodes().await.expect("an answer").kept_for;
    let begun = Instant::now();
    probe(&world, None).await;
    while kept_for().await < Duration::from_millis(5) {
        probe(&world, None).await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(4));
    world.command(&[&"HSET", &"{shop:bus}:nodes", &":since", &"99999999999999"]).await;
    assert_eq!(kept_for().await, Duration::ZERO, "the clock was set back");
    let hour_ago = probe(&world, None).await.server_millis - 3_600_000;
    world.command(&[&"HSET", &"{shop:bus}:nodes", &":since", &hour_ago]).await;
    assert!(kept_for().await >= Duration::from_hours(1));
    world.command(&[&"FLUSHALL"]).await;
    assert_eq!(kept_for().await, Duration::ZERO);
}

#[tokio::test]
async fn how_far_a_bus_was_read_says_nothing_about_the_next() {
    let world = World::new().await;
    let other = world.other("b2").await;
    for begins in ["told of", "looked at", "discarded"] {
        let last = tell(&world, "a").await;
        probe(&world, Some(last)).await;
        other.probe(Some(last), Some(last), 1, LIFE).await.expect("an answer");
        assert_eq!(world.store.nodes().await.expect("an answer").seen.len(), 2);
        if begins == "discarded" {
            world.store.discard().await.expect("an answer");
        } else {
            world.command(&[&"UNLINK", &"shop:bus"]).await;
        }
        if begins == "told of" {
            tell(&world, "b").await;
        }
        let before = probe(&world, None).await.server_millis;
        let Nodes { seen, kept_for } = world.store.nodes().await.expect("an answer");
        assert_eq!(seen.iter().map(|node| node.id.as_str()).collect::<Vec<_>>(), ["a1"]);
        assert!(kept_for.as_millis() <= u128::from(probe(&world, None).await.server_millis - before), "it begins anew");
    }
}

#[tokio::test]
async fn routes_have_another_version_when_they_change() {
    let world = World::new().await;
    let route = |field: &str, value: &str| (field.to_owned(), value.to_owned());
    assert_eq!(world.store.routes().await, Ok((None, Vec::new())));
    let [both, same] = [
        world.store.register(&[route("f", "1"), route("g", "2")]).await,
        world.other("b2").await.register(&[route("g", "2")]).await,
    ];
    let both = both.expect("a version");
    assert_eq!(same.as_ref(), Ok(&both), "nothing new");
    assert_eq!(probe(&world, None).await.routes.as_ref(), Some(&both));
    let other = world.store.register(&[route("f", "other")]).await.expect("a version");
    assert_ne!(other, both);
    let (version, mut routes) = world.store.routes().await.expect("an answer");
    routes.sort();
    assert_eq!((version, routes), (Some(other), vec![route("f", "other"), route("g", "2")]));
}

#[tokio::test]
async fn routes_and_their_version_are_lost_together() {
    let world = World::new().await;
    let routes = [("f".to_owned(), "1".to_owned())];
    let first = world.store.register(&routes).await.expect("a version");
    world.command(&[&"FLUSHALL"]).await;
    assert_eq!(probe(&world, None).await.routes, None);
    let second = world.store.register(&routes).await.expect("a version");
    assert_ne!(first, second);
}

#[tokio::test]
async fn out_of_memory_the_bus_goes_on() {
    let world = World::new().await;
    world.use_up_memory().await;
    let last = tell(&world, "a").await;
    assert_eq!(probe(&world, None).await.end, Some(Reading { last, added: 1 }));
    assert_eq!(world.store.nodes().await.expect("an answer").seen.len(), 1);
    world.store.register(&[("f".to_owned(), "1".to_owned())]).await.expect("a version");
}
