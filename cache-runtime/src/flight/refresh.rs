//! Refreshes: loads of keys that are served meanwhile.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::{Flight, Flights, Lead, Outcome, Phase};
use crate::sync::{Arc, lock};

impl<K: Hash + Eq + Clone, V: Clone> Flights<K, V> {
    /// Whether a load of this key runs that began under this fence, and not before `since`: whoever has a value past its
    /// lifetime needs no other one, also where nobody may join that one.
    pub(crate) fn is_refreshed(&self, key: &K, fence: u64, since: Duration) -> bool {
        let hash = self.hasher.hash_one(key);
        let is_load = |flight: &Arc<Flight<K, V>>| flight.fence == fence && flight.key == *key && flight.loads(since);
        lock(&self.shard(hash).flights).find(hash, is_load).is_some()
    }
}

impl<K, V> Flight<K, V> {
    /// Whether its load has begun, and not before `since`. Before it begins, it moves on another clock.
    fn loads(&self, since: Duration) -> bool {
        let state = lock(&self.state);
        matches!(state.phase, Phase::Loading | Phase::Sealed) && state.moved >= since
    }
}

impl<K: Eq + Clone, V: Clone> Lead<K, V> {
    /// Ends with a hit of the second tier that is past its lifetime, and as old as this: for those who would get any
    /// [hit](Self::hit).
    pub(crate) fn stale_hit(self, value: V, age: Option<Duration>) {
        self.end(Outcome::Stale(value, age));
    }

    /// The duty to replace the value that this flight has found, and ends with, by a newer one: under its fence, beside
    /// whatever flight the key has then. Nothing where that is done already, by a load that began not before `since` and
    /// under no older fence; a refresh that began before it keeps nothing from here on.
    pub(crate) fn refresh(&self, now: Duration, since: Duration) -> Option<Self> {
        let Flight { key, hash, fence, .. } = &*self.flight;
        let refresh = Flight { is_refresh: true, ..Flight::new(self.shard.name(), (key.clone(), *hash), *fence) };
        let flight = Arc::new(refresh);
        let mut flights = lock(&self.shard.flights);
        let is_load = |flight: &Arc<Flight<K, V>>| flight.fence >= *fence && flight.key == *key && flight.loads(since);
        if flights.find(*hash, is_load).is_some() {
            return None;
        }
        match flights.find_mut(*hash, |flight| flight.is_refresh && flight.key == *key) {
            Some(known) => *known = Arc::clone(&flight),
            None => {
                flights.insert_unique(*hash, Arc::clone(&flight), |flight| flight.hash);
            }
        }
        let lead = Self { shard: Arc::clone(&self.shard), flight, ended: false };
        lead.loading(now);
        Some(lead)
    }
}
