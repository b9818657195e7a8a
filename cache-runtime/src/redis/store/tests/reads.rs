//! Reads of entries and their stamps.

use super::*;
use crate::store::Seen;

#[tokio::test]
async fn a_read_sees_an_entry_and_its_stamps() {
    let world = World::new().await;
    let stamps = names(["a", "b", "c"]);
    let (token, snapshot) = world.take("shop:v1:x", &stamps[..2]).await;
    let seen = world.store.read("shop:v1:x", &stamps).await.expect("a reply");
    let expected = Seen { slot: Slot::Lease(token), stamps: vec![Some(snapshot[0]), Some(snapshot[1]), None] };
    assert_eq!(seen, expected);
    let value = world.fill("shop:v1:x", token).await;
    let seen = world.store.read("shop:v1:x", &[]).await.expect("a reply");
    assert_eq!(seen, Seen { slot: Slot::Value(value.into()), stamps: Vec::new() });
    let seen = world.store.read("shop:v1:y", &[]).await.expect("a reply");
    assert_eq!(seen.slot, Slot::Empty);
}

#[tokio::test]
async fn what_is_no_stamp_is_like_a_missing_one() {
    let world = World::new().await;
    let stamps = names(["short", "hash"]);
    world.command(&[&"SET", &stamps[0], &"15 bytes or less"]).await;
    world.command(&[&"SET", &stamps[0], &"short"]).await;
    world.command(&[&"HSET", &stamps[1], &"f", &"v"]).await;
    world.command(&[&"HSET", &"shop:v1:x", &"f", &"v"]).await;
    let seen = world.store.read("shop:v1:x", &stamps).await.expect("a reply");
    assert_eq!(seen, Seen { slot: Slot::Empty, stamps: vec![None, None] });
}

#[tokio::test]
async fn many_reads_at_once_each_get_their_own() {
    let world = World::new().await;
    let commands = || async { calls_of(&world.command(&[&"INFO", &"commandstats"]).await, "mget") };
    let entries: Vec<String> = (0..300).map(|i| format!("shop:v1:{i}")).collect();
    let values: Vec<Vec<u8>> = entries.iter().map(|entry| value(Token([7; 16]), entry.as_bytes())).collect();
    for (entry, value) in entries.iter().zip(&values) {
        world.command(&[&"SET", entry, value]).await;
    }
    let before = commands().await;
    let reads = entries.iter().map(|entry| world.store.read(entry, &[])).collect();
    for (seen, value) in flush::all(reads).await.into_iter().zip(values) {
        assert_eq!(seen.expect("a reply").slot, Slot::Value(value.into()));
    }
    let batches = commands().await - before;
    // One alone, two early, and the rest.
    assert!(batches <= 4, "{batches} commands for 300 reads");
}

fn calls_of(info: &Value, command: &str) -> u64 {
    let text = match info {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::VerbatimString { text, .. } => text.clone(),
        other => panic!("{other:?}"),
    };
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn large_values_come_whole() {
    let world = World::new().await;
    let bytes = value(Token([1; 16]), &vec![7; 4 << 20]);
    world.command(&[&"SET", &"shop:v1:x", &bytes]).await;
    let reads = (0..5).map(|_| world.store.read("shop:v1:x", &[])).collect();
    for seen in flush::all(reads).await {
        assert!(matches!(seen.expect("a reply").slot, Slot::Value(found) if found == bytes));
    }
}
