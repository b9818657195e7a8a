//! Counts what is asked of the heap, exactly: every call and its size, of every thread.
//!
//! Counting is off unless a [`Counter`] runs, and then costs one relaxed load of a value that nobody
//! writes, so that one program can measure times and counts.
#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait; there is no safe way to count")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

/// The system's allocator with counters in front of it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNTING: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

/// What happened on the heap while a [`Counter`] ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Calls of `alloc` and `realloc`.
    pub allocations: u64,
    /// Bytes asked for, less the bytes given back: what stays. Without the allocator's rounding.
    pub bytes: i64,
}

/// Counts from [`Counter::start`] to [`Counter::stop`]. One at a time.
pub struct Counter {
    calls_before: u64,
    bytes_before: i64,
}

impl Counter {
    /// Begins to count what all threads ask of the heap.
    pub fn start() -> Self {
        assert!(!COUNTING.swap(true, Relaxed), "somebody else is counting");
        Self { calls_before: CALLS.load(Relaxed), bytes_before: BYTES.load(Relaxed) }
    }

    pub fn stop(self) -> Count {
        COUNTING.store(false, Relaxed);
        Count { allocations: CALLS.load(Relaxed) - self.calls_before, bytes: BYTES.load(Relaxed) - self.bytes_before }
    }
}

fn record(calls: u64, bytes: i64) {
    if COUNTING.load(Relaxed) {
        CALLS.fetch_add(calls, Relaxed);
        BYTES.fetch_add(bytes, Relaxed);
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("a layout is at most isize::MAX bytes")
}

// SAFETY: every method hands its arguments on to `System` unchanged and returns what `System`
// returned, so `System` keeps the contract of `GlobalAlloc` for us; the counters are atomics and
// do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        record(1, signed(layout.size()));
        // SAFETY: the caller keeps the contract of `alloc`, and `System` gets the same layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        record(1, signed(layout.size()));
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        record(0, -signed(layout.size()));
        // SAFETY: the pointer came from `System`, through one of our methods, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        record(1, signed(size) - signed(layout.size()));
        // SAFETY: the pointer came from `System`, through one of our methods, with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
