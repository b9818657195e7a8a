//! Which server has which slot, and the connections to all of them.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use crate::instant::Instant;
use crate::redis::deadlines::Deadlines;
use crate::redis::hash_slot::{HashSlot, SLOTS};
use crate::redis::link::Events;
use crate::redis::pool::Pool;
use crate::redis::session::{Access, NoSession, Purpose};
use crate::redis::target::Address;
use crate::sync::lock;

/// Where the primaries are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Primaries {
    pub(crate) servers: Vec<Address>,
    pub(crate) owners: Owners,
}

/// Who the primaries are, and which run of each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    primaries: Primaries,
    runs: Vec<u64>,
}

/// Who has which slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owners {
    /// The only server has all of them.
    One,
    /// By the place of the server; `NOBODY` where none has it.
    Many(Box<[u16]>),
}

/// Servers without a slot of their own that connections are kept to.
const GUESTS: usize = 8;

/// A slot that no server has.
const NOBODY: u16 = u16::MAX;

impl Primaries {
    pub(crate) fn one(server: Address) -> Self {
        Self { servers: vec![server], owners: Owners::One }
    }

    /// From the first and the last of some slots, and who has them.
    pub(crate) fn many(ranges: Vec<(u16, u16, Address)>) -> Self {
        let mut servers: Vec<Address> = ranges.iter().map(|(_, _, server)| server.clone()).collect();
        // In an order of their own, so that the same servers always give the same map.
        servers.sort_by_key(ToString::to_string);
        servers.dedup();
        let mut owners = vec![NOBODY; usize::from(SLOTS)].into_boxed_slice();
        for (first, last, server) in ranges {
            let place = servers.iter().position(|other| *other == server).expect("it is one of them");
            let place = u16::try_from(place).expect("there are fewer servers than slots");
            let last = last.min(SLOTS - 1);
            owners[usize::from(first.min(last))..=usize::from(last)].fill(place);
        }
        Self { servers, owners: Owners::Many(owners) }
    }

    /// The first slot of each server that has any.
    fn one_slot_each(&self) -> Vec<HashSlot> {
        let Owners::Many(owners) = &self.owners else { return vec![HashSlot::default()] };
        let first = |place: usize| owners.iter().position(|owner| usize::from(*owner) == place);
        let slots = (0..self.servers.len()).filter_map(first);
        slots.map(|slot| HashSlot(u16::try_from(slot).expect("there are few slots"))).collect()
    }

    fn place(&self, slot: HashSlot) -> Option<usize> {
        match &self.owners {
            Owners::One => Some(0),
            Owners::Many(owners) => {
                owners.get(usize::from(slot.0)).filter(|owner| **owner != NOBODY).map(|owner| usize::from(*owner))
            }
        }
    }
}

/// The servers in use.
pub(crate) struct Topology {
    plant: Plant,
    map: RwLock<Arc<Map>>,
    /// Servers to which others have sent somebody, and which have no slot yet: the oldest first.
    guests: Mutex<Vec<Arc<Pool>>>,
}

/// What connections are made of.
pub(crate) struct Plant {
    pub(crate) access: Arc<Access>,
    pub(crate) events: Events,
    pub(crate) deadlines: Arc<Deadlines>,
    pub(crate) pool_size: usize,
    pub(crate) bus_slot: HashSlot,
}

/// The servers and the connections to them, at one time.
pub(crate) struct Map {
    primaries: Primaries,
    pools: Vec<Arc<Pool>>,
    trunk: Option<Trunk>,
}

/// The connections to the server that has the bus.
#[derive(Clone)]
struct Trunk {
    bus: Arc<Pool>,
    ear: Arc<Pool>,
}

impl Topology {
    /// Without servers, until some are adopted.
    pub(crate) fn new(plant: Plant) -> Self {
        Self { plant, map: RwLock::new(Arc::new(Map::empty())), guests: Mutex::default() }
    }

    pub(crate) fn plant(&self) -> &Plant {
        &self.plant
    }

