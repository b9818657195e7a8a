//! Whatever happens to the stream, no message is missed without a gap.

use std::collections::{BTreeSet, VecDeque};

use super::*;

fn at(millis: u64, added: u64) -> Reading {
    Reading { last: Position { millis, sequence: 0 }, added }
}

fn messages(ids: &[u64]) -> Vec<Message> {
    let message = |id: &u64| Message { position: Position { millis: *id, sequence: 0 }, fields: Vec::new() };
    ids.iter().map(message).collect()
}

#[derive(Clone, Copy)]
enum Expected {
    Apply,
    Catch,
    Adopt(Gap),
}

fn adopt(gap: Gap, ids: &[u64]) -> Step {
    Step::Adopt(gap, messages(ids))
}

/// A reader of three messages at once, at id 100 with 10 counted.
#[track_caller]
fn check(end: Option<Reading>, ids: &[u64], expected: Expected) {
    let mut reader = Reader::default();
    assert_eq!(reader.apply(Some(at(100, 10)), Vec::new(), false), adopt(Gap::Start, &[]));
    let step = reader.apply(end, messages(ids), ids.len() == MOST);
    let last = match expected {
        Expected::Apply => {
            assert_eq!(step, Step::Apply(messages(ids)));
            end.map(|end| end.last)
        }
        Expected::Catch => {
            assert_eq!(step, Step::Catch(messages(ids)));
            ids.last().map(|id| at(*id, 0).last)
        }
        Expected::Adopt(gap) => {
            assert_eq!(step, adopt(gap, ids));
            end.map(|end| end.last)
        }
    };
    assert_eq!(reader.position(), last);
}

#[test]
fn what_adds_up_is_applied() {
    check(Some(at(100, 10)), &[], Expected::Apply);
    check(Some(at(102, 12)), &[101, 102], Expected::Apply);
    check(Some(at(103, 13)), &[101, 102, 103], Expected::Apply);
}

#[test]
fn a_full_batch_may_hide_something_before_it() {
    check(Some(at(104, 14)), &[101, 102, 103], Expected::Catch);
    check(Some(at(900, 900)), &[801, 802, 803], Expected::Catch);
}

#[test]
fn what_does_not_add_up_is_a_gap() {
    check(Some(at(103, 13)), &[102, 103], Expected::Adopt(Gap::Count));
    check(Some(at(103, 13)), &[], Expected::Adopt(Gap::Count));
    check(Some(at(100, 11)), &[], Expected::Adopt(Gap::Count));
    check(Some(at(101, 10)), &[], Expected::Adopt(Gap::Count));
    check(Some(at(102, 11)), &[101, 102], Expected::Adopt(Gap::Count));
    check(Some(at(103, 12)), &[101, 102], Expected::Adopt(Gap::Count));
    check(Some(at(99, 20)), &[], Expected::Adopt(Gap::Backwards));
    check(Some(at(200, 3)), &[150, 180, 200], Expected::Adopt(Gap::Backwards));
    check(None, &[], Expected::Adopt(Gap::Vanished));
}

#[test]
fn what_makes_no_sense_is_a_gap() {
    check(Some(at(101, 12)), &[102, 101], Expected::Adopt(Gap::Count));
    check(Some(at(101, 12)), &[99, 101], Expected::Adopt(Gap::Count));
    check(Some(at(101, 12)), &[101, 101], Expected::Adopt(Gap::Count));
}

#[test]
fn where_there_is_no_stream_one_may_have_come_and_gone() {
    let mut reader = Reader::default();
    for _ in 0..3 {
        assert_eq!(reader.apply(None, Vec::new(), false), adopt(Gap::Start, &[]));
        assert_eq!(reader.position(), None);
    }
    assert_eq!(reader.apply(Some(at(5, 1)), Vec::new(), false), adopt(Gap::Start, &[]));
    assert_eq!(reader.apply(Some(at(6, 2)), messages(&[6]), false), Step::Apply(messages(&[6])));
}

/// Its first message is there to be read, by whoever read another one.
#[test]
fn a_stream_that_was_begun_anew_is_told_from_the_one_before() {
    let mut reader = Reader::default();
    assert_eq!(reader.apply(Some(at(5, 1)), Vec::new(), false), adopt(Gap::Start, &[]));
    assert_eq!(reader.apply(Some(at(8, 1)), messages(&[8]), false), adopt(Gap::Count, &[8]));
    assert_eq!(reader.apply(Some(at(12, 2)), messages(&[11, 12]), false), adopt(Gap::Count, &[11, 12]));
}

#[test]
fn what_was_forgotten_is_adopted() {
    let mut reader = Reader::default();
    reader.apply(Some(at(100, 10)), Vec::new(), false);
    reader.forget();
    assert_eq!(reader.position(), None);
    assert_eq!(reader.apply(Some(at(100, 10)), Vec::new(), false), adopt(Gap::Start, &[]));
}

/// A server with a stream, as Redis keeps it.
#[derive(Clone)]
struct Server {
    clock: u64,
    run: u32,
    stream: Option<Stream>,
}

#[derive(Clone)]
struct Stream {
    end: Reading,
    entries: VecDeque<Position>,
}

