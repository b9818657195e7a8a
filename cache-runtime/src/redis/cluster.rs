//! A cluster: which server has which slot, and a line to each primary.
//!
//! The map is read from any node that answers, and read again when a server says that a slot has moved, when one is away,
//! and from time to time. While a slot moves, the server that has it says where to ask for a key that has moved already.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, Value};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::fault::{Fault, Refusal};
use crate::redis::HashSlot;
use crate::redis::answer::{checked, fault_of};
use crate::redis::line::{Dial, Line, Work, within};
use crate::redis::target::{Address, Target};
use crate::timer;

const SLOTS: u16 = 16_384;

/// How often the map is read although nothing has happened.
const REFRESH: Duration = Duration::from_secs(15);

/// How long reading the map may take, and how soon it is read again after that failed.
const READING: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_millis(100);

/// How often a command follows a slot that moves.
const MOST_REDIRECTS: usize = 4;

/// The servers of a cluster.
pub(super) struct Cluster {
    target: Target,
    work: Work,
    runtime: Handle,
    map: RwLock<Arc<Map>>,
    lines: Mutex<HashMap<Address, Arc<Line>>>,
    /// The map is to be read again.
    stale: Arc<Notify>,
    /// The map has changed.
    changed: tokio::sync::watch::Sender<u64>,
}

/// Slots by the end of their range, and who has them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Map(BTreeMap<u16, (u16, Address)>);

impl Map {
    fn owner(&self, slot: HashSlot) -> Option<&Address> {
        let (_, (first, address)) = self.0.range(slot.0..).next()?;
        (*first <= slot.0).then_some(address)
    }

    fn primaries(&self) -> BTreeMap<&Address, u16> {
        self.0.values().map(|(first, address)| (address, *first)).collect()
    }
}

/// Where a server sends a command instead.
enum Redirect {
    Moved(Address),
    Ask(Address),
}

impl Cluster {
    pub(super) fn start(target: Target, work: Work, runtime: &Handle) -> Arc<Self> {
        let cluster = Arc::new(Self {
            target,
            work,
            runtime: runtime.clone(),
            map: RwLock::default(),
            lines: Mutex::default(),
            stale: Arc::default(),
            changed: tokio::sync::watch::Sender::new(0),
        });
        runtime.spawn(keep_map(Arc::downgrade(&cluster)));
        cluster
    }

    /// Dials whoever has this slot.
    pub(super) fn dial_owner(self: &Arc<Self>, slot: HashSlot) -> Owner {
        Owner { cluster: Arc::clone(self), slot }
    }

    pub(super) async fn command(&self, slot: HashSlot, command: &Cmd) -> Result<Value, Fault> {
        let mut line = self.line_of(slot)?;
        let mut asking = false;
        for _ in 0..MOST_REDIRECTS {
            let reply = if asking { ask(&line, command).await } else { line.command(command, self.work.op_timeout).await };
            match reply {
                Err(Fault::Refused(refusal, answer)) => match self.redirect(&answer) {
                    Some(Redirect::Moved(address)) => (line, asking) = (self.line(&address), false),
                    Some(Redirect::Ask(address)) => (line, asking) = (self.line(&address), true),
                    None => {
                        self.look_again_after(refusal);
                        return Err(Fault::Refused(refusal, answer));
                    }
                },
                Err(fault @ (Fault::Away | Fault::Broken(_) | Fault::Timeout)) => {
                    self.stale.notify_one();
                    return Err(fault);
                }
                reply => return reply,
            }
        }
        Err(Fault::Refused(Refusal::NotReady, "the slot moves all the time".to_owned()))
    }

    /// All of its commands are of one slot: what has moved is asked for one by one.
    pub(super) async fn pipeline(
        &self,
        slot: HashSlot,
        pipeline: &Pipeline,
    ) -> Result<Vec<Result<Value, Fault>>, Fault> {
        let sent = self.line_of(slot)?.pipeline(pipeline).await;
        let mut replies = sent.inspect_err(|_| self.stale.notify_one())?;
        for (command, reply) in pipeline.cmd_iter().zip(&mut replies) {
            if let Err(Fault::Refused(refusal, answer)) = reply {
                if self.redirect(answer).is_some() {
                    *reply = self.command(slot, command).await;
                } else {
                    self.look_again_after(*refusal);
                }
            }
        }
        Ok(replies)
    }

