//! `cargo xtask tidy`: what we ask of the sources and the compiler does not check.
//!
//! A rule is a function from sources to [`Problem`]s in a module of its own. A place that has to
//! break a rule says so with `// tidy: <subject> because <reason>`, where the rule allows it.

mod dependencies;
mod layers;
mod leftovers;
mod size;
mod source;

use std::fmt;

use crate::failure::Failure;
use crate::workspace;
use source::Source;

/// One thing to change, with its place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
    pub(crate) why: &'static str,
    pub(crate) fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, why, fix } = self;
        write!(out, "{path}:{line}: {what}\n    why: {why}\n    fix: {fix}")
    }
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    if let Some(argument) = arguments.first() {
        return Err(Failure::unknown_argument("tidy", argument));
    }
    let sources = sources()?;
    let mut problems = layers::check(&workspace::read(layers::TABLE)?, &sources);
    for source in &sources {
        problems.extend(size::check(source));
        problems.extend(leftovers::check(source));
    }
    problems.extend(dependencies::check_reasons(&workspace::read("Cargo.toml")?));
    for manifest in workspace::member_manifests()? {
        problems.extend(dependencies::check_member(&manifest, &workspace::read(&manifest)?));
    }
    report(problems, sources.len())
}

fn sources() -> Result<Vec<Source>, Failure> {
    let read = |path| Ok(Source::new(&path, &workspace::read(&path)?));
    workspace::rust_files()?.into_iter().map(read).collect()
}

fn report(mut problems: Vec<Problem>, files: usize) -> Result<(), Failure> {
    if problems.is_empty() {
        println!("    tidy: {files} files, nothing to change");
        return Ok(());
    }
    problems.sort();
    for problem in &problems {
        println!("{problem}");
    }
    Err(Failure::work(format!("`cargo xtask tidy` found {} to change", problems.len())))
}
