//! One run of a plan: everything that happens in it, in one thread and in virtual time, and what became of it.
//!
//! ```text
//! the plan's steps  ->  heal everything  ->  rest  ->  everybody reads everything  ->  judge
//! ```

use std::collections::BTreeMap;
use std::rc::Rc;

use cache_runtime::{Cache, simulation};
use cache_tests::history::{Nanos, ProcessNumber, nanos};

use crate::faults::Faults;
use crate::foreign::Told;
use crate::host::Host;
use crate::judge;
use crate::network::{Delivery, Way};
use crate::operation::perform;
use crate::plan::{Operation, Plan, Settings, What, of_shard};
use crate::process::Process;
use crate::server::{Map, Redis, host};
use crate::shared::{Counts, Shared};
use crate::world::{Event, World};

/// The most that everything is given to come to rest: longer than any lease, load, backoff and right to serve.
const REST: Nanos = 10_000_000_000;

/// How often it is looked whether everything is at rest.
const LOOK: Nanos = 50_000_000;

/// What became of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Promises that were broken, each told in some lines.
    pub violations: Vec<String>,
    /// The same for two runs that were the same.
    pub trace: u64,
    /// What was done.
    pub counts: Counts,
    /// How many reads each promise had something to say about.
    pub bound: [u64; 5],
    /// What happened when, if it was asked for.
    pub timeline: Vec<String>,
}

/// A run under way.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) world: Rc<World>,
    pub(crate) shared: Rc<Shared>,
    /// The server of each shard; one without a cluster.
    pub(crate) hosts: Vec<Host>,
    pub(crate) map: Option<Map>,
    /// All that ever were; a process's number is its place.
    pub(crate) processes: Vec<Process>,
    /// Who sits where.
    pub(crate) seats: Vec<ProcessNumber>,
    /// Servers' data of earlier, by the fault that needs them and the shard.
    pub(crate) remembered: BTreeMap<(usize, usize), Redis>,
    pub(crate) faults: Faults,
    /// What foreign publishers have told.
    pub(crate) told: Vec<Told>,
    /// When everything had come to rest for the first time.
    pub(crate) rested: Nanos,
}

/// Runs a plan; with `talks`, what happens is written down for people.
#[must_use]
pub fn run(plan: &Plan, talks: bool) -> Outcome {
    let world = World::begin(plan.seed);
    let entered = simulation::enter(Rc::clone(&world) as Rc<dyn simulation::World>, plan.seed);
    let shared = Shared::begin(&plan.settings, plan.seed, talks);
    world.network.borrow_mut().delays = plan.settings.delays;
    let settings = &plan.settings;
    let map = (settings.shards > 1).then(|| Map::of(settings.shards));
    let start = |shard| Host::start(shard, map.as_ref(), settings.replicas, settings.programs);
    let mut run = Run {
        plan,
        world,
        shared,
        hosts: (0..settings.shards).map(start).collect(),
        map,
        processes: Vec::new(),
        seats: Vec::new(),
        remembered: BTreeMap::new(),
        faults: Faults::default(),
        told: Vec::new(),
        rested: 0,
    };
    run.begin();
    // Bursts may go on for longer than the run was to be.
    let last = plan.steps.iter().map(|step| step.at).max().unwrap_or(0);
    run.until(plan.settings.length.max(last));
    run.heal_all();
    // First what is under way ends: a right to serve may be as old as the last of it. What was lost is told again within
    // the time in which every process looks at the bus twice.
    run.rest(LOOK);
    run.rest(nanos(plan.settings.max_staleness));
    run.rested = run.world.now();
    run.shared.say(|| "    everything is at rest, and is read once more".to_owned());
    run.read_everything();
    run.rest(LOOK);
    let outcome = judge::judge(&mut run);
    run.end();
    drop(entered);
    outcome
}

