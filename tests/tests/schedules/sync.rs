//! The runtime's module of this name, for the explorer.

use std::future::Future;

pub(crate) use shuttle::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard};
use shuttle::{future, thread};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The standard library's, and others may come in before each access to it.
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    /// Whose accesses the explorer sees. Not `yield_now`, which counts as a wake-up.
    seen: AtomicU32,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self { value: std::sync::OnceLock::new(), seen: AtomicU32::new(0) }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.seen.load(Ordering::SeqCst);
        self.value.get()
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.seen.load(Ordering::SeqCst);
        self.value.set(value)
    }
}

/// What becomes of tasks.
#[derive(Clone, Copy)]
pub(crate) enum Tasks {
    Run,
    /// Stopped at some moment, as by a runtime that is shut down.
    Abort,
    /// Dropped at once, as by a runtime that has been shut down.
    Drop,
}

/// What runs tasks.
#[derive(Clone)]
pub(crate) struct Handle {
    tasks: Tasks,
    begun: Arc<Mutex<Vec<future::JoinHandle<()>>>>,
}

impl Handle {
    pub(crate) fn new(tasks: Tasks) -> Self {
        Self { tasks, begun: Arc::new(Mutex::new(Vec::new())) }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match self.tasks {
            Tasks::Run => lock(&self.begun).push(future::spawn(task)),
            Tasks::Abort => {
                let task = future::spawn(task);
                let stop = task.abort_handle();
                lock(&self.begun).push(task);
                thread::spawn(move || {
                    thread::yield_now();
                    stop.abort();
                });
            }
            Tasks::Drop => drop(task),
        }
    }

    /// Waits until all tasks have ended.
    pub(crate) fn rest(&self) {
        let begun = std::mem::take(&mut *lock(&self.begun));
        for task in begun {
            // One that was stopped says so.
            _ = future::block_on(task);
        }
    }
}
