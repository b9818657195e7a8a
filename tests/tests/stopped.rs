//! Several real processes over one server, of which some are stopped, continued and killed, or have a wrong clock.
//!
//! The truth is a plain key of the same server, which every process reads in the body of its cached function; another
//! key tells loads to wait.

#![cfg(unix)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use cache_runtime::testing::Rule;
use cache_runtime::{Cache, Delivery, Event, Metric, cached};
use cache_tests::eventually::eventually;
use cache_tests::fleet::{Fleet, Question, child};
use cache_tests::on_redis::process_with;
use cache_tests::redis_server::RedisServer;
use cache_tests::resp::{Client, Reply};
use futures::future::join_all;
use serde::{Deserialize, Serialize};

const MAX_STALENESS: Duration = Duration::from_millis(600);

/// Longer than a process waits for its turn on a busy machine.
const PAUSE: Duration = Duration::from_millis(1_500);

const LEASE: Duration = Duration::from_secs(1);

/// The longest pause between two looks at another process's load.
const POLL: Duration = Duration::from_millis(250);

/// What a machine adds that has other things to do.
const SLACK: Duration = Duration::from_secs(2);

const SOON: Duration = Duration::from_secs(20);

#[derive(Event, Serialize, Deserialize)]
struct Changed {
    id: u64,
}

#[cached(ttl = "1m", key = "item:<id>", invalidate_on = "Changed", own(truth))]
async fn item(id: u64, #[cache(skip)] truth: &Truth) -> u64 {
    truth.load(id).await
}

/// Where the truth is.
#[derive(Clone, Copy, Debug)]
struct Truth(SocketAddr);

impl Truth {
    /// Reads the version, counts the load, and waits until the gate is open.
    async fn load(&self, id: u64) -> u64 {
        let version = self.call(&["GET", &format!("truth:{id}")]).to_string();
        self.call(&["INCR", "loads"]);
        while self.call(&["EXISTS", "gate"]) == Reply::Integer(1) {
            // tidy: sleep because the gate is in another process
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        version.parse().unwrap_or(0)
    }

    fn call(&self, command: &[&str]) -> Reply {
        let mut client = Client::connect(self.0, SOON).expect("the server is up");
        client.call(command).expect("the server answers")
    }
}

/// What the parent sees.
struct Scene {
    server: RedisServer,
    truth: Truth,
}

impl Scene {
    fn start() -> Self {
        let server = RedisServer::start();
        let truth = Truth(server.address());
        Self { server, truth }
    }

    async fn fleet(&self, count: usize) -> Fleet {
        self.fleet_without(count, "").await
    }

    async fn fleet_without(&self, count: usize, rule: &str) -> Fleet {
        self.fleet_with(count, &[("STOPPED_WITHOUT", rule)]).await
    }

    async fn fleet_with(&self, count: usize, variables: &[(&str, &str)]) -> Fleet {
        let port = self.server.port().to_string();
        let variables = [&[("STOPPED_PORT", &*port)], variables].concat();
        Fleet::start_with(count, "a_process", &variables).await
    }

    /// A cache of the test's own.
    async fn own(&self) -> Cache {
        cache(&self.server.url(), &[]).await
    }

    fn close_gate(&self) {
        self.server.cli(&["SET", "gate", "closed"]);
    }

    fn open_gate(&self) {
        self.server.cli(&["DEL", "gate"]);
    }

    fn commit(&self, version: u64) {
        self.server.cli(&["SET", "truth:1", &version.to_string()]);
    }

    fn loads(&self) -> u64 {
        self.server.cli(&["GET", "loads"]).parse().unwrap_or(0)
    }

    async fn loads_begin(&self, loads: u64) {
        eventually(SOON, async || self.loads() == loads).await;
    }

    /// Waits until another process waits for the leader of item 1.
    async fn is_waited_for(&self) {
        eventually(SOON, async || self.server.cli(&["GETRANGE", "test:v1:item:1", "0", "1"]) == "L1").await;
    }

