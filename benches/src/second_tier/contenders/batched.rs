//! What any client can do at most whose callers ask for one key each: nothing but the batching.
//!
//! Whatever callers ask for at the same moment goes out as one `MGET`, and nothing else happens: no deadlines, no
//! reconnecting, no flights, no checks of what was read, no metrics, one connection. What stands between this and
//! ours is what a cache does; what stands between this and `MGET` of 64 is what it costs to have so many callers.

use std::collections::VecDeque;
use std::io::Write as _;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use harness::calls::calls;
use harness::stage::Stage;
use harness::work::Output;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, oneshot};

use super::{Candidate, decoded, encoded, redis::name};
use crate::contender::Contender;
use crate::workload::{USERS, key, load};

/// As many keys in one command as ours asks for.
const MOST: usize = 64;

pub(in crate::second_tier) const NAME: &str = "plain batching, one `MGET` for all who ask";

pub(super) const CANDIDATES: &[Candidate] =
    &[Candidate { name: NAME, format: "bincode", loads: false, connect: |stage| calls(Batched::connect(stage)) }];

/// A part of a reply that several share.
type Bytes = (Arc<Vec<u8>>, Range<usize>);
type Answer = oneshot::Sender<Bytes>;

#[derive(Default)]
struct Queue {
    asked: Mutex<Vec<(String, Answer)>>,
    under_way: Mutex<VecDeque<Vec<Answer>>>,
    wake: Notify,
}

struct Batched(Arc<Queue>);

impl Batched {
    fn connect(stage: &Stage) -> Self {
        let queue = Arc::new(Queue::default());
        // What it reads may not have been stored by others.
        for (tenant, id) in (0..USERS).map(key) {
            let user = encoded(&load(tenant, id));
            stage.server.ask::<()>(&[b"SET", name(tenant, id).as_bytes(), &user]);
        }
        let address = stage.server.url().trim_start_matches("redis://");
        stage.runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("the server is there");
            stream.set_nodelay(true).expect("a socket can be set up");
            let (reader, writer) = stream.into_split();
            tokio::spawn(write(Arc::clone(&queue), writer));
            tokio::spawn(read(Arc::clone(&queue), reader));
        });
        Self(queue)
    }
}

impl Contender for Batched {
    type Output = Output;

    async fn get(&self, tenant: u64, id: u64) -> Output {
        let (answer, answered) = oneshot::channel();
        let first = {
            let mut asked = self.0.asked.lock().expect("no thread panics");
            asked.push((name(tenant, id), answer));
            asked.len() == 1
        };
        if first {
            self.0.wake.notify_one();
        }
        let (reply, place) = answered.await.expect("the server answers");
        Ok(decoded(&reply[place]))
    }
}

/// Sends what is asked for, for as long as the connection stands.
async fn write(queue: Arc<Queue>, mut writer: OwnedWriteHalf) {
    let mut out = Vec::new();
    loop {
        queue.wake.notified().await;
        let asked = std::mem::take(&mut *queue.asked.lock().expect("no thread panics"));
        let mut asked = asked.into_iter().peekable();
        while asked.peek().is_some() {
            let (keys, answers): (Vec<_>, Vec<_>) = asked.by_ref().take(MOST).unzip();
            write!(out, "*{}\r\n$4\r\nMGET\r\n", keys.len() + 1).expect("memory takes everything");
            for key in &keys {
                write!(out, "${}\r\n{key}\r\n", key.len()).expect("memory takes everything");
            }
            queue.under_way.lock().expect("no thread panics").push_back(answers);
        }
        if writer.write_all(&out).await.is_err() {
            return;
        }
        out.clear();
    }
}

/// Hands the answers on, for as long as the connection stands.
async fn read(queue: Arc<Queue>, mut reader: OwnedReadHalf) {
    let mut buffer = Vec::with_capacity(1 << 16);
    while reader.read_buf(&mut buffer).await.is_ok_and(|length| length > 0) {
        let mut end = 0;
        let mut whole = Vec::new();
        while let Some((places, after)) = places(&buffer, end) {
            whole.push(places);
            end = after;
        }
        let rest = buffer.split_off(end);
        let reply = Arc::new(std::mem::replace(&mut buffer, rest));
        buffer.reserve(1 << 16);
        for places in whole {
            let answers = queue.under_way.lock().expect("no thread panics").pop_front().expect("it was asked");
            for (answer, place) in answers.into_iter().zip(places) {
                // Whoever asked may have gone.
                let _ = answer.send((Arc::clone(&reply), place));
            }
        }
    }
}

/// Where the values of the reply that begins there are, and where it ends, if it is whole.
fn places(buffer: &[u8], at: usize) -> Option<(Vec<Range<usize>>, usize)> {
    let (length, mut at) = number(buffer, at)?;
    let mut places = Vec::with_capacity(length);
    for _ in 0..length {
        let (length, begin) = number(buffer, at)?;
        at = begin + length + 2;
        if at > buffer.len() {
            return None;
        }
        places.push(begin..begin + length);
    }
    Some((places, at))
}

/// The number of a line that begins there with its type, and where the next line begins.
fn number(buffer: &[u8], at: usize) -> Option<(usize, usize)> {
    let line = buffer.get(at + 1..)?;
    let length = line.iter().take(20).position(|byte| *byte == b'\r')?;
    let digits = std::str::from_utf8(&line[..length]).expect("a number");
    let end = at + 1 + length + 2;
    (end <= buffer.len()).then(|| (digits.parse().expect("every user is stored"), end))
}
