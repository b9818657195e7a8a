//! The one loop that all contenders run in.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::allocator::Counter;
use crate::contender::Contender;
use crate::server::Work;
use crate::stage::Stage;
use crate::statistics::{as_float, percentile};
use crate::work::{Output, Users};
use crate::workload::{self, USERS, key};

/// Calls at the same time while users are stored.
const WARMING: usize = 64;

/// What a turn of one contender shows.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub per_second: f64,
    /// Of a call, in microseconds.
    pub p50: f64,
    pub p99: f64,
    /// Processor time per key, in microseconds: of this process and of the server.
    pub client: f64,
    pub server: f64,
    /// Per key: loads of this process, commands that the server was sent, and its reads that found a key.
    pub loads: f64,
    pub commands: f64,
    pub lookups: f64,
}

/// The calls of one contender, ready to be measured.
pub trait Calls {
    /// Stores every user.
    fn warm(&self, stage: &Stage);
    /// Calls for as long as a turn takes, so many at the same time; nothing if it cannot call so few.
    fn time(&self, stage: &Stage, users: Users, concurrent: usize, turn: Duration) -> Option<Figures>;
    /// Calls so often in all, so many at the same time, and counts the allocations per key.
    fn count(&self, stage: &Stage, users: Users, concurrent: usize, calls: usize) -> Option<f64>;
    /// Calls for one user, so many at the same time. How many loads that took in this process.
    fn stampede(&self, stage: &Stage, user: (u64, u64), calls: usize) -> u64;
}

/// The calls of a contender.
pub fn calls(contender: impl Contender<Output = Output>) -> Box<dyn Calls> {
    Box::new(Measured { contender: Arc::new(contender), keys_per_call: 1 })
}

/// The calls of a contender that asks for so many keys in one call.
pub fn calls_for_many(keys_per_call: usize, contender: impl Contender<Output = Output>) -> Box<dyn Calls> {
    Box::new(Measured { contender: Arc::new(contender), keys_per_call })
}

struct Measured<C> {
    contender: Arc<C>,
    keys_per_call: usize,
}

impl<C: Contender<Output = Output>> Measured<C> {
    /// So many tasks do this, and it is waited for all of them.
    fn run<F, T>(&self, stage: &Stage, tasks: usize, task: impl Fn(Arc<C>, usize) -> F) -> Vec<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let spawn = |number| stage.runtime.spawn(task(Arc::clone(&self.contender), number));
        let tasks: Vec<_> = (0..tasks).map(spawn).collect();
        tasks.into_iter().map(|task| stage.runtime.block_on(task).expect("no task panics")).collect()
    }

    fn tasks(&self, concurrent: usize) -> Option<usize> {
        Some(concurrent / self.keys_per_call).filter(|tasks| *tasks > 0)
    }
}

impl<C: Contender<Output = Output>> Calls for Measured<C> {
    fn warm(&self, stage: &Stage) {
        self.run(stage, WARMING, |contender, task| async move {
            for user in (task as u64..USERS).step_by(WARMING) {
                let (tenant, id) = key(user);
                contender.get(tenant, id).await.expect("a load never fails");
            }
        });
    }

    fn time(&self, stage: &Stage, users: Users, concurrent: usize, turn: Duration) -> Option<Figures> {
        let tasks = self.tasks(concurrent)?;
        let before = Reading::of(stage);
        let begun = Instant::now();
        let latencies = self.run(stage, tasks, |contender, _| call_until(contender, users, begun + turn));
        let took = begun.elapsed();
        let used = Reading::of(stage).since(&before);
        let mut latencies = latencies.concat();
        latencies.sort_unstable();
        let keys = as_float(latencies.len() * self.keys_per_call);
        Some(Figures {
            per_second: keys / took.as_secs_f64(),
            p50: percentile(&latencies, 50),
            p99: percentile(&latencies, 99),
            client: used.client.as_secs_f64() * 1e6 / keys,
            server: used.server.as_secs_f64() * 1e6 / keys,
            loads: as_float(used.loads) / keys,
            commands: as_float(used.work.commands) / keys,
            lookups: as_float(used.work.found) / keys,
        })
    }

    fn count(&self, stage: &Stage, users: Users, concurrent: usize, calls: usize) -> Option<f64> {
        let tasks = self.tasks(concurrent)?;
        let each = calls.div_ceil(tasks * self.keys_per_call);
        let run = || self.run(stage, tasks, |contender, _| call_often(contender, users, each));
        // Once before, so that what grows to its size has done so.
        run();
        let counter = Counter::start();
        run();
        let allocations = counter.stop().allocations;
        Some(as_float(allocations) / as_float(tasks * each * self.keys_per_call))
    }

    fn stampede(&self, stage: &Stage, (tenant, id): (u64, u64), calls: usize) -> u64 {
        let before = workload::loads();
        self.run(stage, calls, |contender, _| async move { contender.get(tenant, id).await });
        workload::loads() - before
    }
}

/// What was used so far.
struct Reading {
    client: Duration,
    server: Duration,
    loads: u64,
    work: Work,
}

impl Reading {
    fn of(stage: &Stage) -> Self {
        let (server, work) = (stage.server.processor_time(), stage.server.work());
        Self { client: processor_time(), server, loads: workload::loads(), work }
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            client: self.client.saturating_sub(before.client),
            server: self.server.saturating_sub(before.server),
            loads: self.loads - before.loads,
            work: Work {
                commands: self.work.commands - before.work.commands,
                found: self.work.found - before.work.found,
            },
        }
    }
}

/// The latencies of all calls until then, in nanoseconds.
async fn call_until<C: Contender<Output = Output>>(contender: Arc<C>, users: Users, end: Instant) -> Vec<u32> {
    let (mut random, mut latencies) = (fastrand::Rng::new(), Vec::new());
    loop {
        let begun = Instant::now();
        if begun >= end {
            return latencies;
        }
        call(&*contender, users, &mut random).await;
        latencies.push(u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
}

async fn call_often<C: Contender<Output = Output>>(contender: Arc<C>, users: Users, calls: usize) {
    let mut random = fastrand::Rng::new();
    for _ in 0..calls {
        call(&*contender, users, &mut random).await;
    }
}

async fn call<C: Contender<Output = Output>>(contender: &C, users: Users, random: &mut fastrand::Rng) {
    let (tenant, id) = users.next(random);
    let output = black_box(contender.get(tenant, id).await);
    assert!(output.is_ok_and(|user| user.id == id), "a call fails, or has another user");
}

/// The processor time of all threads of this process.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let part = |part| u64::try_from(part).expect("a clock that began at 0");
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}
