//! A network that fails on demand: a TCP proxy before one server, whose connections are delayed, held, silenced, throttled,
//! damaged, cut or refused, all of them or only some.
//!
//! Connections are told apart by what they say: a client of Redis that names itself (`CLIENT SETNAME`, or `SETNAME` in
//! `HELLO`) is found by [`FaultProxy::named`], so that one can cut its subscriptions and leave its commands alone. Through
//! TLS no name can be read; there [`FaultProxy::matching`] goes by number.

mod connection;
mod lane;
mod name;
mod rules;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::testing::port::Port;

use connection::{Ending, Live};
use rules::{Rules, Selector};

/// What happens to the bytes of a connection in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// They arrive later by this much, in order.
    Delay(Duration),
    /// They wait until another fault (or none) takes this one's place, as in a network that is cut and mended.
    Hold,
    /// They are lost, and from then on whatever follows them, the end of the connection included, even when this fault is
    /// over: a half-open connection. Only a cut ends it.
    Drop,
    /// They arrive at so many bytes per second, for as long as this applies.
    Throttle(u32),
    /// So many bytes pass, counted on each connection from when the fault is set; then the connection is closed, both ways.
    CutAfter(usize),
    /// One bit flips in the byte with this number, counted on each connection from when the fault is set.
    Corrupt(usize),
}

/// One connection of a client, as it was when it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Counted from 0, in the order of arrival.
    pub number: u64,
    /// Where the client is.
    pub client: SocketAddr,
    /// What the client named itself, once it has.
    pub name: Option<String>,
    /// The first bytes of the client, up to 4 KiB.
    pub first_bytes: Vec<u8>,
    /// How many bytes of the client have arrived here.
    pub requested: u64,
    /// How many bytes of the server have arrived here.
    pub replied: u64,
}

/// A proxy on a port of 127.0.0.1. Everything ends when it is dropped.
///
/// It runs on a thread of its own: it goes on while a test blocks, and a paused clock of tokio is not its clock. A server
/// that refuses connections shows as connections that are closed at once.
#[derive(Debug)]
pub struct FaultProxy {
    port: Port,
    shared: Arc<Shared>,
    orders: UnboundedSender<Order>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What the listener is told. It answers on the channel when it is done.
#[derive(Debug)]
enum Order {
    Refuse(mpsc::Sender<io::Result<()>>),
    Accept(mpsc::Sender<io::Result<()>>),
    End,
}

/// What the handle and the connections share.
#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    rules: Rules,
    connections: Mutex<BTreeMap<u64, Arc<Live>>>,
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Live>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before its sockets are closed: who sees the end of a connection does not find it here any more.
    fn unlist(&self, live: &Live) {
        self.connections().remove(&live.number());
    }

    fn selected(&self, selector: &Selector) -> Vec<Arc<Live>> {
        self.connections().values().filter(|live| selector.selects(&live.snapshot())).cloned().collect()
    }
}

impl FaultProxy {
    /// A proxy before `server`, without any fault.
    ///
    /// # Errors
    ///
    /// If its port cannot be listened on, or no thread be started.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        // A stranger may take a port between the look at it and its use.
        let mut proxy = Self::start_once(server);
        for _ in 0..5 {
            match proxy {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => proxy = Self::start_once(server),
                _ => break,
            }
        }
        proxy
    }

    fn start_once(server: SocketAddr) -> io::Result<Self> {
        let port = Port::reserve();
        let shared = Arc::new(Shared { server, rules: Rules::default(), connections: Mutex::default() });
        let (orders, ordered) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (address, serving) = (port.address(), Arc::clone(&shared));
        let thread = thread::Builder::new().name("fault-proxy".to_owned());
        let thread = thread.spawn(move || runtime.block_on(listen(address, serving, ordered)))?;
        let proxy = Self { port, shared, orders, thread: Some(thread) };
        proxy.order(Order::Accept)?;
        Ok(proxy)
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The port of [`FaultProxy::address`].
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// All connections, now and later.
    #[must_use]
    pub fn all(&self) -> Selection<'_> {
        self.matching(|_| true)
    }

    /// The connections, now and later, of clients that call themselves so.
    #[must_use]
    pub fn named(&self, name: &str) -> Selection<'_> {
        let name = name.to_owned();
        self.matching(move |connection| connection.name.as_ref() == Some(&name))
    }

    /// The connections, now and later, for which `predicate` is true; it is asked again for every few bytes.
    #[must_use]
    pub fn matching(&self, predicate: impl Fn(&Connection) -> bool + Send + Sync + 'static) -> Selection<'_> {
        Selection { proxy: self, selector: Selector::new(predicate) }
    }

    /// The connections that stand, in the order of arrival.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.all().connections()
    }

    /// Refuses new connections, as if nobody listened; those that stand are not touched.
    ///
    /// # Panics
    ///
    /// Never: the thread of the proxy lives as long as this.
    pub fn refuse(&self) {
        self.order(Order::Refuse).expect("what listens can be closed");
    }

    /// Accepts connections again.
    ///
    /// # Panics
    ///
    /// If somebody else listens on the port by now.
    pub fn accept(&self) {
        self.order(Order::Accept).expect("the port is reserved for this proxy");
    }

    /// Takes all faults away and accepts connections: what was held or throttled arrives at once, what is delayed already
    /// arrives when it was to, and what follows it not before. What was dropped stays lost.
    ///
    /// # Panics
    ///
    /// If somebody else listens on the port by now.
    pub fn heal(&self) {
        self.shared.rules.clear();
        self.accept();
    }

    fn order(&self, order: impl FnOnce(mpsc::Sender<io::Result<()>>) -> Order) -> io::Result<()> {
        let (done, is_done) = mpsc::channel();
        let gone = || io::Error::other("the thread of the proxy is gone");
        self.orders.send(order(done)).map_err(|_| gone())?;
        is_done.recv().map_err(|_| gone())?
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        // Either may be over: then there is nothing left to end.
        let _ = self.orders.send(Order::End);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// Some connections of a [`FaultProxy`], and what is to happen to them.
///
/// Where several faults apply to one connection and direction, the one that was set last does.
#[derive(Debug)]
pub struct Selection<'a> {
    proxy: &'a FaultProxy,
    selector: Selector,
}

