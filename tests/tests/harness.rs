//! The harness itself: what the tests of the second tier stand on.
#![cfg(unix)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use cache_tests::eventually::{eventually, eventually_ok};
use cache_tests::redis_server::RedisServer;
use cache_tests::resp::Reply;

const SOON: Duration = Duration::from_secs(10);

mod waiting {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_the_condition_holds() {
        let mut left = 100;
        eventually(SOON, async || {
            left -= 1;
            left == 0
        })
        .await;
        let answer = eventually_ok(SOON, || async { if true { Ok(7) } else { Err("never") } }).await;
        assert_eq!((left, answer), (0, 7));
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "harness.rs:")]
    async fn it_gives_up_and_names_the_line() {
        eventually(SOON, || async { false }).await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "attempts: not yet")]
    async fn it_gives_up_with_the_last_error() {
        eventually_ok(SOON, || async { Err::<(), _>("not yet") }).await;
    }
}

mod server {
    use super::*;

    #[test]
    fn it_starts_at_once_and_answers() {
        let begun = Instant::now();
        let server = RedisServer::start();
        let took = begun.elapsed();
        // 12 ms on an idle machine.
        assert!(took < Duration::from_secs(2), "a start took {took:?}");
        assert_eq!(server.cli(&["SET", "key", "a value"]), "OK");
        assert_eq!(server.cli(&["GET", "key"]), "a value");
        assert_eq!(server.call(&[&b"GET"[..], &[0, 159, 146, 150]]), Reply::Nil);
        server.cli(&["RPUSH", "list", "1", "2"]);
        assert_eq!(server.cli(&["LRANGE", "list", "0", "-1"]), "1\n2");
        assert!(matches!(server.call(&["GET", "list"]), Reply::Error(error) if error.starts_with("WRONGTYPE")));
        assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
    }

    #[test]
    #[should_panic(expected = "FLY: ERR unknown command")]
    fn an_error_reply_fails_the_test() {
        RedisServer::start().cli(&["FLY"]);
    }

    #[test]
    fn what_it_was_called_is_counted() {
        let server = RedisServer::start();
        server.reset_commandstats();
        server.cli(&["GET", "a"]);
        server.cli(&["EVAL", "return redis.call('GET', KEYS[1])", "1", "a"]);
        let statistics = server.commandstats();
        assert_eq!((statistics["get"].calls, statistics["eval"].calls), (2, 1));
        assert_eq!(server.info("role").as_deref(), Some("master"));
        assert_eq!(server.info("no_such_field"), None);
    }

    #[test]
    fn a_killed_one_is_gone_and_comes_back_empty_on_its_port() {
        let server = RedisServer::start();
        server.cli(&["SET", "key", "value"]);
        server.kill();
        assert!(TcpStream::connect(server.address()).is_err());
        server.restart();
        assert_eq!(server.cli(&["EXISTS", "key"]), "0");
    }

    #[test]
    fn a_snapshot_is_what_it_comes_back_with() {
        let server = RedisServer::start();
        server.cli(&["SET", "key", "old"]);
        server.save();
        server.cli(&["SET", "key", "new"]);
        server.restart();
        assert_eq!(server.cli(&["GET", "key"]), "old");
        server.cli(&["SET", "key", "newest"]);
        server.shutdown_save();
        server.restart();
        assert_eq!(server.cli(&["GET", "key"]), "newest");
        server.restart_empty();
        assert_eq!(server.cli(&["DBSIZE"]), "0");
    }

    #[test]
    fn one_that_loads_says_so() {
        let server = RedisServer::start();
        server.cli(&["DEBUG", "POPULATE", "1000", "key", "100"]);
        server.save();
        server.restart_loading(Duration::from_millis(5));
        assert!(matches!(server.call(&["GET", "key:1"]), Reply::Error(error) if error.starts_with("LOADING")));
        server.restart();
        assert_eq!(server.cli(&["DBSIZE"]), "1000");
    }

