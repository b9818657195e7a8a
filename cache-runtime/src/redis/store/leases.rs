//! How leases that are taken, and those that end, go over the wire in batches.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use smallvec::SmallVec;

use crate::fault::Fault;
use crate::instant::Instant;
use crate::redis::batch::Carrier;
use crate::redis::packed::{Packed, push_number};
use crate::redis::store::entries::head;
use crate::redis::store::flush::all;
use crate::redis::store::millis;
use crate::redis::swap::{Swap, Swapped};
use crate::redis::{HashSlot, Servers, reply, scripts};
use crate::store::{HEAD, Token};
use crate::timer::in_time;

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

/// Ends leases: a flush of swaps for the fills of a server that has them, one script for whatever else of a slot.
#[derive(Debug)]
pub(crate) struct Ends {
    servers: Arc<Servers>,
    op_timeout: Duration,
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

    /// Whether a value takes the lease's place. For what is no larger than the placeholder there always is room: the script
    /// takes care of that.
    fn is_fill(&self, end: usize) -> bool {
        self.ends[end].words[2].len() > HEAD
    }

    fn add_swap(&self, end: usize, packed: &mut Packed) {
        let OwnEnd { token, words: [_, _, value, life], .. } = &self.ends[end];
        let (old, new, life) = (head(b'L', *token), self.word(value), self.word(life));
        Swap { key: self.entry(end), old: &old, new, life }.add_to(packed);
    }

    fn args(&self, end: usize) -> [&[u8]; 4] {
        let OwnEnd { token, words: [_, channel, value, life], .. } = &self.ends[end];
        [&token.0, self.word(channel), self.word(value), self.word(life)]
    }
}

impl Ends {
    pub(crate) fn new(servers: Arc<Servers>, op_timeout: Duration) -> Self {
        Self { servers, op_timeout }
    }

    /// Whom they can be ended with: fills with all others of their server, whatever else with those of its slot.
    fn company(&self, load: &Ending, end: usize) -> Company {
        let slot = load.ends[end].slot;
        let is_swapped = load.is_fill(end) && self.servers.may_have_swaps(slot);
        if is_swapped { Company::Fills(self.servers.server_of(slot)) } else { Company::Others(slot) }
    }

    async fn end(&self, load: &Ending, (company, ends): &(Company, Vec<usize>)) -> Vec<Result<Value, Fault>> {
        match company {
            Company::Fills(_) => self.fill(load, ends).await,
            Company::Others(_) => self.finish(load, ends).await,
        }
    }

    /// Fills, all of one server: by a swap each where it has those, for a placeholder that nobody has marked. The rest by
    /// the script, which wakes who waits, empties what there is no room for, and knows which were not held.
    async fn fill(&self, load: &Ending, ends: &[usize]) -> Vec<Result<Value, Fault>> {
        let began = Instant::now();
        let pack = || {
            let mut packed = Packed::default();
            for &end in ends {
                load.add_swap(end, &mut packed);
            }
            packed
        };
        let swapped = match self.servers.swaps(load.ends[ends[0]].slot, pack).await {
            Ok(Some(swapped)) => swapped,
            Ok(None) => return self.finish_slots(load, ends).await,
            Err(fault) => return ends.iter().map(|_| Err(fault.clone())).collect(),
        };
        let left: Vec<usize> =
            ends.iter().zip(&swapped).filter(|(_, swapped)| **swapped == Swapped::Not).map(|(&end, _)| end).collect();
        let mut finished = self.finish_within(self.op_timeout.saturating_sub(began.elapsed()), load, &left).await;
        let mut finished = finished.drain(..);
        let missing = || Err(Fault::Nonsense("a fill without a reply".to_owned()));
        let replies = swapped.into_iter().map(|swapped| match swapped {
            Swapped::Done => Ok(Value::Int(1)),
            Swapped::Not => finished.next().unwrap_or_else(missing),
            Swapped::Fault(fault) => Err(fault),
        });
        replies.collect()
    }

    /// What is left of the time of an operation. Each command is bounded by all of it anyway: a second timer is needed only
    /// after a slow one.
    async fn finish_within(&self, left: Duration, load: &Ending, ends: &[usize]) -> Vec<Result<Value, Fault>> {
        if ends.is_empty() {
            return Vec::new();
        }
        if left >= self.op_timeout.mul_f32(0.9) {
            return self.finish_slots(load, ends).await;
        }
        let finished = in_time(left, self.finish_slots(load, ends)).await;
        finished.unwrap_or_else(|| ends.iter().map(|_| Err(Fault::Timeout)).collect())
    }

    /// By the script, which takes those of one slot.
    async fn finish_slots(&self, load: &Ending, ends: &[usize]) -> Vec<Result<Value, Fault>> {
        let runs = companies(ends, |end| load.ends[end].slot);
        if let [(_, run)] = runs.as_slice() {
            return self.finish(load, run).await;
        }
        let ended = all(runs.iter().map(|(_, run)| self.finish(load, run)).collect()).await;
        in_order(runs, ended)
    }

    /// Some of them, all of one slot. What the script refuses, it refuses to all.
    async fn finish(&self, load: &Ending, ends: &[usize]) -> Vec<Result<Value, Fault>> {
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

/// Those that are ended together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Company {
    Fills(Option<usize>),
    Others(HashSlot),
}

/// Those of each company together. Each run is ascending, as `ends` are.
fn companies<K: Ord + Copy>(ends: &[usize], company: impl Fn(usize) -> K) -> Vec<(K, Vec<usize>)> {
    let mut order: Vec<(K, usize)> = ends.iter().map(|&end| (company(end), end)).collect();
    order.sort_by_key(|(company, _)| *company);
    order
        .chunk_by(|one, next| one.0 == next.0)
        .map(|run| (run[0].0, run.iter().map(|(_, end)| *end).collect()))
        .collect()
}

/// The replies to all, ascending as their ends are.
fn in_order<K>(runs: Vec<(K, Vec<usize>)>, ended: Vec<Vec<Result<Value, Fault>>>) -> Vec<Result<Value, Fault>> {
    let mut replies: Vec<_> = runs.into_iter().flat_map(|(_, run)| run).zip(ended.into_iter().flatten()).collect();
    replies.sort_by_key(|(end, _)| *end);
    replies.into_iter().map(|(_, reply)| reply).collect()
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
        let ends: Vec<usize> = (0..load.ends.len()).collect();
        let runs = companies(&ends, |end| self.company(&load, end));
        if let [run] = runs.as_slice() {
            return Ok(self.end(&load, run).await);
        }
        let ended = all(runs.iter().map(|run| self.end(&load, run)).collect()).await;
        Ok(in_order(runs, ended))
    }

    fn size(_: &Self::Reply) -> usize {
        0
    }
}
