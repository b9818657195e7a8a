//! What the layers have found, as a table: a row for each mutant, a column for each layer; and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::layers::{Finding, Findings, counted};
use super::list::Mutant;

/// A mutant has to be killed within so many seconds.
const MOST_SECONDS: f64 = 60.0;

/// The rows of some mutants.
pub(crate) struct Matrix<'a> {
    rows: Vec<Row<'a>>,
}

/// What each layer says of one mutant.
struct Row<'a> {
    mutant: &'a Mutant,
    model: Answer,
    simulation: Answer,
    tests: Answer,
    /// What the tests of what makes it impossible say.
    pins: Answer,
}

/// What one layer says.
enum Answer {
    /// It is not asked.
    NotAsked,
    /// Everything that it has on this mutant noticed: so many (states, seeds, tests), within so many seconds, such as this.
    Killed { tried: u64, seconds: f64, how: String },
    /// Nothing was noticed.
    Missed { tried: u64, seconds: f64 },
    /// It has not done what the table says that it does.
    Broken(Vec<String>),
}

impl Answer {
    /// Of a layer all of whose names for the mutant have to notice.
    fn of(layer: &str, names: &[&str], findings: &BTreeMap<String, Finding>) -> Self {
        let Some(first) = names.first() else { return Self::NotAsked };
        let problems: Vec<_> = names.iter().filter_map(|name| problem(layer, name, findings.get(*name))).collect();
        if !problems.is_empty() {
            return Self::Broken(problems);
        }
        let found: Vec<&Finding> = names.iter().filter_map(|name| findings.get(*name)).collect();
        let how = found.first().and_then(|finding| finding.caught.clone());
        let how = how.filter(|_| layer != "tests").unwrap_or_else(|| (*first).to_owned());
        let seconds = found.iter().map(|finding| finding.seconds).sum();
        Self::Killed { tried: found.iter().map(|finding| finding.tried).sum(), seconds, how }
    }

    /// Of the simulation, which may miss a rule.
    fn simulated(mutant: &Mutant, findings: &BTreeMap<String, Finding>) -> Self {
        let Some(rule) = mutant.simulated() else { return Self::NotAsked };
        match findings.get(rule) {
            None => Self::Broken(vec![format!("simulation: `{rule}` was not run")]),
            Some(Finding { tried, seconds, caught: None }) => Self::Missed { tried: *tried, seconds: *seconds },
            Some(Finding { tried, seconds, caught: Some(how) }) => {
                Self::Killed { tried: *tried, seconds: *seconds, how: how.clone() }
            }
        }
    }

    fn cell(&self, unit: &str) -> String {
        match self {
            Self::NotAsked => "-".to_owned(),
            Self::Killed { tried, seconds, .. } => format!("{}, {seconds:.1} s", counted(*tried, unit)),
            Self::Missed { tried, seconds } => format!("not in {}, {seconds:.0} s", counted(*tried, unit)),
            Self::Broken(_) => "BROKEN".to_owned(),
        }
    }

    /// How long it took to notice, and how it did.
    fn kill(&self) -> Option<(f64, &str)> {
        match self {
            Self::Killed { seconds, how, .. } if *seconds <= MOST_SECONDS => Some((*seconds, how)),
            Self::Killed { .. } | Self::NotAsked | Self::Missed { .. } | Self::Broken(_) => None,
        }
    }
}

fn problem(layer: &str, name: &str, finding: Option<&Finding>) -> Option<String> {
    match (layer, finding) {
        (_, Some(Finding { caught: Some(_), .. })) => None,
        ("tests", Some(_)) => Some(format!("tests: `{name}` did not pass")),
        ("tests", None) => Some(format!("tests: `{name}` was not run; is it still there?")),
        (_, Some(_)) => Some(format!("{layer}: `{name}` broke nothing")),
        (_, None) => Some(format!("{layer}: `{name}` was not run; is it still there?")),
    }
}

impl<'a> Row<'a> {
    fn new(mutant: &'a Mutant, findings: &Findings) -> Self {
        Self {
            mutant,
            model: Answer::of("model", mutant.model, &findings.model),
            simulation: Answer::simulated(mutant, &findings.simulation),
            tests: Answer::of("tests", mutant.tests, &findings.tests),
            pins: Answer::of("tests", mutant.pins, &findings.tests),
        }
    }

