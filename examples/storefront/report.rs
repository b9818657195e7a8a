//! The table at the end.

use std::fmt::{self, Display, Formatter};
use std::process::ExitCode;

use cache_runtime::Metric;

use crate::args::Args;
use crate::figures::{grouped, percent, rate, ratio, time};
use crate::phase::{Counted, Phase};

/// What the run showed; `Display` is the table.
pub(crate) struct Report {
    args: Args,
    /// What the run is called in Redis, if it has a second tier there.
    name_in_redis: Option<String>,
    /// The phases, as far as it came.
    pub(crate) phases: Vec<Phase>,
    pub(crate) interrupted: bool,
}

/// A name, and the cell of a phase.
type Row = (&'static str, fn(&Phase) -> String);

/// The rows of the upper table.
const ROWS: [Row; 12] = [
    ("", |phase| phase.title.to_owned()),
    ("seconds", |phase| format!("{:.1}", phase.took.as_secs_f64())),
    ("requests/s", |phase| rate(phase.tally.requests(), phase.took)),
    ("database queries/s", |phase| rate(phase.queries, phase.took)),
    ("queries/request", |phase| ratio(phase.queries, phase.tally.requests())),
    ("reading, p50", |phase| time(phase.tally.reads.percentile(50))),
    ("reading, p99", |phase| time(phase.tally.reads.percentile(99))),
    ("writing, p50", |phase| time(phase.tally.writes.percentile(50))),
    ("writing, p99", |phase| time(phase.tally.writes.percentile(99))),
    ("values checked", |phase| grouped(phase.checked())),
    ("stale reads", |phase| grouped(phase.stale())),
    ("failed requests", |phase| grouped(phase.tally.failed)),
];

/// The row that there is with a second tier only.
const HITS_IN_REDIS: Row = ("hits in Redis", |phase| grouped(phase.count(Metric::HitL2)));

/// A name, and what it counts.
type Count = (&'static str, Metric);

/// The counts of the lower table, over all phases.
const COUNTS: [Count; 4] =
    [("hits", Metric::HitL1), ("loads", Metric::Load), ("joined", Metric::Joined), ("overtaken", Metric::RefusedFill)];

/// The count that there is with a second tier only.
const IN_REDIS: Count = ("in Redis", Metric::HitL2);

const LEGEND: &str = "\
of the views. Stale: older than what had been announced when the read began, or,
after each phase, not what the database says. Overtaken: not kept, because an
event came during the load.
";

impl Report {
    pub(crate) fn new(args: &Args, name_in_redis: Option<&str>) -> Self {
        let name_in_redis = name_in_redis.map(str::to_owned);
        Self { args: args.clone(), name_in_redis, phases: Vec::new(), interrupted: false }
    }

    /// Fails when a read was stale or a request went wrong.
    pub(crate) fn verdict(&self) -> ExitCode {
        let wrong = self.phases.iter().any(|phase| phase.stale() + phase.tally.failed > 0);
        if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn write_phases(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let second_tier = self.name_in_redis.as_ref().map(|_| HITS_IN_REDIS);
        for (name, cell) in ROWS.into_iter().chain(second_tier) {
            write!(f, "{name:<20}")?;
            for phase in &self.phases {
                write!(f, "{:>16}", cell(phase))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    /// The hit rate of each function in each phase that used the cache, and its counts.
    fn write_functions(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let cached: Vec<_> = self.phases.iter().filter(|phase| phase.is_cached()).collect();
        let Some(first) = cached.first() else {
            return Ok(());
        };
        let second_tier = self.name_in_redis.as_ref().map(|_| IN_REDIS);
        let columns: Vec<_> = COUNTS.into_iter().chain(second_tier).collect();
        write!(f, "\n{:<20}", "hit rate")?;
        cached.iter().try_for_each(|phase| write!(f, "{:>16}", phase.title))?;
        columns.iter().try_for_each(|(name, _)| write!(f, "{name:>11}"))?;
        writeln!(f)?;
        for (index, function) in first.functions.iter().enumerate() {
            write!(f, "{:<20}", function.after.name())?;
            let phases = || cached.iter().map(|phase| &phase.functions[index]);
            phases().try_for_each(|counted| write!(f, "{:>16}", counted.hit_rate()))?;
            let count = |metric| phases().map(|counted| counted.count(metric)).sum();
            columns.iter().try_for_each(|(_, metric)| write!(f, "{:>11}", grouped(count(*metric))))?;
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_notes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (products, threads) = (grouped(self.args.products.into()), self.args.threads);
        let tallies = || self.phases.iter().map(|phase| &phase.tally);
        let views = tallies().map(|tally| tally.views).sum();
        let top_views = tallies().map(|tally| tally.top_views).sum();
        let share = percent(top_views, views);
        writeln!(f, "\nproducts: {products}; threads: {threads}; 20 % of the products took {share}")?;
        f.write_str(LEGEND)?;
        if let Some(name) = &self.name_in_redis {
            writeln!(f, "In Redis this run is `{name}`. Its entries end with their ttl; all of it goes with")?;
            writeln!(f, "    redis-cli --scan --pattern '*{name}*' | xargs redis-cli unlink")?;
        }
        for failure in tallies().filter_map(|tally| tally.first_failure.as_ref()) {
            writeln!(f, "The first failure: {failure}.")?;
        }
        f.write_str(if self.interrupted { "Stopped by Ctrl-C.\n" } else { "" })
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.phases.is_empty() {
            return writeln!(f, "Stopped by Ctrl-C before the traffic began.");
        }
        writeln!(f)?;
        self.write_phases(f)?;
        self.write_functions(f)?;
        self.write_notes(f)
    }
}

impl Phase {
    fn is_cached(&self) -> bool {
        !self.functions.is_empty()
    }

    /// All values compared: with what was announced while the traffic ran, and with the database
    /// after it.
    fn checked(&self) -> u64 {
        self.tally.checked + self.sample.compared
    }

    fn stale(&self) -> u64 {
        self.tally.stale + self.sample.different
    }

    fn count(&self, metric: Metric) -> u64 {
        self.functions.iter().map(|counted| counted.count(metric)).sum()
    }
}

impl Counted {
    /// The share of this phase's calls that were answered by the cache, from whichever tier. What is not in memory is a
    /// miss there, be it in Redis or not.
    fn hit_rate(&self) -> String {
        let (near, missed) = (self.count(Metric::HitL1), self.count(Metric::Miss));
        percent(near + self.count(Metric::HitL2), near + missed)
    }

    fn count(&self, metric: Metric) -> u64 {
        self.after.count(metric) - self.before.count(metric)
    }
}
