//! Where a test stands: it sends what is asked, answers, and looks at who was woken.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::fault::Fault;
use crate::redis::batch::{Batches, Carrier};
use crate::sync::{Arc, Mutex, Ordering, lock};

/// An entry and its stamps.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) entry: &'a str,
    pub(super) stamps: &'a [String],
}

impl Names<'_> {
    pub(super) fn count(self) -> usize {
        1 + self.stamps.len()
    }

    pub(super) fn add_to(self, load: &mut Vec<String>) {
        load.push(self.entry.to_owned());
        load.extend_from_slice(self.stamps);
    }
}

/// Behind this, nothing more is added.
pub(super) const LAST: &str = "the last";

/// Sends nothing: whoever tests answers, load by load.
#[derive(Clone, Default)]
pub(super) struct Line {
    pub(super) sent: Arc<Mutex<VecDeque<Sent>>>,
    pub(super) panics: Arc<AtomicBool>,
}

pub(super) struct Sent {
    pub(super) names: Vec<String>,
    pub(super) answer: oneshot::Sender<Result<Vec<String>, Fault>>,
}

impl Carrier for Line {
    type Item<'a> = Names<'a>;
    type Load = Vec<String>;
    type Reply = String;

    fn count(names: Names<'_>) -> usize {
        names.count()
    }

    fn add(&self, load: &mut Vec<String>, names: Names<'_>) {
        names.add_to(load);
    }

    fn is_full(load: &Vec<String>) -> bool {
        load.iter().any(|name| name == LAST)
    }

    async fn carry(&self, names: Vec<String>) -> Result<Vec<String>, Fault> {
        assert!(!self.panics.load(Ordering::Relaxed), "as the test wants it");
        let (answer, answered) = oneshot::channel();
        lock(&self.sent).push_back(Sent { names, answer });
        answered.await.unwrap_or(Err(Fault::Away))
    }

    fn size(reply: &String) -> usize {
        reply.len()
    }
}

impl Sent {
    pub(super) fn answer(self) {
        let replies = self.names.iter().map(|name| format!("={name}")).collect();
        // Whoever asked may have left.
        _ = self.answer.send(Ok(replies));
    }
}

pub(super) type Outcome = Result<Vec<String>, Fault>;
pub(super) type Read<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

pub(super) struct Desk {
    pub(super) runtime: Runtime,
    pub(super) line: Line,
    pub(super) reads: Batches<Line>,
}

impl Desk {
    pub(super) fn new() -> Self {
        // Whoever tests has a turn after each of a task's.
        let runtime = Builder::new_current_thread().event_interval(1).build().expect("a runtime");
        let line = Line::default();
        let reads = Batches::new(line.clone(), runtime.handle().clone());
        Self { runtime, line, reads }
    }

    pub(super) fn read<'a>(&'a self, entry: &'a str, stamps: &'a [String]) -> Read<'a> {
        Box::pin(self.reads.ask(Names { entry, stamps }, |replies| Ok(replies.to_vec())))
    }

    /// Reads that are polled once, behind one that was sent alone.
    pub(super) fn gather<'a>(&'a self, entries: &[&'a str]) -> (Read<'a>, Vec<Read<'a>>) {
        let mut alone = self.read("alone", &[]);
        assert!(poll(&mut alone).is_pending());
        let mut reads: Vec<_> = entries.iter().map(|entry| self.read(entry, &[])).collect();
        assert!(reads.iter_mut().all(|read| poll(read).is_pending()));
        (alone, reads)
    }

    /// Lets the tasks of batches run until they wait.
    pub(super) fn run(&self) {
        self.runtime.block_on(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
    }

    pub(super) fn sent(&self) -> Vec<Vec<String>> {
        lock(&self.line.sent).iter().map(|sent| sent.names.clone()).collect()
    }

    pub(super) fn lengths(&self) -> Vec<usize> {
        self.sent().iter().map(Vec::len).collect()
    }

    pub(super) fn next(&self) -> Sent {
        lock(&self.line.sent).pop_front().expect("something was sent")
    }

    pub(super) fn answer_all(&self) {
        let sent = std::mem::take(&mut *lock(&self.line.sent));
        sent.into_iter().for_each(Sent::answer);
        self.run();
    }

    #[track_caller]
    pub(super) fn check_at_rest(&self) {
        assert!(self.reads.shared.under_way.is_nothing());
        assert!(lock(&self.reads.shared.gathering).is_none());
        assert_eq!(Arc::strong_count(&self.reads.shared), 1);
    }
}

pub(super) fn poll(read: &mut Read<'_>) -> Poll<Outcome> {
    read.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[track_caller]
pub(super) fn check(read: &mut Read<'_>, expected: &[&str]) {
    let Poll::Ready(outcome) = poll(read) else { panic!("still waiting") };
    assert_eq!(outcome.expect("a reply"), expected);
}

#[derive(Default)]
pub(super) struct Woken(pub(super) AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
