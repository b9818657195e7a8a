//! A connection that is ready to be used: dialled, entered, tried out and prepared.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, SendError};
use redis::{
    AsyncConnectionConfig, Pipeline, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError, Value,
};
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::fault::Refusal;
use crate::redis::bounded::Bounded;
use crate::redis::connection::Connection;
use crate::redis::dial::{Stream, dial};
use crate::redis::looks::Looks;
use crate::redis::pipe::{Loan, Pipe};
use crate::redis::refusal::{Answer, refusal};
use crate::redis::scripts;
use crate::redis::swap;
use crate::redis::target::{Address, Login};
use crate::redis::tls::Tls;
use crate::store::LONGEST_MESSAGE;
use crate::sync::lock;
use crate::timer::in_time;

/// Commands that may wait to be written before callers wait too.
const QUEUE: usize = 1_024;

/// Bytes of what the ear is told. It only wants to know that there is something: a longer message breaks its connection,
/// and is left to those who read with care.
const LONGEST_HEARD: usize = 2 * LONGEST_MESSAGE;

/// What came over a channel.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) payload: Vec<u8>,
}

/// How servers are entered, and what is done there first.
pub(crate) struct Access {
    pub(crate) login: Login,
    pub(crate) database: i64,
    pub(crate) tls: Option<Tls>,
    /// The tasks of connections run here.
    pub(crate) runtime: Handle,
    /// The first part of the connections' names.
    pub(crate) name: String,
    /// The most that getting ready may take.
    pub(crate) patience: Duration,
    /// The most that an operation may take.
    pub(crate) op_timeout: Duration,
    pub(crate) service: Service,
    /// Of the sentinels, where they say which server this is.
    pub(crate) looks: Option<Arc<Looks>>,
    pub(crate) pushes: broadcast::Sender<Push>,
    /// The channels that the bus' connection subscribes to.
    pub(crate) channels: Mutex<BTreeSet<String>>,
}

/// What kind of server there is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Server,
    ClusterNode,
    Sentinel,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// One of the pool.
    Pool,
    /// The bus and whatever must not wait behind large replies.
    Bus,
    /// Waits for what is new on the bus.
    Ear,
    /// Asks where servers are.
    Scout,
}

/// A connection and the task that moves its bytes, which ends with it.
pub(crate) struct Session<C = Connection> {
    pub(crate) connection: C,
    pub(crate) driver: Driver,
    pub(crate) told: Told,
}

/// What a server tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Its run, if it tells.
    pub(crate) run: Option<String>,
    /// By its version it has [swaps](crate::redis::swap).
    pub(crate) has_swaps: bool,
}

/// Ends as soon as the connection is broken. Dropped, it breaks it.
#[derive(Debug)]
pub(crate) struct Driver(pub(crate) JoinHandle<()>);

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoSession {
    /// The credentials are wrong.
    Refused(String),
    /// Anything else: it may go away by itself.
    Away(String),
}

impl Access {
    /// A connection that was tried out.
    pub(crate) async fn open(&self, address: &Address, purpose: Purpose) -> Result<Session, NoSession> {
        let session = in_time(self.patience, async {
            let stream = dial(address, self.tls.as_ref()).await.map_err(|error| NoSession::Away(error.to_string()))?;
            if purpose != Purpose::Pool {
                let Session { connection, driver, told } = self.enter(stream, address, purpose).await?;
                return Ok(Session { connection: Connection::Client(connection), driver, told });
            }
            let (loan, lent) = Loan::of(stream);
            let told = self.enter(Box::new(lent), address, purpose).await?.told;
            let stream = loan.take().ok_or_else(|| NoSession::Away("its stream is gone".to_owned()))?;
            let (pipe, driver) = Pipe::new(stream);
            Ok(Session { connection: Connection::Pipe(pipe), driver: Driver(self.runtime.spawn(driver)), told })
        });
        session.await.unwrap_or_else(|| Err(NoSession::Away(format!("no answer within {:?}", self.patience))))
    }

    /// The same, where there was one before: its server may have lost its office meanwhile, and not know.
    pub(crate) async fn open_again(&self, address: &Address, purpose: Purpose) -> Result<Session, NoSession> {
        let session = self.open(address, purpose).await?;
        let Some(looks) = &self.looks else { return Ok(session) };
        let confirmed = in_time(self.patience, looks.confirm(address)).await;
        let silent = || Err(NoSession::Away(format!("the sentinels did not confirm it within {:?}", self.patience)));
        confirmed.unwrap_or_else(silent).map(|()| session)
    }

    async fn enter(
        &self,
        stream: Box<dyn Stream>,
        address: &Address,
        purpose: Purpose,
    ) -> Result<Session<MultiplexedConnection>, NoSession> {
        let stream: Box<dyn Stream> = match purpose {
            Purpose::Ear => Box::new(Bounded::new(stream, LONGEST_HEARD)),
            Purpose::Pool | Purpose::Bus | Purpose::Scout => stream,
        };
        let mut config = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(QUEUE);
        if purpose == Purpose::Bus {
            let pushes = self.pushes.clone();
            config = config.set_push_sender(move |info| {
                hear(&pushes, info);
                Ok::<(), SendError>(())
            });
        }
        let (connection, driver) = MultiplexedConnection::new_with_config(&self.info(), stream, config).await?;
        let driver = Driver(self.runtime.spawn(driver));
        let mut session = Session { connection, driver, told: Told::default() };
        session.told = self.prepare(&mut session.connection, address, purpose).await?;
        self.try_out(&mut session.connection).await?;
        Ok(session)
    }

