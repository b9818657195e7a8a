//! A server in memory, and a process that notes what is asked of it.

// tidy: long because both are one world to the tests that read it

mod log;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::bus::reader::Gap;
use crate::bus::{Apply, Heard, Met, Remote};
use crate::clock::{Moment, Time};
use crate::fault::{Fault, Refusal};
use crate::function::Function;
use crate::journal::Journal;
use crate::routes::sample;
use crate::store::{Invalidated, Invalidation, Message, Needed, Position, Reading, Tail};

pub(crate) use self::log::Log;

/// A server with one bus.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) log: Arc<Log>,
    state: Mutex<State>,
    generation: watch::Sender<u64>,
    added: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many rounds a sweep has, if more than one.
    rounds: usize,
    run: u64,
    /// That of a server without the bus, and whether it does not tell it.
    other: (u64, bool),
    fault: Option<Fault>,
    unlink_fault: Option<Fault>,
    lacks_replicas: bool,
    /// What the names on a server without the bus begin with, and whether that server is away.
    away: Option<(&'static str, bool)>,
    /// Whatever begins like this is refused, with an answer that begins with this word; on a server without the bus, if
    /// that begins likewise.
    refused: Option<(&'static str, Refusal, &'static str)>,
    /// Why the bus is told nothing, where the names of the same invalidation are unlinked.
    bus_fault: Option<Fault>,
    /// The most names that are unlinked in time, if not all are, and how often more were asked for.
    most: (Option<usize>, usize),
    /// How much of a probe takes too long.
    heavy: Heavy,
    /// Besides the time of an operation, for a look that reads and one at the end alone.
    slow: [Duration; 2],
    /// What the next looks of these kinds come to.
    faults: [VecDeque<Fault>; 2],
    /// Run before a probe is answered.
    during_probe: Option<fn(&Fake)>,
    during_sweep: Option<DuringSweep>,
    end: Option<Reading>,
    messages: Vec<Message>,
    names: BTreeSet<String>,
    version: Option<String>,
    routes: BTreeMap<String, String>,
    versions: u64,
}

/// What is done with a journal.
type DuringSweep = (Arc<Journal>, fn(&Journal));

/// What the server cannot do in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Heavy {
    #[default]
    Nothing,
    Messages,
    /// Even the end of the bus.
    Bus,
    /// Whatever writes, as a look does.
    Writes,
}