    #[test]
    fn a_stopped_one_keeps_its_connections_and_is_silent() {
        let server = RedisServer::start();
        let mut client = server.client().expect("the server is up");
        server.stop();
        server.stop();
        client.send(&["PING"]).expect("the connection stands");
        let mut other = TcpStream::connect(server.address()).expect("the kernel still accepts connections");
        other.set_read_timeout(Some(Duration::from_millis(20))).expect("20 ms is a timeout");
        other.write_all(b"PING\r\n").expect("the connection stands");
        assert!(other.read(&mut [0]).is_err(), "nobody answers");
        server.resume();
        assert_eq!(client.receive().expect("it answers late"), Reply::Status("PONG".to_owned()));
    }

    #[test]
    fn a_password_is_asked_for_and_part_of_the_url() {
        let server = RedisServer::options().password("secret").start();
        assert_eq!(server.url(), format!("redis://:secret@127.0.0.1:{}", server.port()));
        assert_eq!(server.cli(&["PING"]), "PONG");
        assert!(raw(&server, "PING\r\n").starts_with("-NOAUTH"));
    }

    #[test]
    fn a_user_has_its_own_rights() {
        let server = RedisServer::options().user("app", "secret", "~shop:* +@all -flushall").start();
        assert_eq!(server.url(), format!("redis://app:secret@127.0.0.1:{}", server.port()));
        let as_app = |command| raw(&server, &format!("AUTH app secret\r\n{command}\r\n"));
        assert_eq!(as_app("SET shop:1 a"), "+OK\r\n+OK\r\n");
        assert!(as_app("FLUSHALL").contains("-NOPERM"));
        assert!(raw(&server, "AUTH app wrong\r\n").starts_with("-WRONGPASS"));
    }

    #[test]
    fn a_limit_of_memory_holds() {
        let server = RedisServer::options().memory("2mb", "noeviction").start();
        server.cli(&["DEBUG", "POPULATE", "10000", "key", "100"]);
        assert!(matches!(server.call(&["SET", "a", "b"]), Reply::Error(error) if error.starts_with("OOM")));
    }

    #[test]
    fn a_unix_socket_answers() {
        let server = RedisServer::options().unix_socket().start();
        let path = server.url().strip_prefix("unix://").expect("it is the URL of a socket").to_owned();
        let mut stream = UnixStream::connect(path).expect("the server listens");
        stream.write_all(b"PING\r\nQUIT\r\n").expect("the connection stands");
        let mut answers = String::new();
        stream.read_to_string(&mut answers).expect("QUIT closes the connection");
        assert_eq!(answers, "+PONG\r\n+OK\r\n");
    }

    #[test]
    fn tls_is_spoken_under_a_certificate_of_its_authority() {
        let server = RedisServer::options().tls().start();
        assert_eq!(server.url(), format!("rediss://127.0.0.1:{}", server.address().port()));
        assert_ne!(server.address().port(), server.port());
        assert!(
            std::fs::read_to_string(server.authority().expect("it has one"))
                .expect("it is a file")
                .contains("BEGIN CERTIFICATE")
        );
        assert_eq!(server.cli(&["PING"]), "PONG");
        // Not TLS: the server hangs up.
        assert_eq!(raw_at(server.address(), "PING\r\n"), "");
    }

    #[test]
    fn its_port_is_its_own() {
        let servers: Vec<_> = (0..4).map(|_| RedisServer::start()).collect();
        servers[0].kill();
        let others: Vec<_> = (0..4).map(|_| RedisServer::start()).collect();
        assert!(others.iter().all(|other| other.port() != servers[0].port()));
        servers[0].restart();
    }

    /// What the server answers to raw bytes, up to the end of the connection.
    fn raw(server: &RedisServer, bytes: &str) -> String {
        let answer = raw_at(server.address(), &format!("{bytes}QUIT\r\n"));
        answer.strip_suffix("+OK\r\n").unwrap_or(&answer).to_owned()
    }

    fn raw_at(address: std::net::SocketAddr, bytes: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.write_all(bytes.as_bytes()).expect("the connection stands");
        let mut answer = String::new();
        // A connection that was cut also has an end.
        let _ = stream.read_to_string(&mut answer);
        answer
    }
}

mod proxy {
    use cache_tests::fault_proxy::{Connection, Fault, FaultProxy};
    use cache_tests::resp::Client;

    use super::*;