    fn info(&self) -> RedisConnectionInfo {
        let mut info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(self.database);
        if let Some(user) = &self.login.user {
            info = info.set_username(user);
        }
        if let Some(password) = &self.login.password {
            info = info.set_password(password);
        }
        if self.service == Service::Sentinel { info.set_skip_set_lib_name() } else { info }
    }

    async fn prepare(
        &self,
        connection: &mut MultiplexedConnection,
        address: &Address,
        purpose: Purpose,
    ) -> Result<Told, NoSession> {
        let checks = self.checks(purpose);
        let replies = connection.send_packed_commands(&checks, 0, checks.len()).await?;
        let [ping, role, cluster, _, others @ ..] = replies.as_slice() else {
            return Err(NoSession::Away("fewer replies than commands".to_owned()));
        };
        answered(ping, address)?;
        match self.service {
            // Any node knows where the others are.
            Service::ClusterNode if purpose == Purpose::Scout => {}
            Service::ClusterNode => {
                is_primary(role)?;
                is_cluster_ready(cluster, address)?;
            }
            Service::Server => {
                is_primary(role)?;
                is_no_cluster(cluster)?;
            }
            Service::Sentinel => {}
        }
        let channels = lock(&self.channels).clone();
        if purpose == Purpose::Bus && !channels.is_empty() {
            connection.subscribe(channels).await?;
        }
        Ok(others.first().map(told).unwrap_or_default())
    }

    /// A server that takes longer than an operation may would only cost its callers that time.
    async fn try_out(&self, connection: &mut MultiplexedConnection) -> Result<(), NoSession> {
        match in_time(self.op_timeout, connection.send_packed_command(&redis::cmd("PING"))).await {
            Some(reply) => Ok(reply.map(drop)?),
            None => Err(NoSession::Away(format!("it takes longer than {:?} to answer", self.op_timeout))),
        }
    }

    /// The same questions to all, so that each reply has its place; not all replies matter everywhere.
    fn checks(&self, purpose: Purpose) -> Pipeline {
        let mut checks = Pipeline::with_capacity(5 + scripts::ALL.len());
        checks.cmd("PING").cmd("ROLE").cmd("CLUSTER").arg("INFO");
        checks.cmd("CLIENT").arg("SETNAME").arg(format!("{}:{}", self.name, purpose.name()));
        if purpose != Purpose::Scout {
            checks.cmd("INFO").arg("server");
        }
        if matches!(purpose, Purpose::Pool | Purpose::Bus) {
            for script in scripts::ALL {
                checks.cmd("SCRIPT").arg("LOAD").arg(script.code);
            }
        }
        checks
    }
}

impl Purpose {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Bus => "bus",
            Self::Ear => "ear",
            Self::Scout => "scout",
        }
    }
}

impl NoSession {
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    pub(crate) fn reason(&self) -> &str {
        let (Self::Refused(reason) | Self::Away(reason)) = self;
        reason
    }
}

impl From<RedisError> for NoSession {
    fn from(error: RedisError) -> Self {
        let Some(code) = error.code() else { return Self::Away(error.to_string()) };
        let answer = format!("{code} {}", error.detail().unwrap_or_default());
        match refusal(code) {
            Refusal::Credentials => Self::Refused(answer),
            _ => Self::Away(answer),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<C> fmt::Debug for Session<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

fn hear(pushes: &broadcast::Sender<Push>, info: PushInfo) {
    if info.kind != PushKind::Message {
        return;
    }
    if let Ok([Value::BulkString(_channel), Value::BulkString(payload)]) = <[Value; 2]>::try_from(info.data) {
        // Nobody listens: nobody is missed.
        _ = pushes.send(Push { payload });
    }
}

fn answered(reply: &Value, address: &Address) -> Result<(), NoSession> {
    let Value::ServerError(error) = reply else { return Ok(()) };
    match Answer::of(error, address) {
        Answer::Refused(Refusal::Credentials, answer) => Err(NoSession::Refused(answer)),
        Answer::Refused(_, answer) => Err(NoSession::Away(answer)),
        Answer::Elsewhere(_) => Ok(()),
    }
}

/// Who may not ask for it goes without.
fn told(info: &Value) -> Told {
    let Ok(text) = redis::from_redis_value_ref::<String>(info) else { return Told::default() };
    let run = text.lines().find_map(|line| Some(line.strip_prefix("run_id:")?.trim_end().to_owned()));
    Told { run, has_swaps: swap::is_told(&text) }
}

/// Who may not ask for the role hears of it with the first write.
fn is_primary(reply: &Value) -> Result<(), NoSession> {
    let Value::Array(values) = reply else { return Ok(()) };
    match values.first() {
        Some(Value::BulkString(role)) if role != b"master" => {
            Err(NoSession::Away(format!("it is no primary but a {}", String::from_utf8_lossy(role))))
        }
        _ => Ok(()),
    }
}

fn is_no_cluster(reply: &Value) -> Result<(), NoSession> {
    match reply {
        Value::VerbatimString { .. } | Value::BulkString(_) => {
            Err(NoSession::Away("it is a node of a cluster; the URL begins with `redis-cluster://` then".to_owned()))
        }
        _ => Ok(()),
    }
}

fn is_cluster_ready(reply: &Value, address: &Address) -> Result<(), NoSession> {
    let text = match reply {
        Value::VerbatimString { text, .. } => text.as_bytes(),
        Value::BulkString(text) => text,
        other => return answered(other, address),
    };
    let is_ready = text.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_end() == b"cluster_state:ok");
    if is_ready { Ok(()) } else { Err(NoSession::Away("its cluster is down".to_owned())) }
}
