//! The locks and atomics of the parts whose schedules are explored by tests, and what runs their tasks: the tests
//! replace this module by another.

pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub(crate) use tokio::runtime::Handle;

/// Locks, and goes on after a panic of another holder: every locked section here leaves the state whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
