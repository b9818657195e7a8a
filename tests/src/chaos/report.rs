//! What a person sees of a run.

use std::fmt::Write as _;
use std::time::Duration;

use super::settings::Topology;
use crate::history::{Nanos, Promise};
use crate::stress::{Children, Counter, Diary, Loss, Losses, Outcome, Repair, Watch};

/// What a run over one topology has come to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where.
    pub topology: Topology,
    /// How long, without start and end.
    pub time: Duration,
    /// What was checked.
    pub outcome: Outcome,
    /// All faults together.
    pub faults: u64,
    /// Loads that began.
    pub loads: u64,
    /// Invalidations that returned before they were applied.
    pub queued: u64,
    /// The longest that a read took, and an invalidation.
    pub slowest: [Duration; 2],
    /// What servers that took over did not have.
    pub failovers: Failovers,
}

/// What servers that took over did not have.
#[derive(Clone, Debug, Default)]
pub struct Failovers {
    /// How many took over.
    pub count: u64,
    /// How many of them without something that was acknowledged.
    pub lossy: u64,
    /// Acknowledged invalidations that were missing there.
    pub lost: u64,
    /// The most in one failover.
    pub most: u64,
    /// The longest time of which nothing was there.
    pub span: Duration,
    /// The longest time in which no primary answered.
    pub away: Duration,
    /// Reads that were older for that reason.
    pub older: u64,
    /// The last of them that was repaired began so long after the new primary answered.
    pub until_repaired: Duration,
    /// Each of them, in a line.
    pub lines: Vec<String>,
    /// Of the reads, those of what nobody could repeat; and when the last of them began.
    pub never: (u64, Duration),
}

impl Report {
    pub(super) fn of(
        topology: Topology,
        time: Duration,
        watch: Watch,
        children: &Children,
        losses: &Losses,
        diary: &Diary,
    ) -> Self {
        let failovers = Failovers::of(&watch, losses);
        let (loads, slowest_read) =
            (watch.tally.counts().get(Counter::LoadsBegun), watch.tally.counts().get(Counter::Slowest));
        let (queued, slowest_invalidation) = (watch.tally.queued, watch.tally.slowest_invalidation);
        let slowest = [Duration::from_millis(slowest_read), Duration::from_nanos(slowest_invalidation)];
        let outcome = watch.outcome(children);
        Self { topology, time, outcome, faults: diary.total(), loads, queued, slowest, failovers }
    }

    /// Whether every promise was kept and nothing else was wrong.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.outcome.violation.is_none() && self.outcome.problems.is_empty()
    }
}

impl Failovers {
    fn of(watch: &Watch, losses: &Losses) -> Self {
        let mut failovers = Self::default();
        let all = losses.all();
        for (number, loss) in all.iter().enumerate().filter(|(_, loss)| loss.repair == Repair::Replay) {
            let lost = watch.judge.lost().get(number).copied().unwrap_or_default();
            failovers.count += 1;
            failovers.lossy += u64::from(lost > 0);
            failovers.lost += lost;
            failovers.most = failovers.most.max(lost);
            failovers.span = failovers.span.max(Duration::from_nanos(loss.cut - loss.from));
            failovers.away = failovers.away.max(Duration::from_nanos(loss.up.saturating_sub(loss.cut)));
            failovers.lines.push(describe(loss, lost, watch.origin));
        }
        let excused = &watch.judge.excused;
        failovers.older = excused.reads.iter().sum();
        failovers.until_repaired = Duration::from_nanos(excused.until_repaired);
        failovers.never = (excused.never, Duration::from_nanos(excused.never_repaired));
        failovers
    }
}

fn describe(loss: &Loss, count: u64, origin: Nanos) -> String {
    let millis = |from: Nanos, to: Nanos| Duration::from_nanos(to.saturating_sub(from)).as_millis();
    format!(
        "took over at {:>7} ms, {:>5} ms after the old primary, without its last {:>5} ms: {count} invalidations; {} ms \
         until nobody believed the old one",
        millis(origin, loss.up),
        millis(loss.cut, loss.up),
        millis(loss.from, loss.cut),
        millis(loss.cut, loss.to.unwrap_or(loss.cut)),
    )
}