/// One history: a server, its latest replica, and what a reader should have seen.
struct World {
    dice: fastrand::Rng,
    server: Server,
    replica: Server,
    reader: Reader,
    run: u32,
    /// Appended, and neither applied nor dropped for.
    unseen: BTreeSet<(u32, Position)>,
    /// Which stream it is: ids may come again in another one.
    stream: u32,
    is_flushed: bool,
    /// Whether the reader ignores gaps.
    is_naive: bool,
    has_missed: bool,
}

const MOST: usize = 3;

impl World {
    fn new(seed: u64) -> Self {
        // A stream of some age; see `what_the_arithmetic_cannot_see` of a young one that is deleted.
        let stream = Stream { end: at(1_000, 1_000_000), entries: VecDeque::new() };
        let server = Server { clock: 1_000, run: 0, stream: Some(stream) };
        Self {
            dice: fastrand::Rng::with_seed(seed),
            replica: server.clone(),
            server,
            reader: Reader::default(),
            run: 0,
            unseen: BTreeSet::new(),
            stream: 0,
            is_flushed: false,
            is_naive: false,
            has_missed: false,
        }
    }

    fn step(&mut self) {
        match self.dice.u32(..100) {
            0..35 => self.append(),
            35..40 => self.server.clock += self.dice.u64(1..5),
            40..43 => self.step_back(),
            43..48 => self.trim(),
            48..51 => self.delete_one(),
            51..53 => self.flush(),
            53..57 => self.replica = self.server.clone(),
            57..59 => self.fail_over(),
            _ => self.probe(),
        }
    }

    fn append(&mut self) {
        let clock = self.server.clock;
        let stream = self.server.stream.get_or_insert_with(|| Stream { end: at(0, 0), entries: VecDeque::new() });
        let last = stream.end.last;
        let position = if clock > last.millis {
            Position { millis: clock, sequence: 0 }
        } else {
            Position { millis: last.millis, sequence: last.sequence + 1 }
        };
        stream.end = Reading { last: position, added: stream.end.added + 1 };
        stream.entries.push_back(position);
        self.unseen.insert((self.stream, position));
    }

    fn step_back(&mut self) {
        self.server.clock = self.server.clock.saturating_sub(self.dice.u64(1..50));
    }

    fn trim(&mut self) {
        let kept = self.dice.usize(..5);
        if let Some(stream) = &mut self.server.stream {
            while stream.entries.len() > kept {
                stream.entries.pop_front();
            }
        }
    }

    fn delete_one(&mut self) {
        if let Some(stream) = self.server.stream.as_mut().filter(|stream| !stream.entries.is_empty()) {
            let at = self.dice.usize(..stream.entries.len());
            stream.entries.remove(at);
        }
    }

    fn flush(&mut self) {
        if !std::mem::replace(&mut self.is_flushed, true) {
            self.server.stream = None;
            self.stream += 1;
        }
    }

    /// What the replica has not heard of is lost; its clock is its own.
    fn fail_over(&mut self) {
        let run = self.server.run + 1;
        let clock = self.server.clock.saturating_sub(self.dice.u64(..20));
        self.server = Server { clock, run, ..self.replica.clone() };
        self.stream += 1;
    }

    fn probe(&mut self) {
        if self.run != self.server.run && !self.is_naive {
            self.run = self.server.run;
            self.reader.forget();
        }
        if self.server.stream.is_none() {
            // Whoever looks begins one.
            self.append();
        }
        let from = self.reader.position();
        let stream = self.server.stream.as_ref();
        let entries = stream.into_iter().flat_map(|stream| &stream.entries);
        let behind = entries.filter(|position| from.is_some_and(|from| **position > from)).take(MOST);
        let read: Vec<_> = behind.map(|position| Message { position: *position, fields: Vec::new() }).collect();
        let step = match self.reader.apply(stream.map(|stream| stream.end), read.clone(), read.len() == MOST) {
            Step::Adopt(gap, _) if self.is_naive && gap != Gap::Start => Step::Apply(read),
            step => step,
        };
        match step {
            Step::Adopt(..) | Step::Catch(_) => self.unseen.clear(),
            Step::Apply(messages) => {
                for message in messages {
                    self.unseen.remove(&(self.stream, message.position));
                }
                self.has_missed |= !self.unseen.is_empty();
            }
        }
    }
}

/// How many of these histories miss a message.
fn misses(histories: u64, is_naive: bool) -> usize {
    let misses = |seed| {
        let mut world = World { is_naive, ..World::new(seed) };
        for _ in 0..100 {
            world.step();
        }
        world.has_missed
    };
    (0..histories).filter(|seed| misses(*seed)).count()
}

#[test]
fn no_message_is_missed_without_a_gap() {
    assert_eq!(misses(20_000, false), 0);
}

#[test]
fn a_reader_that_ignores_gaps_misses_messages() {
    assert!(misses(100, true) > 50);
}

/// A young stream that was deleted by hand, when the new one has counted exactly so many messages that are not there to
/// be read (trimmed, or with ids below our position since the clock went back) as the old one ever had.
#[test]
fn what_the_arithmetic_cannot_see() {
    let mut reader = Reader::default();
    reader.apply(Some(at(100, 2)), Vec::new(), false);
    assert_eq!(reader.apply(Some(at(101, 3)), messages(&[101]), false), Step::Apply(messages(&[101])));
    let mut reader = Reader::default();
    reader.apply(Some(at(100, 1_000_000)), Vec::new(), false);
    assert_eq!(reader.apply(Some(at(101, 3)), messages(&[101]), false), adopt(Gap::Backwards, &[101]), "an older one");
}
