//! What a run is like, and what of it a child has to know.

use std::net::SocketAddr;
use std::time::Duration;

use cache_runtime::testing::Rule;

use crate::history::ProcessNumber;

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many processes live at a time.
    pub processes: usize,
    /// How long it runs, without start and end.
    pub time: Duration,
    /// What is random follows from it, except for time itself.
    pub seed: u64,
    /// Rules that are taken away.
    pub without: Vec<Rule>,
    /// What every second process waits for as its `min_replicas`; the others wait for none.
    pub min_replicas: usize,
    /// Whether a line tells every five seconds how it goes.
    pub talks: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            processes: 4,
            time: Duration::from_mins(5),
            seed: fastrand::u64(..),
            without: Vec::new(),
            min_replicas: 0,
            talks: true,
        }
    }
}

/// The application's name on the server.
pub(crate) const APP: &str = "test";

/// Short, so that what is bounded by it is tried often; long enough for processes that share two cores.
pub(crate) const MAX_STALENESS: Duration = Duration::from_millis(400);

/// Short, so that dead leaders are replaced soon.
pub(crate) const LEASE: Duration = Duration::from_millis(300);

/// What a child has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildSettings {
    /// Its number among all processes that ever lived in this run.
    pub process: ProcessNumber,
    /// Its number among those that live at a time, and how many these are.
    pub slot: (u64, u64),
    /// The cache's server.
    pub url: String,
    /// The source of truth.
    pub truth: SocketAddr,
    /// What is random follows from it.
    pub seed: u64,
    /// Rules that are taken away.
    pub without: Vec<Rule>,
    /// Its `min_replicas`.
    pub min_replicas: usize,
}

/// The first argument of a child.
const CHILD: &str = "child";

impl ChildSettings {
    /// As arguments of a program.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let without: Vec<_> = self.without.iter().map(|rule| name_of(*rule)).collect();
        [
            CHILD.to_owned(),
            self.process.to_string(),
            self.slot.0.to_string(),
            self.slot.1.to_string(),
            self.url.clone(),
            self.truth.to_string(),
            self.seed.to_string(),
            without.join(","),
            self.min_replicas.to_string(),
        ]
        .into()
    }

    /// From a program's arguments; nothing if they are not those of a child.
    ///
    /// # Panics
    ///
    /// If they begin as those of a child and are none.
    #[must_use]
    pub fn from_arguments(arguments: &[String]) -> Option<Self> {
        let [first, process, slot, slots, url, truth, seed, without, min_replicas] = arguments else { return None };
        if first != CHILD {
            return None;
        }
        let number = |text: &String| text.parse().expect("the parent writes numbers");
        let rules = without.split(',').filter(|name| !name.is_empty());
        Some(Self {
            process: process.parse().expect("the parent writes numbers"),
            slot: (number(slot), number(slots)),
            url: url.clone(),
            truth: truth.parse().expect("the parent writes an address"),
            seed: number(seed),
            without: rules.map(|name| rule_named(name).expect("the parent writes names of rules")).collect(),
            min_replicas: min_replicas.parse().expect("the parent writes numbers"),
        })
    }

    /// The `max_staleness` of its cache.
    #[must_use]
    pub fn max_staleness(&self) -> Duration {
        MAX_STALENESS
    }

    /// The length of its leases.
    #[must_use]
    pub fn lease(&self) -> Duration {
        LEASE
    }

    /// Invalidations that its journal holds. In the upper half of the processes it overflows: whole functions are
    /// invalid then.
    #[must_use]
    pub fn journal(&self) -> usize {
        if self.is_small() { 3 } else { 4_096 }
    }

    /// Loads at a time without the server. The upper half of the processes waits for turns.
    #[must_use]
    pub fn load_limit(&self) -> usize {
        if self.is_small() { 4 } else { 1_024 }
    }

    /// Who is behind a proxy and who is not takes turns: there are both in this half, and in the other.
    fn is_small(&self) -> bool {
        2 * self.slot.0 >= self.slot.1
    }

    /// The name of its application.
    #[must_use]
    pub fn app(&self) -> &'static str {
        APP
    }
}

/// The rules that can be taken away, as they are named on a command line.
const RULES: &[(&str, Rule)] = &[
    ("seal", Rule::Seal),
    ("no-shared-hits", Rule::NoSharedHits),
    ("verdict", Rule::Verdict),
    ("detach", Rule::Detach),
    ("fence", Rule::Fence),
    ("fill-token", Rule::FillToken),
    ("stamps", Rule::Stamps),
    ("snapshot", Rule::Snapshot),
    ("unlink-first", Rule::UnlinkFirst),
    ("second-bump", Rule::SecondBump),
    ("right", Rule::Right),
    ("right-from-sending", Rule::RightFromSending),
    ("gap", Rule::Gap),
    ("identity", Rule::Identity),
    ("journal", Rule::Journal),
    ("routes", Rule::Routes),
    ("nested", Rule::Nested),
    ("rounds", Rule::Rounds),
];

/// The rule with this name.
#[must_use]
pub fn rule_named(name: &str) -> Option<Rule> {
    RULES.iter().find(|(known, _)| *known == name).map(|(_, rule)| *rule)
}

/// The rules with these names, with commas between.
///
/// # Errors
/// A name of no rule; those that there are.
pub fn rules_named(names: &str) -> Result<Vec<Rule>, String> {
    let known = || rule_names().collect::<Vec<_>>().join(", ");
    let rule = |name| rule_named(name).ok_or_else(|| format!("there is no rule `{name}`; there are: {}", known()));
    names.split(',').map(rule).collect()
}

/// The names of all rules that can be taken away.
pub fn rule_names() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(name, _)| *name)
}

pub(crate) fn name_of(rule: Rule) -> &'static str {
    let named = RULES.iter().find(|(_, known)| *known == rule);
    named.map(|(name, _)| *name).expect("rules are taken away by their names")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_names_and_a_wrong_one_is_told_with_all_others() {
        assert_eq!(rules_named("fence,verdict"), Ok(vec![Rule::Fence, Rule::Verdict]));
        let told = rules_named("fence,fense").expect_err("there is no such rule");
        assert!(told.contains("`fense`") && rule_names().all(|name| told.contains(name)), "{told}");
    }

    #[test]
    fn a_child_gets_what_its_parent_wrote() {
        let settings = ChildSettings {
            process: 17,
            slot: (2, 4),
            url: "redis://127.0.0.1:6379".to_owned(),
            truth: ([127, 0, 0, 1], 6380).into(),
            seed: u64::MAX,
            without: vec![Rule::Fence, Rule::Verdict],
            min_replicas: 1,
        };
        assert_eq!(ChildSettings::from_arguments(&settings.arguments()), Some(settings));
        assert_eq!(ChildSettings::from_arguments(&["--minutes".to_owned()]), None);
    }
}
