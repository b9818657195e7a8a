//! From a read that was too old to what a person reads of it: the promise, a short timeline, and what it looks like.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::lookup::Outcome;
use crate::testing::history::{Nanos, Promise};

use super::incoherence::{Incoherence, Mistake, quoted};
use super::log::{Answered, Entries, Event, Operation, What};
use super::run::Written;

/// Lines of the timeline at its beginning and at its end, if there are more than both.
const HEAD: usize = 14;
const TAIL: usize = 26;

/// A read that returned something else than it was promised, and all that is known of it.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    pub(super) seed: u64,
    pub(super) is_embedded: bool,
    pub(super) process: usize,
    pub(super) operation: Operation,
    pub(super) key: u64,
    pub(super) version: u64,
    pub(super) began: Nanos,
    pub(super) ended: Nanos,
    pub(super) answered: Option<Answered>,
    pub(super) claim: Claim,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is older than promised.
    Older { required: u64, promise: Promise },
    /// Nobody wrote this version to this key, but to this one, if to any.
    Foreign { owner: Option<u64> },
}

impl Suspicion {
    pub(super) fn explain(&self, entries: &Entries, versions: &[Written]) -> Incoherence {
        let evidence = Evidence::new(self, entries, versions);
        let mistake = evidence.mistake();
        let text = format!(
            "{}\nwhat happened to key {}{}, times in ms:\n{}what it looks like: {mistake}\n\
             run it again with `Coherence::new().seed({})`",
            self.promise(evidence.write),
            self.key,
            self.answered.as_ref().map(|answered| format!(" (`{}`)", answered.text)).unwrap_or_default(),
            evidence.timeline(),
            self.seed
        );
        Incoherence { seed: self.seed, mistake, text }
    }

    fn promise(&self, write: Option<Written>) -> String {
        let Self { process, key, version, began, .. } = self;
        let read = format!("process {process} read version {version} of key {key}");
        let (required, promise) = match self.claim {
            Claim::Foreign { owner: Some(owner) } => return format!("{read}, which was written to key {owner}"),
            Claim::Foreign { owner: None } => return format!("{read}, which nobody wrote"),
            Claim::Older { required, promise } => (required, promise),
        };
        let of_whom = match promise {
            Promise::OwnProcess => "its own process",
            Promise::Bounded => "another process, longer ago than `max_staleness`",
            Promise::Strict | Promise::Everywhere | Promise::Causal => "any process",
        };
        let ago = write.and_then(|write| write.returned).map_or(0, |returned| began.saturating_sub(returned));
        let ago = Duration::from_nanos(ago);
        format!(
            "{read}, although the write of version {required} had returned {ago:.1?} before the read began: a read sees what \
             {of_whom} wrote before it"
        )
    }
}

/// What is looked at for one suspicion.
struct Evidence<'a> {
    suspicion: &'a Suspicion,
    entries: &'a Entries,
    /// The write that the read had to see.
    write: Option<Written>,
    /// The key and the groups of what was read.
    texts: Vec<&'a str>,
}

/// A load that ended.
#[derive(Clone, Copy, Debug)]
struct Load {
    began: Nanos,
    ended: Nanos,
    kept: bool,
}

impl<'a> Evidence<'a> {
    fn new(suspicion: &'a Suspicion, entries: &'a Entries, versions: &[Written]) -> Self {
        let required = match suspicion.claim {
            Claim::Older { required, .. } => required,
            Claim::Foreign { .. } => suspicion.version,
        };
        let place = required.checked_sub(1).and_then(|place| usize::try_from(place).ok());
        let write = place.and_then(|place| versions.get(place).copied());
        let text = suspicion.answered.as_ref().map(|answered| answered.text.as_str());
        let groups = text.and_then(|text| entries.groups.get(text)).into_iter().flatten();
        let texts = text.into_iter().chain(groups.map(String::as_str)).collect();
        Self { suspicion, entries, write, texts }
    }

