//! The network between processes and server: connections, their delays, and everything that happens to them.
//!
//! A connection is two ways. What is written on a way arrives in its order, each piece after a delay of its own: pieces of
//! different connections overtake each other. A way can be held (a partition: nothing arrives, nothing is lost, and what
//! was held arrives when it is over), and a connection can be reset, in the middle of a piece too.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use cache_runtime::simulation::{Connecting, Wire};
use cache_tests::history::{Nanos, ProcessNumber};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::world::{Event, world};

/// A connection among all of a run.
pub(crate) type ConnectionNumber = u32;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    ToServer,
    ToProcess,
}

/// What comes to the end of a way.
#[derive(Clone, Debug)]
pub(crate) enum Delivery {
    /// The wish to connect.
    Connect,
    /// That the server has heard it, or refuses.
    Connected {
        refused: bool,
    },
    Bytes(Way, Vec<u8>),
    /// The other side has closed, in order or not.
    Closed(Way),
    Reset(Way),
}

impl Delivery {
    pub(crate) fn way(&self) -> Way {
        match self {
            Self::Connect => Way::ToServer,
            Self::Connected { .. } => Way::ToProcess,
            Self::Bytes(way, _) | Self::Closed(way) | Self::Reset(way) => *way,
        }
    }
}

/// What a connection is for, as far as its name has told the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    #[default]
    Unknown,
    Pool,
    Bus,
    Ear,
}

/// Where in the next piece of a way the connection is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tear {
    Middle(Way),
}

/// How long pieces are under way, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delays {
    pub(crate) least: Nanos,
    pub(crate) most: Nanos,
    /// One piece of so many takes longer, up to so much.
    pub(crate) one_of: u32,
    pub(crate) longest: Nanos,
}

impl Default for Delays {
    fn default() -> Self {
        Self { least: 50_000, most: 300_000, one_of: 100, longest: 5_000_000 }
    }
}

#[derive(Debug, Default)]
struct Lane {
    /// When the last piece arrives.
    last: Nanos,
    is_held: bool,
    held: Vec<Delivery>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) process: ProcessNumber,
    /// The shard whose server it goes to, and which of those that the shard has had.
    pub(crate) shard: usize,
    pub(crate) life: u32,
    pub(crate) purpose: Purpose,
    lanes: [Lane; 2],
    arrived: Vec<u8>,
    /// How much of that was read.
    taken: usize,
    phase: Phase,
    waker: Option<Waker>,
    tear: Option<Tear>,
    /// The process has closed it.
    is_closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Open,
    Refused,
    Ended,
    Reset,
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Network {
    next: ConnectionNumber,
    pub(crate) delays: Delays,
    pub(crate) connections: BTreeMap<ConnectionNumber, Connection>,
    pub(crate) partitions: Vec<Partition>,
    /// How many more times these processes write before they die.
    doomed: BTreeMap<ProcessNumber, u32>,
}

/// What is held: a way of all connections, or of one process's, or of those of its bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) process: Option<ProcessNumber>,
    pub(crate) shard: Option<usize>,
    pub(crate) way: Option<Way>,
    pub(crate) is_bus_only: bool,
}

impl Partition {
    fn holds(&self, connection: &Connection, way: Way) -> bool {
        let purpose = connection.purpose;
        self.process.is_none_or(|other| other == connection.process)
            && self.shard.is_none_or(|other| other == connection.shard)
            && self.way.is_none_or(|other| other == way)
            && (!self.is_bus_only || matches!(purpose, Purpose::Bus | Purpose::Ear))
    }
}

impl Network {
    fn open(&mut self, process: ProcessNumber, (shard, life): (usize, u32), waker: Waker) -> ConnectionNumber {
        self.next += 1;
        let connection = Connection {
            process,
            shard,
            life,
            purpose: Purpose::Unknown,
            lanes: Default::default(),
            arrived: Vec::new(),
            taken: 0,
            phase: Phase::Connecting,
            waker: Some(waker),
            tear: None,
            is_closed: false,
        };
        self.connections.insert(self.next, connection);
        self.hold_again();
        self.next
    }

