//! Whoever may write to the bus can neither crash a process nor fill its memory.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use cache_runtime::{Cache, Delivery, Event, Outcome, cached, explain};
use cache_tests::on_redis::process_with;
use cache_tests::{Gate, RedisServer, eventually};
use serde::{Deserialize, Serialize};

const SOON: Duration = Duration::from_mins(1);

const MIB: usize = 1 << 20;

#[derive(Event, Serialize, Deserialize)]
struct ItemChanged {
    id: u64,
}

#[cached(ttl = "1m", key = "item:<id>", invalidate_on = "ItemChanged")]
async fn item(id: u64, #[cache(skip)] source: &Gate) -> u64 {
    let _ = id;
    source.load().await
}

/// The most memory that this process ever had, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells it");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1_024
}

/// Adds a message with one field of so many bytes, without ever holding it.
fn add(server: &RedisServer, fields: &[&str], long: usize) {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    let words = [&["XADD", "test:bus", "*"], fields].concat();
    write!(stream, "*{}\r\n", words.len() + 1).expect("it reads");
    for word in words {
        write!(stream, "${}\r\n{word}\r\n", word.len()).expect("it reads");
    }
    write!(stream, "${long}\r\n").expect("it reads");
    let part = [b'x'; 4 << 10];
    for _ in 0..long / part.len() {
        stream.write_all(&part).expect("it reads");
    }
    stream.write_all(b"\r\n").expect("it reads");
    let mut reply = [0; 1];
    stream.read_exact(&mut reply).expect("it answers");
    assert_eq!(&reply, b"$", "the position of the message");
}

/// A cache with one value, and what has become of it after these messages; how much memory that took.
struct Kept {
    server: RedisServer,
    source: Gate,
    cache: Cache,
    before: usize,
}

impl Kept {
    async fn new(op_timeout: Duration) -> Self {
        let (server, source) = (RedisServer::start(), Gate::new());
        source.open();
        let cache = process_with(&server.url(), |builder| builder.op_timeout(op_timeout)).await;
        cache.scope(item(1, &source)).await;
        let kept = Self { server, source, cache, before: peak() };
        assert_eq!(kept.outcome().await, Outcome::HitL1);
        kept
    }

    async fn outcome(&self) -> Outcome {
        self.cache.scope(async { explain(item(1, &self.source)).await.1[0].outcome() }).await
    }

    async fn is_dropped(&self) {
        eventually(SOON, async || self.cache.health().serves_near()).await;
        assert_ne!(self.outcome().await, Outcome::HitL1, "it may have been about this");
        let grown = peak() - self.before;
        assert!(grown < 32 * MIB, "{grown} bytes for messages that say nothing");
        let receipt = self.cache.publish(&ItemChanged { id: 1 }).await.expect("it returns");
        assert_eq!(receipt.delivery(), Delivery::Applied, "the bus goes on");
    }
}

#[tokio::test]
async fn messages_of_any_length_are_read_in_part_and_what_they_may_be_about_is_dropped() {
    let kept = Kept::new(SOON).await;
    for fields in [&["event", "ItemChanged", "data"][..], &["event", "Other", "data"], &["keys"], &["more"]] {
        add(&kept.server, fields, 48 * MIB);
    }
    eventually(SOON, async || kept.cache.health().flawed_messages() == 4).await;
    kept.is_dropped().await;
}

#[tokio::test]
async fn messages_that_the_server_cannot_read_in_time_are_given_more() {
    let kept = Kept::new(Duration::from_millis(100)).await;
    let gaps = kept.cache.health().gaps();
    add(&kept.server, &["event", "ItemChanged", "data"], 64 * MIB);
    eventually(SOON, async || kept.cache.health().flawed_messages() == 1).await;
    assert_eq!(kept.cache.health().gaps(), gaps, "none was skipped");
    kept.is_dropped().await;
}

/// Whoever has read it cannot send it back as it is.
#[tokio::test]
async fn a_version_of_the_routes_that_is_no_text_is_replaced() {
    let kept = Kept::new(SOON).await;
    kept.server.call(&[b"HSET".as_slice(), b"{test:bus}:routes", b":version", b"\xff\xfe"]);
    eventually(Duration::from_secs(10), async || {
        let receipt = kept.cache.publish(&ItemChanged { id: 1 }).await.expect("it returns");
        receipt.delivery() == Delivery::Applied
    })
    .await;
    eventually(SOON, async || kept.cache.health().queued() == 0 && kept.cache.health().serves_near()).await;
    assert_ne!(kept.outcome().await, Outcome::HitL1);
}
