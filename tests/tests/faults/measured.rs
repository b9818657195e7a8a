//! The figures of `docs/failures.md`: what a server that is killed, stopped or slow adds to a call.
//!
//! `cargo test --release -p cache-tests --test faults -- --ignored --nocapture --test-threads=1 measured`

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cache_runtime::Cache;
use cache_tests::Gate;
use cache_tests::eventually::eventually;
use cache_tests::fault_proxy::Fault;
use cache_tests::on_redis::sees;

use crate::scene::{SOON, Scene, away, recovered};
use crate::strict;

/// How many call at the same time, and how long each waits between two calls.
const CALLERS: usize = 16;
const PACE: Duration = Duration::from_millis(1);

/// How many keys they ask for.
const KEYS: u64 = 1_000;

/// How long a phase lasts that has no end of its own.
const PHASE: Duration = Duration::from_secs(3);

/// Calls, by the phase in which they began.
#[derive(Default)]
struct Figures {
    phase: AtomicUsize,
    names: Mutex<Vec<&'static str>>,
    took: Mutex<Vec<(usize, Duration)>>,
    is_over: AtomicBool,
}

impl Figures {
    /// What is called from here on is in this phase.
    fn enter(&self, name: &'static str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.push(name);
        self.phase.store(names.len() - 1, Ordering::SeqCst);
    }

    fn note(&self, phase: usize, took: Duration) {
        self.took.lock().unwrap_or_else(PoisonError::into_inner).push((phase, took));
    }

    fn print(&self, title: &str) {
        println!("\n{title}: {CALLERS} callers, {KEYS} keys, a read from the second tier each\n");
        println!("| phase | calls | p50 | p99 | max |\n|---|---|---|---|---|");
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        for (phase, name) in names.iter().enumerate() {
            let mut took: Vec<_> = all.iter().filter(|(of, _)| *of == phase).map(|(_, took)| *took).collect();
            took.sort_unstable();
            let at = |share: usize| took.get(took.len() * share / 100).or(took.last()).copied().unwrap_or_default();
            println!("| {name} | {} | {:?} | {:?} | {:?} |", took.len(), at(50), at(99), at(100));
        }
    }
}

async fn call_on(cache: Cache, source: Arc<Gate>, figures: Arc<Figures>) {
    while !figures.is_over.load(Ordering::SeqCst) {
        let (id, phase, began) = (fastrand::u64(0..KEYS), figures.phase.load(Ordering::SeqCst), Instant::now());
        let (found, _) = cache.scope(strict(id, &source)).await;
        figures.note(phase, began.elapsed());
        assert_eq!(found, id, "every call has its own answer");
        // tidy: sleep because callers that are answered at once would leave no time for what is measured
        tokio::time::sleep(PACE).await;
    }
}

/// One way to fail, and back.
async fn measure(title: &str, scene: Scene, url: String, fail: impl FnOnce(&Scene), heal: impl FnOnce(&Scene)) {
    let cache = Cache::builder("test").redis(url).build().await.expect("the server is there");
    sees(&cache).await;
    let (figures, embedded) = (Arc::new(Figures::default()), Arc::new(Figures::default()));
    without_second_tier(&scene, &embedded).await;
    let call = || tokio::spawn(call_on(cache.clone(), Arc::clone(&scene.source), Arc::clone(&figures)));
    figures.enter("warming up");
    let callers: Vec<_> = (0..CALLERS).map(|_| call()).collect();
    pass(PHASE).await;
    figures.enter("before");
    pass(PHASE).await;
    figures.enter("until it is known to be away");
    fail(&scene);
    away(&cache).await;
    figures.enter("while it is away");
    pass(PHASE).await;
    figures.enter("until it is back");
    heal(&scene);
    recovered(&cache).await;
    figures.enter("after");
    pass(PHASE).await;
    figures.is_over.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.expect("every call has its own answer");
    }
    figures.print(title);
    embedded.print("the same without a second tier");
}

async fn without_second_tier(scene: &Scene, figures: &Arc<Figures>) {
    let cache = Cache::builder("test").build().await.expect("nothing contradicts");
    figures.enter("embedded");
    let call = || tokio::spawn(call_on(cache.clone(), Arc::clone(&scene.source), Arc::clone(figures)));
    let callers: Vec<_> = (0..CALLERS).map(|_| call()).collect();
    pass(PHASE).await;
    figures.is_over.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.expect("every call has its own answer");
    }
}

async fn pass(time: Duration) {
    let began = Instant::now();
    eventually(SOON, async || began.elapsed() > time).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run alone, optimised"]
async fn measured_killed() {
    let scene = Scene::start();
    let url = scene.server.url();
    measure("killed and restarted", scene, url, |scene| scene.server.kill(), |scene| scene.server.restart()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run alone, optimised"]
async fn measured_stopped() {
    let scene = Scene::start();
    let url = scene.server.url();
    measure("stopped and continued", scene, url, |scene| scene.server.stop(), |scene| scene.server.resume()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run alone, optimised"]
async fn measured_slow() {
    let slow = |scene: &Scene| scene.proxy.all().replies(Fault::Delay(Duration::from_millis(150)));
    let scene = Scene::start();
    let url = scene.server.url_at(scene.proxy.port());
    measure("replies 150 ms late", scene, url, slow, |scene| scene.proxy.heal()).await;
}
