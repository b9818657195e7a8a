//! Plain subscribers: whoever wants to see events without caching anything.

use std::any::{Any, TypeId};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::de::Error as _;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::error::Error;
use crate::event::Event;

/// Events that wait for a slow subscriber; the oldest are dropped beyond it, counted and warned of.
const WAITING: usize = 1_024;

/// Bytes of JSON of the latest events of a type that may wait; the oldest are dropped beyond it too. Whoever publishes
/// them may be a stranger.
const WAITING_BYTES: usize = 16 << 20;

/// An event without its type.
type Shared = Arc<dyn Any + Send + Sync>;

/// An event on its way to its subscribers; nothing when too much has come after it.
#[derive(Debug)]
struct Waiting(Mutex<Option<Shared>>);

impl Waiting {
    fn event(&self) -> Option<Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self) -> Option<Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The latest events of one type, oldest first, with the lengths of their JSON. Who has read them all keeps none alive.
#[derive(Debug, Default)]
struct Latest {
    events: VecDeque<(Weak<Waiting>, usize)>,
    bytes: usize,
}

impl Latest {
    /// Adds one, and takes out the oldest that are too much then.
    fn add(&mut self, waiting: &Arc<Waiting>, bytes: usize) -> Vec<Shared> {
        self.events.push_back((Arc::downgrade(waiting), bytes));
        self.bytes += bytes;
        let mut dropped = Vec::new();
        while self.events.len() > WAITING || (self.bytes > WAITING_BYTES && self.events.len() > 1) {
            let Some((oldest, bytes)) = self.events.pop_front() else { break };
            self.bytes -= bytes;
            dropped.extend(oldest.upgrade().and_then(|oldest| oldest.take()));
        }
        dropped
    }
}

/// The subscribers of one type.
#[derive(Clone, Debug)]
struct Sender {
    events: broadcast::Sender<Arc<Waiting>>,
    latest: Arc<Mutex<Latest>>,
    name: &'static str,
    decode: fn(&[u8]) -> Result<Shared, serde_json::Error>,
}

impl Sender {
    fn of<E: Event>() -> Self {
        let decode = |json: &[u8]| serde_json::from_slice::<E>(json).map(|event| Arc::new(event) as Shared);
        Self { events: broadcast::channel(WAITING).0, latest: Arc::default(), name: E::NAME, decode }
    }

    /// Hands an event, of which this is the JSON, to all who subscribe now. Its own code may panic: who reads the bus goes
    /// on all the same.
    fn hand_out(&self, json: &[u8]) -> Result<(), serde_json::Error> {
        let decode = self.decode;
        let decoded = catch_unwind(|| decode(json));
        let event = decoded.unwrap_or_else(|_| Err(serde_json::Error::custom("its `Deserialize` panicked")))?;
        let waiting = Arc::new(Waiting(Mutex::new(Some(event))));
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = latest.add(&waiting, json.len());
        // Only an error when the last subscriber left meanwhile.
        dropped.extend(self.events.send(waiting).err().and_then(|unheard| unheard.0.take()));
        drop(latest);
        // What they do when they are dropped is their own.
        for event in dropped {
            if catch_unwind(AssertUnwindSafe(|| drop(event))).is_err() {
                tracing::warn!(event = self.name, "the `Drop` of an event panicked");
            }
        }
        Ok(())
    }

    fn is_heard(&self) -> bool {
        self.events.receiver_count() > 0
    }
}

/// The subscribers of one cache, by event type.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    senders: Mutex<HashMap<TypeId, Sender>>,
}

impl Subscribers {
    pub(crate) fn subscribe<E: Event>(&self) -> Subscription<E> {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = senders.entry(TypeId::of::<E>()).or_insert_with(Sender::of::<E>);
        Subscription::new(sender.events.subscribe())
    }

    /// Hands a copy to the subscribers of this type. The copy takes the way it would take between processes: JSON.
    pub(crate) fn send<E: Event>(&self, event: &E) -> Result<(), Error> {
        let Some(sender) = self.heard_as(TypeId::of::<E>()) else { return Ok(()) };
        let json = serde_json::to_vec(event).map_err(Error::Event)?;
        sender.hand_out(&json).map_err(Error::Event)
    }

    /// The same, of an event that is JSON already.
    pub(crate) fn hand_out(&self, heard_as: TypeId, json: &[u8]) -> Result<(), Error> {
        self.heard_as(heard_as).map_or(Ok(()), |sender| sender.hand_out(json)).map_err(Error::Event)
    }

    /// The way to the subscribers of this type, if there are any.
    fn heard_as(&self, event: TypeId) -> Option<Sender> {
        let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.get(&event).filter(|sender| sender.is_heard()).cloned()
    }

    /// Hands an event of another process to the subscribers of its name.
    pub(crate) fn deliver(&self, name: &str, json: &[u8]) {
        let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let heard: Vec<_> =
            senders.values().filter(|sender| sender.name == name && sender.is_heard()).cloned().collect();
        drop(senders);
        for sender in heard {
            if let Err(error) = sender.hand_out(json) {
                tracing::warn!(event = name, %error, "an event of another process is not understood");
            }
        }
    }
}

/// The events of one type, as a stream or one by one. Dropping it unsubscribes.
pub struct Subscription<E> {
    next: Pin<Box<dyn Future<Output = Received> + Send + Sync>>,
    missed: u64,
    events: PhantomData<fn() -> E>,
}

type Receiver = broadcast::Receiver<Arc<Waiting>>;
type Received = (Result<Arc<Waiting>, RecvError>, Receiver);

async fn receive(mut receiver: Receiver) -> Received {
    (receiver.recv().await, receiver)
}

impl<E: Event> Subscription<E> {
    fn new(receiver: Receiver) -> Self {
        Self { next: Box::pin(receive(receiver)), missed: 0, events: PhantomData }
    }

    /// The next event; nothing when the cache is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call gets the same event.
    pub async fn recv(&mut self) -> Option<Arc<E>> {
        std::future::poll_fn(|context| self.poll_event(context)).await
    }

    /// How many events were dropped because this subscriber was more than 1,024 behind, or 16 MiB of their JSON.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Arc<E>>> {
        loop {
            let (event, receiver) = std::task::ready!(self.next.as_mut().poll(context));
            self.next = Box::pin(receive(receiver));
            match event {
                Ok(waiting) => match waiting.event().map(<Arc<dyn Any + Send + Sync>>::downcast::<E>) {
                    Some(Ok(event)) => return Poll::Ready(Some(event)),
                    Some(Err(_)) => {}
                    None => self.lag(1),
                },
                Err(RecvError::Lagged(missed)) => self.lag(missed),
                Err(RecvError::Closed) => return Poll::Ready(None),
            }
        }
    }

    fn lag(&mut self, missed: u64) {
        let before = self.missed;
        self.missed += missed;
        // One by one they are many lines; twice as many are worth another.
        if self.missed.ilog2() > before.checked_ilog2().unwrap_or(0) || before == 0 {
            tracing::warn!(event = E::NAME, missed = self.missed, "a subscriber is too slow: events were dropped");
        }
    }
}

impl<E: Event> Stream for Subscription<E> {
    type Item = Arc<E>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Arc<E>>> {
        self.get_mut().poll_event(context)
    }
}

impl<E: Event> fmt::Debug for Subscription<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("event", &E::NAME).field("missed", &self.missed).finish_non_exhaustive()
    }
}
