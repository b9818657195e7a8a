//! The runtime's Lua scripts, each written again in Rust beside its name. Who changes a script changes it here too; that
//! both do the same is what `tests/like_redis.rs` checks.

use std::sync::LazyLock;

use cache_runtime::simulation::{Script, scripts};

use super::commands::{add, bulk, number};
use super::keys::Refused;
use super::streams::{Id, told};
use super::{Effects, Redis, Reply};

type Done = Result<Reply, Refused>;

static ALL: LazyLock<Vec<Script>> = LazyLock::new(scripts);

/// The script with this text.
pub(super) fn by_code(code: &[u8]) -> Option<&'static Script> {
    ALL.iter().find(|script| script.code.as_bytes() == code)
}

/// Keys, arguments, and what the script may use.
struct Call<'a> {
    redis: &'a mut Redis,
    keys: &'a [Vec<u8>],
    args: &'a [Vec<u8>],
    effects: &'a mut Effects,
}

/// Calls a script by its digest or its text.
pub(super) fn call(redis: &mut Redis, command: &[Vec<u8>], effects: &mut Effects) -> Done {
    let script = if command[0] == b"EVAL" {
        let script = by_code(&command[1]).unwrap_or_else(|| panic!("a script that nobody has checked"));
        redis.loaded.insert(script.digest);
        script
    } else {
        let known = ALL.iter().find(|script| script.digest.as_bytes() == command[1]);
        known
            .filter(|script| redis.loaded.contains(script.digest))
            .ok_or_else(|| Reply::Error("NOSCRIPT No matching script. Please use EVAL.".to_owned()))?
    };
    let (keys, args) = command[3..].split_at(usize::try_from(number(&command[2])).expect("few keys"));
    let mut call = Call { redis, keys, args, effects };
    match script.name {
        "finish" => call.finish(),
        "invalidate" => call.invalidate(),
        "mark" => call.mark(),
        "nodes" => call.nodes(),
        "probe" => call.probe(),
        "refresh" => call.refresh(),
        "register" => call.register(),
        "renew" => call.renew(),
        "replace" => call.replace(),
        "steal" => call.steal(),
        "watch" => call.watch(),
        other => panic!("the script {other} is not written again"),
    }
}

/// Kind, mark and token of a slot.
const HEAD: usize = 18;

