//! The servers behind one URL: one, or the primary that sentinels name, or the primaries of a cluster.
//!
//! Commands go to the server that has their slot, over a pool of connections. The bus has a connection of its own, so
//! that nothing waits behind large replies, and one more for the command that blocks until something is on it. Each
//! connection is supervised for itself; while there is none, operations fail at once.

mod identity;
mod redirect;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::AbortHandle;

use crate::error::Error;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::redis::deadlines::Deadlines;
use crate::redis::hash_slot::HashSlot;
use crate::redis::kin::Kins;
use crate::redis::link::Events;
use crate::redis::looks::Looks;
use crate::redis::mget::Mget;
use crate::redis::outage::Outages;
use crate::redis::packed::Packed;
use crate::redis::pool::{Miss, Pool};
use crate::redis::reply::{self, Found};
use crate::redis::scout::{ClusterScout, Scout, SentinelScout};
use crate::redis::scripts::Script;
use crate::redis::session::{Access, NoSession, Push, Service};
use crate::redis::swap::Swapped;
use crate::redis::target::{Layout, Login, Target};
use crate::redis::tls::Tls;
use crate::redis::topology::{Plant, Primaries, Standing, Topology};
use crate::sync::lock;

pub(crate) use self::identity::Identities;

/// Messages of channels that may wait for their readers.
const PUSHES: usize = 1_024;

/// The least time that getting a connection ready may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// How the servers are used.
#[derive(Clone, Default)]
pub(crate) struct ServerSettings {
    pub(crate) url: String,
    /// Connections to each server, beside those of the bus.
    pub(crate) pool_size: usize,
    /// The most that an operation may take.
    pub(crate) op_timeout: Duration,
    /// How long what was named as the primary counts, where sentinels name it.
    pub(crate) max_staleness: Duration,
    /// The first part of the connections' names.
    pub(crate) client_name: String,
    /// The key of the bus: its server has connections of their own.
    pub(crate) bus: String,
    /// Servers that cannot be reached are an error.
    pub(crate) require: bool,
}

/// The servers. Their connections end with it.
pub(crate) struct Servers {
    topology: Arc<Topology>,
    deadlines: Arc<Deadlines>,
    is_cluster: bool,
    tasks: Vec<AbortHandle>,
}

impl Servers {
    /// Connects, on the current runtime, and waits until every first try is over.
    ///
    /// # Errors
    /// A URL that means nothing; credentials that the servers refuse; servers that are away, if they are required.
    pub(crate) async fn open(settings: ServerSettings) -> Result<Self, Error> {
        let url_error = |problem| Error::Setting { name: "redis", problem };
        let target: Target = settings.url.parse().map_err(url_error)?;
        let tls = target.trust.as_ref().map(Tls::new).transpose().map_err(url_error)?;
        let plant = plant(&settings, &target, tls);
        let (access, events) = (Arc::clone(&plant.access), plant.events.clone());
        let deadlines = Arc::clone(&plant.deadlines);
        let ticking = access.runtime.spawn(Arc::clone(&deadlines).tick()).abort_handle();
        let topology = Arc::new(Topology::new(plant));
        let is_cluster = matches!(target.layout, Layout::Cluster(_));
        let named = target.layout.to_string();
        let mut servers = Self { topology, deadlines, is_cluster, tasks: vec![ticking] };
        let found = match target.layout {
            Layout::Single(server) => {
                servers.topology.adopt(Primaries::one(server));
                Ok(())
            }
            Layout::Cluster(seeds) => servers.explore(Scout::Cluster(ClusterScout::new(seeds))).await,
            Layout::Sentinel { sentinels, service, login } => {
                let looks = access.looks.clone().expect("behind sentinels, they are looked at");
                let access = Arc::new(sentinel_access(&access, login));
                let scout = SentinelScout::start(&sentinels, &service, looks, access, &events, &servers.deadlines);
                servers.explore(Scout::Sentinel(scout)).await
            }
        };
        let outcome = match found {
            Ok(()) => servers.topology.first_tries().await,
            Err(no) => Err(no),
        };
        match outcome {
            Err(NoSession::Refused(problem)) => Err(Error::Redis { problem: format!("{named}: {problem}") }),
            Err(NoSession::Away(problem)) if settings.require => {
                Err(Error::Redis { problem: format!("{named}: {problem}") })
            }
            Ok(()) | Err(NoSession::Away(_)) => Ok(servers),
        }
    }

