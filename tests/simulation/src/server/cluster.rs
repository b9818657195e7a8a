//! A cluster: which of its servers has which slots, and how it sends on whoever asks the wrong one.

use super::{Redis, Reply, Session};

/// Slots are given away in so many pieces of equal size.
pub const PIECES: u16 = 16;

/// All slots.
const SLOTS: u16 = 16_384;

/// Where every server of a cluster listens.
const PORT: i64 = 6_379;

/// What all servers of a cluster know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Higher with each change.
    pub epoch: u64,
    /// The shard that has each piece.
    pub owners: [usize; PIECES as usize],
    /// How many servers each shard has had before this one.
    pub lives: Vec<u32>,
}

/// A server's place in its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its cluster.
    pub map: Map,
    /// Its shard.
    pub shard: usize,
}

/// The host of a shard's server.
#[must_use]
pub fn host(shard: usize, life: u32) -> String {
    format!("node-{shard}-{life}")
}

/// The piece that a key's slot is in.
fn piece(key: &[u8]) -> u16 {
    slot(key) / (SLOTS / PIECES)
}

/// By CRC16 (XMODEM) of the key, or of what stands between its first `{` and the next `}`, if anything does.
fn slot(key: &[u8]) -> u16 {
    let position = |bytes: &[u8], what| bytes.iter().position(|byte| *byte == what);
    let tag = position(key, b'{').map(|open| &key[open + 1..]);
    let tag = tag.and_then(|rest| position(rest, b'}').map(|close| &rest[..close])).filter(|tag| !tag.is_empty());
    let shift = |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
    tag.unwrap_or(key).iter().fold(0, |crc, byte| (0..8).fold(crc ^ (u16::from(*byte) << 8), shift)) % SLOTS
}

impl Map {
    /// So many shards, each with as many pieces as the others.
    #[must_use]
    pub fn of(shards: usize) -> Self {
        let owners = std::array::from_fn(|piece| piece * shards / usize::from(PIECES));
        Self { epoch: 1, owners, lives: vec![0; shards] }
    }

    /// The shard that has this key.
    #[must_use]
    pub fn owner(&self, key: &[u8]) -> usize {
        self.owners[usize::from(piece(key))]
    }

    fn slots(&self) -> Reply {
        let ranges = self.owners.iter().zip(0..).map(|(shard, piece)| {
            let (size, host) = (i64::from(SLOTS / PIECES), host(*shard, self.lives[*shard]));
            let node = vec![Reply::bulk(host), Reply::Int(PORT), Reply::bulk("id"), Reply::Array(Vec::new())];
            Reply::Array(vec![Reply::Int(piece * size), Reply::Int((piece + 1) * size - 1), Reply::Array(node)])
        });
        Reply::Array(ranges.collect())
    }
}

/// What a server of a cluster answers by its place in it; nothing if it just does the command.
pub(super) fn answer(redis: &Redis, session: &Session, words: &[&[u8]]) -> Option<Reply> {
    let Seat { map, shard } = redis.cluster.as_ref()?;
    match words {
        [b"CLUSTER", b"INFO"] => {
            Some(Reply::Verbatim(format!("cluster_state:ok\r\ncluster_current_epoch:{}\r\n", map.epoch)))
        }
        [b"CLUSTER", b"SLOTS"] => Some(map.slots()),
        [b"ROLE"] if session.is_of_replica => {
            let primary = [Reply::bulk(host(*shard, map.lives[*shard])), Reply::Int(PORT)];
            let state = [Reply::bulk("connected"), Reply::Int(0)];
            Some(Reply::Array([Reply::bulk("slave")].into_iter().chain(primary).chain(state).collect()))
        }
        words => {
            let keys = keys(words);
            let first = keys.first()?;
            assert!(keys.iter().all(|key| slot(key) == slot(first)), "keys of several slots in one command");
            let owner = map.owner(first);
            let is_here = owner == *shard && !session.is_of_replica;
            (!is_here).then(|| moved(map, first))
        }
    }
}

/// Where a key is.
pub(crate) fn moved(map: &Map, key: &[u8]) -> Reply {
    let owner = map.owner(key);
    Reply::Error(format!("MOVED {} {}:{PORT}", slot(key), host(owner, map.lives[owner])))
}

fn keys<'a>(words: &[&'a [u8]]) -> Vec<&'a [u8]> {
    match words {
        [b"MGET" | b"UNLINK" | b"DEL", names @ ..] => names.to_vec(),
        [b"EVAL" | b"EVALSHA", _, count, rest @ ..] => {
            let count = str::from_utf8(count).ok().and_then(|count| count.parse().ok()).unwrap_or(0);
            rest[..count].to_vec()
        }
        [b"XREAD", .., name, _] => vec![name],
        [b"GET" | b"SET" | b"PEXPIRE" | b"TYPE" | b"HSET" | b"HDEL" | b"HGETALL" | b"XADD" | b"XTRIM", name, ..] => {
            vec![name]
        }
        _ => Vec::new(),
    }
}

impl Redis {
    /// Takes out everything whose slot is in this piece.
    pub fn take_piece(&mut self, taken: u16) -> Vec<(Vec<u8>, super::Item)> {
        self.keys.extract_if(.., |key, _| piece(key) == taken).collect()
    }

    /// Adds what was taken out elsewhere.
    pub fn add_piece(&mut self, items: Vec<(Vec<u8>, super::Item)>) {
        self.keys.extend(items);
    }

    /// Forgets what others of its cluster have: a server that comes back with old data does.
    pub fn keep_own(&mut self) {
        if let Some(Seat { map, shard }) = &self.cluster {
            self.keys.retain(|key, _| map.owner(key) == *shard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `CLUSTER KEYSLOT` says.
    #[test]
    fn slots_are_those_of_the_specification() {
        for (key, at) in [("123456789", 0x31c3), ("foo", 12_182), ("{foo}bar", 12_182), ("a{foo}{bar}", 12_182)] {
            assert_eq!(slot(key.as_bytes()), at, "{key}");
        }
        assert_eq!(slot(b"sim:bus"), slot(b"{sim:bus}:routes"));
    }

    #[test]
    fn who_asks_the_wrong_server_is_sent_on() {
        let mut redis = Redis::new("run");
        let map = Map::of(2);
        let here = map.owner(b"foo");
        redis.cluster = Some(Seat { map: map.clone(), shard: here });
        let ask = |redis: &Redis, session: &Session| answer(redis, session, &[b"GET", b"foo"]);
        assert_eq!(ask(&redis, &Session::default()), None);
        let of_replica = Session { is_of_replica: true, ..Session::default() };
        let sent_on = Reply::Error(format!("MOVED 12182 node-{here}-0:6379"));
        assert_eq!(ask(&redis, &of_replica), Some(sent_on.clone()));
        redis.cluster = Some(Seat { map, shard: 1 - here });
        assert_eq!(ask(&redis, &Session::default()), Some(sent_on));
    }
}