impl Call<'_> {
    /// The beginning of what stands at a key; nothing if that is no string.
    fn head(&mut self, key: usize, length: usize) -> Option<Vec<u8>> {
        self.redis.get_range(&self.keys[key], length - 1).ok()
    }

    fn unlink(&mut self, key: usize) -> Result<usize, Refused> {
        self.redis.unlink([self.keys[key].as_slice()])
    }

    fn set(&mut self, key: usize, bytes: usize, life: usize) -> Result<(), Refused> {
        self.redis.set(&self.keys[key], &self.args[bytes], Some(number(&self.args[life])))
    }

    fn finish(&mut self) -> Done {
        let (mut outcomes, mut refusal) = (Vec::new(), None);
        for entry in 0..self.keys.len() {
            let [token, channel, bytes, life] = [0, 1, 2, 3].map(|argument| 4 * entry + argument);
            let head = self.head(entry, HEAD).unwrap_or_default();
            if head.first() != Some(&b'L') || head[2.min(head.len())..] != self.args[token] {
                outcomes.push(Reply::Int(0));
                continue;
            }
            outcomes.push(Reply::Int(1));
            if self.args[bytes].len() <= HEAD || refusal.is_some() {
                self.unlink(entry)?;
            }
            if !self.args[bytes].is_empty()
                && refusal.is_none()
                && let Err(refused) = self.set(entry, bytes, life)
            {
                self.unlink(entry)?;
                refusal = Some(refused);
            }
            if head[1] == b'1' {
                self.effects.published.push((self.args[channel].clone(), self.keys[entry].clone()));
            }
        }
        Ok(refusal.unwrap_or(Reply::Array(outcomes)))
    }

    fn invalidate(&mut self) -> Done {
        let mut last = self.keys.len();
        if !self.args[2].is_empty() {
            if self.set(last - 1, 3, 2).is_err() {
                self.unlink(last - 1)?;
            }
            last -= 1;
        }
        self.unlink(0)?;
        if last > 4 {
            self.redis.unlink(self.keys[4..last].iter().map(Vec::as_slice))?;
        }
        let version = self.redis.hget(&self.keys[2], b":version").ok().flatten().unwrap_or_default();
        if version != self.args[1] {
            return Ok(Reply::Nil);
        }
        if self.redis.kind(&self.keys[1]) != "stream" {
            self.unlink(1)?;
            self.unlink(3)?;
        }
        let id = match add(self.redis, &self.keys[1], &self.args[4..], self.effects) {
            Err(Reply::Error(text)) if text.contains("last possible ID") => {
                // Two messages, between which the clock may go on.
                let moves = std::mem::take(&mut self.redis.moves);
                self.begin_bus()?;
                self.redis.moves = moves;
                add(self.redis, &self.keys[1], &self.args[4..], self.effects)?
            }
            added => added?,
        };
        Ok(Reply::bulk(id.to_string()))
    }

    fn begin_bus(&mut self) -> Result<(), Refused> {
        self.unlink(1)?;
        self.unlink(3)?;
        add(self.redis, &self.keys[1], &[b"all".to_vec(), b"1".to_vec()], self.effects).map(drop)
    }

    fn nodes(&mut self) -> Done {
        self.unlink(0)?;
        let now = self.redis.now;
        let text = Reply::bulk(now.to_string());
        let mut seen = vec![text.clone(), text];
        let Ok(fields) = self.redis.hash(&self.keys[1]).map(|fields| fields.map(|fields| fields.clone())) else {
            return Ok(Reply::Array(seen));
        };
        for (field, value) in fields.unwrap_or_default() {
            let since = (field == b":since").then(|| parse(&value)).flatten();
            if let Some(since) = since.filter(|since| *since <= now) {
                seen[1] = Reply::bulk(since.to_string());
            } else if field == b":since" {
                self.redis.hset(&self.keys[1], &field, now.to_string().as_bytes())?;
            } else if ends(&value).is_some_and(|ends| ends + number(&self.args[0]) >= now) {
                seen.push(Reply::Bulk(field));
                seen.push(Reply::Bulk(value));
            } else {
                self.redis.hdel(&self.keys[1], &field)?;
            }
        }
        Ok(Reply::Array(seen))
    }

    fn probe(&mut self) -> Done {
        self.unlink(0)?;
        let now = self.redis.now;
        let from = Id::parse(&self.args[3]);
        let is_over = from == Some(Id::LAST);
        let is_stream = self.redis.kind(&self.keys[1]) == "stream";
        if !is_stream || is_over && self.redis.stream(&self.keys[1])?.is_some_and(|bus| bus.last() == Id::LAST) {
            self.begin_bus()?;
        }
        if self.redis.kind(&self.keys[3]) != "hash" {
            self.unlink(3)?;
        }
        if self.redis.hget(&self.keys[3], b":since")?.is_none() {
            self.redis.hset(&self.keys[3], b":since", now.to_string().as_bytes())?;
        }
        let mut entry = if is_over { b"0-0".to_vec() } else { self.args[1].clone() };
        entry.extend(format!(" {}", now + number(&self.args[2])).into_bytes());
        self.redis.hset(&self.keys[3], &self.args[0], &entry)?;
        let version = self.redis.hget(&self.keys[2], b":version").ok().flatten().filter(|version| is_ours(version));
        let (mut messages, mut more) = (Vec::new(), false);
        let args = self.args;
        let stream = self.redis.stream(&self.keys[1])?.expect("there is one by now");
        let last = Reply::bulk(stream.last().to_string());
        let added = Reply::Int(i64::try_from(stream.added()).expect("so many are never added"));
        if let Some(from) = from.filter(|_| !is_over) {
            let [most, room, longest] = [4, 5, 6].map(|arg| usize::try_from(number(&args[arg])).expect("a size"));
            (messages, more) = read(stream.after(from), most, room, longest);
        }
        let now = Reply::bulk(now.to_string());
        Ok(Reply::Array(vec![now, last, added, bulk(version), Reply::Array(messages), Reply::yes(more)]))
    }

    fn refresh(&mut self) -> Done {
        let head = self.head(0, HEAD + 8).unwrap_or_default();
        if head.len() < HEAD + 8 || head[0] != b'V' || head[2..HEAD] != self.args[0] {
            return Ok(Reply::Int(0));
        }
        let (now, lease) = (self.redis.now, number(&self.args[1]));
        let ends = u64::from_be_bytes(*head.last_chunk().expect("it is long enough"));
        if ends > now && ends <= now + 10 * lease {
            return Ok(Reply::Int(0));
        }
        self.redis.set_range(&self.keys[0], HEAD, &(now + lease).to_be_bytes())?;
        Ok(Reply::Int(1))
    }

    fn mark(&mut self) -> Done {
        self.unlink(0)?;
        self.redis.set(&self.keys[0], b"", Some(number(&self.args[0])))?;
        Ok(Reply::Nil)
    }

    fn register(&mut self) -> Done {
        self.unlink(0)?;
        if self.redis.kind(&self.keys[1]) != "hash" {
            self.unlink(1)?;
        }
        let mut version = self.redis.hget(&self.keys[1], b":version")?.filter(|version| is_ours(version));
        for pair in self.args[1..].chunks_exact(2) {
            if self.redis.hget(&self.keys[1], &pair[0])?.as_ref() != Some(&pair[1]) {
                self.redis.hset(&self.keys[1], &pair[0], &pair[1])?;
                version = None;
            }
        }
        if version.is_none() {
            self.redis.hset(&self.keys[1], b":version", &self.args[0])?;
        }
        Ok(Reply::Bulk(version.unwrap_or_else(|| self.args[0].clone())))
    }

    fn renew(&mut self) -> Done {
        let mut renewed = Vec::with_capacity(self.keys.len());
        for key in 0..self.keys.len() {
            let head = self.head(key, HEAD).unwrap_or_default();
            let is_held = head.first() == Some(&b'L') && head[2.min(head.len())..] == self.args[key + 1];
            let life = number(&self.args[0]);
            renewed.push(Reply::yes(is_held && self.redis.expire(&self.keys[key], life, false)?));
        }
        Ok(Reply::Array(renewed))
    }

    fn replace(&mut self) -> Done {
        if self.head(0, HEAD).as_ref() != Some(&self.args[0]) {
            return Ok(Reply::Int(0));
        }
        self.set(0, 1, 2)?;
        Ok(Reply::Int(1))
    }

    fn steal(&mut self) -> Done {
        let kind = self.redis.kind(&self.keys[0]);
        let head = if kind == "string" { self.head(0, HEAD).unwrap_or_default() } else { Vec::new() };
        if kind != "none" && head != self.args[0] {
            return self.redis.get(&self.keys[0]).map(bulk);
        }
        self.unlink(0)?;
        self.set(0, 1, 2)?;
        Ok(Reply::Nil)
    }

    fn watch(&mut self) -> Done {
        let slot = self.redis.get(&self.keys[0])?;
        if let Some(bytes) = &slot
            && bytes.len() == HEAD
            && bytes[0] == b'L'
            && bytes[2..] == self.args[0]
        {
            _ = self.redis.set_range(&self.keys[0], 1, b"1");
        }
        Ok(bulk(slot))
    }
}