    /// Looks where the servers are, now and from now on.
    async fn explore(&mut self, mut scout: Scout) -> Result<(), NoSession> {
        let found = scout.look(&self.topology).await.map(|primaries| self.topology.adopt(primaries));
        let runtime = &self.topology.plant().access.runtime;
        if !matches!(found, Err(NoSession::Refused(_))) {
            self.tasks.push(runtime.spawn(scout.run(Arc::clone(&self.topology))).abort_handle());
        }
        found
    }

    /// The slot of a key. Without a cluster all keys share one.
    pub(crate) fn hash_slot(&self, key: &str) -> HashSlot {
        if self.is_cluster { HashSlot::of(key) } else { HashSlot::default() }
    }

    /// # Cancel safety
    /// Dropped, it may have happened or not. The same holds for all that follow.
    pub(crate) async fn command(&self, slot: HashSlot, command: &Cmd) -> Result<Value, Fault> {
        let pool = self.topology.pool(slot).ok_or(Fault::Away)?;
        match pool.command(command).await {
            Ok(value) => Ok(value),
            Err(miss) => Box::pin(self.follow(miss, command)).await,
        }
    }

    /// The strings that have these names, all of one slot.
    pub(crate) async fn strings(&self, slot: HashSlot, mut mget: Mget) -> Result<Vec<Found>, Fault> {
        let pool = self.topology.pool(slot).ok_or(Fault::Away)?;
        let found = match pool.strings(&mut mget).await {
            Ok(found) => found,
            Err(miss) => {
                let reply = Box::pin(self.follow(miss, &mget.to_command())).await?;
                reply::array(reply, "MGET")?.into_iter().map(reply::string).collect::<Vec<_>>()
            }
        };
        if found.len() == mget.count() {
            return Ok(found);
        }
        Err(Fault::Nonsense(format!("{} replies to MGET of {} names", found.len(), mget.count())))
    }

    /// All in one flush, over one connection. A result for each command.
    pub(crate) async fn pipeline(
        &self,
        slot: HashSlot,
        pipeline: &Pipeline,
    ) -> Result<Vec<Result<Value, Fault>>, Fault> {
        let pool = self.topology.pool(slot).ok_or(Fault::Away)?;
        let replies = pool.pipeline(pipeline).await?;
        Ok(Box::pin(self.follow_all(replies, pipeline)).await)
    }

    /// The same, of commands that are packed already.
    pub(crate) async fn packed(&self, slot: HashSlot, packed: &Packed) -> Result<Vec<Result<Value, Fault>>, Fault> {
        let pool = self.topology.pool(slot).ok_or(Fault::Away)?;
        let replies = pool.packed(packed).await?;
        Ok(self.follow_packed(replies, packed).await)
    }

    /// Whether the server of this slot may have swaps.
    pub(crate) fn may_have_swaps(&self, slot: HashSlot) -> bool {
        self.topology.pool(slot).is_some_and(|pool| pool.may_have_swaps())
    }

    /// Swaps of keys that one server has, in one flush: what became of each. Nothing, and nothing sent, if it has none.
    pub(crate) async fn swaps(
        &self,
        slot: HashSlot,
        pack: impl FnOnce() -> Packed,
    ) -> Result<Option<Vec<Swapped>>, Fault> {
        let pool = self.topology.pool(slot).ok_or(Fault::Away)?;
        let Some((packed, replies)) = pool.swaps(pack).await? else { return Ok(None) };
        Ok(Some(self.follow_packed(replies, &packed).await.into_iter().map(Swapped::from).collect()))
    }

