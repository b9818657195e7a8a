//! The breaker, against callers whose operations time out and are answered at the same time.

use shuttle::thread;

use crate::breaker::{Breaker, Verdict};
use crate::explore;
use crate::rules::Rules;
use crate::sync::{Arc, AtomicU64, Ordering};

/// Timeouts in a row that open it.
const LIMIT: u32 = 3;

/// Runs `call` in so many threads, and how often the breaker opened.
fn opened(threads: usize, call: fn(&Breaker) -> Verdict) -> u64 {
    let (breaker, opened) = (Arc::new(Breaker::new(LIMIT)), Arc::new(AtomicU64::new(0)));
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let (breaker, opened) = (Arc::clone(&breaker), Arc::clone(&opened));
            thread::spawn(move || {
                if call(&breaker) == Verdict::Opens {
                    opened.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    opened.load(Ordering::SeqCst)
}

/// However they meet, so many timeouts open it, and not once for each of them.
fn silent(_: Rules) {
    assert_eq!(opened(LIMIT as usize, Breaker::timed_out), 1);
    let opened = opened(2 * LIMIT as usize, Breaker::timed_out);
    assert!((1..=4).contains(&opened), "it opened {opened} times");
}

/// Fewer callers than it takes, each of which is answered after its timeout: never that many in a row.
fn slow(_: Rules) {
    let call = |breaker: &Breaker| {
        for _ in 0..2 * LIMIT {
            if breaker.timed_out() == Verdict::Opens {
                return Verdict::Opens;
            }
            breaker.answered();
        }
        Verdict::Closed
    };
    assert_eq!(opened(2, call), 0);
}

/// One caller: only timeouts in a row count.
fn one_by_one(_: Rules) {
    let breaker = Breaker::new(LIMIT);
    for _ in 0..10 {
        assert_eq!([breaker.timed_out(), breaker.timed_out()], [Verdict::Closed; 2]);
        breaker.answered();
    }
    assert_eq!([breaker.timed_out(), breaker.timed_out()], [Verdict::Closed; 2]);
    assert_eq!(breaker.timed_out(), Verdict::Opens);
    assert_eq!(breaker.timed_out(), Verdict::Closed);
    assert_eq!((breaker.limit(), Breaker::new(1).timed_out()), (LIMIT, Verdict::Opens));
}

#[test]
fn only_timeouts_in_a_row_open_it() {
    explore(1, one_by_one, None);
}

#[test]
fn a_server_that_is_silent_is_left_alone_whoever_finds_out() {
    explore(crate::schedules(10_000), silent, None);
}

#[test]
fn a_server_that_answers_now_and_then_is_not() {
    explore(crate::schedules(10_000), slow, None);
}
