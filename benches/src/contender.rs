//! The one loop that all contenders of the in-process tier run in.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use harness::allocator::{Count, Counter};
pub(crate) use harness::contender::Contender;
use tokio::runtime::Runtime;

use crate::workload::{self, Reads, USERS};

/// How many tasks call, on how many threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    pub(crate) tasks: usize,
    pub(crate) threads: usize,
}

pub(crate) const MODES: [Mode; 3] = [
    Mode { name: "1 task", tasks: 1, threads: 1 },
    Mode { name: "2 tasks, 2 threads", tasks: 2, threads: 2 },
    Mode { name: "64 tasks, 2 threads", tasks: 64, threads: 2 },
];

/// Reads between two yields of a task: rarely, as in a service whose tasks also do other work.
const READS_PER_TURN: usize = 512;

/// The hits of one contender, ready to be measured.
pub(crate) trait Hits {
    /// Makes every user a hit.
    fn warm(&self);
    /// The time of `reads` hits in each of the tasks of `mode`.
    fn time(&self, reads: &Arc<Reads>, mode: Mode, count: usize) -> Duration;
    /// What `count` hits ask of the heap.
    fn count(&self, reads: &Reads, count: usize) -> Count;
}

/// The hits of a contender.
pub(crate) fn hits(contender: impl Contender) -> Box<dyn Hits> {
    Box::new(Measured(Arc::new(contender)))
}

struct Measured<C>(Arc<C>);

impl<C: Contender> Hits for Measured<C> {
    fn warm(&self) {
        runtime(1).block_on(async {
            for user in 0..USERS {
                let (tenant, id) = workload::key(user);
                drop(self.0.get(tenant, id).await);
            }
        });
    }

    fn time(&self, reads: &Arc<Reads>, mode: Mode, count: usize) -> Duration {
        let runtime = runtime(mode.threads);
        if mode.tasks == 1 {
            let begun = Instant::now();
            runtime.block_on(read(&*self.0, reads, 0, count));
            return begun.elapsed();
        }
        self.time_tasks(&runtime, reads, mode, count)
    }

    fn count(&self, reads: &Reads, count: usize) -> Count {
        runtime(1).block_on(async {
            // Once before, so that what a contender and the runtime keep per thread is there.
            read(&*self.0, reads, 0, count).await;
            let counter = Counter::start();
            read(&*self.0, reads, 0, count).await;
            counter.stop()
        })
    }
}

impl<C: Contender> Measured<C> {
    fn time_tasks(&self, runtime: &Runtime, reads: &Arc<Reads>, mode: Mode, count: usize) -> Duration {
        // With one task per thread, each waits for the other, so that both run at once.
        let start = (mode.tasks == mode.threads).then(|| Arc::new(Barrier::new(mode.tasks)));
        let begun = Instant::now();
        let tasks: Vec<_> = (0..mode.tasks)
            .map(|task| {
                let (contender, reads, start) = (Arc::clone(&self.0), Arc::clone(reads), start.clone());
                runtime.spawn(async move {
                    if let Some(start) = start {
                        start.wait();
                    }
                    let begun = Instant::now();
                    read(&*contender, &reads, task * 4_099, count).await;
                    (begun, Instant::now())
                })
            })
            .collect();
        let times = tasks.into_iter().map(|task| runtime.block_on(task).expect("no task panics"));
        let (begins, ends): (Vec<_>, Vec<_>) = times.unzip();
        let first = begins.into_iter().min().unwrap_or(begun);
        ends.into_iter().max().unwrap_or(first) - first
    }
}

/// The measured loop.
async fn read<C: Contender>(contender: &C, reads: &Reads, from: usize, count: usize) {
    for number in 0..count {
        let (tenant, id) = black_box(reads.key(from + number));
        black_box(contender.get(tenant, id).await);
        if number % READS_PER_TURN == READS_PER_TURN - 1 {
            tokio::task::yield_now().await;
        }
    }
}

/// A runtime like that of a service: current-thread for one thread, else multi-threaded.
pub(crate) fn runtime(threads: usize) -> Runtime {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.enable_time().build().expect("a runtime can be built")
}
