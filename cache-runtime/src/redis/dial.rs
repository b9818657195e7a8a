//! The one place where connections are made.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::redis::target::Address;
use crate::redis::tls::Tls;

/// Bytes in both directions.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream to the server that listens there, encrypted if `tls` is given.
pub(crate) async fn dial(address: &Address, tls: Option<&Tls>) -> io::Result<Box<dyn Stream>> {
    #[cfg(feature = "simulation")]
    if let Some(connecting) = crate::world::connect(&address.to_string()) {
        return Ok(Box::new(connecting.await?));
    }
    match address {
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            match tls {
                Some(tls) => Ok(Box::new(tls.wrap(host, stream).await?)),
                None => Ok(Box::new(stream)),
            }
        }
        #[cfg(unix)]
        Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        #[cfg(not(unix))]
        Address::Unix(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no unix sockets")),
    }
}