    fn mistake(&self) -> Mistake {
        let Some(answered) = &self.suspicion.answered else { return Mistake::NotCached };
        if let Claim::Foreign { owner: Some(_) } = self.suspicion.claim {
            return Mistake::SharedEntry { entry: answered.text.clone() };
        }
        let (Some(write), Claim::Older { .. }) = (self.write, self.suspicion.claim) else { return Mistake::SourceLags };
        let returned = write.returned.unwrap_or(Nanos::MAX);
        let covering = |event: &&Event| self.invalidates(event);
        let during = |event: &&Event| (write.began..=returned).contains(&event.at);
        let Some(covered) = self.events().find(|event| during(event) && covering(event)) else {
            return self.unannounced(answered, write, returned);
        };
        if self.own_load_began_after(returned) {
            return Mistake::SourceLags;
        }
        let announced = self.announced_at(covered, write);
        let between = |load: &Load| announced < load.began && load.began < returned;
        let suspects = self.suspects(answered);
        match suspects.iter().map(|load| load.began).min() {
            _ if suspects.iter().any(between) => Mistake::AnnouncedEarly,
            Some(began) if began > returned && self.suspicion.is_embedded => Mistake::SourceLags,
            Some(_) | None => Mistake::Cache,
        }
    }

    /// The loads that the answer may have come from.
    fn suspects(&self, answered: &Answered) -> Vec<Load> {
        // What another process filled into the second tier need not be kept in its own.
        if !self.suspicion.is_embedded {
            return self.loads();
        }
        if answered.outcome == Outcome::Joined {
            // Not the last of all: between its end and the return of the read others may have begun and ended.
            let joined: Vec<_> = self.loads().into_iter().filter(|load| load.ended >= self.suspicion.began).collect();
            if !joined.is_empty() {
                return joined;
            }
        }
        self.last_load().into_iter().collect()
    }

    fn unannounced(&self, answered: &Answered, write: Written, returned: Nanos) -> Mistake {
        if self.own_load_began_after(returned) {
            return Mistake::SourceLags;
        }
        if self.events().any(|event| event.at > returned && self.invalidates(event)) {
            return Mistake::AnnouncedLate;
        }
        let mut announced: Vec<String> = Vec::new();
        for event in self.events().filter(|event| event.is_of(&write)) {
            if let What::Invalidated { texts, .. } = &event.what {
                announced.extend(texts.iter().cloned());
            }
        }
        if announced.is_empty() {
            return Mistake::NotAnnounced;
        }
        Mistake::AnnouncedOther { announced, read: answered.text.clone() }
    }

    /// Where the answer is a load's that the read itself began, or another after the write.
    fn own_load_began_after(&self, returned: Nanos) -> bool {
        let is_load = self.suspicion.answered.as_ref().is_some_and(|answered| match answered.outcome {
            Outcome::Loaded | Outcome::Bypassed(_) => true,
            Outcome::HitL1 | Outcome::HitL2 | Outcome::Stale | Outcome::Joined => false,
        });
        is_load && self.suspicion.began > returned
    }

    /// From when on a load could be kept. With a second tier that is as soon as the server knows, of which nobody here sees
    /// more than when it was sent.
    fn announced_at(&self, covered: &Event, write: Written) -> Nanos {
        let sent = self.events().find(|event| event.is_of(&write) && event.what == What::Invalidating);
        if self.suspicion.is_embedded { covered.at } else { sent.map_or(covered.at, |event| event.at) }
    }

    /// The loads of what was read that ended before the read did, in the order in which they were kept, or ended.
    fn loads(&self) -> Vec<Load> {
        let (mut under_way, mut loads) = (HashMap::new(), Vec::new());
        for event in self.events().filter(|event| event.at <= self.suspicion.ended) {
            let is_of_key = |text: &String| self.texts.first() == Some(&text.as_str());
            let (began, kept) = match &event.what {
                What::Loading { load, text } if is_of_key(text) => {
                    under_way.insert((event.process, *load), event.at);
                    continue;
                }
                What::Loaded { load, text } if is_of_key(text) => {
                    (under_way.get(&(event.process, *load)).copied(), false)
                }
                What::Kept { load, text } if is_of_key(text) => (under_way.remove(&(event.process, *load)), true),
                What::Refused { load, text } if is_of_key(text) => (under_way.remove(&(event.process, *load)), false),
                _ => continue,
            };
            loads.extend(began.map(|began| Load { began, ended: event.at, kept }));
        }
        loads
    }

    /// The load that the answer came from, as far as that can be told: the last that was kept.
    fn last_load(&self) -> Option<Load> {
        let loads = self.loads();
        loads.iter().rev().find(|load| load.kept).or(loads.last()).copied()
    }

