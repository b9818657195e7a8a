//! Recorder, server, fleet and history.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::testing::history::{Promise, Source};
use cache_runtime::testing::{Fault, Fleet, History, Recorder, RedisServer};
use cache_runtime::{Cache, Metric, OnFailover, Outcome, cached, explain};
use cache_tests::{Gate, eventually, eventually_ok};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(10);

#[cached(ttl = "5m", key = "square:<of>")]
async fn square(of: u64) -> u64 {
    of * of
}

#[cached(ttl = "1h", key = "level:<id>")]
async fn level(id: u64, #[cache(skip)] source: &AtomicU64) -> u64 {
    let _ = id;
    source.load(Ordering::SeqCst)
}

/// Two methods of one name in one module.
struct Users;

impl Users {
    #[cached(ttl = "5m", key = "user:<id>", skip(self))]
    async fn find(&self, id: u64) -> u64 {
        id
    }
}

struct Orders;

impl Orders {
    #[cached(ttl = "5m", key = "order:<id>", skip(self))]
    async fn find(&self, id: u64) -> u64 {
        id
    }
}

mod other {
    use cache_runtime::cached;

    #[cached(ttl = "5m", key = "other:<of>")]
    pub(super) async fn square(of: u64) -> u64 {
        of * of
    }
}

#[cached(ttl = "1h", key = "gated:<id>")]
async fn gated(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    let _ = id;
    source.load().await
}

#[cached(ttl = "1h", key = "around:<id>", skip(source))]
async fn around(id: u64, source: &Gate) -> u64 {
    let _ = id;
    gated(1, source).await
}

// Recorder.

async fn recorded() -> (Cache, Recorder) {
    let cache = cache_tests::cache().await;
    let recorder = Recorder::new(&cache);
    (cache, recorder)
}

#[tokio::test]
async fn a_recorder_counts_from_when_it_was_made() {
    let (cache, early) = recorded().await;
    cache.scope(async { [square(1).await, square(1).await] }).await;
    let mut late = Recorder::new(&cache);
    cache.scope(async { [square(1).await, square(2).await] }).await;
    let counts = |recorder: &Recorder| (recorder.loads("parts::square"), recorder.hits("parts::square"));
    assert_eq!((counts(&early), counts(&late)), ((2, 2), (1, 1)));
    assert_eq!(early.count("parts::square", Metric::Miss), 2);
    late.restart();
    assert_eq!(counts(&late), (0, 0));
}

#[tokio::test]
async fn a_recorder_knows_one_function_from_another_of_its_name() {
    let (cache, recorder) = recorded().await;
    cache.scope(other::square(1)).await;
    assert_eq!((recorder.loads("other::square"), recorder.loads("parts::square")), (1, 0));
}

#[tokio::test]
#[should_panic(expected = "several cached functions are named `square`")]
async fn a_name_of_two_functions_is_refused() {
    let _ = recorded().await.1.loads("square");
}

#[tokio::test]
#[should_panic(expected = "no cached function is named `quare`; there are ")]
async fn a_name_of_no_function_is_refused() {
    let _ = recorded().await.1.loads("quare");
}

#[tokio::test]
async fn methods_of_one_name_are_counted_each_by_itself() {
    let (cache, recorder) = recorded().await;
    cache.scope(async { [Users.find(1).await, Users.find(1).await, Orders.find(1).await] }).await;
    let counts = |template| (recorder.loads(template), recorder.hits(template));
    assert_eq!((counts("user:<id>"), counts("order:<id>")), ((1, 1), (1, 0)));
    let found = cache.stats().into_iter().filter(|stats| stats.name() == "find");
    let loads: Vec<_> = found.map(|stats| (stats.template(), stats.loads())).collect();
    assert_eq!(loads, [("user:<id>", 1), ("order:<id>", 1)]);
}

#[tokio::test]
#[should_panic(
    expected = "several cached functions are named `find`: testing::parts::find (key `user:<id>`), testing::parts::find (key `order:<id>`)"
)]
async fn a_name_of_two_methods_is_refused() {
    let _ = recorded().await.1.loads("find");
}

// Server.

#[test]
fn a_server_comes_back_empty_on_its_port() {
    let server = RedisServer::start().expect("there is a redis-server");
    server.call(&["SET", "a", "1"]).expect("it is there");
    server.kill();
    assert!(server.call(&["PING"]).is_err());
    server.restart().expect("its port is still its own");
    assert_eq!(server.call(&["EXISTS", "a"]).expect("it is there").to_string(), "0");
    assert_eq!(server.url(), format!("redis://{}", server.address()));
}

