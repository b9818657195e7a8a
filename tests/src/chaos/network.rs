//! What goes wrong between processes and servers.

use std::time::{Duration, Instant};

use super::plan::{Kind, Plan};
use super::world::{World, all_keys};
use crate::fault_proxy::{Connection, Fault, FaultProxy, Selection};
use crate::history::now;
use crate::redis_server::RedisServer;
use crate::stress::{APP, Diary, Loss, Losses, Repair};

/// The longest that a server is gone which comes back.
const BACK: Duration = Duration::from_secs(10);

/// The lane of the network.
pub(super) struct Network<'a> {
    pub(super) world: &'a World,
    pub(super) diary: Diary,
    pub(super) losses: Losses,
    pub(super) random: fastrand::Rng,
}

/// Whose connections.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Pool,
    Bus,
    All,
}

impl Whose {
    /// The bus has two: one that reads it, and one that listens for a wake-up.
    fn has(self, connection: &Connection) -> bool {
        let name = connection.name.as_deref().and_then(|name| name.strip_prefix(APP));
        match self {
            Self::Pool => name == Some(":pool"),
            Self::Bus => matches!(name, Some(":bus" | ":ear")),
            Self::All => name.is_some(),
        }
    }
}

impl Network<'_> {
    /// Lets things go wrong until it is over, and then repairs all.
    pub(super) fn run(mut self, mut plan: Plan) {
        self.random = plan.random();
        loop {
            let step = plan.step();
            self.world.wait(step.pause);
            if self.world.is_over() {
                break;
            }
            self.diary.count(step.number);
            self.happen(step.kind);
        }
        self.world.proxies().iter().for_each(FaultProxy::heal);
    }

    fn happen(&mut self, kind: Kind) {
        let index = self.server();
        let proxy = &self.world.proxies()[index];
        if self.world.is_reserved(index) {
            return;
        }
        let whose = match kind {
            Kind::HoldBus => Whose::Bus,
            _ => *self.random.choice(&[Whose::Pool, Whose::Pool, Whose::Bus, Whose::All]).expect("there are some"),
        };
        let selection = proxy.matching(move |connection| whose.has(connection));
        self.diary.note(format!("{kind:?} of {whose:?} before server {index}"), None);
        match kind {
            Kind::Cut => return selection.cut(),
            Kind::Reset => return selection.reset(),
            Kind::Corrupt => return self.corrupt(proxy, &selection),
            Kind::Refuse => {
                proxy.refuse();
                selection.cut();
            }
            _ => {
                let fault = self.fault(kind);
                self.set(&selection, fault);
            }
        }
        let span = self.span(30, 900);
        self.world.wait(span);
        while self.world.is_reserved(index) {
            self.world.wait(Duration::from_millis(5));
            if self.world.is_over() {
                return;
            }
        }
        proxy.heal();
        if kind == Kind::HalfOpen && self.random.bool() {
            // What was dropped stays lost until somebody gives up; or until the network does.
            selection.cut();
        }
        self.diary.note(format!("the network before server {index} is as it was"), None);
    }

    /// Mostly a primary: the others are not asked for much.
    fn server(&mut self) -> usize {
        if self.random.u32(0..5) > 0 {
            return self.world.primary(self.random.usize(0..self.world.shards()));
        }
        self.random.usize(0..self.world.proxies().len())
    }

    fn fault(&mut self, kind: Kind) -> Fault {
        match kind {
            Kind::Delay => Fault::Delay(self.span(5, 150)),
            Kind::HalfOpen => Fault::Drop,
            Kind::Throttle => Fault::Throttle(self.random.u32(2_000..200_000)),
            Kind::CutAfter => Fault::CutAfter(self.random.usize(0..3_000)),
            _ => Fault::Hold,
        }
    }

    fn set(&mut self, selection: &Selection<'_>, fault: Fault) {
        match self.random.u32(0..3) {
            0 => selection.requests(fault),
            1 => selection.replies(fault),
            _ => selection.both(fault),
        }
    }

    /// Another lane may have killed it this very moment: it comes back.
    fn tell(&self, store: &RedisServer, command: &[&str]) {
        let begun = Instant::now();
        while let Err(error) = store.client().and_then(|mut client| client.call(command)) {
            assert!(begun.elapsed() < BACK, "{}: {error}", command.join(" "));
            self.world.wait(Duration::from_millis(10));
        }
    }

    /// For some time nothing that is said there can be believed. Afterwards nothing is left of it.
    fn corrupt(&mut self, proxy: &FaultProxy, selection: &Selection<'_>) {
        let from = now();
        let fault = Fault::Corrupt(self.random.usize(0..1_500));
        let loss = Loss { from, cut: from, up: from, to: None, keys: all_keys(), repair: Repair::Emptied };
        let number = self.losses.add(loss);
        self.set(selection, fault);
        let span = self.span(20, 200);
        self.world.wait(span);
        selection.cut();
        proxy.heal();
        // What the server has received and not read yet is forgotten with its connection.
        let store = &self.world.stores()[0];
        for kind in ["normal", "pubsub"] {
            self.tell(store, &["CLIENT", "KILL", "TYPE", kind]);
        }
        self.tell(store, &["FLUSHALL"]);
        self.diary.note("all that is on the server is gone".to_owned(), None);
        self.losses.close(number, now());
    }

    fn span(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.random.u64(least..most))
    }
}
