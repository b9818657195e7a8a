//! What a failover excuses, and what it does not.

use std::time::Duration;

use super::*;
use crate::history::{Checker, How, Record};

const SECOND: Nanos = 1_000_000_000;

/// Lost is what returned from 10.0 s to 10.1 s, when the primary was killed; the new one answers at 12 s.
fn loss() -> Loss {
    let keys = vec![true, false].into();
    let (from, cut, up, to) = (10 * SECOND, 10 * SECOND + SECOND / 10, 12 * SECOND, 10 * SECOND + SECOND / 5);
    Loss { from, cut, up, to: Some(to), keys, repair: Repair::Replay }
}

fn read(key: KeyNumber, began: Nanos) -> Read {
    Read {
        key,
        version: 4,
        began,
        ended: began + 1,
        strict: true,
        token: 0,
        source: Source::Second,
        loaded_by: 0,
        loaded_at: 0,
    }
}

fn invalidation(key: KeyNumber, version: u64, returned: Nanos) -> Invalidation {
    Invalidation { key, version, began: returned - 1, returned, reach: Reach::Applied, how: How::Event }
}

/// Whether a read of version 4 is excused, after what process 1 has invalidated.
fn is_excused(read: Read, invalidations: &[Invalidation], killed: Option<Nanos>) -> bool {
    let losses = Losses::default();
    losses.add(loss());
    let (mut judge, mut checker) = (Judge::new(losses), Checker::new(Duration::from_millis(400)));
    for one in invalidations {
        judge.add(1, one);
        checker.add(1, Nanos::MAX, &[Record::Invalidation(*one)]);
    }
    if let Some(at) = killed {
        judge.ended(1, at);
    }
    let found = checker.add(2, Nanos::MAX, &[Record::Read(read)]);
    assert_eq!(found.len(), 1, "it is too old, were it not for the loss");
    judge.pend(found);
    let broken = judge.judge(Nanos::MAX).len();
    assert_eq!(judge.excused.reads.iter().sum::<u64>(), 1 - broken as u64);
    broken == 0
}

const LOST: Nanos = 10 * SECOND + 50_000_000;
const KEPT_ONE: Nanos = 10 * SECOND - 50_000_000;

#[test]
fn what_was_lost_binds_nobody_until_it_is_repeated() {
    assert!(is_excused(read(0, 13 * SECOND), &[invalidation(0, 5, LOST)], None));
    assert!(!is_excused(read(0, 16 * SECOND), &[invalidation(0, 5, LOST)], None), "it is repeated by then");
}

#[test]
fn what_a_dead_process_cannot_repeat_stays_lost() {
    assert!(is_excused(read(0, 40 * SECOND), &[invalidation(0, 5, LOST)], Some(11 * SECOND)));
    assert!(!is_excused(read(0, 40 * SECOND), &[invalidation(0, 5, LOST)], Some(16 * SECOND)));
}

#[test]
fn what_was_not_lost_binds_as_ever() {
    assert!(!is_excused(read(0, 13 * SECOND), &[invalidation(0, 5, KEPT_ONE)], None));
    assert!(!is_excused(read(0, 13 * SECOND), &[invalidation(0, 5, KEPT_ONE), invalidation(0, 6, LOST)], None));
    assert!(!is_excused(read(0, 13 * SECOND), &[invalidation(0, 5, 11 * SECOND)], None), "it came after");
    assert!(!is_excused(read(1, 13 * SECOND), &[invalidation(1, 5, LOST)], None), "on another server");
}

#[test]
fn reads_before_the_loss_have_no_excuse() {
    let early = read(0, 10 * SECOND - 1);
    assert!(!is_excused(early, &[invalidation(0, 5, KEPT_ONE)], None));
}

#[test]
fn tokens_stand_for_their_invalidations() {
    let after = |token| Read { token, strict: false, ..read(0, LOST + 1) };
    assert!(is_excused(after(5), &[invalidation(0, 5, LOST)], None));
    assert!(!is_excused(after(5), &[invalidation(0, 5, KEPT_ONE)], None));
    let late = Read { token: 5, ..read(0, 40 * SECOND) };
    assert!(!is_excused(late, &[invalidation(0, 5, LOST)], None));
}

#[test]
fn nothing_is_judged_while_more_may_be_lost() {
    let losses = Losses::default();
    losses.suspect();
    let (mut judge, mut checker) = (Judge::new(losses.clone()), Checker::new(Duration::from_millis(400)));
    let one = invalidation(0, 5, LOST);
    judge.add(1, &one);
    checker.add(1, Nanos::MAX, &[Record::Invalidation(one)]);
    judge.pend(checker.add(2, Nanos::MAX, &[Record::Read(read(0, 13 * SECOND))]));
    assert_eq!((judge.judge(Nanos::MAX).len(), judge.pending.len()), (0, 1));
    let number = losses.add(Loss { to: None, ..loss() });
    losses.clear();
    assert_eq!((judge.judge(Nanos::MAX).len(), judge.pending.len()), (0, 1), "the old server may still be believed");
    losses.close(number, 10 * SECOND + SECOND / 5);
    assert_eq!((judge.judge(Nanos::MAX).len(), judge.pending.len()), (0, 0));
    assert_eq!(judge.lost(), [1]);
}