#[test]
fn a_server_leaves_nothing_behind() {
    let server = RedisServer::start().expect("there is a redis-server");
    let folder = server.call(&["CONFIG", "GET", "dir"]).expect("it is there").elements()[1].to_string();
    let address = server.address();
    assert!(PathBuf::from(&folder).is_dir());
    drop(server);
    assert!(!PathBuf::from(&folder).exists());
    assert!(std::net::TcpStream::connect(address).is_err());
}

/// Run by the next test in a process of its own, which is killed while it waits.
#[test]
#[ignore = "waits to be killed"]
fn waits_to_be_killed() {
    let server = RedisServer::start().expect("there is a redis-server");
    println!("address {}", server.address());
    std::thread::park();
}

#[tokio::test]
async fn a_server_ends_with_a_test_process_that_is_killed() {
    let mut command = Command::new(std::env::current_exe().expect("a test program knows its path"));
    command.args(["parts::waits_to_be_killed", "--exact", "--ignored", "--nocapture"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("it started once already");
    let output = std::io::BufReader::new(child.stdout.take().expect("its output is a pipe"));
    let mut lines = std::io::BufRead::lines(output).map_while(Result::ok);
    let address = lines.find_map(|line| line.split_once("address ").map(|(_, address)| address.to_owned()));
    let address = address.expect("it starts a server");
    assert!(std::net::TcpStream::connect(&address).is_ok());
    child.kill().expect("one may kill one's own child");
    child.wait().expect("it is dead");
    eventually(SOON, async || std::net::TcpStream::connect(&address).is_err()).await;
}

/// Run by the next test, with another program.
#[test]
#[ignore = "wants another program"]
fn says_what_is_missing() {
    println!("{}", RedisServer::start().expect_err("there is no such program"));
}

#[test]
fn a_missing_program_is_named() {
    let mut command = Command::new(std::env::current_exe().expect("a test program knows its path"));
    command.args(["parts::says_what_is_missing", "--exact", "--ignored", "--nocapture"]);
    let output = command.env("CACHE_TESTS_REDIS_SERVER", "no-such-server").output().expect("it started once already");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("cannot run `no-such-server`") && said.contains("install Redis 7.0 or newer"), "{said}");
}

// Fleet.

async fn outcome_of(cache: &Cache, of: u64) -> Outcome {
    cache.scope(explain(square(of))).await.1[0].outcome()
}

#[tokio::test]
async fn caches_of_a_fleet_are_like_processes() {
    let fleet = Fleet::start(3).await.expect("there is a redis-server");
    let recorder = fleet.recorder();
    let outcomes = [0, 1, 1].map(|process| outcome_of(fleet.cache(process), 7));
    let [first, second, third] = outcomes;
    assert_eq!([first.await, second.await, third.await], [Outcome::Loaded, Outcome::HitL2, Outcome::HitL1]);
    assert_eq!((recorder.loads("parts::square"), recorder.hits("parts::square")), (1, 2));
    assert!(fleet.server().is_some());
    assert_eq!(fleet.processes(), 3);
}

#[tokio::test]
async fn each_process_of_a_fleet_has_a_network_of_its_own() {
    let fleet = Fleet::start(2).await.expect("there is a redis-server");
    fleet.proxy(1).refuse();
    fleet.proxy(1).all().cut();
    eventually(SOON, async || !fleet.cache(1).health().reaches_server()).await;
    assert_eq!(outcome_of(fleet.cache(0), 8).await, Outcome::Loaded);
    assert_eq!(outcome_of(fleet.cache(1), 8).await, Outcome::Loaded);
    fleet.proxy(1).heal();
    fleet.all_serve().await.expect("the network is mended");
    assert_eq!(outcome_of(fleet.cache(0), 9).await, Outcome::Loaded);
    eventually(SOON, async || outcome_of(fleet.cache(1), 9).await != Outcome::Loaded).await;
}

#[tokio::test]
async fn the_bus_of_one_process_can_be_held_alone() {
    let fleet = Fleet::start(2).await.expect("there is a redis-server");
    fleet.proxy(1).named("test:bus").both(Fault::Hold);
    eventually(SOON, async || !fleet.cache(1).health().serves_near()).await;
    assert!(fleet.cache(0).health().serves_near() && fleet.cache(1).health().reaches_server());
    outcome_of(fleet.cache(0), 10).await;
    assert_eq!(outcome_of(fleet.cache(1), 10).await, Outcome::HitL2);
}

#[tokio::test]
async fn a_fleet_may_be_over_a_server_that_is_there() {
    let server = RedisServer::start().expect("there is a redis-server");
    let set = |builder: cache_runtime::Builder| builder.on_failover(OnFailover::Cold);
    let fleet = Fleet::over_with(&format!("{}/3", server.url()), 1, set).await.expect("it is there");
    outcome_of(fleet.cache(0), 11).await;
    drop(fleet);
    let stored = server.call(&["INFO", "keyspace"]).expect("it is left as it is").to_string();
    assert!(stored.contains("db3:keys="), "{stored}");
    let problem = Fleet::over("rediss://localhost", 1).await.expect_err("a proxy cannot read TLS").to_string();
    assert!(problem.contains("`redis://[user:password@]host[:port][/db]`"), "{problem}");
}

#[tokio::test]
async fn the_server_of_a_fleet_is_its_own() {
    let fleet = Fleet::start_with(1, |builder| builder.redis("redis://127.0.0.1:1")).await.expect("it has its own");
    outcome_of(fleet.cache(0), 12).await;
    let stored = fleet.server().expect("it was started").call(&["KEYS", "test:v1:square:12"]);
    assert_eq!(stored.expect("it is there").to_string(), "test:v1:square:12");
}

// History.

#[tokio::test]
async fn a_history_holds_each_process_to_its_promise() {
    let (source, history) = (AtomicU64::new(1), History::new(Duration::from_millis(50)));
    let fleet = Fleet::start_with(2, |builder| builder.max_staleness(Duration::from_millis(50))).await;
    let fleet = fleet.expect("there is a redis-server");
    let read = async |process: u32| {
        let reading = history.read(process, 7);
        let cache = fleet.cache(usize::try_from(process).expect("it is 0 or 1"));
        reading.saw(cache.scope(level(7, &source)).await)
    };
    for process in [0, 1] {
        assert!(read(process).await.is_none(), "nothing was written yet");
    }
    // Committed, and told nobody.
    let writing = history.write(0, 7, 2);
    source.store(2, Ordering::SeqCst);
    writing.committed();
    let own = read(0).await.expect("its own process must see it at once");
    assert_eq!((own.promise, own.read.version, own.required), (Promise::OwnProcess, 1, 2));
    let other = eventually_ok(SOON, async || read(1).await.ok_or("the other may still be behind")).await;
    assert_eq!(other.promise, Promise::Bounded);
    assert!(other.point.is_some_and(|point| other.read.began >= point.returned + 50_000_000));
    assert_eq!(history.check().expect_err("the first is kept").promise, Promise::OwnProcess);
    assert_eq!(history.checked(Promise::OwnProcess).violations, 1);
}

#[test]
fn what_is_queued_binds_its_own_process_alone() {
    let history = History::new(Duration::ZERO);
    history.write(0, 7, 2).queued();
    assert!(history.read(1, 7).strictly().saw(1).is_none());
    assert!(history.read(0, 7).saw(1).is_some());
    history.write(0, 7, 3).everywhere();
    assert!(history.read(1, 7).saw(3).is_none() && history.read(1, 7).strictly().saw(2).is_some());
}

/// All that a read may have joined is a load: who tells that it did not is bound by what everybody has heard of.
#[tokio::test]
async fn what_everybody_has_heard_of_binds_a_read_that_tells_where_it_came_from() {
    let (cache, history, source) = (cache_tests::cache().await, History::new(Duration::from_hours(1)), Gate::new());
    source.close();
    let read = |id| cache.scope(explain(around(id, &source)));
    let ((_, loaded), (_, inside), (_, joined), ()) =
        futures::join!(read(1), read(2), read(1), async { source.open() });
    let (_, hit) = read(1).await;
    history.write(0, 7, 1).everywhere();
    let saw = |lookups: &[cache_runtime::Lookup], version| history.read(1, 7).explained(lookups).saw(version);
    for (lookups, from) in [(&loaded, Source::Load), (&hit, Source::Near)] {
        let found = saw(lookups, 0).expect("a tier gives nothing older, nor does a load of its own");
        assert_eq!((found.promise, found.required, found.read.source), (Promise::Everywhere, 1, from));
        assert!(saw(lookups, 1).is_none());
    }
    assert!(!found_text(&history).contains("loaded by"), "nobody has told who loaded it");
    // Another call's load may be older, and what is made of it: the second loads itself, around a load of the first.
    for lookups in [&joined, &inside] {
        assert_eq!(Source::of(lookups), Source::Joined, "{lookups:?}");
        assert!(saw(lookups, 0).is_none());
    }
    assert!(saw(&[], 0).is_none() && history.read(1, 7).saw(0).is_none(), "they do not tell");
    assert!(history.read(1, 7).strictly().saw(0).is_some());
    assert!(history.read(0, 7).saw(0).is_some());
}

fn found_text(history: &History) -> String {
    history.check().expect_err("something was found").report(0, |key| key.to_string())
}