    fn events(&self) -> impl DoubleEndedIterator<Item = &'a Event> {
        self.entries.events.iter()
    }

    fn invalidates(&self, event: &Event) -> bool {
        match &event.what {
            What::Invalidated { texts, .. } => texts.iter().any(|text| self.texts.contains(&text.as_str())),
            _ => false,
        }
    }

    /// The lines of what concerns the read, from the write on, or from the load before it.
    fn timeline(&self) -> String {
        let from = self.write.map_or(self.suspicion.began, |write| write.began.min(self.suspicion.began));
        let from = self.last_load().map_or(from, |load| load.began.min(from));
        let span = from..=self.suspicion.ended;
        let lines: Vec<_> = self
            .events()
            .filter(|event| span.contains(&event.at))
            .filter_map(|event| self.line(event).map(|line| (event, line)))
            .collect();
        let mut text = String::new();
        for (number, (event, line)) in lines.iter().enumerate() {
            if number == HEAD && lines.len() > HEAD + TAIL {
                writeln!(text, "{:>14}  ({} lines more)", "..", lines.len() - HEAD - TAIL)
                    .expect("a String takes any text");
            }
            if number < HEAD || number + TAIL >= lines.len() {
                let at = Duration::from_nanos(event.at.saturating_sub(from)).as_secs_f64() * 1_000.0;
                writeln!(text, "{at:>14.3}  {line}").expect("a String takes any text");
            }
        }
        text
    }

    /// What an event says about the key that was read; nothing if it is about another.
    fn line(&self, event: &Event) -> Option<String> {
        let what = self.of_operations(event).or_else(|| self.of_steps(event))?;
        Some(match event.process {
            Some(process) => format!("process {process}: {what}"),
            None => what,
        })
    }

    fn of_operations(&self, event: &Event) -> Option<String> {
        let is_read = self.suspicion.operation == event.operation;
        let concerns = |key: &u64| *key == self.suspicion.key || self.is_of_write(event);
        match &event.what {
            What::ReadBegins { key } if is_read => Some(format!("the read of key {key} begins")),
            What::ReadReturns { version, answered, .. } if is_read => {
                Some(format!("the read returns version {version} {}   <-- wrong", answered_by(answered.as_ref())))
            }
            What::WriteBegins { key, version } if concerns(key) => {
                Some(format!("the write of version {version} begins"))
            }
            What::WriteReturns { key, version } if concerns(key) => {
                Some(format!("the write of version {version} returns"))
            }
            _ => None,
        }
    }

    fn of_steps(&self, event: &Event) -> Option<String> {
        let concerns = |text: &String| self.texts.contains(&text.as_str());
        match &event.what {
            What::Loading { text, .. } if concerns(text) => Some(format!("a load of `{text}` begins")),
            What::Loaded { text, .. } if concerns(text) => Some(format!("the load of `{text}` has its value")),
            What::Kept { text, .. } if concerns(text) => Some(format!("the value of `{text}` is kept")),
            What::Refused { text, .. } if concerns(text) => {
                Some(format!("the value of `{text}` is not kept: it may have been overtaken"))
            }
            What::Invalidating if self.is_of_write(event) => Some("the write announces".to_owned()),
            What::Invalidated { texts, applied } if self.is_of_write(event) || texts.iter().any(concerns) => {
                Some(invalid(texts, *applied))
            }
            What::Disturbed(what) => Some(format!("** {what}")),
            _ => None,
        }
    }

    fn is_of_write(&self, event: &Event) -> bool {
        self.write.is_some_and(|write| event.is_of(&write))
    }
}

fn invalid(texts: &[String], applied: bool) -> String {
    let are = match texts {
        [] => return "announced: nothing is invalid by it".to_owned(),
        [_] => "is",
        _ => "are",
    };
    let reach = if applied { "" } else { " here, the server is not told yet" };
    format!("{} {are} invalid{reach}", quoted(texts))
}

fn answered_by(answered: Option<&Answered>) -> &'static str {
    match answered.map(|answered| answered.outcome) {
        None => "without a cached function",
        Some(Outcome::HitL1) => "from the in-process tier",
        Some(Outcome::HitL2) => "from the second tier",
        Some(Outcome::Stale) => "from a tier, past its ttl",
        Some(Outcome::Loaded) => "from its own load",
        Some(Outcome::Joined) => "from another call's load",
        Some(Outcome::Bypassed(_)) => "from a load without the cache",
    }
}
