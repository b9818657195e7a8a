//! A plan, drawn from its seed.

use std::time::Duration;

use cache_runtime::testing::Rule;
use cache_tests::history::Nanos;
use fastrand::Rng;

use super::{Fault, Operation, Plan, Programs, Settings, Step, Wait, What};
use crate::functions::{Function, GROUPS, Place, RECORDS};
use crate::network::{Delays, Purpose, Way};
use crate::server::{PIECES, Refusal, Swaps};

/// A millisecond.
const MS: Nanos = 1_000_000;

/// When the first step may begin: most caches are built by then.
const FIRST: Nanos = 20 * MS;

/// The first seed that is drawn from everything. Those before it stand for what they stood for when there was less.
pub const FIRST_OF_ALL: u64 = 13_000_000;

/// The first one with clusters, replicas and all that is done to them.
const FIRST_OF_MOST: u64 = 12_000_000;

/// What a seed prefers: some runs are calm, some are about one thing, some about everything.
struct Taste {
    /// All that operations are about, and those that most are about.
    places: Vec<Place>,
    hot: Vec<Place>,
    /// Of a hundred operations, so many write.
    writes: u32,
    /// Moments at which most happens; none if it is spread evenly.
    bursts: Vec<Nanos>,
}

pub(super) fn plan(seed: u64, without: &[Rule]) -> Plan {
    let random = &mut Rng::with_seed(seed);
    let mut settings = settings(random, without);
    let is_of_most = seed >= FIRST_OF_MOST;
    if is_of_most {
        widen(random, &mut settings);
    }
    if seed >= FIRST_OF_ALL {
        settings.programs = Programs::draw(random);
    }
    let taste = taste(random, &settings, is_of_most);
    // Mostly few: what goes wrong shows in some hundred operations.
    let count = 300 + random.usize(0..=700) * random.usize(0..=100) / 100 * random.usize(0..=100) / 100;
    let mut steps: Vec<Step> = (0..count).map(|_| operation(random, &settings, &taste)).collect();
    let faults = if random.u32(0..8) == 0 { 0 } else { random.usize(1..12) };
    let kinds = kinds(random, &settings, is_of_most);
    steps.extend((0..faults).map(|_| fault_step(random, &settings, &taste, &kinds)));
    if is_of_most {
        peeks(random, &mut steps);
    }
    steps.extend(foreign(seed, &settings, &taste));
    steps.sort_by_key(|step| step.at);
    let begins_anew = |step: &Step| {
        use Fault::{Evict, Failover, Flush, Restart};
        matches!(step.what, What::Fault(Restart { .. } | Failover { .. } | Flush | Evict { .. }, ..))
    };
    settings.bus_goes_on = !steps.iter().any(begins_anew);
    Plan { seed, settings, places: taste.places, steps }
}

/// One run in eight has a foreign publisher. It has its own dice: the rest of a seed is what it is without it.
fn foreign(seed: u64, settings: &Settings, taste: &Taste) -> Vec<Step> {
    let random = &mut Rng::with_seed(seed ^ 0xF0_4E16);
    // Who tells the bus does not wait until what it has committed is where loads read.
    let count = if seed.is_multiple_of(8) && settings.lag.is_zero() { random.usize(1..20) } else { 0 };
    let step = |()| Step { at: moment(random, settings, taste), what: What::Tell(place(random, taste).record) };
    std::iter::repeat_n((), count).map(step).collect()
}

fn settings(random: &mut Rng, without: &[Rule]) -> Settings {
    let millis = |random: &mut Rng, from, to| Duration::from_millis(random.u64(from..=to));
    let rate = |random: &mut Rng, one_of| if random.bool() { random.u32(one_of..10 * one_of) } else { 0 };
    Settings {
        processes: random.usize(2..=8).min(random.usize(2..=8)),
        max_staleness: millis(random, 200, 2_000),
        op_timeout: millis(random, 40, 100),
        lease: millis(random, 200, 1_500),
        load_timeout: millis(random, 500, 2_000),
        pool_size: random.usize(1..=2),
        shards: 1,
        replicas: 0,
        programs: Programs::One(Swaps::None),
        load_limit: 1_024,
        journal: if random.u32(0..4) == 0 { random.usize(1..8) } else { 4_096 },
        l1_bytes: if random.u32(0..4) == 0 { 4 << 10 } else { 64 << 10 },
        delays: delays(random),
        lag: if random.u32(0..8) == 0 { millis(random, 1, 100) } else { Duration::ZERO },
        failing: rate(random, 10),
        panicking: rate(random, 30),
        slow: rate(random, 20),
        length: if random.u32(0..5) == 0 { random.u64(2_000..=6_000) } else { random.u64(500..=2_000) } * MS,
        bus_goes_on: true,
        without: without.to_vec(),
    }
}

