//! Loads that wait for loads: notices when a load would wait for itself.
//!
//! A load that calls a cached function may follow that function's flight. If that flight's load waits, through however
//! many others, for the first one, nobody would ever end. The loads that wait are the edges of a graph; an edge that
//! would close a circle is refused, and its caller loads without the cache.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::flight::FlightId;

/// Of all caches: a load of one may wait for a load of another.
pub(crate) static WAITS: Waits = Waits { edges: Mutex::new(BTreeMap::new()) };

/// Which load waits for which, while it does. Only loads inside of loads come here.
#[derive(Debug)]
pub(crate) struct Waits {
    edges: Mutex<BTreeMap<FlightId, Vec<FlightId>>>,
}

/// An edge of the graph; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    waits: &'a Waits,
    from: Vec<FlightId>,
    to: FlightId,
}

impl Waits {
    /// Notes that the loads `from` wait for the load `to`. Nothing, if `to` waits for one of them or is one of them.
    pub(crate) fn wait(&self, from: Vec<FlightId>, to: FlightId) -> Option<Waiting<'_>> {
        let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        if reaches(&edges, to, &from) {
            return None;
        }
        for flight in &from {
            edges.entry(*flight).or_default().push(to);
        }
        Some(Waiting { waits: self, from, to })
    }
}

fn reaches(edges: &BTreeMap<FlightId, Vec<FlightId>>, start: FlightId, goals: &[FlightId]) -> bool {
    let mut seen = Vec::new();
    let mut open = vec![start];
    while let Some(flight) = open.pop() {
        if goals.contains(&flight) {
            return true;
        }
        if !seen.contains(&flight) {
            seen.push(flight);
            open.extend(edges.get(&flight).into_iter().flatten());
        }
    }
    false
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut edges = self.waits.edges.lock().unwrap_or_else(PoisonError::into_inner);
        for flight in &self.from {
            let Some(targets) = edges.get_mut(flight) else {
                continue;
            };
            if let Some(place) = targets.iter().position(|target| *target == self.to) {
                targets.swap_remove(place);
            }
            if targets.is_empty() {
                edges.remove(flight);
            }
        }
    }
}
