//! Sentinels: they name the primary, and another one after a failover.

use super::*;
use crate::redis::real::{free_port, poll};

/// One primary, two replicas, three sentinels.
struct Watched {
    servers: Vec<Real>,
    sentinels: Vec<Real>,
}

impl Watched {
    fn start(secret: Option<&str>) -> Self {
        let primary = Real::start(&[]);
        let port = primary.port.to_string();
        let replica = || Real::start(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]);
        let servers = vec![primary, replica(), replica()];
        let up = |real: &Real| real.cli(&["INFO", "replication"]).contains("master_link_status:up");
        poll("the replicas are ready", || servers[1..].iter().all(up));
        let sentinels = (0..3).map(|_| sentinel(&port, secret)).collect();
        let watched = Self { servers, sentinels };
        poll("the sentinels know each other", || {
            watched.sentinels.iter().all(|sentinel| Self::knows_all(sentinel, secret))
        });
        watched
    }

    fn knows_all(sentinel: &Real, secret: Option<&str>) -> bool {
        let state = sentinel.cli(&[&login(secret)[..], &["SENTINEL", "MASTER", "main"]].concat());
        let words: Vec<&str> = state.lines().collect();
        let is = |name: &str, value: &str| words.windows(2).any(|pair| pair == [name, value]);
        is("num-slaves", "2") && is("num-other-sentinels", "2") && is("flags", "master")
    }

    fn url(&self, options: &str) -> String {
        let places: Vec<String> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis-sentinel://{}/main{options}", places.join(","))
    }

    fn primary(&self) -> Option<usize> {
        self.servers.iter().position(|server| server.cli(&["ROLE"]).starts_with("master"))
    }
}

fn login(secret: Option<&str>) -> Vec<&str> {
    secret.into_iter().flat_map(|secret| ["-a", secret, "--no-auth-warning"]).collect()
}

fn sentinel(primary: &str, secret: Option<&str>) -> Real {
    let mut real = Real::absent();
    real.port = free_port();
    let mut config = format!(
        "port {}\nsentinel monitor main 127.0.0.1 {primary} 2\nsentinel down-after-milliseconds main 500\n\
         sentinel failover-timeout main 3000\n",
        real.port
    );
    if let Some(secret) = secret {
        config.push_str(&["requirepass ", secret, "\nsentinel sentinel-pass ", secret, "\n"].concat());
    }
    std::fs::write(real.path("sentinel.conf"), config).expect("a file");
    real.restart();
    real
}

#[tokio::test]
async fn the_primary_that_they_name_is_used_until_it_dies_and_then_the_next() {
    let mut watched = Watched::start(None);
    let servers = open(&watched.url("")).await;
    servers.subscribe("shop:wake:1").await.expect("a server");
    let (identity, generation) = (servers.identities(None).await.expect("a server"), *servers.generation().borrow());
    assert_eq!(servers.run(&["SET", "a", "1"]).await, Ok(Value::Okay));
    // The first of the sentinels dies with it.
    watched.sentinels[0].kill();
    watched.servers[0].kill();
    until("it is noticed", async || servers.run(&["GET", "a"]).await, |reply| *reply == Err(Fault::Away)).await;
    until("the next one is used", async || servers.run(&["SET", "a", "2"]).await, Result::is_ok).await;
    servers.until_up().await;
    let next = watched.primary().expect("there is one");
    assert_eq!(watched.servers[next].cli(&["GET", "a"]).trim(), "2");
    assert_ne!(servers.identities(None).await.expect("a server"), identity);
    assert!(*servers.generation().borrow() > generation);
    assert_eq!(watched.servers[next].cli(&["PUBSUB", "NUMSUB", "shop:wake:1"]), "shop:wake:1\n1\n");
    // The old one comes back as a replica, and is not used.
    watched.servers[0].restart();
    poll("it is a replica", || watched.servers[0].cli(&["ROLE"]).starts_with("slave"));
    assert!(watched.servers[0].clients("pool").is_empty() && servers.run(&["SET", "a", "3"]).await.is_ok());
}

#[tokio::test]
async fn a_failover_by_hand_is_followed() {
    let watched = Watched::start(None);
    let servers = open(&watched.url("")).await;
    assert_eq!(watched.sentinels[1].cli(&["SENTINEL", "FAILOVER", "main"]).trim(), "OK");
    let moved = async || servers.topology.pool(HashSlot::default()).map(|pool| pool.address().to_string());
    let old = format!("127.0.0.1:{}", watched.servers[0].port);
    until("the next one is named", moved, |place| place.as_ref() != Some(&old)).await;
    until("the next one is used", async || servers.run(&["SET", "a", "2"]).await, Result::is_ok).await;
    servers.until_up().await;
}

/// What was the primary may be back, and not know that another one is: only the sentinels can tell.
#[tokio::test]
async fn a_connection_that_is_made_again_is_not_used_before_the_sentinels_were_asked() {
    let watched = Watched::start(None);
    let servers = open(&watched.url("")).await;
    assert_eq!(servers.run(&["SET", "a", "1"]).await, Ok(Value::Okay));
    for sentinel in &watched.sentinels {
        sentinel.signal("STOP");
    }
    let primary = &watched.servers[0];
    let first = primary.clients("pool");
    assert_eq!(primary.kill_clients("pool"), 2);
    until("it is noticed", async || servers.run(&["GET", "a"]).await, |reply| *reply == Err(Fault::Away)).await;
    let mut tried = first;
    // It is entered, waits in vain for an answer, is given up, and made again.
    let two_more_each = async || {
        assert_eq!(servers.run(&["GET", "a"]).await, Err(Fault::Away), "nobody says that it still is the primary");
        let new = primary.clients("pool").into_iter().filter(|id| !tried.contains(id)).collect::<Vec<_>>();
        tried.extend(new);
        tried.len()
    };
    until("it is tried again and again", two_more_each, |tried| *tried >= 6).await;
    for sentinel in &watched.sentinels[1..] {
        sentinel.signal("CONT");
    }
    servers.until_up().await;
    watched.sentinels[0].signal("CONT");
}

