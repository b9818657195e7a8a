//! The cached functions of the simulation, and the source of truth behind them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{Error, Event, Peek, Receipt, cached};
use cache_tests::history::{KeyNumber, Nanos, ProcessNumber, Version};
use serde::{Deserialize, Serialize};

use crate::shared::{Loading, shared};
use crate::world::{now, sleep};

/// Groups of records.
pub(crate) const GROUPS: u64 = 2;
/// Records in each group.
const IDS: u64 = 3;
/// All records.
pub(crate) const RECORDS: u64 = GROUPS * IDS;

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

/// The cached functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    /// Without an in-process tier.
    Strict,
    /// The same, in a group; loads run in the caller's task.
    StrictGrouped,
    /// In both tiers; loads run in a task of their own.
    Bounded,
    /// In both tiers, in a group; loads run in the caller's task.
    BoundedGrouped,
    /// Served past its ttl while it is refreshed.
    Stale,
    /// Every fourth version is that there is nothing.
    Optional,
    /// Without an in-process tier; values are put.
    StrictPut,
    /// In both tiers; values are put.
    BoundedPut,
    /// In the in-process tier alone.
    Near,
    /// The same, served past its ttl while it is refreshed, in a group.
    NearStale,
    /// Without an in-process tier, over `Bounded`: a load inside a load.
    Nested,
    /// In both tiers, over `Near`.
    OverNear,
    /// In the in-process tier alone, over `Near`.
    NestedNear,
    /// In both tiers, over `Nested`.
    Deep,
}

impl Function {
    pub(crate) const ALL: [Self; 14] = [
        Self::Strict,
        Self::StrictGrouped,
        Self::Bounded,
        Self::BoundedGrouped,
        Self::Stale,
        Self::Optional,
        Self::StrictPut,
        Self::BoundedPut,
        Self::Near,
        Self::NearStale,
        Self::Nested,
        Self::OverNear,
        Self::NestedNear,
        Self::Deep,
    ];

    /// So many of them there were from the beginning.
    pub(crate) const FIRST: usize = 8;

    pub(crate) fn is_strict(self) -> bool {
        matches!(self, Self::Strict | Self::StrictGrouped | Self::StrictPut | Self::Nested)
    }

    pub(crate) fn is_put(self) -> bool {
        matches!(self, Self::StrictPut | Self::BoundedPut)
    }

    pub(crate) fn is_nested(self) -> bool {
        matches!(self, Self::Nested | Self::OverNear | Self::NestedNear | Self::Deep)
    }

    pub(crate) fn is_grouped(self) -> bool {
        matches!(self, Self::StrictGrouped | Self::BoundedGrouped | Self::NearStale)
    }

    /// The longest that a value may be served after it was loaded.
    pub(crate) fn longest_life(self) -> Duration {
        match self {
            Self::Strict | Self::StrictGrouped | Self::StrictPut => Duration::from_secs(4),
            // A second, and two more while it is refreshed.
            Self::Stale | Self::Bounded | Self::BoundedGrouped | Self::BoundedPut | Self::Near | Self::NearStale => {
                Duration::from_secs(3)
            }
            Self::Optional => Duration::from_secs(2),
            // What they are over, and then their own.
            Self::Nested | Self::OverNear | Self::NestedNear => Duration::from_secs(3 + 2),
            Self::Deep => Duration::from_secs(3 + 2 + 2),
        }
    }
}

/// A cached value: a function and its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) function: Function,
    pub(crate) record: u64,
}

impl Place {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let of = |function| (0..RECORDS).map(move |record| Self { function, record });
        Function::ALL.into_iter().flat_map(of)
    }

    /// The number under which it is logged.
    pub(crate) fn number(self) -> KeyNumber {
        let number = self.function as u64 * RECORDS + self.record;
        KeyNumber::try_from(number).expect("there are few places")
    }

    /// The place with this number.
    pub(crate) fn of(number: KeyNumber) -> Self {
        Self::all().nth(number as usize).expect("it is a place's number")
    }

    /// The counter of its commits. Values that are put have counters of their own, and one writer at a time.
    pub(crate) fn counter(self) -> usize {
        let row = match self.function {
            Function::StrictPut => 1,
            Function::BoundedPut => 2,
            _ => 0,
        };
        usize::try_from(row * RECORDS + self.record).expect("there are few counters")
    }

    fn group(self) -> u64 {
        self.record / IDS
    }

    fn id(self) -> u64 {
        self.record % IDS
    }

    /// The places that the event of a record names.
    pub(crate) fn of_record(record: u64) -> impl Iterator<Item = Self> {
        let shared = Function::ALL.into_iter().filter(|function| !function.is_put());
        shared.map(move |function| Self { function, record })
    }

    /// The places that the event of a group names.
    pub(crate) fn of_group(group: u64) -> impl Iterator<Item = Self> {
        Self::all().filter(move |place| place.function.is_grouped() && place.group() == group)
    }

    pub(crate) fn event(record: u64) -> RecordChanged {
        RecordChanged { group: record / IDS, id: record % IDS }
    }
}

