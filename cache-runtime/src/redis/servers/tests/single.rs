//! One server: what is sent, what breaks, what comes back.

use std::time::Instant;

use super::*;
use crate::redis::scripts;

#[tokio::test]
async fn commands_pipelines_and_scripts_are_answered() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    assert_eq!(servers.run(&["SET", "a", "1"]).await, Ok(Value::Okay));
    let mut pipeline = Pipeline::new();
    pipeline.cmd("GET").arg("a").cmd("LPUSH").arg("a").arg("x").cmd("GET").arg("b");
    let replies = servers.pipeline(HashSlot::default(), &pipeline).await.expect("a server");
    assert_eq!((&replies[0], &replies[2]), (&Ok(bulk("1")), &Ok(Value::Nil)));
    assert!(matches!(&replies[1], Err(Fault::Refused(Refusal::WrongType, _))), "{replies:?}");
    assert_eq!(servers.pipeline(HashSlot::default(), &Pipeline::new()).await, Ok(Vec::new()));
    assert_eq!(servers.run_on_bus(&["GET", "a"]).await, Ok(bulk("1")));
    assert!(servers.is_up());
}

#[tokio::test]
async fn scripts_are_known_at_once_and_after_they_were_flushed() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    for flush in [false, true, true] {
        if flush {
            real.cli(&["SCRIPT", "FLUSH"]);
        }
        let renewed = servers.script(HashSlot::default(), &scripts::RENEW, &["k"], &[b"1000", &[0; 16]]).await;
        assert!(renewed.is_ok(), "{renewed:?}");
        real.cli(&["SCRIPT", "FLUSH"]);
        assert!(servers.bus_script(&scripts::RENEW, &["k"], &[b"1000", &[0; 16]]).await.is_ok());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_a_database_and_names() {
    let real = Real::start(&["--unixsocket", "s"]);
    let socket = format!("unix://{}?db=3", real.path("s").display());
    let servers = open(&socket).await;
    servers.run(&["SET", "a", "1"]).await.expect("a server");
    assert_eq!(real.cli(&["-n", "3", "GET", "a"]).trim(), "1");
    let tcp = open(&format!("{}/3", real.url())).await;
    assert_eq!(tcp.run(&["GET", "a"]).await, Ok(bulk("1")));
    let names = ["pool", "bus", "ear"].map(|name| real.clients(name).len());
    assert_eq!(names, [4, 2, 2]);
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for_in_the_background() {
    let mut real = Real::absent();
    let refused = Servers::open(ServerSettings { require: true, ..settings(&real.url()) }).await;
    assert!(matches!(refused, Err(Error::Redis { .. })), "{refused:?}");
    let servers = Servers::open(settings(&real.url())).await.expect("it starts blind");
    let before = *servers.generation().borrow();
    assert!(!servers.is_up());
    assert_eq!(servers.run(&["GET", "a"]).await, Err(Fault::Away));
    assert_eq!(servers.run_on_bus(&["PING"]).await, Err(Fault::Away));
    assert_eq!(servers.ear_command(&command(&["PING"]), TIMEOUT).await, Err(Fault::Away));
    assert_eq!(servers.identities(None).await, Err(Fault::Away));
    real.restart();
    servers.until_up().await;
    assert!(*servers.generation().borrow() > before);
}

#[tokio::test]
async fn a_killed_server_fails_at_once_and_comes_back_by_itself() {
    let mut real = Real::start(&[]);
    let servers = open(&real.url()).await;
    let (identity, generation) = (servers.identities(None).await.expect("a server"), *servers.generation().borrow());
    real.kill();
    until("it is noticed", async || servers.run(&["GET", "a"]).await, |reply| *reply == Err(Fault::Away)).await;
    let began = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(servers.run(&["GET", "a"]).await, Err(Fault::Away));
    }
    assert!(began.elapsed() < TIMEOUT, "{:?} for a thousand", began.elapsed());
    assert!(!servers.is_up());
    real.restart();
    servers.until_up().await;
    assert_ne!(servers.identities(None).await.expect("a server"), identity);
    assert!(*servers.generation().borrow() > generation);
}

#[tokio::test]
async fn one_connection_of_the_pool_may_break_and_comes_back() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    let victim = real.clients("pool").remove(0);
    real.cli(&["CLIENT", "KILL", "ID", &victim]);
    until("the other one answers", async || servers.run(&["GET", "a"]).await, Result::is_ok).await;
    until("it comes back", async || real.clients("pool").len(), |clients| *clients == 2).await;
    assert!(servers.is_up());
}