    /// Long enough to say that nothing comes.
    const SILENCE: Duration = Duration::from_millis(30);

    struct World {
        server: RedisServer,
        proxy: FaultProxy,
    }

    fn world() -> World {
        let server = RedisServer::start();
        server.cli(&["SET", "key", "0123456789"]);
        let proxy = FaultProxy::start(server.address()).expect("a port is free");
        World { server, proxy }
    }

    impl World {
        fn client(&self, name: &str) -> Client {
            let mut client = self.client_within(SOON);
            client.call(&["CLIENT", "SETNAME", name]).expect("the proxy passes everything");
            client
        }

        fn client_within(&self, within: Duration) -> Client {
            Client::connect(self.proxy.address(), within).expect("the proxy listens")
        }

        fn names(&self) -> Vec<Option<String>> {
            self.proxy.connections().into_iter().map(|connection| connection.name).collect()
        }
    }

    #[track_caller]
    fn ping(client: &mut Client) {
        assert_eq!(client.call(&["PING"]).expect("the connection works"), Reply::Status("PONG".to_owned()));
    }

    fn is_closed(client: &mut Client) -> bool {
        let error = client.call(&["PING"]).expect_err("the connection is cut");
        !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
    }

    #[test]
    fn without_faults_it_is_not_noticed() {
        let world = world();
        let mut client = world.client("shop:pool");
        let large = vec![b'x'; 3 << 20];
        client.call(&[&b"SET"[..], b"large", &large]).expect("the proxy passes everything");
        assert_eq!(client.call(&["GET", "large"]).expect("the proxy passes everything"), Reply::Bytes(large));
        assert_eq!(world.server.url_at(world.proxy.port()), format!("redis://{}", world.proxy.address()));
    }

    #[test]
    fn connections_are_listed_with_what_they_said() {
        let world = world();
        let _pool = world.client("shop:pool");
        let mut bus = world.client_within(SOON);
        bus.call(&["HELLO", "2", "SETNAME", "shop:bus"]).expect("the proxy passes everything");
        assert_eq!(world.names(), [Some("shop:pool".to_owned()), Some("shop:bus".to_owned())]);
        let Connection { number, first_bytes, requested, replied, .. } = world.proxy.connections().remove(1);
        assert!(first_bytes.starts_with(b"*4\r\n$5\r\nHELLO\r\n"));
        assert_eq!((number, requested), (1, first_bytes.len() as u64));
        assert!(replied > 0);
    }

    #[tokio::test]
    async fn connections_that_ended_are_not_listed() {
        let world = world();
        drop(world.client("shop:pool"));
        eventually(SOON, || async { world.proxy.connections().is_empty() }).await;
    }

    #[test]
    fn one_connection_alone_is_cut() {
        let world = world();
        let (mut pool, mut bus) = (world.client("shop:pool"), world.client("shop:bus"));
        world.proxy.named("shop:bus").cut();
        assert!(is_closed(&mut bus));
        ping(&mut pool);
        ping(&mut world.client("shop:bus"));
        world.proxy.all().reset();
        assert!(is_closed(&mut pool));
    }

    #[test]
    fn one_kind_of_connection_is_kept_cut() {
        let world = world();
        let mut bus = world.client("shop:bus");
        world.proxy.named("shop:bus").keep_cut();
        assert!(is_closed(&mut bus));
        let mut again = world.client_within(SOON);
        assert!(again.call(&["CLIENT", "SETNAME", "shop:bus"]).is_err());
        ping(&mut world.client("shop:pool"));
        world.proxy.heal();
        ping(&mut world.client("shop:bus"));
    }

    #[test]
    fn new_connections_are_refused_and_old_ones_stay() {
        let world = world();
        let mut old = world.client("shop:pool");
        world.proxy.refuse();
        assert!(TcpStream::connect(world.proxy.address()).is_err());
        ping(&mut old);
        world.proxy.accept();
        ping(&mut world.client("shop:pool"));
    }

