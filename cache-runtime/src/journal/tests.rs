//! Nothing is lost, whatever fails.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::item::Item;
use super::queue::{Queue, Tried};
use super::*;
use crate::bus::fake::Fake;
use crate::fault::{Fault, Refusal};
use crate::routes::{Happened, Named, Table, sample};
use crate::warnings::Warnings;

fn table() -> Table {
    let table = Table::new("shop", [0; 32]);
    table.link(&[&sample::USER]);
    table
}

fn item(text: &str) -> Item {
    let named = Named { text: text.to_owned(), names: vec![format!("shop:v1:{text}")], prefix: text[..1].to_owned() };
    Item { named: vec![named], events: Vec::new(), keys: vec![text.to_owned()] }
}

/// What is sent at once.
#[derive(Debug, PartialEq, Eq)]
enum Batch {
    Items(Vec<Numbered>),
    Sweep(Sweep),
}

fn texts(batch: &Batch) -> Vec<&str> {
    match batch {
        Batch::Items(items) => items.iter().map(|(_, item)| item.named[0].text.as_str()).collect(),
        Batch::Sweep(sweep) => vec![&sweep.prefix],
    }
}

/// What is sent first.
fn next(queue: &Queue) -> Option<Batch> {
    let mut waiting = queue.waiting(Tried::Never);
    let items = Pace::default().cut(&mut waiting.items);
    if items.is_empty() {
        queue.sweeps(Tried::Never).into_iter().next().map(Batch::Sweep)
    } else {
        Some(Batch::Items(items))
    }
}

fn acknowledge(queue: &mut Queue, batch: Batch) {
    match batch {
        Batch::Items(items) => items.into_iter().for_each(|(number, _)| queue.acknowledge(number)),
        Batch::Sweep(sweep) => queue.acknowledge_sweep(&sweep),
    }
}

#[test]
fn oldest_first_and_each_once() {
    let mut queue = Queue::new(9);
    for text in ["a", "b", "a", "c"] {
        assert!(queue.add(item(text)));
    }
    assert_eq!(queue.len(), 3);
    assert_eq!(texts(&next(&queue).expect("three")), ["b", "a", "c"], "what comes again is as new as its last time");
}

#[test]
fn what_waits_waits_until_it_is_acknowledged() {
    let mut queue = Queue::new(9);
    queue.add(item("a"));
    let batch = next(&queue).expect("one");
    assert_eq!(next(&queue), Some(next(&queue).expect("still there")));
    assert!(queue.fences("a") && !queue.fences("ab"));
    acknowledge(&mut queue, batch);
    assert_eq!((next(&queue), queue.fences("a"), queue.len()), (None, false, 0));
}

#[test]
fn what_is_added_during_its_replay_stays() {
    let mut queue = Queue::new(1);
    queue.add(item("a"));
    let replayed = next(&queue).expect("one");
    queue.add(item("a"));
    queue.add(item("b"));
    acknowledge(&mut queue, replayed);
    assert_eq!(texts(&next(&queue).expect("the newer one")), ["a"]);
    let newer = next(&queue).expect("the newer one");
    acknowledge(&mut queue, newer);
    let swept = next(&queue).expect("the widened one");
    assert_eq!(texts(&swept), ["b"]);
    queue.widen("b".to_owned(), Tried::Never);
    acknowledge(&mut queue, swept);
    assert_eq!(queue.len(), 1, "widened again during its sweep");
}

#[test]
fn beyond_its_bounds_it_widens() {
    let mut queue = Queue::new(2);
    queue.add(item("a1"));
    queue.add(item("a2"));
    assert!(!queue.add(item("b1")));
    assert!(queue.fences("b1") && queue.fences("b2") && queue.fences("a1"));
    assert!(!queue.fences("a3"), "it is not full of `a` but of two");
    assert!(queue.add(item("a1")), "what waits already needs no room");
    let huge = Item { keys: vec!["x".repeat(17 << 20)], ..item("c1") };
    assert!(!Queue::new(9).add(huge), "bytes are bounded too");
}

#[test]
fn beyond_all_bounds_everything_is_fenced() {
    for widen in [Queue::widen, Queue::widen_event] {
        let mut queue = Queue::new(0);
        for number in 0..=1_024 {
            widen(&mut queue, format!("{number}:"), Tried::Never);
        }
        assert_eq!(queue.len(), 1);
        assert!(queue.fences("anything"));
    }
}

#[test]
fn events_that_do_not_fit_wait_by_their_names() {
    let mut queue = Queue::new(0);
    let event = |id: &str| ("Noted".to_owned(), id.as_bytes().to_vec());
    let add = |queue: &mut Queue, id| queue.add(Item { named: Vec::new(), events: vec![event(id)], keys: Vec::new() });
    assert!(!add(&mut queue, "1"));
    assert!(!add(&mut queue, "2"));
    let looked_up = queue.events();
    add(&mut queue, "3");
    queue.looked_up(&looked_up[0], BTreeSet::new());
    assert_eq!(queue.len(), 1, "it came again while it was looked up");
    queue.widen("a:".to_owned(), Tried::Never);
    let before = next(&queue);
    let prefixes = || BTreeSet::from(["a:", "b:"].map(str::to_owned));
    queue.looked_up(&queue.events()[0], prefixes());
    assert_eq!((next(&queue), queue.len()), (before, 2), "what waits is not widened to again");
    assert!(queue.fences("b:1"));
}

