//! Reads that wait at the same moment go out as one.
//!
//! A read that finds nothing under way goes out alone, at once and in its caller's own task: nothing is waited for, and
//! nobody else depends on it. While anything is under way, reads gather in a batch, which a task of its own sends as soon
//! as whatever was ready to run has run: whoever is about to read anyway is taken along, and still nothing waits for time
//! to pass or for a reply. Many batches may be under way.
//!
//! A caller that is dropped, or not polled, holds up nobody: a batch belongs to its task, not to the one who began it.
//! What no caller waits for any more is not sent. A batch always ends: if its task does not (its runtime is shut down, or
//! it panics), its reads fail.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

use crate::fault::Fault;
use crate::sync::{Mutex, lock};

/// What carries names to the server and their replies back.
pub(crate) trait Carrier: Send + Sync + 'static {
    /// Names on their way.
    type Load: Default + Send + 'static;
    /// What stands at one name.
    type Reply: Send + 'static;

    fn add(&self, load: &mut Self::Load, name: &str);

    /// One reply for each name, in their order.
    fn carry(&self, load: Self::Load) -> impl Future<Output = Result<Vec<Self::Reply>, Fault>> + Send;

    /// How many bytes a reply took.
    fn size(reply: &Self::Reply) -> usize;
}

/// What one read asks for: an entry and its stamps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) entry: &'a str,
    pub(crate) stamps: &'a [String],
}

impl Names<'_> {
    fn count(self) -> usize {
        1 + self.stamps.len()
    }

    fn add_to<C: Carrier>(self, carrier: &C, load: &mut C::Load) {
        carrier.add(load, self.entry);
        self.stamps.iter().for_each(|stamp| carrier.add(load, stamp));
    }
}

/// Most names of one batch, while what stands there is small.
const MOST_NAMES: usize = 256;

/// Fewest names that a batch may take, however large what stands there is.
const FEWEST_NAMES: usize = 8;

/// The size that a batch's reply is to have at most: a larger one would hold up all others on its connection.
const REPLY_BYTES: usize = 256 * 1024;

/// Gathers reads.
pub(crate) struct Reads<C: Carrier> {
    shared: Arc<Shared<C>>,
}

struct Shared<C: Carrier> {
    carrier: C,
    runtime: Handle,
    /// The batch that takes reads, if there is one. It may be closed by now.
    gathering: Mutex<Option<Arc<Batch<C>>>>,
    /// How many reads and batches are under way.
    flying: AtomicUsize,
    /// How many bytes stand at a name, on a moving average.
    size: AtomicUsize,
}

struct Batch<C: Carrier> {
    state: Mutex<State<C>>,
}

struct State<C: Carrier> {
    phase: Phase<C>,
    /// Of each read, by its place; nothing for one that left.
    wakers: Vec<Option<Waker>>,
    waiting: usize,
}

enum Phase<C: Carrier> {
    Gathering { load: C::Load, names: usize },
    Sent,
    Done(Result<Vec<C::Reply>, Fault>),
}