    #[test]
    fn replies_are_delayed() {
        let world = world();
        let (mut slow, mut fast) = (world.client("slow"), world.client("fast"));
        world.proxy.named("slow").replies(Fault::Delay(SILENCE));
        let begun = Instant::now();
        ping(&mut fast);
        for _ in 0..10 {
            slow.send(&["PING"]).expect("the connection stands");
        }
        for _ in 0..10 {
            slow.receive().expect("it is only late");
        }
        let took = begun.elapsed();
        assert!(took >= SILENCE && took < 8 * SILENCE, "ten calls under way at once are late together: {took:?}");
    }

    #[test]
    fn what_is_held_arrives_later() {
        let world = world();
        let mut client = world.client_within(SILENCE);
        ping(&mut client);
        world.proxy.all().both(Fault::Hold);
        assert!(client.call(&["SET", "held", "1"]).is_err(), "nobody answers");
        world.proxy.all().requests(Fault::Pass);
        assert!(client.receive().is_err(), "the answer is held");
        assert_eq!(world.server.cli(&["GET", "held"]), "1");
        world.proxy.heal();
        assert_eq!(client.receive().expect("it was held"), Reply::Status("OK".to_owned()));
    }

    #[test]
    fn what_is_dropped_never_arrives() {
        let world = world();
        let mut client = world.client_within(SILENCE);
        ping(&mut client);
        world.proxy.all().requests(Fault::Drop);
        assert!(client.call(&["SET", "lost", "1"]).is_err(), "nobody answers");
        world.proxy.heal();
        assert!(!is_closed_or_answered(&mut client), "a byte that is missing cannot be skipped");
        assert_eq!(world.server.cli(&["EXISTS", "lost"]), "0");
        ping(&mut world.client("another"));
    }

    fn is_closed_or_answered(client: &mut Client) -> bool {
        client.call(&["PING"]).map_or_else(|error| error.kind() != std::io::ErrorKind::WouldBlock, |_| true)
    }

    #[test]
    fn the_death_of_a_server_behind_a_silent_network_is_not_noticed() {
        let world = world();
        let mut client = world.client_within(SILENCE);
        ping(&mut client);
        world.proxy.all().replies(Fault::Drop);
        world.server.kill();
        for _ in 0..3 {
            assert!(!is_closed_or_answered(&mut client));
        }
        world.proxy.all().cut();
        assert!(is_closed(&mut client));
    }

    #[test]
    fn bytes_are_throttled() {
        let world = world();
        let mut client = world.client("shop:pool");
        world.proxy.all().replies(Fault::Throttle(100_000));
        world.server.cli(&["SETRANGE", "large", "9999", "x"]);
        let begun = Instant::now();
        client.call(&["GET", "large"]).expect("it is only slow");
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(95), "10 kB at 100 kB per second came in {took:?}");
    }

    /// It would take ten seconds.
    #[test]
    fn what_was_throttled_arrives_when_that_is_over() {
        for is_replaced in [false, true] {
            let world = world();
            let mut client = world.client("shop:pool");
            world.server.cli(&["SETRANGE", "large", "9999", "x"]);
            world.proxy.all().replies(Fault::Throttle(1_000));
            client.send(&["GET", "large"]).expect("the connection stands");
            has_come(&world, 10_000);
            let begun = Instant::now();
            if is_replaced {
                world.proxy.all().replies(Fault::Pass);
            } else {
                world.proxy.heal();
            }
            let Reply::Bytes(large) = client.receive().expect("nothing throttles it any more") else {
                panic!("it is text")
            };
            assert_eq!(large.len(), 10_000);
            ping(&mut client);
            assert!(begun.elapsed() < Duration::from_secs(5), "it came in {:?}", begun.elapsed());
        }
    }

    /// What is slow already can be held, too: it would take a quarter of a minute.
    #[test]
    fn what_is_throttled_can_be_held() {
        let world = world();
        let mut client = world.client_within(10 * SILENCE);
        world.proxy.all().replies(Fault::Throttle(1));
        client.send(&["GET", "key"]).expect("the connection stands");
        has_come(&world, 1);
        world.proxy.all().replies(Fault::Hold);
        assert!(client.receive().is_err(), "it is held");
        world.proxy.heal();
        assert_eq!(client.receive().expect("it was held"), Reply::Bytes(b"0123456789".to_vec()));
    }

    /// Waits until so many bytes of replies are with the proxy.
    fn has_come(world: &World, bytes: u64) {
        while world.proxy.connections().iter().all(|connection| connection.replied < bytes) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_reply_is_cut_in_its_middle() {
        let world = world();
        let mut client = world.client("shop:pool");
        world.proxy.all().replies(Fault::CutAfter(9));
        client.send(&["GET", "key"]).expect("the connection stands");
        let error = client.receive().expect_err("`$10\\r\\n0123` is no reply");
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        assert_eq!(world.proxy.connections(), []);
    }

    #[test]
    fn one_byte_of_a_reply_is_damaged() {
        let world = world();
        let mut client = world.client("shop:pool");
        world.proxy.all().replies(Fault::Corrupt(7));
        let mut get = || client.call(&["GET", "key"]).expect("the connection stands").to_string();
        assert_eq!((get(), get()), ("0133456789".to_owned(), "0123456789".to_owned()));
    }

    #[test]
    fn it_ends_when_it_is_dropped() {
        let world = world();
        let mut client = world.client("shop:pool");
        let World { server: _server, proxy } = world;
        let address = proxy.address();
        drop(proxy);
        assert!(is_closed(&mut client));
        assert!(TcpStream::connect(address).is_err());
    }
}

