//! A cluster: slots that have owners, move, and lose them.

use super::*;
use crate::redis::mget::Mget;
use crate::redis::packed::Packed;
use crate::redis::real::{cli, poll};
use crate::redis::scripts;

/// Three primaries, and as many replicas as are asked for.
struct Nodes(Vec<Real>);

impl Nodes {
    fn start(replicas: usize) -> Self {
        let options =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no"];
        let nodes = Self((0..3 * (1 + replicas)).map(|_| Real::start(&options)).collect());
        let places: Vec<String> = nodes.0.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let replicas = replicas.to_string();
        let mut words = vec!["--cluster", "create"];
        words.extend(places.iter().map(String::as_str));
        words.extend(["--cluster-replicas", &replicas, "--cluster-yes"]);
        let made = cli(nodes.0[0].port, &words);
        assert!(made.contains("All 16384 slots covered"), "{made}");
        for node in &nodes.0 {
            poll("the cluster is ready", || node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
            // A replica that has never heard from its primary does not take over.
            poll("the replicas are", || !node.cli(&["INFO", "replication"]).contains("master_link_status:down"));
        }
        nodes
    }

    fn url(&self) -> String {
        let places: Vec<String> = self.0.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis-cluster://{}", places.join(","))
    }

    fn owner(&self, key: &str) -> usize {
        self.find_owner(key).expect("somebody has it")
    }

    /// The place of the primary that has the slot of this key.
    fn find_owner(&self, key: &str) -> Option<usize> {
        let slot = HashSlot::of(key).0;
        let owns = |node: &Real| {
            let line = node.cli(&["CLUSTER", "NODES"]).lines().find(|line| line.contains("myself")).map(str::to_owned);
            let words: Vec<String> =
                line.into_iter().flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
            words.get(2).is_some_and(|flags| flags.contains("master"))
                && words.iter().skip(8).any(|range| match range.split_once('-') {
                    Some((first, last)) => {
                        first.parse().is_ok_and(|first: u16| first <= slot)
                            && last.parse().is_ok_and(|last: u16| slot <= last)
                    }
                    None => range.parse() == Ok(slot),
                })
        };
        self.0.iter().position(owns)
    }

    fn id(&self, place: usize) -> String {
        self.0[place].cli(&["CLUSTER", "MYID"]).trim().to_owned()
    }

    /// Begins to move the slot of this key.
    fn begin_to_move(&self, key: &str, from: usize, to: usize) {
        let slot = HashSlot::of(key).0.to_string();
        assert_eq!(self.0[to].cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.id(from)]).trim(), "OK");
        assert_eq!(self.0[from].cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.id(to)]).trim(), "OK");
    }

    fn migrate(&self, key: &str, from: usize, to: usize) {
        let port = self.0[to].port.to_string();
        let moved = self.0[from].cli(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        assert_eq!(moved.trim(), "OK");
    }

    fn end_to_move(&self, key: &str, from: usize, to: usize) {
        let (slot, id) = (HashSlot::of(key).0.to_string(), self.id(to));
        for place in [to, from] {
            assert_eq!(self.0[place].cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]).trim(), "OK");
        }
    }
}

#[tokio::test]
async fn every_key_goes_to_the_server_that_has_it() {
    let nodes = Nodes::start(0);
    // One seed is enough, whichever it is.
    let servers = open(&format!("redis-cluster://127.0.0.1:1,127.0.0.1:{}", nodes.0[2].port)).await;
    let pools = servers.topology.pools();
    assert_eq!(pools.len(), 3);
    for i in 0..200 {
        let (key, value) = (format!("key:{i}"), i.to_string());
        assert_eq!(servers.run(&["SET", &key, &value]).await, Ok(Value::Okay));
        assert_eq!(servers.run(&["GET", &key]).await, Ok(bulk(&value)));
    }
    let sizes: Vec<usize> =
        nodes.0.iter().map(|node| node.cli(&["DBSIZE"]).trim().parse().expect("a number")).collect();
    assert!(sizes.iter().all(|size| *size > 20) && sizes.iter().sum::<usize>() == 200, "{sizes:?}");
    assert_eq!(servers.primaries().len(), 3);
    let bus = nodes.owner("shop:bus");
    let places: Vec<bool> =
        nodes.0.iter().map(|node| node.clients("bus").len() == 1 && node.clients("ear").len() == 1).collect();
    assert_eq!(places.iter().position(|has_it| *has_it), Some(bus));
    assert!(servers.run_on_bus(&["XLEN", "shop:bus"]).await.is_ok() && servers.is_up());
}

