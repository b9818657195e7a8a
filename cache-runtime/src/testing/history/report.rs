//! What a person reads of a violation: the read, what it should have seen, and what happened to its key around it.

use std::fmt::{self, Write as _};

use super::{How, Invalidation, Key, KeyNumber, Nanos, Point, ProcessNumber, Promise, Reach, Read, Source, Version};

/// A read that was older than it may be, and what happened to its key around it.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Who read.
    pub process: ProcessNumber,
    /// The read.
    pub read: Read,
    /// The promise that it breaks.
    pub promise: Promise,
    /// The version it had to return at least.
    pub required: Version,
    /// The invalidation that asked for it; nothing if only its token is known.
    pub point: Option<Point>,
    lines: Vec<(Nanos, String)>,
}

impl Violation {
    pub(super) fn new(
        process: ProcessNumber,
        read: Read,
        promise: Promise,
        required: Version,
        point: Option<Point>,
        key: &Key,
    ) -> Self {
        let mut violation = Self { process, read, promise, required, point, lines: Vec::new() };
        let (from, to) = violation.span();
        for (by, invalidation) in &key.invalidations {
            if invalidation.version >= read.version && invalidation.returned >= from && invalidation.began <= to {
                violation.add_invalidation(*by, invalidation);
            }
        }
        // Of the other reads, those that show since when and until when which version was where.
        let others = key.reads.iter().filter(|(_, other)| *other != read && other.ended >= from && other.began <= to);
        let others: Vec<_> = others.filter(|(_, other)| [read.version, required].contains(&other.version)).collect();
        for (number, (by, other)) in others.iter().enumerate() {
            let is_same = |(same, read): &&(ProcessNumber, Read)| same == by && read.version == other.version;
            if !others[..number].iter().any(is_same) || !others[number + 1..].iter().any(is_same) {
                violation.add(other.ended, &format!("process {by} {}", describe_read(other)));
            }
        }
        if let Some((by, at)) = read.load() {
            violation.add(at, &format!("process {by} loads version {}", read.version));
        }
        violation.add(read.began, &format!("process {process} begins the read"));
        violation.add(read.ended, &format!("process {process} {}   <-- too old", describe_read(&read)));
        violation
    }

    /// What is read about a violation: from a little before the load behind it to its end.
    #[must_use]
    pub fn span(&self) -> (Nanos, Nanos) {
        const MARGIN: Nanos = 20_000_000;
        let returned = self.point.map_or(self.read.began, |point| point.returned);
        let from = self.read.load().map_or(returned, |(_, at)| at.min(returned)).saturating_sub(MARGIN);
        (from, self.read.ended + MARGIN)
    }

    /// One more line, of what happened outside of the log.
    pub fn add(&mut self, at: Nanos, what: &str) {
        let place = self.lines.partition_point(|(other, _)| *other <= at);
        self.lines.insert(place, (at, what.to_owned()));
    }

    fn add_invalidation(&mut self, by: ProcessNumber, invalidation: &Invalidation) {
        let Invalidation { version, how, reach, began, returned, .. } = invalidation;
        let how = match how {
            How::Event => "by event",
            How::Group => "by group",
            How::Entry => "by entry",
            How::Put => "by put",
        };
        let reach = match reach {
            Reach::Queued => "queued",
            Reach::Applied => "applied",
            Reach::Everywhere => "applied everywhere",
        };
        self.add(*began, &format!("process {by} has committed version {version}, begins to invalidate {how}"));
        self.add(*returned, &format!("process {by}: the invalidation for version {version} returns, {reach}"));
    }

    /// The report, with times in milliseconds since `origin`.
    ///
    /// # Panics
    ///
    /// Never: a `String` takes any text.
    #[must_use]
    pub fn report(&self, origin: Nanos, name: impl Fn(KeyNumber) -> String) -> String {
        let mut text = format!("{self}\nkey {}, times in ms:\n", name(self.read.key));
        for (at, line) in &self.lines {
            let at = std::time::Duration::from_nanos(at.saturating_sub(origin));
            writeln!(text, "{:>14.3}  {line}", at.as_secs_f64() * 1_000.0).expect("a String takes any text");
        }
        text
    }
}

fn describe_read(read: &Read) -> String {
    let lasted = std::time::Duration::from_nanos(read.ended.saturating_sub(read.began));
    let source = match read.source {
        Source::Unknown => return format!("reads version {}, in {lasted:.1?}", read.version),
        Source::Near => "from its in-process tier",
        Source::Second => "from the second tier",
        Source::Load => "from a load of its own",
        Source::Joined => "from another call's load",
        Source::Bypass => "from a load without the cache",
    };
    let loaded = read.load().map(|(by, _)| format!(", loaded by process {by}")).unwrap_or_default();
    format!("reads version {} {source}{loaded}, in {lasted:.1?}", read.version)
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, read, promise, required, point, .. } = self;
        let version = read.version;
        write!(out, "{promise:?}: process {process} read version {version} where {required} was promised")?;
        if let Some(Point { process, returned, .. }) = point {
            let before = std::time::Duration::from_nanos(read.began.saturating_sub(*returned));
            write!(out, ": process {process}'s invalidation had returned {before:.1?} before the read began")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}
