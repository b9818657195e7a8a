//! How far the bus was read, and whether anything is missing: a pure state machine.
//!
//! The ids of a stream are not dense, and reading from an id that was trimmed skips silently. But a stream counts what was
//! ever added: if that is what it was at our position and what has been read since, nothing is missing.
//!
//! Over another server, or on another stream, positions mean nothing; but what stands there may be what nobody has read,
//! and whoever told it may have left it to the readers to unlink. Or it was read, and what was unlinked then is there
//! again. So what was told in the last ten seconds, or read in the last ten in which the servers were well, is read again,
//! in as many looks as it takes, before the end is adopted.

mod remembered;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::bus::reader::remembered::{Remembered, back};
use crate::instant::Instant;
use crate::journal::KEPT;
use crate::store::{Message, Position, Reading};

/// Between two times at which it is noted how far was read.
const NOTED: Duration = Duration::from_secs(1);

/// The position of one reader.
#[derive(Debug, Default)]
pub(super) struct Reader {
    at: Option<Reading>,
    /// Without a position: where to read what may not have been read, if anything was read before.
    behind: Option<Behind>,
    /// What was applied up to here, a server that takes over has.
    safe: Option<Position>,
    /// When everything up to some message behind it was applied.
    marks: VecDeque<(Instant, Position)>,
    remembered: Remembered,
}

/// What is yet to be read before the end is adopted.
#[derive(Clone, Copy, Debug, Default)]
struct Behind {
    from: Position,
    /// Where this stream was seen to end, if it was seen: one that ends before it is another.
    seen: Option<Reading>,
}

/// What a look at the bus has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something may be missing: apply what is there, and drop everything. The position is the end now, if all was read.
    Adopt(Gap, Left),
    /// Apply these. Up to the end, nothing is missing.
    Apply(Vec<Message>),
    /// Apply these, but there are more than were asked for, and some before them may be missing: drop everything too.
    Catch(Vec<Message>),
}

/// What stands where something may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Read before: only what it made the readers unlink may be there again.
    pub(super) known: Vec<Message>,
    /// Not read before, as far as is remembered.
    pub(super) fresh: Vec<Message>,
}

/// Why something may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// The first look.
    Start,
    /// Something was missing before this look, and more is to be read before the end is adopted.
    Behind,
    /// Another server, or the same one in another role or after a restart.
    Server,
    /// There is no stream any more.
    Vanished,
    /// The stream ends before our position.
    Backwards,
    /// The stream has counted other messages than were read: some were trimmed or deleted.
    Count,
    /// The routes are gone, so that everything may be.
    Flushed,
    /// The server answers, but not when it is to read what is behind our position.
    Unreadable,
}

impl Gap {
    /// Whether the server may have lost what it had, so that the latest invalidations are to be repeated.
    pub(crate) fn is_loss(self) -> bool {
        match self {
            Self::Server | Self::Vanished | Self::Backwards | Self::Flushed => true,
            Self::Start | Self::Behind | Self::Count | Self::Unreadable => false,
        }
    }
}

impl Reader {
    /// The last message that was applied; nothing before the first look, where there was no stream, and until all of
    /// another one was read.
    pub(super) fn position(&self) -> Option<Position> {
        self.at.map(|at| at.last)
    }

    /// Behind which message to read; nothing: only where the stream ends is of interest.
    pub(super) fn from(&self) -> Option<Position> {
        self.position().or(self.behind.map(|behind| behind.from))
    }

    /// What was read tells nothing about what comes: the end is adopted, once what may not have been read is.
    pub(super) fn forget(&mut self) {
        let start = self.from().map(|from| self.start(from));
        self.behind = start.map(|from| Behind { from, seen: None });
        self.at = None;
        // The next server may lack it too, until all of it was applied here.
        (self.safe, self.marks) = (start, VecDeque::new());
    }