/// Clusters, replicas that count, few loads at a time.
fn widen(random: &mut Rng, settings: &mut Settings) {
    settings.shards = if random.bool() { random.usize(2..=3) } else { 1 };
    settings.replicas = u32::from(random.u32(0..4) == 0);
    if random.u32(0..3) == 0 {
        settings.load_limit = random.usize(1..=3);
    }
}

/// Of reads, one in sixteen only peeks.
fn peeks(random: &mut Rng, steps: &mut [Step]) {
    for step in steps {
        match &mut step.what {
            What::Operation(_, operation @ (Operation::Read(_) | Operation::ReadAfter(_)))
                if random.u32(0..16) == 0 =>
            {
                *operation = match *operation {
                    Operation::Read(place) => Operation::Peek(place, false),
                    Operation::ReadAfter(place) => Operation::Peek(place, true),
                    other => other,
                };
            }
            _ => {}
        }
    }
}

fn delays(random: &mut Rng) -> Delays {
    let least = random.u64(10_000..200_000);
    let most = least + random.u64(10_000..1_000_000);
    // In some runs connections overtake each other all the time, in others hardly.
    let one_of = if random.u32(0..4) == 0 { random.u32(2..8) } else { random.u32(10..500) };
    Delays { least, most, one_of, longest: random.u64(1..30) * MS }
}

fn taste(random: &mut Rng, settings: &Settings, is_of_most: bool) -> Taste {
    let records: Vec<u64> = (0..random.usize(1..=3)).map(|_| random.u64(0..RECORDS)).collect();
    let functions: Vec<Function> = (0..random.usize(1..=5)).map(|_| function(random, is_of_most)).collect();
    let of = |function| records.iter().map(move |record| Place { function, record: *record });
    let places: Vec<Place> = functions.into_iter().flat_map(of).collect();
    let hot = (0..random.usize(1..=3)).map(|_| places[random.usize(0..places.len())]).collect();
    let bursts = if random.bool() { random.usize(4..30) } else { 0 };
    let bursts = (0..bursts).map(|_| random.u64(FIRST..settings.length)).collect();
    Taste { places, hot, writes: random.u32(5..40), bursts }
}

fn function(random: &mut Rng, is_of_most: bool) -> Function {
    let functions = if is_of_most { Function::ALL.len() } else { Function::FIRST };
    Function::ALL[random.usize(0..functions)]
}

fn place(random: &mut Rng, taste: &Taste) -> Place {
    if random.u32(0..10) < 8 {
        taste.hot[random.usize(0..taste.hot.len())]
    } else {
        taste.places[random.usize(0..taste.places.len())]
    }
}

fn operation(random: &mut Rng, settings: &Settings, taste: &Taste) -> Step {
    let (at, seat) = (moment(random, settings, taste), random.usize(0..settings.processes));
    let place = place(random, taste);
    let operation = if random.u32(0..100) < taste.writes { write(random, place) } else { read(random, place) };
    Step { at, what: What::Operation(seat, operation) }
}

fn moment(random: &mut Rng, settings: &Settings, taste: &Taste) -> Nanos {
    match taste.bursts.len() {
        0 => random.u64(FIRST..settings.length),
        bursts => taste.bursts[random.usize(0..bursts)] + random.u64(0..20 * MS),
    }
}

fn read(random: &mut Rng, place: Place) -> Operation {
    match random.u32(0..20) {
        0 => Operation::ReadAndLeave(place, random.u64(0..10 * MS)),
        1..5 => Operation::ReadAfter(place),
        _ => Operation::Read(place),
    }
}

fn write(random: &mut Rng, place: Place) -> Operation {
    let wait = if random.u32(0..5) == 0 { Wait::Everywhere } else { Wait::Applied };
    match random.u32(0..10) {
        _ if place.function.is_put() && random.u32(0..4) > 0 => Operation::Put(place),
        // What is over another function is invalid only with it.
        0..3 if !place.function.is_nested() => Operation::Invalidate(place),
        3..5 if place.function.is_grouped() => Operation::WriteGroup(place.record * GROUPS / RECORDS, wait),
        _ if place.function.is_put() => Operation::Invalidate(place),
        _ => Operation::Write(place.record, wait),
    }
}