    /// Whether any of its servers answers.
    pub(super) fn is_up(&self) -> bool {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).values().any(|line| line.is_up())
    }

    /// A slot of each primary.
    pub(super) fn primaries(&self) -> Vec<HashSlot> {
        self.map().primaries().into_values().map(HashSlot).collect()
    }

    fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn look_again_after(&self, refusal: Refusal) {
        if matches!(refusal, Refusal::ReadOnly | Refusal::NotReady) {
            self.stale.notify_one();
        }
    }

    fn line_of(&self, slot: HashSlot) -> Result<Arc<Line>, Fault> {
        match self.map().owner(slot) {
            Some(address) => Ok(self.line(address)),
            None => {
                self.stale.notify_one();
                Err(Fault::Away)
            }
        }
    }

    fn line(&self, address: &Address) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(address.clone()).or_insert_with(|| {
            let node = Arc::new(Node { target: self.target.clone(), address: address.clone() });
            Arc::new(Line::start(self.work.clone(), node, &self.runtime))
        });
        Arc::clone(line)
    }

    /// What an answer says of another server.
    fn redirect(&self, answer: &str) -> Option<Redirect> {
        let mut words = answer.split_ascii_whitespace();
        let kind = words.next()?;
        let address = place(words.nth(1)?)?;
        match kind {
            "MOVED" => {
                self.stale.notify_one();
                Some(Redirect::Moved(address))
            }
            "ASK" => Some(Redirect::Ask(address)),
            _ => None,
        }
    }

    /// Reads the map from whichever server answers first.
    async fn read_map(&self) -> Option<Map> {
        let known: Vec<_> = self.map().primaries().into_keys().cloned().collect();
        let seeds = self.target.seeds.iter().filter(|seed| !known.contains(seed));
        for address in known.iter().chain(seeds) {
            if let Some(Ok(map)) = within(READING, self.ask_map(address)).await {
                return Some(map);
            }
        }
        None
    }

    async fn ask_map(&self, address: &Address) -> Result<Map, Fault> {
        let mut command = Cmd::with_capacity(2, 16);
        command.arg("CLUSTER").arg("SLOTS");
        let line = self.lines.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned();
        let reply = match line.filter(|line| line.is_up()) {
            Some(line) => line.command(&command, READING).await?,
            None => {
                let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
                let connection = self.target.dial(address, &config).await;
                let mut connection = connection.map_err(|error| fault_of(&error))?;
                checked(connection.send_packed_command(&command).await.map_err(|error| fault_of(&error))?)?
            }
        };
        map_of(reply, address)
    }

    fn adopt(&self, map: Map) {
        if *self.map() == map {
            return;
        }
        let map = Arc::new(map);
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&map);
        let primaries = map.primaries();
        // Dropped outside the lock: their tasks end there.
        let gone: Vec<_> = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let gone: Vec<_> = lines.keys().filter(|address| !primaries.contains_key(address)).cloned().collect();
            gone.into_iter().filter_map(|address| lines.remove(&address)).collect()
        };
        drop(gone);
        primaries.into_keys().for_each(|address| drop(self.line(address)));
        tracing::debug!(primaries = ?map.primaries().len(), "the slots of the cluster are these now");
        // Whoever was told of the servers before looks at them again.
        self.work.generation.send_modify(|generation| *generation += 1);
        self.changed.send_modify(|changes| *changes += 1);
    }
}

/// Reads the map while the cluster is used.
async fn keep_map(cluster: Weak<Cluster>) {
    loop {
        let Some(strong) = cluster.upgrade() else { return };
        let stale = Arc::clone(&strong.stale);
        let pause = match strong.read_map().await {
            Some(map) => {
                strong.adopt(map);
                REFRESH
            }
            None => AGAIN,
        };
        drop(strong);
        tokio::select! {
            () = stale.notified(), if pause == REFRESH => {
                // Not at once again: many who find it stale ask together.
                timer::sleep(AGAIN / 4).await;
            }
            () = timer::sleep(pause) => {}
        }
    }
}

async fn ask(line: &Line, command: &Cmd) -> Result<Value, Fault> {
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.cmd("ASKING").add_command(command.clone());
    line.pipeline(&pipeline).await?.pop().unwrap_or_else(|| Err(Fault::Nonsense("no reply to ASKING".to_owned())))
}

/// `host:port`, as redirections and maps give it.
fn place(text: &str) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(Address::Tcp(host.to_owned(), port.parse().ok()?))
}

