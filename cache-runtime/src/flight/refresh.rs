//! Refreshes: loads of keys that are served meanwhile.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::{Flight, Flights, Lead};
use crate::sync::{Arc, lock};

impl<K: Hash + Eq + Clone, V: Clone> Flights<K, V> {
    /// Whether a refresh of this key runs that began under this fence, and not before `since`.
    pub(crate) fn is_refreshed(&self, key: &K, fence: u64, since: Duration) -> bool {
        let hash = self.hasher.hash_one(key);
        let flights = lock(&self.shard(hash).flights);
        let refresh = flights.find(hash, |flight| flight.is_refresh && flight.key == *key);
        refresh.is_some_and(|refresh| refresh.fence == fence && lock(&refresh.state).moved >= since)
    }
}

impl<K: Eq + Clone, V: Clone> Lead<K, V> {
    /// The duty to replace the value that this flight has found, and ends with, by a newer one: under its fence, beside
    /// whatever flight the key has then. A refresh that runs already keeps nothing.
    pub(crate) fn refresh(&self, now: Duration) -> Self {
        let Flight { key, hash, fence, .. } = &*self.flight;
        let refresh = Flight { is_refresh: true, ..Flight::new(self.shard.name(), (key.clone(), *hash), *fence) };
        let flight = Arc::new(refresh);
        let lead = Self { shard: Arc::clone(&self.shard), flight, ended: false };
        lead.loading(now);
        let mut flights = lock(&self.shard.flights);
        match flights.find_mut(*hash, |flight| flight.is_refresh && flight.key == *key) {
            Some(known) => *known = Arc::clone(&lead.flight),
            None => {
                flights.insert_unique(*hash, Arc::clone(&lead.flight), |flight| flight.hash);
            }
        }
        drop(flights);
        lead
    }
}
