//! One phase of the run: the clients send for some seconds, everything is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, FunctionStats};
use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time;

use crate::args::Args;
use crate::figures::grouped;
use crate::goods::ShopError;
use crate::interrupt::Interrupt;
use crate::ledger::Ledger;
use crate::popularity::Popularity;
use crate::progress::Progress;
use crate::sample::{self, Sample};
use crate::seed;
use crate::tally::Tally;
use crate::traffic::{Client, World};
use crate::way::{Shop, Way};

/// Enough that some wait for the database while others are served.
const CLIENTS_PER_THREAD: usize = 4;
const TICK: Duration = Duration::from_millis(100);

/// What is to happen in a phase.
pub(crate) struct Plan {
    pub(crate) title: &'static str,
    pub(crate) shop: Shop,
    /// Phases of one round send the same requests.
    pub(crate) round: u64,
    /// In place of the installed cache: that of a process that was just started.
    pub(crate) newcomer: Option<Cache>,
}

/// What happened in a phase.
pub(crate) struct Phase {
    pub(crate) title: &'static str,
    pub(crate) took: Duration,
    pub(crate) queries: u64,
    pub(crate) tally: Tally,
    pub(crate) functions: Vec<Counted>,
    pub(crate) sample: Sample,
}

/// What the cache had counted for a function when the phase began and when it ended.
pub(crate) struct Counted {
    pub(crate) before: FunctionStats,
    pub(crate) after: FunctionStats,
}

/// Lets the clients send until the time is over or somebody pressed Ctrl-C.
pub(crate) async fn run(plan: &Plan, args: &Args, interrupt: &mut Interrupt) -> Result<Phase, ShopError> {
    let world = Arc::new(World::new(args.products));
    let (start, queries, before) = (Instant::now(), plan.shop.db.queries(), stats(plan));
    let clients = start_clients(plan, &world, args.threads * CLIENTS_PER_THREAD);
    watch(plan.title, &world, args.length, interrupt).await;
    world.over.store(true, Ordering::Relaxed);
    let mut tally = Tally::default();
    for client in clients.join_all().await {
        tally.add(client);
    }
    let (took, queries) = (start.elapsed(), plan.shop.db.queries() - queries);
    let pairs = before.into_iter().zip(stats(plan));
    let functions = pairs.map(|(before, after)| Counted { before, after }).collect();
    let sample = scoped(plan.newcomer.clone(), sample::compare(&plan.shop, &world)).await?;
    Ok(Phase { title: plan.title, took, queries, tally, functions, sample })
}

/// What the cache has counted; nothing where nobody asks it.
fn stats(plan: &Plan) -> Vec<FunctionStats> {
    match plan.shop.way {
        Way::Direct => Vec::new(),
        Way::Cached => plan.newcomer.clone().unwrap_or_else(Cache::current).stats(),
    }
}

/// With this cache, or with the installed one.
async fn scoped<F: Future>(cache: Option<Cache>, future: F) -> F::Output {
    match cache {
        Some(cache) => cache.scope(future).await,
        None => future.await,
    }
}

/// Client 3 of one phase sends what client 3 of another phase of the same round sends.
fn start_clients(plan: &Plan, world: &Arc<World>, count: usize) -> JoinSet<Tally> {
    let client = |number: u64| Client {
        shop: plan.shop.clone(),
        world: Arc::clone(world),
        rng: Rng::with_seed(plan.round << 32 | number),
        tally: Tally::default(),
    };
    (0..).take(count).map(|number| scoped(plan.newcomer.clone(), client(number).run())).collect()
}

async fn watch(title: &str, world: &World, length: Duration, interrupt: &mut Interrupt) {
    let mut progress = Progress::start(format!("{title}, {} s", length.as_secs()));
    let start = Instant::now();
    let mut ticks = time::interval(TICK);
    while start.elapsed() < length {
        tokio::select! {
            _ = ticks.tick() => {
                let note = format!("{} requests", grouped(world.served.load(Ordering::Relaxed)));
                progress.show(start.elapsed().div_duration_f64(length), &note);
            }
            () = interrupt.wait() => break,
        }
    }
    progress.finish();
}

impl World {
    fn new(products: u32) -> Self {
        let users = seed::users(products);
        Self {
            products: Popularity::new(products),
            users: Popularity::new(users),
            ledger: Ledger::new(products, users),
            over: AtomicBool::new(false),
            served: AtomicU64::new(0),
        }
    }
}
