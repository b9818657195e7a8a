//! The world port: clock, timers, network and hash seeds of a thread that simulates. Every other thread has none, and
//! runs as ever.

use std::cell::RefCell;
use std::future::Future;
use std::hash::BuildHasher;
use std::io;
use std::ops::{Add, AddAssign, Sub};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use foldhash::quality::{FixedState, FoldHasher};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::clock::Sleep;

/// Bytes in both directions.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<W: AsyncRead + AsyncWrite + Send + Unpin> Wire for W {}

/// A connection on its way.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Wire>>> + Send>>;

/// The world around the caches of one thread.
pub trait World {
    /// The time since the world began.
    fn now(&self) -> Duration;

    /// Ends after this time.
    fn sleep(&self, duration: Duration) -> Sleep;

    /// Connects to what listens at this address.
    fn connect(&self, address: &str) -> Connecting;
}

thread_local! {
    static WORLD: RefCell<Option<Rc<dyn World>>> = const { RefCell::new(None) };
}

/// This thread's world from now on; the one before.
pub(crate) fn set(world: Option<Rc<dyn World>>) -> Option<Rc<dyn World>> {
    WORLD.with_borrow_mut(|current| std::mem::replace(current, world))
}

fn world() -> Option<Rc<dyn World>> {
    WORLD.try_with(|world| world.borrow().clone()).ok().flatten()
}

pub(crate) fn now() -> Option<Duration> {
    world().map(|world| world.now())
}

pub(crate) fn sleep(duration: Duration) -> Option<Sleep> {
    world().map(|world| world.sleep(duration))
}

pub(crate) fn connect(address: &str) -> Option<Connecting> {
    world().map(|world| world.connect(address))
}

/// A moment of the world that this thread has entered, or else of the system's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        static ORIGIN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
        Self(now().unwrap_or_else(|| ORIGIN.elapsed()))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }

    pub(crate) fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    pub(crate) fn duration_since(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        self.0 += duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// Hash seeds: always the same in a simulated world.
#[derive(Clone, Debug)]
pub(crate) enum RandomState {
    Random(foldhash::quality::RandomState),
    Fixed(FixedState),
}

impl Default for RandomState {
    fn default() -> Self {
        match world() {
            Some(_) => Self::Fixed(FixedState::default()),
            None => Self::Random(foldhash::quality::RandomState::default()),
        }
    }
}

impl BuildHasher for RandomState {
    type Hasher = FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> FoldHasher<'static> {
        match self {
            Self::Random(state) => state.build_hasher(),
            Self::Fixed(state) => state.build_hasher(),
        }
    }
}
