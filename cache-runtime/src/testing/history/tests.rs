//! The checker against the definition of the promises, read by read.

use proptest::prelude::*;

use super::*;

const STALENESS: Nanos = 20;

fn read(began: Nanos, version: Version) -> Read {
    Read {
        key: 0,
        version,
        began,
        ended: began + 1,
        strict: true,
        token: 0,
        source: Source::Near,
        loaded_by: 0,
        loaded_at: 0,
    }
}

fn invalidation(returned: Nanos, version: Version) -> Invalidation {
    Invalidation { key: 0, version, began: returned - 1, returned, reach: Reach::Applied, how: How::Entry }
}

fn checker() -> Checker {
    let mut checker = Checker::new(Duration::from_nanos(STALENESS));
    (0..3).for_each(|process| checker.started(process, 0));
    checker
}

/// What the promises say, word by word.
fn is_wrong(by: ProcessNumber, read: &Read, all: &[(ProcessNumber, Invalidation)]) -> bool {
    all.iter().any(|(process, one)| {
        let is_other = one.key != read.key || one.version <= read.version;
        let returned = one.returned < read.began;
        let bounded = match one.reach {
            Reach::Queued => false,
            Reach::Everywhere if read.source == Source::Near => returned,
            Reach::Applied | Reach::Everywhere => one.returned + STALENESS < read.began,
        };
        let strict = read.strict && one.reach != Reach::Queued && returned;
        !is_other && (strict || bounded || *process == by && returned)
    }) || read.version < read.token
}

fn any_record() -> impl Strategy<Value = Record> {
    let source = prop_oneof![Just(Source::Near), Just(Source::Joined)];
    let reads = (0..2_u32, 0..6_u64, 1..100_u64, any::<bool>(), 0..3_u64, source);
    let reads = reads.prop_map(|(key, version, began, strict, token, source)| {
        Record::Read(Read { key, strict, token, source, ..read(began, version) })
    });
    let reach = prop_oneof![Just(Reach::Queued), Just(Reach::Applied), Just(Reach::Everywhere)];
    let invalidations = (0..2_u32, 1..6_u64, 1..100_u64, reach);
    let invalidations = invalidations.prop_map(|(key, version, returned, reach)| {
        Record::Invalidation(Invalidation { key, reach, ..invalidation(returned, version) })
    });
    prop_oneof![reads, invalidations]
}

proptest! {
    #[test]
    fn it_finds_exactly_what_is_wrong(log in prop::collection::vec((0..3_u32, any_record()), 0..60), piece in 1..9_usize) {
        let mut checker = checker();
        let mut found = Vec::new();
        for pieces in log.chunks(piece) {
            for (process, record) in pieces {
                // In any order, with nothing told of it before the end.
                found.extend(checker.add(*process, 0, &[*record]));
            }
        }
        for process in 0..3 {
            prop_assert!(found.is_empty(), "something may still come");
            found.extend(checker.ended(process));
        }
        let invalidations: Vec<_> = log.iter().filter_map(|(process, record)| match record {
            Record::Invalidation(one) => Some((*process, *one)),
            Record::Read(_) => None,
        }).collect();
        let wrong = log.iter().filter_map(|(process, record)| match record {
            Record::Read(read) if is_wrong(*process, read, &invalidations) => Some((*process, *read)),
            Record::Read(_) | Record::Invalidation(_) => None,
        });
        let wrong: Vec<_> = wrong.collect();
        let found: Vec<_> = found.iter().map(|violation| (violation.process, violation.read)).collect();
        prop_assert_eq!(found, wrong);
    }
}

#[test]
fn a_read_waits_for_all_processes_to_tell_theirs() {
    let mut checker = checker();
    assert!(checker.add(0, 50, &[Record::Read(read(40, 1))]).is_empty());
    assert!(checker.add(1, 50, &[]).is_empty());
    let found = checker.add(2, 50, &[Record::Invalidation(invalidation(30, 2))]);
    assert_eq!((found.len(), found[0].required, found[0].promise), (1, 2, Promise::Strict));
    assert_eq!((checker.reads(), checker.most_waiting()), (1, 1));
}

#[test]
fn a_killed_process_holds_nobody_up() {
    let mut checker = checker();
    checker.add(0, 50, &[Record::Read(read(40, 1))]);
    checker.add(1, 50, &[Record::Invalidation(invalidation(30, 2))]);
    assert_eq!(checker.ended(2).len(), 1);
}

#[test]
fn what_no_read_can_need_is_forgotten() {
    let mut checker = Checker::new(Duration::from_millis(1));
    checker.started(0, 0);
    for round in 1..100_000 {
        let at = round * 10_000_000;
        checker.add(0, at, &[Record::Invalidation(invalidation(at, round)), Record::Read(read(at - 5, round - 1))]);
    }
    let kept = checker.keys.values().map(|key| key.strict.len() + key.bounded.len()).sum::<usize>();
    assert!(kept < 13_000, "a minute is 6,000 of each: {kept}");
    assert_eq!(checker.waiting_reads, 0);
}

#[test]
fn a_report_is_read_from_top_to_bottom() {
    let mut checker = checker();
    checker.add(1, 50_000_000, &[Record::Invalidation(invalidation(30_000_000, 2))]);
    checker.add(2, 50_000_000, &[]);
    let old = Read { source: Source::Second, loaded_at: 10_000_000, loaded_by: 2, ..read(40_000_000, 1) };
    let mut found = checker.add(0, 50_000_000, &[Record::Read(old)]);
    found[0].add(35_000_000, "the server is stopped");
    let report = found[0].report(0, |key| format!("strict:{key}"));
    assert_eq!(
        report,
        "\
Strict: process 0 read version 1 where 2 was promised: process 1's invalidation had returned 10.0ms before the read began
key strict:0, times in ms:
        10.000  process 2 loads version 1
        30.000  process 1 has committed version 2, begins to invalidate by entry
        30.000  process 1: the invalidation for version 2 returns, applied
        35.000  the server is stopped
        40.000  process 0 begins the read
        40.000  process 0 reads version 1 from the second tier, loaded by process 2, in 1.0ns   <-- too old
"
    );
}
