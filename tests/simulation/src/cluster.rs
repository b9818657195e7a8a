//! What the servers of a cluster do together.

use std::rc::Rc;

use crate::foreign::BUS;
use crate::host::Host;
use crate::plan::{Fault, What};
use crate::run::Run;
use crate::server::PIECES;

impl Run<'_> {
    /// The shard that has the bus.
    pub(crate) fn bus_shard(&self) -> usize {
        self.map.as_ref().map_or(0, |map| map.owner(BUS))
    }

    /// What one server has done, as far as it concerns others: what was published on it goes to everybody, and what it
    /// has said to be on its replicas is there.
    pub(crate) fn spread(&mut self, shard: usize) {
        let host = &mut self.hosts[shard];
        let (published, has_replicated) = (host.take_published(), host.take_replicated());
        if has_replicated {
            for ((step, of), data) in &mut self.remembered {
                if *of == shard && matches!(self.plan.steps[*step].what, What::Fault(Fault::Failover { .. }, ..)) {
                    data.clone_from(&self.hosts[shard].redis);
                }
            }
        }
        if !published.is_empty() {
            let world = Rc::clone(&self.world);
            let mut network = world.network.borrow_mut();
            self.hosts.iter_mut().for_each(|host| host.pass_on(&mut network, &published));
        }
    }

    /// Another server has taken over a shard: all others know at once, and the old one is its replica.
    pub(crate) fn take_over(&mut self, shard: usize) {
        if let Some(map) = &mut self.map {
            map.lives[shard] += 1;
            self.learn();
        }
    }

    /// Some slots go to another shard, with what stands there.
    pub(crate) fn migrate(&mut self, piece: u16, to: usize) {
        let Some(map) = self.map.as_mut().filter(|_| self.hosts.iter().all(Host::is_up)) else { return };
        let from = std::mem::replace(&mut map.owners[usize::from(piece % PIECES)], to);
        if from != to {
            let items = self.hosts[from].redis.take_piece(piece);
            self.hosts[to].redis.add_piece(items);
            self.learn();
        }
    }

    fn learn(&mut self) {
        let Some(map) = &mut self.map else { return };
        map.epoch += 1;
        let world = Rc::clone(&self.world);
        let mut network = world.network.borrow_mut();
        self.hosts.iter_mut().for_each(|host| host.learn(&mut network, map));
        drop(network);
        (0..self.hosts.len()).for_each(|shard| self.spread(shard));
    }
}
