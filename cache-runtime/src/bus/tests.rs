//! The loops together, over a server in memory.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::fake::{Fake, Heavy, Log, Process};
use super::*;
use crate::clock::{Clock, Sleep, Time};
use crate::fault::Fault;
#[cfg(feature = "mutants")]
use crate::rules::Rule;
use crate::rules::Rules;

const USER_UPDATED: [(&str, &str); 2] = [("event", "UserUpdated"), ("data", r#"{"tenant":42,"id":7}"#)];

/// A process that reads the bus of a server.
struct World {
    server: Arc<Fake>,
    log: Arc<Log>,
    journal: Arc<Journal>,
    is_gone: Arc<AtomicBool>,
    running: tokio::task::JoinHandle<()>,
}

impl World {
    async fn start(max_staleness: Duration, time: Time) -> Self {
        Self::start_over(Fake::new(), max_staleness, time, false, Rules::ALL).await
    }

    async fn start_over(
        server: Arc<Fake>,
        max_staleness: Duration,
        time: Time,
        is_cold_after_loss: bool,
        rules: Rules,
    ) -> Self {
        let journal = Arc::new(Journal::new(100));
        let world = Self::start_with(server, journal, max_staleness, time, is_cold_after_loss, rules);
        world.log.until(&["registered", "drop all", "extend"]).await;
        world.log.clear();
        world
    }

    fn start_with(
        server: Arc<Fake>,
        journal: Arc<Journal>,
        max_staleness: Duration,
        time: Time,
        is_cold_after_loss: bool,
        rules: Rules,
    ) -> Self {
        let (log, is_gone) = (Arc::clone(&server.log), Arc::new(AtomicBool::new(false)));
        let table = Arc::new(Table::new("shop", [0; 32]));
        let (journals, gone) = (Arc::clone(&journal), Arc::clone(&is_gone));
        let process = Process { log: Arc::clone(&log), time, is_gone: gone, journal: journals };
        let settings = Settings { id: "me".to_owned(), max_staleness, most: 3, is_cold_after_loss, rules };
        let reading = run(Arc::clone(&server), process, table, Arc::clone(&journal), settings, Arc::default());
        let running = tokio::spawn(reading);
        Self { server, log, journal, is_gone, running }
    }

    /// One that asks often.
    async fn new() -> Self {
        Self::start(Duration::from_millis(30), Time::system()).await
    }
}

#[tokio::test]
async fn what_others_publish_is_unlinked_then_fenced_off_then_delivered() {
    let world = World::new().await;
    world.server.add_name("shop:v1:user:42:7");
    world.server.add(&USER_UPDATED);
    let deliver = format!("deliver UserUpdated {}", USER_UPDATED[1].1);
    world.log.until(&["unlink shop:v1:user:42:7", "fence user:42:7", &deliver, "extend"]).await;
    assert_eq!(world.server.names(), Vec::<String>::new());
}

#[tokio::test]
async fn own_messages_only_count() {
    let world = World::new().await;
    world.server.add(&[USER_UPDATED[0], USER_UPDATED[1], ("by", "me")]);
    world.log.until(&["applied 1", "extend"]).await;
    assert!(!world.log.has(&["fence user:42:7"]) && !world.log.has(&["drop all"]));
}

#[tokio::test]
async fn the_ear_makes_delivery_fast() {
    // The clock stands still: only what is heard wakes the prober.
    let world = World::start(Duration::from_hours(1), Time::Given(Arc::new(Still::default()))).await;
    world.server.add(&USER_UPDATED);
    world.log.until(&["fence user:42:7", "extend", "applied 1"]).await;
}

#[tokio::test]
async fn a_gap_drops_everything() {
    let world = World::new().await;
    world.server.set_during_probe(|server| {
        server.add(&USER_UPDATED);
        server.trim();
    });
    world.log.until(&["drop all", "gap", "extend"]).await;
}

/// Who published it unlinks nothing, and all processes have the same gap before it.
#[tokio::test]
async fn what_is_left_behind_a_gap_is_unlinked_and_delivered() {
    let world = World::new().await;
    world.server.add_name("shop:v1:user:42:7");
    world.server.set_during_probe(|server| {
        server.add(&USER_UPDATED);
        server.trim();
        server.add(&USER_UPDATED);
    });
    let deliver = format!("deliver UserUpdated {}", USER_UPDATED[1].1);
    world.log.until(&["unlink shop:v1:user:42:7", &deliver, "drop all", "gap", "applied 2", "extend"]).await;
    assert_eq!(world.server.names(), Vec::<String>::new());
}

/// The same on another bus, which has counted less.
#[tokio::test]
async fn what_stands_on_a_bus_that_began_anew_is_unlinked_and_delivered() {
    let world = World::new().await;
    world.server.add(&[USER_UPDATED[0], USER_UPDATED[1], ("by", "me")]);
    world.log.until(&["applied 1", "extend"]).await;
    world.server.add_name("shop:v1:user:42:7");
    world.server.set_during_probe(|server| {
        server.begin_anew(&USER_UPDATED);
    });
    world.log.until(&["unlink shop:v1:user:42:7", "drop all", "gap Backwards", "extend"]).await;
    assert_eq!(world.server.names(), Vec::<String>::new());
}

#[tokio::test]
async fn far_behind_everything_is_dropped_and_still_unlinked() {
    let world = World::new().await;
    world.server.add_name("shop:v1:user:42:7");
    world.server.set_during_probe(|server| {
        for _ in 0..5 {
            server.add(&USER_UPDATED);
        }
    });
    world.log.until(&["unlink shop:v1:user:42:7", "drop all", "gap", "applied 5", "extend"]).await;
}

#[tokio::test]
async fn what_the_server_cannot_read_in_time_is_skipped() {
    let world = World::new().await;
    world.server.set_heavy(Heavy::Messages);
    world.server.add(&USER_UPDATED);
    world.log.until(&["fault", "fault", "drop all", "gap Unreadable", "applied 1"]).await;
    assert!(!world.log.has(&["extend"]), "whatever is there, it takes too long");
    world.server.set_heavy(Heavy::Nothing);
    world.log.until(&["extend"]).await;
}

/// With something else, or with long messages.
#[tokio::test]
async fn what_a_server_that_is_slow_can_read_at_all_is_read() {
    for (read, end) in [(2, 0), (2, 2), (4, 0), (4, 4), (8, 4)] {
        let world = World::new().await;
        world.server.set_slow(Duration::from_secs(read), Duration::from_secs(end));
        world.server.add(&USER_UPDATED);
        world.log.until(&["fault", "fence user:42:7", "extend", "applied 1"]).await;
        assert!(!world.log.has(&["discard"]) && !world.log.has(&["drop all"]), "{:?}", world.log.lines());
    }
}

/// By somebody who cuts connections, behind one look that was late: the bus is not to blame.
#[tokio::test]
async fn looks_that_are_cut_at_once_have_not_had_their_time() {
    let cut = || Fault::Broken("somebody has cut it".to_owned());
    let looks = || [Fault::Timeout, cut(), cut(), cut(), cut()];
    for (reads, ends) in [(&looks()[..], &[][..]), (&looks()[..1], &looks()[..])] {
        let world = World::new().await;
        world.server.set_look_faults(reads, ends);
        world.server.add(&USER_UPDATED);
        world.log.until(&["fault", "fence user:42:7", "extend", "applied 1"]).await;
        assert!(world.server.has_had_faults());
        assert!(!world.log.has(&["discard"]) && !world.log.has(&["drop all"]), "{:?}", world.log.lines());
    }
}

/// Redis looks at the last message whenever it tells where the bus ends.
#[tokio::test]
async fn a_long_message_does_not_stay_the_last() {
    let world = World::new().await;
    let long = [("long", "2000000"), ("event", "UserUpdated")];
    world.server.add(&long);
    world.log.until(&["flawed", "applied 1", "extend", "extend"]).await;
    assert!(!world.log.has(&["tell keys by"]), "it was read in time");
    world.server.set_slow(Duration::from_secs(2), Duration::from_secs(2));
    world.log.until(&["applied 1", "tell keys by", "applied 2", "extend"]).await;
    world.log.until(&["applied 2", "extend"]).await;
    assert_eq!(world.log.lines().iter().filter(|line| *line == "tell keys by").count(), 1);
}

/// For longer than a bus is waited for that cannot be read.
#[tokio::test]
async fn a_bus_is_neither_skipped_nor_deleted_because_its_server_takes_no_writes() {
    let world = World::new().await;
    world.server.add(&USER_UPDATED);
    world.log.until(&["applied 1", "extend"]).await;
    world.log.clear();
    world.server.set_heavy(Heavy::Writes);
    world.log.until(&["fault"; 8]).await;
    world.server.add(&USER_UPDATED);
    world.server.set_heavy(Heavy::Nothing);
    world.log.until(&["fence user:42:7", "applied 2", "extend"]).await;
    assert!(!world.log.has(&["discard"]) && !world.log.has(&["drop all"]), "{:?}", world.log.lines());
}

#[tokio::test]
async fn a_bus_whose_end_cannot_be_told_in_time_is_deleted() {
    let world = World::new().await;
    world.server.add(&USER_UPDATED);
    world.log.until(&["fence user:42:7", "extend"]).await;
    world.log.clear();
    world.server.set_heavy(Heavy::Bus);
    world.log.until(&["fault", "fault", "fault", "discard", "fault", "drop all", "gap Backwards", "extend"]).await;
}

#[tokio::test]
async fn another_server_is_a_gap_before_it_is_read() {
    let world = World::new().await;
    world.server.add(&USER_UPDATED);
    world.log.until(&["fence user:42:7", "extend"]).await;
    world.server.set_fault(Some(Fault::Away));
    world.log.until(&["fault"]).await;
    world.log.clear();
    world.server.fail_over(1);
    world.server.set_fault(None);
    world.log.until(&["drop all", "gap Server", "not registered", "registered", "drop all", "extend"]).await;
    let lines = world.log.lines();
    let first = |line: &str| lines.iter().position(|other| other == line);
    assert!(first("drop all") < first("extend"), "{lines:?}");
}

/// What it has lost was told on the bus long ago. Meanwhile the bus is read.
#[tokio::test]
async fn a_server_without_the_bus_that_does_not_tell_who_it_is_is_asked_again() {
    let world = World::new().await;
    world.server.add(&USER_UPDATED);
    world.log.until(&["applied 1", "extend"]).await;
    world.log.clear();
    world.server.fail_over_other();
    world.server.add(&USER_UPDATED);
    world.log.until(&["fence user:42:7", "extend"]).await;
    world.log.clear();
    world.server.tell_other();
    world.log.until(&["drop all", "gap Server", "look at 2", "extend"]).await;
}

/// It has taken over from one that nobody asked for anything.
#[tokio::test]
async fn a_server_without_the_bus_is_asked_who_it_is_now_and_then() {
    let world = World::new().await;
    world.server.replace_other();
    world.log.until(&["drop all", "gap Server", "extend"]).await;
}

/// It is on both servers, nobody has read it, and who published it unlinks nothing. There are more than one look reads.
#[tokio::test]
async fn what_nobody_has_read_when_another_server_takes_over_is_unlinked_and_delivered() {
    let world = World::new().await;
    world.server.add(&USER_UPDATED);
    world.log.until(&["applied 1", "extend"]).await;
    world.server.set_fault(Some(Fault::Away));
    world.log.until(&["fault"]).await;
    world.log.clear();
    let data = |id: u64| format!(r#"{{"tenant":42,"id":{id}}}"#);
    for id in 8..13 {
        world.server.add_name(&format!("shop:v1:user:42:{id}"));
        world.server.add(&[("event", "UserUpdated"), ("data", &data(id))]);
    }
    world.server.fail_over(0);
    world.server.set_fault(None);
    // Where it has read to is told once it has read all.
    let [first, last] = [8, 12].map(|id| format!("deliver UserUpdated {}", data(id)));
    world.log.until(&["gap Server", "look anew", &first, "look anew", &last, "drop all", "look at 6", "extend"]).await;
    assert_eq!(world.server.names(), Vec::<String>::new());
    let lines = world.log.lines();
    let delivered = lines.iter().filter(|line| line.starts_with("deliver")).count();
    assert_eq!(delivered, 5, "the one that was heard before is not heard again: {lines:?}");
}

/// What is repeated is told on the bus: once for each look, it would never be read to its end.
#[tokio::test]
async fn what_is_repeated_is_not_repeated_with_each_look_at_another_server() {
    let world = World::new().await;
    let plan = Table::new("shop", [0; 32]).plan_texts(["user:1:2".to_owned()]);
    let fields = vec![("keys", b"[\"user:1:2\"]".to_vec())];
    let invalidation = crate::store::Invalidation { fields, ..Default::default() };
    assert!(world.journal.succeeded(world.journal.repeats(), &plan, invalidation));
    world.server.set_fault(Some(Fault::Away));
    world.log.until(&["fault"]).await;
    for _ in 0..30 {
        world.server.add(&USER_UPDATED);
    }
    world.server.fail_over(0);
    world.log.clear();
    world.server.set_fault(None);
    world.log.until(&["gap Server", "extend"]).await;
    let repeated = world.log.lines().iter().filter(|line| line.starts_with("tell keys")).count();
    assert!((1..=2).contains(&repeated), "for the server, and at its end: {:?}", world.log.lines());
}

/// It was read, and what it made this process unlink had not come to the server that takes over.
#[tokio::test]
async fn what_was_read_and_unlinked_is_unlinked_from_another_server_too() {
    let world = World::new().await;
    world.server.add(&USER_UPDATED);
    world.log.until(&["applied 1", "extend"]).await;
    world.log.clear();
    world.server.add_name("shop:v1:user:42:7");
    world.server.fail_over(0);
    world.log.until(&["gap Server", "look anew", "unlink shop:v1:user:42:7", "drop all", "look at 1", "extend"]).await;
    assert_eq!(world.server.names(), Vec::<String>::new());
    assert!(!world.log.lines().iter().any(|line| line.starts_with("deliver")), "subscribers hear it once");
}

/// Whether the in-process tier is emptied before it is used over another server, where another message stands in the
/// place of the last one.
async fn is_emptied_over_another_server(rules: Rules) -> bool {
    let world = World::start_over(Fake::new(), Duration::from_millis(30), Time::system(), false, rules).await;
    world.server.add(&USER_UPDATED);
    world.log.until(&["applied 1"]).await;
    world.server.set_fault(Some(Fault::Away));
    world.log.until(&["fault"]).await;
    world.log.clear();
    world.server.fail_over(1);
    world.server.add(&USER_UPDATED);
    world.server.set_fault(None);
    world.log.until(&["extend"]).await;
    assert!(!world.log.has(&["fence user:42:7"]), "it is never read");
    world.log.has(&["drop all"])
}

#[tokio::test]
async fn a_position_on_one_server_means_nothing_on_another() {
    assert!(is_emptied_over_another_server(Rules::ALL).await);
}

#[cfg(feature = "mutants")]
#[tokio::test]
async fn without_a_look_at_the_server_what_another_one_says_is_believed() {
    assert!(!is_emptied_over_another_server(Rules::ALL.without(Rule::Identity)).await);
}

#[tokio::test]
async fn the_latest_invalidations_are_repeated_to_another_server() {
    let world = World::new().await;
    let table = Table::new("shop", [0; 32]);
    table.link(&[&crate::routes::sample::USER]);
    let plan = table.plan_texts(["user:1:2".to_owned()]);
    let fields = vec![("keys", b"[\"user:1:2\"]".to_vec()), ("by", b"me".to_vec())];
    world.journal.succeeded(
        world.journal.repeats(),
        &plan,
        crate::store::Invalidation { fields, ..Default::default() },
    );
    world.server.add_name("shop:v1:user:1:2");
    world.server.fail_over(0);
    world.log.until(&["gap Server", "unlink shop:v1:user:1:2", "tell keys by covered"]).await;
    world.log.until(&["extend"]).await;
    assert_eq!(world.journal.len(), 0);
}

/// A failover before the first look would have lost them, and nobody would know.
#[tokio::test]
async fn what_was_invalidated_before_the_first_look_is_repeated() {
    let (table, journal) = (Table::new("shop", [0; 32]), Arc::new(Journal::new(100)));
    let since = journal.repeats();
    let invalidation = || {
        let fields = vec![("keys", b"[\"user:1:2\"]".to_vec())];
        crate::store::Invalidation { unlink: vec!["shop:v1:user:1:2".to_owned()], fields, ..Default::default() }
    };
    assert!(journal.succeeded(since, &table.plan_texts(["user:1:2".to_owned()]), invalidation()));
    let server = Fake::new();
    server.add_name("shop:v1:user:1:2");
    let shared = Arc::clone(&journal);
    let world = World::start_with(server, shared, Duration::from_millis(30), Time::system(), false, Rules::ALL);
    world.log.until(&["waits", "drop all", "tell keys by covered", "extend"]).await;
    // What was sent meanwhile went to this server: its writer is not told that it waits.
    assert!(journal.succeeded(since, &table.plan_texts(["user:1:2".to_owned()]), invalidation()));
}

/// Else a read in between would find the old value, and keep it.
#[tokio::test]
async fn what_is_repeated_waits_before_memory_is_emptied() {
    let world = World::new().await;
    let table = Table::new("shop", [0; 32]);
    let plan = table.plan_texts(["user:1:2".to_owned()]);
    let fields = vec![("keys", b"[\"user:1:2\"]".to_vec())];
    let invalidation = crate::store::Invalidation { fields, ..Default::default() };
    assert!(world.journal.succeeded(world.journal.repeats(), &plan, invalidation));
    world.server.flush();
    world.log.until(&["waits", "drop all", "gap Flushed"]).await;
}

#[tokio::test]
async fn a_cold_start_sweeps_what_another_server_has() {
    let world = World::start_over(Fake::new(), Duration::from_millis(30), Time::system(), true, Rules::ALL).await;
    world.server.add_name("shop:v1:user:1:2");
    world.server.add_name("other:v1:user:1:2");
    world.server.fail_over(0);
    world.log.until(&["gap Server", "sweep shop:v1:", "sweep shop:group:", "tell all by"]).await;
    assert_eq!(world.server.names(), ["other:v1:user:1:2"]);
}

#[tokio::test]
async fn after_a_flush_the_routes_are_registered_again() {
    let world = World::new().await;
    world.server.flush();
    world.log.until(&["drop all", "gap Flushed", "not registered", "registered", "extend"]).await;
}

#[tokio::test]
async fn the_same_server_over_another_connection_is_none() {
    let world = World::new().await;
    world.server.reconnect();
    world.server.add(&USER_UPDATED);
    world.log.until(&["fence user:42:7", "extend"]).await;
    assert!(!world.log.has(&["drop all"]), "{:?}", world.log.lines());
}

#[tokio::test]
async fn what_another_connection_may_have_answered_extends_nothing() {
    let world = World::new().await;
    world.server.set_during_probe(|server| {
        server.log.clear();
        server.fail_over(0);
    });
    world.log.until(&["gap Server", "extend"]).await;
    let lines = world.log.lines();
    let first = |line: &str| lines.iter().position(|other| other == line);
    assert!(first("drop all") < first("extend"), "{lines:?}");
}

#[tokio::test]
async fn while_the_server_is_away_nothing_is_extended() {
    let world = World::new().await;
    world.server.set_fault(Some(Fault::Timeout));
    world.log.until(&["fault"]).await;
    world.log.clear();
    world.log.until(&["fault", "fault", "fault"]).await;
    assert!(!world.log.has(&["extend"]));
    world.server.set_fault(None);
    world.log.until(&["extend"]).await;
    assert!(!world.log.has(&["drop all"]), "nothing was missed");
}

#[tokio::test]
async fn what_cannot_be_unlinked_waits_in_the_journal() {
    let world = World::new().await;
    world.server.add_name("shop:v1:user:42:7");
    world.server.set_unlink_fault(Some(Fault::Timeout));
    world.server.add(&USER_UPDATED);
    world.log.until(&["fence user:42:7", "extend"]).await;
    assert!(world.journal.blocks(["user:42:7"]));
    world.server.set_unlink_fault(None);
    world.log.until(&["unlink shop:v1:user:42:7"]).await;
    assert_eq!(world.server.names(), Vec::<String>::new());
}

#[tokio::test]
async fn the_journal_is_replayed_when_the_server_is_back() {
    let world = World::new().await;
    world.server.set_fault(Some(Fault::Away));
    let table = Table::new("shop", [0; 32]);
    let plan = table.plan_texts(["user:1:*".to_owned()]);
    let fields = vec![("keys", b"[\"user:1:*\"]".to_vec())];
    world.journal.add(&plan, crate::store::Invalidation { fields, ..Default::default() });
    world.server.add_name("shop:group:user:1:*");
    world.server.set_fault(None);
    world.server.reconnect();
    world.log.until(&["unlink shop:group:user:1:*", "tell keys by covered"]).await;
    world.log.until(&["applied 1"]).await;
    assert!(!world.journal.blocks(["user:1:*"]));
}

#[tokio::test]
async fn routes_of_other_processes_are_read() {
    let world = World::new().await;
    let value = r#"{"function":"f","version":4,"event":"UserUpdated","keys":"f:<id>"}"#;
    world.server.add_route("f v4: UserUpdated => f:<id>", value);
    world.log.until(&["extend", "extend", "extend"]).await;
    world.server.add(&USER_UPDATED);
    world.log.until(&["fence user:42:7 f:7"]).await;
}

#[tokio::test]
async fn flaws_are_counted_and_the_rest_goes_on() {
    let world = World::new().await;
    world.server.add(&[("note", "hello")]);
    world.log.until(&["flawed", "extend"]).await;
    assert!(!world.log.has(&["drop all"]));
    world.server.add(&[("keys", "no JSON")]);
    world.log.until(&["drop all", "flawed", "extend"]).await;
}

#[tokio::test]
async fn it_ends_with_its_process() {
    let world = World::new().await;
    world.is_gone.store(true, Ordering::SeqCst);
    world.running.await.expect("no panic");
}

/// A clock that stands still unless it is moved.
#[derive(Debug, Default)]
struct Still {
    millis: AtomicU64,
}

impl Clock for Still {
    fn now(&self) -> Duration {
        Duration::from_millis(self.millis.load(Ordering::SeqCst))
    }

    fn sleep(&self, _duration: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
}

thread_local! {
    /// The clock that is moved while a probe is under way; each test has a thread of its own.
    static MOVED: RefCell<Option<Arc<Still>>> = const { RefCell::new(None) };
}

/// A probe takes half a second, of an hour: until when may what it finds be served?
async fn right_after_a_slow_probe(rules: Rules, until: &str) {
    let clock = Arc::new(Still::default());
    MOVED.set(Some(Arc::clone(&clock)));
    let (time, hour) = (Time::Given(clock), Duration::from_hours(1));
    let world = World::start_over(Fake::new(), hour, time, false, rules).await;
    world.server.set_during_probe(|_| {
        MOVED.with_borrow(|clock| clock.as_ref().expect("it was set").millis.fetch_add(500, Ordering::SeqCst));
    });
    world.server.add(&USER_UPDATED);
    world.log.until(&["fence user:42:7", until]).await;
}

#[tokio::test]
async fn the_right_begins_when_the_bus_was_asked() {
    right_after_a_slow_probe(Rules::ALL, "extend to 3600000").await;
}

#[cfg(feature = "mutants")]
#[tokio::test]
async fn from_the_answer_on_the_right_is_too_long() {
    right_after_a_slow_probe(Rules::ALL.without(Rule::RightFromSending), "extend to 3600500").await;
}
