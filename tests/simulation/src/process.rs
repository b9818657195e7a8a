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
use tokio::sync::watch;

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
    cache: watch::Sender<Option<Cache>>,
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
        Self { number, runtime: Some(runtime), idle, cache: watch::Sender::new(None), is_paused: false }
    }

    /// Its cache, once it is built.
    pub(crate) fn cache(&self) -> watch::Receiver<Option<Cache>> {
        self.cache.subscribe()
    }

    /// Where its cache goes to once it is built.
    pub(crate) fn installs(&self) -> watch::Sender<Option<Cache>> {
        self.cache.clone()
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
        world().set_running(self.number);
        let runtime = self.runtime.take();
        drop(runtime);
        self.cache.send_replace(None);
    }
}
