//! Which cache a call sees: an embedded default, the installed one, a scope's. One test, since the order matters.

#[path = "faults/log.rs"]
#[expect(dead_code, reason = "the tests of faults ask more of it")]
mod log;

use cache_runtime::{Cache, Error, cached, registry};

use crate::log::Log;

#[cached(ttl = "1m", key = "installing:<id>", version = 3)]
async fn plain(id: u64) -> u64 {
    id
}

#[cached(ttl = "1m", key = "installing-given:<id>", cache = cache)]
async fn given(id: u64, cache: &Cache) -> u64 {
    id
}

fn loads(cache: &Cache, name: &str) -> u64 {
    cache.stats().iter().find(|stats| stats.name() == name).expect("registered").loads()
}

#[tokio::test]
async fn a_call_sees_the_innermost_cache() {
    let (log, _listening) = Log::start();
    let default = Cache::current();
    plain(1).await;
    assert_eq!(loads(&default, "plain"), 1, "without an installed cache there is an embedded default");

    let installed = Cache::builder("installed").build().await.expect("built");
    installed.install().expect("the first");
    plain(1).await;
    assert_eq!((loads(&installed, "plain"), loads(&default, "plain")), (1, 1));
    assert!(matches!(default.install(), Err(Error::Installed)));

    let scoped = Cache::builder("scoped").build().await.expect("built");
    scoped
        .scope(async {
            plain(1).await;
            installed.scope(plain(1)).await;
            assert_eq!(plain_entry(1).key(), "scoped:v3:installing:1");
        })
        .await;
    assert_eq!((loads(&scoped, "plain"), loads(&installed, "plain")), (1, 1));

    given(1, &scoped).await;
    assert_eq!((loads(&scoped, "given"), loads(&installed, "given")), (1, 0));
    assert_eq!(warned_of_default(&log), 1, "once, and of nothing but that");
}

/// How often it was said that nobody has chosen a cache.
fn warned_of_default(log: &Log) -> usize {
    let said = log.lines("no cache is installed: using an embedded default of 64 MiB");
    assert!(log.lines("").iter().filter(|line| line.is_warning()).eq(&said), "{log:?}");
    said.len()
}

#[tokio::test]
async fn bad_names_are_refused() {
    for name in ["", "a b", "a:b", "ü", &"x".repeat(65)] {
        let error = Cache::builder(name).build().await.expect_err(name);
        assert!(matches!(error, Error::Name(_)), "{error}");
    }
}

#[test]
fn the_registry_knows_every_function() {
    let plain = registry().find("plain").expect("linked in");
    assert_eq!((plain.template(), plain.version(), plain.output()), ("installing:<id>", 3, "u64"));
    assert!(plain.file().ends_with("installing.rs") && plain.line() > 1);
    let json: serde_json::Value = serde_json::from_str(&registry().to_json()).expect("valid JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(2));
    let table = registry().to_string();
    assert!(table.lines().count() == 3 && table.contains("v3:installing:<id>"), "{table}");
}