impl Selection<'_> {
    /// Sets what happens from client to server.
    pub fn requests(&self, fault: Fault) {
        self.proxy.shared.rules.add(&self.selector, &[Direction::Requests], fault);
    }

    /// Sets what happens from server to client.
    pub fn replies(&self, fault: Fault) {
        self.proxy.shared.rules.add(&self.selector, &[Direction::Replies], fault);
    }

    /// Sets what happens in both directions.
    pub fn both(&self, fault: Fault) {
        self.proxy.shared.rules.add(&self.selector, &[Direction::Requests, Direction::Replies], fault);
    }

    /// Closes them now. Nothing that is sent after this arrives; new connections are served.
    pub fn cut(&self) {
        self.end(Ending::Close);
    }

    /// Closes them now with a TCP reset.
    pub fn reset(&self) {
        self.end(Ending::Reset);
    }

    /// Closes them now, and later ones as soon as they say something (with their name, where it matters), until
    /// [`Selection::requests`] or [`FaultProxy::heal`] says otherwise.
    pub fn keep_cut(&self) {
        self.requests(Fault::CutAfter(0));
        self.cut();
    }

    /// Those that stand now, in the order of arrival.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.proxy.shared.selected(&self.selector).iter().map(|live| live.snapshot()).collect()
    }

    fn end(&self, ending: Ending) {
        for live in self.proxy.shared.selected(&self.selector) {
            live.end(ending);
            self.proxy.shared.unlist(&live);
        }
    }
}

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Requests,
    Replies,
}

impl Direction {
    fn opposite(self) -> Self {
        match self {
            Self::Requests => Self::Replies,
            Self::Replies => Self::Requests,
        }
    }
}

async fn listen(address: SocketAddr, shared: Arc<Shared>, mut orders: UnboundedReceiver<Order>) {
    let mut listener = None;
    for number in 0.. {
        let client = loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Refuse(done)) => {
                        listener = None;
                        let _ = done.send(Ok(()));
                    }
                    Some(Order::Accept(done)) => {
                        let _ = done.send(bind(&mut listener, address).await);
                    }
                    Some(Order::End) | None => return,
                },
                client = accept(listener.as_ref()) => break client,
            }
        };
        // A client that is gone by now is none.
        if let Ok((stream, client)) = client {
            serve(number, client, stream, &shared);
        }
    }
}

async fn bind(listener: &mut Option<TcpListener>, address: SocketAddr) -> io::Result<()> {
    if listener.is_none() {
        *listener = Some(TcpListener::bind(address).await?);
    }
    Ok(())
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Starts a task for one connection.
fn serve(number: u64, address: SocketAddr, stream: TcpStream, shared: &Arc<Shared>) {
    let live = Arc::new(Live::new(number, address));
    shared.connections().insert(number, Arc::clone(&live));
    let shared = Arc::clone(shared);
    tokio::spawn(async move { connection::run(&live, stream, &shared).await });
}
