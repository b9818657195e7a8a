//! Operations that wait at the same moment go out as one.
//!
//! An operation that finds nothing under way goes out alone, at once and in its caller's own task: nothing is waited for,
//! and nobody else depends on it. While anything is under way, operations gather in a batch, which a task of its own sends
//! as soon as whatever was ready to run has had its turns: whoever is about to ask anyway is taken along, and still
//! nothing waits for time to pass or for a reply. Many batches may be under way.
//!
//! A batch that holds as many operations as are under way, while those are few, goes out before that. Otherwise callers
//! who ask again and again would all come to be in one batch, as buses on one line do: client and server would take
//! turns, each idle while the other works. So there are two, and while one is answered, those of the other have their
//! replies.
//!
//! A caller that is dropped, or not polled, holds up nobody: a batch belongs to its task, not to the one who began it.
//! What no caller waits for any more is not sent. A batch always ends: if its task does not (its runtime is shut down, or
//! it panics), its operations fail.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::under_way::{Flight, UnderWay, let_others_run};
use crate::fault::Fault;
use crate::sync::{Arc, AtomicUsize, Handle, Mutex, OnceLock, Ordering, lock};

/// What carries operations of one kind to the server and their replies back.
pub(crate) trait Carrier: Send + Sync + 'static {
    /// One operation.
    type Item<'a>: Copy + Send;
    /// Operations on their way.
    type Load: Default + Send + 'static;
    /// One reply.
    type Reply: Send + Sync + 'static;

    /// How many replies an operation has.
    fn count(item: Self::Item<'_>) -> usize;

    fn add(&self, load: &mut Self::Load, item: Self::Item<'_>);

    /// Whether no more are to be added, although there are not too many.
    fn is_full(load: &Self::Load) -> bool;

    /// The replies, in the order of what was added.
    fn carry(&self, load: Self::Load) -> impl Future<Output = Result<Vec<Self::Reply>, Fault>> + Send;

    /// How many bytes a reply took.
    fn size(reply: &Self::Reply) -> usize;
}

/// Most replies to one batch, while they are small.
pub(super) const MOST_REPLIES: usize = 256;

/// Operations that a batch has room for without growing.
const FEW: usize = 32;

/// Fewest replies that a batch may have, however large they are.
pub(super) const FEWEST_REPLIES: usize = 8;

/// The size that a batch's reply is to have at most: a larger one would hold up all others on its connection.
const REPLY_BYTES: usize = 256 * 1024;

/// Gathers operations of one kind.
pub(crate) struct Batches<C: Carrier> {
    pub(super) shared: Arc<Shared<C>>,
}

pub(super) struct Shared<C: Carrier> {
    carrier: C,
    runtime: Handle,
    /// The batch that takes operations, if there is one. It may be closed by now.
    pub(super) gathering: Mutex<Option<Arc<Batch<C>>>>,
    /// Batches, and operations without one.
    pub(super) under_way: UnderWay,
    /// How many bytes a reply has, on a moving average.
    size: AtomicUsize,
}

pub(super) struct Batch<C: Carrier> {
    state: Mutex<State<C>>,
    /// The replies. Read without the lock: those who asked come all at once.
    outcome: OnceLock<Result<Vec<C::Reply>, Fault>>,
}

struct State<C: Carrier> {
    phase: Phase<C>,
    /// Of each operation, by its place; nothing for one that left.
    wakers: Vec<Option<Waker>>,
    waiting: usize,
}

enum Phase<C: Carrier> {
    Gathering {
        load: C::Load,
        replies: usize,
    },
    /// Sent, or never to be sent.
    Closed,
}

impl<C: Carrier> Batches<C> {
    /// Batches are sent by tasks of this runtime.
    pub(crate) fn new(carrier: C, runtime: Handle) -> Self {
        let shared = Shared {
            carrier,
            runtime,
            gathering: Mutex::new(None),
            under_way: UnderWay::new(),
            size: AtomicUsize::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The replies to an operation, made into `T` by `open`. Nothing happens until it is polled.
    ///
    /// # Cancel safety
    /// A dropped operation leaves nothing behind. It may have been sent, or be sent with others a moment later.
    pub(crate) fn ask<'a, T, F>(&'a self, item: C::Item<'a>, open: F) -> Asked<'a, C, F>
    where
        F: FnOnce(&[C::Reply]) -> Result<T, Fault>,
    {
        Asked { shared: &self.shared, item, open: Some(open), stage: Stage::New }
    }
}

impl<C: Carrier> Shared<C> {
    /// An operation that goes out without others. Boxed, since those who go out with others do not need it.
    fn alone<'a>(&'a self, flight: Flight<'a>, item: C::Item<'_>) -> Alone<'a, C> {
        let mut load = C::Load::default();
        self.carrier.add(&mut load, item);
        let replies = C::count(item);
        Box::pin(async move {
            let replies = self.carry(load, replies).await;
            drop(flight);
            replies
        })
    }

    async fn carry(&self, load: C::Load, expected: usize) -> Result<Vec<C::Reply>, Fault> {
        let replies = self.carrier.carry(load).await?;
        if replies.len() != expected {
            return Err(Fault::Nonsense(format!("{} replies where {expected} were expected", replies.len())));
        }
        self.weigh(&replies);
        Ok(replies)
    }

    pub(super) fn weigh(&self, replies: &[C::Reply]) {
        let size = replies.iter().map(C::size).sum::<usize>() / replies.len().max(1);
        let mean = self.size.load(Ordering::Relaxed);
        // Half of what is new: a lost update does no harm, and large values are noticed at once.
        self.size.store(mean.midpoint(size), Ordering::Relaxed);
    }

    pub(super) fn most_replies(&self) -> usize {
        (REPLY_BYTES / self.size.load(Ordering::Relaxed).max(1)).clamp(FEWEST_REPLIES, MOST_REPLIES)
    }

    /// Adds an operation to the batch that gathers, or to a new one.
    fn join(self: &Arc<Self>, item: C::Item<'_>, waker: &Waker) -> Place<C> {
        let mut gathering = lock(&self.gathering);
        if let Some(batch) = gathering.as_ref()
            && let Some(place) = batch.join(self, item, waker)
        {
            if self.under_way.is_matched_by(place.replies.end) {
                *gathering = None;
                drop(gathering);
                if let Some(sending) = Sending::begin(self, &place.batch) {
                    self.runtime.spawn(sending.run());
                }
            }
            return place;
        }
        let batch = Arc::new(Batch::new());
        let place = batch.join(self, item, waker).expect("an empty batch takes any operation");
        *gathering = Some(Arc::clone(&batch));
        drop(gathering);
        // Whoever asks meanwhile is to go with it, not alone.
        self.under_way.begin(0);
        self.runtime.spawn(Gathering { shared: Arc::clone(self), batch: Some(batch) }.run());
        place
    }

    /// Lets go of a batch that is about to close, so that its replies do not outlive those who asked.
    fn forget(&self, batch: &Arc<Batch<C>>) {
        let mut gathering = lock(&self.gathering);
        if gathering.as_ref().is_some_and(|other| Arc::ptr_eq(other, batch)) {
            *gathering = None;
        }
    }
}

/// An operation's place in a batch: who waits there, and which replies are its own.
struct Place<C: Carrier> {
    batch: Arc<Batch<C>>,
    waker: usize,
    replies: Range<usize>,
}

impl<C: Carrier> Batch<C> {
    fn new() -> Self {
        let phase = Phase::Gathering { load: C::Load::default(), replies: 0 };
        let state = State { phase, wakers: Vec::with_capacity(FEW), waiting: 0 };
        Self { state: Mutex::new(state), outcome: OnceLock::new() }
    }

    fn join(self: &Arc<Self>, shared: &Shared<C>, item: C::Item<'_>, waker: &Waker) -> Option<Place<C>> {
        let mut state = lock(&self.state);
        let Phase::Gathering { load, replies } = &mut state.phase else { return None };
        let first = *replies;
        let end = first + C::count(item);
        if first > 0 && (end > shared.most_replies() || C::is_full(load)) {
            return None;
        }
        *replies = end;
        shared.carrier.add(load, item);
        state.wakers.push(Some(waker.clone()));
        state.waiting += 1;
        Some(Place { batch: Arc::clone(self), waker: state.wakers.len() - 1, replies: first..end })
    }

    /// Closes the batch. Its load and how many replies it will have, unless everybody has left.
    fn close(&self) -> Option<(C::Load, usize)> {
        let mut state = lock(&self.state);
        let Phase::Gathering { load, replies } = std::mem::replace(&mut state.phase, Phase::Closed) else {
            return None;
        };
        (state.waiting > 0).then_some((load, replies))
    }

    fn end(&self, outcome: Result<Vec<C::Reply>, Fault>) {
        if self.outcome.set(outcome).is_err() {
            return;
        }
        // After the outcome: who finds no place for a waker any more, under the same lock, finds that.
        let wakers = std::mem::take(&mut lock(&self.state).wakers);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// The duty to send a batch once whoever is about to ask has asked, unless it goes out before.
struct Gathering<C: Carrier> {
    shared: Arc<Shared<C>>,
    /// Until it is closed.
    batch: Option<Arc<Batch<C>>>,
}

impl<C: Carrier> Gathering<C> {
    async fn run(mut self) {
        let_others_run().await;
        if let Some(sending) = self.close() {
            sending.run().await;
        }
    }

    fn close(&mut self) -> Option<Sending<C>> {
        let batch = self.batch.take()?;
        self.shared.forget(&batch);
        let sending = Sending::begin(&self.shared, &batch);
        self.shared.under_way.end(0);
        sending
    }
}

impl<C: Carrier> Drop for Gathering<C> {
    fn drop(&mut self) {
        drop(self.close());
    }
}

/// The duty to send a batch that nobody joins any more, and to end it.
struct Sending<C: Carrier> {
    shared: Arc<Shared<C>>,
    batch: Arc<Batch<C>>,
    load: C::Load,
    /// How many there will be.
    replies: usize,
}

impl<C: Carrier> Sending<C> {
    /// Nothing if somebody else has it, or everybody who asked has left.
    fn begin(shared: &Arc<Shared<C>>, batch: &Arc<Batch<C>>) -> Option<Self> {
        let (load, replies) = batch.close()?;
        shared.under_way.begin(replies);
        Some(Self { shared: Arc::clone(shared), batch: Arc::clone(batch), load, replies })
    }

    async fn run(mut self) {
        let outcome = self.shared.carry(std::mem::take(&mut self.load), self.replies).await;
        self.end(outcome);
    }

    fn end(&self, outcome: Result<Vec<C::Reply>, Fault>) {
        self.shared.under_way.end(self.replies);
        self.batch.end(outcome);
    }
}

impl<C: Carrier> Drop for Sending<C> {
    fn drop(&mut self) {
        if self.batch.outcome.get().is_none() {
            self.end(Err(Fault::Broken("the task that asked for all was stopped".to_owned())));
        }
    }
}

/// One operation. Its own future, and not a function's: every miss carries one along, so that it is to be small.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Asked<'a, C: Carrier, F> {
    shared: &'a Arc<Shared<C>>,
    item: C::Item<'a>,
    open: Option<F>,
    stage: Stage<'a, C>,
}

type Alone<'a, C> = Pin<Box<dyn Future<Output = Result<Vec<<C as Carrier>::Reply>, Fault>> + Send + 'a>>;

/// How far an operation is.
enum Stage<'a, C: Carrier> {
    New,
    Alone(Alone<'a, C>),
    Together(Place<C>),
}

impl<C: Carrier, F> Unpin for Asked<'_, C, F> {}

impl<C: Carrier, T, F: FnOnce(&[C::Reply]) -> Result<T, Fault>> Future for Asked<'_, C, F> {
    type Output = Result<T, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if matches!(this.stage, Stage::New) {
            this.stage = match this.shared.under_way.alone(C::count(this.item)) {
                Some(flight) => Stage::Alone(this.shared.alone(flight, this.item)),
                None => Stage::Together(this.shared.join(this.item, context.waker())),
            };
            if matches!(this.stage, Stage::Together(_)) {
                return Poll::Pending;
            }
        }
        let mut open = |replies: &[C::Reply]| {
            let open = this.open.take().expect("a future is not polled after its end");
            open(replies)
        };
        match &mut this.stage {
            Stage::New => unreachable!("it has begun"),
            Stage::Alone(alone) => alone.as_mut().poll(context).map(|replies| open(&replies?)),
            Stage::Together(place) => place.poll(context, open),
        }
    }
}

