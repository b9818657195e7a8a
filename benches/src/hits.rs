//! The times of hits: contenders take turns, so that a slow minute of the machine hits all alike.

use std::sync::Arc;
use std::time::Duration;

use harness::statistics::as_float;

use crate::contender::{Hits, MODES, Mode};
use crate::workload::{self, Reads};

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) repetitions: usize,
    /// How long one contender runs before the next one does.
    pub(crate) turn: Duration,
    /// How often each generated crate is built; 0 leaves build times out.
    pub(crate) builds: usize,
}

/// The times of one contender: for each mode, for each repetition, nanoseconds per hit and thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(pub(crate) [Vec<f64>; MODES.len()]);

/// Measures all contenders in turns. `report` hears about each repetition.
pub(crate) fn measure(contenders: &[&dyn Hits], extent: Extent, mut report: impl FnMut(usize)) -> Vec<Times> {
    let reads = Arc::new(Reads::new());
    for contender in contenders {
        contender.warm();
    }
    let counts: Vec<usize> =
        contenders.iter().map(|contender| hits_per_turn(*contender, &reads, extent.turn)).collect();
    let loads = workload::loads();
    let mut times = vec![Times::default(); contenders.len()];
    for repetition in 0..extent.repetitions {
        report(repetition);
        for (mode, place) in MODES.into_iter().zip(0..) {
            for turn in 0..contenders.len() {
                // Every repetition starts with another one, so that nobody has a fixed neighbour.
                let index = (turn + repetition) % contenders.len();
                let time = one_turn(contenders[index], &reads, mode, counts[index]);
                times[index].0[place].push(time);
            }
        }
    }
    assert_eq!(workload::loads(), loads, "a read was no hit, so these are no times of hits");
    times
}

/// How many hits of one task take about as long as a turn.
fn hits_per_turn(contender: &dyn Hits, reads: &Arc<Reads>, turn: Duration) -> usize {
    const TRIAL: usize = 20_000;
    contender.time(reads, MODES[0], TRIAL);
    let trial = contender.time(reads, MODES[0], TRIAL);
    let share = turn.as_nanos() / trial.as_nanos().max(1);
    TRIAL * usize::try_from(share).unwrap_or(1).max(1)
}

fn one_turn(contender: &dyn Hits, reads: &Arc<Reads>, mode: Mode, hits: usize) -> f64 {
    let count = (hits * mode.threads / mode.tasks).max(1);
    let time = contender.time(reads, mode, count);
    nanoseconds(time) * as_float(mode.threads) / as_float(mode.tasks * count)
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}
