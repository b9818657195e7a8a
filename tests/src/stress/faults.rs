//! What goes wrong during a run, at random.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::control::Children;
use super::diary::Diary;
use super::places::{Function, Place, RECORDS};
use super::settings::{APP, MAX_STALENESS};
use crate::fault_proxy::{Fault, FaultProxy, Selection};
use crate::redis_server::RedisServer;
use crate::resp::{Client, Reply};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    EvictEntry,
    EvictStamp,
    TrimBus,
    DropBus,
    DropRoutes,
    FlushScripts,
    FlushAll,
    KillClient,
    CutClients,
    SlowClients,
    HoldClients,
    HoldOne,
    HoldBus,
    KillProcess,
    StopProcess,
    StopServer,
    RestartServer,
}

/// How often each happens on average, and what it is called.
const TABLE: &[(Kind, Duration, &str)] = &[
    (Kind::EvictEntry, Duration::from_millis(4), "entries or leases evicted"),
    (Kind::EvictStamp, Duration::from_millis(25), "group stamps evicted"),
    (Kind::TrimBus, Duration::from_millis(900), "bus trimmed"),
    (Kind::DropBus, Duration::from_millis(2_500), "bus deleted"),
    (Kind::DropRoutes, Duration::from_secs(5), "routes deleted"),
    (Kind::FlushScripts, Duration::from_millis(800), "SCRIPT FLUSH"),
    (Kind::FlushAll, Duration::from_secs(4), "FLUSHALL"),
    (Kind::KillClient, Duration::from_millis(400), "CLIENT KILL"),
    (Kind::CutClients, Duration::from_millis(1_500), "connections cut"),
    (Kind::SlowClients, Duration::from_secs(4), "replies late"),
    (Kind::HoldClients, Duration::from_secs(6), "network stands still"),
    (Kind::HoldOne, Duration::from_secs(2), "one connection stands still"),
    (Kind::HoldBus, Duration::from_secs(5), "bus alone stands still"),
    (Kind::KillProcess, Duration::from_secs(3), "processes killed"),
    (Kind::StopProcess, Duration::from_secs(4), "processes stopped"),
    (Kind::StopServer, Duration::from_secs(8), "server stopped"),
    (Kind::RestartServer, Duration::from_secs(20), "server killed and restarted empty"),
];

/// What they are called, in the order of the table.
pub(super) fn names() -> Vec<&'static str> {
    TABLE.iter().map(|(_, _, name)| *name).collect()
}

/// How long the weather stays: how often things go wrong, against the average.
const WEATHER: Duration = Duration::from_secs(2);

/// The world of the processes.
pub(super) struct Faults<'a> {
    pub(super) server: &'a RedisServer,
    pub(super) proxy: &'a FaultProxy,
    pub(super) children: &'a Children,
    pub(super) diary: Diary,
    pub(super) random: fastrand::Rng,
}

/// When what is to be undone.
#[derive(Default)]
struct Undos {
    stopped: Vec<(Instant, usize)>,
    healed: Option<Instant>,
}

