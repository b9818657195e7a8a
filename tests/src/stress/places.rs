//! What is read and written: some functions, and some records that all of them read.

use crate::history::KeyNumber;

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
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::StrictGrouped,
        Self::StrictSingle,
        Self::BoundedGrouped,
        Self::BoundedSingle,
        Self::StrictPut,
        Self::BoundedPut,
    ];

    /// Those that the event of a record names.
    pub const SHARED: [Self; 4] = [Self::StrictGrouped, Self::StrictSingle, Self::BoundedGrouped, Self::BoundedSingle];

    /// Those that the event of a group names.
    pub const GROUPED: [Self; 2] = [Self::StrictGrouped, Self::BoundedGrouped];

    /// Those whose values are put, by one writer at a time.
    pub const PUT: [Self; 2] = [Self::StrictPut, Self::BoundedPut];

    /// Whether it has no in-process tier.
    #[must_use]
    pub fn is_strict(self) -> bool {
        match self {
            Self::StrictGrouped | Self::StrictSingle | Self::StrictPut => true,
            Self::BoundedGrouped | Self::BoundedSingle | Self::BoundedPut => false,
        }
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
        }
    }
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
}