    fn slot(&self) -> Reply {
        self.server.call(&["GET", "test:v1:item:1"])
    }
}

async fn cache(url: &str, rules: &[Rule]) -> Cache {
    process_with(url, |builder| {
        let builder = builder.max_staleness(MAX_STALENESS).lease(LEASE);
        rules.iter().fold(builder, |builder, rule| builder.without_rule(*rule))
    })
    .await
}

// The process.

#[test]
fn a_process() {
    child(async |mut questions| {
        let port: u16 = variable("STOPPED_PORT").parse().expect("the parent gives a port");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let rules: &[Rule] = if variable("STOPPED_WITHOUT") == "right" { &[Rule::Right] } else { &[] };
        let cache = cache(&format!("redis://{address}"), rules).await;
        let answering = Arc::new(Answering { cache, truth: Truth(address), readings: AtomicU64::new(0) });
        while let Some(question) = questions.next().await {
            tokio::spawn(Arc::clone(&answering).answer(question));
        }
    });
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

struct Answering {
    cache: Cache,
    truth: Truth,
    /// How often it was read without a pause.
    readings: AtomicU64,
}

impl Answering {
    async fn answer(self: Arc<Self>, question: Question) {
        let answer = match *question.words() {
            ["read"] => self.read().await.to_string(),
            ["sees"] => {
                while !self.cache.health().serves_near() {
                    // tidy: sleep because what happens in other processes does not wake this one
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                self.read().await.to_string()
            }
            ["crowd", callers] => self.crowd(callers.parse().expect("a number")).await,
            ["readings"] => self.readings.load(Ordering::SeqCst).to_string(),
            ["first-after-a-pause"] => self.first_after_a_pause().await.to_string(),
            ["wall-clock"] => seconds_since_1970().to_string(),
            ["kept", id] => self.kept(id.parse().expect("a number")).await,
            ["read-item", id] => self.cache.scope(item(id.parse().expect("a number"), &self.truth)).await.to_string(),
            ["refused"] => {
                let stats = self.cache.stats();
                let item = stats.iter().find(|stats| stats.name() == "item").expect("it is linked");
                item.count(Metric::RefusedFill).to_string()
            }
            ref other => panic!("{other:?} is no question"),
        };
        question.answer(&answer);
    }

    async fn read(&self) -> u64 {
        self.cache.scope(item(1, &self.truth)).await
    }

    /// How old what is kept of an item is, and how long it lives yet, in milliseconds.
    async fn kept(&self, id: u64) -> String {
        let peek = self.cache.scope(async { item_entry(id).peek().await }).await.expect("the server is there");
        peek.map_or_else(String::new, |peek| format!("{} {}", peek.age().as_millis(), peek.remaining().as_millis()))
    }

    /// What so many callers read at once, each different answer once.
    async fn crowd(self: &Arc<Self>, callers: usize) -> String {
        let call = || {
            let itself = Arc::clone(self);
            tokio::spawn(async move { itself.read().await })
        };
        let answers = join_all((0..callers).map(|_| call())).await;
        let mut answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("no panics")).collect();
        answers.sort_unstable();
        answers.dedup();
        format!("{answers:?}")
    }

    /// Reads without a pause, until there is one: the first value that was asked for after it.
    async fn first_after_a_pause(&self) -> u64 {
        let mut last = Instant::now();
        loop {
            // One look at the clock for each: wherever it is stopped, it shows in between.
            let now = Instant::now();
            let value = self.read().await;
            self.readings.fetch_add(1, Ordering::SeqCst);
            if now.duration_since(last) > PAUSE {
                return value;
            }
            last = now;
            tokio::task::yield_now().await;
        }
    }
}

fn seconds_since_1970() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().expect("no clock is off by so much");
    i64::try_from(since.as_secs()).expect("it is not that late")
}

// Race 13.

/// Moves the wall clock of a process, and no other one.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
const OTHER_CLOCK: &str = r#"
    #include <stdlib.h>
    #include <sys/syscall.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>

    int clock_gettime(clockid_t id, struct timespec *now) {
        const char *off = getenv("CLOCK_OFF");
        long failed = syscall(SYS_clock_gettime, id, now);
        if (!failed && off && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += atol(off);
        return failed;
    }

    int gettimeofday(struct timeval *restrict now, void *restrict zone) {
        struct timespec time;
        (void)zone;
        if (clock_gettime(CLOCK_REALTIME, &time)) return -1;
        now->tv_sec = time.tv_sec;
        now->tv_usec = time.tv_nsec / 1000;
        return 0;
    }

    time_t time(time_t *out) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        if (out) *out = now.tv_sec;
        return now.tv_sec;
    }
"#;

/// A library that does it. Who builds Rust on Linux links it with `cc`.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn other_clock(folder: &std::path::Path) -> String {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, OTHER_CLOCK).expect("the folder can be written");
    let mut compiler = std::process::Command::new("cc");
    let status = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(status.expect("there is a C compiler").success());
    library.to_str().expect("its path is text").to_owned()
}

