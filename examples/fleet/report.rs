//! What was seen, for people.

use std::process::ExitCode;
use std::time::Duration;

use crate::log::{Function, Log, Read, Source};

/// The table: who was served what from where, and how long an old price was still seen.
pub(crate) fn table(log: &Log, names: &[char]) {
    println!("\n{}", heading());
    for name in names {
        for function in Function::ALL {
            println!("{}", row(log, *name, function));
        }
    }
    println!("price: served from memory. total: `l1 = off`, served from Redis. C is the one that was killed.");
}

fn heading() -> String {
    let sources = cells(|(name, _)| name.to_owned());
    format!("{:<9}{:>7}{sources}{:>9}   {:<27}promised", "", "reads", "prices", "old price last seen")
}

fn row(log: &Log, name: char, function: Function) -> String {
    let reads = || log.reads_of(name, function);
    let from = |source| reads().filter(|read| read.from == source).count();
    let sources = cells(|(_, source)| from(source).to_string());
    let numbers = || reads().map(|read| read.number);
    let numbers = format!("{}..{}", numbers().min().unwrap_or(0), numbers().max().unwrap_or(0));
    let seen = log.last_seen(name, function, 0);
    let seen = seen.map_or("never".to_owned(), |seen| format!("{} after publish()", took(seen)));
    let promised = if function.promise().is_zero() { "never".to_owned() } else { took(function.promise()) };
    format!("{name}  {:<6}{:>7}{sources}{numbers:>9}   {seen:<27}{promised}", function.name(), reads().count())
}

/// A cell for each source.
fn cells(text: impl Fn((&str, Source)) -> String) -> String {
    let cells = Source::NAMES.into_iter().map(|source| format!("{:>8}", text(source)));
    cells.collect::<Vec<_>>().concat()
}

/// Fails if anybody was served an older price than promised, and says who.
pub(crate) fn verdict(log: &Log) -> ExitCode {
    let mut older = 0;
    for read in log.older_than_promised() {
        older += 1;
        if older <= 5 {
            println!(
                "OLDER THAN PROMISED: {} read {} of item {}: price {}",
                read.by,
                read.function.name(),
                read.item,
                read.number
            );
        }
    }
    println!("older than promised: {older} of {} reads", log.reads.len());
    if older == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How long an old price was seen.
pub(crate) fn after(seen: Option<Duration>) -> String {
    match seen {
        Some(seen) => format!("saw an old price {} after publish() had returned, not later", took(seen)),
        None => "saw no old price once publish() had returned".to_owned(),
    }
}

/// From where these reads were served: `12 from memory, then 30 from redis, ..`.
pub(crate) fn sources<'a>(reads: impl Iterator<Item = &'a Read>) -> String {
    let mut runs: Vec<(Source, u32)> = Vec::new();
    for read in reads {
        // What is loaded once comes from another tier the next time: too much to tell.
        match (read.from, runs.last_mut()) {
            (Source::Loaded | Source::Other, _) => {}
            (from, Some((last, count))) if *last == from => *count += 1,
            (from, _) => runs.push((from, 1)),
        }
    }
    let runs: Vec<_> = runs.iter().map(|(source, count)| format!("{count} times from {}", source.name())).collect();
    runs.join(", then ")
}

/// `3.2 ms`, `1.25 s`.
pub(crate) fn took(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds @ ..0.01 => format!("{:.2} ms", seconds * 1e3),
        seconds @ 0.01..1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}
