//! One connection to one server, kept alive.
//!
//! A task makes it, watches it and makes it again. Whoever wants to send finds either a way or, at no cost, none:
//! nobody ever waits for a connection.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::instant::Instant;
use crate::redis::backoff::Backoff;
use crate::redis::breaker::{Breaker, Verdict};
use crate::redis::connection::Connection;
use crate::redis::kin::{Kin, Kins};
use crate::redis::outage::{Absence, Outages};
use crate::redis::session::{Access, Driver, NoSession, Purpose, Session};
use crate::redis::target::Address;
use crate::sync::lock;
use crate::timer::{self, in_time};

/// How long a connection may be silent before it is asked whether it still works.
const SILENCE: Duration = Duration::from_secs(5);

/// Timeouts in a row after which a connection is made anew.
pub(crate) const TIMEOUTS: u32 = 3;

/// A connection that lasted this long was a good one: the next is made without a long pause.
const SETTLED: Duration = Duration::from_secs(1);

/// Why a way ends that does not answer.
pub(crate) const SEVERAL_LATE: &str = "several operations in a row timed out";

/// Where changes of connections are told.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    /// Rises with every connection, before anything is sent over it.
    pub(crate) generation: watch::Sender<u64>,
    /// Something may have moved: whoever knows where servers are looks again.
    pub(crate) trouble: Arc<Notify>,
    pub(crate) outages: Outages,
    pub(crate) kins: Kins,
}

/// A connection that comes back by itself. It ends with the last handle.
pub(crate) struct Link {
    shared: Arc<Shared>,
    supervisor: AbortHandle,
}

struct Shared {
    address: Address,
    purpose: Purpose,
    access: Arc<Access>,
    events: Events,
    kin: Arc<Kin>,
    is_up: AtomicBool,
    state: Mutex<State>,
    cut: Notify,
    /// Something was answered since it was last looked at.
    heard: AtomicBool,
    /// Of this connection alone: others to the same server may be well.
    breaker: Breaker,
    /// The last way whose credentials were told to be wrong.
    told: AtomicU64,
    /// The number of the way, if its server has swaps.
    swaps: AtomicU64,
    first: watch::Sender<Option<Result<(), NoSession>>>,
}

#[derive(Default)]
struct State {
    way: Option<Way>,
    /// The number of the last way.
    number: u64,
    /// Why there is none.
    reason: String,
}

/// A way to the server, for as long as it lasts.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) connection: Connection,
    pub(crate) number: u64,
    /// That of all connections to the same address that may be used with it.
    kin: u64,
}

impl Link {
    /// Begins to connect, on the runtime of `access`.
    pub(crate) fn start(address: Address, purpose: Purpose, access: &Arc<Access>, events: &Events) -> Self {
        let shared = Arc::new(Shared {
            kin: events.kins.of(&address),
            address,
            purpose,
            access: Arc::clone(access),
            events: events.clone(),
            is_up: AtomicBool::new(false),
            state: Mutex::default(),
            cut: Notify::new(),
            heard: AtomicBool::new(false),
            breaker: Breaker::new(TIMEOUTS),
            told: AtomicU64::new(0),
            swaps: AtomicU64::new(0),
            first: watch::Sender::new(None),
        });
        let supervisor = access.runtime.spawn(Arc::clone(&shared).supervise()).abort_handle();
        Self { shared, supervisor }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.shared.address
    }

    pub(crate) fn is_up(&self) -> bool {
        self.shared.is_up.load(Ordering::Acquire)
    }

    /// The way to the server, if there is one.
    pub(crate) fn way(&self) -> Option<Way> {
        if self.is_up() { self.shared.way() } else { None }
    }

    /// Its server is no primary: neither this way is used any more, nor any other to this address.
    pub(crate) fn end_all(&self, number: u64, reason: &str) {
        if let Some(way) = self.shared.way().filter(|way| way.number == number) {
            self.shared.kin.end(way.kin, reason);
        }
    }

    /// Something came over it.
    pub(crate) fn heard(&self) {
        self.shared.breaker.answered();
        if !self.shared.heard.load(Ordering::Relaxed) {
            self.shared.heard.store(true, Ordering::Relaxed);
        }
    }

    /// Nothing came over this way in time. It ends with the last of several such operations in a row.
    pub(crate) fn timed_out(&self, number: u64) {
        if self.shared.breaker.timed_out() == Verdict::Opens {
            self.cut(Some(number), SEVERAL_LATE);
        }
    }

    /// Whether this way is still the one in use.
    pub(crate) fn is_current(&self, number: u64) -> bool {
        lock(&self.shared.state).way.as_ref().is_some_and(|way| way.number == number)
    }

    /// Whether the server of this way has swaps, as far as is known.
    pub(crate) fn has_swaps(&self, number: u64) -> bool {
        self.shared.swaps.load(Ordering::Relaxed) == number
    }

    /// Whether there may be a way whose server has swaps.
    pub(crate) fn may_have_swaps(&self) -> bool {
        self.shared.swaps.load(Ordering::Relaxed) != 0
    }

