//! The operations over a cluster, where an entry, its stamps and the bus stand on different servers.

use std::net::TcpStream;

use super::*;
use crate::redis::real::free_port;
use crate::store::{Ended, Invalidated, Invalidation, Position, Seen};

const NODES: u16 = 3;

/// Primaries alone: what becomes of a cluster that loses some is tested with its connections.
struct Cluster {
    nodes: Vec<(u16, Child)>,
    _directory: TempDir,
}

impl Cluster {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let nodes = (0..NODES).map(|number| {
            let (port, own) = (free_port(), directory.path().join(number.to_string()));
            std::fs::create_dir(&own).expect("a directory");
            let mut command = Command::new(program());
            command.args(["--cluster-enabled", "yes", "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]);
            command.arg("--port").arg(port.to_string()).arg("--cluster-port").arg(free_port().to_string());
            let process = command.current_dir(own).stdout(Stdio::null()).spawn().expect("redis-server is installed");
            (port, process)
        });
        let cluster = Self { nodes: nodes.collect(), _directory: directory };
        cluster.until("all nodes listen", |port| TcpStream::connect(("127.0.0.1", port)).is_ok());
        cluster.divide();
        cluster
            .until("all slots are served", |port| redis_cli(port, &["CLUSTER", "INFO"]).contains("cluster_state:ok"));
        cluster
    }

    fn divide(&self) {
        let share = 16_384_u16.div_ceil(NODES);
        for ((port, _), first) in self.nodes.iter().zip((0..).step_by(usize::from(share))) {
            let last = (first + share - 1).min(16_383);
            redis_cli(*port, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            for (other, _) in &self.nodes {
                let bus = redis_cli(*other, &["CONFIG", "GET", "cluster-port"]);
                let bus = bus.lines().last().expect("a port").to_owned();
                redis_cli(*port, &["CLUSTER", "MEET", "127.0.0.1", &other.to_string(), &bus]);
            }
        }
    }

    fn until(&self, what: &str, holds: impl Fn(u16) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.nodes.iter().all(|(port, _)| holds(*port)) {
            assert!(Instant::now() < deadline, "not in time: {what}");
            // tidy: sleep because the servers are processes of their own, without a way to tell when they are up
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    async fn open(&self) -> Store {
        let settings = StoreSettings {
            servers: ServerSettings {
                url: format!("redis-cluster://127.0.0.1:{}", self.nodes[0].0),
                pool_size: 1,
                op_timeout: Duration::from_secs(5),
                require: true,
                ..ServerSettings::default()
            },
            app: "shop".to_owned(),
            node: "a1".to_owned(),
            lease: LEASE,
            ..StoreSettings::default()
        };
        let store = Store::open(settings).await.expect("a cluster");
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.is_reached(&store).await {
            assert!(Instant::now() < deadline, "every node is connected to");
            tokio::task::yield_now().await;
        }
        store
    }

    async fn is_reached(&self, store: &Store) -> bool {
        let primaries = store.servers().primaries();
        let mut ping = Cmd::new();
        ping.arg("PING");
        let pings = primaries.iter().map(|primary| (*primary, ping.clone())).collect();
        primaries.len() == self.nodes.len() && flush::flush(store.servers(), pings).await.iter().all(Result::is_ok)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (_, process) in &mut self.nodes {
            _ = process.kill();
            _ = process.wait();
        }
    }
}

fn redis_cli(port: u16, words: &[&str]) -> String {
    let output = Command::new("redis-cli").arg("-p").arg(port.to_string()).args(words).output();
    String::from_utf8_lossy(&output.expect("redis-cli is installed").stdout).into_owned()
}

#[tokio::test]
async fn all_operations_work_where_keys_are_apart() {
    let cluster = Cluster::start();
    let store = cluster.open().await;
    a_lease_and_its_stamps(&store).await;
    reads(&store).await;
    renewals(&store).await;
    invalidations(&store).await;
    wake_ups(&store).await;
    together::each_has_its_own_outcome(&store, async |revoked| {
        let invalidation = Invalidation { unlink: revoked, put: None, fields: vec![("event", b"E".to_vec())] };
        store.invalidate(&invalidation, None).await.expect("an answer");
    })
    .await;
    sweeps(&store).await;
    sweeps_that_one_server_hinders(&cluster, &store).await;
    one_server_less(cluster, &store).await;
}

async fn take(store: &Store, entry: &str, stamps: &[String]) -> (Token, Vec<Stamp>) {
    let token = Token::fresh();
    match store.lease(entry, &Over::Nothing, stamps, LIFE, token).await {
        Ok(Leased::Taken(snapshot)) => (token, snapshot),
        other => panic!("{other:?}"),
    }
}

async fn a_lease_and_its_stamps(store: &Store) {
    let stamps = names(["a", "b", "c", "d", "e"]);
    let (token, snapshot) = take(store, "shop:v1:x", &stamps).await;
    let expected: Vec<_> = snapshot.into_iter().map(Some).collect();
    let seen = store.read("shop:v1:x", &stamps).await;
    assert_eq!(seen, Ok(Seen { slot: Slot::Lease(token), stamps: expected.clone() }));
    let bytes = value(token, b"x");
    let ended = store.end("shop:v1:x", token, Ending::Fill(&bytes, LIFE), &stamps).await;
    assert_eq!(ended, Ok(Ended { held: true, stamps: expected.clone() }));
    let stolen = store.lease("shop:v1:x", &Over::Head(bytes[..18].to_vec()), &stamps, LIFE, token).await;
    assert_eq!(stolen, Ok(Leased::Taken(expected.into_iter().flatten().collect())));
    assert!(store.end("shop:v1:x", token, Ending::Release, &[]).await.expect("an answer").held);
}

async fn reads(store: &Store) {
    let entries: Vec<String> = (0..200).map(|i| format!("shop:v1:item:{i}")).collect();
    for entry in &entries {
        let (token, _) = take(store, entry, &[]).await;
        let ended = store.end(entry, token, Ending::Fill(&value(token, entry.as_bytes()), LIFE), &[]).await;
        assert!(ended.expect("an answer").held);
    }
    let reads = entries.iter().map(|entry| store.read(entry, &[])).collect();
    for (seen, entry) in flush::all(reads).await.into_iter().zip(&entries) {
        let Ok(Seen { slot: Slot::Value(bytes), .. }) = seen else { panic!("{seen:?}") };
        assert!(bytes.ends_with(entry.as_bytes()));
    }
}

async fn renewals(store: &Store) {
    let mut leases = Vec::new();
    for entry in (0..20).map(|i| format!("shop:v1:lease:{i}")) {
        let (token, _) = take(store, &entry, &[]).await;
        leases.push((entry, token));
    }
    leases[7].1 = Token([1; 16]);
    let held = store.renew(&leases).await.expect("an answer");
    assert!(held.iter().enumerate().all(|(i, held)| *held == (i != 7)), "{held:?}");
}

async fn invalidations(store: &Store) {
    let version = store.register(&[("f".to_owned(), "r".to_owned())]).await.expect("a version");
    let unlink: Vec<String> = (0..100).map(|i| format!("shop:v1:item:{i}")).collect();
    let bytes = value(Token([5; 16]), b"put");
    let put = Some(("shop:v1:item:7".to_owned(), bytes.clone(), LIFE));
    let invalidation = Invalidation { unlink: unlink.clone(), put, fields: vec![("keys", b"[]".to_vec())] };
    assert_eq!(store.invalidate(&invalidation, None).await, Ok(Invalidated::RoutesChanged));
    let Ok(Invalidated::At(position)) = store.invalidate(&invalidation, Some(&version)).await else {
        panic!("it is told")
    };
    for (i, entry) in unlink.iter().enumerate() {
        let expected = if i == 7 { Slot::Value(bytes.clone().into()) } else { Slot::Empty };
        assert_eq!(store.read(entry, &[]).await.expect("a reply").slot, expected);
    }
    assert!(matches!(store.read("shop:v1:item:100", &[]).await, Ok(Seen { slot: Slot::Value(_), .. })));
    let tail = store.probe(Some(Position::default()), Some(Position::default()), 10, LIFE).await.expect("an answer");
    assert_eq!(tail.messages.iter().map(|message| message.position).collect::<Vec<_>>(), [position]);
    assert_eq!(tail.routes, Some(version));
    assert_eq!(store.nodes().await.expect("an answer").seen.len(), 1);
}

async fn wake_ups(store: &Store) {
    for entry in (0..8).map(|i| format!("shop:v1:wake:{i}")) {
        let (token, _) = take(store, &entry, &[]).await;
        let wake = store.waker(&entry);
        // Behind the subscription, on its connection.
        while store.servers().subscribe(store.names.wake(crate::names::stripe(&entry))).await.is_err() {}
        assert_eq!(store.watch(&entry, token).await, Ok(Slot::Lease(token)));
        assert!(store.end(&entry, token, Ending::Release, &[]).await.expect("an answer").held);
        tokio::time::timeout(Duration::from_secs(10), wake).await.expect("a wake-up");
    }
}

async fn sweeps(store: &Store) {
    assert_eq!(sweep(store, true).await, Ok(101));
    assert_eq!(sweep(store, true).await, Ok(0));
}

async fn sweep(store: &Store, is_first: bool) -> Result<u64, Fault> {
    store.sweep(&["shop:v1:none:".to_owned(), "shop:v1:item:".to_owned()], is_first).await
}

/// The others lose what they have once, not with each try: whichever of them it is.
async fn sweeps_that_one_server_hinders(cluster: &Cluster, store: &Store) {
    let keys =
        || cluster.nodes.iter().map(|(port, _)| redis_cli(*port, &["DBSIZE"]).trim().parse::<u64>().expect("a number"));
    let left: Vec<_> = keys().collect();
    let fill = async || {
        for entry in (0..60).map(|i| format!("shop:v1:item:{i}")) {
            let mut set = Cmd::new();
            set.arg("SET").arg(&entry).arg("x");
            store.servers().command(store.slot(&entry), &set).await.expect("an answer");
        }
        keys().collect::<Vec<_>>()
    };
    for (place, (port, _)) in cluster.nodes.iter().enumerate() {
        let before = fill().await;
        redis_cli(*port, &["CONFIG", "SET", "min-replicas-to-write", "1"]);
        assert!(sweep(store, true).await.is_err());
        let swept = (0..left.len()).map(|at| if at == place { before[at] } else { left[at] });
        assert!(keys().eq(swept), "once on all that do it");
        redis_cli(*port, &["CONFIG", "SET", "min-replicas-to-write", "0"]);
        let before = fill().await;
        redis_cli(*port, &["CONFIG", "SET", "min-replicas-to-write", "1"]);
        assert!(sweep(store, false).await.is_err());
        assert!(keys().eq(before), "and not again");
        redis_cli(*port, &["CONFIG", "SET", "min-replicas-to-write", "0"]);
        assert_eq!(sweep(store, false).await, Ok(60));
    }
}

/// Reads from the other servers go on, although they go out together with those that fail, and so do leases.
async fn one_server_less(mut cluster: Cluster, store: &Store) {
    let entries: Vec<String> = (0..60).map(|i| format!("shop:v1:item:{i}")).collect();
    let mut leases = Vec::new();
    for entry in &entries {
        leases.push((entry.clone(), take(store, entry, &[]).await.0));
        about_life(store, &["PEXPIRE", entry, "3600000"]).await.expect("an answer");
    }
    // That of the first slots.
    let (_, process) = cluster.nodes.first_mut().expect("some");
    process.kill().expect("it runs");
    process.wait().expect("it ends");
    assert!(store.renew(&leases).await.is_err());
    let reads = entries.iter().map(|entry| store.read(entry, &[])).collect();
    let replies = flush::all(reads).await;
    let answered = replies.iter().filter(|reply| reply.is_ok()).count();
    assert!((20..60).contains(&answered), "{answered} of {} reads", replies.len());
    for (entry, _) in entries.iter().zip(&replies).filter(|(_, reply)| reply.is_ok()) {
        let left = about_life(store, &["PTTL", entry]).await.expect("an answer");
        assert!(left <= millis(LEASE), "it was renewed: {left}");
    }
    assert!(sweep(store, true).await.is_err(), "not on all of them");
}

/// A command about the life of the key that it names.
async fn about_life(store: &Store, words: &[&str]) -> Result<u64, Fault> {
    let mut command = Cmd::new();
    command.arg(words);
    reply::number(&store.servers().command(store.slot(words[1]), &command).await?, "a life")
}
