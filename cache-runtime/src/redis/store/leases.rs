//! How leases that are taken, and those that end, go over the wire in batches.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use smallvec::SmallVec;

use crate::fault::Fault;
use crate::redis::batch::Carrier;
use crate::redis::packed::{Packed, push_number};
use crate::redis::store::entries::head;
use crate::redis::store::flush::all;
use crate::redis::store::millis;
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
    pub(crate) token: Token,
    pub(crate) life: Duration,
}

impl Take<'_> {
    /// `SET .. NX GET`: sets what is missing, answers what is there.
    fn add_to(self, packed: &mut Packed) {
        let (head, mut life) = (head(b'L', self.token), SmallVec::<[u8; 20]>::new());
        push_number(&mut life, millis(self.life));
        packed.add([b"SET", self.entry.as_bytes(), &head, b"NX", b"GET", b"PX", &life]);
    }
}

/// Leases that are taken together: their commands by slot, mostly one slot, and which slot's is the next.
#[derive(Debug, Default)]
pub(crate) struct Taking {
    slots: Vec<(HashSlot, Packed)>,
    order: Vec<usize>,
}

impl Taking {
    fn push(&mut self, slot: HashSlot, take: Take<'_>) {
        let place = self.slots.iter().position(|(other, _)| *other == slot).unwrap_or_else(|| {
            self.slots.push((slot, Packed::default()));
            self.slots.len() - 1
        });
        take.add_to(&mut self.slots[place].1);
        self.order.push(place);
    }
}

impl Takes {
    pub(crate) fn new(servers: Arc<Servers>) -> Self {
        Self { servers }
    }
}

impl Carrier for Takes {
    type Item<'a> = Take<'a>;
    type Load = Taking;
    type Reply = Result<Value, Fault>;

    fn count(_: Take<'_>) -> usize {
        1
    }

    fn add(&self, load: &mut Taking, take: Take<'_>) {
        load.push(self.servers.hash_slot(take.entry), take);
    }

    fn is_full(load: &Taking) -> bool {
        load.order.len() >= MOST_TAKEN
    }

    async fn carry(&self, load: Taking) -> Result<Vec<Self::Reply>, Fault> {
        if let [(slot, packed)] = load.slots.as_slice() {
            return self.servers.packed(*slot, packed).await;
        }
        let taken = all(load.slots.iter().map(|(slot, packed)| self.servers.packed(*slot, packed)).collect()).await;
        let mut taken: Vec<_> = taken.into_iter().map(|replies| replies.map(Vec::into_iter)).collect();
        let next = |&place: &usize| match &mut taken[place] {
            Ok(replies) => replies.next().unwrap_or_else(|| Err(Fault::Nonsense("a lease without a reply".to_owned()))),
            Err(fault) => Err(fault.clone()),
        };
        Ok(load.order.iter().map(next).collect())
    }

    /// What stands there instead may be a value.
    fn size(reply: &Self::Reply) -> usize {
        match reply {
            Ok(Value::BulkString(bytes)) => bytes.len(),
            _ => 0,
        }
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

/// Leases that end together.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    ends: Vec<OwnEnd>,
    /// The words of all of them, one behind the other.
    words: Vec<u8>,
}

/// How a lease that is in a batch ends.
#[derive(Debug)]
struct OwnEnd {
    slot: HashSlot,
    token: Token,
    /// Where its entry, its channel, its value and its lifetime stand.
    words: [Range<usize>; 4],
}

impl Ending {
    /// Room for a few ends without growing.
    const FEW: usize = 8;
    const FEW_BYTES: usize = 2 << 10;

    fn push(&mut self, slot: HashSlot, end: End<'_>) {
        let words = [end.entry.as_bytes(), end.channel.as_bytes(), end.bytes, end.life.to_string().as_bytes()]
            .map(|word| self.push_word(word));
        if self.ends.capacity() == 0 {
            self.ends.reserve(Self::FEW);
        }
        self.ends.push(OwnEnd { slot, token: end.token, words });
    }

    fn push_word(&mut self, word: &[u8]) -> Range<usize> {
        if self.words.capacity() == 0 {
            self.words.reserve(Self::FEW_BYTES);
        }
        let begin = self.words.len();
        self.words.extend_from_slice(word);
        begin..self.words.len()
    }

    fn word(&self, range: &Range<usize>) -> &[u8] {
        &self.words[range.clone()]
    }

    fn entry(&self, end: usize) -> &str {
        str::from_utf8(self.word(&self.ends[end].words[0])).expect("names are text")
    }

    fn args(&self, end: usize) -> [&[u8]; 4] {
        let OwnEnd { token, words: [_, channel, value, life], .. } = &self.ends[end];
        [&token.0, self.word(channel), self.word(value), self.word(life)]
    }
}

impl Ends {
    pub(crate) fn new(servers: Arc<Servers>) -> Self {
        Self { servers }
    }

    /// Some of them, all of one slot. What the script refuses, it refuses to all.
    async fn end(&self, load: &Ending, ends: &[usize]) -> Vec<Result<Value, Fault>> {
        let keys: Vec<&str> = ends.iter().map(|&end| load.entry(end)).collect();
        let args: Vec<&[u8]> = ends.iter().flat_map(|&end| load.args(end)).collect();
        let outcome = self.servers.script(load.ends[ends[0]].slot, &scripts::FINISH, &keys, &args).await;
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
    type Load = Ending;
    type Reply = Result<Value, Fault>;

    fn count(_: End<'_>) -> usize {
        1
    }

    fn add(&self, load: &mut Ending, end: End<'_>) {
        load.push(self.servers.hash_slot(end.entry), end);
    }

    fn is_full(load: &Ending) -> bool {
        load.ends.len() >= MOST_ENDED || load.words.len() > MOST_BYTES
    }

    async fn carry(&self, load: Ending) -> Result<Vec<Self::Reply>, Fault> {
        let slot = |end: usize| load.ends[end].slot;
        let mut order: Vec<usize> = (0..load.ends.len()).collect();
        order.sort_by_key(|&end| slot(end));
        let runs: Vec<&[usize]> = order.chunk_by(|&one, &next| slot(one) == slot(next)).collect();
        if let [run] = runs.as_slice() {
            return Ok(self.end(&load, run).await);
        }
        let ended = all(runs.iter().map(|run| self.end(&load, run)).collect()).await;
        let mut replies: Vec<Self::Reply> = order.iter().map(|_| Ok(Value::Nil)).collect();
        for (run, ended) in runs.iter().zip(ended) {
            run.iter().zip(ended).for_each(|(&end, reply)| replies[end] = reply);
        }
        Ok(replies)
    }

    fn size(_: &Self::Reply) -> usize {
        0
    }
}
