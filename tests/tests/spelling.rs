//! Publishers that do not link a function render its keys from JSON, which is not always what its own process renders.

#![cfg(unix)]

use std::marker::PhantomData;
use std::time::Duration;

use cache_runtime::{Cache, Event, KeyPart, cached};
use cache_tests::eventually::eventually;
use cache_tests::on_redis::process;
use cache_tests::redis_server::RedisServer;
use cache_tests::{Gate, Reply};
use serde::{Deserialize, Serialize, Serializer};

use crate::log::Log;

#[path = "faults/log.rs"]
#[expect(dead_code, reason = "the tests of faults ask more of it")]
mod log;

const SOON: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, KeyPart, Serialize, Deserialize)]
struct ProductId {
    value: u64,
}

#[derive(Clone, Copy, KeyPart, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Region {
    EuWest,
}

#[derive(Clone, Copy, KeyPart, Serialize, Deserialize)]
struct Id<T>(u64, PhantomData<T>);

#[derive(Clone, Copy, KeyPart, Serialize, Deserialize)]
struct Place {
    shelf: u8,
    bin: u8,
}

#[derive(Clone, Copy, KeyPart, Serialize, Deserialize)]
enum Spot {
    At(Place),
    Between((u8, u8)),
}

#[derive(Event, Serialize, Deserialize)]
struct Changed {
    product: ProductId,
    region: Region,
    id: Id<String>,
    spots: (Spot, Spot),
    place: Place,
}

#[derive(Event, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Renamed {
    thing_id: u64,
}

/// Whose own code panics: 13 cannot be read, 7 cannot be dropped.
#[derive(Event, Deserialize)]
struct Touchy {
    #[serde(deserialize_with = "touchy")]
    id: u64,
}

fn touchy<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let id = u64::deserialize(deserializer)?;
    assert_ne!(id, 13, "asked to");
    Ok(id)
}

impl Serialize for Touchy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.id)
    }
}

impl Drop for Touchy {
    fn drop(&mut self) {
        assert_ne!(self.id, 7, "asked to");
    }
}

macro_rules! functions {
    ($($name:ident($part:ident: $type:ty) $key:literal on $event:literal;)+) => {$(
        #[cached(ttl = "1m", key = $key, invalidate_on = $event)]
        async fn $name($part: $type, #[cache(skip)] source: &Gate) -> u64 {
            let _ = $part;
            source.load().await
        }
    )+};
}

functions! {
    of_product(product: ProductId) "product:<product>" on "Changed";
    of_region(region: Region) "region:<region>" on "Changed";
    of_id(id: Id<String>) "id:<id>" on "Changed";
    of_spots(spots: (Spot, Spot)) "spots:<spots>" on "Changed";
    of_place(place: Place) "place:<place>" on "Changed";
    of_thing(thing_id: u64) "thing:<thing_id>" on "Renamed";
    of_touchy(id: u64) "touchy:<id>" on "Touchy";
}

const PLACE: Place = Place { shelf: 1, bin: 2 };
const SPOTS: (Spot, Spot) = (Spot::At(PLACE), Spot::Between((3, 4)));

async fn all(source: &Gate) -> [u64; 5] {
    [
        of_product(ProductId { value: 7 }, source).await,
        of_region(Region::EuWest, source).await,
        of_id(Id(7, PhantomData), source).await,
        of_spots(SPOTS, source).await,
        of_place(PLACE, source).await,
    ]
}

/// Says what a process says that does not link the functions: it has unlinked what the JSON names.
fn tell(server: &RedisServer, event: &str, data: &str, covered: &[&str]) {
    let covered = serde_json::to_string(covered).expect("text is JSON");
    let fields = ["by", "another process", "event", event, "data", data, "covered", &covered];
    let told = server.call(&[&["XADD", "test:bus", "*"][..], &fields].concat());
    assert!(matches!(told, Reply::Bytes(_)), "{told:?}");
}

/// The texts of keys that begin like this, as warnings named them: of the event, and of its JSON.
fn told(log: &Log, prefix: &str) -> Vec<[String; 2]> {
    let lines = log.lines("the key of this event is another one than its JSON shows");
    let field = |line: &log::Line, wanted| {
        let found = line.fields.iter().find(|(name, _)| *name == wanted).expect("each warning has it");
        found.1.trim_matches('"').to_owned()
    };
    let texts = lines.iter().map(|line| [field(line, "key"), field(line, "json")]);
    texts.filter(|[key, _]| key.split(':').next() == Some(prefix)).collect()
}

/// What a process that has just started finds in Redis, or loads.
async fn another(server: &RedisServer) -> Cache {
    process(&server.url(), &[]).await
}

#[tokio::test]
async fn what_json_does_not_show_is_made_invalid_by_who_links_the_function() {
    let (log, _listens) = Log::start();
    let server = RedisServer::start();
    let (cache, source) = (another(&server).await, Gate::new());
    assert_eq!(cache.scope(all(&source)).await, [0; 5]);
    source.commit();
    let data = r#"{"product":{"value":7},"region":"eu_west","id":[7,null],"spots":[{"At":{"shelf":1,"bin":2}},{"Between":[3,4]}],"place":{"bin":2,"shelf":1}}"#;
    let covered = ["test:v1:region:eu_west", "test:v1:id:(7,!)", "test:v1:place:(2,1)"];
    tell(&server, "Changed", data, &covered);
    eventually(SOON, async || cache.scope(all(&source)).await == [1; 5]).await;
    tell(&server, "Changed", data, &covered);
    tell(&server, "Renamed", r#"{"thingId":7}"#, &[]);
    eventually(SOON, async || !told(&log, "thing").is_empty()).await;
    assert!(told(&log, "product").is_empty(), "its JSON says it all");
    let expected = [("region", ["EuWest", "eu_west"]), ("id", ["7", "(7,!)"]), ("place", ["(1,2)", "(2,1)"])];
    for (name, [key, json]) in expected {
        assert_eq!(told(&log, name), [[format!("{name}:{key}"), format!("{name}:{json}")]], "once, with both texts");
    }
    assert_eq!(another(&server).await.scope(all(&source)).await, [1; 5], "nor does Redis have the old ones");
}

#[tokio::test]
async fn so_is_a_field_that_has_another_name_in_json() {
    let server = RedisServer::start();
    let (cache, source) = (another(&server).await, Gate::new());
    assert_eq!(cache.scope(of_thing(7, &source)).await, 0);
    source.commit();
    tell(&server, "Renamed", r#"{"thingId":7}"#, &[]);
    eventually(SOON, async || cache.scope(of_thing(7, &source)).await == 1).await;
    assert_eq!(another(&server).await.scope(of_thing(7, &source)).await, 1);
}

/// Then it goes by its JSON.
#[tokio::test]
async fn an_event_whose_own_code_panics_does_not_end_the_reading_of_the_bus() {
    let server = RedisServer::start();
    let (cache, source) = (another(&server).await, Gate::new());
    for id in [13, 7, 1] {
        let before = cache.scope(of_touchy(id, &source)).await;
        source.commit();
        tell(&server, "Touchy", &format!(r#"{{"id":{id}}}"#), &[]);
        eventually(SOON, async || cache.scope(of_touchy(id, &source)).await > before).await;
    }
    assert_eq!(cache.health().gaps(), 0);
}
