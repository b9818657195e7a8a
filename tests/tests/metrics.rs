//! What is counted goes to the `metrics` facade too, by the names of the one table.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cache_runtime::{Metric, cached};
use cache_tests::cache;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// An exporter that remembers counters by name and function.
#[derive(Clone, Default)]
struct Exporter(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Exporter {
    fn count(&self, metric: Metric, function: &str) -> u64 {
        let counters = self.0.lock().expect("no panics");
        counters.get(&format!("{} {function}", metric.name())).map_or(0, |counter| counter.load(Ordering::SeqCst))
    }
}

impl Recorder for Exporter {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let function = key.labels().find(|label| label.key() == "function").map_or("", |label| label.value());
        let name = format!("{} {function}", key.name());
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
        })
        .await;
    let count = |metric| exporter.count(metric, "counted");
    let counts = [Metric::HitL1, Metric::Miss, Metric::Load, Metric::LoadError, Metric::Invalidated].map(count);
    assert_eq!(counts, [2, 3, 3, 1, 1]);
}

#[test]
fn every_metric_has_a_name_of_its_own_and_a_help_text() {
    let names: std::collections::BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    assert_eq!(names.len(), Metric::ALL.len());
    assert!(Metric::ALL.iter().all(|metric| metric.name().starts_with("cache_") && !metric.help().is_empty()));
}
