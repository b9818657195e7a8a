//! Three processes over one Redis: one load for all of them, one of them killed while it loads, another cut off from the
//! bus while prices change. It prints who was served what from where, and how long an old price was still seen; it
//! fails if that was longer than promised.
//!
//! It starts its own `redis-server` on a free port, and itself three times. Start reading at `shop.rs` (what is cached)
//! and `acts.rs` (what happens); everything else is there to watch it.

mod acts;
mod clock;
mod database;
mod log;
mod member;
mod proxy;
mod redis_server;
mod report;
mod serve;
mod shop;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal;

/// How long a process may go on serving a price from memory after it has changed, whatever the network does.
const MAX_STALENESS: Duration = Duration::from_secs(1);

/// How long the lease of a process that dies keeps others from loading.
const LEASE: Duration = Duration::from_secs(1);

const USAGE: &str = "fleet: it takes no arguments: cargo run --release --example fleet";

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<_> = env::args().skip(1).collect();
    let outcome = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => watch().await,
        // How it starts itself.
        ["serve", url, folder] => serve::run(url, folder).await.map(|()| ExitCode::SUCCESS),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("fleet: {error}");
        ExitCode::from(2)
    })
}

/// The whole run, or as much of it as there is before Ctrl-C. Servers and processes end with it.
async fn watch() -> Result<ExitCode, Box<dyn Error>> {
    tokio::select! {
        verdict = acts::run() => verdict,
        pressed = signal::ctrl_c() => {
            pressed?;
            eprintln!("fleet: stopped by Ctrl-C");
            Ok(ExitCode::from(2))
        }
    }
}
