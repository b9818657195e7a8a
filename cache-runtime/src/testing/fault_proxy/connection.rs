//! One connection through the proxy: two sockets, two lanes, one end.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::lane::Lane;
use super::{Connection, Direction, Shared, name};

/// So many of the first bytes are kept.
const FIRST_BYTES: usize = 4096;

/// How a connection is made to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Close,
    Reset,
}

/// What is known of a connection that stands.
#[derive(Debug)]
pub(super) struct Live {
    seen: Mutex<Connection>,
    ending: watch::Sender<Option<Ending>>,
}

impl Live {
    pub(super) fn new(number: u64, client: SocketAddr) -> Self {
        let seen = Connection { number, client, name: None, first_bytes: Vec::new(), requested: 0, replied: 0 };
        Self { seen: Mutex::new(seen), ending: watch::Sender::new(None) }
    }

    pub(super) fn number(&self) -> u64 {
        self.seen().number
    }

    pub(super) fn snapshot(&self) -> Connection {
        self.seen().clone()
    }

    pub(super) fn end(&self, ending: Ending) {
        self.ending.send_replace(Some(ending));
    }

    /// Notes bytes that have arrived.
    pub(super) fn see(&self, direction: Direction, bytes: &[u8]) {
        let mut seen = self.seen();
        match direction {
            Direction::Requests => seen.requested += bytes.len() as u64,
            Direction::Replies => seen.replied += bytes.len() as u64,
        }
        let room = FIRST_BYTES - seen.first_bytes.len();
        if direction == Direction::Requests && room > 0 {
            seen.first_bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
            seen.name = name::find(&seen.first_bytes);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Connection> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ended(&self) -> Ending {
        let mut endings = self.ending.subscribe();
        let ending = endings.wait_for(Option::is_some).await.expect("the sender is borrowed");
        ending.expect("this was waited for")
    }
}

/// Carries bytes until both sides are through, or the connection is cut or breaks.
pub(super) async fn run(live: &Live, mut client: TcpStream, shared: &Shared) {
    let Ok(mut server) = TcpStream::connect(shared.server).await else {
        return shared.unlist(live);
    };
    let ending = tokio::select! {
        // First: what a test does after a cut finds the connection cut.
        biased;
        ending = live.ended() => ending,
        _ = carry(live, &mut client, &mut server, shared) => Ending::Close,
    };
    shared.unlist(live);
    if ending == Ending::Reset {
        // A socket that cannot be told so is broken already.
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

async fn carry(live: &Live, client: &mut TcpStream, server: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let requests = Lane::new(live, shared, Direction::Requests);
    let replies = Lane::new(live, shared, Direction::Replies);
    tokio::try_join!(requests.carry(from_client, to_server), replies.carry(from_server, to_client))?;
    Ok(())
}
