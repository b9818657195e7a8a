//! Operations that go out together: each gets its own reply, whoever joins, leaves or is asked again meanwhile, and
//! whatever becomes of the task that sends them. Whoever is not woken hangs, which the explorer notices.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use shuttle::thread;

use crate::batch::{Batches, Carrier};
use crate::explore;
use crate::fault::Fault;
use crate::rules::Rules;
use crate::schedules;
use crate::sync::{Arc, Handle, Tasks, lock};

/// Answers with the number that was asked for, and some more.
struct Line;

const MORE: u64 = 100;

/// To one operation: two of them are a batch that goes out early.
const REPLIES: usize = 8;

impl Carrier for Line {
    type Item<'a> = u64;
    type Load = Vec<u64>;
    type Reply = u64;

    fn count(_: u64) -> usize {
        REPLIES
    }

    fn add(&self, load: &mut Vec<u64>, item: u64) {
        load.push(item);
    }

    fn is_full(load: &Vec<u64>) -> bool {
        load.len() >= 3
    }

    async fn carry(&self, load: Vec<u64>) -> Result<Vec<u64>, Fault> {
        for _ in 0..3 {
            shuttle::future::yield_now().await;
        }
        Ok(load.into_iter().flat_map(|item| [item + MORE; REPLIES]).collect())
    }

    fn size(_: &u64) -> usize {
        8
    }
}

/// What a caller may be told.
type Check = fn(u64, &Result<u64, Fault>);

/// What a caller does.
type Call = fn(&Batches<Line>, u64, Check);

fn ask(batches: &Batches<Line>, item: u64) -> impl Future<Output = Result<u64, Fault>> {
    batches.ask(item, |replies| Ok(replies[REPLIES - 1]))
}

fn wait(batches: &Batches<Line>, item: u64, check: Check) {
    check(item, &shuttle::future::block_on(ask(batches, item)));
}

/// Polled by one task and then by another, as futures in a `select!` are: only the last one's waker counts.
fn change_tasks(batches: &Batches<Line>, item: u64, check: Check) {
    let mut asked = pin!(ask(batches, item));
    for _ in 0..2 {
        if let Poll::Ready(outcome) = asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return check(item, &outcome);
        }
        thread::yield_now();
    }
    check(item, &shuttle::future::block_on(asked));
}

fn leave(batches: &Batches<Line>, item: u64, check: Check) {
    if let Poll::Ready(outcome) = pin!(ask(batches, item)).poll(&mut Context::from_waker(Waker::noop())) {
        check(item, &outcome);
    }
}

/// Each caller asks twice.
fn run(tasks: Tasks, calls: &[Call], check: Check) {
    let runtime = Handle::new(tasks);
    let batches = Arc::new(Batches::new(Line, runtime.clone()));
    let callers: Vec<_> = (0..)
        .zip(calls)
        .map(|(caller, &call)| {
            let batches = Arc::clone(&batches);
            thread::spawn(move || {
                call(&batches, caller * 2, check);
                call(&batches, caller * 2 + 1, check);
            })
        })
        .collect();
    for caller in callers {
        caller.join().expect("no assertion failed");
    }
    runtime.rest();
    assert!(batches.shared.under_way.is_nothing(), "something is under way for ever");
    assert!(lock(&batches.shared.gathering).is_none(), "replies outlive those who asked");
}

fn answered(item: u64, outcome: &Result<u64, Fault>) {
    assert_eq!(*outcome, Ok(item + MORE));
}

/// An answer is the right one, and a failure is what a stopped task leaves behind.
fn answered_or_told(item: u64, outcome: &Result<u64, Fault>) {
    match outcome {
        Err(Fault::Broken(_)) => {}
        outcome => answered(item, outcome),
    }
}

fn waiting(_: Rules) {
    run(Tasks::Run, &[wait, wait, wait], answered);
}

fn coming_and_going(_: Rules) {
    run(Tasks::Run, &[wait, change_tasks, leave, change_tasks], answered);
}

fn stopped(_: Rules) {
    run(Tasks::Abort, &[wait, change_tasks, leave], answered_or_told);
}

fn never_begun(_: Rules) {
    run(Tasks::Drop, &[wait, change_tasks, leave], answered_or_told);
}

#[test]
fn each_gets_its_own_reply() {
    explore(schedules(10_000), waiting, None);
}

#[test]
fn whoever_leaves_or_is_polled_elsewhere_holds_up_nobody() {
    explore(schedules(10_000), coming_and_going, None);
}

#[test]
fn a_task_that_is_stopped_leaves_nobody_waiting() {
    explore(schedules(5_000), stopped, None);
}

#[test]
fn a_task_that_never_begins_leaves_nobody_waiting() {
    explore(schedules(5_000), never_begun, None);
}
