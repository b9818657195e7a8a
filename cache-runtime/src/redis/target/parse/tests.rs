//! Every form that is taken, every mistake that is told, and that no message tells a secret.

use super::target;
use crate::redis::target::{Address, Layout, Login, Target, Trust};

fn login(user: &str, password: &str) -> Login {
    let part = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Login { user: part(user), password: part(password) }
}

#[track_caller]
fn single(url: &str, address: Address, login: Login, database: i64, trust: Option<Trust>) {
    assert_eq!(target(url), Ok(Target { layout: Layout::Single(address), login, database, trust }), "{url}");
}

#[test]
fn one_server() {
    let none = Login::default;
    single("redis://localhost", Address::tcp("localhost", 6379), none(), 0, None);
    single("redis://localhost/", Address::tcp("localhost", 6379), none(), 0, None);
    single("redis://10.0.0.1:7000/3", Address::tcp("10.0.0.1", 7000), none(), 3, None);
    single("redis://[::1]:7000", Address::tcp("::1", 7000), none(), 0, None);
    single("redis://[::1]", Address::tcp("::1", 6379), none(), 0, None);
    single("redis://:secret@h", Address::tcp("h", 6379), login("", "secret"), 0, None);
    single("redis://u:p%40%2F%25@h/1", Address::tcp("h", 6379), login("u", "p@/%"), 1, None);
    single("redis://u:p/a@b#c@h/1", Address::tcp("h", 6379), login("u", "p/a@b#c"), 1, None);
    single("rediss://h", Address::tcp("h", 6379), none(), 0, Some(Trust::Public));
    single(
        "rediss://h/2?ca=/a%20b/ca.pem",
        Address::tcp("h", 6379),
        none(),
        2,
        Some(Trust::File("/a b/ca.pem".into())),
    );
}

#[cfg(unix)]
#[test]
fn one_socket() {
    single("unix:///run/redis.sock", Address::Unix("/run/redis.sock".into()), Login::default(), 0, None);
    single("unix://u:p@/run/r.sock?db=4", Address::Unix("/run/r.sock".into()), login("u", "p"), 4, None);
}

#[test]
fn clusters() {
    let hosts = vec![Address::tcp("a", 6379), Address::tcp("b", 7001)];
    let layout = Layout::Cluster(hosts);
    let plain = Target { layout: layout.clone(), login: login("", "p"), database: 0, trust: None };
    assert_eq!(target("redis-cluster://:p@a,b:7001"), Ok(plain));
    let encrypted = Target { layout, login: Login::default(), database: 0, trust: Some(Trust::Public) };
    assert_eq!(target("rediss-cluster://a,b:7001/"), Ok(encrypted));
}

#[test]
fn sentinels() {
    let layout = |login| Layout::Sentinel {
        sentinels: vec![Address::tcp("a", 26_379), Address::tcp("b", 7001)],
        service: "main".to_owned(),
        login,
    };
    let plain = Target { layout: layout(Login::default()), login: login("u", "p"), database: 5, trust: None };
    assert_eq!(target("redis-sentinel://u:p@a,b:7001/main/5"), Ok(plain));
    let encrypted =
        Target { layout: layout(login("s", "t")), login: Login::default(), database: 0, trust: Some(Trust::Public) };
    assert_eq!(target("rediss-sentinel://a,b:7001/main?sentinel_user=s&sentinel_password=t"), Ok(encrypted));
}

