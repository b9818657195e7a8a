//! An event ends what it outdates: a writer announces it, cached functions and plain subscribers
//! hear of it, and neither knows the other.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use cache_runtime::{Cache, Error, Event, cached, emits};
use serde::{Deserialize, Serialize};

/// The name of a user has changed.
#[derive(Debug, Event, Serialize, Deserialize)]
struct UserRenamed {
    id: u64,
    to: String,
}

/// What stands for the database.
static NAMES: LazyLock<Mutex<BTreeMap<u64, String>>> =
    LazyLock::new(|| Mutex::new(BTreeMap::from([(1, "Ada".into()), (2, "Grace".into())])));

/// The key names `id`, so the event must have a field `id` of the same type. The compiler checks.
#[cached(ttl = "5m", key = "name:<id>", invalidate_on = "UserRenamed")]
async fn name(id: u64) -> Option<String> {
    println!("  (name {id} is read from the database)");
    names().get(&id).cloned()
}

/// One event may end the values of many functions.
#[cached(ttl = "5m", key = "badge:<id>", invalidate_on = "UserRenamed")]
async fn badge(id: u64) -> String {
    println!("  (badge {id} is drawn)");
    format!("[ {} ]", name(id).await.unwrap_or_default())
}

/// Announces the event after `Ok`, when nobody can read the old name from the database any more.
/// After `Err` it announces nothing.
#[emits(UserRenamed { id, to: to.to_owned() })]
async fn rename(id: u64, to: &str) -> Result<(), UnknownUser> {
    let mut names = names();
    let name = names.get_mut(&id).ok_or(UnknownUser)?;
    to.clone_into(name);
    Ok(())
}

#[derive(Debug)]
struct UnknownUser;

fn names() -> std::sync::MutexGuard<'static, BTreeMap<u64, String>> {
    NAMES.lock().expect("nobody panics with the names in hand")
}

async fn show(title: &str) {
    println!("{title}:");
    println!("{}", badge(1).await);
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let cache = Cache::builder("events").build().await?;
    cache.install()?;
    let mut renames = cache.subscribe::<UserRenamed>();

    show("first").await;
    show("again").await;

    println!("rename 1: {:?}", rename(1, "Ada Lovelace").await);
    show("after the rename").await;

    println!("rename 3: {:?}", rename(3, "Nobody").await);
    show("nothing was announced").await;

    // Whoever writes without `#[emits]` publishes by hand, after the commit.
    names().insert(2, "Grace Hopper".into());
    let receipt = cache.publish(&UserRenamed { id: 2, to: "Grace Hopper".into() }).await?;
    println!("published: {:?}", receipt.delivery());

    for _ in 0..2 {
        let event = renames.recv().await.expect("the cache is still there");
        println!("heard: {event:?}");
    }
    Ok(())
}
