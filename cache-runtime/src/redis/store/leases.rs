//! How leases that are taken, and those that end, go over the wire in batches.

use std::sync::Arc;

use redis::{Cmd, Value};

use crate::fault::Fault;
use crate::redis::batch::Carrier;
use crate::redis::store::flush::{Addressed, all, flush};
use crate::redis::{HashSlot, Servers, reply, scripts};
use crate::store::Token;

/// Most commands of one flush.
const MOST_TAKEN: usize = 128;

/// Most leases that one script ends: nothing else is served meanwhile.
const MOST_ENDED: usize = 32;

/// More bytes than this go out by themselves.
const MOST_BYTES: usize = 64 << 10;

/// Takes leases: a flush of `SET .. NX GET`.
#[derive(Debug)]
pub(crate) struct Takes {
    servers: Arc<Servers>,
}

/// One lease to be taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Take<'a> {
    pub(crate) entry: &'a str,
    pub(crate) command: &'a Cmd,
}

impl Takes {
    pub(crate) fn new(servers: Arc<Servers>) -> Self {
        Self { servers }
    }
}

impl Carrier for Takes {
    type Item<'a> = Take<'a>;
    type Load = Vec<Addressed>;
    type Reply = Result<Value, Fault>;

    fn count(_: Take<'_>) -> usize {
        1
    }

    fn add(&self, load: &mut Vec<Addressed>, take: Take<'_>) {
        load.push((self.servers.hash_slot(take.entry), take.command.clone()));
    }

    fn is_full(load: &Vec<Addressed>) -> bool {
        load.len() >= MOST_TAKEN
    }

    async fn carry(&self, load: Vec<Addressed>) -> Result<Vec<Self::Reply>, Fault> {
        if let [(slot, command)] = load.as_slice() {
            return Ok(vec![self.servers.command(*slot, command).await]);
        }
        Ok(flush(&self.servers, load).await)
    }

    fn size(_: &Self::Reply) -> usize {
        0
    }
}

/// Ends leases: one script for those of a slot.
#[derive(Debug)]
pub(crate) struct Ends {
    servers: Arc<Servers>,
}

/// How one lease ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a> {
    pub(crate) entry: &'a str,
    pub(crate) token: Token,
    /// The channel of its wake-ups.
    pub(crate) channel: &'a str,
    /// What takes its place; nothing at all if empty.
    pub(crate) bytes: &'a [u8],
    /// For so many milliseconds.
    pub(crate) life: u64,
}

/// How a lease that is in a batch ends.
#[derive(Debug)]
pub(crate) struct OwnEnd {
    slot: HashSlot,
    entry: String,
    token: Token,
    channel: String,
    bytes: Vec<u8>,
    life: String,
}

impl OwnEnd {
    fn args(&self) -> [&[u8]; 4] {
        [&self.token.0, self.channel.as_bytes(), &self.bytes, self.life.as_bytes()]
    }
}

impl Ends {
    pub(crate) fn new(servers: Arc<Servers>) -> Self {
        Self { servers }
    }

    /// All of one slot. What the script refuses, it refuses to all.
    async fn end(&self, ends: &[&OwnEnd]) -> Vec<Result<Value, Fault>> {
        let keys: Vec<&str> = ends.iter().map(|end| end.entry.as_str()).collect();
        let args: Vec<&[u8]> = ends.iter().flat_map(|end| end.args()).collect();
        let outcome = self.servers.script(ends[0].slot, &scripts::FINISH, &keys, &args).await;
        match outcome.and_then(|reply| reply::array(reply, "leases that end")) {
            Ok(held) if held.len() == ends.len() => held.into_iter().map(Ok).collect(),
            Ok(held) => {
                let fault = Fault::Nonsense(format!("{} replies to the end of {} leases", held.len(), ends.len()));
                ends.iter().map(|_| Err(fault.clone())).collect()
            }
            Err(fault) => ends.iter().map(|_| Err(fault.clone())).collect(),
        }
    }
}

impl Carrier for Ends {
    type Item<'a> = End<'a>;
    type Load = Vec<OwnEnd>;
    type Reply = Result<Value, Fault>;

    fn count(_: End<'_>) -> usize {
        1
    }

    fn add(&self, load: &mut Vec<OwnEnd>, end: End<'_>) {
        let End { entry, token, channel, bytes, life } = end;
        load.push(OwnEnd {
            slot: self.servers.hash_slot(entry),
            entry: entry.to_owned(),
            token,
            channel: channel.to_owned(),
            bytes: bytes.to_owned(),
            life: life.to_string(),
        });
    }

    fn is_full(load: &Vec<OwnEnd>) -> bool {
        load.len() >= MOST_ENDED || load.iter().map(|end| end.bytes.len()).sum::<usize>() > MOST_BYTES
    }

    async fn carry(&self, load: Vec<OwnEnd>) -> Result<Vec<Self::Reply>, Fault> {
        if load.iter().all(|end| end.slot == load[0].slot) {
            return Ok(self.end(&load.iter().collect::<Vec<_>>()).await);
        }
        let mut order: Vec<usize> = (0..load.len()).collect();
        order.sort_by_key(|&end| load[end].slot);
        let runs: Vec<&[usize]> = order.chunk_by(|&one, &next| load[one].slot == load[next].slot).collect();
        let ends =
            runs.iter().map(|run| async { self.end(&run.iter().map(|&end| &load[end]).collect::<Vec<_>>()).await });
        let ended = all(ends.collect()).await;
        let mut replies: Vec<Self::Reply> = load.iter().map(|_| Ok(Value::Nil)).collect();
        for (run, ended) in runs.iter().zip(ended) {
            run.iter().zip(ended).for_each(|(&end, reply)| replies[end] = reply);
        }
        Ok(replies)
    }

    fn size(_: &Self::Reply) -> usize {
        0
    }
}