    /// Connections to the server that has this slot.
    pub(crate) fn pool(&self, slot: HashSlot) -> Option<Arc<Pool>> {
        let map = self.usable()?;
        map.pools.get(map.primaries.place(slot)?).cloned()
    }

    /// Connections to the server at this place among all.
    pub(crate) fn pool_of(&self, place: Option<usize>) -> Option<Arc<Pool>> {
        self.usable()?.pools.get(place?).cloned()
    }

    pub(crate) fn pool_at(&self, address: &Address) -> Option<Arc<Pool>> {
        self.usable()?.pools.iter().find(|pool| pool.address() == address).cloned()
    }

    /// Connections to a server that another one has named for this once: while its first slot is on the way to it, nobody
    /// says that it has any. They are not up yet where they begin with this.
    pub(crate) fn guest(&self, address: &Address) -> Arc<Pool> {
        if let Some(pool) = self.pool_at(address) {
            return pool;
        }
        let mut guests = lock(&self.guests);
        if let Some(guest) = guests.iter().find(|guest| guest.address() == address) {
            return Arc::clone(guest);
        }
        if guests.len() == GUESTS {
            guests.remove(0);
        }
        let guest = self.plant.start(address, Purpose::Pool, self.plant.pool_size);
        guests.push(Arc::clone(&guest));
        guest
    }

    pub(crate) fn pools(&self) -> Vec<Arc<Pool>> {
        self.read().pools.clone()
    }

    pub(crate) fn one_slot_each(&self) -> Vec<HashSlot> {
        self.read().primaries.one_slot_each()
    }

    /// Who the primaries are, and which run of each.
    pub(crate) fn standing(&self) -> Standing {
        let primaries = self.read().primaries.clone();
        let runs = primaries.servers.iter().map(|server| self.plant.events.kins.of(server).number()).collect();
        Standing { primaries, runs }
    }

    pub(crate) fn server_of(&self, slot: HashSlot) -> Option<usize> {
        self.read().primaries.place(slot)
    }

    pub(crate) fn bus(&self) -> Option<Arc<Pool>> {
        self.usable()?.trunk.as_ref().map(|trunk| Arc::clone(&trunk.bus))
    }

    pub(crate) fn ear(&self) -> Option<Arc<Pool>> {
        self.usable()?.trunk.as_ref().map(|trunk| Arc::clone(&trunk.ear))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.read().pools.is_empty()
    }

    /// Whether every server can be reached.
    pub(crate) fn is_up(&self) -> bool {
        self.usable().is_some_and(|map| !map.pools.is_empty() && map.pools.iter().all(|pool| pool.is_up()))
    }

    /// For how long, from now on, the servers may be taken for primaries. Only sentinels would have to say so again.
    pub(crate) fn trusted_for(&self) -> Duration {
        self.plant.access.looks.as_ref().map_or(Duration::MAX, |looks| looks.trusted_for())
    }

    /// When it was last asked whether they are primaries; nothing where nobody has to.
    pub(crate) fn confirmed(&self) -> Option<Instant> {
        self.plant.access.looks.as_ref().and_then(|looks| looks.confirmed())
    }

    /// Uses these servers from now on. Connections to those that stay, stay.
    pub(crate) fn adopt(&self, primaries: Primaries) {
        let old = self.current();
        if old.primaries == primaries {
            return;
        }
        let names = primaries.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let guests = std::mem::take(&mut *lock(&self.guests));
        let new = Arc::new(self.plant.map(&old, &guests, primaries));
        let old = std::mem::replace(&mut *self.map.write().unwrap_or_else(PoisonError::into_inner), new);
        self.plant.events.generation.send_modify(|generation| *generation += 1);
        if !old.pools.is_empty() {
            tracing::info!(primaries = names, "redis: the primaries or their slots have changed");
        }
    }

