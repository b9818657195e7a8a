//! The messages that were read last, to be told when they are read again.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use crate::bus::reader::Left;
use crate::hasher::RandomState;
use crate::journal::KEPT;
use crate::store::{Message, Position};

/// Most messages.
const MOST: usize = 1_024;

/// The messages that were read last.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    messages: VecDeque<(Position, u64)>,
    hasher: RandomState,
}

impl Remembered {
    /// All before `start` are forgotten: they are not read again.
    pub(super) fn add(&mut self, messages: &[Message], start: Position) {
        let latest = &messages[messages.len().saturating_sub(MOST)..];
        let latest: Vec<_> = latest.iter().map(|message| (message.position, self.digest(message))).collect();
        self.messages.extend(latest);
        while self.messages.len() > MOST || self.messages.front().is_some_and(|(position, _)| *position < start) {
            self.messages.pop_front();
        }
    }

    /// Which of these messages were read before: at the same place, and the same. All of them are from here on.
    pub(super) fn sort(&mut self, messages: Vec<Message>, start: Position) -> Left {
        let is_known = |message: &Message| self.messages.contains(&(message.position, self.digest(message)));
        let (known, fresh): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_known);
        self.add(&fresh, start);
        Left { known, fresh }
    }

    fn digest(&self, message: &Message) -> u64 {
        self.hasher.hash_one(&message.fields)
    }
}

/// From where to read again what another server may have told meanwhile, at least: as far back, by the ids of messages, as a process
/// repeats what it has invalidated itself. Ids follow the server's clock, and its stream may end before what was read of
/// another one: both by less than this.
pub(super) fn back(last: Position) -> Position {
    let millis = u64::try_from(KEPT.as_millis()).expect("some seconds");
    Position { millis: last.millis.saturating_sub(millis), sequence: 0 }
}
