//! The long run over a real server, see `cache_tests::stress`. Run it by `cargo xtask stress`.
//!
//! ```text
//! stress [--minutes N | --seconds N] [--processes N] [--seed N] [--without RULE[,RULE..]]
//! ```
//!
//! `stress chaos ..` is another run with the same processes: `cargo xtask chaos`.
//!
//! It exits with 0 if no read was older than promised, with 1 if one was, or if a process did not come to rest. With a
//! rule taken away it still exits with 1 when a violation is found.

#[cfg(unix)]
mod answer;
#[cfg(unix)]
mod chaos;
#[cfg(unix)]
mod functions;
#[cfg(unix)]
mod worker;

use std::process::ExitCode;

#[cfg(not(unix))]
fn main() -> ExitCode {
    eprintln!("stress: processes are stopped and killed by signals, which this system does not have");
    ExitCode::from(2)
}

#[cfg(unix)]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(settings) = cache_tests::stress::ChildSettings::from_arguments(&arguments) {
        worker::run(settings);
        return ExitCode::SUCCESS;
    }
    if let Some((first, rest)) = arguments.split_first()
        && first == "chaos"
    {
        return chaos::main(rest);
    }
    match settings(&arguments) {
        Ok(settings) => run(&settings),
        Err(problem) => {
            eprintln!("stress: {problem}");
            ExitCode::from(2)
        }
    }
}

#[cfg(unix)]
fn run(settings: &cache_tests::stress::Settings) -> ExitCode {
    println!("{} processes, seed {}, without {:?}", settings.processes, settings.seed, settings.without);
    let program = std::env::current_exe().expect("a program knows its path");
    let outcome = cache_tests::stress::run(&program, settings);
    print!("{}", outcome.table);
    if let (Some(report), Some(after)) = (&outcome.violation, outcome.found_after) {
        println!("\nVIOLATION after {:.1} s. {report}", after.as_secs_f64());
    }
    for problem in &outcome.problems {
        println!("PROBLEM: {problem}");
    }
    if outcome.violation.is_some() || !outcome.problems.is_empty() {
        return ExitCode::FAILURE;
    }
    println!("{} reads, {} writes, 0 older than promised", outcome.reads, outcome.writes);
    ExitCode::SUCCESS
}

#[cfg(unix)]
fn settings(arguments: &[String]) -> Result<cache_tests::stress::Settings, String> {
    use std::time::Duration;

    use cache_tests::stress::{Settings, rules_named};

    let mut settings = Settings::default();
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("`{flag} {value}`: not a number"));
        match flag.as_str() {
            "--minutes" => settings.time = Duration::from_secs(60 * number()?),
            "--seconds" => settings.time = Duration::from_secs(number()?),
            "--processes" => {
                let processes = number()?.clamp(1, cache_tests::stress::RECORDS);
                settings.processes = usize::try_from(processes).expect("it is clamped");
            }
            "--seed" => settings.seed = number()?,
            "--without" => settings.without = rules_named(value)?,
            other => return Err(format!("there is no `{other}`")),
        }
    }
    Ok(settings)
}
