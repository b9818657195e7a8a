//! Publishers that are no process of ours: what `docs/publishing-from-elsewhere.md` says of them, its commands and its
//! Python included.

#![cfg(unix)]

#[path = "faults/log.rs"]
#[expect(dead_code, reason = "the tests of faults ask more of it")]
mod log;

use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, Delivery, Event, Outcome, Subscription, cached, explain};
use cache_tests::eventually::eventually;
use cache_tests::on_redis::sees;
use cache_tests::redis_server::RedisServer;
use cache_tests::scratch::Scratch;
use cache_tests::{FaultProxy, Gate, Reply};
use futures::FutureExt;
use serde::{Deserialize, Serialize};

use crate::log::{GAP, Log};

const DOCUMENT: &str = include_str!("../../docs/publishing-from-elsewhere.md");

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(10);

#[derive(Debug, PartialEq, Event, Serialize, Deserialize)]
struct UserUpdated {
    tenant: u64,
    id: u64,
}

#[derive(Debug, PartialEq, Event, Serialize, Deserialize)]
struct TenantPurged {
    tenant: u64,
}

/// Nothing is cached of it.
#[derive(Debug, PartialEq, Event, Serialize, Deserialize)]
struct Greeted {
    name: String,
}

#[derive(Event, Serialize, Deserialize)]
struct AllPurged;

#[cached(
    ttl = "1m",
    key = "user:<tenant>:<id>",
    invalidate_on = ["UserUpdated", "TenantPurged => user:<tenant>:*", "AllPurged => user:*"]
)]
async fn user(tenant: u64, id: u64, #[cache(skip)] source: &Gate) -> u64 {
    let _ = (tenant, id);
    source.load().await
}

/// Two processes of the application `shop`, and what they keep.
struct Shop {
    server: RedisServer,
    source: Gate,
    processes: [Cache; 2],
}

impl Shop {
    async fn open() -> Self {
        let server = RedisServer::start();
        let url = server.url();
        Self::over(server, &url).await
    }

    /// Whose processes reach the server at this address.
    async fn over(server: RedisServer, url: &str) -> Self {
        let processes = [process(url).await, process(url).await];
        let shop = Self { server, source: Gate::new(), processes };
        shop.keep(42, 7).await;
        shop
    }

    /// Each process keeps the user in memory, and Redis keeps it too.
    async fn keep(&self, tenant: u64, id: u64) {
        self.served(tenant, id).await;
        assert_eq!(self.served(tenant, id).await, [Outcome::HitL1; 2]);
    }

    /// From where each process serves the user.
    async fn served(&self, tenant: u64, id: u64) -> [Outcome; 2] {
        let mut outcomes = [Outcome::Joined; 2];
        for (outcome, cache) in outcomes.iter_mut().zip(&self.processes) {
            *outcome = cache.scope(explain(user(tenant, id, &self.source))).await.1[0].outcome();
        }
        outcomes
    }

    fn add(&self, fields: &[&str]) {
        let added = self.server.call(&[&["XADD", "shop:bus", "*"][..], fields].concat());
        assert!(matches!(added, Reply::Bytes(_)), "{added:?}");
    }

    /// The source has this version next, and all processes serve it once it was published.
    async fn serves_next(&self, version: u64, publish: impl FnOnce()) {
        self.source.commit();
        publish();
        self.is_served(version).await;
    }

    async fn is_served(&self, version: u64) {
        for cache in &self.processes {
            eventually(SOON, async || cache.scope(user(42, 7, &self.source)).await == version).await;
        }
    }

    /// What a process that has just started finds in Redis, or loads.
    async fn stored(&self) -> u64 {
        process(&self.server.url()).await.scope(user(42, 7, &self.source)).await
    }

