//! What is read and written: some functions, and some records that all of them read.

use std::time::Duration;

use crate::history::{KeyNumber, Version};

/// Groups of records.
pub const GROUPS: u64 = 4;
/// Records in each group.
pub const IDS: u64 = 6;
/// All records.
pub const RECORDS: u64 = GROUPS * IDS;

/// A cached value: a function and its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The function.
    pub function: Function,
    /// The record, below [`RECORDS`].
    pub record: u64,
}

/// The cached functions of the stress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Without an in-process tier, in a group; loads run in a task of their own.
    StrictGrouped,
    /// Without an in-process tier; loads run in the caller's task.
    StrictSingle,
    /// In both tiers, in a group; loads run in the caller's task.
    BoundedGrouped,
    /// In both tiers; loads run in a task of their own.
    BoundedSingle,
    /// Without an in-process tier; values are also put.
    StrictPut,
    /// In both tiers; values are also put.
    BoundedPut,
    /// In the in-process tier alone.
    Near,
    /// The same, in a group, served past its ttl while it is refreshed.
    NearStale,
    /// In both tiers, served past its ttl while it is refreshed.
    Stale,
    /// In both tiers; every fourth version is that there is nothing.
    Optional,
    /// In both tiers; every fourth version is not to be kept.
    Picky,
    /// Without an in-process tier, over `BoundedSingle`: a load inside a load.
    Nested,
    /// In both tiers, over `Near`.
    OverNear,
    /// In both tiers, over `Nested`.
    Deep,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::StrictGrouped,
        Self::StrictSingle,
        Self::BoundedGrouped,
        Self::BoundedSingle,
        Self::StrictPut,
        Self::BoundedPut,
        Self::Near,
        Self::NearStale,
        Self::Stale,
        Self::Optional,
        Self::Picky,
        Self::Nested,
        Self::OverNear,
        Self::Deep,
    ];

    /// Those without anything special. They are read and evicted more often: what one of them does wrong needs many who
    /// want the same.
    const PLAIN: usize = 6;

    /// Those that the event of a record names.
    pub const SHARED: [Self; 12] = [
        Self::StrictGrouped,
        Self::StrictSingle,
        Self::BoundedGrouped,
        Self::BoundedSingle,
        Self::Near,
        Self::NearStale,
        Self::Stale,
        Self::Optional,
        Self::Picky,
        Self::Nested,
        Self::OverNear,
        Self::Deep,
    ];

    /// Of them, those that are made of nothing else: their entries alone may be made invalid.
    pub const ALONE: [Self; 9] = [
        Self::StrictGrouped,
        Self::StrictSingle,
        Self::BoundedGrouped,
        Self::BoundedSingle,
        Self::Near,
        Self::NearStale,
        Self::Stale,
        Self::Optional,
        Self::Picky,
    ];

    /// Those that the event of a group names.
    pub const GROUPED: [Self; 3] = [Self::StrictGrouped, Self::BoundedGrouped, Self::NearStale];

    /// Those whose values are put, by one writer at a time.
    pub const PUT: [Self; 2] = [Self::StrictPut, Self::BoundedPut];

    /// One of all.
    ///
    /// # Panics
    ///
    /// Never: there are functions.
    pub fn draw(random: &mut fastrand::Rng) -> Self {
        let among = if random.bool() { &Self::ALL[..Self::PLAIN] } else { &Self::ALL };
        *random.choice(among).expect("there are functions")
    }

    /// Whether it has no in-process tier.
    #[must_use]
    pub fn is_strict(self) -> bool {
        matches!(self, Self::StrictGrouped | Self::StrictSingle | Self::StrictPut | Self::Nested)
    }

    /// What its values are made of, where that is another function's.
    #[must_use]
    pub fn below(self) -> Option<Self> {
        match self {
            Self::Nested => Some(Self::BoundedSingle),
            Self::OverNear => Some(Self::Near),
            Self::Deep => Some(Self::Nested),
            _ => None,
        }
    }

    /// The longest that a value may be served after it was loaded.
    #[must_use]
    pub fn longest_life(self) -> Duration {
        let own = match self {
            // A quarter of a second, and one more while it is refreshed.
            Self::NearStale | Self::Stale => Duration::from_millis(250 + 1_000),
            Self::Near => Duration::from_secs(2),
            Self::Optional => Duration::from_secs(1),
            Self::OverNear | Self::Deep => Duration::from_secs(3),
            _ => Duration::from_mins(1),
        };
        own + self.below().map_or(Duration::ZERO, Self::longest_life)
    }

    /// The literal beginning of its key.
    fn prefix(self) -> &'static str {
        match self {
            Self::StrictGrouped => "strict-grouped",
            Self::StrictSingle => "strict-single",
            Self::BoundedGrouped => "bounded-grouped",
            Self::BoundedSingle => "bounded-single",
            Self::StrictPut => "strict-put",
            Self::BoundedPut => "bounded-put",
            Self::Near => "near",
            Self::NearStale => "near-stale",
            Self::Stale => "stale",
            Self::Optional => "optional",
            Self::Picky => "picky",
            Self::Nested => "nested",
            Self::OverNear => "over-near",
            Self::Deep => "deep",
        }
    }
}

