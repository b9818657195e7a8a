//! Leases, from their taking to their end.

use super::*;
use crate::names;
use crate::store::Ended;

const ENTRY: &str = "shop:v1:user:42:7";

async fn lease(world: &World, over: Over) -> Leased {
    world.store.lease(ENTRY, &over, &[], LIFE, Token([9; 16])).await.expect("an answer")
}

#[tokio::test]
async fn one_of_two_takes_the_lease() {
    let world = World::new().await;
    let (token, snapshot) = world.take(ENTRY, &[]).await;
    assert!(snapshot.is_empty());
    assert_eq!(lease(&world, Over::Nothing).await, Leased::Held(Slot::Lease(token)));
    assert_eq!(world.bytes(ENTRY).await, Some(slot_bytes("L0", token)));
    let remaining = world.remaining(ENTRY).await;
    assert!(remaining <= LEASE && remaining > LEASE / 2, "{remaining:?}");
}

#[tokio::test]
async fn a_lease_ends_by_itself() {
    let world = World::new().await;
    let (first, _) = world.take(ENTRY, &[]).await;
    world.command(&[&"PEXPIRE", &ENTRY, &1]).await;
    while world.exists(ENTRY).await {}
    assert_eq!(world.store.renew(&[(ENTRY.to_owned(), first)]).await, Ok(vec![false]));
    assert_eq!(lease(&world, Over::Nothing).await, Leased::Taken(Vec::new()));
    let ended = world.store.end(ENTRY, first, Ending::Fill(&value(first, b"late"), LIFE), &[]).await;
    assert_eq!(ended, Ok(Ended { held: false, stamps: Vec::new() }));
    assert_eq!(world.bytes(ENTRY).await, Some(slot_bytes("L0", Token([9; 16]))));
}

#[tokio::test]
async fn what_stands_in_the_way_is_told() {
    let world = World::new().await;
    for (bytes, expected) in [
        (value(Token([1; 16]), b"x"), Slot::Value(value(Token([1; 16]), b"x").into())),
        (slot_bytes("C0", Token([1; 16])), Slot::CoolDown(Token([1; 16]))),
        (b"short".to_vec(), Slot::Garbage(b"short".to_vec())),
        (b"longer than a header is".to_vec(), Slot::Garbage(b"longer than a head".to_vec())),
        (Vec::new(), Slot::Garbage(Vec::new())),
    ] {
        world.command(&[&"SET", &ENTRY, &bytes]).await;
        assert_eq!(lease(&world, Over::Nothing).await, Leased::Held(expected));
        assert_eq!(world.bytes(ENTRY).await, Some(bytes));
    }
    world.command(&[&"UNLINK", &ENTRY]).await;
    world.command(&[&"HSET", &ENTRY, &"f", &"v"]).await;
    assert_eq!(lease(&world, Over::Nothing).await, Leased::Held(Slot::Garbage(Vec::new())));
}

#[tokio::test]
async fn a_lease_is_taken_over_what_begins_as_it_was_seen() {
    let world = World::new().await;
    let old = value(Token([1; 16]), b"old");
    for bytes in [old.clone(), b"short".to_vec(), b"longer than a header is".to_vec(), Vec::new()] {
        world.command(&[&"SET", &ENTRY, &bytes]).await;
        let seen = bytes[..bytes.len().min(18)].to_vec();
        assert_eq!(lease(&world, Over::Head(seen)).await, Leased::Taken(Vec::new()), "{bytes:?}");
        assert_eq!(world.bytes(ENTRY).await, Some(slot_bytes("L0", Token([9; 16]))));
        assert!(world.remaining(ENTRY).await > LEASE / 2);
    }
    world.command(&[&"SET", &ENTRY, &value(Token([2; 16]), b"new")]).await;
    let new = Slot::Value(value(Token([2; 16]), b"new").into());
    assert_eq!(lease(&world, Over::Head(old[..18].to_vec())).await, Leased::Held(new.clone()));
    assert_eq!(lease(&world, Over::Head(Vec::new())).await, Leased::Held(new));
}