impl Servers {
    /// Whether a read of each finds it, and what comes with loads reaches both, in one flush and by a script.
    async fn reads_and_loads(&self, a: &str, b: &str) -> [bool; 4] {
        let slot = HashSlot::of(a);
        let read = async |key| {
            let mut mget = Mget::new();
            mget.add(key);
            matches!(self.strings(slot, mget).await.as_deref(), Ok([Ok(Some(_))]))
        };
        let mut packed = Packed::default();
        for key in [a, b] {
            packed.add([b"GETRANGE".as_slice(), key.as_bytes(), b"0", b"1"]);
        }
        let packed = self.packed(slot, &packed).await;
        let packed = packed.is_ok_and(|replies| replies == [Ok(bulk("1")), Ok(bulk("1"))]);
        let script = self.script(slot, &scripts::RENEW, &[b], &[b"1000", &[0; 16]]).await.is_ok();
        [read(a).await, read(b).await, packed, script]
    }
}

#[tokio::test]
async fn a_slot_that_moves_is_followed() {
    let nodes = Nodes::start(0);
    let servers = open(&nodes.url()).await;
    let (from, stays, goes) = (nodes.owner("{a}"), "{a}stays", "{a}goes");
    let to = (from + 1) % 3;
    let generation = *servers.generation().borrow();
    for key in [stays, goes] {
        assert_eq!(servers.run(&["SET", key, "1"]).await, Ok(Value::Okay));
    }
    nodes.begin_to_move("{a}", from, to);
    nodes.migrate(goes, from, to);
    assert_eq!(servers.run(&["GET", goes]).await, Ok(bulk("1")), "ASK");
    assert_eq!(servers.run(&["GET", stays]).await, Ok(bulk("1")));
    assert_eq!(servers.reads_and_loads(stays, goes).await, [true; 4], "ASK");
    let mut pipeline = Pipeline::new();
    pipeline.cmd("GET").arg(stays).cmd("SET").arg(goes).arg(2).cmd("GET").arg(goes).cmd("WAIT").arg(0).arg(1);
    let replies = servers.pipeline(HashSlot::of("{a}"), &pipeline).await.expect("a server");
    assert_eq!(replies, [Ok(bulk("1")), Ok(Value::Okay), Ok(bulk("2")), Ok(Value::Int(0))]);
    let both = servers.run(&["MGET", stays, goes]).await;
    assert!(matches!(both, Err(Fault::Refused(Refusal::NotReady, _))), "TRYAGAIN: {both:?}");
    assert_eq!(*servers.generation().borrow(), generation);
    nodes.migrate(stays, from, to);
    nodes.end_to_move("{a}", from, to);
    assert_eq!(servers.run(&["MGET", stays, goes]).await, Ok(Value::Array(vec![bulk("1"), bulk("2")])), "MOVED");
    let replies = servers.pipeline(HashSlot::of("{a}"), &pipeline).await.expect("a server");
    assert_eq!(replies, [Ok(bulk("1")), Ok(Value::Okay), Ok(bulk("2")), Ok(Value::Int(0))]);
    let port = nodes.0[to].port;
    let owner = async || servers.topology.pool(HashSlot::of("{a}")).map(|pool| pool.address().clone());
    until("the map is new", owner, |owner| *owner == Some(crate::redis::target::Address::tcp("127.0.0.1", port))).await;
    assert!(*servers.generation().borrow() > generation);
}

/// One of the two servers would take it for what it is about to have, and unlink nothing.
#[tokio::test]
async fn commands_of_one_flush_are_sent_on_to_different_servers() {
    let nodes = Nodes::start(0);
    let servers = open(&nodes.url()).await;
    let from = nodes.owner("{a}");
    let (about, gone) = ((from + 1) % 3, (from + 2) % 3);
    let other = (0..50).map(|i| format!("{{b{i}}}")).find(|key| nodes.owner(key) == from).expect("a third of them");
    nodes.begin_to_move("{a}", from, about);
    assert_eq!(nodes.0[from].cli(&["SET", &other, "old"]).trim(), "OK");
    nodes.begin_to_move(&other, from, gone);
    nodes.migrate(&other, from, gone);
    nodes.end_to_move(&other, from, gone);
    let slot = HashSlot::of(&other).0.to_string();
    let importing = nodes.0[about].cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &nodes.id(gone)]);
    assert_eq!(importing.trim(), "OK");
    let mut pipeline = Pipeline::new();
    pipeline.cmd("UNLINK").arg("{a}").cmd("UNLINK").arg(&other).cmd("WAIT").arg(0).arg(1);
    let replies = servers.pipeline(HashSlot::of("{a}"), &pipeline).await.expect("a server");
    assert_eq!(replies, [Ok(Value::Int(0)), Ok(Value::Int(1)), Ok(Value::Int(0))]);
    assert_eq!(nodes.0[gone].cli(&["EXISTS", &other]).trim(), "0");
}