    /// Uses no server until some are adopted again.
    pub(crate) fn abandon(&self, reason: &str) {
        let old =
            std::mem::replace(&mut *self.map.write().unwrap_or_else(PoisonError::into_inner), Map::empty().into());
        self.plant.events.generation.send_modify(|generation| *generation += 1);
        let trunk = old.trunk.iter().flat_map(|trunk| [&trunk.bus, &trunk.ear]);
        old.pools.iter().chain(trunk).for_each(|pool| pool.cut(reason));
    }

    /// What became of the first tries to connect to all servers: wrong credentials before anything else.
    pub(crate) async fn first_tries(&self) -> Result<(), NoSession> {
        let map = self.current();
        let trunk = map.trunk.iter().flat_map(|trunk| [&trunk.bus, &trunk.ear]);
        let mut first = Ok(());
        for pool in map.pools.iter().chain(trunk) {
            match pool.first_tries().await {
                Err(no @ NoSession::Refused(_)) => return Err(no),
                Err(no) => first = first.and(Err(no)),
                Ok(()) => {}
            }
        }
        first
    }

    /// Nothing, from the very moment on when nobody has said for too long that it may be used.
    fn usable(&self) -> Option<RwLockReadGuard<'_, Arc<Map>>> {
        (!self.trusted_for().is_zero()).then(|| self.read())
    }

    fn read(&self) -> RwLockReadGuard<'_, Arc<Map>> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Arc<Map> {
        Arc::clone(&self.read())
    }
}

impl Map {
    fn empty() -> Self {
        Self { primaries: Primaries { servers: Vec::new(), owners: Owners::One }, pools: Vec::new(), trunk: None }
    }
}

impl Plant {
    fn map(&self, old: &Map, guests: &[Arc<Pool>], primaries: Primaries) -> Map {
        let pools = primaries.servers.iter().map(|server| {
            let known = old.pools.iter().chain(guests).find(|pool| pool.address() == server);
            known.map_or_else(|| self.start(server, Purpose::Pool, self.pool_size), Arc::clone)
        });
        let pools = pools.collect();
        // A bus that nobody has for a moment stays where it was.
        let trunk = match primaries.place(self.bus_slot).and_then(|place| primaries.servers.get(place)) {
            Some(server) => {
                Some(old.trunk.clone().filter(|trunk| trunk.bus.address() == server).unwrap_or_else(|| Trunk {
                    bus: self.start(server, Purpose::Bus, 1),
                    ear: self.start(server, Purpose::Ear, 1),
                }))
            }
            None => old.trunk.clone(),
        };
        Map { primaries, pools, trunk }
    }

    fn start(&self, server: &Address, purpose: Purpose, size: usize) -> Arc<Pool> {
        let deadlines = Arc::clone(&self.deadlines);
        Arc::new(Pool::start(server.clone(), purpose, size, &self.access, &self.events, deadlines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_the_owner_of_its_range() {
        let [a, b] = [Address::tcp("a", 1), Address::tcp("b", 1)];
        let ranges = vec![(0, 9, b.clone()), (10, 10, a.clone()), (20, 40_000, b.clone())];
        let primaries = Primaries::many(ranges);
        assert_eq!(primaries.servers, [a, b]);
        let owners = [0, 9, 10, 11, 20, 16_383, 16_384].map(|slot| primaries.place(HashSlot(slot)));
        assert_eq!(owners, [Some(1), Some(1), Some(0), None, Some(1), Some(1), None]);
        assert_eq!(primaries.one_slot_each(), [HashSlot(10), HashSlot(0)]);
    }

    #[test]
    fn the_same_servers_give_the_same_map_in_any_order() {
        let [a, b] = [Address::tcp("a", 1), Address::tcp("b", 1)];
        let one = Primaries::many(vec![(0, 9, b.clone()), (10, 20, a.clone())]);
        assert_eq!(one, Primaries::many(vec![(10, 20, a.clone()), (0, 5, b.clone()), (6, 9, b)]));
        let one = Primaries::one(a);
        assert_eq!((one.place(HashSlot(7)), one.one_slot_each()), (Some(0), vec![HashSlot(0)]));
    }
}
