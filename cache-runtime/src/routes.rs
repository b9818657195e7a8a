//! Routes as data: which events name which keys, of every function and version that any process has.
//!
//! Each process writes the routes of its own functions into Redis. So a publisher renders the keys and groups of
//! functions that it does not link, from the event's JSON; and of those it does link, in every version that lives.
//!
//! A text has one form, whoever renders it: from values by [`KeyPart`](crate::KeyPart), from JSON by
//! [`render`](self::event::EventJson). Where a type's own `Serialize` makes the two differ, a publisher that links the
//! function notices, and spells the text out in its message. One that does not cannot know: then whoever links it reads
//! the event as its type when it hears of it, and names both texts.

mod event;
mod json;
mod plan;
mod record;
mod table;

pub(crate) use self::plan::{Happened, Named, Plan};
pub(crate) use self::table::Table;

#[cfg(any(test, fuzzing))]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