/// Counters of commits: one for each record, and for each record of a function whose values are put.
pub(crate) const COUNTERS: usize = 3 * 6;

/// Where loads read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) process: ProcessNumber,
}

/// What becomes of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Ends,
    Fails,
    Panics,
}

impl Origin {
    async fn load(&self, function: Function, group: u64, id: u64) -> Result<Seen, Unlucky> {
        let place = Place { function, record: group * IDS + id };
        let (at, _loading) = (now(), self.begin(function, group, id));
        let (before, after, fate) = shared().draw_load();
        pause(before).await;
        let version = shared().version(place.counter());
        pause(after).await;
        match fate {
            Fate::Ends => Ok(Seen { version, by: self.process, at, kept: now() }),
            Fate::Fails => Err(Unlucky),
            Fate::Panics => panic!("{UNLUCKY}"),
        }
    }

    /// A load of this function begins.
    fn begin(self, function: Function, group: u64, id: u64) -> Loading {
        shared().begin_load(Place { function, record: group * IDS + id }, self.process)
    }

    async fn load_or_panic(&self, function: Function, group: u64, id: u64) -> Seen {
        self.load(function, group, id).await.expect(UNLUCKY)
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        // tidy: sleep because a source takes its time, which is virtual here
        sleep(duration).await;
    }
}

#[cached(ttl = "4s", key = "strict:<group>:<id>", l1 = off, invalidate_on = "RecordChanged")]
async fn strict(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::Strict, group, id).await
}

#[cached(
    ttl = "4s",
    jitter = 10,
    key = "strict-grouped:<group>:<id>",
    l1 = off,
    invalidate_on = ["RecordChanged", "GroupChanged => strict-grouped:<group>:*"]
)]
async fn strict_grouped(group: u64, id: u64, #[cache(skip)] origin: &Origin) -> Seen {
    origin.load_or_panic(Function::StrictGrouped, group, id).await
}

#[cached(ttl = "3s", jitter = 50, key = "bounded:<group>:<id>", invalidate_on = "RecordChanged")]
async fn bounded(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Arc<Seen> {
    Arc::new(origin.load_or_panic(Function::Bounded, group, id).await)
}

#[cached(
    ttl = "3s",
    key = "bounded-grouped:<group>:<id>",
    invalidate_on = ["RecordChanged", "GroupChanged => bounded-grouped:<group>:*"]
)]
async fn bounded_grouped(group: u64, id: u64, #[cache(skip)] origin: &Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::BoundedGrouped, group, id).await
}

#[cached(ttl = "1s", stale_while_revalidate = "2s", key = "stale:<group>:<id>", invalidate_on = "RecordChanged")]
async fn stale(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::Stale, group, id).await
}

#[cached(ttl = "2s", negative_ttl = "500ms", key = "optional:<group>:<id>", invalidate_on = "RecordChanged")]
async fn optional(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Option<Seen>, Unlucky> {
    Ok(Some(origin.load(Function::Optional, group, id).await?).filter(|seen| !is_absent(seen.version)))
}

#[cached(ttl = "4s", key = "strict-put:<group>:<id>", l1 = off)]
async fn strict_put(group: u64, id: u64, #[cache(skip)] origin: &Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::StrictPut, group, id).await
}

#[cached(ttl = "3s", key = "bounded-put:<group>:<id>")]
async fn bounded_put(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::BoundedPut, group, id).await
}

#[cached(ttl = "3s", key = "near:<group>:<id>", l2 = off, invalidate_on = "RecordChanged")]
async fn near(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::Near, group, id).await
}

#[cached(
    ttl = "1s",
    stale_while_revalidate = "2s",
    key = "near-stale:<group>:<id>",
    l2 = off,
    invalidate_on = ["RecordChanged", "GroupChanged => near-stale:<group>:*"]
)]
async fn near_stale(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    origin.load(Function::NearStale, group, id).await
}

#[cached(ttl = "2s", key = "nested:<group>:<id>", l1 = off, invalidate_on = "RecordChanged")]
async fn nested(group: u64, id: u64, #[cache(skip)] origin: &Origin) -> Result<Seen, Unlucky> {
    let _loading = origin.begin(Function::Nested, group, id);
    take_time().await;
    Ok((*bounded(group, id, *origin).await).clone())
}

#[cached(ttl = "2s", key = "over-near:<group>:<id>", invalidate_on = "RecordChanged")]
async fn over_near(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    let _loading = origin.begin(Function::OverNear, group, id);
    near(group, id, origin).await
}

