//! The least version that a read of one key may return, by the time at which it begins.

use std::collections::VecDeque;

use super::{Nanos, ProcessNumber, Version};

/// From `due` on, reads have to return this version at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Reads that begin after this are bound.
    pub due: Nanos,
    /// The version.
    pub version: Version,
    /// When its invalidation returned.
    pub returned: Nanos,
    /// Whose invalidation it was.
    pub process: ProcessNumber,
}

/// Points in the order of time, each of a newer version than all before it.
#[derive(Debug, Default)]
pub(super) struct Floor(VecDeque<Point>);

impl Floor {
    /// Adds a point, in whichever order they come.
    pub(super) fn add(&mut self, point: Point) {
        let place = self.0.partition_point(|other| other.due <= point.due);
        if place.checked_sub(1).is_some_and(|before| self.0[before].version >= point.version) {
            return;
        }
        let covered = self.0.range(place..).take_while(|other| other.version <= point.version).count();
        self.0.drain(place..place + covered);
        self.0.insert(place, point);
    }

    /// What binds a read that begins at this time.
    pub(super) fn before(&self, began: Nanos) -> Option<Point> {
        let place = self.0.partition_point(|point| point.due < began);
        place.checked_sub(1).map(|place| self.0[place])
    }

    /// The first point of this version or a newer one.
    pub(super) fn at_least(&self, version: Version) -> Option<Point> {
        let place = self.0.partition_point(|point| point.version < version);
        self.0.get(place).copied()
    }

    /// No read that began before this time will be asked about.
    pub(super) fn forget(&mut self, oldest: Nanos) {
        while self.0.get(1).is_some_and(|second| second.due < oldest) {
            self.0.pop_front();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
