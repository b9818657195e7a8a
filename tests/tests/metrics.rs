//! What is counted goes to the `metrics` facade too, by the names of the one table.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cache_runtime::{Metric, cached};
use cache_tests::cache;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// An exporter that remembers counters by name, function and key template.
#[derive(Clone, Default)]
struct Exporter(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Exporter {
    fn count(&self, metric: Metric, function: &str, key: &str) -> u64 {
        let counters = self.0.lock().expect("no panics");
        let counter = counters.get(&format!("{} {function} {key}", metric.name()));
        counter.map_or(0, |counter| counter.load(Ordering::SeqCst))
    }
}

impl Recorder for Exporter {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let label = |name| key.labels().find(|label| label.key() == name).map_or("", |label| label.value());
        let name = format!("{} {} {}", key.name(), label("function"), label("key"));
        Counter::from_arc(Arc::clone(self.0.lock().expect("no panics").entry(name).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[cached(ttl = "1h", key = "metrics:<id>")]
async fn counted(id: u64) -> Result<u64, u64> {
    if id == 0 { Err(id) } else { Ok(id) }
}

mod users {
    #[cache_runtime::cached(ttl = "1h", key = "metrics_user:<id>")]
    pub(super) async fn get(id: u64) -> u64 {
        id
    }
}

mod orders {
    pub(super) struct Orders;

    impl Orders {
        #[cache_runtime::cached(ttl = "1h", key = "metrics_order:<id>", skip(self))]
        pub(super) async fn get(&self, id: u64) -> u64 {
            id
        }
    }

    pub(super) struct Invoices;

    impl Invoices {
        #[cache_runtime::cached(ttl = "1h", key = "metrics_invoice:<id>", skip(self))]
        pub(super) async fn get(&self, id: u64) -> u64 {
            id
        }
    }
}

#[tokio::test]
async fn counts_are_exported() {
    let exporter = Exporter::default();
    assert!(metrics::set_global_recorder(exporter.clone()).is_ok(), "the only exporter of this program");
    cache()
        .await
        .scope(async {
            for id in [0, 1, 1, 1, 2] {
                assert_eq!(counted(id).await.is_err(), id == 0);
            }
            counted_entry(1).invalidate().await.expect("invalidated");
            for _ in 0..3 {
                users::get(1).await;
            }
            orders::Orders.get(1).await;
            orders::Invoices.get(1).await;
            orders::Invoices.get(2).await;
        })
        .await;
    let count = |metric| exporter.count(metric, "metrics::counted", "metrics:<id>");
    let counts = [Metric::HitL1, Metric::Miss, Metric::Load, Metric::LoadError, Metric::Invalidated].map(count);
    assert_eq!(counts, [2, 3, 3, 1, 1]);
    // Functions of one name are told apart, by their modules or by their keys.
    let loads = |function, key| exporter.count(Metric::Load, function, key);
    assert_eq!(loads("metrics::users::get", "metrics_user:<id>"), 1);
    assert_eq!(loads("metrics::orders::get", "metrics_order:<id>"), 1);
    assert_eq!(loads("metrics::orders::get", "metrics_invoice:<id>"), 2);
}

#[test]
fn every_metric_has_a_name_of_its_own_and_a_help_text() {
    let names: std::collections::BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    assert_eq!(names.len(), Metric::ALL.len());
    assert!(Metric::ALL.iter().all(|metric| metric.name().starts_with("cache_") && !metric.help().is_empty()));
}
