//! A shop under traffic: without a cache, with a cold one, with a warm one; the same requests, the
//! same database, the same code but for the attribute. At the end it prints what the cache was
//! worth, and that no read was older than what had been announced when it began.
//!
//! With `CACHE_URL=redis://localhost` the cache has a second tier, and a fourth phase shows what a
//! process finds there that was just started.
//!
//! Start reading at `shop.rs`; everything else is there to measure it.

mod args;
mod db;
mod figures;
mod goods;
mod interrupt;
mod ledger;
mod phase;
mod popularity;
mod progress;
mod report;
mod sample;
mod seed;
mod shop;
mod tally;
mod tiers;
mod traffic;
mod way;

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::runtime;
use tokio::task;

use crate::args::{Args, Command};
use crate::db::Db;
use crate::interrupt::Interrupt;
use crate::phase::Plan;
use crate::progress::Progress;
use crate::report::Report;
use crate::tiers::Tiers;
use crate::way::{Shop, Way};

/// More queries at once than two for each thread would only wait for a core.
const QUERIES_PER_THREAD: usize = 2;

fn main() -> ExitCode {
    match args::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            print!("{}", args::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Run(args)) => run(&args),
        Err(mistake) => {
            eprintln!("storefront: {mistake}");
            ExitCode::from(2)
        }
    }
}

/// Fails when the shop does, and when a read was stale.
fn run(args: &Args) -> ExitCode {
    let threads = runtime::Builder::new_multi_thread()
        .worker_threads(args.threads)
        .max_blocking_threads(args.threads * QUERIES_PER_THREAD)
        .enable_all()
        .build();
    let report = threads.map_err(Into::into).and_then(|threads| threads.block_on(run_phases(args)));
    match report {
        Ok(report) => {
            // That nobody reads the table to its end (`| head`) is no failure.
            let _ = io::stdout().write_all(report.to_string().as_bytes());
            report.verdict()
        }
        Err(error) => {
            eprintln!("storefront: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The whole run. The folder with the databases goes when this returns, interrupted or not.
async fn run_phases(args: &Args) -> Result<Report, Box<dyn Error>> {
    let mut interrupt = Interrupt::listen()?;
    let folder = tempfile::Builder::new().prefix("storefront-").tempdir()?;
    let tiers = Tiers::from_env();
    tiers.build().await?.install()?;
    let seed = seed(folder.path(), args, interrupt.clone()).await?;

    let mut report = Report::new(args, tiers.name_in_redis());
    let plans = phases(&seed)?;
    for plan in &plans {
        if !interrupt.pressed() {
            report.phases.push(phase::run(plan, args, &mut interrupt).await?);
        }
    }
    if tiers.name_in_redis().is_some() && !interrupt.pressed() {
        let [.., last] = plans;
        let plan = Plan { title: "new process", round: 2, newcomer: Some(tiers.build().await?), ..last };
        report.phases.push(phase::run(&plan, args, &mut interrupt).await?);
    }
    report.interrupted = interrupt.pressed();
    Ok(report)
}

/// The shop with and without the cache begins with a copy of the same database. The second phase
/// with the cache sends other requests than the first, or it would find every answer.
fn phases(seed: &Path) -> Result<[Plan; 3], Box<dyn Error>> {
    let open = |way, name| {
        let file = seed.with_file_name(name);
        fs::copy(seed, &file)?;
        Ok::<_, Box<dyn Error>>(Shop { db: Db::open(&file)?, way })
    };
    let (direct, cached) = (open(Way::Direct, "direct.db")?, open(Way::Cached, "cached.db")?);
    Ok([
        Plan { title: "without cache", shop: direct, round: 0, newcomer: None },
        Plan { title: "cache, cold", shop: cached.clone(), round: 0, newcomer: None },
        Plan { title: "cache, warm", shop: cached, round: 1, newcomer: None },
    ])
}

/// Makes the database that all phases begin with.
async fn seed(folder: &Path, args: &Args, interrupt: Interrupt) -> Result<PathBuf, Box<dyn Error>> {
    let file = folder.join("seed.db");
    let (products, target) = (args.products, file.clone());
    let filled = task::spawn_blocking(move || {
        let mut progress = Progress::start(format!("seeding {} products", figures::grouped(products.into())));
        let filled = seed::fill(&target, products, &mut progress, || interrupt.pressed());
        progress.finish();
        filled
    });
    filled.await??;
    Ok(file)
}
