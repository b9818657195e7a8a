//! Streams: messages with ids that only rise.

use std::collections::VecDeque;
use std::fmt;

use super::Millis;
use super::resp::Reply;

/// The id of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// When it was added, as the server's clock said.
    pub millis: Millis,
    /// Its number within the millisecond.
    pub sequence: u64,
}

/// Messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    messages: VecDeque<(Id, Vec<Vec<u8>>)>,
    last: Id,
    added: u64,
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.millis, self.sequence)
    }
}

impl Id {
    /// The last that there can be.
    pub(super) const LAST: Self = Self { millis: Millis::MAX, sequence: u64::MAX };

    /// The id that this text is.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (millis, sequence) = str::from_utf8(text).ok()?.split_once('-')?;
        Some(Self { millis: millis.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

impl Stream {
    /// The id of the next message; none if the last one was used.
    pub(super) fn next(&self, now: Millis) -> Option<Id> {
        let Id { millis, sequence } = self.last;
        // A clock that was set back does not set ids back.
        if now > millis {
            return Some(Id { millis: now, sequence: 0 });
        }
        let next = sequence.checked_add(1).map(|sequence| Id { millis, sequence });
        next.or_else(|| Some(Id { millis: millis.checked_add(1)?, sequence: 0 }))
    }

    /// Adds a message behind the last one.
    pub(super) fn add(&mut self, id: Id, fields: &[Vec<u8>]) {
        self.messages.push_back((id, fields.to_vec()));
        self.last = id;
        self.added += 1;
    }

    /// The messages behind this one, oldest first.
    pub(super) fn after(&self, id: Id) -> impl Iterator<Item = (Id, &[Vec<u8>])> {
        let start = self.messages.partition_point(|(other, _)| *other <= id);
        self.messages.range(start..).map(|(id, fields)| (*id, fields.as_slice()))
    }

    pub(super) fn has(&self, id: Id, fields: &[Vec<u8>]) -> bool {
        self.messages.binary_search_by_key(&id, |(id, _)| *id).is_ok_and(|at| self.messages[at].1 == fields)
    }

    pub(super) fn last(&self) -> Id {
        self.last
    }

    pub(super) fn added(&self) -> u64 {
        self.added
    }

    /// Only so many of the newest stay. How many went.
    pub(super) fn trim(&mut self, left: usize) -> usize {
        let gone = self.messages.len().saturating_sub(left);
        self.messages.drain(..gone);
        gone
    }
}

/// A message as it is told.
pub(super) fn told(id: Id, fields: &[Vec<u8>]) -> Reply {
    let fields = fields.iter().map(Reply::bulk).collect();
    Reply::Array(vec![Reply::bulk(id.to_string()), Reply::Array(fields)])
}