    /// Waits until the processes have read everything that is on the bus now.
    async fn all_is_read(&self) {
        self.served(0, 0).await;
        self.add(&["keys", r#"["user:0:0"]"#]);
        for cache in &self.processes {
            let peek = async || cache.scope(async { user_entry(0, 0).peek().await }).await;
            eventually(SOON, async || peek().await.is_ok_and(|kept| kept.is_none())).await;
        }
    }

    fn subscribe(&self) -> Subscription<UserUpdated> {
        self.processes[1].subscribe()
    }
}

async fn process(url: &str) -> Cache {
    // Nothing leaves the memory of a process because the machine of this test is busy.
    let builder = Cache::builder("shop").redis(url).max_staleness(Duration::from_mins(1));
    let cache = builder.op_timeout(Duration::from_secs(2)).build().await;
    let cache = cache.expect("the functions of this test do not contradict each other");
    sees(&cache).await;
    cache
}

const UPDATED: [&str; 4] = ["event", "UserUpdated", "data", r#"{"tenant":42,"id":7}"#];

/// The next event that is heard is this one: what came before was not.
async fn is_next(subscription: &mut Subscription<UserUpdated>, tenant: u64, id: u64) {
    let event =
        tokio::time::timeout(SOON, subscription.recv()).await.expect("it is heard").expect("the cache is there");
    assert_eq!(*event, UserUpdated { tenant, id });
}

// What is understood.

#[tokio::test]
async fn an_event_ends_what_it_names_and_reaches_subscribers() {
    let shop = Shop::open().await;
    shop.keep(42, 8).await;
    let mut subscription = shop.subscribe();
    shop.serves_next(1, || shop.add(&UPDATED)).await;
    is_next(&mut subscription, 42, 7).await;
    assert_eq!(shop.source.loads(), 3, "once for both processes");
    assert_eq!(shop.served(42, 8).await, [Outcome::HitL1; 2], "another user is as it was");
}

#[tokio::test]
async fn numbers_may_stand_in_quotes_but_subscribers_need_the_type() {
    let shop = Shop::open().await;
    let mut subscription = shop.subscribe();
    let quoted = ["event", "UserUpdated", "data", r#"{"tenant":"42","id":"7"}"#];
    shop.serves_next(1, || shop.add(&quoted)).await;
    shop.serves_next(2, || shop.add(&UPDATED)).await;
    is_next(&mut subscription, 42, 7).await;
    assert!(subscription.recv().now_or_never().is_none(), "the first one was not heard");
}

#[tokio::test]
async fn keys_and_groups_need_no_event() {
    let shop = Shop::open().await;
    shop.serves_next(1, || shop.add(&["keys", r#"["user:42:7"]"#])).await;
    shop.serves_next(2, || shop.add(&["keys", r#"["user:1:1","user:42:*"]"#])).await;
    shop.serves_next(3, || shop.add(&["event", "TenantPurged", "data", r#"{"tenant":42}"#])).await;
    shop.serves_next(4, || shop.add(&["event", "AllPurged"])).await;
    shop.serves_next(5, || shop.add(&["keys", r#"["user:*"]"#])).await;
}

#[tokio::test]
async fn a_message_may_tell_of_several_events() {
    let shop = Shop::open().await;
    let mut subscription = shop.subscribe();
    let other = ["event", "UserUpdated", "data", r#"{"tenant":1,"id":2}"#];
    shop.serves_next(1, || shop.add(&[other, UPDATED].concat())).await;
    is_next(&mut subscription, 1, 2).await;
    is_next(&mut subscription, 42, 7).await;
}

#[tokio::test]
async fn what_nobody_listens_to_ends_nothing_and_is_heard() {
    let shop = Shop::open().await;
    let mut greetings = shop.processes[0].subscribe::<Greeted>();
    let long = "x".repeat(2 << 20);
    shop.add(&["event", "Greeted", "data", r#"{"name":"Ada"}"#]);
    shop.add(&["event", "Renamed", "data", "{broken"]);
    shop.add(&["event", "Renamed", "data", &long]);
    shop.add(&["keys", r#"["user:42:*:*","user:4*"]"#]);
    shop.add(&["note", "hello"]);
    shop.all_is_read().await;
    assert_eq!(shop.served(42, 7).await, [Outcome::HitL1; 2]);
    assert_eq!(shop.processes[0].health().flawed_messages(), 2, "the long one, and the note");
    let event = greetings.recv().await.expect("the cache is there");
    assert_eq!(*event, Greeted { name: "Ada".to_owned() });
}

// What is not.

/// The message empties the memory of all processes, leaves Redis as it is, and no subscriber hears of it.
async fn check_not_understood(fields: &[&str], flawed: u64) {
    let shop = Shop::open().await;
    let mut subscription = shop.subscribe();
    shop.source.commit();
    shop.add(fields);
    shop.all_is_read().await;
    assert_eq!(shop.served(42, 7).await, [Outcome::HitL2; 2], "{fields:.80?}");
    assert_eq!(shop.processes[0].health().flawed_messages(), flawed, "{fields:.80?}");
    shop.add(&UPDATED);
    is_next(&mut subscription, 42, 7).await;
}

#[tokio::test]
async fn broken_json_may_mean_anything() {
    check_not_understood(&["event", "UserUpdated", "data", r#"{"tenant":42,"id":"#], 0).await;
}

#[tokio::test]
async fn an_event_that_lacks_a_field_may_mean_anything() {
    check_not_understood(&["event", "UserUpdated", "data", r#"{"tenant":42}"#], 0).await;
    check_not_understood(&["event", "UserUpdated"], 0).await;
}

#[tokio::test]
async fn keys_that_are_no_array_may_mean_anything() {
    check_not_understood(&["keys", "user:42:7"], 1).await;
}

#[tokio::test]
async fn what_is_too_long_may_mean_anything() {
    let padded = format!(r#"{{"tenant":42,"id":7,"padding":"{}"}}"#, "x".repeat(1 << 20));
    check_not_understood(&["event", "UserUpdated", "data", &padded], 1).await;
}

#[tokio::test]
async fn all_is_all_that_is_kept_in_memory() {
    check_not_understood(&["all", "1"], 0).await;
}

// What a foreign publisher does not get.

#[tokio::test]
async fn a_message_that_nobody_reads_unlinks_nothing() {
    let Shop { server, source, processes } = Shop::open().await;
    drop(processes);
    source.commit();
    let told = server.cli(&[&["XADD", "shop:bus", "*"][..], &UPDATED].concat());
    assert!(!told.is_empty());
    let later = process(&server.url()).await;
    let (version, lookups) = later.scope(explain(user(42, 7, &source))).await;
    assert_eq!((version, lookups[0].outcome()), (0, Outcome::HitL2));
}

/// A shop whose source has changed and said so, and a snapshot that has what it said, before any process has read it.
async fn told_to_nobody() -> (Shop, FaultProxy, Subscription<UserUpdated>) {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.address()).expect("a port is free");
    let url = server.url_at(proxy.port());
    let shop = Shop::over(server, &url).await;
    let subscription = shop.subscribe();
    proxy.all().keep_cut();
    shop.source.commit();
    shop.add(&UPDATED);
    shop.server.save();
    (shop, proxy, subscription)
}

/// As a replica that takes over has it, and its processes have not.
#[tokio::test]
async fn what_nobody_has_read_is_read_of_the_server_that_takes_over() {
    let (shop, proxy, mut subscription) = told_to_nobody().await;
    shop.server.restart();
    proxy.heal();
    is_next(&mut subscription, 42, 7).await;
    // The connection that unlinks may come back later than that of the bus.
    eventually(SOON, async || shop.stored().await == 1).await;
}

/// The server that takes over has the message, and what the processes had unlinked for it.
#[tokio::test]
async fn what_was_read_is_unlinked_from_the_server_that_takes_over() {
    let (shop, proxy, mut subscription) = told_to_nobody().await;
    proxy.heal();
    shop.is_served(1).await;
    is_next(&mut subscription, 42, 7).await;
    let gaps = shop.processes.each_ref().map(|cache| cache.health().gaps());
    shop.server.restart();
    for (cache, gaps) in shop.processes.iter().zip(gaps) {
        eventually(SOON, async || cache.health().gaps() > gaps).await;
    }
    eventually(SOON, async || shop.stored().await == 1).await;
    // It was heard before: what is heard next is what is told next.
    shop.add(&["event", "UserUpdated", "data", r#"{"tenant":42,"id":8}"#]);
    is_next(&mut subscription, 42, 8).await;
}

/// As before a failover by hand: a bus that cannot be looked at is not one that is too long.
#[tokio::test]
async fn what_waited_while_the_server_took_no_writes_is_read() {
    let shop = Shop::open().await;
    // Looks often, and gives up soon.
    let cache = Cache::builder("shop").redis(shop.server.url()).build().await.expect("nothing contradicts");
    eventually(SOON, async || cache.health().serves_near()).await;
    let mut subscription = cache.subscribe::<UserUpdated>();
    assert_eq!(cache.scope(user(42, 7, &shop.source)).await, 0);
    shop.source.commit();
    shop.server.cli(&["CLIENT", "PAUSE", "4000", "WRITE"]);
    let mut client = shop.server.client().expect("the server is there");
    let data = r#"{"tenant":42,"id":7}"#;
    let told = tokio::task::spawn_blocking(move || {
        client.call(&["XADD", "shop:bus", "*", "event", "UserUpdated", "data", data])
    });
    assert!(told.await.expect("no panic").is_ok());
    is_next(&mut subscription, 42, 7).await;
    eventually(SOON, async || cache.scope(user(42, 7, &shop.source)).await == 1).await;
    assert_eq!(cache.health().gaps(), 0);
}

/// A command that has nothing to do with the bus falls into a short one of theirs, the look at the bus into a long one.
#[tokio::test]
async fn what_was_told_while_others_kept_the_server_busy_is_read() {
    const TOLD: u64 = 40;
    let shop = Shop::open().await;
    let cache = Cache::builder("shop").redis(shop.server.url()).build().await.expect("nothing contradicts");
    eventually(SOON, async || cache.health().serves_near()).await;
    let mut subscription = cache.subscribe::<UserUpdated>();
    let (mut busy, mut publisher) = (shop.server.client().expect("it is there"), shop.server.client().expect("it is"));
    let is_over = Arc::new(AtomicBool::new(false));
    let others = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            while !is_over.load(Ordering::SeqCst) {
                let micros = fastrand::u32(20_000..200_000).to_string();
                busy.call(&["EVAL", BUSY, "0", &micros]).expect("it ends");
            }
        }
    });
    let told = tokio::task::spawn_blocking(move || {
        for id in 0..TOLD {
            let data = format!(r#"{{"tenant":42,"id":{id}}}"#);
            publisher.call(&["XADD", "shop:bus", "*", "event", "UserUpdated", "data", &data]).expect("it is added");
        }
    });
    told.await.expect("no panic");
    is_over.store(true, Ordering::SeqCst);
    others.join().expect("no panic");
    for id in 0..TOLD {
        is_next(&mut subscription, 42, id).await;
    }
    assert_eq!(cache.health().gaps(), 0);
}

/// Takes so many microseconds.
const BUSY: &str = "local function now() local time = redis.call('TIME') return time[1] * 1000000 + time[2] end
    local ends = now() + ARGV[1] while now() < ends do end return 1";

/// Redis adds nothing behind it: for good, until the bus begins anew.
#[tokio::test]
async fn the_last_possible_id_is_not_the_end() {
    let (log, _listening) = Log::start();
    let shop = Shop::open().await;
    let last = "18446744073709551615-18446744073709551615";
    shop.serves_next(1, || {
        shop.server.call(&[&["XADD", "shop:bus", last][..], &UPDATED].concat());
    })
    .await;
    let [one, other] = &shop.processes;
    // Unless a process has begun it already, who publishes does.
    shop.source.commit();
    let receipt = one.publish(&UserUpdated { tenant: 42, id: 7 }).await.expect("the event is JSON");
    assert_eq!(receipt.delivery(), Delivery::Applied);
    shop.is_served(2).await;
    // Others can, too.
    eventually(SOON, async || other.health().gaps() > 0).await;
    shop.serves_next(3, || shop.add(&UPDATED)).await;
    let gaps: u64 = shop.processes.iter().map(|cache| cache.health().gaps()).sum();
    assert_eq!((gaps, log.lines(GAP).len()), (2, 2), "one for each process, which says so once");
    log.tells_once(2, &[GAP]);
}

/// How long the processes read again what was told in the last ten seconds, and do not serve from memory.
#[tokio::test]
#[ignore = "a measurement: run alone, optimised"]
async fn measured_reading_again() {
    for count in [100, 20_000, 90_000] {
        let shop = Shop::open().await;
        let json = r#"'{"tenant":42,"id":' .. 1000 + i .. '}'"#;
        let add = format!("redis.call('XADD', 'shop:bus', '*', 'event', 'UserUpdated', 'data', {json})");
        shop.server.call(&["EVAL", &format!("for i = 1, {count} do {add} end"), "0"]);
        shop.all_is_read().await;
        shop.server.save();
        let gaps = shop.processes[0].health().gaps();
        shop.server.restart();
        eventually(SOON, async || shop.processes[0].health().gaps() > gaps).await;
        let began = Instant::now();
        eventually(SOON, async || shop.processes[0].health().serves_near()).await;
        eventually(SOON, async || shop.served(0, 1).await == [Outcome::HitL1; 2]).await;
        println!("{count} messages: {:.2?}", began.elapsed());
    }
}

#[tokio::test]
async fn what_is_unlinked_first_is_gone_when_the_command_returns() {
    let Shop { server, source, processes } = Shop::open().await;
    drop(processes);
    source.commit();
    let commands = commands();
    let unlinked = commands.iter().find(|command| command.contains("MULTI")).expect("the document has it");
    run(unlinked, &server);
    assert_eq!(process(&server.url()).await.scope(user(42, 7, &source)).await, 1);
}

// The document.

/// Its examples in this language.
fn examples(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = DOCUMENT.split(&fence).skip(1).filter_map(|block| block.split_once("```"));
    blocks.map(|(example, _)| example.to_owned()).collect()
}

/// Its commands for a shell.
fn commands() -> Vec<String> {
    examples("sh")
}

/// Runs a command of the document against this server.
fn run(command: &str, server: &RedisServer) {
    let command = command.replace("redis-cli", &format!("redis-cli -p {}", server.port()));
    let output = Command::new("sh").args(["-e", "-c", &command]).output().expect("there is a shell");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let is_told = output.status.success() && !printed.contains("ERR") && printed.contains('-');
    assert!(is_told, "is there a `redis-cli`? {command}: {printed}");
}

#[tokio::test]
async fn the_commands_of_the_document_do_what_it_says() {
    assert_eq!(commands().len(), 4);
    let shop = Shop::open().await;
    for (version, command) in (1..).zip(commands()) {
        shop.serves_next(version, || run(&command, &shop.server)).await;
    }
}

/// Stands for redis-py: the one method that the document calls, and what that sends.
const REDIS_PY: &str = r#"
import os, socket

class Redis:
    def xadd(self, name, fields, id="*", maxlen=None, approximate=True):
        words = ["XADD", name] + (["MAXLEN", "~" if approximate else "=", maxlen] if maxlen else []) + [id]
        words = [str(word).encode() for word in words + [word for field in fields.items() for word in field]]
        command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        with socket.create_connection(("127.0.0.1", int(os.environ["SHOP_PORT"]))) as server:
            server.sendall(command)
            reply = server.recv(4096)
        assert reply.startswith(b"$"), reply
"#;

/// Stands for psycopg: an outbox that has one row, and a supervisor that ends the relay once it waits for the next.
const PSYCOPG: &str = r#"
import contextlib, sys

class connect:
    outbox = [("UserUpdated", '{"tenant" : 42, "id" : 7}')]

    def __init__(self, where, autocommit):
        assert autocommit

    def execute(self, text):
        self.is_taken = text.strip().startswith("DELETE FROM cache_outbox")
        assert self.is_taken or text == "LISTEN cache_outbox", text
        return self

    def fetchall(self):
        rows, self.outbox = self.outbox, []
        return rows

    def transaction(self):
        return contextlib.nullcontext()

    def notifies(self, timeout, stop_after):
        sys.exit(0)
"#;

/// Runs a Python example of the document against this server, its packages replaced by the few lines above.
fn run_python(example: &str, server: &RedisServer) {
    let folder = Scratch::new();
    for (name, text) in [("redis.py", REDIS_PY), ("psycopg.py", PSYCOPG), ("example.py", example)] {
        std::fs::write(folder.path().join(name), text).expect("the folder can be written");
    }
    // Beside the example, so that they come before packages that are installed.
    let mut python = Command::new("python3");
    python.arg(folder.path().join("example.py")).env("SHOP_PORT", server.port().to_string());
    let output = python.env_remove("PYTHONSAFEPATH").output().expect("it was there");
    assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_python_of_the_document_does_what_it_says() {
    let examples = examples("python");
    assert_eq!(examples.len(), 2, "who publishes, and the relay");
    if Command::new("python3").arg("--version").output().is_err() {
        // Past the capture of the test framework.
        let said = "\nSKIPPED: there is no `python3`, the Python of docs/publishing-from-elsewhere.md was not run\n";
        std::io::stderr().write_all(said.as_bytes()).expect("there is somebody to tell");
        return;
    }
    let shop = Shop::open().await;
    let mut subscription = shop.subscribe();
    for (version, example) in (1..).zip(examples) {
        shop.serves_next(version, || run_python(&example, &shop.server)).await;
        is_next(&mut subscription, 42, 7).await;
    }
}

#[tokio::test]
async fn the_routes_say_which_events_there_are() {
    let shop = Shop::open().await;
    let routes = shop.server.cli(&["HGETALL", "{shop:bus}:routes"]);
    for route in ["UserUpdated => user:<tenant>:<id>", "TenantPurged => user:<tenant>:*"] {
        assert!(routes.contains(route), "{routes}");
    }
}
