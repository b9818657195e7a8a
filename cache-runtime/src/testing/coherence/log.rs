//! What happened during a search, in the order of time.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::lookup::Outcome;
use crate::testing::history::{Nanos, now};

use super::run::Written;

/// So many events are kept: a violation is found within far fewer.
const KEPT: usize = 50_000;

/// A read or a write of the search; 0 is none of them.
pub(super) type Operation = u64;

/// What happens in a task that the service spawned.
const NOBODYS: Operation = 0;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    ReadBegins {
        key: u64,
    },
    ReadReturns {
        key: u64,
        version: u64,
        answered: Option<Answered>,
    },
    WriteBegins {
        key: u64,
        version: u64,
    },
    WriteReturns {
        key: u64,
        version: u64,
    },
    Loading {
        load: u64,
        text: String,
    },
    Loaded {
        load: u64,
        text: String,
    },
    Kept {
        load: u64,
        text: String,
    },
    Refused {
        load: u64,
        text: String,
    },
    Invalidating,
    Invalidated {
        texts: Vec<String>,
        applied: bool,
    },
    /// A fault, in words.
    Disturbed(String),
}

/// Which cached function answered a read, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) text: String,
    pub(super) outcome: Outcome,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: Nanos,
    /// Whose it is; of faults, the process that they hit.
    pub(super) process: Option<usize>,
    pub(super) operation: Operation,
    pub(super) what: What,
}

/// What happened, and what follows from it for the whole run.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Entries>);

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) events: VecDeque<Event>,
    /// The groups of each key, by its text.
    pub(super) groups: HashMap<String, Vec<String>>,
    pub(super) loads: u64,
    pub(super) invalidations: u64,
    pub(super) faults: u64,
    /// How many events there ever were.
    pub(super) total: u64,
}

impl Event {
    /// Whether this write did it, or may have: in a task of its own it cannot be told from others of its process.
    pub(super) fn is_of(&self, write: &Written) -> bool {
        let during = write.began..=write.returned.unwrap_or(Nanos::MAX);
        let is_anybodys = self.operation == NOBODYS && self.process == Some(write.process);
        self.operation == write.operation || is_anybodys && during.contains(&self.at)
    }
}

impl Log {
    /// It happens now, in the operation that is being polled.
    pub(super) fn add(&self, process: Option<usize>, what: What) {
        let mut entries = self.entries();
        match &what {
            What::Loading { .. } => entries.loads += 1,
            What::Invalidated { .. } => entries.invalidations += 1,
            What::Disturbed(_) => entries.faults += 1,
            What::ReadBegins { .. }
            | What::ReadReturns { .. }
            | What::WriteBegins { .. }
            | What::WriteReturns { .. }
            | What::Loaded { .. }
            | What::Kept { .. }
            | What::Refused { .. }
            | What::Invalidating => {}
        }
        entries.total += 1;
        if entries.events.len() >= KEPT {
            entries.events.pop_front();
        }
        let event = Event { at: now(), process, operation: CURRENT.get(), what };
        entries.events.push_back(event);
    }

    /// The key with this text belongs to these groups.
    pub(super) fn note_groups(&self, text: &str, groups: &[String]) {
        let mut entries = self.entries();
        if !groups.is_empty() && !entries.groups.contains_key(text) {
            entries.groups.insert(text.to_owned(), groups.to_vec());
        }
    }

    /// Whether something that this process made invalid during the write waits for the server. It may be another write's:
    /// whose it is cannot be told where the service announces in a task of its own.
    pub(super) fn is_queued(&self, write: &Written) -> bool {
        let entries = self.entries();
        let mut during = entries.events.iter().rev().take_while(|event| event.at >= write.began);
        let is_of_process = |event: &Event| event.process == Some(write.process);
        during.any(|event| is_of_process(event) && matches!(event.what, What::Invalidated { applied: false, .. }))
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    static CURRENT: Cell<Operation> = const { Cell::new(NOBODYS) };
}

/// A future of which the log knows, whenever it is polled, whose it is.
#[must_use = "futures do nothing unless polled"]
pub(super) struct Within<F> {
    operation: Operation,
    future: Pin<Box<F>>,
}

impl<F: Future> Within<F> {
    pub(super) fn new(operation: Operation, future: F) -> Self {
        Self { operation, future: Box::pin(future) }
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _inside = Inside(CURRENT.replace(self.operation));
        self.future.as_mut().poll(context)
    }
}

/// Gives back what was current before, on a panic too.
struct Inside(Operation);

impl Drop for Inside {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}