#[tokio::test]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
async fn race_13_processes_whose_clocks_are_a_quarter_of_an_hour_off() {
    const OFF: i64 = 15 * 60;
    // How long an item lives; how old it may be, and how long it lives yet at least, when it is looked at.
    const TTL: Duration = Duration::from_mins(1);
    const OLD: Duration = Duration::from_secs(30);
    const YOUNG: Duration = Duration::from_secs(30);
    let (scene, folder) = (Scene::start(), cache_tests::scratch::Scratch::new());
    let (library, own) = (other_clock(folder.path()), scene.own().await);
    scene.commit(1);
    for (id, off) in [(1, OFF), (2, -OFF)] {
        let fleet = scene.fleet_with(1, &[("LD_PRELOAD", &*library), ("CLOCK_OFF", &*off.to_string())]).await;
        let wrong = &fleet[0];
        let is_off: i64 = wrong.ask("wall-clock").await.parse().expect("a number");
        assert!((is_off - seconds_since_1970() - off).abs() < OFF / 3, "its clock is {off} s off");
        let loads = scene.loads();
        // What it stores is as old as it is, to others, and lives as long.
        wrong.ask(&format!("read-item {id}")).await;
        assert_eq!(scene.loads(), loads + 1);
        let stored = own.scope(async { item_entry(id).peek().await }).await;
        let stored = stored.expect("the server is there").expect("it is stored");
        assert!(stored.age() < OLD && stored.remaining() <= TTL && stored.remaining() > YOUNG, "{stored:?}");
        own.scope(item(id, &scene.truth)).await;
        // And what others store, to it.
        own.scope(item(id + 10, &scene.truth)).await;
        assert_eq!(scene.loads(), loads + 2);
        let kept = wrong.ask(&format!("kept {}", id + 10)).await;
        let (age, left) = kept.split_once(' ').expect("it finds it");
        let [age, left] = [age, left].map(|text| Duration::from_millis(text.parse().expect("a number")));
        assert!(age < OLD && left <= TTL && left > YOUNG, "{kept}");
        wrong.ask(&format!("read-item {}", id + 10)).await;
        assert_eq!(scene.loads(), loads + 2, "it reads it");
    }
}

// Race 14.

async fn stopped_for_too_long(rule: &str) -> u64 {
    let scene = Scene::start();
    let own = scene.own().await;
    let fleet = scene.fleet_without(1, rule).await;
    assert_eq!(fleet[0].ask("sees").await, "0");
    let mut first = std::pin::pin!(fleet[0].ask("first-after-a-pause"));
    assert!(futures::poll!(first.as_mut()).is_pending());
    eventually(SOON, async || fleet[0].ask("readings").await != "0").await;
    fleet[0].stop();
    scene.commit(7);
    let receipt = own.publish(&Changed { id: 1 }).await.expect("the event is JSON");
    assert_eq!(receipt.delivery(), Delivery::Applied);
    let published = Instant::now();
    eventually(SOON, async || published.elapsed() > PAUSE + MAX_STALENESS).await;
    fleet[0].resume();
    first.await.parse().expect("a version")
}

#[tokio::test]
async fn race_14_a_process_that_was_stopped_serves_nothing_old() {
    assert_eq!(stopped_for_too_long("").await, 7);
}

#[tokio::test]
async fn race_14_without_its_end_of_right_a_stopped_process_serves_the_old_value() {
    // It may hear of the event before it is asked.
    for _ in 0..10 {
        if stopped_for_too_long("right").await == 0 {
            return;
        }
    }
    panic!("nothing else than that rule keeps it from the old value");
}

#[tokio::test]
async fn a_leader_is_killed_while_it_loads() {
    let scene = Scene::start();
    let fleet = scene.fleet(2).await;
    scene.close_gate();
    let leading = fleet[0].try_ask("read", SOON);
    let waiting = async {
        scene.loads_begin(1).await;
        let answer = fleet[1].ask("read");
        let killing = async {
            scene.is_waited_for().await;
            fleet[0].kill();
            scene.open_gate();
            Instant::now()
        };
        let (answer, killed) = tokio::join!(answer, killing);
        (answer, killed.elapsed())
    };
    let (led, (answer, took)) = tokio::join!(leading, waiting);
    assert!(led.is_err(), "it is dead");
    assert_eq!(answer, "0");
    assert!(took < LEASE + POLL + SLACK, "{took:?}");
    assert_eq!(scene.loads(), 2, "another process took over, once");
    assert_eq!(scene.own().await.scope(item(1, &scene.truth)).await, 0);
    assert_eq!(scene.loads(), 2, "its value was stored");
}

#[tokio::test]
async fn a_leader_is_stopped_past_its_lease() {
    let scene = Scene::start();
    let fleet = scene.fleet(2).await;
    scene.close_gate();
    let leading = fleet[0].ask("read");
    let others = async {
        scene.loads_begin(1).await;
        fleet[0].stop();
        scene.open_gate();
        scene.commit(7);
        // Its lease is over before another process loads what the source says now.
        assert_eq!(fleet[1].ask("read").await, "7");
        let filled = scene.slot();
        fleet[0].resume();
        filled
    };
    let (led, filled) = tokio::join!(leading, others);
    assert_eq!(led, "0", "its call began before");
    assert_eq!(fleet[0].ask("refused").await, "1", "its value came too late");
    assert_eq!(scene.slot(), filled, "what was filled since stands");
    assert_eq!(fleet[0].ask("sees").await, "7");
    assert_eq!(scene.loads(), 2);
}

#[tokio::test]
async fn four_processes_and_a_thousand_callers_load_once() {
    let scene = Scene::start();
    let fleet = scene.fleet(4).await;
    scene.commit(7);
    scene.close_gate();
    let open = async {
        scene.is_waited_for().await;
        scene.open_gate();
    };
    let (answers, ()) = tokio::join!(fleet.ask_all("crowd 250"), open);
    assert_eq!(answers, ["[7]", "[7]", "[7]", "[7]"]);
    assert_eq!(scene.loads(), 1);
}
