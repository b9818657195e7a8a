//! Redis' protocol as a test speaks it beside the cache: one blocking call at a time, without a client library that
//! could share its mistakes with ours.

use std::fmt;
use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a server answers (RESP2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing there.
    Nil,
    /// A number.
    Integer(i64),
    /// `+OK` and the like.
    Status(String),
    /// `-ERR ..`, without the dash.
    Error(String),
    /// A string of Redis.
    Bytes(Vec<u8>),
    /// Several replies in one.
    Array(Vec<Reply>),
}

impl Reply {
    /// The elements of an array; of anything else, none.
    #[must_use]
    pub fn elements(&self) -> &[Reply] {
        match self {
            Self::Array(elements) => elements,
            Self::Nil | Self::Integer(_) | Self::Status(_) | Self::Error(_) | Self::Bytes(_) => &[],
        }
    }

    /// The bytes of a string; of anything else, none.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Nil | Self::Integer(_) | Self::Status(_) | Self::Error(_) | Self::Array(_) => None,
        }
    }

    /// Everything but an error.
    ///
    /// # Errors
    ///
    /// The text of an error reply.
    pub fn ok(self) -> Result<Self, String> {
        match self {
            Self::Error(error) => Err(error),
            reply => Ok(reply),
        }
    }
}

/// As `redis-cli` prints into a pipe: one element per line, nothing for nil.
impl fmt::Display for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => Ok(()),
            Self::Integer(number) => write!(out, "{number}"),
            Self::Status(text) | Self::Error(text) => out.write_str(text),
            Self::Bytes(bytes) => out.write_str(&String::from_utf8_lossy(bytes)),
            Self::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "\n" };
                    write!(out, "{separator}{element}")?;
                }
                Ok(())
            }
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects; every call on the connection may take as long as `within`.
    ///
    /// # Errors
    ///
    /// If nobody listens there, or the connection is not made in time.
    pub fn connect(address: SocketAddr, within: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, within)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a command and reads its reply; an error reply is a reply.
    ///
    /// # Errors
    ///
    /// If the connection breaks, no reply comes in time, or it is not RESP2.
    pub fn call(&mut self, arguments: &[impl AsRef<[u8]>]) -> io::Result<Reply> {
        self.send(arguments)?;
        self.receive()
    }

    /// Sends a command without waiting for its reply.
    ///
    /// # Errors
    ///
    /// If the connection breaks.
    pub fn send(&mut self, arguments: &[impl AsRef<[u8]>]) -> io::Result<()> {
        let mut command = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments.iter().map(AsRef::as_ref) {
            command.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            command.extend_from_slice(argument);
            command.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&command)
    }

    /// Reads the next reply.
    ///
    /// # Errors
    ///
    /// If the connection breaks, no reply comes in time, or it is not RESP2.
    pub fn receive(&mut self) -> io::Result<Reply> {
        let line = self.line()?;
        let Some((kind, text)) = line.split_at_checked(1) else {
            return Err(malformed(&line));
        };
        match kind {
            "+" => Ok(Reply::Status(text.to_owned())),
            "-" => Ok(Reply::Error(text.to_owned())),
            ":" => text.parse().map(Reply::Integer).map_err(|_| malformed(&line)),
            "$" | "*" if text == "-1" => Ok(Reply::Nil),
            "$" => self.bytes(text.parse().map_err(|_| malformed(&line))?),
            "*" => {
                let length: usize = text.parse().map_err(|_| malformed(&line))?;
                (0..length).map(|_| self.receive()).collect::<io::Result<_>>().map(Reply::Array)
            }
            _ => Err(malformed(&line)),
        }
    }

    fn bytes(&mut self, length: usize) -> io::Result<Reply> {
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(Reply::Bytes(bytes))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(Error::new(ErrorKind::UnexpectedEof, "the connection was closed within a reply")),
        }
    }
}

fn malformed(line: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("`{line}` begins no reply"))
}