impl Run<'_> {
    fn begin(&mut self) {
        for _ in 0..self.plan.settings.processes {
            let number = self.start_process();
            self.seats.push(number);
        }
        for (number, step) in self.plan.steps.iter().enumerate() {
            self.world.at(step.at, Event::Step(number));
            if let What::Fault(fault, ..) = step.what
                && let Some(age) = fault.loses()
            {
                self.world.at(step.at.saturating_sub(age), Event::Remember(number));
            }
        }
    }

    /// A new process begins to build its cache.
    pub(crate) fn start_process(&mut self) -> ProcessNumber {
        let number = ProcessNumber::try_from(self.processes.len()).expect("few processes");
        let process = Process::start(number);
        let (settings, cache) = (self.plan.settings.clone(), process.cache());
        process.spawn(async move {
            let builder = Cache::builder("sim")
                .redis(url(&settings))
                .max_staleness(settings.max_staleness)
                .op_timeout(settings.op_timeout)
                .lease(settings.lease)
                .load_timeout(settings.load_timeout)
                .pool_size(settings.pool_size)
                .min_replicas(settings.replicas as usize)
                .load_limit(settings.load_limit)
                .journal(settings.journal)
                .l1_capacity(settings.l1_bytes)
                .seed(u64::from(number));
            let builder = settings.without.iter().fold(builder, |builder, rule| builder.without_rule(*rule));
            let built = builder.build().await.expect("functions and settings are right");
            cache.set(built).expect("it is built once");
        });
        self.processes.push(process);
        number
    }

    /// Everything that happens up to this time.
    fn until(&mut self, end: Nanos) {
        loop {
            while let Some(process) = self.world.next_woken() {
                self.processes[process as usize].run();
                self.faults_of_running(process);
            }
            let Some(event) = self.world.next(end) else { break };
            self.handle(event);
        }
        self.world.set_now(end);
    }

    /// For so long at least, and then until nothing waits for anything.
    fn rest(&mut self, least: Nanos) {
        let began = self.world.now();
        self.until(began + least);
        while self.world.now() < began + REST && !judge::is_at_rest(self) {
            self.until(self.world.now() + LOOK);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Wake(process, waker) => {
                waker.wake();
                self.world.wake(process);
            }
            Event::Deliver(connection, delivery) => self.deliver(connection, delivery),
            Event::Unblock(connection, round) => {
                let world = Rc::clone(&self.world);
                let mut network = world.network.borrow_mut();
                let Some(shard) = network.connections.get(&connection).map(|connection| connection.shard) else {
                    return;
                };
                self.hosts[shard].unblock(&mut network, connection, round);
                drop(network);
                self.spread(shard);
            }
            Event::Remember(step) => {
                let What::Fault(_, _, shard) = self.plan.steps[step].what else { return };
                for shard in self.shards(shard) {
                    self.remembered.insert((step, shard), self.hosts[shard].redis.clone());
                }
            }
            Event::Step(step) => self.step(step),
            Event::Heal(step) => self.heal(step),
        }
    }

    fn deliver(&mut self, connection: u32, delivery: Delivery) {
        let world = Rc::clone(&self.world);
        let mut network = world.network.borrow_mut();
        if delivery.way() == Way::ToServer {
            let Some(shard) = network.connections.get(&connection).map(|connection| connection.shard) else { return };
            self.hosts[shard].receive(&mut network, connection, delivery);
            drop(network);
            return self.spread(shard);
        }
        let woken = network.arrive(connection, delivery);
        drop(network);
        if let Some((process, waker)) = woken {
            waker.wake();
            world.wake(process);
        }
    }

    fn step(&mut self, number: usize) {
        match self.plan.steps[number].what {
            What::Operation(seat, operation) => self.operate(seat, operation),
            What::Tell(record) => self.tell(record),
            What::Fault(fault, lasts, shard) => {
                let of = of_shard(shard);
                self.shared.say(|| format!("    FAULT {fault:?} for {} ms, {of}", lasts / 1_000_000));
                self.begin_fault(number, fault, shard);
                self.world.at(self.world.now() + lasts, Event::Heal(number));
            }
        }
    }

    fn operate(&mut self, seat: usize, operation: Operation) {
        let process = &self.processes[self.seats[seat] as usize];
        if process.is_alive() {
            process.spawn(perform(process.number, process.cache(), operation));
        }
    }

    fn heal_all(&mut self) {
        self.shared.say(|| "    everything is healed".to_owned());
        for step in 0..self.plan.steps.len() {
            self.heal(step);
        }
        self.shared.be_quiet();
    }

    /// After the rest: what every process holds shows.
    fn read_everything(&mut self) {
        for place in self.plan.places.clone() {
            for seat in 0..self.seats.len() {
                self.operate(seat, Operation::Read(place));
            }
        }
    }

    fn end(&mut self) {
        for process in &mut self.processes {
            process.crash();
        }
    }
}

fn url(settings: &Settings) -> String {
    match settings.shards {
        1 => "redis://server".to_owned(),
        shards => {
            let hosts: Vec<_> = (0..shards).map(|shard| host(shard, 0)).collect();
            format!("redis-cluster://{}", hosts.join(","))
        }
    }
}
