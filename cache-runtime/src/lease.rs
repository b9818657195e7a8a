//! Leases that this process holds: renewed while their loads run, given back when a load ends without a value.
//!
//! One task renews all of them, a few times in each lease's life: a load pays for an entry in a table, not for a timer.
//! Another gives back, many at a time. A process that dies renews nothing, and is replaced within one lease time; one that
//! was stopped finds its token gone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;

use crate::fault::Fault;
use crate::flight::FlightId;
use crate::instant::Instant;
use crate::node::Address;
use crate::redis::Store;
use crate::store::{Ended, Ending, Stamp, Token};
use crate::timer;

/// Leases that wait to be given back. Any more expire.
const MOST_WAITING: usize = 16_384;

/// Leases that are given back at the same time: the store makes a few scripts of them.
const MOST_AT_ONCE: usize = 1_024;

/// Leases that could not be given back, and are not forgotten.
const MOST_LATE: usize = 4_096;

/// How long a failed load keeps other processes from waiting for the next try.
pub(crate) const COOL_DOWN: Duration = Duration::from_millis(200);

/// Keeps the leases of one process alive.
#[derive(Debug)]
pub(crate) struct Keeper {
    held: Arc<Held>,
    ended: Sender<Given>,
    lease: Duration,
}

#[derive(Debug, Default)]
struct Held(Mutex<HashMap<Token, Tenure>>);

#[derive(Debug)]
struct Tenure {
    entry: String,
    /// Whose load it is for; nothing for a value that is put.
    flight: Option<FlightId>,
    renewed: Instant,
    /// A load that takes longer is hung: its lease is left to expire.
    until: Instant,
}

/// A lease that ends without a value.
#[derive(Debug)]
struct Given {
    entry: String,
    token: Token,
    cool_down: bool,
    /// Whether it was told that it is taken. Else it may be taken yet: what asked for it may still be on its way.
    is_taken: bool,
    /// One lease later it is over in any case.
    since: Instant,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<Token, Tenure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The leases whose renewal is due, taken to be renewed from now on.
    fn due(&self, after: Duration) -> Vec<(String, Token)> {
        let now = Instant::now();
        let mut held = self.lock();
        let living = held.iter_mut().filter(|(_, tenure)| tenure.until > now);
        let due = living.filter(|(_, tenure)| now.duration_since(tenure.renewed) >= after);
        let mut due: Vec<_> = due
            .map(|(token, tenure)| {
                tenure.renewed = now;
                (tenure.entry.clone(), *token)
            })
            .collect();
        // In an order, so that what is sent is always the same.
        due.sort_unstable_by(|one, other| one.0.cmp(&other.0).then(one.1.0.cmp(&other.1.0)));
        due
    }
}

impl Keeper {
    /// Starts the tasks that keep leases of this length; they end with the keeper.
    pub(crate) fn start(store: &Arc<Store>, lease: Duration, runtime: &Handle) -> Self {
        let (ended, given) = mpsc::channel(MOST_WAITING);
        let held = Arc::new(Held::default());
        runtime.spawn(keep(Arc::downgrade(store), Arc::downgrade(&held), lease));
        runtime.spawn(take_back(Arc::downgrade(store), given, lease));
        Self { held, ended, lease }
    }

    /// A lease that is about to be taken: given back if the caller leaves, and renewed for one lease only until its
    /// [load begins](Lease::load_begins), since a caller who is not polled may never begin one.
    pub(crate) fn hold(&self, entry: &str, token: Token, flight: Option<FlightId>) -> Lease {
        let now = Instant::now();
        let tenure = Tenure { entry: entry.to_owned(), flight, renewed: now, until: now + self.lease };
        self.held.lock().insert(token, tenure);
        let (held, ended) = (Arc::clone(&self.held), self.ended.clone());
        Lease { held, ended, token, snapshot: Vec::new(), is_taken: false, is_over: false }
    }

    /// The flight of this process whose load has this lease.
    pub(crate) fn flight_of(&self, token: Token) -> Option<FlightId> {
        self.held.lock().get(&token).and_then(|tenure| tenure.flight)
    }

    /// How many leases are held.
    pub(crate) fn len(&self) -> usize {
        let now = Instant::now();
        self.held.lock().values().filter(|tenure| tenure.until > now).count()
    }
}

async fn keep(store: Weak<Store>, held: Weak<Held>, lease: Duration) {
    loop {
        timer::sleep(lease / 6).await;
        let (Some(held), Some(store)) = (held.upgrade(), store.upgrade()) else { return };
        renew(&store, &held.due(lease / 3)).await;
    }
}

async fn renew(store: &Store, due: &[(String, Token)]) {
    if due.is_empty() {
        return;
    }
    // A lease that is gone is found out by its holder, when it ends it.
    if let Err(fault) = store.renew(due).await {
        tracing::debug!(%fault, leases = due.len(), "leases were not renewed");
    }
}

