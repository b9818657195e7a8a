//! Takes away what does not matter to a failure: steps of its plan, as long as it still fails (Zeller and Hildebrandt,
//! "Simplifying and isolating failure-inducing input", 2002).

use crate::plan::{Plan, Step};
use crate::run::run;

/// Runs that may be spent on it.
const MOST_RUNS: usize = 1_500;

/// A plan that fails too, and of which no small part can be taken away.
#[must_use]
pub fn minimise(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let (mut runs, mut size) = (0, plan.steps.len().div_ceil(2));
    while size > 0 && runs < MOST_RUNS {
        let before = plan.steps.len();
        let mut start = 0;
        while start < plan.steps.len() && runs < MOST_RUNS {
            runs += 1;
            match still_fails_without(&plan, start, size) {
                Some(smaller) => plan = smaller,
                None => start += size,
            }
        }
        let is_smallest = size == 1 && plan.steps.len() == before;
        size = if is_smallest { 0 } else { size.div_ceil(2).max(1) };
    }
    plan
}

fn still_fails_without(plan: &Plan, start: usize, size: usize) -> Option<Plan> {
    let is_kept = |number: usize| number < start || number >= start + size;
    let steps: Vec<Step> =
        plan.steps.iter().enumerate().filter(|(number, _)| is_kept(*number)).map(|(_, step)| step.clone()).collect();
    let smaller = plan.with(steps);
    (!run(&smaller, false).violations.is_empty()).then_some(smaller)
}