#[tokio::test]
async fn a_lease_is_taken_over_another_type_and_over_what_is_gone() {
    let world = World::new().await;
    world.command(&[&"HSET", &ENTRY, &"f", &"v"]).await;
    let seen = Over::Head(b"V0".to_vec());
    assert_eq!(lease(&world, seen.clone()).await, Leased::Held(Slot::Garbage(Vec::new())));
    assert_eq!(lease(&world, Over::Head(Vec::new())).await, Leased::Taken(Vec::new()));
    for over in [seen, Over::Head(Vec::new())] {
        world.command(&[&"UNLINK", &ENTRY]).await;
        assert_eq!(lease(&world, over).await, Leased::Taken(Vec::new()));
    }
}

#[tokio::test]
async fn who_holds_the_lease_fills() {
    let world = World::new().await;
    let (token, _) = world.take(ENTRY, &[]).await;
    let wrong = world.store.end(ENTRY, Token([1; 16]), Ending::Fill(&value(token, b"x"), LIFE), &[]).await;
    assert!(!wrong.expect("an answer").held);
    let filled = world.fill(ENTRY, token).await;
    assert_eq!(world.bytes(ENTRY).await, Some(filled.clone()));
    let remaining = world.remaining(ENTRY).await;
    assert!(remaining <= LIFE && remaining > LIFE / 2, "{remaining:?}");
    // A lease fills once, and what it filled is its own no more.
    for ending in [Ending::Fill(&value(token, b"again"), LIFE), Ending::Release, Ending::CoolDown(LIFE)] {
        assert!(!world.store.end(ENTRY, token, ending, &[]).await.expect("an answer").held, "{ending:?}");
    }
    assert_eq!(world.bytes(ENTRY).await, Some(filled));
}

#[tokio::test]
async fn whoever_removes_an_entry_revokes_its_lease() {
    let world = World::new().await;
    for removal in ["UNLINK", "DEL"] {
        let (token, _) = world.take(ENTRY, &[]).await;
        world.command(&[&removal, &ENTRY]).await;
        let ended = world.store.end(ENTRY, token, Ending::Fill(&value(token, b"x"), LIFE), &[]).await;
        assert!(!ended.expect("an answer").held);
        assert!(!world.exists(ENTRY).await);
        assert_eq!(world.store.renew(&[(ENTRY.to_owned(), token)]).await, Ok(vec![false]));
    }
    let (token, _) = world.take(ENTRY, &[]).await;
    assert_eq!(lease(&world, Over::Head(slot_bytes("L0", token))).await, Leased::Taken(Vec::new()));
    let ended = world.store.end(ENTRY, token, Ending::Fill(&value(token, b"x"), LIFE), &[]).await;
    assert!(!ended.expect("an answer").held, "stolen");
}

#[tokio::test]
async fn a_lease_is_released_by_its_holder_alone() {
    let world = World::new().await;
    let (token, _) = world.take(ENTRY, &[]).await;
    for ending in [Ending::Release, Ending::CoolDown(LIFE)] {
        let ended = world.store.end(ENTRY, Token([1; 16]), ending, &[]).await.expect("an answer");
        assert!(!ended.held);
        assert_eq!(world.bytes(ENTRY).await, Some(slot_bytes("L0", token)));
    }
    assert!(world.store.end(ENTRY, token, Ending::Release, &[]).await.expect("an answer").held);
    assert!(!world.exists(ENTRY).await);
}

#[tokio::test]
async fn a_failed_load_leaves_a_cool_down() {
    let world = World::new().await;
    let (token, _) = world.take(ENTRY, &[]).await;
    assert!(world.store.end(ENTRY, token, Ending::CoolDown(LIFE), &[]).await.expect("an answer").held);
    assert_eq!(lease(&world, Over::Nothing).await, Leased::Held(Slot::CoolDown(token)));
    assert!(world.remaining(ENTRY).await <= LIFE);
    assert!(!world.store.end(ENTRY, token, Ending::Release, &[]).await.expect("an answer").held);
}