#[cached(ttl = "2s", key = "nested-near:<group>:<id>", l2 = off, invalidate_on = "RecordChanged")]
async fn nested_near(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    let seen = near(group, id, origin).await;
    take_time().await;
    seen
}

#[cached(ttl = "2s", key = "deep:<group>:<id>", invalidate_on = "RecordChanged")]
async fn deep(group: u64, id: u64, #[cache(skip)] origin: Origin) -> Result<Seen, Unlucky> {
    let _loading = origin.begin(Function::Deep, group, id);
    take_time().await;
    nested(group, id, &origin).await
}

/// What a load that is over another one does by itself.
async fn take_time() {
    let own = shared().draw_pause();
    pause(own).await;
}

/// Whether this version of an optional value is that there is none.
pub(crate) fn is_absent(version: Version) -> bool {
    version % 4 == 3
}

/// Calls the function of this place; nothing where there is nothing.
pub(crate) async fn call(place: Place, origin: Origin) -> Result<Option<Seen>, Unlucky> {
    let (group, id) = (place.group(), place.id());
    match place.function {
        Function::Strict => strict(group, id, origin).await.map(Some),
        Function::StrictGrouped => Ok(Some(strict_grouped(group, id, &origin).await)),
        Function::Bounded => Ok(Some((*bounded(group, id, origin).await).clone())),
        Function::BoundedGrouped => bounded_grouped(group, id, &origin).await.map(Some),
        Function::Stale => stale(group, id, origin).await.map(Some),
        Function::Optional => optional(group, id, origin).await,
        Function::StrictPut => strict_put(group, id, &origin).await.map(Some),
        Function::BoundedPut => bounded_put(group, id, origin).await.map(Some),
        Function::Near => near(group, id, origin).await.map(Some),
        Function::NearStale => near_stale(group, id, origin).await.map(Some),
        Function::Nested => nested(group, id, &origin).await.map(Some),
        Function::OverNear => over_near(group, id, origin).await.map(Some),
        Function::NestedNear => nested_near(group, id, origin).await.map(Some),
        Function::Deep => deep(group, id, origin).await.map(Some),
    }
}

/// What is kept at this place; nothing where nothing is, or that there is nothing.
pub(crate) async fn peek(place: Place) -> Result<Option<Seen>, Error> {
    let (group, id) = (place.group(), place.id());
    let kept = match place.function {
        Function::Strict => strict_entry(group, id).peek().await,
        Function::StrictGrouped => strict_grouped_entry(group, id).peek().await,
        Function::Bounded => {
            return Ok(bounded_entry(group, id).peek().await?.map(|peek| (**peek.value()).clone()));
        }
        Function::BoundedGrouped => bounded_grouped_entry(group, id).peek().await,
        Function::Stale => stale_entry(group, id).peek().await,
        Function::Optional => return Ok(optional_entry(group, id).peek().await?.and_then(Peek::into_value)),
        Function::StrictPut => strict_put_entry(group, id).peek().await,
        Function::BoundedPut => bounded_put_entry(group, id).peek().await,
        Function::Near => near_entry(group, id).peek().await,
        Function::NearStale => near_stale_entry(group, id).peek().await,
        Function::Nested => nested_entry(group, id).peek().await,
        Function::OverNear => over_near_entry(group, id).peek().await,
        Function::NestedNear => nested_near_entry(group, id).peek().await,
        Function::Deep => deep_entry(group, id).peek().await,
    };
    Ok(kept?.map(Peek::into_value))
}

/// Makes the value of this place invalid by its entry, in the cache that is current.
pub(crate) async fn invalidate(place: Place) -> Result<Receipt, Error> {
    let (group, id) = (place.group(), place.id());
    match place.function {
        Function::Strict => strict_entry(group, id).invalidate().await,
        Function::StrictGrouped => strict_grouped_entry(group, id).invalidate().await,
        Function::Bounded => bounded_entry(group, id).invalidate().await,
        Function::BoundedGrouped => bounded_grouped_entry(group, id).invalidate().await,
        Function::Stale => stale_entry(group, id).invalidate().await,
        Function::Optional => optional_entry(group, id).invalidate().await,
        Function::StrictPut => strict_put_entry(group, id).invalidate().await,
        Function::BoundedPut => bounded_put_entry(group, id).invalidate().await,
        Function::Near => near_entry(group, id).invalidate().await,
        Function::NearStale => near_stale_entry(group, id).invalidate().await,
        Function::Nested => nested_entry(group, id).invalidate().await,
        Function::OverNear => over_near_entry(group, id).invalidate().await,
        Function::NestedNear => nested_near_entry(group, id).invalidate().await,
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
