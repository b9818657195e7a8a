//! How far the bus was read, and whether anything is missing: a pure state machine.
//!
//! The ids of a stream are not dense, and reading from an id that was trimmed skips silently. But a stream counts what was
//! ever added: if that is what it was at our position and what has been read since, nothing is missing.

use std::fmt;

use crate::store::{Message, Position, Reading};

/// The position of one reader.
#[derive(Debug, Default)]
pub(super) struct Reader {
    at: Option<Reading>,
}

/// What a look at the bus has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something may be missing: apply what is there, and drop everything; the position is the end now.
    Adopt(Gap, Vec<Message>),
    /// Apply these. Up to the end, nothing is missing.
    Apply(Vec<Message>),
    /// Apply these, but there are more than were asked for, and some before them may be missing: drop everything too.
    Catch(Vec<Message>),
}

/// Why something may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// The first look.
    Start,
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
            Self::Start | Self::Count | Self::Unreadable => false,
        }
    }
}

impl Reader {
    /// The last message that was applied; nothing before the first look, and where there was no stream.
    pub(super) fn position(&self) -> Option<Position> {
        self.at.map(|at| at.last)
    }

    /// What was read tells nothing about what comes: the next look adopts the end.
    pub(super) fn forget(&mut self) {
        self.at = None;
    }

    /// Takes what stands behind the position, of which there may be more, and moves on.
    pub(super) fn apply(&mut self, end: Option<Reading>, messages: Vec<Message>, more: bool) -> Step {
        let Some(at) = self.at else { return self.adopt(end, Gap::Start, messages) };
        // One may have come and gone since.
        let Some(reached) = end else { return self.adopt(end, Gap::Vanished, messages) };
        if reached.last < at.last || reached.added < at.added {
            return self.adopt(end, Gap::Backwards, messages);
        }
        let read = Reading {
            last: messages.last().map_or(at.last, |message| message.position),
            added: at.added.saturating_add(messages.len() as u64),
        };
        if read == reached && is_ascending(at.last, &messages) {
            self.at = Some(read);
            Step::Apply(messages)
        } else if more && !messages.is_empty() && read.last < reached.last && read.added < reached.added {
            self.at = Some(read);
            Step::Catch(messages)
        } else {
            self.adopt(end, Gap::Count, messages)
        }
    }

    fn adopt(&mut self, end: Option<Reading>, gap: Gap, messages: Vec<Message>) -> Step {
        self.at = end;
        Step::Adopt(gap, messages)
    }
}

fn is_ascending(from: Position, messages: &[Message]) -> bool {
    messages.iter().try_fold(from, |last, message| (message.position > last).then_some(message.position)).is_some()
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "it is read for the first time",
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
