//! P9: of one call, the second tier takes one `op_timeout`, however many operations it has, and of an invalidation two.
//!
//! Elsewhere a call has five times its `op_timeout`, so that a busy machine fails no test. Here that is long, and what is
//! told apart are multiples of it: one is waited for, two would be too many, and what a machine adds is less.

use std::future::Future;
use std::time::{Duration, Instant};

use cache_runtime::{Cache, Delivery, Outcome};
use cache_tests::fault_proxy::Fault;
use cache_tests::on_redis::process_with;
use futures::future::join_all;

use crate::scene::{Scene, away, publish, timed, usual};
use crate::{item, strict};

const OP_TIMEOUT: Duration = Duration::from_secs(2);

/// One operation's time, and not two.
const ONE: Duration = Duration::from_millis(3_900);

/// Two of them, and not three.
const TWO: Duration = Duration::from_millis(5_900);

async fn patient(url: &str) -> Cache {
    process_with(url, |builder| usual(builder).op_timeout(OP_TIMEOUT)).await
}

/// How long it takes, which is not longer than this.
async fn takes<T>(most: Duration, future: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let value = future.await;
    let took = began.elapsed();
    assert!(took < most, "{took:?}");
    (value, took)
}

#[tokio::test]
async fn a_server_that_is_stopped_takes_one_operations_time_of_a_call_and_then_none() {
    let scene = Scene::start();
    let a = patient(&scene.server.url()).await;
    for id in 0..3 {
        a.scope(strict(id, &scene.source)).await;
    }
    scene.server.stop();
    // What is stored, and what is not.
    let stored = (0..3).map(|id| a.scope(strict(id, &scene.source)));
    let cold = (10..13).map(|id| a.scope(strict(id, &scene.source)));
    let (_, took) = takes(ONE, futures::future::join(join_all(stored), join_all(cold))).await;
    assert!(took > OP_TIMEOUT / 2, "{took:?}: it was asked, and waited for");
    let (receipt, _) = takes(TWO, publish(&a, 1)).await;
    assert_eq!(receipt.delivery(), Delivery::Queued);
    away(&a).await;
    // All of them in less than one would wait.
    let calls = async {
        for id in 0..100 {
            assert_eq!(a.scope(strict(id, &scene.source)).await.0, id);
        }
    };
    takes(OP_TIMEOUT / 2, calls).await;
}

/// A read and a lease that are answered just in time leave nothing for a third operation.
#[tokio::test]
async fn a_server_that_is_slow_takes_one_operations_time_of_a_call_that_has_three() {
    let scene = Scene::start();
    let a = patient(&scene.server.url_at(scene.proxy.port())).await;
    scene.proxy.named("test:pool").replies(Fault::Delay(OP_TIMEOUT * 9 / 10));
    let (value, lookup) = timed(&a, ONE, item(1, &scene.source)).await;
    assert_eq!((value, lookup.outcome()), ((1, 0), Outcome::Loaded));
    assert!(lookup.took() > OP_TIMEOUT * 9 / 10, "{lookup:?}: its reply was waited for");
}
