//! Explores the model: `cargo xtask model`.
//!
//! ```text
//! model                 the configurations of every test run, then every mutant
//! model --states N      the large ones too, one after the other, until N states were seen
//! model --more [N]      each small configuration with one fault more, and with two, of each kind: the N states that are
//!                       the fewest steps away
//! model --only NAME     one configuration
//! model --mutant NAME   one mutant, with the way to the promise it breaks
//! model --lines [NAME,..]   those mutants, or all, for programs to read: name, configuration, states, seconds, the
//!                       property that broke (or nothing); with tabs between
//! ```

use std::process::ExitCode;
use std::time::Instant;

use cache_model::config::Config;
use cache_model::configurations::{KNOWN, LARGE, SMALL};
use cache_model::faults::Faults;
use cache_model::mutant::{KILLS, Kill};
use cache_model::run::{Explored, Search, explore, hunt};

/// States that one large configuration may generate before the next one's turn: of 300 million, all of them together saw 422
/// million different ones.
const MOST_GENERATED: usize = 400_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => all(0),
        ["--states", number] if number.parse::<usize>().is_ok() => all(number.parse().unwrap_or_default()),
        ["--more", number] if number.parse::<usize>().is_ok() => more(number.parse().unwrap_or_default()),
        ["--mutants"] if kill_all() => ExitCode::SUCCESS,
        ["--mutants"] => ExitCode::FAILURE,
        ["--only", name] => only(name),
        ["--mutant", name] => mutant(name),
        ["--lines"] => lines(|_| true),
        ["--lines", names] => lines(|kill| names.split(',').any(|name| is_named(kill, name))),
        _ => {
            eprintln!(
                "usage: model [--states N | --more N | --only CONFIGURATION | --mutant MUTANT | --lines [MUTANT,..]]"
            );
            ExitCode::from(2)
        }
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn all(states: usize) -> ExitCode {
    let begun = Instant::now();
    let (mut seen, mut is_good) = (0, true);
    println!("{:<12} {:>12} {:>6} {:>8}", "", "states", "depth", "seconds");
    for config in SMALL {
        let explored = explore(*config, Search::Breadth, threads());
        seen += explored.unique;
        is_good &= print(config, &explored) && explored.is_complete;
    }
    for config in LARGE {
        if seen < states {
            let explored = explore(*config, Search::Depth(MOST_GENERATED), threads());
            seen += explored.unique;
            is_good &= print(config, &explored);
        }
    }
    println!("{:<12} {seen:>12} {:>6} {:>8.1}", "in all", "", begun.elapsed().as_secs_f64());
    is_good &= kill_all();
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Each small configuration with one fault more, and with two.
fn more(most: usize) -> ExitCode {
    let (begun, mut seen, mut is_good) = (Instant::now(), 0, true);
    for config in SMALL {
        for (place, (name, count)) in Faults::KINDS.iter().enumerate() {
            let mut one = Config { reaches: &[], ..*config };
            *count(&mut one.faults) += 1;
            seen += with(&one, name, most, &mut is_good);
            for (other, count) in &Faults::KINDS[place..] {
                let mut two = one;
                *count(&mut two.faults) += 1;
                seen += with(&two, &format!("{name} and {other}"), most, &mut is_good);
            }
        }
    }
    println!("{seen} states in {:.0} s", begun.elapsed().as_secs_f64());
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One line; of what is known not to hold, no more than that. How many states it took.
fn with(config: &Config, faults: &str, most: usize, is_good: &mut bool) -> usize {
    let explored = explore(*config, Search::Shallow(most), threads());
    let known = KNOWN.iter().find(|known| known.is_about(config));
    let rest = if explored.is_complete { "" } else { " (not all)" };
    let why = known.filter(|_| !explored.broken.is_empty()).map(|known| known.why).unwrap_or_default();
    let seconds = explored.took.as_secs_f64();
    println!(
        "{:<12} {:>12} {:>6} {seconds:>8.1}{rest}  with {faults} {why}",
        config.name, explored.unique, explored.depth
    );
    if known.is_none() {
        for broken in &explored.broken {
            *is_good = false;
            println!("BROKEN: {}\n{}", broken.property, broken.way);
        }
    }
    explored.unique
}

/// One line, and the ways to what is broken; tells whether all is well.
fn print(config: &Config, explored: &Explored) -> bool {
    let Explored { unique, depth, took, is_complete, broken, unreached } = explored;
    let rest = if *is_complete { "" } else { " (not all)" };
    println!("{:<12} {unique:>12} {depth:>6} {:>8.1}{rest}  {}", config.name, took.as_secs_f64(), config.about);
    for broken in broken {
        println!("BROKEN: {}\n{}", broken.property, broken.way);
    }
    if *is_complete && !unreached.is_empty() {
        println!("NEVER REACHED, so that it shows nothing: {unreached:?}");
    }
    broken.is_empty() && (unreached.is_empty() || !is_complete)
}

fn kill_all() -> bool {
    println!("\n{:<18} {:<12} {:>8} {:>6}  caught by", "mutant", "in", "states", "steps");
    let mut is_good = true;
    for kill in KILLS {
        let explored = hunt(*kill.config, kill.mutant);
        let (caught, steps) = explored.broken.first().map_or(("NOTHING", 0), |broken| (broken.property, broken.steps));
        is_good &= caught.starts_with(kill.property);
        println!(
            "{:<18} {:<12} {:>8} {steps:>6}  {caught}",
            format!("{:?}", kill.mutant),
            kill.config.name,
            explored.unique
        );
    }
    is_good
}

/// What broke counts only if it is what the mutant is said to break.
fn lines(is_asked: impl Fn(&Kill) -> bool) -> ExitCode {
    for kill in KILLS.iter().filter(|kill| is_asked(kill)) {
        let explored = hunt(*kill.config, kill.mutant);
        let broken = explored.broken.first().map(|broken| broken.property);
        let caught = broken.filter(|property| property.starts_with(kill.property)).unwrap_or_default();
        let (name, seconds) = (kill.config.name, explored.took.as_secs_f64());
        println!("{:?}\t{name}\t{}\t{seconds:.1}\t{caught}", kill.mutant, explored.unique);
    }
    ExitCode::SUCCESS
}

fn is_named(kill: &Kill, name: &str) -> bool {
    format!("{:?}", kill.mutant).eq_ignore_ascii_case(name)
}

fn only(name: &str) -> ExitCode {
    let Some(config) = SMALL.iter().chain(LARGE).find(|config| config.name == name) else {
        let names: Vec<_> = SMALL.iter().chain(LARGE).map(|config| config.name).collect();
        eprintln!("there is no configuration `{name}`: {}", names.join(", "));
        return ExitCode::from(2);
    };
    if print(config, &explore(*config, Search::Breadth, threads())) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn mutant(name: &str) -> ExitCode {
    let Some(kill) = KILLS.iter().find(|kill| is_named(kill, name)) else {
        let names: Vec<_> = KILLS.iter().map(|kill| format!("{:?}", kill.mutant)).collect();
        eprintln!("there is no mutant `{name}`: {}", names.join(", "));
        return ExitCode::from(2);
    };
    let explored = hunt(*kill.config, kill.mutant);
    println!("{} without its rule `{:?}`: {}", kill.config.name, kill.mutant, kill.config.about);
    for broken in &explored.broken {
        println!("{}, after {} states:\n{}", broken.property, explored.unique, broken.way);
    }
    if explored.broken.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