    fn layers(&self) -> [(&'static str, &Answer); 3] {
        [("model", &self.model), ("simulation", &self.simulation), ("tests", &self.tests)]
    }

    /// The layer that is the first to notice.
    fn killer(&self) -> Option<(&'static str, &str)> {
        let kills = self.layers().into_iter().filter_map(|(layer, answer)| Some((layer, answer.kill()?)));
        let first = kills.min_by(|(_, one), (_, other)| one.0.total_cmp(&other.0));
        first.map(|(layer, (_, how))| (layer, how))
    }

    fn problems(&self) -> Vec<String> {
        let answers = [&self.model, &self.simulation, &self.tests, &self.pins];
        let broken = answers.into_iter().filter_map(|answer| match answer {
            Answer::Broken(problems) => Some(problems.clone()),
            Answer::NotAsked | Answer::Killed { .. } | Answer::Missed { .. } => None,
        });
        let mut problems: Vec<_> = broken.flatten().collect();
        if self.killer().is_none() {
            let name = self.mutant.name;
            problems.push(format!("SURVIVES: no layer kills `{name}` within {MOST_SECONDS:.0} s"));
        }
        problems
    }

    fn cells(&self, footnotes: &mut Vec<&'static str>) -> [String; 5] {
        let simulation = match self.mutant.not_simulated {
            Some(why) => format!("- ({})", number_of(footnotes, why)),
            None => self.simulation.cell("seed"),
        };
        let killer = self.killer().map_or("NOTHING".to_owned(), |(layer, how)| match layer {
            "tests" => "tests".to_owned(),
            _ => format!("{layer}: {}", how.split([':', ',']).next().unwrap_or_default()),
        });
        [self.mutant.name.to_owned(), self.model.cell("state"), simulation, killer, self.tests_cell()]
    }

    fn tests_cell(&self) -> String {
        let named = |names: &[&str]| match names {
            [] => "-".to_owned(),
            [one] => (*one).to_owned(),
            [one, others @ ..] => format!("{one} +{}", others.len()),
        };
        let tests = match &self.tests {
            Answer::Killed { seconds, .. } => format!("{}, {seconds:.1} s", named(self.mutant.tests)),
            Answer::Broken(_) => "BROKEN".to_owned(),
            Answer::NotAsked | Answer::Missed { .. } => "-".to_owned(),
        };
        match &self.pins {
            Answer::Killed { .. } => format!("{tests}; held by {}", named(self.mutant.pins)),
            Answer::Broken(_) => format!("{tests}; held by BROKEN"),
            Answer::NotAsked | Answer::Missed { .. } => tests,
        }
    }
}

/// The number of a footnote, the same for the same words.
fn number_of(footnotes: &mut Vec<&'static str>, why: &'static str) -> usize {
    let place = footnotes.iter().position(|other| *other == why);
    place.unwrap_or_else(|| {
        footnotes.push(why);
        footnotes.len() - 1
    }) + 1
}

impl<'a> Matrix<'a> {
    pub(crate) fn new(mutants: &[&'a Mutant], findings: &Findings) -> Self {
        Self { rows: mutants.iter().map(|mutant| Row::new(mutant, findings)).collect() }
    }

    /// Mutants that some layer kills in time.
    pub(crate) fn killed(&self) -> usize {
        self.rows.iter().filter(|row| row.killer().is_some()).count()
    }

    /// What is wrong: mutants that survive, and layers that do not do what the table says of them.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<_> = self.rows.iter().flat_map(Row::problems).collect();
        problems.sort();
        problems.dedup();
        problems
    }

