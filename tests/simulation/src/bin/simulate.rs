//! The program behind `cargo xtask simulate`: many seeds, one seed told in full, or a table of rules and the seeds that
//! miss them.

use std::process::ExitCode;
use std::time::Duration;

use cache_runtime::testing::Rule;
use cache_simulation::{Campaign, FIRST_OF_ALL, Plan, Report, minimise, run, silence_expected_panics};
use cache_tests::history::Promise;
use cache_tests::stress::{rule_named, rule_names, rules_named};

/// What is asked for.
#[derive(Default)]
struct Asked {
    seeds: Option<u64>,
    from: Option<u64>,
    seed: Option<u64>,
    without: Vec<Rule>,
    mutants: bool,
    /// For programs to read.
    lines: bool,
    /// No seed begins after so many.
    seconds: Option<u64>,
    threads: Option<usize>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    silence_expected_panics();
    match asked(&arguments) {
        Ok(Asked { seed: Some(seed), without, .. }) => tell(&Plan::of(seed, &without)),
        Ok(asked) if asked.mutants => table(&asked),
        Ok(asked) => many(&asked),
        Err(problem) => {
            eprintln!("simulate: {problem}");
            ExitCode::from(2)
        }
    }
}

fn asked(arguments: &[String]) -> Result<Asked, String> {
    let mut asked = Asked::default();
    let mut words = arguments.iter();
    while let Some(flag) = words.next() {
        match flag.as_str() {
            "--mutants" => asked.mutants = true,
            "--lines" => asked.lines = true,
            _ => read_value(&mut asked, flag, words.next())?,
        }
    }
    Ok(asked)
}

fn read_value(asked: &mut Asked, flag: &str, value: Option<&String>) -> Result<(), String> {
    let value = value.ok_or_else(|| format!("`{flag}` takes a value"))?;
    let number = || value.parse().map_err(|_| format!("`{flag}` takes a whole number, not `{value}`"));
    match flag {
        "--seeds" => asked.seeds = Some(number()?),
        "--from" => asked.from = Some(number()?),
        "--threads" => asked.threads = usize::try_from(number()?).ok(),
        "--seconds" => asked.seconds = Some(number()?),
        "--seed" => asked.seed = Some(number()?),
        "--without" => asked.without = rules_named(value)?,
        other => return Err(format!("there is no `{other}`")),
    }
    Ok(())
}

fn campaign(asked: &Asked) -> Campaign {
    Campaign {
        from: asked.from.unwrap_or(FIRST_OF_ALL),
        seeds: asked.seeds.unwrap_or(20_000),
        without: asked.without.clone(),
        stops: !asked.without.is_empty(),
        most: asked.seconds.map_or(Duration::MAX, Duration::from_secs),
        threads: asked.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from)),
        talks: asked.without.is_empty(),
    }
}

/// Many seeds. A failing one is told with the command that runs it again.
fn many(asked: &Asked) -> ExitCode {
    let report = campaign(asked).run();
    print(&report);
    for (seed, problems) in &report.failures {
        // What is wrong, and with which key.
        let told: Vec<_> = problems[0].lines().take(2).collect();
        println!("seed {seed}: {}", told.join("; "));
    }
    let Some(seed) = report.failures.keys().next() else { return ExitCode::SUCCESS };
    tell(&Plan::of(*seed, &asked.without));
    let without: Vec<String> = asked.without.iter().map(|rule| name(*rule)).collect();
    let without = if without.is_empty() { String::new() } else { format!(" --without {}", without.join(",")) };
    println!("\nto run it again: cargo xtask simulate --seed {seed}{without}");
    ExitCode::FAILURE
}

fn name(rule: Rule) -> String {
    rule_names().find(|name| rule_named(name) == Some(rule)).unwrap_or_default().to_owned()
}

fn print(report: &Report) {
    let Report { seeds, counts, bound, failures, trace, took } = report;
    println!("{seeds} seeds in {took:.1?}; their traces: {trace:016x}");
    println!(
        "{} reads, {} invalidations ({} queued), {} loads, {} events",
        counts.reads, counts.invalidations, counts.queued, counts.loads, counts.events
    );
    let bound: Vec<_> = Promise::ALL.iter().zip(bound).map(|(promise, reads)| format!("{promise:?} {reads}")).collect();
    println!("reads that had to be new: {}", bound.join(", "));
    println!("seeds that failed: {}", failures.len());
}

/// One seed, with what does not matter to its failure taken away.
fn tell(plan: &Plan) -> ExitCode {
    let whole = run(plan, true);
    if whole.violations.is_empty() {
        whole.timeline.iter().for_each(|line| println!("{line}"));
        println!("seed {}: nothing is wrong; trace {:016x}", plan.seed, whole.trace);
        return ExitCode::SUCCESS;
    }
    let smallest = minimise(plan);
    let told = run(&smallest, true);
    println!("seed {} fails, and with so much of it still:\n\n{smallest}", plan.seed);
    told.timeline.iter().for_each(|line| println!("{line}"));
    told.violations.iter().for_each(|violation| println!("\n{violation}"));
    ExitCode::FAILURE
}

/// Each rule, or each of those that were named, and after how many seeds it is missed.
fn table(asked: &Asked) -> ExitCode {
    let seeds = asked.seeds.unwrap_or(2_000);
    let mut outcome = ExitCode::SUCCESS;
    for name in rule_names() {
        let rule = rule_named(name).expect("it is in the list");
        if !asked.without.is_empty() && !asked.without.contains(&rule) {
            continue;
        }
        let report = campaign(&Asked {
            seeds: Some(seeds),
            without: vec![rule],
            from: asked.from,
            seconds: asked.seconds,
            threads: asked.threads,
            ..Asked::default()
        })
        .run();
        let problem = report.failures.first_key_value().map(|(_, problems)| problems[0].lines().next());
        let problem = problem.flatten();
        if asked.lines {
            let problem = problem.unwrap_or_default();
            println!("{name}\t{}\t{:.1}\t{problem}", report.seeds, report.took.as_secs_f64());
        } else if let Some(problem) = problem {
            println!("{name:<20} {:>6} seeds  {:>8.1?}  {problem}", report.seeds, report.took);
        } else {
            println!("{name:<20} not missed in {} seeds, {:.1?}", report.seeds, report.took);
            outcome = ExitCode::FAILURE;
        }
    }
    outcome
}