#[tokio::test]
async fn the_bus_breaks_and_comes_back_alone() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    servers.subscribe("shop:wake:1").await.expect("a server");
    let mut generation = servers.generation();
    generation.mark_unchanged();
    assert_eq!(real.kill_clients("bus"), 1);
    for _ in 0..100 {
        assert!(servers.run(&["GET", "a"]).await.is_ok(), "the pool is not touched");
    }
    until("the bus comes back", async || servers.run_on_bus(&["GET", "a"]).await, Result::is_ok).await;
    assert!(generation.has_changed().expect("the servers are there"));
    assert_eq!(real.cli(&["PUBSUB", "NUMSUB", "shop:wake:1"]), "shop:wake:1\n1\n");
    let mut pushes = servers.pushes();
    real.cli(&["PUBLISH", "shop:wake:1", "an entry"]);
    let push = pushes.recv().await.expect("it is pushed");
    assert_eq!(push.payload.as_slice(), b"an entry");
}

#[tokio::test]
async fn the_pool_breaks_and_the_bus_stays() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    assert_eq!(real.kill_clients("pool"), 2);
    for _ in 0..100 {
        assert!(servers.run_on_bus(&["GET", "a"]).await.is_ok(), "the bus is not touched");
    }
    servers.until_up().await;
}

#[tokio::test]
async fn the_ear_blocks_nobody_and_breaks_alone() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    let listen = command(&["XREAD", "BLOCK", "20000", "STREAMS", "shop:bus", "$"]);
    let long = Duration::from_secs(20);
    let heard = async {
        until("it listens", async || real.cli(&["CLIENT", "LIST"]).contains("cmd=xread"), |listens| *listens).await;
        assert!(servers.run(&["GET", "a"]).await.is_ok() && servers.run_on_bus(&["GET", "a"]).await.is_ok());
        real.cli(&["XADD", "shop:bus", "*", "event", "x"]);
    };
    let (reply, ()) = tokio::join!(servers.ear_command(&listen, long), heard);
    assert!(matches!(reply, Ok(Value::Map(_))), "{reply:?}");
    let killed = async {
        until("it listens", async || real.cli(&["CLIENT", "LIST"]).contains("cmd=xread"), |listens| *listens).await;
        assert_eq!(real.kill_clients("ear"), 1);
    };
    let (reply, ()) = tokio::join!(servers.ear_command(&listen, long), killed);
    assert!(matches!(reply, Err(Fault::Broken(_))), "{reply:?}");
    assert!(servers.is_up());
    until("the ear comes back", async || servers.ear_command(&command(&["PING"]), long).await, Result::is_ok).await;
}

#[tokio::test]
async fn a_subscription_while_the_bus_is_away_is_made_when_it_is_back() {
    let mut real = Real::start(&[]);
    let servers = open(&real.url()).await;
    real.kill();
    let away = async || servers.run_on_bus(&["GET", "a"]).await;
    until("it is noticed", away, |reply| *reply == Err(Fault::Away)).await;
    assert_eq!(servers.subscribe("shop:wake:2").await, Err(Fault::Away));
    real.restart();
    servers.until_up().await;
    assert_eq!(real.cli(&["PUBSUB", "NUMSUB", "shop:wake:2"]), "shop:wake:2\n1\n");
}

#[tokio::test]
async fn a_server_that_loads_is_away_until_it_is_ready() {
    let mut real = Real::start(&[]);
    real.cli(&["DEBUG", "POPULATE", "20000"]);
    real.cli(&["SAVE"]);
    real.with(&["--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024"]);
    real.restart();
    assert!(real.cli(&["PING"]).starts_with("LOADING"));
    let servers = Servers::open(settings(&real.url())).await.expect("it starts blind");
    assert_eq!(servers.run(&["GET", "a"]).await, Err(Fault::Away));
    real.cli(&["CONFIG", "SET", "key-load-delay", "0"]);
    servers.until_up().await;
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica_is_away_until_it_is_one_again() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    let identity = servers.identities(None).await.expect("a server");
    real.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let refused = servers.run(&["SET", "a", "1"]).await;
    assert!(matches!(refused, Err(Fault::Refused(Refusal::ReadOnly, _))), "{refused:?}");
    until("it is not used", async || servers.run(&["GET", "a"]).await, |reply| *reply == Err(Fault::Away)).await;
    assert_eq!(servers.identities(None).await, Err(Fault::Away), "the bus is not used either");
    real.cli(&["REPLICAOF", "NO", "ONE"]);
    until("it is used", async || servers.run(&["SET", "a", "1"]).await, Result::is_ok).await;
    servers.until_up().await;
    assert!(matches!(servers.identities(None).await, Ok(other) if other != identity));
}