impl State {
    /// Where there is no bus, whoever looks begins one.
    fn begin_bus(&mut self) {
        if self.end.is_none() {
            let position = Position { millis: 0, sequence: 1 };
            self.messages.push(Message { position, fields: vec![("all".to_owned(), b"1".to_vec())] });
            self.end = Some(Reading { last: position, added: 1 });
        }
    }
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        let (log, state, added) = (Arc::default(), Mutex::default(), Notify::new());
        Arc::new(Self { log, state, generation: watch::Sender::new(1), added })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panics")
    }

    fn reached(&self) -> Result<MutexGuard<'_, State>, Fault> {
        let state = self.state();
        state.fault.clone().map_or(Ok(state), Err)
    }

    /// Every operation fails, or none.
    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    pub(crate) fn set_rounds(&self, rounds: usize) {
        self.state().rounds = rounds;
    }

    pub(crate) fn set_unlink_fault(&self, fault: Option<Fault>) {
        self.state().unlink_fault = fault;
    }

    pub(crate) fn set_lacks_replicas(&self, lacks: bool) {
        self.state().lacks_replicas = lacks;
    }

    fn replicated(&self) -> Result<(), Fault> {
        let lacks = || Fault::Refused(Refusal::TooFewReplicas, "0 of 1 replicas have it".to_owned());
        if self.state().lacks_replicas { Err(lacks()) } else { Ok(()) }
    }

    /// Names that begin like this are on a server without the bus.
    pub(crate) fn set_away(&self, prefix: &'static str, is_away: bool) {
        self.state().away = Some((prefix, is_away));
    }

    pub(crate) fn set_refused(&self, prefix: &'static str, refusal: Refusal) {
        self.set_refused_saying(prefix, refusal, "");
    }

    pub(crate) fn set_refused_saying(&self, prefix: &'static str, refusal: Refusal, word: &'static str) {
        self.state().refused = Some((prefix, refusal, word));
    }

    pub(crate) fn set_bus_fault(&self, fault: Option<Fault>) {
        self.state().bus_fault = fault;
    }

    /// More names than these take too long.
    pub(crate) fn set_most(&self, most: usize) {
        self.state().most = (Some(most), 0);
    }

    /// How often there were more.
    pub(crate) fn lates(&self) -> usize {
        self.state().most.1
    }

    /// Those on the server that is away stay.
    fn unlink_all(&self, state: &mut State, names: &[String]) -> Result<(), Fault> {
        if state.most.0.is_some_and(|most| names.len() > most) {
            state.most.1 += 1;
            return Err(Fault::Timeout);
        }
        let away = state.away.filter(|(_, is_away)| *is_away).map(|(prefix, _)| prefix);
        let refused = state.refused;
        let fault = |name: &String| match &refused {
            _ if away.is_some_and(|prefix| name.starts_with(prefix)) => Some(Fault::Away),
            Some((prefix, refusal, word)) if name.starts_with(prefix) => {
                Some(Fault::Refused(*refusal, format!("{word} {name}")))
            }
            _ => None,
        };
        // The others are on other servers, or in other slots.
        let there: Vec<_> = names.iter().filter(|name| fault(name).is_none()).cloned().collect();
        for name in &there {
            state.names.remove(name);
        }
        if !there.is_empty() || names.is_empty() {
            self.log.note(format!("unlink {}", there.join(" ")));
        }
        names.iter().find_map(fault).map_or(Ok(()), Err)
    }

    pub(crate) fn set_heavy(&self, heavy: Heavy) {
        self.state().heavy = heavy;
    }

    /// A look that reads needs so much more time than an operation, and one at the end alone.
    pub(crate) fn set_slow(&self, read: Duration, end: Duration) {
        self.state().slow = [read, end];
    }

    /// What the next looks that read come to, and those at the end alone.
    pub(crate) fn set_look_faults(&self, reads: &[Fault], ends: &[Fault]) {
        self.state().faults = [reads, ends].map(|faults| faults.iter().cloned().collect());
    }

    /// Whether all of these have come.
    pub(crate) fn has_had_faults(&self) -> bool {
        self.state().faults.iter().all(VecDeque::is_empty)
    }

    pub(crate) fn set_during_probe(&self, during: fn(&Self)) {
        self.state().during_probe = Some(during);
    }

    /// What is done with the journal during the next sweep.
    pub(crate) fn set_during_sweep(&self, journal: &Arc<Journal>, during: fn(&Journal)) {
        self.state().during_sweep = Some((Arc::clone(journal), during));
    }

    pub(crate) fn reconnect(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Another server, without the last messages, over another connection.
    pub(crate) fn fail_over(&self, forgotten: usize) {
        let mut state = self.state();
        state.run += 1;
        let kept = state.messages.len() - forgotten;
        state.messages.truncate(kept);
        let last = state.messages.last().map(|message| message.position);
        state.end = last.map(|last| Reading { last, added: kept as u64 });
        drop(state);
        self.reconnect();
    }

    /// The server without the bus is another one, over another connection, and does not tell.
    pub(crate) fn fail_over_other(&self) {
        self.state().other = (1, true);
        self.reconnect();
    }

    /// It is another one, and nobody has made a connection to it.
    pub(crate) fn replace_other(&self) {
        self.state().other = (1, false);
    }

    pub(crate) fn tell_other(&self) {
        self.state().other.1 = false;
    }

    pub(crate) fn flush(&self) {
        let mut state = self.state();
        let (run, versions) = (state.run, state.versions);
        *state = State { run, versions, ..State::default() };
    }

    pub(crate) fn trim(&self) {
        self.state().messages.clear();
    }

    /// The bus is evicted, and a foreign publisher begins one with this message.
    pub(crate) fn begin_anew<N: AsRef<str>, V: AsRef<[u8]>>(&self, fields: &[(N, V)]) {
        let last = self.add(fields);
        let mut state = self.state();
        let first = state.messages.len() - 1;
        state.messages.drain(..first);
        state.end = Some(Reading { last, added: 1 });
    }

    pub(crate) fn add_name(&self, name: &str) {
        self.state().names.insert(name.to_owned());
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.state().names.iter().cloned().collect()
    }

    /// Another process adds a route.
    pub(crate) fn add_route(&self, field: &str, value: &str) {
        let mut state = self.state();
        state.versions += 1;
        state.version = Some(state.versions.to_string());
        state.routes.insert(field.to_owned(), value.to_owned());
    }

    /// As `XADD` does.
    pub(crate) fn add<N: AsRef<str>, V: AsRef<[u8]>>(&self, fields: &[(N, V)]) -> Position {
        let mut state = self.state();
        let Reading { last, added } = state.end.unwrap_or(Reading { last: Position::default(), added: 0 });
        let position = Position { millis: last.millis + 1, sequence: 0 };
        let field = |(name, value): &(N, V)| (name.as_ref().to_owned(), value.as_ref().to_vec());
        let fields = fields.iter().map(field).collect();
        state.messages.push(Message { position, fields });
        state.end = Some(Reading { last: position, added: added + 1 });
        drop(state);
        self.added.notify_waiters();
        position
    }
}