#[tokio::test]
async fn whatever_stands_at_a_key_no_operation_breaks_over_it() {
    let world = World::new().await;
    let token = Token([1; 16]);
    for bytes in [&b""[..], b"V", b"L0", b"L01111", &[0; 18], b"longer than a header of a value is"] {
        world.command(&[&"SET", &ENTRY, &bytes]).await;
        check_untouched(&world, token).await;
        assert_eq!(world.bytes(ENTRY).await.as_deref(), Some(bytes));
    }
    world.command(&[&"UNLINK", &ENTRY]).await;
    world.command(&[&"HSET", &ENTRY, &"f", &"v"]).await;
    check_untouched(&world, token).await;
    assert!(world.exists(ENTRY).await);
}

async fn check_untouched(world: &World, token: Token) {
    let store = &world.store;
    assert!(matches!(store.watch(ENTRY, token).await, Ok(Slot::Garbage(_))));
    assert_eq!(store.renew(&[(ENTRY.to_owned(), token)]).await, Ok(vec![false]));
    assert_eq!(store.refresh(ENTRY, token, LEASE).await, Ok(false));
    for ending in [Ending::Fill(b"V", LIFE), Ending::Release, Ending::CoolDown(LIFE)] {
        assert!(!store.end(ENTRY, token, ending, &[]).await.expect("an answer").held);
    }
}