#[tokio::test]
async fn the_bus_moves_with_its_slot() {
    let nodes = Nodes::start(0);
    let servers = open(&nodes.url()).await;
    servers.subscribe("shop:wake:1").await.expect("a server");
    let identity = servers.identities(None).await.expect("a server");
    let from = nodes.owner("shop:bus");
    let to = (from + 1) % 3;
    nodes.begin_to_move("shop:bus", from, to);
    nodes.end_to_move("shop:bus", from, to);
    until(
        "the bus is there",
        async || servers.run_on_bus(&["XADD", "shop:bus", "*", "event", "x"]).await,
        Result::is_ok,
    )
    .await;
    assert_ne!(servers.identities(None).await.expect("a server"), identity);
    assert_eq!(nodes.0[to].cli(&["XLEN", "shop:bus"]).trim(), "1");
    assert_eq!(nodes.0[to].cli(&["PUBSUB", "NUMSUB", "shop:wake:1"]), "shop:wake:1\n1\n");
}

#[tokio::test]
async fn a_primary_that_dies_is_replaced_and_the_others_go_on() {
    let mut nodes = Nodes::start(1);
    let servers = open(&nodes.url()).await;
    let (victim, generation) = (nodes.owner("shop:bus"), *servers.generation().borrow());
    let others: Vec<String> = (0..50).map(|i| format!("key:{i}")).filter(|key| nodes.owner(key) != victim).collect();
    assert!(others.len() > 10);
    nodes.0[victim].kill();
    let reply = async || servers.run(&["GET", "shop:bus"]).await;
    until("it is noticed", reply, |reply| *reply == Err(Fault::Away)).await;
    for key in &others {
        assert!(servers.run(&["GET", key]).await.is_ok(), "{key}");
    }
    assert!(!servers.is_up());
    until("its replica takes over", async || nodes.find_owner("shop:bus"), Option::is_some).await;
    until("the replica is used", async || servers.run(&["SET", "shop:bus", "1"]).await, Result::is_ok).await;
    until("the bus is there", async || servers.run_on_bus(&["DEL", "shop:bus"]).await, Result::is_ok).await;
    assert!(servers.is_up() && *servers.generation().borrow() > generation);
}

#[tokio::test]
async fn a_primary_without_a_replica_is_waited_for() {
    let mut nodes = Nodes::start(0);
    let servers = open(&nodes.url()).await;
    let victim = nodes.owner("a");
    let other = (0..50).map(|i| format!("key:{i}")).find(|key| nodes.owner(key) != victim).expect("some are elsewhere");
    nodes.0[victim].kill();
    until("it is noticed", async || servers.run(&["GET", "a"]).await, |reply| *reply == Err(Fault::Away)).await;
    assert!(servers.run(&["GET", &other]).await.is_ok());
    nodes.0[victim].restart();
    until("it comes back", async || servers.run(&["GET", "a"]).await, Result::is_ok).await;
}

#[tokio::test]
async fn a_cluster_that_is_away_or_down_is_waited_for() {
    let mut nodes = Nodes::start(0);
    for node in &mut nodes.0 {
        node.kill();
    }
    let servers = Servers::open(settings(&nodes.url())).await.expect("it starts blind");
    assert_eq!((servers.run(&["GET", "a"]).await, servers.is_up()), (Err(Fault::Away), false));
    assert_eq!(servers.run_on_bus(&["GET", "a"]).await, Err(Fault::Away));
    let required = Servers::open(ServerSettings { require: true, ..settings(&nodes.url()) }).await;
    assert!(matches!(required, Err(Error::Redis { .. })), "{required:?}");
    for node in &mut nodes.0 {
        node.restart();
    }
    until("it comes back", async || servers.run(&["SET", "a", "1"]).await, Result::is_ok).await;
    until("all of it", async || servers.is_up(), |is_up| *is_up).await;
    // Two of three: the last one has no majority, and its slots are not served.
    let last = nodes.owner("a");
    for place in (0..3).filter(|place| *place != last) {
        nodes.0[place].kill();
    }
    until("it is left alone", async || servers.run(&["GET", "a"]).await, |reply| *reply == Err(Fault::Away)).await;
}

#[tokio::test]
async fn wrong_credentials_are_an_error_in_a_cluster_too() {
    let real = Real::start(&["--cluster-enabled", "yes", "--requirepass", "right"]);
    let problem = refused(&format!("redis-cluster://:wrong@127.0.0.1:{}", real.port)).await;
    assert!(problem.contains("WRONGPASS"), "{problem}");
}
