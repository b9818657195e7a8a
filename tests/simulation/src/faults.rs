//! What goes wrong, and how it is well again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use cache_tests::history::{Nanos, ProcessNumber};

use crate::foreign::BUS;
use crate::host::Clock;
use crate::network::{Delivery, Partition, Purpose, Tear, Way};
use crate::plan::{Fault, What};
use crate::run::Run;
use crate::server::{Redis, Refusal};

/// What goes wrong now.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    partitions: BTreeMap<usize, Partition>,
    /// Who stands still, and who has died without a successor.
    paused: BTreeMap<usize, ProcessNumber>,
    dead: BTreeMap<usize, usize>,
    /// Processes that die after so many more writes.
    doomed: BTreeMap<ProcessNumber, (usize, usize)>,
    /// From when to when what the server had acknowledged was lost.
    pub(crate) lost: Vec<(Nanos, Nanos)>,
}

impl Run<'_> {
    pub(crate) fn begin_fault(&mut self, step: usize, fault: Fault, shard: Option<usize>) {
        match fault {
            Fault::Partition { .. } => {
                let partition = fault.partition(shard, |seat| self.seats[seat]).expect("it is one");
                self.faults.partitions.insert(step, partition);
                self.partition();
            }
            Fault::Reset { seat, purpose } => self.reset(seat, shard, purpose),
            Fault::Tear { seat, way } => {
                let mut network = self.world.network.borrow_mut();
                for connection in network.of(Some(self.seats[seat]), shard) {
                    network.tear(connection, Tear::Middle(way));
                }
            }
            Fault::Slow(delays) => self.world.network.borrow_mut().delays = delays,
            Fault::Pause(seat) => {
                self.processes[self.seats[seat] as usize].pause();
                self.faults.paused.insert(step, self.seats[seat]);
            }
            Fault::Crash { seat, writes } => self.doom(step, seat, writes),
            Fault::Trim { left } => {
                let bus = self.bus_shard();
                self.hosts[bus].redis.trim(BUS, left);
            }
            Fault::Migrate { piece, to } => self.migrate(piece, to),
            of_server => self.shards(shard).for_each(|shard| self.begin_server_fault(step, of_server, shard)),
        }
    }

    /// The servers that are meant.
    pub(crate) fn shards(&self, shard: Option<usize>) -> Range<usize> {
        shard.map_or(0..self.hosts.len(), |shard| shard..shard + 1)
    }

    fn begin_server_fault(&mut self, step: usize, fault: Fault, shard: usize) {
        match fault {
            Fault::Clock { by } => self.change_clock(shard, |clock| clock.ahead += by),
            Fault::Drift { by } => self.change_clock(shard, |clock| clock.drift = by),
            Fault::Restart { .. } => self.stop_server(shard),
            Fault::Failover { .. } => {
                self.stop_server(shard);
                self.start_server(step, shard);
                self.take_over(shard);
            }
            Fault::PauseWrites => self.pause_writes(shard, true),
            other => self.begin_data_fault(other, shard),
        }
    }

    fn pause_writes(&mut self, shard: usize, is_paused: bool) {
        let world = Rc::clone(&self.world);
        self.hosts[shard].pause(&mut world.network.borrow_mut(), is_paused);
        self.spread(shard);
    }

    /// It stays so.
    fn change_clock(&mut self, shard: usize, change: impl FnOnce(&mut Clock)) {
        let host = &mut self.hosts[shard];
        let before = host.millis();
        change(&mut host.clock);
        let jump = host.millis().cast_signed() - before.cast_signed();
        self.shared.state().clock.add(self.world.now(), shard, jump, host.clock.drift);
    }

    /// What concerns a server's data and answers.
    fn begin_data_fault(&mut self, fault: Fault, shard: usize) {
        let host = &mut self.hosts[shard];
        match fault {
            Fault::Evict { one_of } => {
                for name in host.redis.names(host.millis()) {
                    if self.world.draw(|random| random.u32(0..one_of)) == 0 {
                        host.redis.evict(&name);
                    }
                }
            }
            Fault::Flush => host.redis.names(0).iter().for_each(|name| host.redis.evict(name)),
            Fault::ForgetScripts => host.redis.forget_scripts(),
            Fault::Refuse(refusal) => host.redis.refusal = refusal,
            Fault::NoReplicas => host.redis.replicas = 0,
            other => unreachable!("{other:?} is no matter of data"),
        }
    }

    /// The fault that was this step of the plan is over; nothing if it has been before.
    pub(crate) fn heal(&mut self, step: usize) {
        let What::Fault(fault, _, shard) = self.plan.steps[step].what else { return };
        match fault {
            Fault::Partition { .. } if self.faults.partitions.remove(&step).is_some() => self.partition(),
            Fault::Slow(_) => self.world.network.borrow_mut().delays = self.plan.settings.delays,
            Fault::Pause(_) => {
                if let Some(process) = self.faults.paused.remove(&step)
                    && !self.faults.paused.values().any(|other| *other == process)
                {
                    self.processes[process as usize].resume();
                }
            }
            Fault::Crash { .. } => {
                // Who has not run since, for it is paused, dies now.
                let doomed = self.faults.doomed.iter().filter(|(_, (other, _))| *other == step);
                let doomed: Vec<_> = doomed.map(|(process, _)| *process).collect();
                for process in doomed {
                    self.faults_of_running(process);
                }
                if let Some(seat) = self.faults.dead.remove(&step) {
                    self.seats[seat] = self.start_process();
                }
                // It did nothing since that could have killed it.
                self.faults.doomed.retain(|process, (other, _)| {
                    let is_spared = *other == step && !self.world.network.borrow().is_dead(*process);
                    if is_spared {
                        self.world.network.borrow_mut().spare(*process);
                    }
                    !is_spared
                });
            }
            of_server => self.shards(shard).for_each(|shard| self.heal_server(step, of_server, shard)),
        }
    }

    fn heal_server(&mut self, step: usize, fault: Fault, shard: usize) {
        match fault {
            Fault::Restart { .. } if !self.hosts[shard].is_up() => self.start_server(step, shard),
            Fault::Refuse(_) => self.hosts[shard].redis.refusal = Refusal::Nothing,
            Fault::NoReplicas => self.hosts[shard].redis.replicas = self.plan.settings.replicas,
            Fault::PauseWrites => self.pause_writes(shard, false),
            _ => {}
        }
    }

    fn partition(&mut self) {
        let mut network = self.world.network.borrow_mut();
        network.partitions = self.faults.partitions.values().copied().collect();
        network.hold_again();
    }

    fn reset(&mut self, seat: Option<usize>, shard: Option<usize>, purpose: Option<Purpose>) {
        let world = Rc::clone(&self.world);
        let mut network = world.network.borrow_mut();
        let mut connections = network.of(seat.map(|seat| self.seats[seat]), shard);
        connections.retain(|number| purpose.is_none_or(|purpose| network.connections[number].purpose == purpose));
        let mut woken = Vec::new();
        for connection in connections {
            network.send(connection, Delivery::Reset(Way::ToServer));
            woken.extend(network.reset(connection));
        }
        drop(network);
        woken.into_iter().for_each(std::task::Waker::wake);
        self.wake_all();
    }

    fn wake_all(&self) {
        self.seats.iter().for_each(|process| self.world.wake(*process));
    }

    /// It dies when it writes for the so manieth time, or at the end of what it does now.
    fn doom(&mut self, step: usize, seat: usize, writes: u32) {
        let process = self.seats[seat];
        if self.processes[process as usize].is_alive() {
            self.faults.doomed.insert(process, (step, seat));
            self.world.network.borrow_mut().doom(process, writes);
        }
    }

    /// After a process has run: whether that was its end.
    pub(crate) fn faults_of_running(&mut self, process: ProcessNumber) {
        if !self.faults.doomed.contains_key(&process) || !self.world.network.borrow().is_dead(process) {
            return;
        }
        let Some((step, seat)) = self.faults.doomed.remove(&process) else { return };
        self.shared.say(|| format!("    process {process} is dead"));
        self.processes[process as usize].crash();
        self.shared.died(process);
        self.faults.paused.retain(|_, other| *other != process);
        self.faults.dead.insert(step, seat);
    }

    fn stop_server(&mut self, shard: usize) {
        let world = Rc::clone(&self.world);
        let mut network = world.network.borrow_mut();
        let mut woken = Vec::new();
        for connection in self.hosts[shard].crash() {
            woken.extend(network.reset(connection));
        }
        drop(network);
        woken.into_iter().for_each(std::task::Waker::wake);
        self.wake_all();
    }

    fn start_server(&mut self, step: usize, shard: usize) {
        let What::Fault(fault, ..) = self.plan.steps[step].what else { return };
        let data = match fault.loses() {
            Some(age) => {
                let (at, now) = (self.plan.steps[step].at, self.world.now());
                // A server that takes over has what was said to be on all replicas.
                if !(matches!(fault, Fault::Failover { .. }) && self.plan.settings.replicas > 0) {
                    self.faults.lost.push((at.saturating_sub(age), now));
                }
                self.remembered.remove(&(step, shard)).unwrap_or_else(|| Redis::new("nothing"))
            }
            None => Redis::new("nothing"),
        };
        self.hosts[shard].start_with(&data);
    }
}