impl<C: Carrier> Place<C> {
    fn poll<T>(
        &self,
        context: &Context<'_>,
        open: impl FnOnce(&[C::Reply]) -> Result<T, Fault>,
    ) -> Poll<Result<T, Fault>> {
        match self.batch.outcome.get().or_else(|| self.wait(context)) {
            None => Poll::Pending,
            Some(Err(fault)) => Poll::Ready(Err(fault.clone())),
            Some(Ok(replies)) => Poll::Ready(open(&replies[self.replies.clone()])),
        }
    }

    /// Waits on, unless the outcome has come meanwhile.
    fn wait(&self, context: &Context<'_>) -> Option<&Result<Vec<C::Reply>, Fault>> {
        let mut state = lock(&self.batch.state);
        if let Some(outcome) = self.batch.outcome.get() {
            return Some(outcome);
        }
        let old = state.wakers[self.waker].replace(context.waker().clone());
        drop(state);
        drop(old);
        None
    }
}

impl<C: Carrier> Drop for Place<C> {
    fn drop(&mut self) {
        if self.batch.outcome.get().is_some() {
            return;
        }
        let mut state = lock(&self.batch.state);
        state.waiting -= 1;
        let waker = state.wakers.get_mut(self.waker).and_then(Option::take);
        drop(state);
        drop(waker);
    }
}
