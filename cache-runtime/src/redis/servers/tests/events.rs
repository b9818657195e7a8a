//! What is logged: an outage once at its beginning and once at its end.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

use super::*;

/// All events of this thread, which in these tests is the runtime's only one.
pub(super) struct Log {
    lines: Lines,
    #[expect(dead_code, reason = "it collects events while it is there")]
    guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Log {
    pub(super) fn start() -> Self {
        let lines = Lines::default();
        let guard = tracing::subscriber::set_default(lines.clone());
        Self { lines, guard }
    }

    /// The events of one level; of none, all.
    pub(super) fn lines(&self, level: &str) -> Vec<String> {
        lock(&self.lines.0).iter().filter(|line| line.starts_with(level)).cloned().collect()
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().contains("::redis")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        lock(&self.0).push(line.0);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        _ = write!(self.0, " {field}={value:?}");
    }
}

#[tokio::test]
async fn an_outage_is_told_once_at_each_end() {
    let mut real = Real::start(&[]);
    let log = Log::start();
    let servers = open(&real.url()).await;
    for outage in 1..=2 {
        real.kill();
        until("it is noticed", async || servers.run(&["GET", "a"]).await, |reply| *reply == Err(Fault::Away)).await;
        let tries = async || log.lines("DEBUG").iter().filter(|line| line.contains("not connected")).count();
        until("it is tried often", tries, |tries| *tries >= outage * 12).await;
        assert_eq!(log.lines("WARN").len(), outage, "{:?}", log.lines(""));
        real.restart();
        until("its end is told", async || log.lines("INFO"), |lines| lines.len() == outage).await;
    }
    let (begin, end) = (log.lines("WARN").remove(0), log.lines("INFO").remove(0));
    assert!(begin.contains(&format!("127.0.0.1:{}", real.port)) && begin.contains("reason="), "{begin}");
    assert!(end.contains("after="), "{end}");
}

#[tokio::test]
async fn a_blind_start_is_told_once() {
    let log = Log::start();
    let mut real = Real::absent();
    let servers = Servers::open(settings(&real.url())).await.expect("it starts blind");
    assert_eq!(log.lines("WARN").len(), 1, "{:?}", log.lines(""));
    real.restart();
    servers.until_up().await;
    until("its end is told", async || log.lines("INFO"), |lines| lines.len() == 1).await;
    assert_eq!(log.lines("WARN").len(), 1);
}
