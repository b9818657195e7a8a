//! What invalidations need, to be asked before one that has failed is repeated: with each try, what can be done of it would
//! be done again to everybody.

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::Fault;
use crate::redis::HashSlot;
use crate::redis::store::Store;
use crate::redis::store::flush::flush;
use crate::redis::store::invalidate::WAITING;
use crate::store::Needed;

impl Store {
    /// What it takes to unlink these names, and to tell of it if it `is_told`.
    pub(crate) fn needs(&self, unlink: &[String], is_told: bool) -> BTreeSet<Needed> {
        let servers = unlink.iter().map(|name| self.needed(self.slot(name)));
        servers.chain(is_told.then_some(Needed::Bus)).collect()
    }

    /// All servers and the bus.
    pub(crate) fn all_needed(&self) -> BTreeSet<Needed> {
        let servers = self.servers.primaries().into_iter().map(|slot| self.needed(slot));
        servers.chain([Needed::Bus]).collect()
    }

    /// Of what is needed, what is not there, and why: nobody can reach it, it is the bus and takes no writes or, where
    /// `replicas` are asked for too, it has too few.
    pub(crate) async fn lacking(&self, needed: &BTreeSet<Needed>, replicas: bool) -> BTreeMap<Needed, Fault> {
        let away = needed.iter().filter(|needed| !self.reaches(**needed));
        let mut lacking: BTreeMap<_, _> = away.map(|needed| (*needed, Fault::Away)).collect();
        if needed.contains(&Needed::Bus)
            && !lacking.contains_key(&Needed::Bus)
            && let Err(fault) = self.could_tell().await
        {
            lacking.insert(Needed::Bus, fault);
        }
        if replicas && self.min_replicas > 0 {
            let there = needed.iter().copied().filter(|needed| !lacking.contains_key(needed)).collect();
            lacking.extend(self.without_replicas(there).await);
        }
        lacking
    }

    async fn without_replicas(&self, needed: BTreeSet<Needed>) -> Vec<(Needed, Fault)> {
        let generation = *self.servers.generation().borrow();
        let most = self.op_timeout / 2;
        let slots = self.servers.primaries().into_iter().filter(|slot| needed.contains(&self.needed(*slot)));
        let slots: Vec<_> = slots.collect();
        let replies = flush(&self.servers, slots.iter().flat_map(|slot| self.waiting(*slot, most)).collect()).await;
        let servers = slots.iter().map(|slot| self.servers.server_of(*slot));
        let heard = servers
            .zip(replies.chunks(WAITING))
            .map(|(server, replies)| (Needed::Server(server), self.heard(server, most, replies)));
        let mut lacking: Vec<_> = heard.filter_map(|(needed, heard)| Some((needed, heard.err()?))).collect();
        // The server of the bus is asked over the connection that tells it, too.
        if needed.contains(&Needed::Bus)
            && let Err(fault) = self.replicated_within(self.op_timeout, generation).await
        {
            lacking.push((Needed::Bus, fault));
        }
        lacking
    }

    fn needed(&self, slot: HashSlot) -> Needed {
        Needed::Server(self.servers.server_of(slot))
    }

    fn reaches(&self, needed: Needed) -> bool {
        match needed {
            Needed::Server(place) => self.servers.reaches(place),
            // A message is told over the bus' own connection only where replicas are waited for.
            Needed::Bus if self.min_replicas > 0 => self.servers.reaches_bus(),
            Needed::Bus => self.servers.reaches(self.servers.server_of(self.slot(&self.names.bus))),
        }
    }
}
