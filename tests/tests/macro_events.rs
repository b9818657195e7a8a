//! `invalidate_on` and `#[emits]`: which values an event is about, and when it is published.

use std::sync::Arc;

use async_trait::async_trait;
use cache_runtime::{Cache, Event, KeyPart, cached, emits, registry};
use cache_tests::cache;
use futures::{FutureExt, StreamExt};
use serde::{Deserialize, Serialize};

mod events {
    use cache_runtime::Event;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize, Debug, PartialEq)]
    pub(crate) struct UserUpdated {
        pub(crate) tenant: u64,
        pub(crate) id: String,
    }
}

use events::UserUpdated;

#[derive(Event, Serialize, Deserialize, Debug)]
#[event(name = "tenant.purged")]
struct TenantPurged {
    tenant: Tenant,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, KeyPart)]
struct Tenant(u64);

#[derive(Event, Serialize, Deserialize, Debug)]
struct EverythingChanged;

#[derive(Event, Serialize, Deserialize, Debug)]
struct RenamedInPlace {
    user: UserId,
}

#[derive(Serialize, Deserialize, Debug)]
struct UserId {
    tenant: Arc<u64>,
    name: Option<String>,
    r#type: u8,
}

#[cached(
    ttl = "5m",
    key = "user:<tenant>:<id>",
    invalidate_on = [
        "events::UserUpdated",
        "EverythingChanged => user:*",
        "crate::RenamedInPlace => user:<user.tenant>:*",
    ]
)]
async fn user(tenant: u64, id: &str) -> String {
    format!("{tenant} {id}")
}

#[cached(
    ttl = "5m",
    key = "orders:<tenant>:<type>:<page>:<query:hash>",
    invalidate_on = ["TenantPurged => orders:<tenant>:*", "EverythingChanged => orders:*"]
)]
async fn orders(tenant: Tenant, r#type: u8, page: u32, query: String) -> String {
    format!("{tenant:?} {page} {query} {type}")
}

#[cached(
    ttl = "5m",
    key = "typed:<kind.type>:<kind.name:hash>",
    invalidate_on = "RenamedInPlace => typed:<user.type>:<user.name:hash>"
)]
async fn typed(kind: &UserId) -> u8 {
    kind.r#type
}

#[cached(ttl = "5m", key = "config", invalidate_on = "EverythingChanged")]
async fn config() -> u64 {
    1
}

trait Kept: Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static {}
impl<T: Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static> Kept for T {}

async fn is_kept<T: Kept>(entry: cache_runtime::Entry<T>) -> bool {
    entry.peek().await.expect("embedded").is_some()
}

async fn publish(event: &impl Event) {
    Cache::current().publish(event).await.expect("embedded");
}

#[tokio::test]
async fn a_bare_event_is_about_one_key() {
    cache()
        .await
        .scope(async {
            user(1, "a").await;
            user(1, "b").await;
            publish(&UserUpdated { tenant: 1, id: "a".to_owned() }).await;
            assert!(!is_kept(user_entry(1, "a")).await);
            assert!(is_kept(user_entry(1, "b")).await);
            config().await;
            publish(&EverythingChanged).await;
            assert!(!is_kept(config_entry()).await);
            assert!(!is_kept(user_entry(1, "b")).await);
        })
        .await;
}

#[tokio::test]
async fn a_pattern_is_about_a_group() {
    cache()
        .await
        .scope(async {
            for tenant in [1, 2] {
                orders(Tenant(tenant), 0, 1, "q".to_owned()).await;
                orders(Tenant(tenant), 0, 2, "q".to_owned()).await;
            }
            publish(&TenantPurged { tenant: Tenant(1) }).await;
            assert!(!is_kept(orders_entry(Tenant(1), 0, 1, "q".to_owned())).await);
            assert!(!is_kept(orders_entry(Tenant(1), 0, 2, "q".to_owned())).await);
            assert!(is_kept(orders_entry(Tenant(2), 0, 1, "q".to_owned())).await);
        })
        .await;
}

#[tokio::test]
async fn patterns_reach_into_fields() {
    let event = |tenant: u64, name: &str, r#type| RenamedInPlace {
        user: UserId { tenant: Arc::new(tenant), name: Some(name.to_owned()), r#type },
    };
    cache()
        .await
        .scope(async {
            user(1, "a").await;
            let kind = event(9, "a", 3).user;
            typed(&kind).await;
            publish(&event(1, "b", 3)).await;
            assert!(!is_kept(user_entry(1, "a")).await);
            assert!(is_kept(typed_entry(&kind)).await);
            publish(&event(2, "a", 3)).await;
            assert!(!is_kept(typed_entry(&kind)).await);
        })
        .await;
}

#[test]
fn the_registry_knows_the_events() {
    let events = |name: &str| {
        let function = registry().find(name).expect("linked in");
        function.events().map(|(event, pattern)| format!("{event} => {pattern}")).collect::<Vec<_>>()
    };
    let expected =
        ["UserUpdated => user:<tenant>:<id>", "EverythingChanged => user:*", "RenamedInPlace => user:<user.tenant>:*"];
    assert_eq!(events("user"), expected);
    assert_eq!(events("orders")[0], "tenant.purged => orders:<tenant>:*");
    assert_eq!(events("config"), ["EverythingChanged => config"]);
    assert_eq!((UserUpdated::NAME, TenantPurged::NAME), ("UserUpdated", "tenant.purged"));
}

#[derive(Event, Serialize, Deserialize, Debug, PartialEq)]
struct Saved {
    id: u64,
    text: String,
}

