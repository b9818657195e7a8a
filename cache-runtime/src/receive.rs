//! The receive path: what other processes make invalid, applied to this one.
//!
//! ```text
//! read the bus  ->  unlink what the publisher did not cover  ->  bump fences  ->  tell subscribers  ->  extend the right
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use crate::bus::{self, Apply, Heard, Met, Remote};
use crate::clock::{Moment, Time};
use crate::fault::Fault;
use crate::function::Function;
use crate::instant::Instant;
use crate::node::Node;
use crate::redis::{Identities, Store};
use crate::registry;
use crate::second::{OnFailover, Second};
use crate::store::{Invalidated, Invalidation, Needed, Position, Tail};
use crate::timer;

/// Messages that are read at once.
const MOST_MESSAGES: usize = 1_000;

/// How often a new cache looks whether the bus was read for the first time.
const FIRST_LOOKS: Duration = Duration::from_millis(1);

/// Starts to read the bus, and waits until it was read once, as long as an operation may take.
pub(crate) async fn start(node: &Arc<Node>) {
    let Some(second) = &node.second else { return };
    // Before the first event: what it names in this process does not hang on the server.
    second.table.link(&registry::all());
    let settings = bus::Settings {
        id: second.id.clone(),
        max_staleness: second.settings.max_staleness,
        most: MOST_MESSAGES,
        is_cold_after_loss: second.settings.on_failover == OnFailover::Cold,
        rules: node.rules,
    };
    let hearing = Hearing { node: Arc::downgrade(node), time: node.system_time().clone() };
    let (store, table, journal) = (Arc::clone(&second.store), Arc::clone(&second.table), Arc::clone(&second.journal));
    let look = Arc::clone(&second.look);
    let reading = second.runtime.spawn(bus::run(store, hearing, table, journal, settings, look));
    second.reads_bus(reading.abort_handle());
    // Not longer than the server may take: without it, the cache starts blind.
    let mut looks = second.settings.op_timeout.as_millis();
    while looks > 0 && second.store.servers().is_up() && !node.may_serve_now() {
        timer::sleep(FIRST_LOOKS).await;
        looks -= 1;
    }
    let store = Arc::clone(&second.store);
    // Asking for the processes forgets those that are long gone: whoever starts does it, or their list would only grow.
    second.runtime.spawn(async move { store.nodes().await.map(drop) });
}

/// A node that hears the bus.
struct Hearing {
    node: Weak<Node>,
    time: Time,
}

impl Hearing {
    fn with(&self, act: impl FnOnce(&Node, &Second)) {
        if let Some(node) = self.node.upgrade()
            && let Some(second) = &node.second
        {
            act(&node, second);
        }
    }
}

impl Apply for Hearing {
    fn is_gone(&self) -> bool {
        self.node.strong_count() == 0
    }

    fn time(&self) -> &Time {
        &self.time
    }

    fn texts(&self, texts: &[String]) {
        self.with(|node, _| node.invalidate_all(texts.iter().map(String::as_str)));
    }

    fn drop_all(&self) {
        self.with(|node, _| node.drop_all());
    }

    fn asks(&self) -> u64 {
        let mut number = 0;
        self.with(|_, second| number = second.asks());
        number
    }

    fn extend(&self, until: Moment, look: u64) {
        self.with(|node, second| {
            // What was read is worth nothing once another server may have the bus.
            let trusted = self.time.now().after(second.store.servers().trusted_for());
            node.extend_right(until.min(trusted));
            second.answered(look);
        });
    }

    fn applied(&self, position: Position, generation: u64) {
        self.with(|_, second| second.set_applied(position, generation));
    }

    fn server_clock(&self, sent: Moment, received: Moment, millis: u64) {
        self.with(|_, second| second.clock.learn(sent, received, millis));
    }

    fn deliver(&self, event: &str, json: &[u8]) {
        self.with(|node, _| node.subscribers.deliver(event, json));
    }

    fn registered(&self, is: bool) {
        self.with(|_, second| second.set_registered(is));
    }

    fn functions(&self) -> Vec<&'static Function> {
        registry::all()
    }

    fn count(&self, heard: Heard) {
        self.with(|_, second| {
            if let Heard::Gap(gap) = heard
                && gap.is_loss()
            {
                second.set_lost();
            }
            second.tally.count(heard);
        });
    }
}

impl Remote for Store {
    type Identity = Identities;

    fn generation(&self) -> watch::Receiver<u64> {
        self.servers().generation()
    }

    async fn identity(&self, known: Option<&Identities>) -> Result<Met<Identities>, Fault> {
        let (identity, are_all) = self.servers().identities(known).await?;
        let is_another = known.is_some_and(|known| identity.lacks_one_of(known));
        Ok(Met { identity, is_another, are_all })
    }

    fn is_single(&self) -> bool {
        self.servers().is_single()
    }

    fn confirmed(&self) -> Option<Instant> {
        self.servers().confirmed()
    }

    fn probe(
        &self,
        applied: Option<Position>,
        from: Option<Position>,
        most: usize,
        right: Duration,
        more: Duration,
    ) -> impl Future<Output = Result<Tail, Fault>> + Send {
        self.slow_probe(applied, from, most, right, more)
    }

    fn listen(&self, last: Position, most: Duration) -> impl Future<Output = Result<(), Fault>> + Send {
        Self::listen(self, last, most)
    }

    fn invalidate(
        &self,
        invalidation: &Invalidation,
        routes: Option<&str>,
    ) -> impl Future<Output = Result<Invalidated, Fault>> + Send {
        Self::invalidate(self, invalidation, routes)
    }

    fn unlink(&self, names: Vec<String>) -> impl Future<Output = Result<(), Fault>> + Send {
        Self::unlink(self, names)
    }

    fn write_nothing(&self) -> impl Future<Output = Result<(), Fault>> + Send {
        Self::write_nothing(self)
    }

    fn needs(&self, unlink: &[String], is_told: bool) -> BTreeSet<Needed> {
        Self::needs(self, unlink, is_told)
    }

    fn servers(&self) -> BTreeSet<Needed> {
        Self::all_needed(self)
    }

    fn lacking(
        &self,
        needed: &BTreeSet<Needed>,
        replicas: bool,
    ) -> impl Future<Output = BTreeMap<Needed, Fault>> + Send {
        Self::lacking(self, needed, replicas)
    }

    fn discard(&self) -> impl Future<Output = Result<(), Fault>> + Send {
        Self::discard(self)
    }

    fn routes(&self) -> impl Future<Output = Result<(Option<String>, Vec<(String, String)>), Fault>> + Send {
        Self::routes(self)
    }

    fn register(&self, fields: &[(String, String)]) -> impl Future<Output = Result<String, Fault>> + Send {
        Self::register(self, fields)
    }

    fn rounds(&self) -> usize {
        Self::rounds(self)
    }

    fn sweep(&self, prefixes: &[String], is_first: bool) -> impl Future<Output = Result<u64, Fault>> + Send {
        Self::sweep(self, prefixes, is_first)
    }
}