/// Gives back what ended, as much at a time as there is: until then whoever wants such an entry waits for nobody.
async fn take_back(store: Weak<Store>, mut given: Receiver<Given>, lease: Duration) {
    let (mut next, mut late, mut again) = (Vec::new(), VecDeque::new(), Instant::now());
    loop {
        tokio::select! {
            // Always in this order: a simulated run can be repeated.
            biased;
            // What a connection that broke has left behind: at once over another one, then from time to time.
            () = timer::sleep(again.saturating_duration_since(Instant::now())), if !late.is_empty() => {
                again = Instant::now() + lease / 6;
                next.extend(late.drain(..late.len().min(MOST_AT_ONCE)));
            }
            count = given.recv_many(&mut next, MOST_AT_ONCE) => if count == 0 { return },
        }
        let Some(store) = store.upgrade() else { return };
        next.retain(|given: &Given| given.since.elapsed() < lease);
        late.extend(give_back_all(&store, next.drain(..)).await);
        late.drain(..late.len().saturating_sub(MOST_LATE));
    }
}

/// All of them at the same time. Those that may have to be given back once more.
async fn give_back_all(store: &Arc<Store>, all: impl Iterator<Item = Given>) -> Vec<Given> {
    let mut ending = JoinSet::new();
    for given in all {
        let store = Arc::clone(store);
        ending.spawn(async move { (!give_back(&store, &given).await).then_some(given) });
    }
    let mut failed = Vec::new();
    while let Some(ended) = ending.join_next().await {
        failed.extend(ended.ok().flatten());
    }
    failed
}

/// Whether it is over now.
async fn give_back(store: &Store, given: &Given) -> bool {
    let ending = if given.cool_down { Ending::CoolDown(COOL_DOWN) } else { Ending::Release };
    match store.end(&given.entry, given.token, ending, &[]).await {
        Ok(ended) => ended.held || given.is_taken,
        Err(fault) => {
            tracing::debug!(%fault, entry = given.entry, "a lease was not given back");
            false
        }
    }
}

/// The right to fill one entry. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "others wait for its end"]
pub(crate) struct Lease {
    held: Arc<Held>,
    ended: Sender<Given>,
    token: Token,
    /// The stamps of its groups from before the load.
    snapshot: Vec<Stamp>,
    is_taken: bool,
    is_over: bool,
}

impl Lease {
    /// It was taken, under these stamps.
    pub(crate) fn set_snapshot(&mut self, snapshot: Vec<Stamp>) {
        self.is_taken = true;
        self.snapshot = snapshot;
    }

    /// From now on it is renewed for as long as the load may take.
    pub(crate) fn load_begins(&self, load_timeout: Duration) {
        let now = Instant::now();
        let until = now.checked_add(load_timeout).unwrap_or(now + Duration::from_hours(24));
        if let Some(tenure) = self.held.lock().get_mut(&self.token) {
            tenure.until = until;
        }
    }

    /// Whether it may still be held: a caller that was not polled, or a process that was stopped, has let it expire.
    pub(crate) fn is_living(&self) -> bool {
        self.held.lock().get(&self.token).is_some_and(|tenure| tenure.until > Instant::now())
    }

    /// The server answered that it takes no lease. Where that was about something beside it, it is given back once.
    pub(crate) fn is_refused(&mut self) {
        self.is_taken = true;
    }

    /// It was not taken: somebody else holds it.
    pub(crate) fn forget(mut self) {
        self.is_over = true;
        self.held.lock().remove(&self.token);
    }

    /// The stamps of its groups from before the load.
    pub(crate) fn snapshot(&self) -> &[Stamp] {
        &self.snapshot
    }

    /// Ends it for good, and tells whether no invalidation came in between: it was still held, under the same stamps.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the outcome open. The lease is given back when it is dropped, if the value did not arrive.
    pub(crate) async fn end(&mut self, store: &Store, address: &Address, ending: Ending<'_>) -> Result<bool, Fault> {
        // Given back if that fails: a value that was filled has another token, nothing takes it away.
        let Ended { held, stamps } = store.end(address.entry(), self.token, ending, &address.stamps).await?;
        self.is_over = true;
        self.held.lock().remove(&self.token);
        let unchanged = stamps.iter().map(Option::as_ref).eq(self.snapshot.iter().map(Some));
        Ok(held && unchanged)
    }

    /// Ends it after a failed load, without waiting.
    pub(crate) fn fail(mut self) {
        self.give_back(true);
    }

    fn give_back(&mut self, cool_down: bool) {
        self.is_over = true;
        let Some(Tenure { entry, .. }) = self.held.lock().remove(&self.token) else { return };
        let given = Given { entry, token: self.token, cool_down, is_taken: self.is_taken, since: Instant::now() };
        // An error when too many wait, or the cache is gone: the lease expires.
        let _expires = self.ended.try_send(given);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_over {
            self.give_back(false);
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
