//! The commands in use, one by one.

use super::keys::{Needs, Refused};
use super::streams::{Id, told};
use super::{Effects, Millis, Outcome, Redis, Refusal, Reply, Session, Swaps};
use super::{cluster, scripts};

type Done = Result<Reply, Refused>;

pub(super) fn execute(redis: &mut Redis, session: &mut Session, command: &[Vec<u8>], effects: &mut Effects) -> Outcome {
    if let Some(refused) = refused(redis.refusal, command) {
        return Outcome::Reply(refused);
    }
    let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
    if let Some(answer) = cluster::answer(redis, session, &words) {
        return Outcome::Reply(answer);
    }
    if let [b"XREAD", b"COUNT", b"1", b"BLOCK", most, b"STREAMS", stream, after] = words.as_slice() {
        return read_stream(redis, most, stream, after);
    }
    let done = match words.as_slice() {
        [b"EVALSHA" | b"EVAL", ..] => scripts::call(redis, command, effects),
        [b"SUBSCRIBE", channels @ ..] => return subscribe(session, channels),
        words => connection(redis, session, words).unwrap_or_else(|| keys(redis, words, effects)),
    };
    Outcome::Reply(done.unwrap_or_else(|refused| refused))
}

fn refused(refusal: Refusal, command: &[Vec<u8>]) -> Option<Reply> {
    let is_entering = matches!(command[0].as_slice(), b"HELLO" | b"CLIENT" | b"SELECT");
    let text = match refusal {
        Refusal::Loading if !is_entering => "LOADING Redis is loading the dataset in memory",
        Refusal::Busy if !is_entering => "BUSY Redis is busy running a script. You can only call SCRIPT KILL",
        _ => return None,
    };
    Some(Reply::Error(text.to_owned()))
}

/// Commands about the connection and the server.
fn connection(redis: &mut Redis, session: &mut Session, words: &[&[u8]]) -> Option<Done> {
    let reply = match words {
        [b"HELLO", b"3", ..] => hello(),
        [b"CLIENT", b"SETINFO", ..] | [b"SELECT", ..] => Reply::Simple("OK"),
        [b"CLIENT", b"SETNAME", name] => {
            session.name = String::from_utf8_lossy(name).into_owned();
            Reply::Simple("OK")
        }
        [b"PING"] => Reply::Simple("PONG"),
        [b"ROLE"] => Reply::Array(vec![Reply::bulk("master"), Reply::Int(0), Reply::Array(Vec::new())]),
        [b"CLUSTER", b"INFO"] => Reply::Error("ERR This instance has cluster support disabled".to_owned()),
        [b"INFO", ..] => Reply::Verbatim(format!(
            "# Server\r\nredis_version:{}\r\nrun_id:{}\r\n\r\n# Replication\r\nrole:master\r\nmaster_replid:{}\r\n",
            version(redis.swaps),
            redis.run,
            redis.history
        )),
        [b"SCRIPT", b"LOAD", code] => {
            let script = scripts::by_code(code).unwrap_or_else(|| panic!("a script that nobody has checked"));
            redis.loaded.insert(script.digest);
            Reply::bulk(script.digest)
        }
        [b"SCRIPT", b"FLUSH"] => {
            redis.loaded.clear();
            Reply::Simple("OK")
        }
        [b"WAIT", ..] => Reply::Int(i64::from(redis.replicas)),
        _ => return None,
    };
    Some(Ok(reply))
}

fn version(swaps: Swaps) -> &'static str {
    match swaps {
        Swaps::None => "7.0.15",
        Swaps::Told | Swaps::Some => "8.4.0",
    }
}

fn hello() -> Reply {
    let text = |text| Reply::bulk(text);
    Reply::Map(vec![
        (text("server"), text("redis")),
        (text("version"), text("7.0.15")),
        (text("proto"), Reply::Int(3)),
        (text("id"), Reply::Int(1)),
        (text("mode"), text("standalone")),
        (text("role"), text("master")),
        (text("modules"), Reply::Array(Vec::new())),
    ])
}

fn subscribe(session: &mut Session, channels: &[&[u8]]) -> Outcome {
    let mut replies = channels.iter().map(|channel| {
        session.channels.insert(channel.to_vec());
        Reply::Push(vec![Reply::bulk("subscribe"), Reply::bulk(channel), Reply::count(session.channels.len())])
    });
    match channels.len() {
        1 => Outcome::Reply(replies.next().expect("one for each")),
        // Told one after the other; the only reply that is several.
        _ => Outcome::Reply(Reply::Array(replies.collect())),
    }
}

