//! What an entry takes on the heap.

use harness::allocator::Counter;

use crate::contender::{Contender, runtime};
use crate::workload::{self, LARGE};

/// What 100,000 entries of `Arc<User>` (122 bytes of payload each) keep on the heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    bytes: u64,
    /// How many of the entries the cache still holds.
    held: u64,
}

impl Memory {
    /// Bytes per entry that is still held; how many are held, where that is not all.
    pub(crate) fn cell(self) -> String {
        let per_entry = self.bytes / self.held.max(1);
        match self.held {
            LARGE => per_entry.to_string(),
            held => format!("{per_entry} ({held} held)"),
        }
    }
}

/// Makes a contender, loads 100,000 users into it and counts what stays on the heap, the cache's
/// own tables included. Then asks for them again to see how many are held.
pub(crate) fn of<C: Contender>(make: impl Future<Output = C>) -> Memory {
    runtime(1).block_on(async {
        let counter = Counter::start();
        let contender = make.await;
        call(&contender, 0..LARGE).await;
        let bytes = counter.stop().bytes.unsigned_abs();
        let before = workload::loads();
        // The newest first: what is loaded again then pushes out only what was already counted.
        call(&contender, (0..LARGE).rev()).await;
        let lost = workload::loads() - before;
        Memory { bytes, held: LARGE.saturating_sub(lost) }
    })
}

async fn call<C: Contender>(contender: &C, users: impl Iterator<Item = u64>) {
    for user in users {
        let (tenant, id) = workload::key(user);
        drop(contender.get(tenant, id).await);
    }
}
