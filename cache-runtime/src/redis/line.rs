//! A line to one server: some connections that do the same work, kept by tasks of ours.
//!
//! ```text
//!          connect, PING             no reply three times in a row, or broken
//! away  ------------------>  up  ------------------------------------------->  away   (backoff, with jitter)
//! ```
//!
//! While a line is away its operations fail at once and cost nothing: that is the breaker. Whoever asks neither waits for
//! a connection nor tries one.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, PushInfo, PushKind, Value};
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::AbortHandle;

use crate::fault::{Fault, Refusal};
use crate::redis::answer::{checked, fault_of};
use crate::redis::{Push, scripts};
use crate::timer;

/// Operations without a reply in time, one after the other, after which the server is taken for away.
const MOST_TIMEOUTS: u32 = 3;

/// The pause between two tries to connect, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How long a try to connect may take.
const CONNECTING: Duration = Duration::from_secs(2);

/// How a line finds its server; asked again for every connection.
pub(super) trait Dial: Send + Sync + 'static {
    /// A connection to the server that this line is for, as it stands now.
    fn dial(&self, config: AsyncConnectionConfig) -> impl Future<Output = Result<MultiplexedConnection, Fault>> + Send;

    /// Ends when the server that was dialled is not the one any more.
    fn moved(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Where it was found last, for messages.
    fn place(&self) -> String;
}

/// What a line is for, and what all lines of a cache share.
#[derive(Clone, Debug)]
pub(super) struct Work {
    /// What its connections are called on the server.
    pub(super) name: String,
    pub(super) connections: usize,
    pub(super) op_timeout: Duration,
    /// Raised with every connection, before anything is sent over it.
    pub(super) generation: watch::Sender<u64>,
    pub(super) pushes: broadcast::Sender<Push>,
}

/// Some connections to one server. Its tasks end with it.
pub(super) struct Line {
    shared: Arc<Shared>,
    next: AtomicUsize,
    tasks: Vec<AbortHandle>,
}

struct Shared {
    work: Work,
    links: Vec<Link>,
    /// Whether any of its connections stands.
    is_up: AtomicBool,
    /// Operations that had no reply in time since the last reply.
    timeouts: AtomicU32,
    outage: Mutex<Option<Outage>>,
    /// Channels that are subscribed to, on every connection anew.
    channels: Mutex<Vec<String>>,
    place: Box<dyn Fn() -> String + Send + Sync>,
}

/// One connection, or the place of one.
#[derive(Default)]
struct Link {
    connection: Mutex<Option<MultiplexedConnection>>,
    /// It is to be made anew.
    broken: Notify,
}

struct Outage {
    since: Instant,
    /// Credentials are wrong: nothing to wait for.
    is_refused: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    pub(super) fn start<D: Dial>(work: Work, dial: Arc<D>, runtime: &Handle) -> Self {
        let links = std::iter::repeat_with(Link::default).take(work.connections).collect();
        let named = Arc::clone(&dial);
        let shared = Arc::new(Shared {
            work,
            links,
            is_up: AtomicBool::new(false),
            timeouts: AtomicU32::new(0),
            outage: Mutex::new(None),
            channels: Mutex::default(),
            place: Box::new(move || named.place()),
        });
        let tasks = (0..shared.links.len())
            .map(|number| runtime.spawn(supervise(Arc::clone(&shared), number, Arc::clone(&dial))).abort_handle())
            .collect();
        Self { shared, next: AtomicUsize::new(0), tasks }
    }

    pub(super) fn is_up(&self) -> bool {
        self.shared.is_up.load(Ordering::SeqCst)
    }

