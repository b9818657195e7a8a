//! What goes wrong, and how it is well again.

use std::collections::BTreeMap;
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
    pub(crate) fn begin_fault(&mut self, step: usize, fault: Fault) {
        match fault {
            Fault::Partition { .. } => {
                let partition = fault.partition(|seat| self.seats[seat]).expect("it is one");
                self.faults.partitions.insert(step, partition);
                self.partition();
            }
            Fault::Reset { seat, purpose } => self.reset(seat, purpose),
            Fault::Tear { seat, way } => {
                let mut network = self.world.network.borrow_mut();
                for connection in network.of(Some(self.seats[seat])) {
                    network.tear(connection, Tear::Middle(way));
                }
            }
            Fault::Slow(delays) => self.world.network.borrow_mut().delays = delays,
            Fault::Pause(seat) => {
                self.processes[self.seats[seat] as usize].pause();
                self.faults.paused.insert(step, self.seats[seat]);
            }
            Fault::Crash { seat, writes } => self.doom(step, seat, writes),
            Fault::Clock { by } => self.change_clock(|clock| clock.ahead += by),
            Fault::Drift { by } => self.change_clock(|clock| clock.drift = by),
            Fault::Restart { .. } => self.stop_server(),
            Fault::Failover { .. } => {
                self.stop_server();
                self.start_server(step);
            }
            other => self.begin_data_fault(other),
        }
    }

    /// It stays so.
    fn change_clock(&mut self, change: impl FnOnce(&mut Clock)) {
        let before = self.host.millis();
        change(&mut self.host.clock);
        let jump = self.host.millis().cast_signed() - before.cast_signed();
        self.shared.state().clock.add(self.world.now(), jump, self.host.clock.drift);
    }

    /// What concerns the server's data and answers.
    fn begin_data_fault(&mut self, fault: Fault) {
        let host = &mut self.host;
        match fault {
            Fault::Evict { one_of } => {
                for name in host.redis.names(host.millis()) {
                    if self.world.draw(|random| random.u32(0..one_of)) == 0 {
                        host.redis.evict(&name);
                    }
                }
            }
            Fault::Trim { left } => host.redis.trim(BUS, left),
            Fault::Flush => host.redis.names(0).iter().for_each(|name| host.redis.evict(name)),
            Fault::ForgetScripts => host.redis.forget_scripts(),
            Fault::Refuse(refusal) => host.redis.refusal = refusal,
            other => unreachable!("{other:?} is no matter of data"),
        }
    }

    /// The fault that was this step of the plan is over; nothing if it has been before.
    pub(crate) fn heal(&mut self, step: usize) {
        let What::Fault(fault, _) = self.plan.steps[step].what else { return };
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
            Fault::Restart { .. } if !self.host.is_up() => self.start_server(step),
            Fault::Refuse(_) => self.host.redis.refusal = Refusal::Nothing,
            _ => {}
        }
    }

    fn partition(&mut self) {
        let mut network = self.world.network.borrow_mut();
        network.partitions = self.faults.partitions.values().copied().collect();
        network.hold_again();
    }

    fn reset(&mut self, seat: Option<usize>, purpose: Option<Purpose>) {
        let world = Rc::clone(&self.world);
        let mut network = world.network.borrow_mut();
        let mut connections = network.of(seat.map(|seat| self.seats[seat]));
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

    fn stop_server(&mut self) {
        let world = Rc::clone(&self.world);
        let mut network = world.network.borrow_mut();
        let mut woken = Vec::new();
        for connection in self.host.crash() {
            woken.extend(network.reset(connection));
        }
        drop(network);
        woken.into_iter().for_each(std::task::Waker::wake);
        self.wake_all();
    }

    fn start_server(&mut self, step: usize) {
        let What::Fault(fault, _) = self.plan.steps[step].what else { return };
        let data = match fault.loses() {
            Some(age) => {
                let (at, now) = (self.plan.steps[step].at, self.world.now());
                self.faults.lost.push((at.saturating_sub(age), now));
                self.remembered.remove(&step).unwrap_or_else(|| Redis::new("nothing"))
            }
            None => Redis::new("nothing"),
        };
        self.host.start_with(&data);
    }
}