#[test]
fn batches_are_bounded_and_never_empty() {
    let mut queue = Queue::new(5_000);
    for number in 0..1_200 {
        queue.add(item(&format!("a{number}")));
    }
    queue.add(Item { keys: vec!["x".repeat(1 << 20)], ..item("huge") });
    queue.add(item("last"));
    let mut sizes = Vec::new();
    while let Some(batch) = next(&queue) {
        sizes.push(texts(&batch).len());
        acknowledge(&mut queue, batch);
    }
    assert_eq!(sizes, [512, 512, 176, 1, 1]);
}

#[test]
fn events_that_nobody_listens_to_are_bounded_too() {
    let mut queue = Queue::new(5_000);
    for number in 0..1_200 {
        let event = ("Noted".to_owned(), format!("{number}").into_bytes());
        queue.add(Item { named: Vec::new(), events: vec![event], keys: Vec::new() });
    }
    let mut sizes = Vec::new();
    while let Some(batch) = next(&queue) {
        if let Batch::Items(items) = &batch {
            sizes.push(items.len());
        }
        acknowledge(&mut queue, batch);
    }
    assert_eq!(sizes, [512, 512, 176], "each is four arguments of one command");
}

proptest! {
    /// Whatever is added and acknowledged, in whatever order: what was not acknowledged since it was added last is fenced,
    /// and at the end everything was replayed.
    #[test]
    fn nothing_is_dropped(steps in proptest::collection::vec(proptest::option::of((0..3_u8, 0..6_u8)), 0..60)) {
        let mut queue = Queue::new(4);
        let mut unreplayed: Vec<String> = Vec::new();
        let mut replaying = None;
        for step in steps {
            match step {
                Some((function, number)) => {
                    let text = format!("{function}{number}");
                    queue.add(item(&text));
                    unreplayed.push(text);
                }
                None => match replaying.take() {
                    None => replaying = next(&queue).map(|batch| (batch, unreplayed.len())),
                    Some((batch, seen)) => {
                        let covers = |text: &String| match &batch {
                            Batch::Items(_) => texts(&batch).contains(&text.as_str()),
                            Batch::Sweep(sweep) => text.starts_with(&sweep.prefix),
                        };
                        let later = unreplayed.split_off(seen);
                        unreplayed.retain(|text| !covers(text));
                        unreplayed.extend(later);
                        acknowledge(&mut queue, batch);
                    }
                },
            }
            for text in &unreplayed {
                prop_assert!(queue.fences(text), "{} is not fenced", text);
            }
        }
        while let Some(batch) = next(&queue) {
            acknowledge(&mut queue, batch);
        }
        prop_assert_eq!(queue.len(), 0);
    }
}

