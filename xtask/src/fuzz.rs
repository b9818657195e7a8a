//! `cargo xtask fuzz`: the fuzz targets of the grammar and of whatever strangers may write, for a fixed time each.

use std::fs;

use crate::failure::Failure;
use crate::run::{Invocation, Steps};
use crate::workspace;

/// The crates that have fuzz targets.
const CRATES: [&str; 2] = ["cache-spec", "cache-runtime"];
const DEFAULT_SECONDS: u64 = 60;

#[derive(Debug, PartialEq, Eq)]
struct Request {
    target: Option<String>,
    seconds: u64,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let request = parse(arguments)?;
    ensure_tools()?;
    let targets = chosen(request.target.as_deref(), &targets()?)?;
    let mut steps = Steps::default();
    for target in targets {
        steps.add("fuzz", move || target.fuzz(request.seconds));
    }
    steps.run()
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    name: String,
    of: &'static str,
}

impl Target {
    /// New inputs go to the corpus; the seeds are kept in the repository.
    fn fuzz(&self, seconds: u64) -> Result<(), Failure> {
        let Self { name, of } = self;
        let (corpus, seeds) = (format!("fuzz/corpus/{name}"), format!("fuzz/seeds/{name}"));
        fs::create_dir_all(workspace::root().join(of).join(&corpus))
            .map_err(|error| Failure::work(format!("cannot make `{of}/{corpus}`: {error}")))?;
        let limit = format!("-max_total_time={seconds}");
        let cargo_fuzz = ["run", "nightly", "cargo", "fuzz", "run", name, &corpus, &seeds];
        // No input of a few kilobytes may ask for more memory at once.
        let options = ["--", &limit, "-only_ascii=0", "-malloc_limit_mb=64", "-rss_limit_mb=2048"];
        Invocation::program("rustup", &[&cargo_fuzz[..], &options].concat()).within(of).run()
    }
}

fn parse(arguments: &[String]) -> Result<Request, Failure> {
    let mut request = Request { target: None, seconds: DEFAULT_SECONDS };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--seconds" => request.seconds = seconds(rest.next())?,
            flag if flag.starts_with('-') => return Err(Failure::unknown_argument("fuzz", flag)),
            target if request.target.is_none() => request.target = Some(target.to_owned()),
            more => return Err(Failure::unknown_argument("fuzz", more)),
        }
    }
    Ok(request)
}

fn seconds(value: Option<&String>) -> Result<u64, Failure> {
    match value.map(|value| value.parse()) {
        Some(Ok(seconds)) if seconds > 0 => Ok(seconds),
        _ => Err(Failure::usage("`--seconds` takes a whole number above 0, as in `--seconds 60`")),
    }
}

/// libFuzzer needs the sanitizer flags of nightly.
fn ensure_tools() -> Result<(), Failure> {
    let tools: &[(&[&str], &str)] = &[
        (&["run", "nightly", "rustc", "--version"], "rustup toolchain install nightly"),
        (&["run", "nightly", "cargo", "fuzz", "--version"], "cargo install cargo-fuzz --locked"),
    ];
    let missing: Vec<&str> = tools
        .iter()
        .filter(|(probe, _)| !Invocation::program("rustup", probe).works())
        .map(|(_, install)| *install)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::work(format!(
        "fuzzing needs a nightly toolchain and cargo-fuzz; install what is missing:\n    {}",
        missing.join("\n    ")
    )))
}

fn targets() -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    for of in CRATES {
        let folder = workspace::root().join(of).join("fuzz/fuzz_targets");
        let unreadable = |error| Failure::work(format!("cannot list `{}`: {error}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                targets.extend(path.file_stem().map(|stem| Target { name: stem.to_string_lossy().into_owned(), of }));
            }
        }
    }
    targets.sort();
    Ok(targets)
}

fn chosen(wanted: Option<&str>, targets: &[Target]) -> Result<Vec<Target>, Failure> {
    let Some(wanted) = wanted else {
        return Ok(targets.to_vec());
    };
    if let Some(target) = targets.iter().find(|target| target.name == wanted) {
        return Ok(vec![target.clone()]);
    }
    let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
    Err(Failure::usage(format!("there is no fuzz target `{wanted}`; there is: {}", names.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::{Request, Target, chosen, parse};

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_target_and_a_time_may_be_given() {
        let request = parse(&words("template --seconds 5")).expect("both are known");
        assert_eq!(request, Request { target: Some("template".to_owned()), seconds: 5 });
        assert_eq!(parse(&[]).expect("both are optional").seconds, 60);
    }

    #[test]
    fn a_time_that_is_no_number_is_refused() {
        for line in ["--seconds", "--seconds 0", "--seconds soon", "one two", "--second 5"] {
            parse(&words(line)).expect_err(line);
        }
    }

    #[test]
    fn an_unknown_target_is_refused_with_the_list() {
        let target = |name: &str| Target { name: name.to_owned(), of: "cache-spec" };
        let targets = vec![target("duration"), target("template")];
        let failure = chosen(Some("tmplate"), &targets).expect_err("there is no such target");
        assert!(failure.to_string().contains("duration, template"), "{failure}");
        assert_eq!(chosen(None, &targets).expect("all of them"), targets);
    }
}