impl Remote for Fake {
    type Identity = (u64, u64);

    fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    async fn identity(&self, known: Option<&(u64, u64)>) -> Result<Met<(u64, u64)>, Fault> {
        let state = self.reached()?;
        let (other, is_silent) = state.other;
        let told = if is_silent { known.map_or(0, |known| known.1) } else { other };
        let identity = (state.run, told);
        let is_another = known.is_some_and(|known| *known != identity);
        Ok(Met { identity, is_another, are_all: !is_silent })
    }

    fn is_single(&self) -> bool {
        false
    }

    async fn probe(
        &self,
        applied: Option<Position>,
        from: Option<Position>,
        most: usize,
        _right: Duration,
        more: Duration,
    ) -> Result<Tail, Fault> {
        self.log.note(applied.map_or_else(|| "look anew".to_owned(), |applied| format!("look at {}", applied.millis)));
        // It takes a moment, in which others get on.
        tokio::task::yield_now().await;
        let during = self.reached()?.during_probe.take();
        let mut state = self.reached()?;
        if let Some(fault) = state.faults[usize::from(from.is_none())].pop_front() {
            return Err(fault);
        }
        let [read, end] = state.slow;
        if more < if from.is_some() { read } else { end } {
            return Err(Fault::Timeout);
        }
        if matches!(state.heavy, Heavy::Bus | Heavy::Writes) || state.heavy == Heavy::Messages && from.is_some() {
            return Err(Fault::Timeout);
        }
        state.begin_bus();
        let behind = state.messages.iter().filter(|message| from.is_some_and(|from| message.position > from));
        let messages: Vec<_> = behind.take(most).cloned().collect();
        let more = messages.len() == most;
        let tail = Tail { server_millis: 1_000, end: state.end, messages, more, routes: state.version.clone() };
        drop(state);
        if let Some(during) = during {
            during(self);
        }
        Ok(tail)
    }

    async fn listen(&self, last: Position, most: Duration) -> Result<(), Fault> {
        let wait = async {
            loop {
                let added = self.added.notified();
                if self.reached()?.end.is_some_and(|end| end.last > last) {
                    return Ok(());
                }
                added.await;
            }
        };
        tokio::time::timeout(most, wait).await.unwrap_or(Ok(()))
    }

    async fn invalidate(&self, invalidation: &Invalidation, routes: Option<&str>) -> Result<Invalidated, Fault> {
        let mut state = self.reached()?;
        self.unlink_all(&mut state, &invalidation.unlink)?;
        if state.version.as_deref() != routes {
            return Ok(Invalidated::RoutesChanged);
        }
        if let Some(fault) = state.bus_fault.clone() {
            return Err(fault);
        }
        drop(state);
        let names: Vec<_> = invalidation.fields.iter().map(|(name, _)| *name).collect();
        self.log.note(format!("tell {}", names.join(" ")));
        let position = self.add(&invalidation.fields);
        self.replicated().map(|()| Invalidated::At(position))
    }

    async fn unlink(&self, names: Vec<String>) -> Result<(), Fault> {
        let mut state = self.reached()?;
        if let Some(fault) = state.unlink_fault.clone() {
            return Err(fault);
        }
        self.unlink_all(&mut state, &names)?;
        drop(state);
        self.replicated()
    }

    async fn write_nothing(&self) -> Result<(), Fault> {
        let is_paused = self.reached()?.heavy == Heavy::Writes;
        if is_paused { Err(Fault::Timeout) } else { Ok(()) }
    }

    fn needs(&self, unlink: &[String], is_told: bool) -> BTreeSet<Needed> {
        let away = self.state().away.map(|(prefix, _)| prefix);
        let place = |name: &String| usize::from(away.is_some_and(|prefix| name.starts_with(prefix)));
        let servers = unlink.iter().map(|name| Needed::Server(Some(place(name))));
        servers.chain(is_told.then_some(Needed::Bus)).collect()
    }