fn invalidation(fields: &[(&'static str, &str)]) -> Invalidation {
    let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
    Invalidation { fields, ..Invalidation::default() }
}

fn add(journal: &Journal, text: &str) {
    let keys = format!("[\"{text}\"]");
    journal.add(&table().plan_texts([text.to_owned()]), invalidation(&[("keys", &keys)]));
}

#[test]
fn an_empty_journal_blocks_nothing() {
    let journal = Journal::new(9);
    assert!(!journal.blocks(["user:1:2"]));
    add(&journal, "user:1:2");
    assert!(journal.blocks(["user:1:2"]));
    assert!(journal.blocks(["other:1"]), "the replay comes before the first read");
}

#[test]
fn of_many_servers_one_may_be_away() {
    let journal = Journal::new(1).with_fencing(Fencing::Named);
    add(&journal, "user:1:2");
    assert!(journal.blocks(["other:1", "user:1:2"]) && !journal.blocks(["user:1:3"]));
    add(&journal, "other:1");
    assert!(journal.blocks(["other:2"]), "widened to all that begins like it");
}

#[tokio::test]
async fn a_replay_merges_and_tells() {
    let (server, journal, table) = (Fake::new(), Journal::new(9), table());
    let json = r#"{"tenant":1,"id":2}"#;
    let plan = table.plan(&Happened { name: "UserUpdated", json: json.as_bytes(), value: None });
    journal.add(&plan, invalidation(&[("by", "me"), ("event", "UserUpdated"), ("data", json), ("covered", "[]")]));
    add(&journal, "user:3:4");
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    assert_eq!(server.log.lines(), ["unlink shop:v1:user:3:4 shop:v1:user:1:2", "tell event data keys by covered"]);
    assert!(!journal.blocks(["user:1:2"]));
}

#[tokio::test]
async fn after_a_fault_all_of_it_waits() {
    let (server, journal, table) = (Fake::new(), Journal::new(9), table());
    add(&journal, "user:1:2");
    server.set_fault(Some(Fault::Timeout));
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Err(Fault::Timeout));
    assert!(journal.blocks(["user:1:2"]));
    server.set_fault(None);
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    assert_eq!(journal.len(), 0);
}

#[tokio::test]
async fn a_replay_goes_by_the_routes_of_its_own_time() {
    let (server, journal, table) = (Fake::new(), Journal::new(9), table());
    let json = r#"{"tenant":1,"id":2}"#;
    let plan = table.plan(&Happened { name: "UserUpdated", json: json.as_bytes(), value: None });
    journal.add(&plan, invalidation(&[("event", "UserUpdated"), ("data", json)]));
    let value = r#"{"function":"f","version":4,"event":"UserUpdated","keys":"f:<id>"}"#;
    server.add_route("f v4: UserUpdated => f:<id>", value);
    server.add_name("shop:v4:f:2");
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    assert_eq!(server.names(), Vec::<String>::new());
}

#[tokio::test]
async fn what_nobody_needs_to_hear_of_is_only_unlinked() {
    let (server, journal, table) = (Fake::new(), Journal::new(9), table());
    journal.add(&table.plan_texts(["user:1:2".to_owned()]), Invalidation::default());
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    assert_eq!(server.log.lines(), ["unlink shop:v1:user:1:2"]);
}

#[tokio::test]
async fn what_too_few_replicas_are_there_for_is_not_repeated() {
    let (server, table) = (Fake::new(), table());
    server.set_lacks_replicas(true);
    let plan = table.plan_texts(["user:1:2".to_owned()]);
    for (most, fields) in [(9, &[("keys", "[\"user:1:2\"]")][..]), (9, &[]), (0, &[])] {
        let journal = Journal::new(most);
        journal.add(&plan, invalidation(fields));
        let drain = async || journal.drain(server.as_ref(), &table, "me").await;
        assert!(matches!(drain().await, Err(Fault::Refused(Refusal::TooFewReplicas, _))));
        let told = server.log.lines();
        assert!(!told.is_empty(), "told, unlinked or swept: nobody knew");
        assert!(drain().await.is_err());
        assert_eq!((journal.len(), server.log.lines()), (1, told.clone()));
        // Another server was told nothing yet, and may have no replica for long.
        journal.repeat_recent();
        assert!(drain().await.is_err());
        assert_eq!((journal.len(), server.log.lines()), (1, [&told[..], &told[..]].concat()));
        server.log.clear();
    }
}

/// Others are told of it before anybody asks whether replicas are there for what was told before it.
#[tokio::test]
async fn what_was_never_told_does_not_wait_for_replicas() {
    let (server, journal, table) = (Fake::new(), Journal::new(9), table());
    server.set_lacks_replicas(true);
    let drain = async || journal.drain(server.as_ref(), &table, "me").await.is_err();
    add(&journal, "user:1:2");
    assert!(drain().await && drain().await);
    add(&journal, "user:3:4");
    server.log.clear();
    assert!(drain().await && drain().await);
    assert_eq!(server.log.lines(), ["unlink shop:v1:user:3:4", "tell keys by covered"]);
    server.set_lacks_replicas(false);
    assert!(!drain().await);
    assert_eq!(server.log.lines()[2..], ["unlink shop:v1:user:1:2 shop:v1:user:3:4", "tell keys by covered"]);
}

/// While it is away, nothing else is sent again and again either: it would be lost each time.
#[tokio::test]
async fn what_one_server_hinders_is_in_nobodys_way() {
    let (server, journal, table) = (Fake::new(), Journal::new(9), table());
    server.set_away("shop:v1:user:", true);
    add(&journal, "user:1:2");
    let both = table.plan_texts(["user:3:4", "other:3"].map(str::to_owned));
    journal.add(&both, invalidation(&[("keys", r#"["user:3:4","other:3"]"#)]));
    add(&journal, "other:1");
    journal.add(&table.plan_texts(["other:2".to_owned()]), Invalidation::default());
    let drain = async || journal.drain(server.as_ref(), &table, "me").await;
    assert_eq!(drain().await, Err(Fault::Away));
    let told = ["unlink shop:v1:other:2", "unlink shop:v1:other:1", "tell keys by covered"];
    assert!(server.log.has(&told), "{:?}", server.log.lines());
    assert!(server.log.lines()[0].contains("shop:v1:other:3"), "once, though it is not told yet");
    assert_eq!(journal.len(), 2);
    server.log.clear();
    assert_eq!(drain().await, Err(Fault::Away));
    assert_eq!(server.log.lines(), Vec::<String>::new());
    // Of another server nobody knows what it has.
    journal.repeat_recent();
    assert_eq!(drain().await, Err(Fault::Away));
    assert!(server.log.has(&told), "{:?}", server.log.lines());
    assert!(server.log.lines()[0].contains("shop:v1:other:3"));
    server.set_away("shop:v1:user:", false);
    assert_eq!((drain().await, journal.len()), (Ok(Drained::Empty), 0));
}

#[tokio::test]
async fn what_a_server_refuses_is_in_nobodys_way() {
    let (server, journal, table) = (Fake::new(), Journal::new(60), table());
    server.set_refused("shop:v1:user:1:7", Refusal::Other);
    (0..60).for_each(|id| add(&journal, &format!("user:1:{id}")));
    add(&journal, "other:1");
    server.add_name("shop:v1:other:9");
    let drain = async || journal.drain(server.as_ref(), &table, "me").await;
    for _ in 0..3 {
        assert!(matches!(drain().await, Err(Fault::Refused(Refusal::Other, _))));
    }
    assert!(server.log.has(&["sweep shop:v1:other"]), "what was widened goes too: {:?}", server.log.lines());
    assert_eq!((journal.len(), server.names().len()), (1, 0));
    server.log.clear();
    for _ in 0..3 {
        assert!(drain().await.is_err());
    }
    assert_eq!(server.log.lines(), Vec::<String>::new(), "nothing else is tried again");
}

#[tokio::test]
async fn what_one_server_refuses_for_long_is_in_nobodys_way() {
    for refusal in [Refusal::WritesStopped, Refusal::NotReady, Refusal::Credentials] {
        let (server, journal, table) = (Fake::new(), Journal::new(99), table());
        server.set_away("shop:v1:user:", false);
        server.set_refused("shop:v1:user:", refusal);
        for id in 0..20 {
            add(&journal, &format!("user:1:{id}"));
            add(&journal, &format!("other:{id}"));
        }
        let drain = async || journal.drain(server.as_ref(), &table, "me").await;
        assert!(matches!(drain().await, Err(Fault::Refused(..))));
        assert_eq!(journal.len(), 20, "what needs the other one is done");
        server.log.clear();
        for _ in 0..3 {
            assert!(drain().await.is_err());
        }
        assert_eq!(server.log.lines(), Vec::<String>::new(), "and not again");
    }
}

/// More of it than is sent at a time.
#[tokio::test]
async fn however_much_one_server_refuses_the_others_have_their_turn() {
    let (server, journal, table) = (Fake::new(), Journal::new(20_000), table());
    server.set_away("shop:v1:other:", false);
    server.set_refused("shop:v1:user:", Refusal::WritesStopped);
    server.set_fault(Some(Fault::Timeout));
    (0..12_000).for_each(|id| add(&journal, &format!("user:1:{id}")));
    add(&journal, "other:1");
    let drain = async || journal.drain(server.as_ref(), &table, "me").await;
    for _ in 0..3 {
        assert!(drain().await.is_err(), "all of it is tried");
    }
    server.set_fault(None);
    for _ in 0..2 {
        assert!(drain().await.is_err());
    }
    assert_eq!(journal.len(), 12_000);
}

/// Which functions listen is found out by sending it: from then on it needs their servers too.
#[tokio::test]
async fn what_newer_routes_name_on_a_server_that_is_away_is_not_sent_again() {
    let (server, journal, table) = (Fake::new(), Journal::new(9), table());
    server.set_away("shop:v4:f:", true);
    let json = r#"{"tenant":1,"id":2}"#;
    let plan = table.plan(&Happened { name: "UserUpdated", json: json.as_bytes(), value: None });
    journal.add(&plan, invalidation(&[("event", "UserUpdated"), ("data", json)]));
    add(&journal, "other:1");
    let value = r#"{"function":"f","version":4,"event":"UserUpdated","keys":"f:<id>"}"#;
    server.add_route("f v4: UserUpdated => f:<id>", value);
    let drain = async || journal.drain(server.as_ref(), &table, "me").await;
    assert_eq!((drain().await, journal.len()), (Err(Fault::Away), 1));
    server.log.clear();
    assert_eq!((drain().await, drain().await), (Err(Fault::Away), Err(Fault::Away)));
    assert_eq!(server.log.lines(), Vec::<String>::new());
    server.set_away("shop:v4:f:", false);
    assert_eq!(drain().await, Ok(Drained::Empty));
}

#[test]
fn what_was_never_sent_waits_for_nothing() {
    let mut queue = Queue::new(0);
    let waits = |queue: &Queue| [Tried::Never, Tried::Failed, Tried::InVain].map(|tried| queue.sweeps(tried).len());
    queue.add(item("a1"));
    let swept = queue.sweeps(Tried::Never).remove(0);
    queue.was_swept_in_vain(&swept, Tried::InVain);
    assert_eq!(waits(&queue), [0, 0, 1]);
    queue.add(item("a2"));
    assert_eq!(waits(&queue), [1, 0, 1], "not all of it has happened");
    let swept = queue.sweeps(Tried::Never).remove(0);
    queue.add(item("a3"));
    queue.was_swept_in_vain(&swept, Tried::Failed);
    assert_eq!(waits(&queue), [1, 1, 1], "some of it came during the sweep");
    let swept = queue.sweeps(Tried::Never).remove(0);
    queue.acknowledge_sweep(&swept);
    assert_eq!((waits(&queue), queue.len()), ([0, 1, 1], 1), "what waits for others was swept with what it belongs to");
    queue.forget_tries();
    assert_eq!(waits(&queue), [1, 0, 0], "there is another server");
    let swept = queue.sweeps(Tried::Never).remove(0);
    queue.acknowledge_sweep(&swept);
    assert_eq!(queue.len(), 0);
}

#[test]
fn what_was_sent_makes_room_for_what_was_not() {
    let mut queue = Queue::new(2);
    queue.add(item("a1"));
    queue.add(item("b1"));
    let Some(Batch::Items(sent)) = next(&queue) else { panic!("both are sent") };
    queue.were_tried(&sent, Tried::InVain);
    assert!(!queue.add(item("c1")));
    assert_eq!(texts(&next(&queue).expect("what is new")), ["c1"]);
    assert!(queue.fences("a9") && !queue.fences("b9") && !queue.fences("c9"));
    assert_eq!(queue.sweeps(Tried::InVain).len(), 1, "it has happened as what it was widened for");
}

#[test]
fn what_failed_last_is_tried_last() {
    let mut queue = Queue::new(9);
    for text in ["a", "b", "c"] {
        queue.add(item(text));
    }
    let Some(Batch::Items(sent)) = next(&queue) else { panic!("all are sent") };
    queue.were_tried(&sent, Tried::Failed);
    queue.were_tried(&sent[..1], Tried::Failed);
    let order: Vec<_> =
        queue.waiting(Tried::Failed).items.into_iter().map(|(_, item)| item.named[0].text.clone()).collect();
    assert_eq!(order, ["b", "c", "a"]);
}

/// With each invalidation that does not fit, the journal widens once more.
#[tokio::test]
async fn what_is_widened_again_is_not_swept_again_while_a_server_hinders_it() {
    let (server, journal, table) = (Fake::new(), Journal::new(1), table());
    let add = |id: u64| journal.add(&table.plan_key(&sample::USER, format!("user:1:{id}")), Invalidation::default());
    let drain = async || journal.drain(server.as_ref(), &table, "me").await;
    let sweeps = || server.log.lines().into_iter().filter(|line| line.starts_with("sweep")).count();
    server.set_away("shop:v1:user:", true);
    for id in 0..3 {
        add(id);
        assert_eq!(drain().await, Err(Fault::Away));
    }
    assert_eq!(sweeps(), 0, "what was widened was sent before, and waits for who is away");
    server.set_away("shop:v1:user:", false);
    server.set_lacks_replicas(true);
    for id in 3..6 {
        add(id);
        assert!(matches!(drain().await, Err(Fault::Refused(Refusal::TooFewReplicas, _))));
    }
    assert_eq!(sweeps(), 2, "once, in the version and the group");
    server.set_lacks_replicas(false);
    while drain().await != Ok(Drained::Empty) {}
    assert_eq!(sweeps(), 4);
}

/// They may be made of each other: between two sweeps, a value would be made of what the second one takes away.
#[tokio::test]
async fn whole_functions_are_swept_together() {
    let (server, journal, table) = (Fake::new(), Journal::new(1), table());
    for text in ["a:1", "b:1", "c:1"] {
        add(&journal, text);
    }
    while journal.drain(server.as_ref(), &table, "me").await != Ok(Drained::Empty) {}
    let lines = server.log.lines();
    let sweeps = lines.iter().filter(|line| line.starts_with("sweep shop:v1")).count();
    let told = lines.iter().filter(|line| line.starts_with("tell all")).count();
    assert_eq!((sweeps, told), (2, 1), "{lines:?}");
}

/// As when an event did not fit: its functions are widened to, and looked up once more when the server is there.
#[tokio::test]
async fn what_was_swept_with_others_is_not_swept_once_more() {
    let (server, journal, table) = (Fake::new(), Journal::new(0), table());
    add(&journal, "a:1");
    server.set_fault(Some(Fault::Away));
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Err(Fault::Away));
    server.set_fault(None);
    let sweeps = |line: &str| server.log.lines().iter().filter(|other| *other == line).count();
    add(&journal, "a:1");
    add(&journal, "b:1");
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    assert_eq!((sweeps("sweep shop:v1:a"), sweeps("sweep shop:v1:b")), (1, 1));
    // Of what waits together, all of it has to be.
    server.set_fault(Some(Fault::Away));
    add(&journal, "a:1");
    add(&journal, "b:1");
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Err(Fault::Away));
    server.set_fault(None);
    add(&journal, "a:1");
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    assert_eq!((sweeps("sweep shop:v1:a"), sweeps("sweep shop:v1:b")), (3, 2));
}

/// What is made again between two of them may be made of what its process still has in memory: it hears of each.
#[tokio::test]
async fn the_bus_is_told_behind_each_round_and_what_is_new_has_its_turn() {
    let (server, journal, table) = (Fake::new(), Arc::new(Journal::new(1)), table());
    server.set_rounds(3);
    server.set_fault(Some(Fault::Away));
    add(&journal, "user:1:1");
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Err(Fault::Away));
    add(&journal, "user:1:2");
    server.set_fault(None);
    server.log.clear();
    server.set_during_sweep(&journal, |journal| add(journal, "user:1:3"));
    while journal.drain(server.as_ref(), &table, "me").await != Ok(Drained::Empty) {}
    let item = |id| [format!("unlink shop:v1:user:1:{id}"), "tell keys by covered".to_owned()];
    let round = ["sweep shop:v1:user", "sweep shop:group:user", "unlink ", "tell all by"].map(str::to_owned);
    assert_eq!(server.log.lines(), [&item(2)[..], &round, &item(3), &round, &round].concat());
}

/// What is found out in a later one is made of the same.
#[tokio::test]
async fn a_function_that_is_added_late_has_as_many_rounds_as_the_others() {
    let (server, journal, table) = (Fake::new(), Arc::new(Journal::new(0)), table());
    server.set_rounds(2);
    journal.add(&table.plan_key(&sample::USER, "user:1:2".to_owned()), Invalidation::default());
    server.add_route("f v4", r#"{"function":"f","version":4}"#);
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    let lines = server.log.lines();
    let count = |line: &str| lines.iter().filter(|other| *other == line).count();
    assert_eq!((count("sweep shop:v1:user:"), count("sweep shop:v4:user:"), count("tell all by")), (2, 2, 2));
}

#[tokio::test]
async fn a_function_that_is_added_meanwhile_is_all_that_is_swept_again() {
    let (server, journal, table) = (Fake::new(), Journal::new(0), table());
    journal.add(&table.plan_key(&sample::USER, "user:1:2".to_owned()), Invalidation::default());
    server.add_route("f v4", r#"{"function":"f","version":4}"#);
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    let sweeps = ["sweep shop:v1:user:", "sweep shop:group:user:", "unlink ", "sweep shop:v4:user:"];
    assert_eq!(server.log.lines(), [&sweeps[..], &["unlink ", "tell all by"]].concat());
}

#[tokio::test]
async fn while_the_bus_cannot_be_told_nothing_is_unlinked_again() {
    let stopped = || Fault::Refused(Refusal::WritesStopped, "MISCONF".to_owned());
    for fault in [stopped(), Fault::Timeout] {
        let (server, journal, table) = (Fake::new(), Journal::new(9), table());
        server.set_bus_fault(Some(fault.clone()));
        add(&journal, "user:1:2");
        journal.add(&table.plan_texts(["other:2".to_owned()]), Invalidation::default());
        let drain = async || journal.drain(server.as_ref(), &table, "me").await;
        assert_eq!((drain().await, journal.len()), (Err(fault.clone()), 1), "what nobody is told of is done");
        server.log.clear();
        assert_eq!(drain().await, Err(fault.clone()));
        // Nobody knows before it is sent that it takes too long.
        assert_eq!(server.log.lines().is_empty(), fault != Fault::Timeout);
        server.set_bus_fault(None);
        assert_eq!(drain().await, Ok(Drained::Empty));
    }
}

/// However much of it there is, batches become as small as the server is slow.
#[tokio::test]
async fn what_is_too_much_at_once_is_sent_in_smaller_batches() {
    let (server, journal, table) = (Fake::new(), Journal::new(9_000), table());
    server.set_most(100);
    (0..8_192).for_each(|id| add(&journal, &format!("user:1:{id}")));
    let mut drains = 0;
    while journal.drain(server.as_ref(), &table, "me").await != Ok(Drained::Empty) {
        drains += 1;
        assert!(drains < 30, "{} wait", journal.len());
    }
    assert!(server.lates() < 45, "{} batches were too large", server.lates());
}

/// Its rights are those to other keys, and those of the others to these.
#[tokio::test]
async fn what_nobody_has_the_right_to_is_in_nobodys_way() {
    let (server, journal, table) = (Fake::new(), Journal::new(60), table());
    server.set_refused_saying("shop:v1:user:1:7", Refusal::Credentials, "NOPERM");
    (0..60).filter(|id| *id < 8 || *id >= 20).for_each(|id| add(&journal, &format!("user:1:{id}")));
    for _ in 0..3 {
        assert!(journal.drain(server.as_ref(), &table, "me").await.is_err());
    }
    assert_eq!(journal.len(), 1);
}

/// One item at a time, after a server that was slow.
#[tokio::test]
async fn at_the_slowest_pace_it_is_in_nobodys_way_either() {
    let (server, journal, table) = (Fake::new(), Journal::new(60), table());
    (0..10).for_each(|_| journal.paced(2, Some(&Fault::Timeout)));
    // 1, and 10 to 19.
    server.set_refused_saying("shop:v1:user:1:1", Refusal::Credentials, "NOPERM");
    (0..60).for_each(|id| add(&journal, &format!("user:1:{id}")));
    for _ in 0..20 {
        // A fault as often as one of those that are refused had its turn.
        _ = journal.drain(server.as_ref(), &table, "me").await;
    }
    assert_eq!(journal.len(), 11);
}

#[tokio::test]
async fn a_widened_function_is_swept_in_every_version() {
    let (server, journal, table) = (Fake::new(), Journal::new(0), table());
    journal.add(&table.plan_key(&sample::USER, "user:1:2".to_owned()), Invalidation::default());
    server.add_name("shop:v1:user:9:9");
    server.add_name("shop:group:user:1:*");
    server.add_name("shop:v1:other:1");
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    assert_eq!(server.log.lines(), ["sweep shop:v1:user:", "sweep shop:group:user:", "unlink ", "tell all by"]);
    assert_eq!(server.names(), ["shop:v1:other:1"]);
}

/// As of one that began when the server was away, or that other programs' functions were added behind.
#[tokio::test]
async fn what_does_not_fit_is_widened_to_functions_that_its_process_did_not_know() {
    let (server, journal, table) = (Fake::new(), Journal::new(0), Table::new("shop", [0; 32]));
    let json = r#"{"tenant":1,"id":2}"#;
    let publish = |name| {
        let plan = table.plan(&Happened { name, json: json.as_bytes(), value: None });
        assert_eq!(plan.named.len(), 0, "nothing is known of functions");
        journal.add(&plan, invalidation(&[("event", name), ("data", json)]));
    };
    let drain = async || journal.drain(server.as_ref(), &table, "me").await;
    publish("UserUpdated");
    publish("Noted");
    assert!(journal.blocks(["user:1:2"]));
    server.set_fault(Some(Fault::Away));
    assert_eq!((drain().await, journal.len()), (Err(Fault::Away), 2));
    server.set_fault(None);
    let value = r#"{"function":"f","version":4,"event":"UserUpdated","keys":"f:<id>"}"#;
    server.add_route("f v4: UserUpdated => f:<id>", value);
    for name in ["shop:v4:f:2", "shop:v4:g:2"] {
        server.add_name(name);
    }
    while drain().await != Ok(Drained::Empty) {}
    assert_eq!(server.names(), ["shop:v4:g:2"]);
    server.log.clear();
    publish("Noted");
    assert_eq!(drain().await, Ok(Drained::Empty));
    assert_eq!(server.log.lines(), Vec::<String>::new(), "nobody listens to it");
}

/// They succeeded by what was known when they were replayed, which is more than when they were published.
#[test]
fn the_functions_of_too_many_recent_events_are_looked_up_again() {
    let (mut recent, start) = (Recent::new(1), Instant::now());
    let event = |name: &str| Item { named: Vec::new(), events: vec![(name.to_owned(), Vec::new())], keys: Vec::new() };
    for name in ["A", "A", "B", "C"] {
        recent.add(event(name), start);
    }
    let (items, widened, events) = recent.take();
    assert_eq!((items.len(), widened, events), (1, Vec::new(), vec!["A".to_owned(), "B".to_owned()]));
    (0..1_100).for_each(|number| recent.add(event(&format!("E{number}")), start));
    let (_, widened, events) = recent.take();
    assert!(widened == [""] && events.len() < 1_024, "{widened:?}");
    recent.add(event("A"), start);
    recent.add(event("B"), start);
    recent.well(start + Duration::from_secs(11));
    assert_eq!(recent.take(), (Vec::new(), Vec::new(), Vec::new()));
    assert_eq!((recent.add(event("A"), start), recent.take().0.len()), ((), 0));
}

#[test]
fn too_many_recent_functions_are_everything() {
    let (mut recent, start) = (Recent::new(1), Instant::now());
    let named = |number: usize| Item {
        named: vec![Named { prefix: format!("{number}:"), ..item("a").named.remove(0) }],
        ..item(&format!("a{number}"))
    };
    (0..1_100).for_each(|number| recent.add(named(number), start));
    let widened = recent.take().1;
    assert!(widened.len() < 100 && widened[0].is_empty(), "{widened:?}");
    (0..1_100).for_each(|number| recent.add_widened(&format!("{number}:"), start));
    let widened = recent.take().1;
    assert!(widened.len() < 100 && widened[0].is_empty(), "{widened:?}");
}

#[tokio::test]
async fn that_it_is_full_is_said_once_until_there_is_room() {
    let warnings = Warnings::default();
    let guard = tracing::subscriber::set_default(warnings.clone());
    let (server, journal, table) = (Fake::new(), Journal::new(1), table());
    let said = || warnings.told().0;
    add(&journal, "a:1");
    assert_eq!(said(), 0);
    add(&journal, "b:1");
    add(&journal, "c:1");
    assert_eq!(said(), 1);
    while journal.drain(server.as_ref(), &table, "me").await != Ok(Drained::Empty) {}
    // What was swept lately is to be repeated, and does not fit either.
    journal.repeat_recent();
    assert_eq!(said(), 2);
    let journal = Journal::new(1);
    let succeeded = |sent, text: &str| {
        let plan = table.plan_texts([text.to_owned()]);
        journal.succeeded(sent, &plan, Invalidation::default())
    };
    assert!(succeeded(journal.repeats(), "d:1"));
    let sent = journal.repeats();
    journal.repeat_recent();
    assert_eq!(said(), 2, "it fits");
    assert!(!succeeded(sent, "e:1"));
    assert_eq!(said(), 3);
    drop(guard);
}

#[tokio::test]
async fn what_is_added_wakes_who_replays() {
    let journal = Arc::new(Journal::new(9));
    add(&journal, "user:1:2");
    journal.added().await;
    assert_eq!(journal.len(), 1);
}

#[test]
fn the_ten_seconds_before_the_servers_were_last_well_are_repeated() {
    let (mut recent, start) = (Recent::new(9), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    recent.add(item("a"), at(0));
    recent.add(item("b"), at(5));
    recent.add(item("a"), at(6));
    recent.add(item("c"), at(15));
    recent.well(at(16));
    // Nobody knows how they are from here on, for however long that takes, and whatever was known before.
    recent.add(item("d"), at(20));
    recent.well(at(3));
    recent.add(item("e"), at(500));
    let (items, widened, _) = recent.take();
    let texts: Vec<_> = items.iter().map(|item| item.named[0].text.as_str()).collect();
    assert_eq!((texts, widened), (vec!["a", "c", "d", "e"], Vec::new()));
    assert_eq!(recent.take(), (Vec::new(), Vec::new(), Vec::new()));
    // Another one is lost before it was well.
    recent.add(item("a"), at(501));
    assert_eq!(recent.take().0.len(), 1);
}

#[test]
fn where_the_servers_were_never_well_all_are_repeated() {
    let (mut recent, start) = (Recent::new(9), Instant::now());
    recent.add(item("a"), start);
    recent.add_widened("b", start);
    recent.add(item("c"), start + Duration::from_hours(1));
    let (items, widened, _) = recent.take();
    assert_eq!((items.len(), widened), (2, vec!["b".to_owned()]));
}

#[test]
fn too_many_recent_ones_are_widened_for_as_long() {
    let (mut recent, start) = (Recent::new(1), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    recent.add(item("a1"), at(0));
    recent.add(item("b1"), at(1));
    assert_eq!(recent.take().1, ["a"]);
    recent.add_widened("a", at(4));
    recent.add(item("a1"), at(3));
    recent.add(item("b1"), at(5));
    recent.well(at(14));
    let (items, widened, _) = recent.take();
    assert_eq!((items.len(), widened), (1, vec!["a".to_owned()]), "the later of the two counts");
    recent.add(item("a1"), at(16));
    recent.add(item("b1"), at(17));
    recent.well(at(27));
    let (items, widened, _) = recent.take();
    assert_eq!((items.len(), widened), (1, Vec::new()));
}

#[tokio::test]
async fn what_is_repeated_waits_like_any_other() {
    let (server, journal, table) = (Fake::new(), Journal::new(9), table());
    let plan = table.plan_texts(["user:1:2".to_owned()]);
    assert!(journal.succeeded(journal.repeats(), &plan, invalidation(&[("keys", "[\"user:1:2\"]")])));
    assert!(!journal.blocks(["user:1:2"]));
    journal.repeat_recent();
    assert!(journal.blocks(["user:1:2"]));
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    journal.repeat_recent();
    assert_eq!(journal.len(), 1, "the next server may lack it too");
}

/// It may have been told on the bus long before it was unlinked: who reads the last ten seconds again does not read of it.
#[tokio::test]
async fn what_is_only_unlinked_is_repeated_too() {
    let (server, journal, table) = (Fake::new(), Journal::new(9), table());
    journal.add(&table.plan_texts(["user:1:2".to_owned()]), Invalidation::default());
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    journal.repeat_recent();
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    assert_eq!(server.log.lines(), ["unlink shop:v1:user:1:2", "unlink shop:v1:user:1:2"]);
}

#[tokio::test]
async fn what_may_have_happened_on_the_server_before_waits_again() {
    let (server, journal, table) = (Fake::new(), Journal::new(9), table());
    let plan = table.plan_texts(["user:1:2".to_owned()]);
    let sent = journal.repeats();
    // Another server takes over before the reply is looked at.
    journal.repeat_recent();
    assert!(!journal.succeeded(sent, &plan, invalidation(&[("keys", "[\"user:1:2\"]")])));
    assert!(journal.blocks(["user:1:2"]));
    let ([waiting, ..], sent) = journal.waiting();
    journal.repeat_recent();
    journal.acknowledge_items(waiting.items.into(), sent);
    assert_eq!(journal.len(), 1, "nor is a replay that another one overtook");
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
}

#[tokio::test]
async fn what_was_swept_is_swept_again_for_the_next_server() {
    let (server, journal, table) = (Fake::new(), Journal::new(0), table());
    journal.add(&table.plan_key(&sample::USER, "user:1:2".to_owned()), Invalidation::default());
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    // It takes over with what the one before had when the sweep was yet to come.
    server.add_name("shop:v1:user:1:2");
    journal.repeat_recent();
    assert_eq!(journal.drain(server.as_ref(), &table, "me").await, Ok(Drained::Empty));
    assert_eq!(server.names(), Vec::<String>::new());
}
