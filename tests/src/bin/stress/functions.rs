//! The cached functions, and the slow and unreliable source behind them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{Error, Event, Receipt, cached};
use cache_tests::history::{Nanos, ProcessNumber, Version, now};
use cache_tests::stress::{Counter, Function, Log, Place, Truth, is_special};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// A record was written.
#[derive(Event, Serialize, Deserialize)]
pub(crate) struct RecordChanged {
    pub(crate) group: u64,
    pub(crate) id: u64,
}

/// All records of a group were written.
#[derive(Event, Serialize, Deserialize)]
pub(crate) struct GroupChanged {
    pub(crate) group: u64,
}

/// What is cached: a version, and whose load saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) version: Version,
    pub(crate) by: ProcessNumber,
    /// When the load began.
    pub(crate) at: Nanos,
    /// When it ended.
    pub(crate) kept: Nanos,
}

/// Loads fail now and then.
#[derive(Clone, Debug)]
pub(crate) struct Unlucky;

impl fmt::Display for Unlucky {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(UNLUCKY)
    }
}

impl std::error::Error for Unlucky {}

/// What a load that panics says.
pub(crate) const UNLUCKY: &str = "a load fails now and then";

/// Where loads read.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) truth: Truth,
    pub(crate) log: Arc<Log>,
    pub(crate) process: ProcessNumber,
}

/// A load that has begun: counted, be it dropped.
struct Loading<'a> {
    log: &'a Log,
    is_over: bool,
}

impl<'a> Loading<'a> {
    fn begin(log: &'a Log) -> Self {
        log.count(Counter::LoadsBegun);
        Self { log, is_over: false }
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        self.log.count(if self.is_over { Counter::LoadsEnded } else { Counter::LoadsDropped });
    }
}

impl Origin {
    async fn load(&self, function: Function, group: u64, id: u64) -> Result<Seen, Unlucky> {
        let place = Place { function, record: group * cache_tests::stress::IDS + id };
        let mut loading = Loading::begin(&self.log);
        let at = now();
        pause().await;
        let version = self.truth.version(place.counter()).await;
        pause().await;
        loading.is_over = true;
        if fastrand::u32(0..300) == 0 {
            return Err(Unlucky);
        }
        Ok(Seen { version, by: self.process, at, kept: now() })
    }

    /// For functions that cannot fail.
    async fn load_or_panic(&self, function: Function, group: u64, id: u64) -> Seen {
        self.load(function, group, id).await.expect(UNLUCKY)
    }
}

/// Mostly none, sometimes longer than a lease lives.
async fn pause() {
    let millis = match fastrand::u32(0..1_000) {
        0..600 => return,
        600..850 => return tokio::task::yield_now().await,
        850..960 => 0..5,
        960..996 => 5..60,
        _ => 60..900,
    };
    // tidy: sleep because a source takes its time, and that opens the windows that are looked for
    sleep(Duration::from_millis(fastrand::u64(millis))).await;
}

#[cached(
    ttl = "1m",
    jitter = 10,
    key = "strict-grouped:<group>:<id>",
    l1 = off,
    invalidate_on = ["RecordChanged", "GroupChanged => strict-grouped:<group>:*"]
)]
pub(crate) async fn strict_grouped(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::StrictGrouped, group, id).await
}

#[cached(ttl = "1m", key = "strict-single:<group>:<id>", l1 = off, invalidate_on = "RecordChanged")]
pub(crate) async fn strict_single(group: u64, id: u64, #[cache(skip)] origin: &Origin) -> Seen {
    origin.load_or_panic(Function::StrictSingle, group, id).await
}

#[cached(
    ttl = "1m",
    jitter = 10,
    key = "bounded-grouped:<group>:<id>",
    invalidate_on = ["RecordChanged", "GroupChanged => bounded-grouped:<group>:*"]
)]
pub(crate) async fn bounded_grouped(group: u64, id: u64, #[cache(skip)] origin: &Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::BoundedGrouped, group, id).await
}

#[cached(ttl = "1m", key = "bounded-single:<group>:<id>", invalidate_on = "RecordChanged")]
pub(crate) async fn bounded_single(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Arc<Seen> {
    Arc::new(origin.load_or_panic(Function::BoundedSingle, group, id).await)
}

#[cached(ttl = "1m", key = "strict-put:<group>:<id>", l1 = off)]
pub(crate) async fn strict_put(group: u64, id: u64, #[cache(skip)] origin: &Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::StrictPut, group, id).await
}

#[cached(ttl = "1m", key = "bounded-put:<group>:<id>")]
pub(crate) async fn bounded_put(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::BoundedPut, group, id).await
}

#[cached(ttl = "2s", key = "near:<group>:<id>", l2 = off, invalidate_on = "RecordChanged")]
pub(crate) async fn near(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::Near, group, id).await
}