mod several_processes {
    use std::path::Path;

    use cache_tests::fleet::{Fleet, NoAnswer, child};

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn one_that_echoes() {
        child(async |mut questions| {
            let number = questions.number();
            while let Some(question) = questions.next().await {
                match *question.words() {
                    ["server"] => {
                        // It ends with this process, whatever this process dies of.
                        let server = Box::leak(Box::new(RedisServer::start()));
                        let id = server.info("process_id").expect("every server has one");
                        question.answer(&id);
                    }
                    ["panic"] => panic!("as asked"),
                    ["never"] => {}
                    _ => {
                        let answer = format!("{number}: {}", question.text());
                        question.answer(&answer);
                    }
                }
            }
        });
    }

    async fn fleet(count: usize) -> Fleet {
        Fleet::start(count, "several_processes::one_that_echoes").await
    }

    #[tokio::test]
    async fn each_answers_for_itself() {
        let fleet = fleet(2).await;
        assert_eq!(fleet[1].ask("who is there").await, "1: who is there");
        assert_eq!(fleet.ask_all("").await, ["0: ", "1: "]);
        assert_ne!(fleet[0].id(), fleet[1].id());
        let (never, meanwhile) = tokio::join!(fleet[0].try_ask("never", SHORT), fleet[0].ask("meanwhile"));
        assert_eq!((never, meanwhile.as_str()), (Err(NoAnswer::Late), "0: meanwhile"));
    }

    #[tokio::test]
    async fn a_stopped_one_is_silent_and_answers_later() {
        let fleet = fleet(2).await;
        fleet[0].stop();
        assert_eq!(fleet[0].try_ask("early", SHORT).await, Err(NoAnswer::Late));
        assert_eq!(fleet[1].ask("early").await, "1: early");
        fleet[0].resume();
        assert_eq!(fleet[0].ask("late").await, "0: late");
    }

    #[tokio::test]
    async fn a_dead_one_is_noticed() {
        let fleet = fleet(2).await;
        fleet[0].kill();
        assert_eq!(fleet[0].try_ask("still there", SOON).await, Err(NoAnswer::Dead));
        assert_eq!(fleet[1].try_ask("panic", SOON).await, Err(NoAnswer::Dead));
        fleet[0].stop();
        fleet[0].resume();
        fleet[0].kill();
    }

    #[tokio::test]
    #[should_panic(expected = "is there a test `no_such_test`?")]
    async fn a_child_that_is_no_test_is_noticed() {
        Fleet::start(1, "no_such_test").await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_a_killed_process_started_dies_with_it() {
        let fleet = fleet(1).await;
        let server = fleet[0].ask("server").await;
        let server = Path::new("/proc").join(server);
        assert!(server.exists());
        fleet[0].kill();
        // A dead process may wait for its new parent to notice.
        let is_dead = || std::fs::read_to_string(server.join("stat")).is_ok_and(|stat| stat.contains(") Z "));
        eventually(SOON, || async { !server.exists() || is_dead() }).await;
    }
}

mod sentinel {
    use cache_tests::sentinels::Sentinels;

