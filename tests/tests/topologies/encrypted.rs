//! The same promises over TLS, under an authority of one's own.

use cache_runtime::Error;
use cache_tests::certificates::Certificates;

use super::*;

#[tokio::test]
async fn one_server_over_tls() {
    let server = RedisServer::options().tls().start();
    let authority = server.authority().expect("it has one").display();
    let url = format!("{}?ca={authority}", server.url());
    promises("onetls", &url).await;
    only_its_authority_counts("onetlsca", &url).await;
}

#[tokio::test]
async fn behind_sentinels_over_tls_and_a_failover_by_hand() {
    let sentinels = Sentinels::start_encrypted().await;
    let (url, app, source) = (sentinels.url(), "senttls", Gate::new());
    promises("senttls0", &url).await;
    only_its_authority_counts("senttlsca", &url).await;
    let (a, b) = (process(app, &url).await, process(app, &url).await);
    assert_eq!((a.scope(item(1, 2, &source)).await, b.scope(item(1, 2, &source)).await), (0, 0));
    are_encrypted(app, [sentinels.primary()], &["pool", "bus", "ear"]).await;
    are_encrypted(app, sentinels.sentinels(), &["scout"]).await;
    let next = sentinels.failover().await;
    source.commit();
    invalidated_everywhere(&a).await;
    assert_eq!((a.scope(item(1, 2, &source)).await, b.scope(item(1, 2, &source)).await), (1, 1));
    are_encrypted(app, [next], &["pool", "bus", "ear"]).await;
}

/// All but the seeds is what the nodes themselves announce, and where they send somebody.
#[tokio::test]
async fn in_a_cluster_over_tls_whose_slots_move() {
    let cluster = Cluster::start_encrypted().await;
    let (url, app, source) = (cluster.url(), "clustls", Gate::new());
    promises("clustls0", &url).await;
    only_its_authority_counts("clustlsca", &url).await;
    let seed = url.replace(&url[url.find(',').expect("six seeds")..url.find('?').expect("an authority")], "");
    let (a, b) = (process(app, &seed).await, process(app, &seed).await);
    assert_eq!((a.scope(item(1, 2, &source)).await, b.scope(item(1, 2, &source)).await), (0, 0));
    are_encrypted(app, cluster.nodes().iter().filter(|node| is_primary(node)), &["pool"]).await;
    are_encrypted(app, [cluster.primary_of(cluster.slot_of("clustls:bus"))], &["bus", "ear"]).await;
    let slot = cluster.slot_of("clustls:v1:item:1:2");
    let from = cluster.primary_of(slot).port();
    let to = cluster.nodes().iter().find(|node| node.port() != from && is_primary(node)).expect("three primaries");
    let migration = cluster.begin_migration(slot, to);
    source.commit();
    invalidated_everywhere(&a).await;
    // A server that is busy is done without now and then.
    let count = || to.cli(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]);
    let is_there = async || a.scope(item(1, 2, &source)).await == 1 && count() == "1";
    eventually(SOON, is_there).await;
    migration.complete().await;
    let next = cluster.failover(slot).await;
    source.commit();
    invalidated_everywhere(&a).await;
    assert_eq!((a.scope(item(1, 2, &source)).await, b.scope(item(1, 2, &source)).await), (2, 2));
    are_encrypted(app, [next], &["pool"]).await;
}

async fn invalidated_everywhere(publisher: &Cache) {
    eventually(SOON, async || {
        let receipt = publisher.publish(&ItemChanged { shop: 1, id: 2 }).everywhere(Duration::from_secs(1)).await;
        receipt.is_ok_and(|receipt| receipt.delivery() == Delivery::Applied)
    })
    .await;
}

/// In the eyes of these servers an application has such connections, and all of them by way of the port of TLS.
async fn are_encrypted<'a>(app: &str, servers: impl IntoIterator<Item = &'a RedisServer>, purposes: &[&str]) {
    for server in servers {
        let port = format!(" laddr={} ", server.address());
        for purpose in purposes {
            let name = format!(" name={app}:{purpose} ");
            eventually(SOON, async || {
                let clients = server.cli(&["CLIENT", "LIST"]);
                let mut ours = clients.lines().filter(|client| client.contains(&name)).peekable();
                ours.peek().is_some() && ours.all(|client| client.contains(&port))
            })
            .await;
        }
    }
}

/// Who is not trusted is as good as away, and somebody is told why; a file that has no authority is an error at once.
async fn only_its_authority_counts(app: &str, url: &str) {
    let (place, _) = url.split_once("?ca=").expect("it names its authority");
    let strangers = Certificates::create();
    let other = format!("{place}?ca={}", strangers.authority.display());
    for url in [place, &other] {
        let required = Cache::builder(app).redis(url).require_redis(true).build().await;
        let Err(Error::Redis { problem }) = required else { panic!("{url}: {required:?}") };
        assert!(problem.contains("invalid peer certificate"), "{problem}");
    }
    let problem = Cache::builder(app).redis(format!("{place}?ca=/nowhere/ca.pem")).build().await;
    assert!(
        matches!(&problem, Err(Error::Setting { problem, .. }) if problem.contains("/nowhere/ca.pem")),
        "{problem:?}"
    );
    let plain = place.replacen("rediss", "redis", 1);
    assert!(matches!(Cache::builder(app).redis(plain).require_redis(true).build().await, Err(Error::Redis { .. })));
    let (log, _listening) = Log::start();
    let (blind, source) = (Cache::builder(app).redis(other).build().await.expect("it starts without"), Gate::new());
    assert_eq!((blind.scope(item(1, 2, &source)).await, blind.health().reaches_server()), (0, false));
    let is_told = |field: &(&str, String)| field.0 == "reason" && field.1.contains("invalid peer certificate");
    eventually(SOON, async || log.lines(AWAY).iter().any(|line| line.fields.iter().any(is_told))).await;
}