/// The reply to `CLUSTER SLOTS`; a server that does not know its own host stands for where it was reached.
fn map_of(reply: Value, asked: &Address) -> Result<Map, Fault> {
    let nonsense = || Fault::Nonsense("a map of slots that is none".to_owned());
    let Value::Array(ranges) = reply else { return Err(nonsense()) };
    let mut map = Map::default();
    for range in ranges {
        let Value::Array(parts) = range else { return Err(nonsense()) };
        let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = parts.as_slice() else {
            return Err(nonsense());
        };
        let [host, Value::Int(port), ..] = primary.as_slice() else { return Err(nonsense()) };
        let address = match (host, asked) {
            (Value::BulkString(host), _) if !host.is_empty() => {
                let port = u16::try_from(*port).map_err(|_| nonsense())?;
                Address::Tcp(String::from_utf8_lossy(host).into_owned(), port)
            }
            (_, Address::Tcp(host, _)) => Address::Tcp(host.clone(), u16::try_from(*port).map_err(|_| nonsense())?),
            (_, Address::Unix(_)) => asked.clone(),
        };
        let slot = |number: &i64| u16::try_from(*number).ok().filter(|slot| *slot < SLOTS).ok_or_else(nonsense);
        map.0.insert(slot(last)?, (slot(first)?, address));
    }
    Ok(map)
}

/// One server of a cluster.
struct Node {
    target: Target,
    address: Address,
}

impl Dial for Node {
    fn dial(&self, config: AsyncConnectionConfig) -> impl Future<Output = Result<MultiplexedConnection, Fault>> + Send {
        async move { self.target.dial(&self.address, &config).await.map_err(|error| fault_of(&error)) }
    }

    fn place(&self) -> String {
        self.address.to_string()
    }
}

/// Whoever has a slot.
pub(super) struct Owner {
    cluster: Arc<Cluster>,
    slot: HashSlot,
}

impl Owner {
    /// Ends when somebody else has it.
    pub(super) async fn moved(&self) {
        let mut changed = self.cluster.changed.subscribe();
        let before = self.cluster.map().owner(self.slot).cloned();
        while changed.changed().await.is_ok() {
            if before.is_some() && self.cluster.map().owner(self.slot) != before.as_ref() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

impl Dial for Owner {
    fn dial(&self, config: AsyncConnectionConfig) -> impl Future<Output = Result<MultiplexedConnection, Fault>> + Send {
        async move {
            let Some(address) = self.cluster.map().owner(self.slot).cloned() else {
                self.cluster.stale.notify_one();
                return Err(Fault::Away);
            };
            let connection = self.cluster.target.dial(&address, &config).await;
            connection.inspect_err(|_| self.cluster.stale.notify_one()).map_err(|error| fault_of(&error))
        }
    }

    fn moved(&self) -> impl Future<Output = ()> + Send {
        Self::moved(self)
    }

    fn place(&self) -> String {
        self.cluster.map().owner(self.slot).map_or_else(|| "nowhere".to_owned(), Address::to_string)
    }
}

/// The slot of a key: of what stands in its first braces, if anything does (Redis cluster specification).
pub(super) fn slot_of(key: &str) -> HashSlot {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    HashSlot(crc16(hashed.as_bytes()) % SLOTS)
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot_of("foo"), HashSlot(12_182));
        assert_eq!(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
        assert_eq!(slot_of("foo{}{bar}"), HashSlot(crc16(b"foo{}{bar}") % SLOTS));
        assert_eq!(slot_of("{shop:bus}:routes"), slot_of("shop:bus"));
    }

    #[test]
    fn a_map_tells_owners_and_gaps() {
        let address = |port| Address::Tcp("h".to_owned(), port);
        let map = Map(BTreeMap::from([(100, (0, address(1))), (300, (200, address(2)))]));
        assert_eq!(map.owner(HashSlot(100)), Some(&address(1)));
        assert_eq!(map.owner(HashSlot(150)), None);
        assert_eq!(map.owner(HashSlot(200)), Some(&address(2)));
        assert_eq!(map.owner(HashSlot(301)), None);
    }

    #[test]
    fn places_are_read() {
        assert_eq!(place("127.0.0.1:7000"), Some(Address::Tcp("127.0.0.1".to_owned(), 7000)));
        assert_eq!(place("[::1]:7000"), Some(Address::Tcp("::1".to_owned(), 7000)));
        assert_eq!(place("nonsense"), None);
    }
}
