//! A simulated process: a tokio runtime of its own, which runs until it has nothing to do and is then left alone.
//!
//! It can be paused (nothing in it runs, its sleeps end late: `SIGSTOP`) and it can crash (all its tasks are dropped where
//! they stand: `kill -9`).

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use cache_runtime::Cache;
use cache_tests::history::ProcessNumber;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::SetOnce;

use crate::world::world;

/// Whoever waits for the runtime to have nothing to do.
#[derive(Clone, Debug, Default)]
struct Idle(Arc<Mutex<Option<Waker>>>);

impl Idle {
    fn set(&self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), waker)
    }
}

/// Ends when nothing else in its runtime has anything to do.
struct UntilIdle<'a>(&'a Idle, bool);

impl Future for UntilIdle<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.1, true) {
            return Poll::Ready(());
        }
        self.0.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// One process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) number: ProcessNumber,
    runtime: Option<Runtime>,
    idle: Idle,
    /// Wakes who waits for it in the order in which they began to: a `watch` draws lots.
    cache: Arc<SetOnce<Cache>>,
    is_paused: bool,
}

impl Process {
    pub(crate) fn start(number: ProcessNumber) -> Self {
        let idle = Idle::default();
        let parked = idle.clone();
        // About to wait: that is when it has nothing to do.
        let park = move || {
            if let Some(waker) = parked.set(None) {
                waker.wake();
            }
        };
        let runtime = Builder::new_current_thread().on_thread_park(park).build().expect("a runtime without drivers");
        Self { number, runtime: Some(runtime), idle, cache: Arc::default(), is_paused: false }
    }

    /// Where its cache is once it is built.
    pub(crate) fn cache(&self) -> Arc<SetOnce<Cache>> {
        Arc::clone(&self.cache)
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.runtime.is_some()
    }

    /// A task of the process.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            drop(runtime.spawn(task));
            world().wake(self.number);
        }
    }

    /// Everything in it runs until it waits.
    pub(crate) fn run(&self) {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.is_paused) else { return };
        world().set_running(self.number);
        runtime.block_on(UntilIdle(&self.idle, false));
    }

    pub(crate) fn pause(&mut self) {
        self.is_paused = true;
    }

    pub(crate) fn resume(&mut self) {
        self.is_paused = false;
        world().wake(self.number);
    }

    /// It is gone, as it stands.
    pub(crate) fn crash(&mut self) {
        let world = world();
        world.set_running(self.number);
        // Before the runtime drops its tasks: their order follows from how many there ever were in this test.
        let connections = world.network.borrow().of(Some(self.number), None);
        for connection in connections {
            let waker = world.network.borrow_mut().close(connection);
            drop(waker);
        }
        let runtime = self.runtime.take();
        drop(runtime);
        self.cache = Arc::default();
    }
}