    async fn follow_packed(&self, replies: Vec<Result<Value, Miss>>, packed: &Packed) -> Vec<Result<Value, Fault>> {
        if replies.iter().any(|reply| matches!(reply, Err(Miss::Elsewhere(_)))) {
            let pipeline = packed.to_pipeline();
            return Box::pin(self.follow_all(replies, &pipeline)).await;
        }
        replies.into_iter().map(|reply| reply.map_err(Fault::from)).collect()
    }

    /// By its digest; a server that does not know it is given all of it.
    pub(crate) async fn script(
        &self,
        slot: HashSlot,
        script: &Script,
        keys: &[&str],
        args: &[&[u8]],
    ) -> Result<Value, Fault> {
        match self.packed_script(slot, ["EVALSHA", script.digest()], keys, args).await {
            Err(fault) if is_unknown_script(&fault) => {
                self.packed_script(slot, ["EVAL", script.code], keys, args).await
            }
            reply => reply,
        }
    }

    async fn packed_script(
        &self,
        slot: HashSlot,
        [name, script]: [&str; 2],
        keys: &[&str],
        args: &[&[u8]],
    ) -> Result<Value, Fault> {
        let mut call = Packed::default();
        let count = keys.len().to_string();
        let head = [name, script, &count].into_iter().chain(keys.iter().copied()).map(str::as_bytes);
        call.add(head.chain(args.iter().copied()).collect::<Vec<_>>());
        let reply = self.packed(slot, &call).await?.pop();
        reply.unwrap_or_else(|| Err(Fault::Nonsense("no reply to a script".to_owned())))
    }

    /// Over the connection of the bus.
    pub(crate) async fn bus_command(&self, command: &Cmd) -> Result<Value, Fault> {
        Ok(self.bus()?.command(command).await?)
    }

    /// Over the connection of the bus.
    pub(crate) async fn bus_script(&self, script: &Script, keys: &[&str], args: &[&[u8]]) -> Result<Value, Fault> {
        match self.bus_command(&call("EVALSHA", script.digest(), keys, args)).await {
            Err(fault) if is_unknown_script(&fault) => self.bus_command(&call("EVAL", script.code, keys, args)).await,
            reply => reply,
        }
    }

    /// One that may take `more` than other operations. It is seldom asked for: all of it is sent.
    pub(crate) async fn slow_bus_script(
        &self,
        script: &Script,
        keys: &[&str],
        args: &[&[u8]],
        more: Duration,
    ) -> Result<Value, Fault> {
        Ok(self.bus()?.slow_command(&call("EVAL", script.code, keys, args), more).await?)
    }

    /// A command that blocks for `most` at most, over a connection that nothing else uses.
    pub(crate) async fn ear_command(&self, command: &Cmd, most: Duration) -> Result<Value, Fault> {
        Ok(self.topology.ear().ok_or(Fault::Away)?.slow_command(command, most).await?)
    }

