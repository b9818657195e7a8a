//! Leases that are taken or end at one moment go out together, and each of them has its own outcome.

use super::*;
use crate::redis::store::flush::all;
use crate::store::Ended;

pub(super) const MANY: usize = 100;

pub(super) struct Held {
    pub(super) entry: String,
    pub(super) token: Token,
}

impl Held {
    pub(super) fn value(&self) -> Vec<u8> {
        value(Token([7; 16]), self.entry.as_bytes())
    }
}

/// All of them at once.
pub(super) async fn take_all(store: &Store) -> Vec<Held> {
    let entries = (0..MANY).map(|number| format!("shop:v1:user:{number}"));
    let take = |entry: String| async move {
        let token = Token::fresh();
        let leased = store.lease(&entry, &Over::Nothing, &[], LIFE, token).await;
        assert_eq!(leased, Ok(Leased::Taken(Vec::new())), "{entry}");
        Held { entry, token }
    };
    all(entries.map(take).collect()).await
}

/// All of them at once, each with a value of its own.
pub(super) async fn fill_all(store: &Store, held: &[Held]) -> Vec<Result<Ended, Fault>> {
    end_all(store, held, |_, value| Ending::Fill(value, LIFE)).await
}

/// All of them at once, each as its number says.
pub(super) async fn end_all(
    store: &Store,
    held: &[Held],
    ending: fn(usize, &[u8]) -> Ending<'_>,
) -> Vec<Result<Ended, Fault>> {
    let end = |(number, held): (usize, &Held)| {
        let (value, entry, token) = (held.value(), held.entry.clone(), held.token);
        async move { store.end(&entry, token, ending(number, &value), &[]).await }
    };
    all(held.iter().enumerate().map(end).collect()).await
}

pub(super) async fn slots(store: &Store, held: &[Held]) -> Vec<Slot> {
    let read = |held: &Held| {
        let entry = held.entry.clone();
        async move { store.read(&entry, &[]).await.expect("an answer").slot }
    };
    all(held.iter().map(read).collect()).await
}

/// What the server tells of itself.
pub(super) async fn information(world: &World, section: &str) -> String {
    match world.command(&[&"INFO", &section]).await {
        Value::BulkString(bytes) => String::from_utf8(bytes).expect("statistics are text"),
        Value::VerbatimString { text, .. } => text,
        other => panic!("{other:?}"),
    }
}

/// How many of the store's scripts the server was asked to run.
pub(super) async fn scripts_run(world: &World) -> usize {
    let text = information(world, "commandstats").await;
    let calls = text.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    calls.and_then(|calls| calls.split(',').next()?.parse().ok()).unwrap_or(0)
}

/// Every third lease was revoked meanwhile: its value is refused, and all others stand where they belong.
pub(super) async fn each_has_its_own_outcome(store: &Store, revoke: impl AsyncFnOnce(Vec<String>)) {
    let held = take_all(store).await;
    revoke(held.iter().step_by(3).map(|held| held.entry.clone()).collect()).await;
    let ended = fill_all(store, &held).await;
    for (number, (held, (ended, slot))) in held.iter().zip(ended.into_iter().zip(slots(store, &held).await)).enumerate()
    {
        let is_held = number % 3 != 0;
        assert_eq!(ended, Ok(Ended { held: is_held, stamps: Vec::new() }), "{number}");
        assert_eq!(slot, if is_held { Slot::Value(held.value().into()) } else { Slot::Empty }, "{number}");
    }
}

pub(super) async fn unlink(world: &World, names: &[String]) {
    let words = std::iter::once(&"UNLINK" as &dyn Word).chain(names.iter().map(|name| name as _));
    world.command(&words.collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn leases_of_one_moment_end_in_a_few_scripts_and_each_has_its_own_outcome() {
    let world = World::new().await;
    each_has_its_own_outcome(&world.store, async |revoked| {
        unlink(&world, &revoked).await;
    })
    .await;
    let scripts = scripts_run(&world).await;
    assert!((2..=MANY / 10).contains(&scripts), "{scripts} scripts for {MANY} leases");
}

#[tokio::test]
async fn without_memory_all_that_end_together_are_refused_and_their_slots_are_empty() {
    let world = World::new().await;
    let held = take_all(&world.store).await;
    world.use_up_memory().await;
    for ended in fill_all(&world.store, &held).await {
        check_refused(ended, Refusal::OutOfMemory);
    }
    assert_eq!(slots(&world.store, &held).await, vec![Slot::Empty; MANY]);
}