    use super::*;

    /// Returns how many replicas have it: replication takes its time, and a failover does not wait for it.
    fn write_to_all(primary: &RedisServer) -> String {
        let mut client = primary.client().expect("the server is up");
        client.call(&["SET", "key", "value"]).expect("the connection stands");
        client.call(&["WAIT", "2", "5000"]).expect("the connection stands").to_string()
    }

    #[tokio::test]
    async fn a_failover_on_demand_makes_a_replica_the_primary() {
        let sentinels = Sentinels::start().await;
        let old = sentinels.primary();
        assert_eq!(write_to_all(old), "2");
        assert_eq!(sentinels.url().matches(':').count(), 4, "{}", sentinels.url());
        let new = sentinels.failover().await;
        assert_ne!(new.port(), old.port());
        assert_eq!(new.cli(&["GET", "key"]), "value");
        assert!(matches!(old.call(&["SET", "key", "other"]), Reply::Error(error) if error.starts_with("READONLY")));
    }

    #[tokio::test]
    async fn a_dead_primary_is_replaced_and_comes_back_as_a_replica() {
        let sentinels = Sentinels::start().await;
        let old = sentinels.primary();
        let new = sentinels.kill_primary().await;
        assert_ne!(new.port(), old.port());
        assert_eq!(new.cli(&["SET", "key", "value"]), "OK");
        old.restart();
        // The sentinels believe it for some seconds that it is a primary, in case this were news; then they make it a replica,
        // and close all connections to it.
        let read = || old.client().and_then(|mut client| client.call(&["GET", "key"])).ok();
        eventually(3 * SOON, || async { read() == Some(Reply::Bytes(b"value".to_vec())) }).await;
        assert_eq!(sentinels.replicas().count(), 2);
    }
}

mod cluster {
    use cache_tests::cluster::Cluster;

    use super::*;

    #[tokio::test]
    async fn a_slot_moves_with_its_keys_while_it_is_in_use() {
        let cluster = Cluster::start().await;
        let slot = cluster.slot_of("{tag}");
        let from = cluster.primary_of(slot);
        let to = cluster.nodes().iter().find(|node| node.port() != from.port()).expect("there are six");
        for number in 0..250 {
            from.cli(&["SET", &format!("{{tag}}:{number}"), "value"]);
        }
        let migration = cluster.begin_migration(slot, to);
        assert_eq!(from.cli(&["GET", "{tag}:1"]), "value");
        let elsewhere = from.call(&["GET", "{tag}:missing"]);
        assert_eq!(elsewhere, Reply::Error(format!("ASK {slot} {}", to.address())));
        migration.move_keys();
        assert_eq!(from.cli(&["DBSIZE"]), "0");
        migration.finish().await;
        assert_eq!(cluster.primary_of(slot).port(), to.port());
        assert_eq!(to.cli(&["GET", "{tag}:1"]), "value");
        assert_eq!(from.call(&["GET", "{tag}:1"]), Reply::Error(format!("MOVED {slot} {}", to.address())));
    }

    #[tokio::test]
    async fn a_dead_primary_is_replaced_by_its_replica() {
        let cluster = Cluster::start().await;
        let slot = cluster.slot_of("key");
        let (primary, replica) = (cluster.primary_of(slot), cluster.replica_of(slot));
        let mut client = primary.client().expect("the server is up");
        client.call(&["SET", "key", "value"]).expect("the connection stands");
        assert_eq!(client.call(&["WAIT", "1", "5000"]).expect("the connection stands"), Reply::Integer(1));
        let promoted = cluster.kill_primary_of(slot).await;
        assert_eq!(promoted.port(), replica.port());
        assert_eq!(promoted.cli(&["GET", "key"]), "value");
        primary.restart();
        eventually(SOON, || async { primary.info("master_link_status").as_deref() == Some("up") }).await;
        assert_eq!(cluster.failover(slot).await.port(), primary.port());
        assert!(cluster.url().starts_with("redis-cluster://127.0.0.1:"));
    }
}
