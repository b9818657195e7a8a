//! The flight rules F1 to F6, one deterministic test each: what the rule says, and that a flight without the rule does
//! something else. The runtime's own source, driven step by step.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

mod hasher {
    pub(crate) use std::collections::hash_map::RandomState;
}
#[expect(dead_code, reason = "the runtime uses more of it")]
#[path = "../../cache-runtime/src/flight.rs"]
mod flight;

mod sync {
    pub(crate) use std::sync::{Arc, Mutex};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The runtime's module of this name, with one rule that may be missing.
mod rules {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Rule {
        Seal,
        NoSharedHits,
        Verdict,
        Detach,
        HandOver,
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Rules(pub(crate) Option<Rule>);

    impl Rules {
        pub(crate) fn holds(self, rule: Rule) -> bool {
            self.0 != Some(rule)
        }
    }
}

use flight::{Flights, Follow, Lead, Outcome, Turn};
use rules::{Rule, Rules};
use sync::Arc;

type Key = &'static str;

struct Table(Arc<Flights<Key, u64>>);

impl Table {
    fn new(without: Option<Rule>) -> Self {
        Self(Arc::new(Flights::new(Rules(without))))
    }

    fn join(&self, fence: u64) -> Turn<Key, u64> {
        self.0.join(&"key", fence, 0, Duration::ZERO, false)
    }

    #[track_caller]
    fn lead(&self, fence: u64) -> Lead<Key, u64> {
        match self.join(fence) {
            Turn::Lead(lead) => lead,
            Turn::Follow(_) => panic!("there is a flight to join"),
        }
    }

