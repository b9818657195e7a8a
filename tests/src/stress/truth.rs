//! The source of truth, as a child asks it: one connection, whose commands go out together.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::history::Version;

/// The source of truth. It never fails: nothing happens to its server.
#[derive(Clone, Debug)]
pub struct Truth {
    commands: UnboundedSender<Command>,
}

#[derive(Debug)]
struct Command {
    bytes: Vec<u8>,
    answer: Answer,
}

/// Where the text of a reply goes; empty for nil.
type Answer = oneshot::Sender<String>;

type Waiting = Arc<Mutex<VecDeque<Answer>>>;

impl Truth {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If nobody listens there.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (replies, requests) = stream.into_split();
        let (commands, asked) = unbounded_channel();
        let waiting = Waiting::default();
        tokio::spawn(write(requests, asked, Arc::clone(&waiting)));
        tokio::spawn(read(BufReader::new(replies), waiting));
        Ok(Self { commands })
    }

    /// How many commits this counter has seen.
    pub async fn version(&self, counter: u64) -> Version {
        number(&self.call(&["GET", &format!("v:{counter}")]).await)
    }

    /// Commits; returns the new version.
    pub async fn commit(&self, counter: u64) -> Version {
        number(&self.call(&["INCR", &format!("v:{counter}")]).await)
    }

    /// Leaves a word for other processes.
    pub async fn leave(&self, name: &str, word: &str) {
        self.call(&["SET", name, word]).await;
    }

    /// The word that was left last.
    pub async fn word(&self, name: &str) -> Option<String> {
        Some(self.call(&["GET", name]).await).filter(|word| !word.is_empty())
    }

    async fn call(&self, arguments: &[&str]) -> String {
        let words = arguments.iter().flat_map(|argument| [format!("${}", argument.len()), (*argument).to_owned()]);
        let lines: Vec<_> = std::iter::once(format!("*{}", arguments.len())).chain(words).collect();
        let bytes = lines.join("\r\n") + "\r\n";
        let (answer, answered) = oneshot::channel();
        let sent = self.commands.send(Command { bytes: bytes.into_bytes(), answer });
        sent.expect("the connection is there as long as the parent");
        answered.await.expect("the source of truth always answers")
    }
}

fn number(text: &str) -> Version {
    if text.is_empty() { 0 } else { text.parse().expect("a counter is a number") }
}

async fn write(mut requests: OwnedWriteHalf, mut asked: UnboundedReceiver<Command>, waiting: Waiting) {
    let mut commands = Vec::new();
    while asked.recv_many(&mut commands, 256).await > 0 {
        let mut bytes = Vec::new();
        {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for command in commands.drain(..) {
                bytes.extend(command.bytes);
                waiting.push_back(command.answer);
            }
        }
        if requests.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn read(mut replies: BufReader<OwnedReadHalf>, waiting: Waiting) {
    while let Ok(reply) = read_one(&mut replies).await {
        let answer = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        // Who asked may have left: loads are cancelled.
        let _nobody = answer.map(|answer| answer.send(reply));
    }
}

async fn read_one(replies: &mut BufReader<OwnedReadHalf>) -> io::Result<String> {
    let mut line = String::new();
    replies.read_line(&mut line).await?;
    let line = line.trim_end();
    let Some((kind, text)) = line.split_at_checked(1) else { return Err(io::ErrorKind::UnexpectedEof.into()) };
    match kind {
        "+" | ":" => Ok(text.to_owned()),
        "$" if text == "-1" => Ok(String::new()),
        "$" => {
            let length: usize = text.parse().map_err(io::Error::other)?;
            let mut bytes = vec![0; length + 2];
            replies.read_exact(&mut bytes).await?;
            bytes.truncate(length);
            String::from_utf8(bytes).map_err(io::Error::other)
        }
        _ => Err(io::Error::other(format!("the source of truth answers `{line}`"))),
    }
}