/// All that was done, one column for each topology.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let mut text = format!("{:<44}", "");
    for report in reports {
        write!(text, "{:>12}", report.topology.to_string()).expect("a String takes any text");
    }
    let count = |number: u64| number.to_string();
    let millis = |span: Duration| format!("{} ms", span.as_millis());
    let promises = Promise::ALL.into_iter().enumerate();
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    let mut row = |name: &str, of: &dyn Fn(&Report) -> String| {
        rows.push((name.to_owned(), reports.iter().map(of).collect()));
    };
    row("time", &|report| format!("{} s", report.time.as_secs()));
    row("faults", &|report| count(report.faults));
    row("reads", &|report| count(report.outcome.reads));
    for (number, promise) in promises {
        row(&format!("  bound by {promise:?}"), &|report| count(report.outcome.bound[number]));
    }
    row("commits", &|report| count(report.outcome.writes));
    row("invalidations", &|report| count(report.outcome.invalidations));
    row("  of them queued", &|report| count(report.queued));
    row("loads", &|report| count(report.loads));
    for (number, (what, _)) in reports.first().map(|report| report.outcome.special).into_iter().flatten().enumerate() {
        row(what, &|report| count(report.outcome.special[number].1));
    }
    row("longest read", &|report| millis(report.slowest[0]));
    row("longest invalidation", &|report| millis(report.slowest[1]));
    failover_rows(&mut row);
    row("violations", &|report| u64::from(report.outcome.violation.is_some()).to_string());
    row("other problems", &|report| report.outcome.problems.len().to_string());
    for (name, cells) in rows {
        write!(text, "\n{name:<44}").expect("a String takes any text");
        for cell in cells {
            write!(text, "{cell:>12}").expect("a String takes any text");
        }
    }
    text + "\n"
}

/// Adds a line: what it is called, and what stands in the column of a report.
type AddRow<'a> = &'a mut dyn FnMut(&str, &dyn Fn(&Report) -> String);

fn failover_rows(row: AddRow<'_>) {
    let count = |number: u64| number.to_string();
    let millis = |span: Duration| format!("{} ms", span.as_millis());
    row("servers that took over", &|report| count(report.failovers.count));
    row("  without acknowledged invalidations", &|report| count(report.failovers.lossy));
    row("  longest time without a primary", &|report| millis(report.failovers.away));
    row("  longest time that was lost", &|report| millis(report.failovers.span));
    row("  invalidations lost", &|report| count(report.failovers.lost));
    row("  most in one failover", &|report| count(report.failovers.most));
    row("  reads excused by them", &|report| count(report.failovers.older));
    row("  last one after the new primary answered", &|report| millis(report.failovers.until_repaired));
    row("  reads of what nobody could repeat", &|report| count(report.failovers.never.0));
    row("  last one after the new primary answered", &|report| millis(report.failovers.never.1));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(topology: Topology) -> Report {
        let outcome = Outcome {
            reads: 1_000,
            writes: 100,
            invalidations: 150,
            dead_leaders: 3,
            bound: [1, 2, 3, 4, 5],
            special: [("answers past their ttl", 9); 4],
            violation: None,
            found_after: None,
            problems: Vec::new(),
            table: String::new(),
        };
        let failovers = Failovers { count: 2, lossy: 1, lost: 7, most: 7, ..Failovers::default() };
        let slowest = [Duration::from_millis(812), Duration::from_secs(2)];
        Report { topology, time: Duration::from_mins(1), outcome, faults: 77, loads: 40, queued: 9, slowest, failovers }
    }

    #[test]
    fn the_table_has_a_column_for_each_topology() {
        let text = table(&[report(Topology::Sentinel), report(Topology::Cluster)]);
        let row = |name: &str| -> Vec<String> {
            let line = text.lines().find(|line| line.trim_start().starts_with(name)).expect(name);
            line.split_whitespace().rev().take(2).map(str::to_owned).collect()
        };
        assert_eq!(text.lines().next().map(str::trim), Some("sentinel     cluster"));
        assert_eq!(row("reads"), ["1000", "1000"]);
        assert_eq!(row("bound by Causal"), ["5", "5"]);
        assert_eq!(row("invalidations lost"), ["7", "7"]);
        assert_eq!(row("violations"), ["0", "0"]);
    }

    #[test]
    fn a_run_is_well_without_violations_and_problems_only() {
        let well = report(Topology::Cluster);
        assert!(well.is_well());
        let stuck = Outcome { problems: vec!["1 tasks never came to an end".to_owned()], ..well.outcome.clone() };
        let wrong = Outcome { violation: Some("too old".to_owned()), ..well.outcome.clone() };
        for outcome in [stuck, wrong] {
            assert!(!Report { outcome, ..well.clone() }.is_well());
        }
    }
}