#[tokio::test]
async fn leases_are_renewed_one_by_one() {
    let world = World::new().await;
    let entries: Vec<String> = (0..300).map(|i| format!("shop:v1:{i}")).collect();
    let mut leases = Vec::new();
    for entry in &entries {
        leases.push((entry.clone(), world.take(entry, &[]).await.0));
        world.command(&[&"PEXPIRE", entry, &5_000]).await;
    }
    leases[7].1 = Token([1; 16]);
    world.command(&[&"UNLINK", &entries[8]]).await;
    let held = world.store.renew(&leases).await.expect("an answer");
    assert!(held.iter().enumerate().all(|(i, held)| *held != [7, 8].contains(&i)));
    assert!(world.remaining(&entries[299]).await > LEASE / 2);
    assert!(world.remaining(&entries[7]).await <= Duration::from_secs(5));
    assert_eq!(world.store.renew(&[]).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_refresh_has_one_holder_for_its_time() {
    let world = World::new().await;
    let (etag, _) = world.take(ENTRY, &[]).await;
    assert_eq!(world.store.refresh(ENTRY, etag, LEASE).await, Ok(false), "a lease is no value");
    let filled = world.fill(ENTRY, etag).await;
    assert_eq!(world.store.refresh(ENTRY, Token([1; 16]), LEASE).await, Ok(false));
    assert_eq!(world.store.refresh(ENTRY, etag, Duration::from_millis(1)).await, Ok(true));
    while world.store.refresh(ENTRY, etag, LEASE).await != Ok(true) {}
    assert_eq!(world.store.refresh(ENTRY, etag, LEASE).await, Ok(false));
    let bytes = world.bytes(ENTRY).await.expect("a value");
    assert_eq!((&bytes[..18], &bytes[26..]), (&filled[..18], &filled[26..]));
    let end = u64::from_be_bytes(bytes[18..26].try_into().expect("eight bytes"));
    assert!((1 << 40..1 << 44).contains(&end), "{end}");
    assert!(world.remaining(ENTRY).await > LIFE / 2);
}

#[tokio::test]
async fn a_refresh_lease_without_an_end_holds_nobody_up() {
    let world = World::new().await;
    let etag = Token([3; 16]);
    let mut damaged = value(etag, b"x");
    damaged[18..26].fill(0xff);
    world.command(&[&"SET", &ENTRY, &damaged]).await;
    assert_eq!(world.store.refresh(ENTRY, etag, LEASE).await, Ok(true));
}

#[tokio::test]
async fn a_wake_up_reaches_who_waits() {
    let world = World::new().await;
    let other = world.other("b2").await;
    for ending in [Ending::Fill(b"V0", LIFE), Ending::Release, Ending::CoolDown(LIFE)] {
        world.command(&[&"UNLINK", &ENTRY]).await;
        let (token, _) = world.take(ENTRY, &[]).await;
        let wake = other.waker(ENTRY);
        subscribed(&world, ENTRY).await;
        assert_eq!(other.watch(ENTRY, Token([1; 16])).await, Ok(Slot::Lease(token)), "another lease");
        assert_eq!(world.bytes(ENTRY).await, Some(slot_bytes("L0", token)));
        assert_eq!(other.watch(ENTRY, token).await, Ok(Slot::Lease(token)));
        assert_eq!(world.bytes(ENTRY).await, Some(slot_bytes("L1", token)));
        assert!(world.remaining(ENTRY).await > LEASE / 2, "marking does not make it last for ever");
        // A waited-for lease is held as any other.
        assert_eq!(world.store.renew(&[(ENTRY.to_owned(), token)]).await, Ok(vec![true]));
        assert!(world.store.end(ENTRY, token, ending, &[]).await.expect("an answer").held);
        tokio::time::timeout(Duration::from_secs(10), wake).await.expect("a wake-up");
    }
}

/// Somebody hears the wake-ups of the entry.
pub(super) async fn subscribed(world: &World, entry: &str) {
    let channel = format!("shop:wake:{}", names::stripe(entry));
    let Value::BulkString(channel_bytes) = Value::BulkString(channel.clone().into_bytes()) else { unreachable!() };
    loop {
        let answer = world.command(&[&"PUBSUB", &"CHANNELS", &channel]).await;
        if answer == Value::Array(vec![Value::BulkString(channel_bytes.clone())]) {
            return;
        }
    }
}

#[tokio::test]
async fn who_comes_too_late_for_the_wake_up_sees_what_there_is() {
    let world = World::new().await;
    let (token, _) = world.take(ENTRY, &[]).await;
    let wake = world.store.waker(ENTRY);
    let filled = world.fill(ENTRY, token).await;
    assert_eq!(world.store.watch(ENTRY, token).await, Ok(Slot::Value(filled.into())));
    drop(wake);
    world.command(&[&"UNLINK", &ENTRY]).await;
    assert_eq!(world.store.watch(ENTRY, token).await, Ok(Slot::Empty));
}

#[tokio::test]
async fn nobody_is_woken_where_nobody_waits() {
    let world = World::new().await;
    let mut wake = Box::pin(world.store.waker(ENTRY));
    subscribed(&world, ENTRY).await;
    let (token, _) = world.take(ENTRY, &[]).await;
    world.fill(ENTRY, token).await;
    // On the connection that hears wake-ups, behind whatever was published.
    world.command(&[&"PING"]).await;
    assert!(wake.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
}

#[tokio::test]
async fn racing_leasers_agree_on_the_stamps() {
    let world = World::new().await;
    let (other, stamps) = (world.other("b2").await, names(["a", "b"]));
    let (first, second) = tokio::join!(
        world.store.lease("shop:v1:x", &Over::Nothing, &stamps, LIFE, Token::fresh()),
        other.lease("shop:v1:y", &Over::Nothing, &stamps, LIFE, Token::fresh()),
    );
    let (Ok(Leased::Taken(first)), Ok(Leased::Taken(second))) = (first, second) else { panic!("both are free") };
    assert_eq!(first, second);
    assert_ne!(first[0], first[1]);
    for stamp in &stamps {
        assert!(world.remaining(stamp).await > LIFE / 2);
    }
}

#[tokio::test]
async fn a_stamp_lives_as_long_as_the_longest_of_its_members() {
    let world = World::new().await;
    let stamps = names(["a"]);
    let take = |entry, life| world.store.lease(entry, &Over::Nothing, &stamps, life, Token([1; 16]));
    let mut snapshots = Vec::new();
    for (entry, life, at_least) in [("x", 10, 9), ("y", 100, 99), ("z", 10, 99)] {
        snapshots.push(take(entry, Duration::from_secs(life)).await.expect("an answer"));
        assert!(world.remaining(&stamps[0]).await > Duration::from_secs(at_least - 5));
    }
    assert!(snapshots.iter().all(|snapshot| *snapshot == snapshots[0]));
}

#[tokio::test]
async fn a_stamp_that_went_during_the_load_is_seen_at_its_end() {
    let world = World::new().await;
    let stamps = names(["a", "b"]);
    let (token, snapshot) = world.take(ENTRY, &stamps).await;
    world.command(&[&"UNLINK", &stamps[1]]).await;
    let ended = world.store.end(ENTRY, token, Ending::Fill(&value(token, b"x"), LIFE), &stamps).await;
    assert_eq!(ended, Ok(Ended { held: true, stamps: vec![Some(snapshot[0]), None] }));
    let (_, later) = world.take("shop:v1:other", &stamps).await;
    assert_eq!(later[0], snapshot[0]);
    assert_ne!(later[1], snapshot[1], "a nonce never comes twice");
}

#[tokio::test]
async fn stamps_are_read_at_the_end_after_the_scripts_were_flushed() {
    let world = World::new().await;
    let stamps = names(["a"]);
    let (token, snapshot) = world.take(ENTRY, &stamps).await;
    world.command(&[&"SCRIPT", &"FLUSH"]).await;
    let ended = world.store.end(ENTRY, token, Ending::Fill(&value(token, b"x"), LIFE), &stamps).await;
    assert_eq!(ended, Ok(Ended { held: true, stamps: vec![Some(snapshot[0])] }));
    world.command(&[&"SCRIPT", &"FLUSH"]).await;
    assert_eq!(world.store.refresh(ENTRY, token, LEASE).await, Ok(true));
}

#[tokio::test]
async fn what_is_no_stamp_is_replaced() {
    let world = World::new().await;
    let stamps = names(["short", "hash", "good"]);
    world.command(&[&"SET", &stamps[0], &"short"]).await;
    world.command(&[&"HSET", &stamps[1], &"f", &"v"]).await;
    world.command(&[&"SET", &stamps[2], &"exactly 16 bytes"]).await;
    let (token, snapshot) = world.take(ENTRY, &stamps).await;
    assert_eq!(snapshot[2], Stamp(*b"exactly 16 bytes"));
    let expected: Vec<_> = snapshot.into_iter().map(Some).collect();
    let ended = world.store.end(ENTRY, token, Ending::Release, &stamps).await;
    assert_eq!(ended, Ok(Ended { held: true, stamps: expected }));
}

#[tokio::test]
async fn out_of_memory_refuses_leases_and_fills_but_no_release() {
    let world = World::new().await;
    let stamps = names(["a"]);
    let (filling, snapshot) = world.take("shop:v1:filling", &stamps).await;
    let (failing, _) = world.take("shop:v1:failing", &stamps).await;
    let (releasing, _) = world.take("shop:v1:releasing", &[]).await;
    world.use_up_memory().await;
    check_refused(world.store.lease(ENTRY, &Over::Nothing, &[], LIFE, Token::fresh()).await, Refusal::OutOfMemory);
    assert_eq!(world.store.watch("shop:v1:filling", filling).await, Ok(Slot::Lease(filling)));
    let bytes = value(filling, b"x");
    let fill = world.store.end("shop:v1:filling", filling, Ending::Fill(&bytes, LIFE), &stamps).await;
    check_refused(fill, Refusal::OutOfMemory);
    assert!(!world.exists("shop:v1:filling").await, "nobody waits for what is not kept");
    let ended = world.store.end("shop:v1:failing", failing, Ending::CoolDown(LIFE), &stamps).await;
    assert_eq!(ended, Ok(Ended { held: true, stamps: vec![Some(snapshot[0])] }));
    assert_eq!(world.bytes("shop:v1:failing").await, Some(slot_bytes("C0", failing)));
    assert!(world.store.end("shop:v1:releasing", releasing, Ending::Release, &[]).await.expect("an answer").held);
    assert!(!world.exists("shop:v1:releasing").await);
}