/// Whoever hears it first: reads alone would never be refused.
#[tokio::test]
async fn what_one_connection_hears_of_a_replica_ends_all_of_them() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    assert_eq!(servers.run(&["SET", "a", "1"]).await, Ok(Value::Okay));
    real.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(servers.run(&["GET", "a"]).await, Ok(bulk("1")), "nobody has heard of it yet");
    let refused = servers.run_on_bus(&["SET", "a", "2"]).await;
    assert!(matches!(refused, Err(Fault::Refused(Refusal::ReadOnly, _))), "{refused:?}");
    assert_eq!(servers.run(&["GET", "a"]).await, Err(Fault::Away), "at once");
    assert_eq!(servers.ear_command(&command(&["PING"]), TIMEOUT).await, Err(Fault::Away));
    real.cli(&["REPLICAOF", "NO", "ONE"]);
    until("it is used", async || servers.run(&["SET", "a", "1"]).await, Result::is_ok).await;
}

/// A name, or a virtual address: what stands stays where it was, what is new goes elsewhere.
#[tokio::test]
async fn connections_to_one_address_are_never_to_two_servers() {
    let servers_there = [Real::start(&[]), Real::start(&[])];
    let [old, new] = &servers_there;
    old.cli(&["SET", "who", "old"]);
    new.cli(&["SET", "who", "new"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it has one");
    let (moved, to) = watch::channel(old.port);
    let forwarding = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let port = *to.borrow();
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
                tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
            });
        }
    });
    let servers = open(&format!("redis://{address}")).await;
    assert_eq!(servers.run(&["GET", "who"]).await, Ok(bulk("old")));
    moved.send_replace(new.port);
    // The bus alone is made again; then a connection of the pool, when it has gone back.
    for (place, broken, goes_on) in [(new, "bus", old), (old, "pool", new)] {
        let name = place.cli(&["GET", "who"]).trim().to_owned();
        moved.send_replace(place.port);
        assert!(goes_on.kill_clients(broken) > 0);
        let found = async || match broken {
            "bus" => servers.run_on_bus(&["GET", "who"]).await,
            _ => servers.run(&["GET", "who"]).await,
        };
        until("it is made again, elsewhere", found, |reply| *reply == Ok(bulk(&name))).await;
        for reply in [servers.run(&["GET", "who"]).await, servers.run_on_bus(&["GET", "who"]).await] {
            assert!(reply == Err(Fault::Away) || reply == Ok(bulk(&name)), "{broken} is at {name}, but {reply:?}");
        }
        servers.until_up().await;
    }
    forwarding.abort();
}

#[tokio::test]
async fn other_refusals_leave_the_connection_alone() {
    let real = Real::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let servers = open(&real.url()).await;
    let generation = *servers.generation().borrow();
    let refused = servers.run(&["SET", "a", "1"]).await;
    assert!(matches!(refused, Err(Fault::Refused(Refusal::OutOfMemory, _))), "{refused:?}");
    real.cli(&["CONFIG", "SET", "min-replicas-to-write", "1", "maxmemory", "0"]);
    let refused = servers.run(&["SET", "a", "1"]).await;
    assert!(matches!(refused, Err(Fault::Refused(Refusal::WritesStopped, _))), "{refused:?}");
    let unknown = servers.run(&["NONSENSE", "a"]).await;
    assert!(matches!(unknown, Err(Fault::Refused(Refusal::Other, _))), "{unknown:?}");
    assert_eq!((servers.run(&["GET", "a"]).await, *servers.generation().borrow()), (Ok(Value::Nil), generation));
}

#[tokio::test]
async fn everything_ends_with_the_servers() {
    let real = Real::start(&[]);
    let servers = open(&real.url()).await;
    let away = Servers::open(settings("redis://127.0.0.1:1")).await.expect("it starts blind");
    assert_eq!(real.clients("pool").len(), 2);
    let (here, there) = (Arc::downgrade(&servers.topology), Arc::downgrade(&away.topology));
    drop((servers, away));
    let all_gone = async || ["pool", "bus", "ear"].iter().all(|name| real.clients(name).is_empty());
    until("the connections end", all_gone, |gone| *gone).await;
    assert_eq!((here.strong_count(), there.strong_count()), (0, 0));
    let alive = || Handle::current().metrics().num_alive_tasks();
    until("the tasks end", async || alive(), |tasks| *tasks == 0).await;
}

#[tokio::test]
async fn a_node_of_a_cluster_is_told_by_name() {
    let real = Real::start(&["--cluster-enabled", "yes"]);
    let refused = Servers::open(ServerSettings { require: true, ..settings(&real.url()) }).await;
    assert!(refused.expect_err("it is refused").to_string().contains("redis-cluster://"));
}

#[tokio::test]
async fn no_time_is_too_long_to_be_added_up() {
    let (real, most) = (Real::start(&[]), Duration::MAX);
    let endless = ServerSettings { op_timeout: most, require: true, ..settings(&real.url()) };
    let servers = Servers::open(endless).await.expect("the server is there");
    assert_eq!(servers.ear_command(&command(&["GET", "a"]), most).await, Ok(Value::Nil));
}
