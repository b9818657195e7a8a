//! What one seed stands for: how the processes are set up, what they do and when, and what happens to them.
//!
//! A plan is data. All that chance decides beyond it (delays, how long loads take) follows from the seed too, so that a
//! plan from which steps were taken away runs as exactly as the whole one.

mod draw;
mod programs;

use std::fmt;
use std::time::Duration;

use cache_runtime::testing::Rule;
use cache_tests::history::Nanos;

pub use self::draw::FIRST_OF_ALL;
pub(crate) use self::programs::Programs;
use crate::functions::Place;
use crate::network::{Delays, Partition, Purpose, Way};
use crate::server::Refusal;

/// One seed's run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What all chance follows from.
    pub seed: u64,
    pub(crate) settings: Settings,
    /// What is read.
    pub(crate) places: Vec<Place>,
    pub(crate) steps: Vec<Step>,
}

/// How processes, source and network are set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) processes: usize,
    pub(crate) max_staleness: Duration,
    pub(crate) op_timeout: Duration,
    pub(crate) lease: Duration,
    pub(crate) load_timeout: Duration,
    pub(crate) pool_size: usize,
    /// Shards of a cluster; one is a server without a cluster.
    pub(crate) shards: usize,
    /// Replicas of each server, all of which must have an invalidation.
    pub(crate) replicas: u32,
    pub(crate) programs: Programs,
    pub(crate) load_limit: usize,
    pub(crate) journal: usize,
    pub(crate) l1_bytes: u64,
    pub(crate) delays: Delays,
    /// How far what loads read is behind what was committed. Writers wait for so long before they invalidate.
    pub(crate) lag: Duration,
    /// One load of so many fails, panics, is slow; 0 is none.
    pub(crate) failing: u32,
    pub(crate) panicking: u32,
    pub(crate) slow: u32,
    /// When the last step is begun.
    pub(crate) length: Nanos,
    /// Whether the bus goes on where it was: one that begins anew while the server's clock was set back has places that an
    /// older one had too, and a token names a place.
    pub(crate) bus_goes_on: bool,
    pub(crate) without: Vec<Rule>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) at: Nanos,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// The process in this seat does something.
    Operation(usize, Operation),
    /// Somebody who is no process commits a record and adds its event to the bus.
    Tell(u64),
    /// Something goes wrong for so long, with one shard's server or with all.
    Fault(Fault, Nanos, Option<usize>),
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read(Place),
    /// With the token of the last write of its record.
    ReadAfter(Place),
    /// The caller leaves after so long.
    ReadAndLeave(Place, Nanos),
    /// Takes what is kept and loads nothing, with the token of the last write of its record or without.
    Peek(Place, bool),
    /// Commits a record and publishes its event.
    Write(u64, Wait),
    /// Commits all records of a group and publishes its event.
    WriteGroup(u64, Wait),
    /// Commits the record of a place and invalidates the place.
    Invalidate(Place),
    /// Commits and puts.
    Put(Place),
}

/// What a publisher waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Applied,
    Everywhere,
}

/// What goes wrong. A seat is that of a process; without one all are meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Nothing arrives; what was sent meanwhile arrives at the end.
    Partition {
        seat: Option<usize>,
        way: Option<Way>,
        is_bus_only: bool,
    },
    /// Connections break.
    Reset {
        seat: Option<usize>,
        purpose: Option<Purpose>,
    },
    /// Connections break in the middle of the next piece on this way.
    Tear {
        seat: usize,
        way: Way,
    },
    /// All pieces take longer.
    Slow(Delays),
    /// The process stands still.
    Pause(usize),
    /// The process dies after so many more writes to its connections; another one takes its seat.
    Crash {
        seat: usize,
        writes: u32,
    },
    /// The server dies and comes back with the data of so long ago; with none if that is nothing.
    Restart {
        keeps: Option<Nanos>,
    },
    /// Another server takes over at once, with the data of so long ago.
    Failover {
        loses: Nanos,
    },
    /// One key of so many is evicted.
    Evict {
        one_of: u32,
    },
    /// Of the bus, only so many messages are kept.
    Trim {
        left: usize,
    },
    /// Everything is removed.
    Flush,
    /// The server forgets its scripts.
    ForgetScripts,
    Refuse(Refusal),
    /// Whoever writes waits until it is over.
    PauseWrites,
    /// Its replicas are away.
    NoReplicas,
    /// A piece of the cluster's slots goes to another shard, with everything that stands there.
    Migrate {
        piece: u16,
        to: usize,
    },
    /// The server's clock is set, by so many milliseconds.
    Clock {
        by: i64,
    },
    /// The server's clock goes faster by so many millionths.
    Drift {
        by: i64,
    },
}