/// Commands about keys.
fn keys(redis: &mut Redis, words: &[&[u8]], effects: &mut Effects) -> Done {
    Ok(match words {
        [b"GET", name] => bulk(redis.get(name)?),
        [b"MGET", names @ ..] => {
            Reply::Array(names.iter().map(|name| bulk(redis.get(name).unwrap_or_default())).collect())
        }
        [b"SET", name, value, b"PX", life] => {
            redis.set(name, value, Some(number(life)))?;
            Reply::Simple("OK")
        }
        [b"SET", name, value, b"PX", life, b"IFEQ", old] => return swap(redis, name, old, value, number(life)),
        [b"SET", name, value, b"NX", b"GET", b"PX", life] => return set_new(redis, name, value, number(life)),
        [b"PEXPIRE", name, life, b"GT"] => Reply::yes(redis.expire(name, number(life), true)?),
        [b"UNLINK" | b"DEL", names @ ..] => Reply::count(redis.unlink(names.iter().copied())?),
        [b"TYPE", name] => Reply::Simple(redis.kind(name)),
        [b"HSET", name, field, value] => Reply::yes(redis.hset(name, field, value)?),
        [b"HDEL", name, field] => Reply::yes(redis.hdel(name, field)?),
        [b"HGETALL", name] => {
            let fields = redis.hash(name)?.map(|fields| fields.clone()).unwrap_or_default();
            Reply::Map(fields.iter().map(|(field, value)| (Reply::bulk(field), Reply::bulk(value))).collect())
        }
        [b"XADD", name, b"*", fields @ ..] => {
            let fields: Vec<Vec<u8>> = fields.iter().map(|field| field.to_vec()).collect();
            Reply::bulk(add(redis, name, &fields, effects)?.to_string())
        }
        [b"XADD", name, id, fields @ ..] => add_at(redis, name, id, fields)?,
        [b"XTRIM", name, b"MAXLEN", left] => {
            redis.may_write(Needs::Nothing)?;
            let left = usize::try_from(number(left)).expect("few are left");
            Reply::count(redis.stream(name)?.map_or(0, |stream| stream.trim(left)))
        }
        [b"SCAN", b"0", b"MATCH", pattern, b"COUNT", _] => scan(redis, pattern),
        [command, ..] => panic!("a command that nobody has checked: {}", String::from_utf8_lossy(command)),
        [] => panic!("a command without a name"),
    })
}

fn set_new(redis: &mut Redis, name: &[u8], value: &[u8], life: Millis) -> Done {
    // It counts as a write, whatever stands there.
    redis.may_write(Needs::Memory)?;
    let found = redis.get(name)?;
    if found.is_none() {
        redis.set(name, value, Some(life))?;
    }
    Ok(bulk(found))
}

fn swap(redis: &mut Redis, name: &[u8], old: &[u8], value: &[u8], life: Millis) -> Done {
    // Before its words are looked at.
    redis.may_write(Needs::Memory)?;
    if redis.swaps != Swaps::Some {
        return Err(Reply::Error("ERR syntax error".to_owned()));
    }
    if redis.get(name)?.as_deref() != Some(old) {
        return Ok(Reply::Nil);
    }
    redis.set(name, value, Some(life))?;
    Ok(Reply::Simple("OK"))
}

/// Adds to a stream, which is made if need be.
pub(super) fn add(redis: &mut Redis, name: &[u8], fields: &[Vec<u8>], effects: &mut Effects) -> Result<Id, Refused> {
    redis.may_write(Needs::Memory)?;
    let now = redis.now + redis.moves;
    let id = redis.stream(name)?.map_or(Some(Id { millis: now, sequence: 0 }), |stream| stream.next(now));
    let id = id.ok_or_else(|| Reply::Error("ERR The stream has exhausted the last possible ID".to_owned()))?;
    append(redis, name, id, fields)?;
    effects.streams.push(name.to_vec());
    Ok(id)
}

/// At a place of the writer's own choice, as a foreign publisher may.
fn add_at(redis: &mut Redis, name: &[u8], id: &[u8], fields: &[&[u8]]) -> Done {
    redis.may_write(Needs::Memory)?;
    let id = Id::parse(id).expect("an id");
    if redis.stream(name)?.is_some_and(|stream| stream.last() >= id) {
        return Err(Reply::Error("ERR The ID specified in XADD is equal or smaller".to_owned()));
    }
    append(redis, name, id, &fields.iter().map(|field| field.to_vec()).collect::<Vec<_>>())?;
    Ok(Reply::bulk(id.to_string()))
}

fn append(redis: &mut Redis, name: &[u8], id: Id, fields: &[Vec<u8>]) -> Result<(), Refused> {
    if redis.stream(name)?.is_none() {
        let new = super::Item { value: super::Value::Stream(super::Stream::default()), ends: None };
        redis.keys.insert(name.to_vec(), new);
    }
    redis.stream(name)?.expect("it is there by now").add(id, fields);
    Ok(())
}

fn read_stream(redis: &mut Redis, most: &[u8], name: &[u8], after: &[u8]) -> Outcome {
    let after = Id::parse(after).expect("an id");
    match redis.next_message(name, after) {
        Err(refused) => Outcome::Reply(refused),
        Ok(Some(reply)) => Outcome::Reply(reply),
        Ok(None) => Outcome::Blocks { stream: name.to_vec(), after, most: number(most) },
    }
}

impl Redis {
    /// What `XREAD` answers, if there is anything.
    pub(crate) fn next_message(&mut self, name: &[u8], after: Id) -> NextMessage {
        let message = self.stream(name)?.and_then(|stream| stream.after(after).next().map(|(id, some)| told(id, some)));
        Ok(message.map(|message| Reply::Map(vec![(Reply::bulk(name), Reply::Array(vec![message]))])))
    }
}

type NextMessage = Result<Option<Reply>, Refused>;

/// All at once: the cursor is at its end.
fn scan(redis: &mut Redis, pattern: &[u8]) -> Reply {
    let Some(prefix) = pattern.strip_suffix(b"*") else { panic!("only beginnings are looked for") };
    let prefix: Vec<u8> = prefix.iter().copied().filter(|byte| *byte != b'\\').collect();
    let now = redis.now;
    // What it is about to tell of, and finds to be over, is gone, also for a clock that is set back.
    redis.keys.retain(|name, item| !(name.starts_with(&prefix) && item.is_over(now)));
    let names = redis.names(now).into_iter().filter(|name| name.starts_with(&prefix));
    Reply::Array(vec![Reply::bulk("0"), Reply::Array(names.map(Reply::Bulk).collect())])
}

pub(super) fn bulk(value: Option<Vec<u8>>) -> Reply {
    value.map_or(Reply::Nil, Reply::Bulk)
}

pub(super) fn number(text: &[u8]) -> u64 {
    str::from_utf8(text).ok().and_then(|text| text.parse().ok()).expect("a number that is not negative")
}
