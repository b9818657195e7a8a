//! Many callers on many threads.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::fault::Fault;
use crate::redis::batch::{Batches, Carrier};
use crate::redis::batch_tests::desk::Names;
use crate::sync::Arc;

/// Answers after a while, or a while later.
#[derive(Clone)]
struct Slow;

impl Carrier for Slow {
    type Item<'a> = Names<'a>;
    type Load = Vec<String>;
    type Reply = String;

    fn count(names: Names<'_>) -> usize {
        names.count()
    }

    fn add(&self, load: &mut Vec<String>, names: Names<'_>) {
        names.add_to(load);
    }

    fn is_full(_: &Vec<String>) -> bool {
        false
    }

    async fn carry(&self, names: Vec<String>) -> Result<Vec<String>, Fault> {
        for _ in 0..fastrand::u32(0..50) {
            tokio::task::yield_now().await;
        }
        Ok(names)
    }

    fn size(reply: &String) -> usize {
        reply.len()
    }
}

#[test]
fn callers_that_come_and_go_on_many_threads_get_their_own_or_nothing() {
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_time().build().expect("a runtime");
    let reads = Arc::new(Batches::new(Slow, runtime.handle().clone()));
    runtime.block_on(async {
        let callers = (0..64).map(|caller| tokio::spawn(come_and_go(Arc::clone(&reads), caller)));
        for caller in callers.collect::<Vec<_>>() {
            assert!(caller.await.expect("no caller panics") > 100);
        }
        // Batches whose callers have all left end a little later.
        let at_rest = async {
            while !reads.shared.under_way.is_nothing() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), at_rest).await.expect("every batch ends");
    });
}

async fn come_and_go(reads: Arc<Batches<Slow>>, caller: usize) -> usize {
    let mut answered = 0;
    for call in 0..500 {
        let (entry, stamps) = (format!("{caller}:{call}"), [format!("{caller}:{call}:s")]);
        let mut read = pin!(reads.ask(Names { entry: &entry, stamps: &stamps }, |replies| Ok(replies.to_vec())));
        let mut polls = fastrand::u32(1..12);
        let outcome = std::future::poll_fn(|context| match read.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            // Every third caller leaves after a few polls.
            Poll::Pending if call % 3 == 0 => {
                polls -= 1;
                context.waker().wake_by_ref();
                if polls == 0 { Poll::Ready(None) } else { Poll::Pending }
            }
            Poll::Pending => Poll::Pending,
        });
        let outcome = tokio::time::timeout(Duration::from_secs(20), outcome).await.expect("no read hangs");
        if let Some(replies) = outcome {
            assert_eq!(replies.expect("a reply"), [entry.clone(), stamps[0].clone()]);
            answered += 1;
        }
    }
    answered
}
