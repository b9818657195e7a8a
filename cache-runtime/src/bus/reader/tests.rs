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
    /// From the beginning.
    Again,
}

fn adopt(gap: Gap, ids: &[u64]) -> Step {
    adopt_known(gap, &[], ids)
}

fn adopt_known(gap: Gap, known: &[u64], fresh: &[u64]) -> Step {
    Step::Adopt(gap, Left { known: messages(known), fresh: messages(fresh) })
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
        Expected::Again => {
            assert_eq!(step, adopt(Gap::Backwards, ids));
            assert_eq!(reader.from(), Some(Position::default()));
            None
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
    check(None, &[], Expected::Adopt(Gap::Vanished));
}

/// Its ids may lie before those of the other one.
#[test]
fn another_stream_is_read_from_its_beginning() {
    check(Some(at(99, 20)), &[], Expected::Again);
    check(Some(at(200, 3)), &[150, 180, 200], Expected::Again);
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

/// A reader at an id, which has read the messages up to there.
fn reader_at(millis: u64) -> Reader {
    let mut reader = Reader::default();
    assert_eq!(reader.apply(Some(at(millis - 2, 10)), Vec::new(), false), adopt(Gap::Start, &[]));
    let last = [millis - 1, millis];
    assert_eq!(reader.apply(Some(at(millis, 12)), messages(&last), false), Step::Apply(messages(&last)));
    reader
}

#[test]
fn what_was_forgotten_is_adopted() {
    let mut reader = reader_at(20_000);
    reader.forget();
    assert_eq!(reader.position(), None);
    assert_eq!(reader.apply(Some(at(100, 10)), Vec::new(), false), adopt(Gap::Start, &[]));
    assert_eq!(reader.from(), Some(at(100, 0).last));
    let mut unread = Reader::default();
    unread.forget();
    assert_eq!(unread.from(), None, "where nothing was read, nothing is read again");
}

/// A server that takes over may lack what was unlinked for messages that were told long before they were read.
#[test]
fn what_was_read_late_is_read_again() {
    let (mut reader, start) = (reader_at(20_000), Instant::now());
    let after = |seconds| start + Duration::from_secs(seconds);
    reader.well(start, start);
    let told: Vec<_> = (1..=100).map(|n| 20_000 + 1_000 * n).collect();
    assert_eq!(reader.apply(Some(at(120_000, 112)), messages(&told), false), Step::Apply(messages(&told)));
    reader.well(after(100), after(101));
    // Away since, however long that takes.
    reader.forget();
    assert_eq!(reader.from(), Some(at(20_000, 0).last));
    let again = reader.apply(Some(at(120_000, 112)), messages(&told[..50]), true);
    assert_eq!(again, adopt_known(Gap::Behind, &told[..50], &[]), "nor is it told twice");
    reader.forget();
    assert_eq!(reader.from(), Some(at(20_000, 0).last), "nor has the one that did not last long");
    assert_eq!(reader.apply(Some(at(120_000, 112)), messages(&told), false), adopt_known(Gap::Start, &told, &[]));
    reader.well(after(102), after(103));
    reader.well(after(113), after(113));
    reader.forget();
    assert_eq!(reader.from(), Some(at(20_000, 0).last), "ten seconds, to the one at least");
    assert_eq!(reader.apply(Some(at(120_000, 112)), messages(&told), false), adopt_known(Gap::Start, &told, &[]));
    reader.well(after(114), after(114));
    reader.well(after(125), after(125));
    reader.forget();
    assert_eq!(reader.from(), Some(at(110_000, 0).last), "it has it by now");
}

/// They may have been told to it by whoever leaves it to the readers to unlink; its clock may be behind.
#[test]
fn over_another_server_the_last_ten_seconds_are_read_again() {
    let mut reader = reader_at(20_000);
    reader.forget();
    assert_eq!(reader.from(), Some(at(10_000, 0).last));
    let told = messages(&[19_990, 19_999, 20_001]);
    let step = reader.apply(Some(at(20_003, 15)), told, true);
    assert_eq!(step, adopt_known(Gap::Behind, &[19_999], &[19_990, 20_001]));
    assert_eq!((reader.position(), reader.from()), (None, Some(at(20_001, 0).last)), "there is more");
    let told = messages(&[20_002, 20_003]);
    assert_eq!(reader.apply(Some(at(20_003, 15)), told, false), adopt(Gap::Start, &[20_002, 20_003]));
    assert_eq!(reader.position(), Some(at(20_003, 0).last));
}

#[test]
fn another_message_at_the_same_place_is_not_known() {
    let mut reader = reader_at(20_000);
    reader.forget();
    let mut other = messages(&[20_000]);
    other[0].fields.push(("all".to_owned(), b"1".to_vec()));
    let left = Left { fresh: other.clone(), ..Left::default() };
    assert_eq!(reader.apply(Some(at(20_000, 11)), other, false), Step::Adopt(Gap::Start, left));
}

#[test]
fn behind_a_gap_all_is_read_before_the_end_is_adopted() {
    let mut reader = reader_at(20_000);
    let step = reader.apply(Some(at(20_009, 15)), messages(&[20_005, 20_006, 20_007]), true);
    assert_eq!(step, adopt(Gap::Count, &[20_005, 20_006, 20_007]));
    assert_eq!((reader.position(), reader.from()), (None, Some(at(20_007, 0).last)));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut remembered = Remembered::default();
    let many: Vec<_> = (1..=3_000).collect();
    let start = Position::default();
    remembered.add(&messages(&many), start);
    let (known, fresh) = (messages(&many[3_000 - 1_024..]), messages(&many[..3_000 - 1_024]));
    assert_eq!(remembered.sort(messages(&many), start), Left { known, fresh });
    let mut remembered = Remembered::default();
    let start = at(3_000, 0).last;
    remembered.add(&messages(&[2_999, 3_000]), start);
    remembered.add(&messages(&[13_000]), start);
    let (known, fresh) = (messages(&[3_000, 13_000]), messages(&[2_999]));
    assert_eq!(remembered.sort(messages(&[2_999, 3_000, 13_000]), start), Left { known, fresh });
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
    entries: VecDeque<Message>,
}

/// The number of a message, in its only field.
fn number(message: &Message) -> u64 {
    message.fields[0].0.parse().expect("a number")
}

/// One history: a server, its latest replica, and what a reader should have seen.
#[expect(clippy::struct_excessive_bools, reason = "what has happened, and what was found")]
struct World {
    dice: fastrand::Rng,
    server: Server,
    replica: Server,
    reader: Reader,
    run: u32,
    /// Appended, and neither applied nor dropped for.
    unseen: BTreeSet<(u32, Position)>,
    /// How many messages there were ever.
    told: u64,
    /// How many there were at the first look.
    first: Option<u64>,
    /// Those that were read.
    given: BTreeSet<u64>,
    /// Which stream it is: ids may come again in another one.
    stream: u32,
    is_flushed: bool,
    /// Whether the reader ignores gaps.
    is_naive: bool,
    has_missed: bool,
    has_skipped: bool,
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
            told: 0,
            first: None,
            given: BTreeSet::new(),
            stream: 0,
            is_flushed: false,
            is_naive: false,
            has_missed: false,
            has_skipped: false,
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
        self.told += 1;
        stream.entries.push_back(Message { position, fields: vec![(self.told.to_string(), Vec::new())] });
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
        let from = self.reader.from();
        let stream = self.server.stream.as_ref().expect("there is one by now");
        let behind =
            stream.entries.iter().filter(|message| from.is_some_and(|from| message.position > from)).take(MOST);
        let (end, read) = (stream.end, behind.cloned().collect::<Vec<_>>());
        let step = match self.reader.apply(Some(end), read.clone(), read.len() == MOST) {
            Step::Adopt(gap, _) if self.is_naive && gap != Gap::Start => Step::Apply(read),
            step => step,
        };
        let (Step::Adopt(_, Left { fresh: messages, .. }) | Step::Catch(messages) | Step::Apply(messages)) = &step;
        self.given.extend(messages.iter().map(number));
        let _: u64 = *self.first.get_or_insert(self.told);
        self.has_skipped |= self.reader.position() == Some(end.last) && self.skips();
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

    /// Whether something is on the bus that came after the first look and that the reader never gave to be unlinked.
    fn skips(&self) -> bool {
        let there = self.server.stream.iter().flat_map(|stream| &stream.entries).map(number);
        there
            .filter(|number| self.first.is_some_and(|first| *number > first))
            .any(|number| !self.given.contains(&number))
    }
}

/// What has happened in so many of these histories.
fn count(histories: u64, is_naive: bool, what: fn(&World) -> bool) -> usize {
    let happens = |seed| {
        let mut world = World { is_naive, ..World::new(seed) };
        for _ in 0..100 {
            world.step();
        }
        what(&world)
    };
    (0..histories).filter(|seed| happens(*seed)).count()
}

#[test]
fn no_message_is_missed_without_a_gap() {
    assert_eq!(count(20_000, false, |world| world.has_missed), 0);
}

#[test]
fn a_reader_that_ignores_gaps_misses_messages() {
    assert!(count(100, true, |world| world.has_missed) > 50);
}

/// Over failovers, clocks that are set back and streams that begin anew: whoever told it may have unlinked nothing.
#[test]
fn no_message_that_is_there_is_left_unread() {
    assert_eq!(count(20_000, false, |world| world.has_skipped), 0);
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