#[tokio::test]
async fn credentials_of_sentinels_are_their_own() {
    let watched = Watched::start(Some("s3"));
    let servers = open(&watched.url("?sentinel_password=s3")).await;
    assert_eq!(servers.run(&["SET", "a", "1"]).await, Ok(Value::Okay));
    for options in ["", "?sentinel_password=wrong"] {
        let problem = refused(&watched.url(options)).await;
        assert!(problem.contains("NOAUTH") || problem.contains("WRONGPASS"), "{problem}");
    }
    let problem =
        refused(&watched.url("?sentinel_password=s3").replace("redis-sentinel://", "redis-sentinel://u:p@")).await;
    assert!(problem.contains("WRONGPASS"), "{problem}");
}

#[tokio::test]
async fn sentinels_that_are_away_or_know_no_such_service_are_waited_for() {
    let mut watched = Watched::start(None);
    let unknown = watched.url("").replace("/main", "/other");
    let required = Servers::open(ServerSettings { require: true, ..settings(&unknown) }).await;
    let problem = required.expect_err("it is refused").to_string();
    assert!(problem.contains("no service `other`"), "{problem}");
    for sentinel in &mut watched.sentinels {
        sentinel.kill();
    }
    let servers = Servers::open(settings(&watched.url(""))).await.expect("it starts blind");
    assert_eq!(servers.run(&["GET", "a"]).await, Err(Fault::Away));
    // One of three may have been cut off together with a primary that the others have replaced.
    watched.sentinels[2].restart();
    let alone = &watched.sentinels[2];
    until("it is asked", async || is_asked(alone), |is_asked| *is_asked).await;
    let looks = servers.topology.plant().access.looks.as_ref().expect("behind sentinels, they are looked at");
    let before = looks.begun();
    let looked = async || {
        assert_eq!(servers.run(&["GET", "a"]).await, Err(Fault::Away), "one of three is not believed");
        looks.begun()
    };
    until("it is asked again and again", looked, |looks| *looks >= before + 4).await;
    watched.sentinels[1].restart();
    servers.until_up().await;
}

/// Whether a sentinel was asked where the primary is, over the connection that stands.
fn is_asked(sentinel: &Real) -> bool {
    let list = sentinel.cli(&["CLIENT", "LIST"]);
    list.lines().any(|client| client.contains("name=shop:scout") && client.contains("cmd=sentinel|master"))
}

#[tokio::test]
async fn a_primary_that_most_sentinels_have_not_confirmed_for_long_is_not_used_until_they_do() {
    let watched = Watched::start(None);
    let short = ServerSettings { max_staleness: Duration::from_secs(2), ..settings(&watched.url("")) };
    let servers = Servers::open(short).await.expect("the servers are there");
    let (primary, generation) = (&watched.servers[0], *servers.generation().borrow());
    assert!(servers.trusted_for() > Duration::ZERO && servers.trusted_for() <= Duration::from_secs(2));
    for sentinel in &watched.sentinels[..2] {
        sentinel.signal("STOP");
    }
    until("it is left alone", async || servers.run(&["GET", "a"]).await, |reply| *reply == Err(Fault::Away)).await;
    assert_eq!(servers.run_on_bus(&["GET", "a"]).await, Err(Fault::Away));
    assert_eq!(servers.ear_command(&command(&["PING"]), TIMEOUT).await, Err(Fault::Away));
    assert_eq!((servers.is_up(), servers.trusted_for()), (false, Duration::ZERO));
    let connections = async || ["pool", "bus", "ear"].map(|name| primary.clients(name).len());
    until("its connections end", connections, |connections| *connections == [0; 3]).await;
    assert!(*servers.generation().borrow() > generation);
    watched.sentinels[0].signal("CONT");
    servers.until_up().await;
    watched.sentinels[1].signal("CONT");
}

#[tokio::test]
async fn sentinels_that_are_restarted_one_after_the_other_are_not_missed() {
    let mut watched = Watched::start(None);
    let short = ServerSettings { max_staleness: Duration::from_secs(2), ..settings(&watched.url("")) };
    let servers = Servers::open(short).await.expect("the servers are there");
    for i in 0..3 {
        watched.sentinels[i].kill();
        let used = async || {
            assert_eq!(servers.run(&["GET", "a"]).await, Ok(Value::Nil));
            assert_eq!(servers.run_on_bus(&["GET", "a"]).await, Ok(Value::Nil));
        };
        let began = std::time::Instant::now();
        until("this takes longer than a word counts", used, |()| began.elapsed() > Duration::from_millis(2_500)).await;
        watched.sentinels[i].restart();
        let asked_again = async || {
            used().await;
            is_asked(&watched.sentinels[i])
        };
        until("it is asked again", asked_again, |is_asked| *is_asked).await;
    }
}
