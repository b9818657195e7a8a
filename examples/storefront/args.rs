//! The command line.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
A shop under traffic: without a cache, with a cold one, with a warm one; then a table.

Usage: cargo run --release --example storefront -- [flags]

  --seconds N    length of each phase             (default 5; 1 to 86400)
  --threads N    threads that serve requests      (default: one per core; 1 to 256)
  --products N   products in the shop             (default 100000; 100 to 1000000)
  --help         this text

With CACHE_URL=redis://localhost (or another URL that the cache takes) there is a
second tier, and a fourth phase: a process that was just started.

Ctrl-C ends it early with the table so far.
";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Run(Args),
}

/// How the shop is to run.
#[derive(Debug, Clone)]
pub(crate) struct Args {
    /// The length of each phase.
    pub(crate) length: Duration,
    /// The threads that serve requests.
    pub(crate) threads: usize,
    /// The products in the shop.
    pub(crate) products: u32,
}

impl Args {
    fn new() -> Self {
        let threads = thread::available_parallelism().map_or(2, usize::from);
        Self { length: Duration::from_secs(5), threads: threads.min(256), products: 100_000 }
    }

    fn set(&mut self, flag: &str, value: Option<String>) -> Result<(), Mistake> {
        match flag {
            "--seconds" => self.length = Duration::from_secs(number(flag, value, 1..=86_400)?),
            "--threads" => self.threads = number(flag, value, 1..=256)?,
            "--products" => self.products = number(flag, value, 100..=1_000_000)?,
            _ => return Err(Mistake(format!("unknown flag `{flag}`; {KNOWN}"))),
        }
        Ok(())
    }
}

const KNOWN: &str = "there are `--seconds`, `--threads`, `--products` and `--help`";

/// Reads the arguments, without the name of the program: `--flag value` or `--flag=value`.
pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Command, Mistake> {
    let mut args = Args::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--help" || word == "-h" {
            return Ok(Command::Help);
        }
        match word.split_once('=') {
            Some((flag, value)) => args.set(flag, Some(value.to_owned()))?,
            None => args.set(&word, words.next())?,
        }
    }
    Ok(Command::Run(args))
}

fn number<N>(flag: &str, value: Option<String>, range: RangeInclusive<N>) -> Result<N, Mistake>
where
    N: FromStr + PartialOrd + fmt::Display,
{
    let value = value.ok_or_else(|| Mistake(format!("`{flag}` needs a number after it")))?;
    let number = value.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let (from, to) = range.into_inner();
        Mistake(format!("`{flag}` takes a whole number from {from} to {to}, not `{value}`"))
    })
}

/// What is wrong with the command line.
#[derive(Debug)]
pub(crate) struct Mistake(String);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
