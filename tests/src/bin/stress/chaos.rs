//! `stress chaos ..`: the run over what stands in production, see `cache_tests::chaos`.

use std::process::ExitCode;
use std::time::Duration;

use cache_tests::chaos::{Report, Settings, Topology, run, table};
use cache_tests::stress::rules_named;

pub(crate) fn main(arguments: &[String]) -> ExitCode {
    match settings(arguments) {
        Ok(settings) => start(&settings),
        Err(problem) => {
            eprintln!("chaos: {problem}");
            ExitCode::from(2)
        }
    }
}

fn start(settings: &Settings) -> ExitCode {
    println!("seed {}, without {:?}", settings.seed, settings.without);
    let program = std::env::current_exe().expect("a program knows its path");
    let reports = run(&program, settings);
    for report in &reports {
        println!("\n{}", report.topology);
        print!("{}", report.outcome.table);
        report.failovers.lines.iter().for_each(|line| println!("  {line}"));
        tell_what_is_wrong(report);
    }
    print!("\n{}", table(&reports));
    if reports.iter().all(Report::is_well) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell_what_is_wrong(report: &Report) {
    if let (Some(violation), Some(after)) = (&report.outcome.violation, report.outcome.found_after) {
        println!("\nVIOLATION after {:.1} s. {violation}", after.as_secs_f64());
    }
    for problem in &report.outcome.problems {
        println!("PROBLEM: {problem}");
    }
}

fn settings(arguments: &[String]) -> Result<Settings, String> {
    let mut settings = Settings::default();
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("`{flag} {value}`: not a number"));
        match flag.as_str() {
            "--minutes" => settings.time = Duration::from_secs(60 * number()?),
            "--seconds" => settings.time = Duration::from_secs(number()?),
            "--topology" => settings.topologies = topologies(value)?,
            "--seed" => settings.seed = number()?,
            "--without" => settings.without = rules_named(value)?,
            other => return Err(format!("there is no `{other}`")),
        }
    }
    Ok(settings)
}

fn topologies(name: &str) -> Result<Vec<Topology>, String> {
    match Topology::named(name) {
        _ if name == "all" => Ok(Topology::ALL.into()),
        Some(topology) => Ok(vec![topology]),
        None => Err(format!("there is no topology `{name}`; there are: all, standalone, sentinel, cluster")),
    }
}