#[test]
fn every_mistake_is_told() {
    for (url, told) in [
        ("", "no scheme"),
        ("localhost:6379", "no scheme"),
        ("http://h", "an unknown scheme"),
        ("Redis://h", "an unknown scheme"),
        ("redis://", "a host is missing"),
        ("redis://:6379", "a host is missing"),
        ("redis://a b", "a blank"),
        ("redis://h:0", "from 1 to 65535"),
        ("redis://h:65536", "from 1 to 65535"),
        ("redis://h:port", "from 1 to 65535"),
        ("redis://h:", "from 1 to 65535"),
        ("redis://::1", "a host is missing"),
        ("redis://fe80::1", "in brackets"),
        ("redis://[::1", "without its `]`"),
        ("redis://[::1]7", "from 1 to 65535"),
        ("redis://h/x", "no number"),
        ("redis://h/-1", "no number"),
        ("redis://h/0/1", "no number"),
        ("redis://a,b", "one host"),
        ("redis://u@h", "without a password"),
        ("redis://u:@h", "without a password"),
        ("redis://@h", "without a password"),
        ("redis://u:p%@h", "percent-encoded"),
        ("redis://u:p%zz@h", "percent-encoded"),
        ("redis://u:p%ff@h", "percent-encoded"),
        ("redis://h?ca=/x", "none without TLS"),
        ("redis://h?protocol=resp3", "none without TLS"),
        ("rediss://h#insecure", "always checked"),
        ("rediss://h?ca=/x#insecure", "always checked"),
        ("rediss://h?ca", "without a value"),
        ("rediss://h?ca=", "without a value"),
        ("rediss://h?ca=%", "percent-encoded"),
        ("rediss://h?ca=/x&ca=/y", "twice"),
        ("rediss://h?verify=no", "there are `ca`"),
        ("redis-cluster://", "a host is missing"),
        ("redis-cluster://a,,b", "a host is missing"),
        ("redis-cluster://a/1", "no databases"),
        ("redis-sentinel://a", "no service"),
        ("redis-sentinel://a/", "no service"),
        ("redis-sentinel://a//1", "no service"),
        ("redis-sentinel:///main", "a host is missing"),
        ("redis-sentinel://a/main/x", "no number"),
        ("redis-sentinel://a/%/1", "percent-encoded"),
        ("redis-sentinel://a/main?sentinel_user=u", "without `sentinel_password`"),
        ("redis-sentinel://a/main?user=u", "there are `sentinel_user`, `sentinel_password`"),
    ] {
        let problem = target(url).expect_err(url);
        assert!(problem.contains(told), "{url}: {problem}");
    }
}

#[cfg(unix)]
#[test]
fn mistakes_about_sockets_are_told() {
    for (url, told) in [
        ("unix://", "whole path"),
        ("unix:///", "whole path"),
        ("unix://run/redis.sock", "whole path"),
        ("unix:///r.sock?db=x", "no number"),
        ("unix:///r.sock?pass=x", "there are `db`"),
        ("unix:///%", "percent-encoded"),
    ] {
        let problem = target(url).expect_err(url);
        assert!(problem.contains(told), "{url}: {problem}");
    }
}

#[test]
fn no_message_tells_a_secret() {
    const SECRET: &str = "hunter2";
    for url in [
        "hunter2",
        "hunter2@host",
        "hunter2://h",
        "redis://hunter2",
        "redis://hunter2@h",
        "redis://u:hunter2@",
        "redis://:hunter2@:x",
        "redis://:hunter2%@h",
        "redis://u:a?hunter2@h",
        "redis://u:hunter2?x@h",
        "redis://u:hunter2#x@h?y",
        "redis://h:hunter2",
        "redis://h/hunter2",
        "redis://h?hunter2",
        "rediss://h?hunter2=1",
        "rediss://h?ca=hunter2&ca=hunter2",
        "redis://[hunter2",
        "redis-sentinel://h/main?sentinel_password=hunter2&x=y",
        "redis://h#hunter2",
        "unix://hunter2@x",
    ] {
        if let Err(problem) = target(url) {
            assert!(!problem.contains(SECRET), "{url}: {problem}");
        }
    }
    let shown =
        format!("{:?}", target("redis-sentinel://u:hunter2@h/m?sentinel_password=hunter2").expect("a good one"));
    assert!(!shown.contains(SECRET) && shown.contains("\"u\""), "{shown}");
}

#[test]
fn addresses_are_shown_and_told_by_servers() {
    assert_eq!(Address::told("10.0.0.1:7000"), Some(Address::tcp("10.0.0.1", 7000)));
    assert_eq!(Address::told("::1:7000"), Some(Address::tcp("::1", 7000)));
    assert_eq!((Address::told("h"), Address::told("h:x")), (None, None));
    assert_eq!(Address::tcp("::1", 7).to_string(), "[::1]:7");
    assert_eq!(Address::tcp("h", 7).to_string(), "h:7");
}
