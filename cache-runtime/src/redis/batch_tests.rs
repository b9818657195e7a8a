//! The machine without a server: every step of a batch is taken by hand.

mod desk;
mod stress;

use std::task::{Context, Poll, Waker};

use crate::fault::Fault;
use crate::redis::batch::{FEWEST_REPLIES, MOST_REPLIES};
use crate::redis::batch_tests::desk::{Desk, LAST, Names, Read, Woken, check, poll};
use crate::sync::{Arc, Ordering, lock};

#[test]
fn one_read_at_a_time_goes_out_alone_at_once() {
    let desk = Desk::new();
    for entry in ["a", "b"] {
        let stamps = ["s".to_owned(), "t".to_owned()];
        let mut read = desk.read(entry, &stamps);
        assert!(poll(&mut read).is_pending());
        assert_eq!(desk.sent(), [[entry, "s", "t"]]);
        desk.next().answer();
        check(&mut read, &[&format!("={entry}"), "=s", "=t"]);
        drop(read);
        desk.check_at_rest();
    }
}

#[test]
fn reads_that_wait_at_the_same_moment_go_out_as_one() {
    let desk = Desk::new();
    let stamps = ["s".to_owned()];
    let (mut alone, mut reads) = desk.gather(&["a", "b"]);
    reads.push(desk.read("c", &stamps));
    reads.push(desk.read("d", &[]));
    assert!(reads[2..].iter_mut().all(|read| poll(read).is_pending()));
    assert_eq!(desk.sent().len(), 1, "what was ready to run runs first");
    desk.run();
    assert_eq!(desk.sent()[1], ["a", "b", "c", "s", "d"]);
    desk.answer_all();
    check(&mut alone, &["=alone"]);
    for (read, expected) in reads.iter_mut().zip([&["=a"][..], &["=b"], &["=c", "=s"], &["=d"]]) {
        check(read, expected);
    }
    drop((alone, reads));
    desk.check_at_rest();
}

#[test]
fn whoever_asks_a_few_turns_later_is_taken_along() {
    let desk = Desk::new();
    let (_alone, _reads) = desk.gather(&["a"]);
    let mut later = desk.read("b", &[]);
    desk.runtime.block_on(async {
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        assert!(poll(&mut later).is_pending());
    });
    desk.run();
    assert_eq!(desk.sent(), [vec!["alone"], vec!["a", "b"]]);
}

#[test]
fn a_batch_waits_for_no_other() {
    let desk = Desk::new();
    let (mut alone, mut first) = desk.gather(&["a"]);
    desk.run();
    let mut second = desk.read("b", &[]);
    assert!(poll(&mut second).is_pending());
    desk.run();
    assert_eq!(desk.sent(), [["alone"], ["a"], ["b"]]);
    let [held, other, last] = [desk.next(), desk.next(), desk.next()];
    last.answer();
    desk.run();
    check(&mut second, &["=b"]);
    assert!(poll(&mut first[0]).is_pending() && poll(&mut alone).is_pending());
    other.answer();
    held.answer();
    desk.run();
    check(&mut first[0], &["=a"]);
    check(&mut alone, &["=alone"]);
}

/// When a caller leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Point {
    Gathering,
    Sent,
    Answered,
}

#[test]
fn a_caller_that_leaves_takes_nobodys_reply_along() {
    for point in [Point::Gathering, Point::Sent, Point::Answered] {
        for leaves in 0..16_u32 {
            leave(point, |place| leaves >> place & 1 == 1);
        }
    }
}

fn leave(point: Point, leaves: impl Fn(usize) -> bool) {
    let desk = Desk::new();
    let entries = ["a", "b", "c", "d"];
    let (mut alone, reads) = desk.gather(&entries);
    let mut reads: Vec<Option<Read<'_>>> = reads.into_iter().map(Some).collect();
    for step in [Point::Gathering, Point::Sent, Point::Answered] {
        match step {
            Point::Gathering => {}
            Point::Sent => desk.run(),
            Point::Answered => desk.answer_all(),
        }
        if step == point {
            (0..4).filter(|place| leaves(*place)).for_each(|place| reads[place] = None);
        }
        let sent = desk.sent().len();
        let is_sent = step == Point::Sent && !(point == Point::Gathering && (0..4).all(&leaves));
        assert!(step == Point::Answered || sent == 1 + usize::from(is_sent), "{point:?} {step:?}: {sent}");
    }
    for (read, entry) in reads.iter_mut().zip(entries) {
        if let Some(read) = read {
            check(read, &[&format!("={entry}")]);
        }
    }
    check(&mut alone, &["=alone"]);
    drop((alone, reads));
    desk.check_at_rest();
}

#[test]
fn a_lone_caller_that_leaves_leaves_the_way_free() {
    let desk = Desk::new();
    let (alone, mut reads) = desk.gather(&["a"]);
    drop(alone);
    desk.answer_all();
    desk.answer_all();
    check(&mut reads[0], &["=a"]);
    let mut next = desk.read("b", &[]);
    assert!(poll(&mut next).is_pending());
    assert_eq!(desk.sent(), [["b"]], "alone again");
}

#[test]
fn a_caller_that_is_not_polled_holds_up_nobody() {
    let desk = Desk::new();
    let (_alone, mut reads) = desk.gather(&["first", "second"]);
    desk.run();
    desk.answer_all();
    check(&mut reads[1], &["=second"]);
}