    #[track_caller]
    fn follow(&self, fence: u64) -> Follow<Key, u64> {
        match self.join(fence) {
            Turn::Follow(follow) => follow,
            Turn::Lead(_) => panic!("there is no flight to join"),
        }
    }
}

fn told(follow: Follow<Key, u64>) -> Poll<Outcome<u64>> {
    let mut follow = pin!(follow);
    Pin::new(&mut follow).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn f1_nobody_joins_once_the_fill_was_sent() {
    let joins = |without| {
        let table = Table::new(without);
        let lead = table.lead(0);
        lead.loading(Duration::ZERO);
        lead.seal();
        let joined = matches!(table.join(0), Turn::Follow(_));
        lead.finish(1, true);
        joined
    };
    assert!(!joins(None));
    assert!(joins(Some(Rule::Seal)), "the test does not notice the missing rule");
}

#[test]
fn f1_who_comes_too_late_to_join_takes_nothing_from_those_who_joined() {
    let table = Table::new(None);
    let sealed = table.lead(0);
    sealed.loading(Duration::ZERO);
    let follow = table.follow(0);
    sealed.seal();
    let next = table.lead(0);
    assert!(sealed.may_keep(0), "nothing was invalidated");
    assert!(!sealed.may_keep(1));
    assert_ne!(sealed.id(), next.id());
    sealed.finish(1, true);
    assert_eq!(told(follow), Poll::Ready(Outcome::Value(1)));
    assert!(next.may_keep(0));
    // A load that lost its key because it took too long keeps nothing, however it ends.
    next.loading(Duration::ZERO);
    next.seal();
    let last = table.lead(0);
    next.too_late();
    assert!(!next.may_keep(0));
    next.finish(2, false);
    last.finish(3, true);
    assert_eq!(table.0.len(), 0);
}

#[test]
fn f2_a_hit_is_given_only_to_those_who_came_before_its_read_was_sent() {
    let late = |without| {
        let table = Table::new(without);
        let lead = table.lead(0);
        let early = table.follow(0);
        lead.reading(Duration::ZERO);
        let late = table.follow(0);
        lead.hit(1);
        assert_eq!(told(early), Poll::Ready(Outcome::Value(1)));
        told(late)
    };
    assert_eq!(late(None), Poll::Ready(Outcome::Lost));
    assert_eq!(late(Some(Rule::NoSharedHits)), Poll::Ready(Outcome::Value(1)));
}

#[test]
fn f2_what_a_leader_finds_on_its_second_look_is_for_itself_alone() {
    let table = Table::new(None);
    let lead = table.lead(0);
    // It may have come after the leader looked, or may have to see what the leader need not.
    let joined = table.follow(0);
    lead.hit(1);
    assert_eq!(told(joined), Poll::Ready(Outcome::Abandoned));
}

#[test]
fn f2_a_load_after_the_read_is_given_to_all() {
    let table = Table::new(None);
    let lead = table.lead(0);
    lead.reading(Duration::ZERO);
    let during = table.follow(0);
    lead.loading(Duration::ZERO);
    let after = table.follow(0);
    lead.seal();
    lead.finish(1, true);
    assert_eq!([told(during), told(after)], [Poll::Ready(Outcome::Value(1)), Poll::Ready(Outcome::Value(1))]);
}

#[test]
fn f3_joiners_get_the_value_only_with_an_accepted_fill() {
    let joiner = |without| {
        let table = Table::new(without);
        let lead = table.lead(0);
        lead.loading(Duration::ZERO);
        let follow = table.follow(0);
        lead.finish(1, false);
        told(follow)
    };
    assert_eq!(joiner(None), Poll::Ready(Outcome::Lost));
    assert_eq!(joiner(Some(Rule::Verdict)), Poll::Ready(Outcome::Value(1)));
}

#[test]
fn f4_an_invalidation_detaches_the_flight() {
    let after_invalidation = |without| {
        let table = Table::new(without);
        let overtaken = table.lead(0);
        overtaken.loading(Duration::ZERO);
        let joined = matches!(table.join(1), Turn::Follow(_));
        let keeps = overtaken.may_keep(1);
        overtaken.finish(1, false);
        (joined, keeps)
    };
    assert_eq!(after_invalidation(None), (false, false));
    assert_eq!(after_invalidation(Some(Rule::Detach)), (true, true));
}

#[test]
fn f4_a_detached_flight_leaves_its_successor_alone() {
    let table = Table::new(None);
    let overtaken = table.lead(0);
    let successor = table.lead(1);
    overtaken.finish(1, false);
    let follow = table.follow(1);
    assert!(successor.may_keep(1));
    successor.finish(2, true);
    assert_eq!(told(follow), Poll::Ready(Outcome::Value(2)));
    assert_eq!(table.0.len(), 0);
}

/// It has read its fence before the invalidation, and joins after it.
#[test]
fn f4_who_is_older_than_a_flight_takes_nothing_from_it() {
    let table = Table::new(None);
    let newer = table.lead(2);
    newer.loading(Duration::ZERO);
    let older = table.follow(1);
    assert!(newer.may_keep(2));
    newer.seal();
    // Nobody may join it any more: who comes too late is no older than it.
    let last = table.lead(1);
    assert!(newer.may_keep(2) && last.may_keep(2));
    newer.finish(1, true);
    assert_eq!(told(older), Poll::Ready(Outcome::Value(1)));
    last.finish(2, true);
    assert_eq!(table.0.len(), 0);
}

#[test]
fn nobody_joins_a_refresh_and_it_takes_nothing_from_who_leads() {
    let (table, since) = (Table::new(None), Duration::from_secs(3));
    let found = table.lead(0);
    found.reading(Duration::ZERO);
    let early = table.follow(0);
    found.reading(Duration::ZERO);
    let refresh = found.refresh(since, since).expect("nobody loads");
    let late = table.follow(0);
    found.stale_hit(1, Some(since));
    let is_refreshed = |fence, since| table.0.is_refreshed(&"key", fence, since);
    assert_eq!(told(early), Poll::Ready(Outcome::Stale(1, Some(since))));
    assert_eq!(told(late), Poll::Ready(Outcome::Lost), "it came after the look");
    assert!(is_refreshed(0, since) && !is_refreshed(1, since) && !is_refreshed(0, since + Duration::from_nanos(1)));
    let next = table.lead(0);
    assert!(next.may_keep(0) && refresh.may_keep(0) && !refresh.may_keep(1));
    assert!(next.refresh(since * 2, since).is_none() && refresh.may_keep(0), "one at a time");
    // It was not heard of for too long: another one refreshes.
    let later = next.refresh(since * 2, since * 2).expect("the other one is too old");
    assert!(later.may_keep(0) && !refresh.may_keep(0));
    refresh.finish(2, false);
    assert!(is_refreshed(0, since));
    later.finish(3, true);
    assert!(!is_refreshed(0, since));
    next.hit(4);
    assert_eq!(table.0.len(), 0);
}

/// Who has the value of before needs no other load, whether that one may be joined or not.
#[test]
fn a_load_is_a_refresh_to_who_has_the_value_of_before() {
    let (table, began) = (Table::new(None), Duration::from_secs(3));
    let is_refreshed = |fence, since| table.0.is_refreshed(&"key", fence, since);
    let lead = table.lead(1);
    assert!(!is_refreshed(1, Duration::ZERO), "it may yet find a value");
    lead.reading(Duration::MAX);
    assert!(!is_refreshed(1, Duration::ZERO), "on another clock");
    lead.loading_without_lease(began, Duration::ZERO);
    assert!(is_refreshed(1, began) && !is_refreshed(0, began) && !is_refreshed(2, began));
    assert!(!is_refreshed(1, began + Duration::from_nanos(1)), "it takes too long");
    lead.seal();
    assert!(is_refreshed(1, began));
    lead.finish(1, true);
    assert!(!is_refreshed(1, began));
}

/// It was not heard of for so long that another one loads the key by now.
#[test]
fn who_has_lost_the_key_to_a_load_refreshes_nothing() {
    let (table, began) = (Table::new(None), Duration::from_secs(3));
    let quiet = table.lead(0);
    quiet.reading(Duration::ZERO);
    let next = table.lead(1);
    next.reading(Duration::ZERO);
    assert!(quiet.refresh(began, began).is_some(), "that one may yet find a value");
    next.loading(began);
    assert!(quiet.refresh(began, began).is_none());
    assert!(quiet.refresh(began * 2, began * 2).is_some(), "it takes too long");
}

#[test]
fn f6_those_who_wait_take_over_from_a_leader_that_left() {
    let waiter = |without| {
        let table = Table::new(without);
        let lead = table.lead(0);
        let follow = table.follow(0);
        drop(lead);
        (told(follow), matches!(table.join(0), Turn::Lead(_)))
    };
    assert_eq!(waiter(None), (Poll::Ready(Outcome::Abandoned), true));
    assert_eq!(waiter(Some(Rule::HandOver)), (Poll::Pending, false));
}

#[test]
fn f6_a_panic_is_a_failure_to_those_who_wait() {
    let table = Table::new(None);
    let lead = table.lead(0);
    let follow = table.follow(0);
    let panics = std::panic::AssertUnwindSafe(|| {
        let _lead = lead;
        panic!("the load panics");
    });
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(told(follow), Poll::Ready(Outcome::Failed(None)));
}

#[test]
fn a_hung_leader_loses_the_key_and_its_late_result_is_refused() {
    let table = Table::new(None);
    let hung = table.lead(0);
    let follow = table.follow(0);
    table.0.detach(&follow);
    assert!(!hung.may_keep(0));
    let next = table.lead(0);
    assert!(next.may_keep(0));
    hung.finish(1, false);
    next.finish(2, true);
    assert_eq!(told(follow), Poll::Ready(Outcome::Lost));
}

#[test]
fn waiters_that_leave_are_forgotten() {
    let table = Table::new(None);
    let lead = table.lead(0);
    let mut stays = pin!(table.follow(0));
    let mut context = Context::from_waker(Waker::noop());
    assert!(stays.as_mut().poll(&mut context).is_pending());
    drop(table.follow(0));
    lead.finish(7, true);
    assert_eq!(stays.as_mut().poll(&mut context), Poll::Ready(Outcome::Value(7)));
}