#[cached(
    ttl = "250ms",
    stale_while_revalidate = "1s",
    key = "near-stale:<group>:<id>",
    l2 = off,
    invalidate_on = ["RecordChanged", "GroupChanged => near-stale:<group>:*"]
)]
pub(crate) async fn near_stale(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::NearStale, group, id).await
}

#[cached(ttl = "250ms", stale_while_revalidate = "1s", key = "stale:<group>:<id>", invalidate_on = "RecordChanged")]
pub(crate) async fn stale(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::Stale, group, id).await
}

#[cached(ttl = "1s", negative_ttl = "500ms", key = "optional:<group>:<id>", invalidate_on = "RecordChanged")]
pub(crate) async fn optional(group: u64, id: u64, #[cache(skip)] origin: &Origin) -> Result<Option<Seen>, Unlucky> {
    Ok(Some(origin.load(Function::Optional, group, id).await?).filter(|seen| !is_special(seen.version)))
}

#[cached(ttl = "1m", store_if = may_be_kept, key = "picky:<group>:<id>", invalidate_on = "RecordChanged")]
pub(crate) async fn picky(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::Picky, group, id).await
}

fn may_be_kept(seen: &Seen) -> bool {
    !is_special(seen.version)
}

#[cached(ttl = "1m", key = "nested:<group>:<id>", l1 = off, invalidate_on = "RecordChanged")]
pub(crate) async fn nested(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Seen {
    pause().await;
    (*bounded_single(group, id, origin).await).clone()
}

#[cached(ttl = "3s", key = "over-near:<group>:<id>", invalidate_on = "RecordChanged")]
pub(crate) async fn over_near(group: u64, id: u64, #[cache(skip)] origin: &Origin) -> Result<Seen, Unlucky> {
    let seen = near(group, id, origin.clone()).await;
    pause().await;
    seen
}

#[cached(ttl = "3s", key = "deep:<group>:<id>", invalidate_on = "RecordChanged")]
pub(crate) async fn deep(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Seen {
    pause().await;
    nested(group, id, origin).await
}

/// Calls the function of this place; nothing where there is nothing.
pub(crate) async fn call(place: Place, origin: &Origin) -> Result<Option<Seen>, Unlucky> {
    let (group, id) = (place.group(), place.id());
    let seen = match place.function {
        Function::StrictGrouped => strict_grouped(group, id, origin.clone()).await,
        Function::StrictSingle => Ok(strict_single(group, id, origin).await),
        Function::BoundedGrouped => bounded_grouped(group, id, origin).await,
        Function::BoundedSingle => Ok((*bounded_single(group, id, origin.clone()).await).clone()),
        Function::StrictPut => strict_put(group, id, origin).await,
        Function::BoundedPut => bounded_put(group, id, origin.clone()).await,
        Function::Near => near(group, id, origin.clone()).await,
        Function::NearStale => near_stale(group, id, origin.clone()).await,
        Function::Stale => stale(group, id, origin.clone()).await,
        Function::Optional => return optional(group, id, origin).await,
        Function::Picky => picky(group, id, origin.clone()).await,
        Function::Nested => Ok(nested(group, id, origin.clone()).await),
        Function::OverNear => over_near(group, id, origin).await,
        Function::Deep => Ok(deep(group, id, origin.clone()).await),
    };
    seen.map(Some)
}

/// Makes the value of this place invalid by its entry.
pub(crate) async fn invalidate(place: Place) -> Result<Receipt, Error> {
    let (group, id) = (place.group(), place.id());
    match place.function {
        Function::StrictGrouped => strict_grouped_entry(group, id).invalidate().await,
        Function::StrictSingle => strict_single_entry(group, id).invalidate().await,
        Function::BoundedGrouped => bounded_grouped_entry(group, id).invalidate().await,
        Function::BoundedSingle => bounded_single_entry(group, id).invalidate().await,
        Function::StrictPut => strict_put_entry(group, id).invalidate().await,
        Function::BoundedPut => bounded_put_entry(group, id).invalidate().await,
        Function::Near => near_entry(group, id).invalidate().await,
        Function::NearStale => near_stale_entry(group, id).invalidate().await,
        Function::Stale => stale_entry(group, id).invalidate().await,
        Function::Optional => optional_entry(group, id).invalidate().await,
        Function::Picky => picky_entry(group, id).invalidate().await,
        Function::Nested => nested_entry(group, id).invalidate().await,
        Function::OverNear => over_near_entry(group, id).invalidate().await,
        Function::Deep => deep_entry(group, id).invalidate().await,
    }
}

/// Puts a value, where values are put.
pub(crate) async fn put(place: Place, value: Seen) -> Result<Receipt, Error> {
    let (group, id) = (place.group(), place.id());
    match place.function {
        Function::StrictPut => strict_put_entry(group, id).put(value).await,
        _ => bounded_put_entry(group, id).put(value).await,
    }
}