#[test]
fn the_last_waker_is_woken_once() {
    let desk = Desk::new();
    let (_alone, mut reads) = desk.gather(&["a"]);
    let wakers: [Arc<Woken>; 2] = Default::default();
    for woken in &wakers {
        let waker = Waker::from(Arc::clone(woken));
        assert!(reads[0].as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        desk.run();
    }
    desk.answer_all();
    assert_eq!(wakers.each_ref().map(|woken| woken.0.load(Ordering::Relaxed)), [0, 1]);
    check(&mut reads[0], &["=a"]);
}

#[test]
fn a_fault_reaches_all() {
    let desk = Desk::new();
    let (mut alone, mut reads) = desk.gather(&["a", "b"]);
    desk.run();
    for _ in 0..2 {
        desk.next().answer.send(Err(Fault::Timeout)).expect("somebody waits");
    }
    desk.run();
    for read in reads.iter_mut().chain([&mut alone]) {
        assert_eq!(poll(read), Poll::Ready(Err(Fault::Timeout)));
    }
}

#[test]
fn too_few_replies_are_nobodys() {
    let desk = Desk::new();
    let (mut alone, mut reads) = desk.gather(&["a", "b"]);
    desk.run();
    for _ in 0..2 {
        desk.next().answer.send(Ok(Vec::new())).expect("somebody waits");
    }
    desk.run();
    for read in reads.iter_mut().chain([&mut alone]) {
        assert!(matches!(poll(read), Poll::Ready(Err(Fault::Nonsense(_)))));
    }
}

#[test]
fn a_batch_whose_task_panics_fails() {
    let desk = Desk::new();
    let (_alone, mut reads) = desk.gather(&["a", "b"]);
    desk.line.panics.store(true, Ordering::Relaxed);
    desk.run();
    for read in &mut reads {
        assert!(matches!(poll(read), Poll::Ready(Err(Fault::Broken(_)))));
    }
}

#[test]
fn a_batch_whose_runtime_is_shut_down_fails() {
    let Desk { runtime, line, reads } = Desk::new();
    let read = |entry| {
        let names = Names { entry, stamps: &[] };
        Box::pin(reads.ask(names, |replies: &[String]| Ok(replies.to_vec()))) as Read<'_>
    };
    let mut all = ["alone", "before", "after"].map(read);
    assert!(all[..2].iter_mut().all(|read| poll(read).is_pending()));
    drop(runtime);
    for read in &mut all[1..] {
        let outcome = match poll(read) {
            Poll::Pending => poll(read),
            ready @ Poll::Ready(_) => ready,
        };
        assert!(matches!(outcome, Poll::Ready(Err(Fault::Broken(_)))));
    }
    assert_eq!(lock(&line.sent).len(), 1);
}

#[test]
fn a_full_batch_takes_no_more() {
    let desk = Desk::new();
    let (mut alone, mut reads) = desk.gather(&["a", LAST, "b"]);
    desk.run();
    assert_eq!(desk.sent(), [vec!["alone"], vec!["a", LAST], vec!["b"]]);
    desk.answer_all();
    for (read, name) in std::iter::once(&mut alone).chain(&mut reads).zip(["alone", "a", LAST, "b"]) {
        assert!(matches!(poll(read), Poll::Ready(Ok(replies)) if replies == [format!("={name}")]));
    }
}

#[test]
fn a_batch_is_not_longer_than_its_reply_may_be() {
    let desk = Desk::new();
    // Those before it go out early.
    let early = [24, 25];
    let names: Vec<String> = (0..=early.iter().sum::<usize>() + MOST_REPLIES).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (_alone, _reads) = desk.gather(&names);
    desk.run();
    assert_eq!(desk.lengths(), [&[1], &early[..], &[MOST_REPLIES, 1]].concat());
    let size = |bytes: usize| {
        (0..32).for_each(|_| desk.reads.shared.weigh(&[" ".repeat(bytes)]));
        desk.reads.shared.most_replies()
    };
    assert_eq!([size(0), size(100), size(16 * 1024), size(1 << 20)], [MOST_REPLIES, MOST_REPLIES, 16, FEWEST_REPLIES]);
}

#[test]
fn as_many_as_are_under_way_do_not_wait_for_more() {
    let desk = Desk::new();
    let names: Vec<String> = (0..60).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (_alone, mut reads) = desk.gather(&names);
    desk.run();
    assert_eq!(desk.lengths(), [1, 24, 25, 11]);
    // Callers of one batch ask again while the others are under way: they are not joined by those.
    desk.next().answer();
    desk.next().answer();
    desk.run();
    check(&mut reads[0], &["=0"]);
    check(&mut reads[23], &["=23"]);
    let mut again: Vec<_> = names[..24].iter().map(|name| desk.read(name, &[])).collect();
    assert!(again.iter_mut().all(|read| poll(read).is_pending()));
    desk.run();
    assert_eq!(desk.lengths(), [25, 11, 24]);
    let mut others: Vec<_> = names[24..].iter().map(|name| desk.read(name, &[])).collect();
    assert!(others.iter_mut().all(|read| poll(read).is_pending()));
    desk.run();
    assert_eq!(desk.lengths(), [25, 11, 24, 36], "60 are under way: nobody has to be early");
}

#[test]
fn a_read_with_many_stamps_is_a_batch_of_its_own() {
    let desk = Desk::new();
    let stamps = vec!["s".to_owned(); MOST_REPLIES + 7];
    let (_alone, mut reads) = desk.gather(&["a"]);
    reads.push(desk.read("b", &stamps));
    assert!(poll(&mut reads[1]).is_pending());
    desk.run();
    assert_eq!(desk.lengths(), [1, 1, MOST_REPLIES + 8]);
    desk.answer_all();
    assert!(matches!(poll(&mut reads[1]), Poll::Ready(Ok(replies)) if replies.len() == MOST_REPLIES + 8));
}
