//! What is under way to the server and back, counted, and when more is sent.

use std::task::Poll;

use crate::sync::{AtomicUsize, Ordering};

/// Fewest replies to a batch that goes out early: a smaller one costs more than it gains.
const LEAST_EARLY: usize = 24;

/// With more than this under way both client and server have enough to do, and fewer batches are cheaper.
const MOST_EARLY: usize = 48;

/// How often whoever is ready to run has its turn before a batch goes out. Once would do on one thread; where several
/// share the work, most of those who are about to ask have theirs on another.
const TURNS: usize = 4;

/// Counts of flights and of the replies that they ask for.
#[derive(Debug)]
pub(crate) struct UnderWay {
    flights: AtomicUsize,
    replies: AtomicUsize,
}

impl UnderWay {
    pub(crate) fn new() -> Self {
        Self { flights: AtomicUsize::new(0), replies: AtomicUsize::new(0) }
    }

    /// A flight, only if there is no other.
    pub(crate) fn alone(&self, replies: usize) -> Option<Flight<'_>> {
        // Read first: under load it is never 0, and a line that is only read stays in every processor's cache.
        if self.flights.load(Ordering::Relaxed) > 0 {
            return None;
        }
        self.flights.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        self.replies.fetch_add(replies, Ordering::Relaxed);
        Some(Flight { all: self, replies })
    }

    /// A flight begins, whatever else there is.
    pub(crate) fn begin(&self, replies: usize) {
        self.flights.fetch_add(1, Ordering::Relaxed);
        self.replies.fetch_add(replies, Ordering::Relaxed);
    }

    pub(crate) fn end(&self, replies: usize) {
        self.replies.fetch_sub(replies, Ordering::Relaxed);
        self.flights.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a batch with so many replies is to go out rather than to gather more: it is as much as is under way.
    pub(crate) fn is_matched_by(&self, replies: usize) -> bool {
        let enough = self.replies.load(Ordering::Relaxed).max(LEAST_EARLY);
        enough <= MOST_EARLY && replies >= enough
    }

    #[cfg(test)]
    pub(crate) fn is_nothing(&self) -> bool {
        self.flights.load(Ordering::Relaxed) + self.replies.load(Ordering::Relaxed) == 0
    }
}

/// Something under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Flight<'a> {
    all: &'a UnderWay,
    replies: usize,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.all.end(self.replies);
    }
}

/// Ends when others that were ready to run have had their turns.
pub(crate) async fn let_others_run() {
    let mut turns = 0;
    std::future::poll_fn(|context| {
        if turns == TURNS {
            return Poll::Ready(());
        }
        turns += 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