    fn servers(&self) -> BTreeSet<Needed> {
        BTreeSet::from([Needed::Server(Some(0)), Needed::Server(Some(1)), Needed::Bus])
    }

    async fn lacking(&self, needed: &BTreeSet<Needed>, replicas: bool) -> BTreeMap<Needed, Fault> {
        let (without, state) = (self.replicated().err().filter(|_| replicas), self.state());
        let fault = state.fault.clone().filter(|fault| *fault == Fault::Away).or(without);
        let is_away = state.away.is_some_and(|(_, is_away)| is_away);
        let bus_fault = state.bus_fault.as_ref().filter(|fault| matches!(fault, Fault::Refused(..)));
        let away = |needed| match needed {
            Needed::Server(place) => (is_away && place == Some(1)).then_some(Fault::Away),
            Needed::Bus => bus_fault.cloned(),
        };
        needed.iter().filter_map(|needed| Some((*needed, fault.clone().or_else(|| away(*needed))?))).collect()
    }

    async fn discard(&self) -> Result<(), Fault> {
        let mut state = self.reached()?;
        (state.end, state.heavy) = (None, Heavy::Nothing);
        state.messages.clear();
        self.log.note("discard");
        Ok(())
    }

    async fn routes(&self) -> Result<(Option<String>, Vec<(String, String)>), Fault> {
        let state = self.reached()?;
        Ok((state.version.clone(), state.routes.clone().into_iter().collect()))
    }

    async fn register(&self, fields: &[(String, String)]) -> Result<String, Fault> {
        let mut state = self.reached()?;
        let before = state.routes.len();
        state.routes.extend(fields.iter().cloned());
        if state.routes.len() > before || state.version.is_none() {
            state.versions += 1;
            state.version = Some(state.versions.to_string());
        }
        Ok(state.version.clone().expect("it has just been set"))
    }

    fn rounds(&self) -> usize {
        self.state().rounds
    }

    async fn sweep(&self, prefixes: &[String], is_first: bool) -> Result<u64, Fault> {
        let mut state = self.reached()?;
        let away = state.away.filter(|(_, is_away)| *is_away).map(|(prefix, _)| prefix);
        if away.is_some() && !is_first {
            return Err(Fault::Away);
        }
        let is_there = |name: &str| away.is_none_or(|away| !name.starts_with(away));
        for prefix in prefixes {
            state.names.retain(|name| !(name.starts_with(prefix) && is_there(name)));
            self.log.note(format!("sweep {prefix}"));
        }
        if let Some((journal, during)) = state.during_sweep.take() {
            during(&journal);
        }
        away.map_or(Ok(0), |_| Err(Fault::Away))
    }
}

/// A process whose clock stands still unless it is moved.
pub(crate) struct Process {
    pub(crate) log: Arc<Log>,
    pub(crate) time: Time,
    pub(crate) is_gone: Arc<AtomicBool>,
    pub(crate) journal: Arc<Journal>,
}

impl Apply for Process {
    fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::SeqCst)
    }

    fn time(&self) -> &Time {
        &self.time
    }

    fn texts(&self, texts: &[String]) {
        self.log.note(format!("fence {}", texts.join(" ")));
    }

    fn drop_all(&self) {
        if self.journal.len() > 0 {
            self.log.note("waits");
        }
        self.log.note("drop all");
    }

    fn asks(&self) -> u64 {
        0
    }

    fn extend(&self, until: Moment, _look: u64) {
        self.log.note("extend");
        self.log.note(format!("extend to {}", until.millis()));
    }

    fn applied(&self, position: Position, _generation: u64) {
        self.log.note(format!("applied {}", position.millis));
    }

    fn server_clock(&self, _sent: Moment, _received: Moment, millis: u64) {
        assert_eq!(millis, 1_000);
    }

    fn deliver(&self, event: &str, json: &[u8]) {
        self.log.note(format!("deliver {event} {}", String::from_utf8_lossy(json)));
    }

    fn registered(&self, is: bool) {
        self.log.note(if is { "registered" } else { "not registered" });
    }

    fn functions(&self) -> Vec<&'static Function> {
        vec![&sample::USER]
    }

    fn count(&self, heard: Heard) {
        match heard {
            Heard::Gap(Gap::Count) => self.log.note("gap"),
            Heard::Gap(gap) => self.log.note(format!("gap {gap:?}")),
            Heard::Flawed => self.log.note("flawed"),
            Heard::Fault => self.log.note("fault"),
            Heard::Message | Heard::Unlinked(_) => {}
        }
    }
}