impl<C: Carrier> Reads<C> {
    /// Batches are sent by tasks of this runtime.
    pub(crate) fn new(carrier: C, runtime: Handle) -> Self {
        let shared = Shared {
            carrier,
            runtime,
            gathering: Mutex::new(None),
            flying: AtomicUsize::new(0),
            size: AtomicUsize::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What stands at these names, made into `T` by `open`, which sees one reply for each.
    ///
    /// # Cancel safety
    /// A dropped read leaves nothing behind. It may have been sent.
    pub(crate) async fn read<T>(&self, names: Names<'_>, open: impl FnOnce(&mut [C::Reply]) -> T) -> Result<T, Fault> {
        let Some(flight) = Flight::alone(&self.shared) else {
            return Member { shared: &self.shared, names, open: Some(open), place: None }.await;
        };
        let mut load = C::Load::default();
        names.add_to(&self.shared.carrier, &mut load);
        // Boxed, since those who go out with others do not need it.
        let mut replies = Box::pin(self.shared.carry(load, names.count())).await?;
        drop(flight);
        Ok(open(&mut replies))
    }
}

impl<C: Carrier> Shared<C> {
    async fn carry(&self, load: C::Load, names: usize) -> Result<Vec<C::Reply>, Fault> {
        let replies = self.carrier.carry(load).await?;
        if replies.len() != names {
            return Err(Fault::Nonsense(format!("{} replies for {names} names", replies.len())));
        }
        self.weigh(&replies);
        Ok(replies)
    }

    fn weigh(&self, replies: &[C::Reply]) {
        let size = replies.iter().map(C::size).sum::<usize>() / replies.len().max(1);
        let mean = self.size.load(Ordering::Relaxed);
        // Half of what is new: a lost update does no harm, and large values are noticed at once.
        self.size.store(mean.midpoint(size), Ordering::Relaxed);
    }

    fn most_names(&self) -> usize {
        (REPLY_BYTES / self.size.load(Ordering::Relaxed).max(1)).clamp(FEWEST_NAMES, MOST_NAMES)
    }

    /// Adds a read to the batch that gathers, or to a new one.
    fn join(self: &Arc<Self>, names: Names<'_>, waker: &Waker) -> Place<C> {
        let mut gathering = lock(&self.gathering);
        if let Some(batch) = gathering.as_ref()
            && let Some(place) = batch.join(self, names, waker)
        {
            return place;
        }
        let batch = Arc::new(Batch::new());
        let place = batch.join(self, names, waker).expect("an empty batch takes any read");
        *gathering = Some(Arc::clone(&batch));
        drop(gathering);
        self.runtime.spawn(Sending { shared: Arc::clone(self), batch }.run());
        place
    }

    /// Lets go of a batch that is about to close, so that its replies do not outlive its reads.
    fn forget(&self, batch: &Arc<Batch<C>>) {
        let mut gathering = lock(&self.gathering);
        if gathering.as_ref().is_some_and(|other| Arc::ptr_eq(other, batch)) {
            *gathering = None;
        }
    }
}

/// A read's place in a batch: who waits there, and which replies are its own.
struct Place<C: Carrier> {
    batch: Arc<Batch<C>>,
    waker: usize,
    replies: Range<usize>,
}

impl<C: Carrier> Batch<C> {
    fn new() -> Self {
        let phase = Phase::Gathering { load: C::Load::default(), names: 0 };
        Self { state: Mutex::new(State { phase, wakers: Vec::new(), waiting: 0 }) }
    }

    fn join(self: &Arc<Self>, shared: &Shared<C>, new: Names<'_>, waker: &Waker) -> Option<Place<C>> {
        let mut state = lock(&self.state);
        let Phase::Gathering { load, names } = &mut state.phase else { return None };
        if *names > 0 && *names + new.count() > shared.most_names() {
            return None;
        }
        let replies = *names..*names + new.count();
        *names = replies.end;
        new.add_to(&shared.carrier, load);
        state.wakers.push(Some(waker.clone()));
        state.waiting += 1;
        Some(Place { batch: Arc::clone(self), waker: state.wakers.len() - 1, replies })
    }

    /// Closes the batch. Its load and how many names that is, unless everybody has left.
    fn close(&self) -> Option<(C::Load, usize)> {
        let mut state = lock(&self.state);
        let Phase::Gathering { load, names } = std::mem::replace(&mut state.phase, Phase::Sent) else { return None };
        (state.waiting > 0).then_some((load, names))
    }

    fn end(&self, outcome: Result<Vec<C::Reply>, Fault>) {
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Done(_)) {
            return;
        }
        state.phase = Phase::Done(outcome);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// The duty to send a batch and to end it.
struct Sending<C: Carrier> {
    shared: Arc<Shared<C>>,
    batch: Arc<Batch<C>>,
}

impl<C: Carrier> Sending<C> {
    async fn run(self) {
        let flight = Flight::another(&self.shared);
        let mut yielded = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.shared.forget(&self.batch);
        if let Some((load, names)) = self.batch.close() {
            let outcome = self.shared.carry(load, names).await;
            drop(flight);
            self.batch.end(outcome);
        }
    }
}

impl<C: Carrier> Drop for Sending<C> {
    fn drop(&mut self) {
        self.batch.end(Err(Fault::Broken("the task that read for all was stopped".to_owned())));
    }
}

/// Something under way.
struct Flight<'a>(&'a AtomicUsize);

impl<'a> Flight<'a> {
    /// Only if nothing else is.
    fn alone<C: Carrier>(shared: &'a Shared<C>) -> Option<Self> {
        let flying = &shared.flying;
        flying.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_ok().then(|| Self(flying))
    }

    fn another<C: Carrier>(shared: &'a Shared<C>) -> Self {
        shared.flying.fetch_add(1, Ordering::Relaxed);
        Self(&shared.flying)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A read that goes out with others.
struct Member<'a, C: Carrier, F> {
    shared: &'a Arc<Shared<C>>,
    names: Names<'a>,
    open: Option<F>,
    place: Option<Place<C>>,
}

impl<C: Carrier, F> Unpin for Member<'_, C, F> {}

impl<C: Carrier, T, F: FnOnce(&mut [C::Reply]) -> T> Future for Member<'_, C, F> {
    type Output = Result<T, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(place) = &self.place else {
            self.place = Some(self.shared.join(self.names, context.waker()));
            return Poll::Pending;
        };
        let batch = Arc::clone(&place.batch);
        let mut state = lock(&batch.state);
        match &mut state.phase {
            Phase::Gathering { .. } | Phase::Sent => {
                let (place, new) = (place.waker, context.waker());
                let old = state.wakers[place].replace(new.clone());
                drop(state);
                drop(old);
                Poll::Pending
            }
            Phase::Done(Err(fault)) => Poll::Ready(Err(fault.clone())),
            Phase::Done(Ok(replies)) => {
                let replies = &mut replies[place.replies.clone()];
                let open = self.open.take().expect("a future is not polled after its end");
                Poll::Ready(Ok(open(replies)))
            }
        }
    }
}

impl<C: Carrier, F> Drop for Member<'_, C, F> {
    fn drop(&mut self) {
        let Some(place) = &self.place else { return };
        let mut state = lock(&place.batch.state);
        state.waiting -= 1;
        let waker = state.wakers.get_mut(place.waker).and_then(Option::take);
        drop(state);
        drop(waker);
    }
}

#[cfg(test)]
mod tests;
