//! The world of one run: virtual time, what is going to happen, and the chance that decides.
//!
//! Nothing here waits or runs beside anything else. What will happen stands in one queue, ordered by its time; a run takes
//! the next of it, moves the clock there, and lets every process that was woken run until it has nothing more to do.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cache_runtime::Sleep;
use cache_runtime::simulation::{Connecting, World as Port};
use cache_tests::history::{Nanos, ProcessNumber, nanos};

use crate::network::{ConnectionNumber, Delivery, Network};

/// What will happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody has slept long enough.
    Wake(ProcessNumber, Waker),
    /// Something comes to the end of its way over the network.
    Deliver(ConnectionNumber, Delivery),
    /// A command that blocks has waited long enough; of this round, if it waits still.
    Unblock(ConnectionNumber, u64),
    /// Number so and so of the plan.
    Step(usize),
    /// The data of this moment are kept, for the fault that is number so and so of the plan.
    Remember(usize),
    /// A fault that began as number so and so of the plan is over.
    Heal(usize),
}

/// The world of this thread's run.
#[derive(Debug)]
pub(crate) struct World {
    now: Cell<Nanos>,
    queue: RefCell<BTreeMap<(Nanos, u64), Event>>,
    sequence: Cell<u64>,
    /// Who runs now.
    running: Cell<ProcessNumber>,
    woken: RefCell<VecDeque<ProcessNumber>>,
    random: RefCell<fastrand::Rng>,
    pub(crate) network: RefCell<Network>,
    trace: Cell<u64>,
}

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// The world of this thread.
pub(crate) fn world() -> Rc<World> {
    WORLD.with_borrow(|world| Rc::clone(world.as_ref().expect("a run has begun")))
}

/// The time of this thread's world.
pub(crate) fn now() -> Nanos {
    world().now()
}

/// Ends after this time.
pub(crate) fn sleep(duration: Duration) -> Sleep {
    Box::pin(Sleeping { until: now().saturating_add(nanos(duration)), place: None })
}

impl World {
    /// A new world becomes this thread's.
    pub(crate) fn begin(seed: u64) -> Rc<Self> {
        let world = Rc::new(Self {
            now: Cell::new(0),
            queue: RefCell::default(),
            sequence: Cell::new(0),
            running: Cell::new(0),
            woken: RefCell::default(),
            random: RefCell::new(fastrand::Rng::with_seed(seed)),
            network: RefCell::default(),
            trace: Cell::new(seed),
        });
        WORLD.with_borrow_mut(|current| *current = Some(Rc::clone(&world)));
        world
    }

    pub(crate) fn now(&self) -> Nanos {
        self.now.get()
    }

    /// Something will happen at this time; its place in the queue.
    pub(crate) fn at(&self, time: Nanos, event: Event) -> (Nanos, u64) {
        let sequence = self.sequence.get();
        self.sequence.set(sequence + 1);
        let place = (time.max(self.now()), sequence);
        self.queue.borrow_mut().insert(place, event);
        place
    }

    /// It will not happen.
    pub(crate) fn cancel(&self, place: (Nanos, u64)) {
        // Dropped outside: a waker may hold more than it shows.
        let event = self.queue.borrow_mut().remove(&place);
        drop(event);
    }

    /// What happens next, if that is not after `end`; it is its time then.
    pub(crate) fn next(&self, end: Nanos) -> Option<Event> {
        let mut queue = self.queue.borrow_mut();
        let ((time, _), event) = queue.first_key_value().filter(|((time, _), _)| *time <= end)?;
        self.note(*time, std::mem::discriminant(event));
        queue.pop_first().map(|((time, _), event)| {
            self.now.set(time);
            event
        })
    }

    /// Nothing more happens before this time.
    pub(crate) fn set_now(&self, now: Nanos) {
        self.now.set(self.now.get().max(now));
    }

    /// This process has something to do.
    pub(crate) fn wake(&self, process: ProcessNumber) {
        let mut woken = self.woken.borrow_mut();
        if !woken.contains(&process) {
            woken.push_back(process);
        }
    }

    /// The next process that has something to do.
    pub(crate) fn next_woken(&self) -> Option<ProcessNumber> {
        self.woken.borrow_mut().pop_front()
    }

    /// What is done from here on is done by this process.
    pub(crate) fn set_running(&self, process: ProcessNumber) {
        self.running.set(process);
    }

    pub(crate) fn running(&self) -> ProcessNumber {
        self.running.get()
    }

    /// What chance says.
    pub(crate) fn draw<R>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> R) -> R {
        draw(&mut self.random.borrow_mut())
    }

    /// How much has happened or was going to.
    pub(crate) fn events(&self) -> u64 {
        self.sequence.get()
    }

    /// Mixes something that happened into the trace.
    pub(crate) fn note(&self, time: Nanos, what: impl std::hash::Hash) {
        use std::hash::Hasher as _;
        let mut hasher = Mixer(self.trace.get() ^ time);
        what.hash(&mut hasher);
        self.trace.set(hasher.finish());
    }

    /// The same for two runs that were the same.
    pub(crate) fn trace(&self) -> u64 {
        self.trace.get()
    }
}

/// A hash that is the same on every machine: FNV-1a by words.
struct Mixer(u64);

impl std::hash::Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }
}

impl Port for World {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.now.get())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        // tidy: sleep because it is virtual here
        sleep(duration)
    }

    fn connect(&self, address: &str) -> Connecting {
        crate::network::connect(self.running(), address)
    }
}

struct Sleeping {
    until: Nanos,
    /// Its place in the queue, and who is woken.
    place: Option<((Nanos, u64), Waker)>,
}

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let world = world();
        let is_over = world.now() >= self.until;
        match &self.place {
            Some((_, waker)) if !is_over && waker.will_wake(context.waker()) => return Poll::Pending,
            _ => self.cancel(),
        }
        if is_over {
            return Poll::Ready(());
        }
        // The end of time is not waited for.
        if self.until < Nanos::MAX {
            let waker = context.waker();
            let place = world.at(self.until, Event::Wake(world.running(), waker.clone()));
            self.place = Some((place, waker.clone()));
        }
        Poll::Pending
    }
}

impl Sleeping {
    fn cancel(&mut self) {
        if let Some((place, _)) = self.place.take() {
            world().cancel(place);
        }
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        self.cancel();
    }
}
