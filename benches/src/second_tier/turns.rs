//! Contenders take turns, so that a slow minute of the machine hits all alike.

use std::time::Duration;

use harness::calls::{Calls, Figures};
use harness::stage::Stage;
use harness::statistics::{median, ratio};
use harness::work::Users;

use crate::report::progress;

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) repetitions: usize,
    /// How long one contender runs before the next one does.
    pub(crate) turn: Duration,
    /// How many calls allocations are counted in.
    pub(crate) counted: usize,
    /// How many stampedes, each for another user.
    pub(crate) stampedes: usize,
    /// How many events are published, in each way.
    pub(crate) events: usize,
}

/// The turns of one contender, one for each repetition; none where it cannot call so few at the same time.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Vec<Figures>);

/// For each of `concurrent`, the turns of each contender.
pub(super) fn measure(
    stage: &Stage,
    contenders: &[&dyn Calls],
    users: Users,
    concurrent: &[usize],
    extent: Extent,
) -> Vec<Vec<Turns>> {
    let mut turns = vec![vec![Turns::default(); contenders.len()]; concurrent.len()];
    for repetition in 0..extent.repetitions {
        progress(&format!("{users:?} users, {concurrent:?} at once: {} of {}", repetition + 1, extent.repetitions));
        for (place, concurrent) in concurrent.iter().enumerate() {
            for turn in 0..contenders.len() {
                // Every repetition starts with another one, so that nobody has a fixed neighbour.
                let index = (turn + repetition) % contenders.len();
                let figures = contenders[index].time(stage, users, *concurrent, extent.turn);
                turns[place][index].0.extend(figures.inspect(|figures| check(users, figures)));
            }
        }
    }
    turns
}

/// A turn that was not what it is taken for is no result.
fn check(users: Users, figures: &Figures) {
    match users {
        Users::Warm => {
            assert!(figures.loads == 0.0, "a call was no hit, so these are no times of hits: {figures:?}");
            // Calls for one user at the same moment may share a lookup, and seldom meet.
            assert!(figures.lookups > 0.9, "hits that the server knows nothing of: {figures:?}");
        }
        Users::Cold => assert!(figures.loads > 0.999, "a call was no miss: {figures:?}"),
    }
}

impl Turns {
    /// The median of a figure.
    pub(super) fn middle(&self, figure: fn(&Figures) -> f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| median(&self.all(figure)))
    }

    /// The median of the ratios within each repetition.
    pub(super) fn ratio(&self, base: &Self, figure: fn(&Figures) -> f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| ratio(&self.all(figure), &base.all(figure)))
    }

    /// A figure with so many digits.
    pub(super) fn cell(&self, digits: usize, figure: fn(&Figures) -> f64) -> String {
        self.middle(figure).map_or_else(|| "-".to_owned(), |middle| format!("{middle:.digits$}"))
    }

    /// A figure with so many digits, and in brackets its ratio to that of another contender.
    pub(super) fn compared(&self, base: &Self, digits: usize, figure: fn(&Figures) -> f64) -> String {
        let cell = self.cell(digits, figure);
        self.ratio(base, figure).map_or(cell.clone(), |ratio| format!("{cell} ({ratio:.2}x)"))
    }

    fn all(&self, figure: fn(&Figures) -> f64) -> Vec<f64> {
        self.0.iter().map(figure).collect()
    }
}
