//! What goes wrong between the processes of a fleet, at random.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::testing::fleet::APP;
use crate::testing::{Fault, FaultProxy, Fleet, RedisServer};
use crate::timer;

use super::log::{Log, What};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    Cut,
    CutBus,
    HoldBus,
    HoldReplies,
    Hold,
    Delay,
    Refuse,
    Evict,
    ForgetScripts,
    Flush,
    Restart,
}

/// Each as often as it stands here.
const TABLE: &[Disturbance] = &[
    Disturbance::Cut,
    Disturbance::CutBus,
    Disturbance::CutBus,
    Disturbance::HoldBus,
    Disturbance::HoldBus,
    Disturbance::HoldReplies,
    Disturbance::Hold,
    Disturbance::Delay,
    Disturbance::Delay,
    Disturbance::Refuse,
    Disturbance::Evict,
    Disturbance::Evict,
    Disturbance::Evict,
    Disturbance::Evict,
    Disturbance::ForgetScripts,
    Disturbance::Flush,
    Disturbance::Restart,
];

/// Lets things go wrong, one after the other, until `is_over`, and then mends the network.
pub(super) async fn disturb(fleet: &Fleet, log: &Log, mut random: fastrand::Rng, is_over: impl Fn() -> bool) {
    while !is_over() {
        timer::sleep(Duration::from_millis(random.u64(5..80))).await;
        let what = TABLE[random.usize(0..TABLE.len())];
        let process = random.usize(0..fleet.processes());
        let span = Duration::from_millis(random.u64(10..400));
        match what {
            Disturbance::Evict | Disturbance::ForgetScripts | Disturbance::Flush | Disturbance::Restart => {
                on_server(fleet, log, what).await;
            }
            Disturbance::Cut | Disturbance::CutBus => {
                log.add(Some(process), What::Disturbed(said(what, span)));
                set(fleet.proxy(process), what);
            }
            Disturbance::HoldBus
            | Disturbance::HoldReplies
            | Disturbance::Hold
            | Disturbance::Delay
            | Disturbance::Refuse => {
                log.add(Some(process), What::Disturbed(said(what, span)));
                set(fleet.proxy(process), what);
                timer::sleep(span).await;
                fleet.proxy(process).heal();
                log.add(Some(process), What::Disturbed("its network is mended".to_owned()));
            }
        }
    }
    (0..fleet.processes()).for_each(|process| fleet.proxy(process).heal());
}

fn set(proxy: &FaultProxy, what: Disturbance) {
    let bus = format!("{APP}:bus");
    match what {
        Disturbance::Cut => proxy.all().cut(),
        Disturbance::CutBus => proxy.named(&bus).cut(),
        Disturbance::HoldBus => proxy.named(&bus).both(Fault::Hold),
        Disturbance::HoldReplies => proxy.all().replies(Fault::Hold),
        Disturbance::Hold => proxy.all().both(Fault::Hold),
        Disturbance::Delay => proxy.all().replies(Fault::Delay(Duration::from_millis(20))),
        Disturbance::Refuse => {
            proxy.refuse();
            proxy.all().cut();
        }
        Disturbance::Evict | Disturbance::ForgetScripts | Disturbance::Flush | Disturbance::Restart => {}
    }
}

fn said(what: Disturbance, span: Duration) -> String {
    match what {
        Disturbance::Cut => "all connections are cut".to_owned(),
        Disturbance::CutBus => "the bus is cut".to_owned(),
        Disturbance::HoldBus => format!("the bus stands still for {span:?}"),
        Disturbance::HoldReplies => format!("replies stand still for {span:?}"),
        Disturbance::Hold => format!("the network stands still for {span:?}"),
        Disturbance::Delay => format!("replies are 20 ms late for {span:?}"),
        Disturbance::Refuse => format!("the server refuses connections for {span:?}"),
        Disturbance::Evict => "some keys are evicted".to_owned(),
        Disturbance::ForgetScripts => "SCRIPT FLUSH".to_owned(),
        Disturbance::Flush => "FLUSHALL".to_owned(),
        Disturbance::Restart => "the server is killed and starts anew without data".to_owned(),
    }
}

/// A server that was there before the fleet is left alone.
async fn on_server(fleet: &Fleet, log: &Log, what: Disturbance) {
    let Some(server) = fleet.shared_server() else { return };
    log.add(None, What::Disturbed(said(what, Duration::ZERO)));
    let (done, is_done) = oneshot::channel();
    // It takes a while, in which this thread has others to serve.
    thread::spawn(move || {
        let outcome = happen(&server, what);
        // Only an error when the search is over.
        let _ = done.send(outcome);
    });
    if let Ok(Err(error)) = is_done.await {
        panic!("the server of the search: {error}");
    }
}

fn happen(server: &RedisServer, what: Disturbance) -> io::Result<()> {
    match what {
        Disturbance::ForgetScripts => server.call(&["SCRIPT", "FLUSH"]).map(drop),
        Disturbance::Flush => server.call(&["FLUSHALL"]).map(drop),
        Disturbance::Restart => server.restart(),
        Disturbance::Evict => (0..3).try_for_each(|_| {
            let name = server.call(&["RANDOMKEY"])?.to_string();
            server.call(&["UNLINK", &name]).map(drop)
        }),
        Disturbance::Cut
        | Disturbance::CutBus
        | Disturbance::HoldBus
        | Disturbance::HoldReplies
        | Disturbance::Hold
        | Disturbance::Delay
        | Disturbance::Refuse => Ok(()),
    }
}