    /// Which ways are held follows from the partitions. What a way has held goes on when it is free.
    pub(crate) fn hold_again(&mut self) {
        let mut freed = Vec::new();
        for (number, connection) in &mut self.connections {
            for way in [Way::ToServer, Way::ToProcess] {
                let is_held = self.partitions.iter().any(|one| one.holds(connection, way));
                let lane = &mut connection.lanes[way as usize];
                lane.is_held = is_held;
                if !lane.is_held {
                    freed.extend(std::mem::take(&mut lane.held).into_iter().map(|delivery| (*number, delivery)));
                }
            }
        }
        for (number, delivery) in freed {
            self.send(number, delivery);
        }
    }

    /// Sends something on its way.
    pub(crate) fn send(&mut self, number: ConnectionNumber, delivery: Delivery) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let way = delivery.way();
        if let (Some(Tear::Middle(torn)), Delivery::Bytes(_, bytes)) = (connection.tear, &delivery)
            && torn == way
            && bytes.len() > 1
        {
            connection.tear = None;
            let cut = world().draw(|random| random.usize(1..bytes.len()));
            let half = bytes[..cut].to_vec();
            self.send(number, Delivery::Bytes(way, half));
            self.send(number, Delivery::Reset(way));
            return self.reset_soon(number, way);
        }
        let lane = &mut connection.lanes[way as usize];
        if lane.is_held {
            return lane.held.push(delivery);
        }
        let world = world();
        let arrives = lane.last.max(world.now() + self.delays.draw());
        lane.last = arrives;
        world.at(arrives, Event::Deliver(number, delivery));
    }

    /// The side that sent the torn piece hears of it too.
    fn reset_soon(&mut self, number: ConnectionNumber, way: Way) {
        let other = match way {
            Way::ToServer => Way::ToProcess,
            Way::ToProcess => Way::ToServer,
        };
        self.send(number, Delivery::Reset(other));
    }

    /// After so many more writes, nothing that the process does is heard of any more.
    pub(crate) fn doom(&mut self, process: ProcessNumber, writes: u32) {
        self.doomed.insert(process, writes);
    }

    /// It lives on.
    pub(crate) fn spare(&mut self, process: ProcessNumber) {
        self.doomed.remove(&process);
    }

    /// Whether it has written for the last time.
    pub(crate) fn is_dead(&self, process: ProcessNumber) -> bool {
        self.doomed.get(&process) == Some(&0)
    }

    /// Something is written by a process.
    fn write(&mut self, number: ConnectionNumber, bytes: &[u8]) {
        let Some(connection) = self.connections.get(&number) else { return };
        if let Some(left) = self.doomed.get_mut(&connection.process) {
            if *left == 0 {
                return;
            }
            *left -= 1;
        }
        self.send(number, Delivery::Bytes(Way::ToServer, bytes.to_vec()));
    }

    /// The next piece on this way is torn.
    pub(crate) fn tear(&mut self, number: ConnectionNumber, tear: Tear) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.tear = Some(tear);
        }
    }

    /// It is over at once, for the process: whatever was on the way to it is lost.
    pub(crate) fn reset(&mut self, number: ConnectionNumber) -> Option<Waker> {
        let connection = self.connections.get_mut(&number)?;
        if matches!(connection.phase, Phase::Connecting | Phase::Open) {
            connection.phase = if connection.phase == Phase::Open { Phase::Reset } else { Phase::Refused };
        }
        connection.waker.take()
    }

    /// The process closes it: what was written before still arrives, and then the connection is forgotten.
    pub(crate) fn close(&mut self, number: ConnectionNumber) -> Option<Waker> {
        let connection = self.connections.get_mut(&number).filter(|connection| !connection.is_closed)?;
        connection.is_closed = true;
        connection.phase = Phase::Ended;
        let waker = connection.waker.take();
        self.send(number, Delivery::Closed(Way::ToServer));
        waker
    }

    /// The server has closed it too: nobody asks for it any more.
    pub(crate) fn forget(&mut self, number: ConnectionNumber) {
        self.connections.remove(&number);
    }

    /// The connections of these processes to this server.
    pub(crate) fn of(&self, process: Option<ProcessNumber>, shard: Option<usize>) -> Vec<ConnectionNumber> {
        let is_theirs = |connection: &Connection| {
            process.is_none_or(|process| process == connection.process)
                && shard.is_none_or(|shard| shard == connection.shard)
        };
        self.connections.iter().filter(|(_, one)| is_theirs(one)).map(|(number, _)| *number).collect()
    }

    /// Something has arrived at a process. Whom to wake.
    pub(crate) fn arrive(&mut self, number: ConnectionNumber, delivery: Delivery) -> Option<(ProcessNumber, Waker)> {
        let connection = self.connections.get_mut(&number)?;
        match (connection.phase, delivery) {
            (Phase::Connecting, Delivery::Connected { refused }) => {
                connection.phase = if refused { Phase::Refused } else { Phase::Open };
            }
            (Phase::Open, Delivery::Bytes(Way::ToProcess, bytes)) => connection.arrived.extend(bytes),
            (Phase::Open, Delivery::Closed(Way::ToProcess)) => connection.phase = Phase::Ended,
            (Phase::Open, Delivery::Reset(Way::ToProcess)) => connection.phase = Phase::Reset,
            _ => return None,
        }
        let process = connection.process;
        connection.waker.take().map(|waker| (process, waker))
    }
}