/// Whether this version is the one that is special: of [`Function::Optional`] that there is nothing, of
/// [`Function::Picky`] that it is not kept.
#[must_use]
pub fn is_special(version: Version) -> bool {
    version % 4 == 3
}

impl Place {
    /// The number under which it is logged.
    ///
    /// # Panics
    ///
    /// Never: there are few places.
    #[must_use]
    pub fn number(self) -> KeyNumber {
        let number = self.function as u64 * RECORDS + self.record;
        KeyNumber::try_from(number).expect("there are few places")
    }

    /// The place with this number.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn of(number: KeyNumber) -> Self {
        let (function, record) = (u64::from(number) / RECORDS, u64::from(number) % RECORDS);
        Self { function: Function::ALL[usize::try_from(function).expect("there are few functions")], record }
    }

    /// The counter of its commits in the source of truth. Functions whose values are put have counters of their own: the
    /// writer of one value must not be overtaken by those of others.
    #[must_use]
    pub fn counter(self) -> u64 {
        match self.function {
            Function::StrictPut => RECORDS + self.record,
            Function::BoundedPut => 2 * RECORDS + self.record,
            _ => self.record,
        }
    }

    /// The group of its record.
    #[must_use]
    pub fn group(self) -> u64 {
        self.record / IDS
    }

    /// Its record within the group.
    #[must_use]
    pub fn id(self) -> u64 {
        self.record % IDS
    }

    /// Its key, as it stands on the server behind application and version.
    #[must_use]
    pub fn key(self) -> String {
        format!("{}:{}:{}", self.function.prefix(), self.group(), self.id())
    }

    /// What it and its group are called on the server.
    #[must_use]
    pub fn names(self, app: &str) -> [String; 2] {
        let group = format!("{app}:group:{}:{}:*", self.function.prefix(), self.group());
        [format!("{app}:v1:{}", self.key()), group]
    }

    /// The same, and what the places are called that its value is made of.
    #[must_use]
    pub fn all_names(self, app: &str) -> Vec<String> {
        let below = self.function.below().map(|function| Self { function, ..self }.all_names(app));
        self.names(app).into_iter().chain(below.unwrap_or_default()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_number() {
        for (number, place) in (0..).zip(
            Function::ALL.into_iter().flat_map(|function| (0..RECORDS).map(move |record| Place { function, record })),
        ) {
            assert_eq!((place.number(), Place::of(number)), (number, place));
        }
    }

    #[test]
    fn what_is_made_of_another_value_is_lost_with_it() {
        let deep = Place { function: Function::Deep, record: 7 };
        let names = deep.all_names("app");
        for function in [Function::Deep, Function::Nested, Function::BoundedSingle] {
            assert!(names.contains(&Place { function, ..deep }.names("app")[0]), "{function:?}: {names:?}");
        }
        assert_eq!(names.len(), 6);
    }

    #[test]
    fn what_is_made_of_another_value_is_named_by_the_same_events_and_no_entry_alone() {
        for function in Function::ALL {
            let is_shared = Function::SHARED.contains(&function);
            assert_eq!(is_shared, !Function::PUT.contains(&function));
            assert_eq!(Function::ALONE.contains(&function), is_shared && function.below().is_none());
            assert!(function.below().is_none_or(|below| Function::SHARED.contains(&below)));
        }
    }
}
