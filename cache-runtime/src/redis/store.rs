//! The protocol's operations over Redis, for a single server (behind Sentinel or not) and for a cluster alike: commands go
//! to the slots of their keys, and where there are no slots all keys share one.

mod bus;
mod entries;
mod flush;
mod invalidate;
mod leases;
mod marks;
mod needs;
mod read;
mod short;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::Value;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::error::Error;
use crate::fault::Fault;
use crate::names::Names;
use crate::redis::batch::{Asked, Batches};
use crate::redis::reply::Found;
use crate::redis::scripts::Script;
use crate::redis::wake::{Wake, Wakes};
use crate::redis::{HashSlot, ServerSettings, Servers, reply};
use crate::store::Seen;
use leases::{Ends, Takes};
use marks::Marks;
use read::Wire;
use short::Short;
use sweep::Hindering;

/// How the store is used.
#[derive(Clone)]
pub(crate) struct StoreSettings {
    pub(crate) servers: ServerSettings,
    pub(crate) app: String,
    /// The id of this process, hexadecimal.
    pub(crate) node: String,
    /// How many messages stay on the bus, about.
    pub(crate) bus_length: usize,
    /// How long a lease lasts that nobody renews.
    pub(crate) lease: Duration,
    /// How many replicas must have an invalidation before it counts.
    pub(crate) min_replicas: usize,
    /// How often an invalidation of several slots happens.
    pub(crate) most_rounds: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            servers: ServerSettings::default(),
            app: String::new(),
            node: String::new(),
            bus_length: 100_000,
            lease: Duration::from_secs(2),
            min_replicas: 0,
            most_rounds: 1,
        }
    }
}

/// The second tier.
pub(crate) struct Store {
    servers: Arc<Servers>,
    names: Names,
    reads: Batches<Wire>,
    takes: Batches<Takes>,
    ends: Batches<Ends>,
    wakes: Arc<Wakes>,
    node: String,
    bus_length: usize,
    lease: Duration,
    min_replicas: usize,
    short: Short,
    marks: Marks,
    hindering: Hindering,
    most_rounds: usize,
    op_timeout: Duration,
    runtime: Handle,
    listening: AbortHandle,
}

/// A read under way.
pub(crate) type Reading<'a> = Asked<'a, Wire, Open>;

/// What makes something of replies.
type Open = fn(&[Found]) -> Result<Seen, Fault>;

impl Store {
    /// Connects. The current runtime runs the store's tasks.
    pub(crate) async fn open(settings: StoreSettings) -> Result<Self, Error> {
        let (names, op_timeout) = (Names::new(&settings.app), settings.servers.op_timeout);
        let servers = ServerSettings { bus: names.bus.clone(), ..settings.servers };
        let servers = Arc::new(Servers::open(servers).await?);
        let runtime = Handle::current();
        let wakes = Arc::new(Wakes::new());
        let listening = runtime.spawn(Arc::clone(&wakes).listen(servers.pushes())).abort_handle();
        Ok(Self {
            reads: Batches::new(Wire::new(Arc::clone(&servers)), runtime.clone()),
            takes: Batches::new(Takes::new(Arc::clone(&servers)), runtime.clone()),
            ends: Batches::new(Ends::new(Arc::clone(&servers), op_timeout), runtime.clone()),
            node: settings.node,
            bus_length: settings.bus_length,
            lease: settings.lease,
            min_replicas: settings.min_replicas,
            short: Short::default(),
            marks: Marks::new(&names.mark),
            names,
            hindering: Hindering::default(),
            most_rounds: settings.most_rounds,
            servers,
            wakes,
            op_timeout,
            runtime,
            listening,
        })
    }

    pub(crate) fn servers(&self) -> &Servers {
        &self.servers
    }

    /// An entry and its group stamps, in one flush with every other read that waits at this moment.
    pub(crate) fn read<'a>(&'a self, entry: &'a str, stamps: &'a [String]) -> Reading<'a> {
        self.reads.ask(read::Names { entry, stamps }, seen as Open)
    }

    /// Waits for the next wake-up of this entry, from this call on. It may never come: poll too.
    pub(crate) fn waker(&self, entry: &str) -> Wake {
        let wake = self.wakes.register(entry);
        if let Some(stripe) = self.wakes.subscribes(entry) {
            let (servers, wakes) = (Arc::clone(&self.servers), Arc::clone(&self.wakes));
            let channel = self.names.wake(stripe).to_owned();
            self.runtime.spawn(async move {
                if let Err(fault) = servers.subscribe(&channel).await {
                    tracing::debug!(%fault, channel, "wake-ups are not heard, those who wait poll");
                    wakes.unsubscribed(stripe);
                }
            });
        }
        wake
    }

    async fn script(&self, script: &Script, entry: &str, args: &[&[u8]]) -> Result<Value, Fault> {
        self.servers.script(self.slot(entry), script, &[entry], args).await
    }

    fn slot(&self, name: &str) -> HashSlot {
        self.servers.hash_slot(name)
    }
}

/// What the replies tell of an entry and its stamps; a value is moved, not copied.
fn seen(replies: &[Found]) -> Result<Seen, Fault> {
    let (entry, stamps) = replies.split_first().expect("one reply for the entry at least");
    let slot = reply::slot(entry.clone()?);
    let stamp = |found: &Option<Bytes>| found.as_deref().and_then(reply::stamp);
    let stamps = stamps.iter().map(|found| found.as_ref().map(stamp).map_err(Fault::clone));
    Ok(Seen { slot, stamps: stamps.collect::<Result<_, _>>()? })
}

impl Drop for Store {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("bus", &self.names.bus).field("node", &self.node).finish_non_exhaustive()
    }
}

/// A lifetime as the server takes it: whole milliseconds, one at least, and not past the end of its calendar.
fn millis(life: Duration) -> u64 {
    const MOST: u128 = 1 << 45;
    u64::try_from(life.as_millis().clamp(1, MOST)).expect("it is clamped")
}

#[cfg(test)]
mod tests;