    /// It has none after all, for as long as this way lasts.
    pub(crate) fn has_no_swaps(&self, number: u64) {
        // Of another way by now, that is nobody's loss.
        _ = self.shared.swaps.compare_exchange(number, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Ends the way with this number, if it is still in use; with none, whichever is.
    pub(crate) fn cut(&self, number: Option<u64>, reason: &str) {
        self.shared.end_way(number, reason);
        self.shared.cut.notify_one();
    }

    /// The server refuses what this way asks for. Told once for each way.
    pub(crate) fn refused(&self, number: u64, answer: &str) {
        if self.shared.told.swap(number, Ordering::Relaxed) != number {
            tracing::error!(server = %self.address(), answer, "redis: the server refuses the credentials");
        }
    }

    pub(crate) fn look_again(&self) {
        self.shared.events.trouble.notify_one();
    }

    /// What became of the first try to connect.
    pub(crate) async fn first_try(&self) -> Result<(), NoSession> {
        let mut first = self.shared.first.subscribe();
        let outcome = first.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| Err(NoSession::Away("its task was stopped".to_owned())))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("address", self.address()).field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Shared {
    async fn supervise(self: Arc<Self>) {
        let _stopped = Stopped(&self);
        let mut backoff = Backoff::new();
        let mut absence = None;
        loop {
            match self.open().await {
                Ok(driver) => {
                    let began = Instant::now();
                    absence.take().into_iter().for_each(Absence::over);
                    self.first.send_replace(Some(Ok(())));
                    let reason = self.until_broken(driver).await;
                    absence = Some(self.events.outages.begin(&self.address, self.purpose.name(), &reason));
                    if began.elapsed() >= SETTLED {
                        backoff = Backoff::new();
                    }
                }
                Err(no) => {
                    let begin = || self.events.outages.begin(&self.address, self.purpose.name(), no.reason());
                    let absence = absence.get_or_insert_with(begin);
                    if let NoSession::Refused(answer) = &no {
                        absence.refused(answer);
                    }
                    tracing::debug!(server = %self.address, reason = no.reason(), "redis: not connected");
                    self.first.send_replace(Some(Err(no)));
                }
            }
            self.events.trouble.notify_one();
            timer::sleep(backoff.pause()).await;
        }
    }

    /// The first try belongs to servers that were named just now.
    async fn open(&self) -> Result<Driver, NoSession> {
        let is_first = self.first.borrow().is_none();
        let kin = self.kin.number();
        let session = if is_first {
            self.access.open(&self.address, self.purpose).await?
        } else {
            self.access.open_again(&self.address, self.purpose).await?
        };
        let kin = self.kin.join(kin, session.told.run.as_deref());
        let kin = kin.ok_or_else(|| NoSession::Away("other connections to its address have ended".to_owned()))?;
        Ok(self.install(session, kin))
    }

    fn install(&self, session: Session, kin: u64) -> Driver {
        let Session { connection, driver, told } = session;
        self.events.generation.send_modify(|generation| *generation += 1);
        self.breaker.answered();
        let mut state = lock(&self.state);
        state.number += 1;
        self.swaps.store(if told.has_swaps { state.number } else { 0 }, Ordering::Relaxed);
        state.way = Some(Way { connection, number: state.number, kin });
        self.is_up.store(true, Ordering::Release);
        driver
    }

    fn way(&self) -> Option<Way> {
        lock(&self.state).way.clone().filter(|way| self.kin.is_current(way.kin))
    }

    /// Ends when the way does. The reason.
    async fn until_broken(&self, mut driver: Driver) -> String {
        let kin = lock(&self.state).way.as_ref().map(|way| way.kin);
        let mut ended = pin!(async {
            match kin {
                Some(kin) => self.kin.ended(kin).await,
                None => std::future::pending().await,
            }
        });
        loop {
            let mut is_silent = pin!(self.is_silent());
            tokio::select! {
                // Always in this order: a simulated run can be repeated.
                biased;
                _ = &mut driver.0 => self.end_way(None, "the connection was closed"),
                () = self.cut.notified() => {}
                reason = &mut ended => self.end_way(None, &reason),
                is_silent = &mut is_silent => if is_silent {
                    self.end_way(None, "it does not answer");
                },
            }
            let state = lock(&self.state);
            if state.way.is_none() {
                return state.reason.clone();
            }
        }
    }

    /// After a while: whether nothing comes over the way although it was asked for.
    async fn is_silent(&self) -> bool {
        timer::sleep(SILENCE).await;
        // Behind a command that blocks, there would be no answer for good reason; that one has a deadline of its own.
        if self.purpose == Purpose::Ear || self.heard.swap(false, Ordering::Relaxed) {
            return false;
        }
        let Some(mut way) = lock(&self.state).way.clone() else { return false };
        let ping = redis::cmd("PING");
        !matches!(in_time(self.access.patience, way.connection.command(&ping)).await, Some(Ok(_)))
    }

    fn end_way(&self, number: Option<u64>, reason: &str) {
        let mut state = lock(&self.state);
        if number.is_some_and(|number| state.way.as_ref().is_none_or(|way| way.number != number)) {
            return;
        }
        let Some(way) = state.way.take() else { return };
        self.is_up.store(false, Ordering::Release);
        reason.clone_into(&mut state.reason);
        drop(state);
        drop(way);
    }
}

/// No way outlives the task that watches it.
struct Stopped<'a>(&'a Shared);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.end_way(None, "its task was stopped");
    }
}