type Kind = fn(&mut Rng, usize) -> Fault;

const KINDS: &[Kind] = &[
    |random, seats| Fault::Partition { seat: some_seat(random, seats), way: some_way(random), is_bus_only: false },
    |random, seats| Fault::Partition { seat: Some(random.usize(0..seats)), way: some_way(random), is_bus_only: true },
    |random, seats| Fault::Reset { seat: some_seat(random, seats), purpose: some_purpose(random) },
    |random, seats| Fault::Tear { seat: random.usize(0..seats), way: way(random) },
    |random, _| Fault::Slow(Delays { most: random.u64(1..60) * MS, ..delays(random) }),
    |random, seats| Fault::Pause(random.usize(0..seats)),
    |random, seats| Fault::Crash { seat: random.usize(0..seats), writes: random.u32(0..6) },
    |random, _| Fault::Restart { keeps: random.bool().then(|| span(random, 8_000)) },
    |random, _| Fault::Failover { loses: span(random, 2_000) },
    |random, _| Fault::Evict { one_of: random.u32(1..6) },
    |random, _| Fault::Trim { left: random.usize(0..10) },
    |_, _| Fault::Flush,
    |_, _| Fault::ForgetScripts,
    |random, _| Fault::Refuse(refusal(random)),
    |random, _| Fault::Clock { by: random.i64(-5_000..5_000) },
    |random, _| Fault::Drift { by: random.i64(-50_000..50_000) },
];

/// What was not there before [`FIRST_OF_MOST`].
const MORE_KINDS: &[Kind] = &[|_, _| Fault::PauseWrites];

const KINDS_OF_CLUSTERS: &[Kind] =
    &[|random, _| Fault::Migrate { piece: random.u16(0..PIECES), to: random.usize(0..2) }];

const KINDS_OF_REPLICAS: &[Kind] = &[|_, _| Fault::NoReplicas];

/// Often short.
fn span(random: &mut Rng, most: Nanos) -> Nanos {
    if random.bool() { random.u64(0..20 * MS) } else { random.u64(0..most) * MS }
}

/// The kinds of faults of one run: all, or a few.
fn kinds(random: &mut Rng, settings: &Settings, is_of_most: bool) -> Vec<Kind> {
    let mut kinds = KINDS.to_vec();
    if is_of_most {
        kinds.extend(MORE_KINDS);
        kinds.extend(KINDS_OF_CLUSTERS.iter().filter(|_| settings.shards > 1));
        kinds.extend(KINDS_OF_REPLICAS.iter().filter(|_| settings.replicas > 0));
    }
    if random.u32(0..3) == 0 {
        return kinds;
    }
    (0..random.usize(1..4)).map(|_| kinds[random.usize(0..kinds.len())]).collect()
}

fn fault_step(random: &mut Rng, settings: &Settings, taste: &Taste, kinds: &[Kind]) -> Step {
    let at = moment(random, settings, taste);
    let fault = kinds[random.usize(0..kinds.len())](random, settings.processes);
    let lasts = match random.u32(0..10) {
        0..4 => random.u64(1..100),
        4..8 => random.u64(50..1_000),
        _ => random.u64(500..3_000),
    };
    // Mostly one server; without a cluster the only one.
    let shard = (settings.shards > 1 && random.u32(0..4) > 0).then(|| random.usize(0..settings.shards));
    Step { at, what: What::Fault(fault, lasts * MS, shard) }
}

fn some_seat(random: &mut Rng, seats: usize) -> Option<usize> {
    (random.u32(0..4) > 0).then(|| random.usize(0..seats))
}

fn way(random: &mut Rng) -> Way {
    if random.bool() { Way::ToServer } else { Way::ToProcess }
}

fn some_way(random: &mut Rng) -> Option<Way> {
    random.bool().then(|| way(random))
}

fn some_purpose(random: &mut Rng) -> Option<Purpose> {
    [None, Some(Purpose::Pool), Some(Purpose::Bus), Some(Purpose::Ear)][random.usize(0..4)]
}

fn refusal(random: &mut Rng) -> Refusal {
    [Refusal::NoMemory, Refusal::NoWrites, Refusal::ReadOnly, Refusal::Loading, Refusal::Busy][random.usize(0..5)]
}