    /// Waits until a connection stands, or the server refuses the credentials.
    pub(super) async fn settled(&self) -> Result<(), Fault> {
        loop {
            if self.is_up() {
                return Ok(());
            }
            if locked(&self.shared.outage).as_ref().is_some_and(|outage| outage.is_refused) {
                return Err(Fault::Refused(Refusal::Credentials, "wrong credentials".to_owned()));
            }
            timer::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(super) async fn command(&self, command: &Cmd, most: Duration) -> Result<Value, Fault> {
        let (number, mut connection) = self.connection()?;
        let reply = within(most, connection.send_packed_command(command)).await;
        self.shared.judge(number, reply).and_then(checked)
    }

    /// A reply for each command.
    pub(super) async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Result<Value, Fault>>, Fault> {
        let (number, mut connection) = self.connection()?;
        let sent = connection.send_packed_commands(pipeline, 0, pipeline.len());
        let replies = self.shared.judge(number, within(self.shared.work.op_timeout, sent).await)?;
        Ok(replies.into_iter().map(checked).collect())
    }

    /// Subscribes now, and on every connection that comes.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<(), Fault> {
        {
            let mut channels = locked(&self.shared.channels);
            if !channels.iter().any(|known| known == channel) {
                channels.push(channel.to_owned());
            }
        }
        let (number, mut connection) = self.connection()?;
        let done = within(self.shared.work.op_timeout, connection.subscribe(channel)).await;
        self.shared.judge(number, done)
    }

    /// Makes all connections anew: the server is another one now, or not what it should be.
    pub(super) fn renew(&self, reason: &str) {
        self.shared.fail_all(reason);
    }

    fn connection(&self) -> Result<(usize, MultiplexedConnection), Fault> {
        if !self.is_up() {
            return Err(Fault::Away);
        }
        let count = self.shared.links.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let numbers = (0..count).map(|offset| first.wrapping_add(offset) % count);
        let mut standing = numbers.filter_map(|number| {
            let connection = locked(&self.shared.links[number].connection).clone();
            connection.map(|connection| (number, connection))
        });
        standing.next().ok_or(Fault::Away)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Shared {
    /// What a reply says of its connection.
    fn judge<T>(&self, number: usize, reply: Option<redis::RedisResult<T>>) -> Result<T, Fault> {
        match reply {
            Some(Ok(reply)) => {
                if self.timeouts.load(Ordering::Relaxed) > 0 {
                    self.timeouts.store(0, Ordering::Relaxed);
                }
                Ok(reply)
            }
            Some(Err(error)) => {
                let fault = fault_of(&error);
                if matches!(fault, Fault::Broken(_)) {
                    self.fail(number, &fault.to_string());
                }
                Err(fault)
            }
            None => {
                if self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_TIMEOUTS {
                    self.fail_all("it does not answer in time");
                }
                Err(Fault::Timeout)
            }
        }
    }

    fn fail(&self, number: usize, reason: &str) {
        let link = &self.links[number];
        drop(locked(&link.connection).take());
        link.broken.notify_one();
        if self.links.iter().all(|link| locked(&link.connection).is_none()) {
            self.is_up.store(false, Ordering::SeqCst);
            self.went_away(reason, false);
        }
    }

    fn fail_all(&self, reason: &str) {
        (0..self.links.len()).for_each(|number| self.fail(number, reason));
    }

    /// Once for each outage.
    fn went_away(&self, reason: &str, is_refused: bool) {
        let is_news = {
            let mut outage = locked(&self.outage);
            let known = outage.as_ref().map(|outage| outage.is_refused);
            let since = outage.as_ref().map_or_else(Instant::now, |outage| outage.since);
            *outage = Some(Outage { since, is_refused });
            known != Some(is_refused)
        };
        let (connections, server) = (&self.work.name, (self.place)());
        match (is_news, is_refused) {
            (false, _) => {}
            (true, true) => tracing::error!(connections, server, reason, "the server refuses this process"),
            (true, false) => tracing::warn!(connections, server, reason, "the server is away"),
        }
    }

    fn came_back(&self) {
        if let Some(outage) = locked(&self.outage).take() {
            let (connections, server, after) = (&self.work.name, (self.place)(), outage.since.elapsed());
            tracing::info!(connections, server, ?after, "the server is back");
        }
    }
}

/// Keeps one connection.
async fn supervise<D: Dial>(shared: Arc<Shared>, number: usize, dial: Arc<D>) {
    let mut pause = BACKOFF.0;
    loop {
        match connected(&shared, number, &*dial).await {
            Ok(connection) => {
                pause = BACKOFF.0;
                shared.timeouts.store(0, Ordering::Relaxed);
                // Before anything is sent over it: whoever must look at the server first does.
                shared.work.generation.send_modify(|generation| *generation += 1);
                *locked(&shared.links[number].connection) = Some(connection);
                shared.is_up.store(true, Ordering::SeqCst);
                shared.came_back();
                tokio::select! {
                    () = shared.links[number].broken.notified() => {}
                    () = dial.moved() => shared.fail(number, "another server does its work now"),
                }
            }
            Err(fault) => {
                if !shared.is_up.load(Ordering::SeqCst) {
                    let is_refused = matches!(fault, Fault::Refused(Refusal::Credentials, _));
                    shared.went_away(&fault.to_string(), is_refused);
                }
                timer::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause = (pause * 2).min(BACKOFF.1);
            }
        }
    }
}

/// A connection that answers, named, with its scripts and subscriptions.
async fn connected<D: Dial>(shared: &Arc<Shared>, number: usize, dial: &D) -> Result<MultiplexedConnection, Fault> {
    let weak = Arc::downgrade(shared);
    let pushes = shared.work.pushes.clone();
    let push = move |push: PushInfo| {
        match (push.kind, push.data.as_slice()) {
            (PushKind::Disconnection, _) => {
                if let Some(shared) = weak.upgrade() {
                    shared.fail(number, "the connection was closed");
                }
            }
            (PushKind::Message, [Value::BulkString(channel), Value::BulkString(payload)]) => {
                let channel = String::from_utf8_lossy(channel).into_owned();
                // Only an error while nobody listens.
                let _nobody = pushes.send(Push { channel, payload: payload.clone() });
            }
            _ => {}
        }
        Ok::<_, redis::aio::SendError>(())
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_push_sender(push);
    let preparing = async {
        let mut connection = dial.dial(config).await?;
        prepare(&mut connection, shared).await?;
        Ok(connection)
    };
    within(CONNECTING, preparing).await.unwrap_or(Err(Fault::Timeout))
}

async fn prepare(connection: &mut MultiplexedConnection, shared: &Shared) -> Result<(), Fault> {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("PING");
    pipeline.cmd("CLIENT").arg("SETNAME").arg(&shared.work.name);
    for script in scripts::ALL {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(script.code);
    }
    let sent = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await;
    let mut replies = sent.map_err(|error| fault_of(&error))?.into_iter().map(checked);
    // A server that does not let clients be named or scripts be loaded is told by what it refuses later.
    replies.next().unwrap_or(Err(Fault::Nonsense("no reply to PING".to_owned())))?;
    let channels = locked(&shared.channels).clone();
    for channel in channels {
        // A channel that is forbidden costs those who wait a poll, not the connection.
        if let Err(error) = connection.subscribe(&channel).await {
            tracing::debug!(%error, channel, "not subscribed");
        }
    }
    Ok(())
}

/// What comes in time.
pub(super) async fn within<T>(most: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut timeout = None;
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        let timeout = timeout.get_or_insert_with(|| Box::pin(timer::sleep(most)));
        timeout.as_mut().poll(context).map(|()| None)
    })
    .await
}
