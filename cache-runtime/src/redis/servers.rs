//! The servers behind one URL, whichever way they stand: one, one behind sentinels, or a cluster.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};

use crate::error::Error;
use crate::fault::{Fault, Refusal};
use crate::redis::cluster::{self, Cluster};
use crate::redis::line::{Line, Work, within};
use crate::redis::scripts::Script;
use crate::redis::single::Single;
use crate::redis::target::{Kind, Target};

/// Wake-ups that wait for their listeners; who is slower polls.
const MOST_PUSHES: usize = 1_024;

/// How long the first connection is waited for.
const FIRST: Duration = Duration::from_secs(2);

/// A slot of a cluster; where there is no cluster all keys are in slot 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HashSlot(pub(crate) u16);

/// How the servers are used.
#[derive(Clone, Default)]
pub(crate) struct ServerSettings {
    pub(crate) url: String,
    /// Connections that carry reads and writes, to each server.
    pub(crate) pool_size: usize,
    pub(crate) op_timeout: Duration,
    /// What connections are called, in front of what they are for.
    pub(crate) client_name: String,
    /// The key of the bus: its server has connections of their own.
    pub(crate) bus: String,
    /// Whether a server must answer at first.
    pub(crate) require: bool,
}

/// A message of a channel.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) channel: String,
    pub(crate) payload: Vec<u8>,
}

/// Which server it is, since which start, and in which role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    run: String,
    role: String,
}

/// The servers behind one URL.
pub(crate) struct Servers {
    routing: Routing,
    bus: Line,
    ear: Line,
    /// Whether another server may take over.
    has_heirs: bool,
    op_timeout: Duration,
    generation: watch::Sender<u64>,
    pushes: broadcast::Sender<Push>,
}

/// Which server has which slot.
enum Routing {
    One(Line),
    Cluster(Arc<Cluster>),
}

impl Servers {
    /// Connects, on the current runtime, which then runs the tasks that keep the connections.
    ///
    /// # Errors
    ///
    /// For a URL that means nothing, refused credentials, and servers that are away although they are required.
    pub(crate) async fn open(settings: ServerSettings) -> Result<Self, Error> {
        let target = Target::parse(&settings.url)?;
        let (runtime, generation) = (Handle::current(), watch::Sender::new(0));
        let pushes = broadcast::channel(MOST_PUSHES).0;
        let work = |role: &str, connections| Work {
            name: format!("{}:{role}", settings.client_name),
            connections,
            op_timeout: settings.op_timeout,
            generation: generation.clone(),
            pushes: pushes.clone(),
        };
        let pool = work("pool", settings.pool_size.max(1));
        let has_heirs = target.kind != Kind::Single;
        let (routing, bus, ear) = match target.kind {
            Kind::Single | Kind::Sentinel(_) => {
                let dial = Arc::new(Single::new(target));
                let line = |work| Line::start(work, Arc::clone(&dial), &runtime);
                (Routing::One(line(pool)), line(work("bus", 1)), line(work("ear", 1)))
            }
            Kind::Cluster => {
                let cluster = Cluster::start(target, pool, &runtime);
                let dial = Arc::new(cluster.dial_owner(cluster::slot_of(&settings.bus)));
                let line = |work| Line::start(work, Arc::clone(&dial), &runtime);
                let (bus, ear) = (line(work("bus", 1)), line(work("ear", 1)));
                (Routing::Cluster(cluster), bus, ear)
            }
        };
        let servers = Self { routing, bus, ear, has_heirs, op_timeout: settings.op_timeout, generation, pushes };
        servers.first(settings.require).await?;
        Ok(servers)
    }

    /// The first connection, if there is one soon.
    async fn first(&self, require: bool) -> Result<(), Error> {
        match within(FIRST, self.bus.settled()).await {
            Some(Ok(())) => {
                if let Routing::One(pool) = &self.routing {
                    // It is on its way too.
                    let _late = within(self.op_timeout, pool.settled()).await;
                }
                Ok(())
            }
            Some(Err(fault)) => Err(Error::Redis { problem: fault.to_string() }),
            None if require => Err(Error::Redis { problem: "the server cannot be reached, and it is required".to_owned() }),
            None => {
                tracing::warn!("the second tier cannot be reached: the cache starts without it");
                Ok(())
            }
        }
    }

    /// The slot of a key.
    pub(crate) fn hash_slot(&self, key: &str) -> HashSlot {
        match &self.routing {
            Routing::One(_) => HashSlot(0),
            Routing::Cluster(_) => cluster::slot_of(key),
        }
    }