impl Fault {
    /// Whether it takes away what the server had acknowledged, and how long ago that may have been.
    pub(crate) fn loses(self) -> Option<Nanos> {
        match self {
            Self::Restart { keeps } => keeps,
            Self::Failover { loses } => Some(loses),
            _ => None,
        }
    }

    /// What is held, where it is a partition of these processes.
    pub(crate) fn partition(self, shard: Option<usize>, process: impl Fn(usize) -> u32) -> Option<Partition> {
        match self {
            Self::Partition { seat, way, is_bus_only } => {
                Some(Partition { process: seat.map(process), shard, way, is_bus_only })
            }
            _ => None,
        }
    }
}

impl Plan {
    /// The plan of this seed, with some rules of the protocol taken away.
    #[must_use]
    pub fn of(seed: u64, without: &[Rule]) -> Self {
        draw::plan(seed, without)
    }

    /// The same while nothing goes wrong: the second tier always answers in time, and every load ends soon, with a value.
    #[must_use]
    pub fn calm(mut self) -> Self {
        self.steps.retain(|step| !matches!(step.what, What::Fault(..)));
        let settings = &mut self.settings;
        (settings.failing, settings.panicking, settings.slow) = (0, 0, 0);
        settings.delays.longest = settings.delays.most;
        (settings.op_timeout, settings.bus_goes_on) = (Duration::from_millis(100), true);
        self
    }

    /// The same with some of its steps.
    pub(crate) fn with(&self, steps: Vec<Step>) -> Self {
        Self { steps, ..self.clone() }
    }
}

/// For people: settings that differ from run to run, then every step.
impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { processes, max_staleness, op_timeout, lease, load_timeout, lag, .. } = &self.settings;
        writeln!(
            out,
            "{processes} processes, max_staleness {max_staleness:?}, op_timeout {op_timeout:?}, lease {lease:?}"
        )?;
        writeln!(out, "load_timeout {load_timeout:?}, loads read what was committed {lag:?} before")?;
        let Settings { shards, replicas, programs, load_limit, delays, .. } = &self.settings;
        let servers = format!("{shards} shards of {programs}, {replicas} replicas of each");
        writeln!(out, "{servers}, {load_limit} loads at a time without them")?;
        let millis = |nanos: Nanos| Duration::from_nanos(nanos);
        let Delays { least, most, one_of, longest } = *delays;
        writeln!(
            out,
            "{:?} to {:?} one way, one of {one_of} up to {:?}\n",
            millis(least),
            millis(most),
            millis(longest)
        )?;
        for Step { at, what } in &self.steps {
            let at = Duration::from_nanos(*at).as_secs_f64() * 1_000.0;
            match what {
                What::Operation(seat, operation) => writeln!(out, "{at:>12.3}  seat {seat}: {operation:?}")?,
                What::Tell(record) => writeln!(out, "{at:>12.3}  a foreign publisher: record {record}")?,
                What::Fault(fault, lasts, shard) => {
                    let lasts = Duration::from_nanos(*lasts);
                    writeln!(out, "{at:>12.3}  {fault:?}, for {lasts:?}, {}", of_shard(*shard))?;
                }
            }
        }
        Ok(())
    }
}

/// For people.
pub(crate) fn of_shard(shard: Option<usize>) -> String {
    shard.map_or_else(|| "everywhere".to_owned(), |shard| format!("of shard {shard}"))
}
