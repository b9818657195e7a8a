//! Which fault applies to which connection.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::connection::Live;
use super::{Connection, Direction, Fault};

/// Picks connections.
#[derive(Clone)]
pub(super) struct Selector(Arc<dyn Fn(&Connection) -> bool + Send + Sync>);

impl Selector {
    pub(super) fn new(predicate: impl Fn(&Connection) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(predicate))
    }

    pub(super) fn selects(&self, connection: &Connection) -> bool {
        (self.0)(connection)
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Selector")
    }
}

/// The faults that were set, in that order. Connections are told of every change.
#[derive(Debug, Default)]
pub(super) struct Rules(watch::Sender<Book>);

#[derive(Debug, Default)]
struct Book {
    rules: Vec<Rule>,
    /// How many rules there ever were.
    count: u64,
}

#[derive(Debug)]
struct Rule {
    selector: Selector,
    directions: Vec<Direction>,
    fault: Applied,
}

/// A fault, and which of all that were ever set: bytes are counted from its beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Applied {
    pub(super) rule: u64,
    pub(super) fault: Fault,
}

const NO_FAULT: Applied = Applied { rule: 0, fault: Fault::Pass };

impl Rules {
    pub(super) fn add(&self, selector: &Selector, directions: &[Direction], fault: Fault) {
        self.0.send_modify(|book| {
            book.count += 1;
            let fault = Applied { rule: book.count, fault };
            book.rules.push(Rule { selector: selector.clone(), directions: directions.to_vec(), fault });
        });
    }

    pub(super) fn clear(&self) {
        self.0.send_modify(|book| book.rules.clear());
    }

    /// What applies now.
    pub(super) fn find(&self, live: &Live, direction: Direction) -> Applied {
        let book = self.0.borrow();
        if book.rules.is_empty() {
            return NO_FAULT;
        }
        let connection = live.snapshot();
        let mut rules = book.rules.iter().rev();
        let rule = rules.find(|rule| rule.directions.contains(&direction) && rule.selector.selects(&connection));
        rule.map_or(NO_FAULT, |rule| rule.fault)
    }

    /// Waits for what `wanted` finds in the rules, now or after a change.
    pub(super) async fn until<T>(&self, mut wanted: impl FnMut() -> Option<T>) -> T {
        let mut changes = self.0.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = wanted() {
                return found;
            }
            changes.changed().await.expect("the sender is borrowed");
        }
    }
}