    /// Whether one server has all keys.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.routing, Routing::One(_))
    }

    pub(crate) async fn command(&self, slot: HashSlot, command: &Cmd) -> Result<Value, Fault> {
        match &self.routing {
            Routing::One(line) => self.seen(line, line.command(command, self.op_timeout).await),
            Routing::Cluster(cluster) => cluster.command(slot, command).await,
        }
    }

    /// One flush, and a reply for each command.
    pub(crate) async fn pipeline(
        &self,
        slot: HashSlot,
        pipeline: &Pipeline,
    ) -> Result<Vec<Result<Value, Fault>>, Fault> {
        match &self.routing {
            Routing::One(line) => line.pipeline(pipeline).await,
            Routing::Cluster(cluster) => cluster.pipeline(slot, pipeline).await,
        }
    }

    pub(crate) async fn script(
        &self,
        slot: HashSlot,
        script: &Script,
        keys: &[&str],
        args: &[&[u8]],
    ) -> Result<Value, Fault> {
        match self.command(slot, &by_digest(script, keys, args)).await {
            Err(fault) if is_unknown_script(&fault) => self.command(slot, &by_text(script, keys, args)).await,
            reply => reply,
        }
    }

    /// A script over the connection of the bus, to the server that has it.
    pub(crate) async fn bus_script(&self, script: &Script, keys: &[&str], args: &[&[u8]]) -> Result<Value, Fault> {
        match self.bus_command(&by_digest(script, keys, args)).await {
            Err(fault) if is_unknown_script(&fault) => self.bus_command(&by_text(script, keys, args)).await,
            reply => reply,
        }
    }

    pub(crate) async fn bus_command(&self, command: &Cmd) -> Result<Value, Fault> {
        self.seen(&self.bus, self.bus.command(command, self.op_timeout).await)
    }

    /// A command that may take `most`, over a connection on which nothing else waits.
    pub(crate) async fn ear_command(&self, command: &Cmd, most: Duration) -> Result<Value, Fault> {
        self.seen(&self.ear, self.ear.command(command, most.saturating_add(self.op_timeout)).await)
    }

    /// Subscribes to a channel, now and after every reconnect.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), Fault> {
        self.bus.subscribe(channel).await
    }

    pub(crate) fn pushes(&self) -> broadcast::Receiver<Push> {
        self.pushes.subscribe()
    }

    /// Changes with every connection to any server, before anything is sent over it.
    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Which server has the bus.
    pub(crate) async fn identity(&self) -> Result<Identity, Fault> {
        let mut command = Cmd::with_capacity(3, 24);
        command.arg("INFO").arg("server").arg("replication");
        let info = match self.bus_command(&command).await? {
            Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Value::VerbatimString { text, .. } | Value::SimpleString(text) => text,
            other => return Err(Fault::Nonsense(format!("{other:?} to INFO"))),
        };
        let field = |name| info.lines().find_map(|line| line.strip_prefix(name)).map(|text| text.trim().to_owned());
        match (field("run_id:"), field("role:")) {
            (Some(run), Some(role)) => Ok(Identity { run, role }),
            _ => Err(Fault::Nonsense("INFO without run_id and role".to_owned())),
        }
    }

    /// Whether reads and writes are answered.
    pub(crate) fn is_up(&self) -> bool {
        match &self.routing {
            Routing::One(line) => line.is_up(),
            Routing::Cluster(cluster) => cluster.is_up(),
        }
    }

    /// A server that loads is away; one that has become a replica is looked for anew, where another may have taken over.
    fn seen(&self, line: &Line, reply: Result<Value, Fault>) -> Result<Value, Fault> {
        match &reply {
            Err(Fault::Refused(Refusal::NotReady, problem)) if !problem.starts_with("BUSY") => line.renew(problem),
            Err(Fault::Refused(Refusal::ReadOnly, problem)) if self.has_heirs => line.renew(problem),
            _ => {}
        }
        reply
    }

    /// Every primary, for what concerns all of them.
    pub(crate) fn primaries(&self) -> Vec<HashSlot> {
        match &self.routing {
            Routing::One(_) => vec![HashSlot(0)],
            Routing::Cluster(cluster) => cluster.primaries(),
        }
    }
}

fn is_unknown_script(fault: &Fault) -> bool {
    matches!(fault, Fault::Refused(_, answer) if answer.starts_with("NOSCRIPT"))
}

fn by_digest(script: &Script, keys: &[&str], args: &[&[u8]]) -> Cmd {
    call("EVALSHA", script.digest(), keys, args)
}

fn by_text(script: &Script, keys: &[&str], args: &[&[u8]]) -> Cmd {
    call("EVAL", script.code, keys, args)
}

fn call(name: &str, script: &str, keys: &[&str], args: &[&[u8]]) -> Cmd {
    let bytes = keys.iter().map(|key| key.len()).chain(args.iter().map(|arg| arg.len())).sum::<usize>();
    let mut command = Cmd::with_capacity(3 + keys.len() + args.len(), name.len() + script.len() + bytes + 8);
    command.arg(name).arg(script).arg(keys.len()).arg(keys).arg(args);
    command
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Servers").field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}