    /// All servers were the ones they were at this moment: what was applied long before, one that takes over has.
    pub(super) fn well(&mut self, at: Instant, now: Instant) {
        let Some(position) = self.position() else { return };
        self.safe.get_or_insert(position);
        if self.marks.back().is_none_or(|(last, _)| now.saturating_duration_since(*last) >= NOTED) {
            self.marks.push_back((now, position));
        }
        let is_old = |(applied, _): &mut (Instant, Position)| at.saturating_duration_since(*applied) > KEPT;
        while let Some((_, position)) = self.marks.pop_front_if(is_old) {
            self.safe = Some(position);
        }
    }

    /// From where to read again, for whoever has read this far.
    fn start(&self, from: Position) -> Position {
        self.safe.map_or(back(from), |safe| back(from).min(safe))
    }

    /// Takes what stands behind [`Reader::from`], of which there may be more, and moves on.
    pub(super) fn apply(&mut self, end: Option<Reading>, messages: Vec<Message>, more: bool) -> Step {
        let Some(at) = self.at else { return self.apply_behind(end, messages, more) };
        // One may have come and gone since.
        let Some(reached) = end else { return self.adopt(end, Gap::Vanished, messages, more) };
        if is_before(reached, at) {
            return self.begin_again(messages);
        }
        let read = Reading {
            last: messages.last().map_or(at.last, |message| message.position),
            added: at.added.saturating_add(messages.len() as u64),
        };
        if read == reached && is_ascending(at.last, &messages) {
            self.at = Some(read);
            self.remembered.add(&messages, self.start(read.last));
            Step::Apply(messages)
        } else if more && !messages.is_empty() && read.last < reached.last && read.added < reached.added {
            self.at = Some(read);
            self.remembered.add(&messages, self.start(read.last));
            Step::Catch(messages)
        } else {
            self.adopt(end, Gap::Count, messages, more)
        }
    }

    fn apply_behind(&mut self, end: Option<Reading>, messages: Vec<Message>, more: bool) -> Step {
        match (end, self.behind.and_then(|behind| behind.seen)) {
            (Some(end), Some(seen)) if is_before(end, seen) => self.begin_again(messages),
            _ => self.adopt(end, Gap::Start, messages, more),
        }
    }

    fn adopt(&mut self, end: Option<Reading>, gap: Gap, messages: Vec<Message>, more: bool) -> Step {
        let read = messages.last().filter(|_| more).map(|message| message.position);
        self.behind = end.zip(read).map(|(end, from)| Behind { from, seen: Some(end) });
        self.at = end.filter(|_| self.behind.is_none());
        let gap = if gap == Gap::Start && self.behind.is_some() { Gap::Behind } else { gap };
        Step::Adopt(gap, self.sort(messages))
    }

    /// It is another stream, of which none was read yet: its ids may lie before our position.
    fn begin_again(&mut self, messages: Vec<Message>) -> Step {
        (self.at, self.behind) = (None, Some(Behind::default()));
        (self.safe, self.marks) = (Some(Position::default()), VecDeque::new());
        Step::Adopt(Gap::Backwards, self.sort(messages))
    }

    fn sort(&mut self, messages: Vec<Message>) -> Left {
        let start = messages.last().map_or_else(Position::default, |last| self.start(last.position));
        self.remembered.sort(messages, start)
    }
}

/// Whether a stream that reached the one end and is found at the other was begun anew in between.
fn is_before(end: Reading, seen: Reading) -> bool {
    end.last < seen.last || end.added < seen.added
}

fn is_ascending(from: Position, messages: &[Message]) -> bool {
    messages.iter().try_fold(from, |last, message| (message.position > last).then_some(message.position)).is_some()
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "it is read for the first time",
            Self::Behind => "there is more to be read of it",
            Self::Server => "the server is another one, or was restarted",
            Self::Vanished => "it is gone",
            Self::Backwards => "it ends before what was read of it",
            Self::Count => "messages of it were trimmed before they were read",
            Self::Flushed => "the routes are gone, so that everything may be",
            Self::Unreadable => "the server takes too long to read it",
        })
    }
}

#[cfg(test)]
mod tests;
