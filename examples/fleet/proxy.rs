//! A network between one process and Redis, which can be cut for the bus alone.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A port that leads to the server's.
pub(crate) struct Proxy {
    port: u16,
    cut: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn start(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (port, cut) = (listener.local_addr()?.port(), watch::Sender::new(false));
        let is_cut = cut.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, server, is_cut.clone()));
            }
        });
        Ok(Self { port, cut })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on no connection of the bus lives; reads and fills go on.
    pub(crate) fn cut_bus(&self) {
        self.cut.send_replace(true);
    }

    pub(crate) fn mend_bus(&self) {
        self.cut.send_replace(false);
    }
}

/// Both directions, until one of them ends.
async fn connect(client: TcpStream, server: u16, is_cut: watch::Receiver<bool>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    // Delays are not what this is about; and a connection that breaks here is an ordinary thing.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let _ = tokio::select! {
        ended = forward(from_client, to_server, Some(is_cut)) => ended,
        ended = forward(from_server, to_client, None) => ended,
    };
}

/// One direction. That of the client, which says who it is, ends when it is of the bus and the bus is cut.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    cut: Option<watch::Receiver<bool>>,
) -> io::Result<()> {
    let (mut bytes, mut said, mut of_bus) = ([0; 16 << 10], Vec::new(), false);
    loop {
        let length = tokio::select! {
            length = from.read(&mut bytes) => length?,
            () = is_cut(cut.clone(), of_bus) => return Ok(()),
        };
        if length == 0 {
            return Ok(());
        }
        if cut.is_some() && !of_bus && said.len() < 16 << 10 {
            said.extend_from_slice(&bytes[..length]);
            of_bus = is_of_bus(&said);
        }
        if of_bus && cut.as_ref().is_some_and(|cut| *cut.borrow()) {
            return Ok(());
        }
        to.write_all(&bytes[..length]).await?;
    }
}

/// Ends when the bus is cut, and this connection is one of the bus.
async fn is_cut(cut: Option<watch::Receiver<bool>>, of_bus: bool) {
    match cut {
        Some(mut cut) if of_bus => drop(cut.wait_for(|is_cut| *is_cut).await),
        _ => std::future::pending().await,
    }
}

/// The cache names its connections: those of the bus are `fleet:bus` and `fleet:ear`.
fn is_of_bus(said: &[u8]) -> bool {
    let names: [&[u8]; 2] = [b"SETNAME\r\n$9\r\nfleet:bus\r\n", b"SETNAME\r\n$9\r\nfleet:ear\r\n"];
    names.into_iter().any(|name| said.windows(name.len()).any(|window| window == name))
}
