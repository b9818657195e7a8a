//! Calls that somebody watches.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::context::Context;
use crate::lookup::{Lookup as Listed, Outcome as Answered, Watcher};
use crate::node::Node;
use crate::read::Missed;

/// A call that somebody watches. Where it runs the body, it is listed once it has ended, and not at all if it is dropped
/// before.
pub(super) struct Watched {
    watcher: Watcher,
    node: Arc<Node>,
    function: &'static str,
    key: String,
    began: Moment,
}

impl Watched {
    pub(super) fn begin(missed: &Missed) -> Option<Box<Self>> {
        let watcher = Context::if_any()?.watcher?;
        let node = Arc::clone(&missed.node);
        let (function, key) = (missed.address.function.spec().name, missed.address.text().to_owned());
        Some(Box::new(Self { watcher, began: node.time.now(), node, function, key }))
    }

    pub(super) fn end(watched: Option<Box<Self>>, outcome: Answered, age: Option<Duration>) {
        let Some(watched) = watched else { return };
        let Self { watcher, node, function, key, began } = *watched;
        let took = node.time.now().since(began);
        watcher.note(Listed { function, key, outcome, age, took });
    }
}