    /// Whatever comes over this channel is pushed, after a reconnect too. What comes in between is lost.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), Fault> {
        lock(&self.topology.plant().access.channels).insert(channel.to_owned());
        self.bus()?.subscribe(channel).await
    }

    pub(crate) fn pushes(&self) -> broadcast::Receiver<Push> {
        self.topology.plant().access.pushes.subscribe()
    }

    /// Rises with every connection and every change of the servers, before anything is sent there.
    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.topology.plant().events.generation.subscribe()
    }

    /// Who the primaries are, and which run of each. A connection that is made again to the same run changes nothing.
    pub(crate) fn standing(&self) -> Standing {
        self.topology.standing()
    }

    /// Whether every server can be reached.
    pub(crate) fn is_up(&self) -> bool {
        self.topology.is_up()
    }

    /// For how long, from now on, the servers may be taken for primaries.
    pub(crate) fn trusted_for(&self) -> Duration {
        self.topology.trusted_for()
    }

    /// When it was last asked whether they are primaries; nothing where nobody has to.
    pub(crate) fn confirmed(&self) -> Option<Instant> {
        self.topology.confirmed()
    }

    /// Whether one server has all keys.
    pub(crate) fn is_single(&self) -> bool {
        !self.is_cluster
    }

    /// A slot of each primary, for what concerns all of them.
    pub(crate) fn primaries(&self) -> Vec<HashSlot> {
        self.topology.one_slot_each()
    }

    /// The place of the server that has this slot, among all; nothing where none has it.
    pub(crate) fn server_of(&self, slot: HashSlot) -> Option<usize> {
        self.topology.server_of(slot)
    }

    /// Whether anything can be asked of the server at this place.
    pub(crate) fn reaches(&self, place: Option<usize>) -> bool {
        self.topology.pool_of(place).is_some_and(|pool| pool.is_up())
    }

    /// Whether anything can be asked over the connection of the bus.
    pub(crate) fn reaches_bus(&self) -> bool {
        self.topology.bus().is_some_and(|pool| pool.is_up())
    }

    fn bus(&self) -> Result<Arc<Pool>, Fault> {
        self.topology.bus().ok_or(Fault::Away)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Servers").field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

fn plant(settings: &ServerSettings, target: &Target, tls: Option<Tls>) -> Plant {
    let (pushes, _) = broadcast::channel(PUSHES);
    let is_cluster = matches!(target.layout, Layout::Cluster(_));
    let trouble = Arc::new(Notify::new());
    let looks = matches!(target.layout, Layout::Sentinel { .. })
        .then(|| Arc::new(Looks::new(settings.max_staleness, Arc::clone(&trouble))));
    let access = Access {
        login: target.login.clone(),
        database: target.database,
        tls,
        runtime: Handle::current(),
        name: settings.client_name.clone(),
        patience: PATIENCE.max(settings.op_timeout.saturating_mul(10)),
        op_timeout: settings.op_timeout,
        service: if is_cluster { Service::ClusterNode } else { Service::Server },
        looks,
        pushes,
        channels: Mutex::new(BTreeSet::new()),
    };
    let events =
        Events { generation: watch::Sender::new(0), trouble, outages: Outages::default(), kins: Kins::default() };
    Plant {
        access: Arc::new(access),
        events,
        deadlines: Arc::new(Deadlines::new(settings.op_timeout)),
        pool_size: settings.pool_size,
        bus_slot: if is_cluster { HashSlot::of(&settings.bus) } else { HashSlot::default() },
    }
}

/// Sentinels have credentials of their own, and nothing is subscribed to there.
fn sentinel_access(access: &Access, login: Login) -> Access {
    Access {
        login,
        database: 0,
        tls: access.tls.clone(),
        runtime: access.runtime.clone(),
        name: access.name.clone(),
        patience: access.patience,
        op_timeout: access.op_timeout,
        service: Service::Sentinel,
        looks: None,
        pushes: access.pushes.clone(),
        channels: Mutex::new(BTreeSet::new()),
    }
}

fn call(name: &str, script: &str, keys: &[&str], args: &[&[u8]]) -> Cmd {
    let bytes = keys.iter().map(|key| key.len()).chain(args.iter().map(|arg| arg.len())).sum::<usize>();
    let mut call = Cmd::with_capacity(3 + keys.len() + args.len(), name.len() + script.len() + bytes + 8);
    call.arg(name).arg(script).arg(keys.len()).arg(keys).arg(args);
    call
}

fn is_unknown_script(fault: &Fault) -> bool {
    matches!(fault, Fault::Refused(_, answer) if answer.starts_with("NOSCRIPT"))
}

#[cfg(test)]
mod tests;
