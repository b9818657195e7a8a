//! A thousand calls that meet one cold key.

use std::sync::Arc;

use crate::contender::{Contender, runtime};
use crate::workload;

const CALLS: usize = 1_000;
/// A user whom nobody has read.
const COLD: u64 = 1_000_000;

/// How often the body ran for 1,000 concurrent calls. The body takes 50 ms.
pub(crate) fn of<C: Contender>(contender: C) -> u64 {
    let contender = Arc::new(contender);
    let runtime = runtime(2);
    let before = workload::loads();
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let contender = Arc::clone(&contender);
            runtime.spawn(async move { drop(contender.get(7, COLD).await) })
        })
        .collect();
    for call in calls {
        runtime.block_on(call).expect("no call panics");
    }
    workload::loads() - before
}
