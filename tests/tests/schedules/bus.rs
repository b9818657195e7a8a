//! The bus and who reads it, against those who are served meanwhile: a value that was promised to be gone is served for
//! `max_staleness` at most, whatever the order of things is.
//!
//! The runtime's own are the fences (`epochs.rs`) and the right (`right.rs`). Written again, since theirs cannot be compiled
//! without tokio, a client and a map, are three orders of a few lines each: [`World::probe`] is `turn`, `apply` and `extend`
//! of `bus/prober.rs`; [`World::kept`] is `Node::kept` and its like in `node.rs`, the right before the fence, with
//! `Entry::freshness` of `l1.rs`; [`World::read`] is a load under the fence from before it. What is tried here is that these
//! orders suffice, and that each other one does not. That the runtime's reader has them, `runtime::bus::tests` hold
//! (`what_others_publish_is_unlinked_then_fenced_off_then_delivered`, `the_right_begins_when_the_bus_was_asked`). That its
//! hits have them, no test holds: between the two looks of a hit there is no step, and a test would have to be as fast.
//! The bus loses nothing, and its reader may be slow in every place.

use shuttle::thread;

use crate::epochs::{Epochs, Slot};
use crate::explore;
use crate::right::Right;
use crate::rules::{Rule, Rules};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, lock};

/// `max_staleness`, in ticks of the clock.
const STALENESS: u64 = 3;

/// When everything is over.
const LAST_TICK: u64 = 14;

/// Looks at the bus. Then its reader is stuck for good: the right has to end by itself.
const PROBES: usize = 3;

struct World {
    rules: Rules,
    clock: AtomicU64,
    /// The database.
    version: AtomicU64,
    /// How many messages are on the bus, and when the last `publish` of each version has returned.
    bus: Mutex<u64>,
    promised: Mutex<Vec<(u64, u64)>>,
    epochs: Epochs,
    key: Slot,
    right: Right,
    /// Value and fence.
    l1: Mutex<Option<(u64, u64)>>,
}

impl World {
    fn new(rules: Rules) -> Arc<Self> {
        let epochs = Epochs::new(4);
        Arc::new(Self {
            rules,
            clock: AtomicU64::new(0),
            version: AtomicU64::new(0),
            bus: Mutex::new(0),
            promised: Mutex::new(Vec::new()),
            key: epochs.slot(1),
            epochs,
            right: Right::none(),
            l1: Mutex::new(None),
        })
    }

    fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    fn is_over(&self) -> bool {
        self.now() >= LAST_TICK
    }

    fn fence(&self) -> u64 {
        self.epochs.fence(self.key, &[])
    }

    /// Another process: commits, publishes, and promises once that has returned.
    fn write(&self) {
        let version = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        *lock(&self.bus) += 1;
        lock(&self.promised).push((self.now(), version));
    }

    /// The newest version whose publish has returned `STALENESS` before `now`.
    fn bound(&self, now: u64) -> u64 {
        let promised = lock(&self.promised);
        let due = promised.iter().filter(|(returned, _)| returned + STALENESS <= now);
        due.map(|(_, version)| *version).max().unwrap_or(0)
    }

    /// One look at the bus.
    fn probe(&self, read: &mut u64) {
        let sent = self.now();
        let end = *lock(&self.bus);
        // The reply travels, and what it says is applied piece by piece.
        pause(6);
        if !self.rules.holds(Rule::FencesFirst) {
            self.right.extend(sent + STALENESS);
        }
        for _ in *read..end {
            pause(4);
            self.epochs.bump(self.key);
        }
        *read = end;
        let from = if self.rules.holds(Rule::RightFromSending) { sent } else { self.now() };
        self.right.extend(from + STALENESS);
    }

    /// What may be served from the in-process tier.
    fn kept(&self) -> Option<u64> {
        let ((value, fence), right);
        if self.rules.holds(Rule::RightFirst) {
            right = self.right.end();
            (value, fence) = (*lock(&self.l1))?;
            if self.fence() != fence {
                return None;
            }
        } else {
            (value, fence) = (*lock(&self.l1))?;
            if self.fence() != fence {
                return None;
            }
            right = self.right.end();
        }
        (self.now() < right).then_some(value)
    }

    fn read(&self) -> u64 {
        if let Some(value) = self.kept() {
            return value;
        }
        let fence = self.fence();
        let value = self.version.load(Ordering::SeqCst);
        thread::yield_now();
        *lock(&self.l1) = Some((value, fence));
        value
    }
}

/// Time for others.
fn pause(turns: usize) {
    (0..turns).for_each(|_| thread::yield_now());
}

fn scenario(rules: Rules) {
    let world = World::new(rules);
    let spawn = |run: fn(&World)| {
        let world = Arc::clone(&world);
        thread::spawn(move || run(&world))
    };
    let threads = [
        spawn(|world| {
            for _ in 0..LAST_TICK {
                pause(4);
                world.clock.fetch_add(1, Ordering::SeqCst);
            }
        }),
        spawn(|world| {
            for _ in 0..2 {
                pause(8);
                world.write();
            }
        }),
        spawn(|world| {
            let mut read = 0;
            for _ in 0..PROBES {
                world.probe(&mut read);
                pause(12);
            }
        }),
        spawn(serve),
        spawn(serve),
    ];
    for thread in threads {
        thread.join().expect("no assertion failed");
    }
}

fn serve(world: &World) {
    while !world.is_over() {
        let now = world.now();
        let bound = world.bound(now);
        let value = world.read();
        assert!(value >= bound, "read version {value} at {now}, when {bound} had been promised for {STALENESS} ticks");
        thread::yield_now();
    }
}

#[test]
fn nothing_is_served_for_longer_than_promised() {
    explore(crate::schedules(10_000), scenario, None);
}

#[test]
fn a_right_that_counts_from_the_answer_is_too_long() {
    crate::check_killed(scenario, Rule::RightFromSending);
}

#[test]
fn a_right_before_the_fences_serves_what_is_gone() {
    crate::check_killed(scenario, Rule::FencesFirst);
}

#[test]
fn a_fence_before_the_right_serves_what_is_gone() {
    crate::check_killed(scenario, Rule::RightFirst);
}
