//! What the cache says while a test runs.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// The lines that `docs/failures.md` has a word for.
pub(crate) const AWAY: &str = "redis: a connection is away";
pub(crate) const BLIND: &str = "the bus cannot be read: the in-process tier is not used until it can";
pub(crate) const GAP: &str = "invalidations may have been missed, the in-process tier is emptied: ";

/// Listens to nobody. While one alone listens, `tracing` asks the thread that comes first to a line whether anybody wants
/// it, and a thread without a log says no for all of them.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Log::default()));

/// What the caches of this thread log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Line>>>);

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) level: String,
    pub(crate) message: String,
    /// What else stands in it, in the order in which it stands there.
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Log {
    /// Listens on this thread, on which the runtime of a `#[tokio::test]` runs all of its tasks.
    pub(crate) fn start() -> (Self, DefaultGuard) {
        LazyLock::force(&SECOND);
        let log = Self::default();
        let guard = set_default(log.clone());
        (log, guard)
    }

    /// The lines that begin like this.
    pub(crate) fn lines(&self, message: &str) -> Vec<Line> {
        let lines = self.lock();
        lines.iter().filter(|line| line.message.starts_with(message)).cloned().collect()
    }

    /// One failure, seen by so many processes: they warned of it with all of these lines, and with none of them twice of the
    /// same. Of nothing else, but that a busy machine may make them wait for a server that is well.
    #[track_caller]
    pub(crate) fn tells_once(&self, processes: usize, lines: &[&str]) {
        let mut said: BTreeMap<Line, usize> = BTreeMap::new();
        for line in self.lock().iter().filter(|line| line.is_warning()) {
            *said.entry(line.without_reason()).or_default() += 1;
        }
        let begins = |wanted: &str| said.keys().any(|line| line.message.starts_with(wanted));
        assert!(lines.iter().all(|line| begins(line)), "not all of {lines:?} was said: {said:#?}");
        assert!(said.values().all(|times| *times <= processes), "said again and again: {said:#?}");
        let is_known = |line: &Line| [AWAY, BLIND].iter().chain(lines).any(|known| line.message.starts_with(known));
        assert!(said.keys().all(is_known), "more than {lines:?} was said: {said:#?}");
    }

    /// Nothing was worth a warning.
    #[track_caller]
    pub(crate) fn is_quiet(&self) {
        let lines = self.lock();
        assert!(!lines.iter().any(Line::is_warning), "{lines:#?}");
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    pub(crate) fn is_warning(&self) -> bool {
        self.level != Level::INFO.as_str()
    }

    /// Two processes may notice the same thing differently: a connection that is closed, an operation without a reply.
    fn without_reason(&self) -> Self {
        let fields = self.fields.iter().filter(|(name, _)| ["connection", "connections", "server"].contains(name));
        Self { fields: fields.cloned().collect(), ..self.clone() }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.push((name, format!("{value:?}"))),
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("cache_runtime")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line { level: event.metadata().level().to_string(), message: String::new(), fields: Vec::new() };
        event.record(&mut line);
        self.lock().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