impl Delays {
    fn draw(&self) -> Nanos {
        world().draw(|random| match random.u32(0..self.one_of.max(1)) {
            0 => random.u64(self.least..=self.longest.max(self.least)),
            _ => random.u64(self.least..=self.most.max(self.least)),
        })
    }
}

/// Connects a process with the server that has this address.
pub(crate) fn connect(process: ProcessNumber, address: &str) -> Connecting {
    let place = place(address).unwrap_or_default();
    Box::pin(async move {
        let stream = Dialling { process, place, stream: None }.await?;
        Ok(Box::new(stream) as Box<dyn Wire>)
    })
}

/// The shard and the life of `node-<shard>-<life>:<port>`. Nothing without a cluster.
fn place(address: &str) -> Option<(usize, u32)> {
    let (shard, life) = address.split(':').next()?.strip_prefix("node-")?.split_once('-')?;
    Some((shard.parse().ok()?, life.parse().ok()?))
}

struct Dialling {
    process: ProcessNumber,
    place: (usize, u32),
    stream: Option<Stream>,
}

impl Future for Dialling {
    type Output = io::Result<Stream>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let world = world();
        let mut network = world.network.borrow_mut();
        let Some(stream) = &self.stream else {
            let number = network.open(self.process, self.place, context.waker().clone());
            network.send(number, Delivery::Connect);
            self.stream = Some(Stream(number));
            return Poll::Pending;
        };
        let connection = network.connections.get_mut(&stream.0).expect("it is there while its stream is");
        match connection.phase {
            Phase::Connecting => {
                connection.waker = Some(context.waker().clone());
                Poll::Pending
            }
            Phase::Open => {
                drop(network);
                Poll::Ready(Ok(self.stream.take().expect("it was there a moment ago")))
            }
            Phase::Refused | Phase::Ended | Phase::Reset => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
        }
    }
}

/// The process's end of a connection.
#[derive(Debug)]
struct Stream(ConnectionNumber);

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let world = world();
        let mut network = world.network.borrow_mut();
        let connection = network.connections.get_mut(&self.0).expect("it is there while its stream is");
        let waiting = connection.arrived.len() - connection.taken;
        if waiting > 0 {
            let some = waiting.min(out.remaining());
            out.put_slice(&connection.arrived[connection.taken..connection.taken + some]);
            connection.taken += some;
            if connection.taken == connection.arrived.len() {
                connection.arrived.clear();
                connection.taken = 0;
            }
            return Poll::Ready(Ok(()));
        }
        match connection.phase {
            Phase::Connecting | Phase::Open => {
                connection.waker = Some(context.waker().clone());
                Poll::Pending
            }
            Phase::Ended => Poll::Ready(Ok(())),
            Phase::Refused | Phase::Reset => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let world = world();
        let mut network = world.network.borrow_mut();
        let connection = network.connections.get_mut(&self.0).expect("it is there while its stream is");
        match connection.phase {
            Phase::Connecting | Phase::Open | Phase::Ended => {
                network.write(self.0, bytes);
                Poll::Ready(Ok(bytes.len()))
            }
            Phase::Refused | Phase::Reset => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let world = world();
        let waker = world.network.borrow_mut().close(self.0);
        drop(waker);
    }
}
