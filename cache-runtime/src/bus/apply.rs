//! What the bus does to its process.

use crate::bus::reader::Gap;
use crate::clock::{Moment, Time};
use crate::function::Function;
use crate::store::Position;

/// The process that reads the bus: a cache, or in tests a record of what is asked of it.
pub(crate) trait Apply: Send + Sync {
    /// Whether there is nobody any more to read the bus for.
    fn is_gone(&self) -> bool;

    /// The clock on which the right to serve is measured.
    fn time(&self) -> &Time;

    /// Fences off whatever was kept of the keys and groups with these texts.
    fn texts(&self, texts: &[String]);

    /// Fences off everything.
    fn drop_all(&self);

    /// The bus is about to be asked what is new: the number of this look.
    fn asks(&self) -> u64;

    /// Everything that was on the bus at this look is applied: the in-process tier may serve until `until`.
    fn extend(&self, until: Moment, look: u64);

    /// Everything up to here is applied, as the server tells it behind connections of this generation.
    fn applied(&self, position: Position, generation: u64);

    /// The server's clock showed this at some time between these.
    fn server_clock(&self, sent: Moment, received: Moment, millis: u64);

    /// Hands an event to its subscribers.
    fn deliver(&self, event: &str, json: &[u8]);

    /// The server knows the routes of this process, or does not any more.
    fn registered(&self, is: bool);

    /// The cached functions of this process.
    fn functions(&self) -> Vec<&'static Function>;

    /// Counts.
    fn count(&self, heard: Heard);
}

/// What is counted of the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A message of another process was applied.
    Message,
    /// A message, or a part of it, was not understood.
    Flawed,
    /// So many names were unlinked that a publisher had not covered.
    Unlinked(usize),
    /// Something may have been missed.
    Gap(Gap),
    /// The bus could not be read.
    Fault,
}
