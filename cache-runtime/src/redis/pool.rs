//! A few connections to one server, which is left alone while it does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::{Cmd, Pipeline, RedisError, ServerError, Value};

use crate::fault::{Fault, Refusal};
use crate::redis::breaker::{Breaker, Verdict};
use crate::redis::connection::Strings;
use crate::redis::deadlines::{Deadlines, Late};
use crate::redis::link::{Events, Link, SEVERAL_LATE, TIMEOUTS, Way};
use crate::redis::mget::Mget;
use crate::redis::packed::Packed;
use crate::redis::refusal::{self, Answer, Redirect, Unfit};
use crate::redis::reply::{self, Found};
use crate::redis::session::{Access, NoSession, Purpose};
use crate::redis::swap;
use crate::redis::target::Address;
use crate::timer::in_time;

/// Connections to one server, for one purpose.
#[derive(Debug)]
pub(crate) struct Pool {
    address: Address,
    links: Box<[Link]>,
    next: AtomicUsize,
    breaker: Breaker,
    deadlines: Arc<Deadlines>,
}

/// Why a server did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    Fault(Fault),
    /// Another server would.
    Elsewhere(Redirect),
}

impl Pool {
    /// Begins to connect `size` times.
    pub(crate) fn start(
        address: Address,
        purpose: Purpose,
        size: usize,
        access: &Arc<Access>,
        events: &Events,
        deadlines: Arc<Deadlines>,
    ) -> Self {
        let links = (0..size.max(1)).map(|_| Link::start(address.clone(), purpose, access, events)).collect();
        // As many as a connection's own. What the ear asks takes its time already.
        let breaker = Breaker::new(if purpose == Purpose::Ear { 1 } else { TIMEOUTS });
        Self { address, links, next: AtomicUsize::new(0), breaker, deadlines }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn is_up(&self) -> bool {
        self.links.iter().any(Link::is_up)
    }

    /// What became of the first try of each connection.
    pub(crate) async fn first_tries(&self) -> Result<(), NoSession> {
        for link in &self.links {
            link.first_try().await?;
        }
        Ok(())
    }

    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, Miss> {
        let (link, mut way) = self.way().ok_or(Fault::Away)?;
        let reply = self.deadlines.within(way.connection.command(command)).await;
        let value = self.judge(link, way.number, reply)?;
        self.read(link, way.number, value)
    }

    /// What has these names.
    pub(crate) async fn strings(&self, mget: &mut Mget) -> Result<Vec<Found>, Miss> {
        let (link, mut way) = self.way().ok_or(Fault::Away)?;
        let reply = self.deadlines.within(way.connection.strings(mget)).await;
        match self.judge(link, way.number, reply)? {
            Strings::Found(strings) => Ok(strings),
            Strings::Other(other) => match self.read(link, way.number, other)? {
                Value::Array(values) => Ok(values.into_iter().map(reply::string).collect()),
                other => Err(reply::nonsense("MGET", &other).into()),
            },
        }
    }

    /// All in one flush, over one connection. A result for each command.
    pub(crate) async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Result<Value, Miss>>, Fault> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        let (link, mut way) = self.way().ok_or(Fault::Away)?;
        let replies = self.deadlines.within(way.connection.commands(pipeline)).await;
        let values = self.judge(link, way.number, replies)?;
        Ok(values.into_iter().map(|value| self.read(link, way.number, value)).collect())
    }

    /// The same, of commands that are packed already.
    pub(crate) async fn packed(&self, packed: &Packed) -> Result<Vec<Result<Value, Miss>>, Fault> {
        let (link, way) = self.way().ok_or(Fault::Away)?;
        self.send(link, way, packed).await
    }

    /// Whether a connection may lead to a server with swaps.
    pub(crate) fn may_have_swaps(&self) -> bool {
        self.links.iter().any(Link::may_have_swaps)
    }

    /// Swaps: what was sent, and a result for each. Nothing, and nothing sent, if the connection whose turn it is leads to
    /// a server without them.
    pub(crate) async fn swaps(
        &self,
        pack: impl FnOnce() -> Packed,
    ) -> Result<Option<(Packed, Vec<Result<Value, Miss>>)>, Fault> {
        let (link, way) = self.way().ok_or(Fault::Away)?;
        let number = way.number;
        if !link.has_swaps(number) {
            return Ok(None);
        }
        let packed = pack();
        let replies = self.send(link, way, &packed).await?;
        if replies.iter().any(|reply| matches!(reply, Err(Miss::Fault(fault)) if swap::is_unknown(fault))) {
            link.has_no_swaps(number);
        }
        Ok(Some((packed, replies)))
    }

