//! What goes wrong during a run, as it is told afterwards.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::places::Place;
use super::settings::APP;
use crate::history::{KeyNumber, Nanos, now};

/// What happened, for reports.
#[derive(Clone, Debug)]
pub(crate) struct Diary {
    /// What is counted.
    names: Arc<[&'static str]>,
    entries: Arc<Mutex<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    latest: VecDeque<Entry>,
    counts: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Entry {
    at: Nanos,
    what: String,
    /// On the server, if it is about one name there.
    name: Option<String>,
}

/// So many entries are kept.
const KEPT: usize = 4_000;

impl Diary {
    /// An empty one that counts what has these names.
    pub(crate) fn new(names: Vec<&'static str>) -> Self {
        let entries = Entries { latest: VecDeque::new(), counts: vec![0; names.len()] };
        Self { names: names.into(), entries: Arc::new(Mutex::new(entries)) }
    }

    pub(crate) fn note(&self, what: String, name: Option<String>) {
        let entry = Entry { at: now(), what, name };
        let mut entries = self.entries();
        if entries.latest.len() >= KEPT {
            entries.latest.pop_front();
        }
        entries.latest.push_back(entry);
    }

    /// One more of those with this number among the names.
    pub(crate) fn count(&self, number: usize) {
        self.entries().counts[number] += 1;
    }

    /// Of all kinds together.
    pub(crate) fn total(&self) -> u64 {
        self.entries().counts.iter().sum()
    }

    /// What happened last, and when.
    pub(crate) fn latest(&self) -> Option<(Nanos, String)> {
        let entries = self.entries();
        // What concerns one name only happens all the time.
        let latest = entries.latest.iter().rev().find(|entry| entry.name.is_none())?;
        Some((latest.at, latest.what.clone()))
    }

    /// What happened in this time that may concern this key.
    pub(crate) fn about(&self, key: KeyNumber, (from, to): (Nanos, Nanos)) -> Vec<(Nanos, String)> {
        let names = Place::of(key).names(APP);
        let entries = self.entries();
        let then = entries.latest.iter().filter(|entry| (from..=to).contains(&entry.at));
        let concerns = |entry: &&Entry| entry.name.as_ref().is_none_or(|name| names.contains(name));
        then.filter(concerns).map(|entry| (entry.at, format!("** {}", entry.what))).collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often what happened.
impl fmt::Display for Diary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.names.iter().zip(&self.entries().counts) {
            if *count > 0 {
                writeln!(out, "  {name:<38} {count:>9}")?;
            }
        }
        Ok(())
    }
}
