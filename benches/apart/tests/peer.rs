//! The program does in its own process what it is asked for.

use std::process::Command;
use std::time::Duration;

use harness::calls::Calls;
use harness::remote::Remote;
use harness::stage::Stage;
use harness::work::{Users, cold, load_slowly_from_now_on};

const TURN: Duration = Duration::from_millis(100);

#[test]
fn its_figures_are_those_of_hits_misses_and_stampedes() {
    let stage = Stage::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cache-benches-apart"));
    command.arg(stage.server.url()).env("OXCACHE_ALLOW_INSECURE_REDIS", "development-only");
    let peer = Remote::start(&mut command);

    peer.warm(&stage);
    let hits = peer.time(&stage, Users::Warm, 64, TURN).expect("it calls one by one");
    assert!(hits.loads == 0.0 && hits.lookups > 0.9 && hits.client > 0.0, "{hits:?}");
    assert!(peer.count(&stage, Users::Warm, 1, 100).is_some_and(|allocations| allocations > 1.0));

    let misses = peer.time(&stage, Users::Cold, 1, TURN).expect("it calls one by one");
    assert!(misses.loads > 0.999, "{misses:?}");

    // Nobody has read the next one, whoever of the two processes read those before.
    assert_eq!(peer.stampede(&stage, cold(), 1), 1);
    load_slowly_from_now_on(true);
    assert_eq!(peer.stampede(&stage, cold(), 100), 1);
    load_slowly_from_now_on(false);
}