    pub(crate) fn told(&self) -> String {
        let heads =
            ["mutant", "model", "simulation", "killed first by", "tests that fail without it"].map(str::to_owned);
        let mut footnotes = Vec::new();
        let lines: Vec<_> = [heads].into_iter().chain(self.rows.iter().map(|row| row.cells(&mut footnotes))).collect();
        let widths = [0, 1, 2, 3].map(|column| lines.iter().map(|cells| cells[column].len()).max().unwrap_or_default());
        let mut text = String::new();
        for [name, model, simulation, killer, tests] in &lines {
            let [a, b, c, d] = widths;
            let line = format!("{name:<a$}  {model:<b$}  {simulation:<c$}  {killer:<d$}  {tests}");
            _ = writeln!(text, "{}", line.trim_end());
        }
        for (number, why) in (1..).zip(footnotes) {
            _ = writeln!(text, "({number}) {why}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Matrix;
    use crate::mutants::layers::{Finding, Findings};
    use crate::mutants::list::Mutant;

    const SEAL: Mutant = Mutant {
        name: "no seal",
        rule: Some("seal"),
        not_simulated: None,
        model: &["Seal"],
        tests: &["flights::f1"],
        pins: &[],
    };
    const LOCK: Mutant = Mutant {
        name: "separate lock",
        rule: None,
        not_simulated: Some("no rule"),
        model: &["Lock", "Other"],
        tests: &[],
        pins: &["leases::one", "leases::two"],
    };

    fn finding(tried: u64, seconds: f64, caught: &str) -> Finding {
        Finding { tried, seconds, caught: (!caught.is_empty()).then(|| caught.to_owned()) }
    }

    fn findings(seal: Finding, seeds: Finding, test: Finding) -> Findings {
        let mut findings = Findings::default();
        findings.model.insert("Seal".to_owned(), seal);
        findings.model.insert("Lock".to_owned(), finding(10, 0.5, "strict: old"));
        findings.model.insert("Other".to_owned(), finding(1_234, 0.5, "leases: a fill"));
        findings.simulation.insert("seal".to_owned(), seeds);
        findings.tests.insert("flights::f1".to_owned(), test);
        for pin in LOCK.pins {
            findings.tests.insert((*pin).to_owned(), finding(1, 0.1, "passes"));
        }
        findings
    }

    fn good() -> Findings {
        findings(finding(523, 0.4, "strict: old"), finding(7, 0.3, "old"), finding(1, 0.2, "passes"))
    }

    #[test]
    fn a_row_names_the_layer_that_was_first() {
        let matrix = Matrix::new(&[&SEAL, &LOCK], &good());
        let told = matrix.told();
        let lines: Vec<_> = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "mutant model simulation killed first by tests that fail without it",
                "no seal 523 states, 0.4 s 7 seeds, 0.3 s tests flights::f1, 0.2 s",
                "separate lock 1,244 states, 1.0 s - (1) model: strict -; held by leases::one +1",
                "(1) no rule",
            ]
        );
        assert_eq!((matrix.killed(), matrix.problems()), (2, Vec::<String>::new()));
    }

    #[track_caller]
    fn check_problems(findings: &Findings, expected: &[&str]) {
        assert_eq!(Matrix::new(&[&SEAL], findings).problems(), expected);
    }

    #[test]
    fn the_simulation_may_miss_what_another_layer_kills() {
        let missed = || finding(2_000, 60.0, "");
        let findings = findings(finding(523, 0.4, "x: y"), missed(), finding(1, 0.2, "passes"));
        check_problems(&findings, &[]);
        assert!(Matrix::new(&[&SEAL], &findings).told().contains("not in 2,000 seeds, 60 s"));
    }

    #[test]
    fn what_nobody_kills_survives() {
        let mut none = findings(finding(523, 0.4, ""), finding(9, 60.0, ""), finding(1, 0.2, "passes"));
        none.tests.clear();
        let survives = "SURVIVES: no layer kills `no seal` within 60 s";
        let not_run = "tests: `flights::f1` was not run; is it still there?";
        check_problems(&none, &[survives, "model: `Seal` broke nothing", not_run]);
        assert!(Matrix::new(&[&SEAL], &none).told().contains("NOTHING"));
        assert_eq!(Matrix::new(&[&SEAL], &none).killed(), 0);
    }

    #[test]
    fn a_kill_after_more_than_a_minute_is_none() {
        let late = || finding(523, 60.1, "x: y");
        let slow = findings(late(), late(), late());
        check_problems(&slow, &["SURVIVES: no layer kills `no seal` within 60 s"]);
    }

    #[test]
    fn a_test_that_is_gone_or_fails_is_a_problem_although_others_kill() {
        let mut gone = good();
        gone.tests.clear();
        check_problems(&gone, &["tests: `flights::f1` was not run; is it still there?"]);
        gone.tests.insert("flights::f1".to_owned(), finding(1, 0.2, ""));
        check_problems(&gone, &["tests: `flights::f1` did not pass"]);
    }

    #[test]
    fn a_mutant_or_a_rule_that_was_not_run_is_a_problem() {
        let mut gone = good();
        gone.model.clear();
        gone.simulation.clear();
        let seeds = "simulation: `seal` was not run";
        check_problems(&gone, &["model: `Seal` was not run; is it still there?", seeds]);
    }

    #[test]
    fn one_of_several_that_broke_nothing_is_a_problem() {
        let mut one = good();
        one.model.insert("Other".to_owned(), finding(99, 0.1, ""));
        let problems = Matrix::new(&[&LOCK], &one).problems();
        assert_eq!(problems, ["SURVIVES: no layer kills `separate lock` within 60 s", "model: `Other` broke nothing"]);
    }

    #[test]
    fn a_pin_kills_nothing_and_is_missed_all_the_same() {
        let mut gone = good();
        gone.tests.remove("leases::two");
        gone.model.insert("Lock".to_owned(), finding(9, 0.1, ""));
        let survives = "SURVIVES: no layer kills `separate lock` within 60 s";
        let not_run = "tests: `leases::two` was not run; is it still there?";
        assert_eq!(Matrix::new(&[&LOCK], &gone).problems(), [survives, "model: `Lock` broke nothing", not_run]);
        let told = Matrix::new(&[&LOCK], &gone).told();
        assert!(told.contains("NOTHING") && told.contains("held by BROKEN"), "{told}");
    }
}