/// What `call` published, as text.
async fn published<T>(call: impl Future<Output = T>) -> (T, Vec<String>) {
    let cache = cache().await;
    let (saved, updated) = (cache.subscribe::<Saved>(), cache.subscribe::<UserUpdated>());
    let result = cache.scope(call).await;
    let mut events = Vec::new();
    let (mut saved, mut updated) = (saved.boxed(), updated.boxed());
    while let Some(Some(event)) = saved.next().now_or_never() {
        events.push(format!("{event:?}"));
    }
    while let Some(Some(event)) = updated.next().now_or_never() {
        events.push(format!("{event:?}"));
    }
    (result, events)
}

#[emits(Saved { id, text: format!("{name}{}", result.len()) })]
async fn save(id: u64, name: String, fails: bool) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    if fails {
        return Err("it fails".into());
    }
    let parsed: u8 = "7".parse()?;
    drop(name);
    Ok(vec![parsed; 3])
}

#[tokio::test]
async fn an_event_is_published_after_success_only() {
    let (result, events) = published(save(1, "a".to_owned(), false)).await;
    assert_eq!(result.expect("it does not fail"), [7; 3]);
    assert_eq!(events, [r#"Saved { id: 1, text: "a3" }"#]);
    let (result, events) = published(save(1, "a".to_owned(), true)).await;
    assert!(result.is_err());
    assert_eq!(events, [""; 0]);
}

#[emits(Saved { id: *result, text: String::new() }, UserUpdated { tenant: a + b, id: rest.join("-") })]
async fn two_events(
    mut a: u64,
    (b, _): (u64, u64),
    #[expect(unused_mut, reason = "kept")] mut rest: Vec<String>,
) -> u64 {
    a += b;
    drop(rest);
    a * 10
}

#[tokio::test]
async fn several_events_of_a_plain_function() {
    let call = two_events(1, (2, 3), vec!["x".to_owned(), "y".to_owned()]);
    let (result, events) = published(call).await;
    assert_eq!(result, 30);
    assert_eq!(events, [r#"Saved { id: 30, text: "" }"#, r#"UserUpdated { tenant: 3, id: "x-y" }"#]);
}

struct Store {
    tenant: u64,
    cache: Cache,
}

fn saved(id: u64, text: &str) -> Saved {
    Saved { id, text: text.to_owned() }
}

impl Store {
    #[emits(UserUpdated { tenant: self.tenant, id: id.to_owned() })]
    async fn by_reference(&self, id: &str) -> anyhow::Result<()> {
        anyhow::ensure!(!id.is_empty(), "no id");
        Ok(())
    }

    #[emits(UserUpdated { tenant: self.tenant, id: format!("{}", self.tenant) })]
    async fn by_arc(self: Arc<Self>) -> Result<Self, Arc<Self>> {
        Arc::try_unwrap(self)
    }

    #[emits(saved(self.tenant, text), cache = self.cache)]
    async fn on_its_own_cache(&self, text: &str) {}

    #[emits(saved(result.as_ref().map_or(0, |made| made.tenant), "made"))]
    async fn made(tenant: u64, cache: Cache) -> Option<Self> {
        (tenant > 0).then_some(Self { tenant, cache })
    }
}

#[tokio::test]
async fn methods_publish() {
    let store = Arc::new(Store { tenant: 5, cache: cache().await });
    let (_, events) = published(store.by_reference("a")).await;
    assert_eq!(events, [r#"UserUpdated { tenant: 5, id: "a" }"#]);
    let (_, events) = published(store.by_reference("")).await;
    assert_eq!(events, [""; 0]);
    let mut own = store.cache.subscribe::<Saved>().boxed();
    let ((), events) = published(store.on_its_own_cache("x")).await;
    assert_eq!(events, [""; 0]);
    assert_eq!(own.next().now_or_never().flatten().as_deref(), Some(&saved(5, "x")));
    let (_, events) = published(store.by_arc()).await;
    // The event's own clone is alive while the body runs.
    assert_eq!(events, [""; 0]);
    let (made, events) = published(Store::made(3, cache().await)).await;
    assert_eq!(made.map(|made| made.tenant), Some(3));
    assert_eq!(events, [r#"Saved { id: 3, text: "made" }"#]);
}

#[async_trait]
trait Writer {
    #[emits(saved(id, name))]
    async fn write(&self, id: u64, name: &str) -> Result<usize, String> {
        if id == 0 { Err(name.to_owned()) } else { Ok(name.len()) }
    }
}

struct Plain;

#[async_trait]
impl Writer for Plain {}

#[tokio::test]
async fn methods_of_async_trait_publish() {
    let writer: Arc<dyn Writer + Send + Sync> = Arc::new(Plain);
    let call = tokio::spawn(async move { published(writer.write(1, "ab")).await });
    let (result, events) = call.await.expect("no panic");
    assert_eq!(result, Ok(2));
    assert_eq!(events, [r#"Saved { id: 1, text: "ab" }"#]);
}

#[emits(saved(id, "loaded"))]
#[cached(ttl = "5m", key = "outside:<id>")]
async fn emits_outside(id: u64) -> u64 {
    id
}

#[cached(ttl = "5m", key = "inside:<id>")]
#[emits(saved(id, "called"))]
async fn emits_inside(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn the_upper_attribute_is_the_inner_one() {
    let (_, events) = published(async { emits_outside(1).await + emits_outside(1).await }).await;
    assert_eq!(events.len(), 1, "one for each load");
    let (_, events) = published(async { emits_inside(1).await + emits_inside(1).await }).await;
    assert_eq!(events.len(), 2, "one for each call");
}