/// Messages until there are enough, and whether there may be more. Of one that is too long little is told.
fn read<'a>(
    messages: impl Iterator<Item = (Id, &'a [Vec<u8>])>,
    most: usize,
    room: usize,
    longest: usize,
) -> (Vec<Reply>, bool) {
    let (mut told_of, mut room, mut looked) = (Vec::new(), room.cast_signed(), 0);
    for (id, fields) in messages {
        let length: usize = fields.iter().map(Vec::len).sum();
        let short = (length > longest).then(|| shortened(fields, length));
        looked += if short.is_some() { length } else { 0 };
        let length = if short.is_some() { 0 } else { length.cast_signed() };
        if told_of.len() >= most || (length > room && !told_of.is_empty()) {
            return (told_of, true);
        }
        room -= length;
        told_of.push(told(id, short.as_deref().unwrap_or(fields)));
        if looked > 8 * longest {
            return (told_of, true);
        }
    }
    (told_of, false)
}

fn shortened(fields: &[Vec<u8>], length: usize) -> Vec<Vec<u8>> {
    let mut short = vec![b"long".to_vec(), length.to_string().into_bytes()];
    let mut room = 1_024;
    for field in fields.chunks_exact(2) {
        match field[0].as_slice() {
            b"event" if field[1].len() <= room => {
                room -= field[1].len();
                short.extend([b"event".to_vec(), field[1].clone()]);
            }
            b"event" | b"keys" | b"all" => short.extend([b"all".to_vec(), b"1".to_vec()]),
            _ => {}
        }
    }
    short
}

/// Whether it is a version of routes as processes write it.
fn is_ours(version: &[u8]) -> bool {
    !version.is_empty() && version.iter().all(u8::is_ascii_hexdigit)
}

fn parse(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// The end of a process's right: `<millis>-<sequence> <end>`.
fn ends(entry: &[u8]) -> Option<u64> {
    let (position, ends) = str::from_utf8(entry).ok()?.split_once(' ')?;
    Id::parse(position.as_bytes())?;
    ends.parse().ok()
}
