//! A publisher that is no process: it commits, and adds an event to the bus. What it has told is found unlinked in the
//! end, where the bus still has it and somebody has read it.

use std::rc::Rc;

use cache_tests::history::{Nanos, ProcessNumber, Version};

use crate::functions::{Function, Place, RecordChanged};
use crate::run::Run;
use crate::server::Id;

/// The bus.
pub(crate) const BUS: &[u8] = b"sim:bus";

/// What a server that takes over may have lost is read again, if it was told no longer before: the processes go ten
/// seconds back, by a clock that may drift.
const READ_AGAIN: Nanos = 9_000_000_000;

/// A message.
#[derive(Debug)]
pub(crate) struct Told {
    id: Id,
    fields: Vec<Vec<u8>>,
    at: Nanos,
    record: u64,
    version: Version,
    /// Who read the bus then: a process that starts begins at its end.
    readers: Vec<ProcessNumber>,
}

impl Run<'_> {
    /// Commits, and tells the bus. Nothing, where the server does not take it.
    pub(crate) fn tell(&mut self, record: u64) {
        let number = self.told.len().to_string();
        let RecordChanged { group, id } = Place::event(record);
        let json = format!(r#"{{"group":{group},"id":{id}}}"#);
        let fields =
            ["event", "RecordChanged", "data", &json, "number", &number].map(|field| field.as_bytes().to_vec());
        let fields: Vec<_> = fields.into();
        let world = Rc::clone(&self.world);
        let bus = self.bus_shard();
        let Some(id) = self.hosts[bus].add(&mut world.network.borrow_mut(), BUS, &fields) else { return };
        self.spread(bus);
        let version = self.shared.commit(Place { function: Function::Strict, record }.counter());
        self.shared
            .say(|| format!("    a foreign publisher: commits version {version} of record {record}, tells {id}"));
        let reads = |process: &ProcessNumber| {
            let process = &self.processes[*process as usize];
            process.is_alive() && process.cache().get().is_some_and(|cache| cache.health().serves_near())
        };
        let readers = self.seats.iter().copied().filter(reads).collect();
        self.told.push(Told { id, fields, at: world.now(), record, version, readers });
    }

    /// What every process that reads in the end must see of it.
    pub(crate) fn told_by_foreigners(&self) -> impl Iterator<Item = (Place, Version)> {
        let told = self.told.iter().filter(|told| self.was_read(told));
        told.flat_map(|told| Place::of_record(told.record).map(|place| (place, told.version)))
    }

    fn was_read(&self, told: &Told) -> bool {
        let is_there = self.hosts[self.bus_shard()].redis.has_message(BUS, told.id, &told.fields);
        let is_heard = told.readers.iter().any(|process| self.processes[*process as usize].is_alive());
        // Ids are by the server's clock: how far back the processes go is not known if it was set.
        let since = if self.shared.state().clock.was_changed() { 0 } else { READ_AGAIN };
        let is_old = self.faults.lost.iter().any(|(_, to)| told.at + since < *to);
        is_there && is_heard && !is_old
    }
}
