//! A load inside a load, against an invalidation that names both of their keys: one after the other.
//!
//! The runtime's own are the fences and how they are bumped together (`epochs.rs`). Written again, in a few lines, is a read
//! that is made of another one ([`Process::read`]), and how many rounds there are (`Rules::most_rounds`, of which only the
//! number counts). What loads inside loads take from where is in `tests/nested.rs`, over the runtime itself.

use shuttle::thread;

use crate::epochs::{Epochs, Slot};
use crate::rules::{Rule, Rules};
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::{check_killed, explore};

/// As many loads inside each other as nobody has to think about.
const NESTED: usize = 3;

/// A process with one function over another, and that over a third; the last reads the source.
struct Process {
    epochs: Epochs,
    slots: [Slot; NESTED],
    source: AtomicU64,
}

/// A value and the fence it is kept under.
type Kept = (u64, u64);

impl Process {
    fn fence(&self, level: usize) -> u64 {
        self.epochs.fence(self.slots[level], &[])
    }

    /// What is kept there is served, unless it is invalid: then it is made of what stands below.
    fn read(&self, kept: &mut [Kept; NESTED], level: usize) -> u64 {
        let fence = self.fence(level);
        if kept[level].1 == fence {
            return kept[level].0;
        }
        let value = if level == 0 { self.source.load(Ordering::SeqCst) } else { self.read(kept, level - 1) };
        kept[level] = (value, fence);
        value
    }
}

fn invalidated(rules: Rules) {
    let process = Arc::new(Process { epochs: Epochs::new(NESTED), slots: [0, 1, 2], source: AtomicU64::new(0) });
    let mut kept = std::array::from_fn(|level| (0, process.fence(level)));
    let publisher = {
        let process = Arc::clone(&process);
        thread::spawn(move || {
            process.source.store(1, Ordering::SeqCst);
            let rounds = if rules.holds(Rule::Rounds) { NESTED } else { 1 };
            // The outermost first: the order that is the worst.
            process.epochs.bump_together(&[process.slots[2], process.slots[1], process.slots[0]], rounds);
        })
    };
    for _ in 0..NESTED {
        process.read(&mut kept, NESTED - 1);
    }
    publisher.join().expect("no panic");
    assert_eq!(process.read(&mut kept, NESTED - 1), 1, "an old value was made of what was about to become invalid");
}

#[test]
fn what_is_made_of_other_values_is_as_new_as_they_are() {
    explore(crate::schedules(10_000), invalidated, None);
}

#[test]
fn without_rounds_it_is_made_of_what_is_about_to_become_invalid() {
    check_killed(invalidated, Rule::Rounds);
}
