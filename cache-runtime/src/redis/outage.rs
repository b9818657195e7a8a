//! What is logged about servers: once when one goes away, once when it is back.
//!
//! A server has several connections, which mostly break together. What counts is the server: its outage begins when the
//! first of them breaks, and ends when the last is back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::instant::Instant;
use crate::redis::target::Address;
use crate::sync::lock;

/// The outages of all servers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outages(Arc<Mutex<HashMap<Address, Outage>>>);

#[derive(Debug)]
struct Outage {
    since: Instant,
    /// Connections that are away.
    away: usize,
    /// Whether it was logged that the credentials are wrong.
    is_refusal_told: bool,
}

/// One connection that is away. Dropped, it is not waited for any more.
#[derive(Debug)]
pub(crate) struct Absence {
    outages: Outages,
    server: Address,
    is_over: bool,
}

/// Whether something is the first, or the last, of its outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    Notable,
    OneOfMany,
}

impl Outages {
    /// A connection broke, or was never made.
    pub(crate) fn begin(&self, server: &Address, connection: &str, reason: &str) -> Absence {
        match self.enter(server) {
            Rank::Notable => tracing::warn!(%server, connection, reason, "redis: a connection is away"),
            Rank::OneOfMany => tracing::debug!(%server, connection, reason, "redis: another connection is away"),
        }
        Absence { outages: self.clone(), server: server.clone(), is_over: false }
    }

    fn enter(&self, server: &Address) -> Rank {
        let mut outages = lock(&self.0);
        let new = Outage { since: Instant::now(), away: 0, is_refusal_told: false };
        let outage = outages.entry(server.clone()).or_insert(new);
        outage.away += 1;
        if outage.away == 1 { Rank::Notable } else { Rank::OneOfMany }
    }

    /// Since when the server was away, if that was its last connection.
    fn leave(&self, server: &Address) -> Option<Instant> {
        let mut outages = lock(&self.0);
        let outage = outages.get_mut(server)?;
        outage.away -= 1;
        if outage.away > 0 {
            return None;
        }
        outages.remove(server).map(|outage| outage.since)
    }

    fn tell_refusal(&self, server: &Address) -> Rank {
        let mut outages = lock(&self.0);
        let told = outages.get_mut(server).map(|outage| std::mem::replace(&mut outage.is_refusal_told, true));
        if told == Some(false) { Rank::Notable } else { Rank::OneOfMany }
    }
}

impl Absence {
    /// The credentials are wrong: somebody has to do something.
    pub(crate) fn refused(&self, answer: &str) {
        let server = &self.server;
        match self.outages.tell_refusal(server) {
            Rank::Notable => tracing::error!(%server, answer, "redis: the server refuses the credentials"),
            Rank::OneOfMany => tracing::debug!(%server, answer, "redis: the server refuses the credentials"),
        }
    }

    /// The connection is back.
    pub(crate) fn over(mut self) {
        self.is_over = true;
        let server = &self.server;
        if let Some(since) = self.outages.leave(server) {
            tracing::info!(%server, after = ?since.elapsed(), "redis: all connections are back");
        }
    }
}

impl Drop for Absence {
    fn drop(&mut self) {
        if !self.is_over {
            self.outages.leave(&self.server);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_begins_with_the_first_connection_and_ends_with_the_last() {
        let (outages, server) = (Outages::default(), Address::tcp("h", 1));
        assert_eq!([outages.enter(&server), outages.enter(&server)], [Rank::Notable, Rank::OneOfMany]);
        assert_eq!(outages.enter(&Address::tcp("other", 1)), Rank::Notable);
        assert_eq!([outages.tell_refusal(&server), outages.tell_refusal(&server)], [Rank::Notable, Rank::OneOfMany]);
        assert_eq!(outages.leave(&server), None);
        assert!(outages.leave(&server).is_some());
        assert_eq!(outages.enter(&server), Rank::Notable);
    }

    #[test]
    fn a_connection_that_nobody_wants_any_more_is_not_away() {
        let (outages, server) = (Outages::default(), Address::tcp("h", 1));
        let absences = ["a", "b"].map(|name| outages.begin(&server, name, "a test"));
        drop(absences);
        outages.begin(&server, "c", "a test").over();
        assert!(lock(&outages.0).is_empty());
    }
}