impl Faults<'_> {
    /// Lets things go wrong until `stop`, and then repairs all.
    pub(super) fn run(mut self, stop: &AtomicBool) {
        let mut undos = Undos::default();
        let (mut last, mut weather, mut changes) = (Instant::now(), 1.0, Instant::now() + WEATHER);
        while !stop.load(Ordering::Relaxed) {
            let time = Instant::now();
            if time >= changes {
                weather = *self.random.choice(&[0.1, 0.5, 1.0, 1.0, 3.0]).expect("there is some weather");
                changes = time + WEATHER;
            }
            let passed = time.duration_since(last).as_secs_f64() * weather;
            last = time;
            for (number, (kind, mean, _)) in TABLE.iter().enumerate() {
                if self.random.f64() < passed / mean.as_secs_f64() {
                    self.diary.count(number);
                    self.happen(*kind, &mut undos);
                }
            }
            self.undo(&mut undos, Instant::now());
            // tidy: sleep because things go wrong at random times
            thread::sleep(Duration::from_millis(1));
        }
        self.undo(&mut undos, Instant::now() + Duration::from_hours(1));
        self.proxy.heal();
    }

    fn undo(&mut self, undos: &mut Undos, time: Instant) {
        undos.stopped.retain(|(until, slot)| {
            if *until <= time {
                self.children.resume(*slot);
                self.diary.note(format!("process {} goes on", self.children.number(*slot)), None);
            }
            *until > time
        });
        if undos.healed.is_some_and(|until| until <= time) {
            self.proxy.heal();
            self.diary.note("the network is as it was".to_owned(), None);
            undos.healed = None;
        }
    }

    fn happen(&mut self, kind: Kind, undos: &mut Undos) {
        match kind {
            Kind::EvictEntry | Kind::EvictStamp => self.evict(kind),
            Kind::TrimBus => {
                let length = self.random.u32(0..3).to_string();
                self.command(&["XTRIM", &format!("{APP}:bus"), "MAXLEN", &length]);
            }
            Kind::DropBus => self.command(&["DEL", &format!("{APP}:bus")]),
            Kind::DropRoutes => self.command(&["DEL", &format!("{{{APP}:bus}}:routes")]),
            Kind::FlushScripts => self.command(&["SCRIPT", "FLUSH"]),
            Kind::FlushAll => self.command(&["FLUSHALL"]),
            Kind::KillClient => self.kill_client(),
            Kind::CutClients => self.cut(),
            Kind::SlowClients | Kind::HoldClients | Kind::HoldOne | Kind::HoldBus => self.disturb(kind, undos),
            Kind::KillProcess => {
                let slot = self.slot();
                self.diary.note(format!("process {} is killed and replaced", self.children.number(slot)), None);
                self.children.replace(slot);
            }
            Kind::StopProcess => self.stop_process(undos),
            Kind::StopServer => {
                let span = self.span(20, 500);
                self.diary.note(format!("the server is stopped for {span:.0?}"), None);
                self.server.stop();
                // tidy: sleep because the server stands still for some time
                thread::sleep(span);
                self.server.resume();
            }
            Kind::RestartServer => {
                self.diary.note("the server is killed and restarted empty".to_owned(), None);
                self.server.restart_empty();
            }
        }
    }

    fn evict(&mut self, kind: Kind) {
        let function = Function::draw(&mut self.random);
        let place = Place { function, record: self.random.u64(0..RECORDS) };
        let [entry, stamp] = place.names(APP);
        let name = if kind == Kind::EvictEntry { entry } else { stamp };
        self.diary.note(format!("{name} is evicted"), Some(name.clone()));
        self.call(&["DEL", &name]);
    }

    fn command(&self, words: &[&str]) {
        self.diary.note(words.join(" "), None);
        self.call(words);
    }

    /// A connection for each: it may be killed too.
    fn call(&self, words: &[&str]) -> Option<Reply> {
        self.server.client().and_then(|mut client: Client| client.call(words)).ok()
    }

    fn kill_client(&mut self) {
        let list = self.call(&["CLIENT", "LIST"]).map(|reply| reply.to_string()).unwrap_or_default();
        let ours: Vec<_> = list.lines().filter(|line| line.contains(&format!(" name={APP}:"))).collect();
        let Some(line) = self.random.choice(&ours) else { return };
        let field =
            |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name)).unwrap_or_default().to_owned();
        self.diary.note(format!("CLIENT KILL {} at {}", field("name="), field("addr=")), None);
        self.call(&["CLIENT", "KILL", "ID", &field("id=")]);
    }

    fn cut(&mut self) {
        let name = self.client_name();
        let selection = self.proxy.named(&name);
        self.diary.note(format!("the proxy cuts {name}"), None);
        if self.random.bool() { selection.cut() } else { selection.reset() }
    }

    /// One disturbance at a time.
    fn disturb(&mut self, kind: Kind, undos: &mut Undos) {
        if undos.healed.is_some() {
            return;
        }
        let span = self.span(30, 900);
        match kind {
            Kind::SlowClients => {
                let (name, late) = (self.client_name(), self.span(5, 150));
                self.diary.note(format!("replies to {name} behind the proxy are late by {late:.0?}"), None);
                self.proxy.named(&name).replies(Fault::Delay(late));
            }
            Kind::HoldBus => {
                self.diary.note("the bus behind the proxy stands still".to_owned(), None);
                self.proxy.named(&format!("{APP}:bus")).both(Fault::Hold);
                self.proxy.named(&format!("{APP}:ear")).both(Fault::Hold);
            }
            Kind::HoldOne => {
                let pool = self.proxy.named(&format!("{APP}:pool")).connections();
                let Some(one) = self.random.choice(&pool).map(|connection| connection.number) else { return };
                self.diary.note("one connection of a pool behind the proxy stands still".to_owned(), None);
                let selection = self.proxy.matching(move |connection| connection.number == one);
                self.hold(&selection);
            }
            _ => {
                let name = self.client_name();
                self.diary.note(format!("{name} behind the proxy stands still"), None);
                let selection = self.proxy.named(&name);
                self.hold(&selection);
            }
        }
        undos.healed = Some(Instant::now() + span);
    }

    fn hold(&mut self, selection: &Selection<'_>) {
        match self.random.u32(0..3) {
            0 => selection.requests(Fault::Hold),
            1 => selection.replies(Fault::Hold),
            _ => selection.both(Fault::Hold),
        }
    }

    /// Longer than a process may serve what it cannot confirm, mostly.
    fn stop_process(&mut self, undos: &mut Undos) {
        let slot = self.slot();
        if undos.stopped.iter().any(|(_, stopped)| *stopped == slot) {
            return;
        }
        let span = MAX_STALENESS.mul_f64(0.3 + 3.0 * self.random.f64());
        self.diary.note(format!("process {} is stopped for {span:.0?}", self.children.number(slot)), None);
        self.children.stop(slot);
        undos.stopped.push((Instant::now() + span, slot));
    }

    fn client_name(&mut self) -> String {
        let which = self.random.choice(&["pool", "bus", "ear"]).expect("there are clients");
        format!("{APP}:{which}")
    }

    fn slot(&mut self) -> usize {
        self.random.usize(0..self.children.len())
    }

    fn span(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.random.u64(least..most))
    }
}