    async fn send(&self, link: &Link, mut way: Way, packed: &Packed) -> Result<Vec<Result<Value, Miss>>, Fault> {
        let replies = self.deadlines.within(way.connection.packed(packed)).await;
        let values = self.judge(link, way.number, replies)?;
        Ok(values.into_iter().map(|value| self.read(link, way.number, value)).collect())
    }

    /// A command that may take `most` on top of the time of an operation.
    pub(crate) async fn slow_command(&self, command: &Cmd, most: Duration) -> Result<Value, Miss> {
        let (link, mut way) = self.way().ok_or(Fault::Away)?;
        let reply = in_time(most.saturating_add(self.deadlines.most()), way.connection.command(command)).await;
        let value = self.judge(link, way.number, reply.ok_or(Late))?;
        self.read(link, way.number, value)
    }

    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), Fault> {
        let (link, mut way) = self.way().ok_or(Fault::Away)?;
        let reply = self.deadlines.within(way.connection.subscribe(channel)).await;
        self.judge(link, way.number, reply)
    }

    /// Ends all connections: they come back when the server is tried out again.
    pub(crate) fn cut(&self, reason: &str) {
        self.links.iter().for_each(|link| link.cut(None, reason));
    }

    /// One that is up, in turn.
    fn way(&self) -> Option<(&Link, Way)> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut in_turn = (0..self.links.len()).map(|i| &self.links[first.wrapping_add(i) % self.links.len()]);
        in_turn.find_map(|link| link.way().map(|way| (link, way)))
    }

    /// Whether an answer came at all, and what follows for the connection if none did.
    fn judge<T>(&self, link: &Link, way: u64, reply: Result<Result<T, RedisError>, Late>) -> Result<T, Fault> {
        match reply {
            Ok(Ok(value)) => {
                self.breaker.answered();
                link.heard();
                Ok(value)
            }
            Ok(Err(error)) => Err(broken(link, way, &error)),
            Err(Late) => {
                self.late(link, way);
                Err(Fault::Timeout)
            }
        }
    }

    /// Only a timeout of a connection that is still in use tells something about the server.
    fn late(&self, link: &Link, way: u64) {
        if !link.is_current(way) {
            return;
        }
        match (self.breaker.timed_out(), self.breaker.limit()) {
            (Verdict::Opens, 1) => self.cut("an operation timed out"),
            (Verdict::Opens, _) => self.cut(SEVERAL_LATE),
            // Whatever the other connections answer.
            (Verdict::Closed, _) => link.timed_out(way),
        }
    }

    fn read(&self, link: &Link, way: u64, value: Value) -> Result<Value, Miss> {
        match value {
            Value::ServerError(error) => Err(self.heed(link, way, &error)),
            value => Ok(value),
        }
    }

    #[cold]
    fn heed(&self, link: &Link, way: u64, error: &ServerError) -> Miss {
        let answer = Answer::of(error, &self.address);
        match (answer.unfit(), answer) {
            (unfit @ (Unfit::NotReady | Unfit::Replica), answer) => {
                let fault = Fault::from(answer);
                if unfit == Unfit::Replica {
                    link.end_all(way, &fault.to_string());
                    link.look_again();
                } else if link.is_current(way) {
                    self.cut(&fault.to_string());
                }
                Miss::Fault(fault)
            }
            (Unfit::No, Answer::Elsewhere(redirect)) => {
                link.look_again();
                Miss::Elsewhere(redirect)
            }
            (Unfit::No, answer) => {
                if let Answer::Refused(Refusal::Credentials, answer) = &answer {
                    link.refused(way, answer);
                }
                Miss::Fault(answer.into())
            }
        }
    }
}

impl From<Fault> for Miss {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Miss> for Fault {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Fault(fault) => fault,
            Miss::Elsewhere(redirect) => Answer::Elsewhere(redirect).into(),
        }
    }
}

/// What follows where no answer was one.
fn broken(link: &Link, way: u64, error: &RedisError) -> Fault {
    if let Some(code) = error.code() {
        let answer = format!("{code} {}", error.detail().unwrap_or_default());
        return Fault::Refused(refusal::refusal(code), answer);
    }
    let reason = error.to_string();
    link.cut(Some(way), &reason);
    Fault::Broken(reason)
}
