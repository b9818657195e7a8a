//! The simulated server answers as a real one: the same commands at random, equal replies, key by key and in every script.
//!
//! `CACHE_SIMULATION_COMMANDS` asks for more than the default of 4,000.
//!
//! Time passes in the real server while a command is on its way. Each command stands between two `TIME`s, so that its time is known
//! to the millisecond, mostly. Where it is not, the simulated server is followed at both times until an answer tells which
//! was right.
#![cfg(unix)]

mod client;

use cache_simulation::server::{Effects, Millis, Outcome, Redis, Refusal, Reply, Session, Swaps};
use cache_tests::RedisServer;
use client::Client;
use fastrand::Rng;

/// A few names, so that commands meet: entries, stamps, and what the bus stands on.
const NAMES: [&str; 8] = ["e1", "e2", "e3", "s1", "s2", "bus", "routes", "nodes"];

/// The last that there can be: no message follows one that has it.
const LAST_ID: &[u8] = b"18446744073709551615-18446744073709551615";

/// More possible states than that at a time would be a mistake of the test's own.
const MOST_STATES: usize = 64;

struct Comparison {
    real: Client,
    /// What the simulated server's state may be.
    states: Vec<Redis>,
    session: Session,
    random: Rng,
}

type Command = Vec<Vec<u8>>;

fn command(words: &[&[u8]]) -> Command {
    words.iter().map(|word| word.to_vec()).collect()
}

impl Comparison {
    fn start(server: &RedisServer, seed: u64) -> Self {
        let mut real = Client::connect(server.address());
        let mut simulated = Redis::new("run");
        simulated.swaps = swaps(&mut real);
        let states = vec![simulated];
        let mut comparison = Self { real, states, session: Session::default(), random: Rng::with_seed(seed) };
        for script in cache_runtime::simulation::scripts() {
            comparison.check(&command(&[b"SCRIPT", b"LOAD", script.code.as_bytes()]));
        }
        comparison
    }

    /// Both do it, and answer alike.
    #[track_caller]
    fn check(&mut self, command: &Command) {
        let (before, reply, after) = self.real.between_times(command);
        let reply = normal(command, reply);
        let mut states: Vec<Redis> = Vec::new();
        let mut answers = Vec::new();
        let moments = (before..=after).flat_map(|now| (0..=after - now).map(move |moves| (now, moves)));
        for (now, moves) in moments {
            for state in &self.states {
                let mut state = state.clone();
                state.moves = moves;
                let outcome = state.execute(&mut self.session, now, command, &mut Effects::default());
                let Outcome::Reply(answer) = outcome else { panic!("nothing blocks here") };
                let answer = normal(command, answer);
                if answer == reply {
                    if !states.iter().any(|other| other.is_like(&state)) {
                        states.push(state);
                    }
                } else {
                    answers.push(answer);
                }
            }
        }
        let words: Vec<_> = command.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        assert!(!states.is_empty(), "{words:?}\nreal:      {reply:?}\nsimulated: {answers:?}");
        assert!(states.len() < MOST_STATES, "too much is possible");
        self.states = states;
        if before != after {
            self.settle(after - before);
        }
    }

    /// A real server may look at its clock more than once in a command: what began in one millisecond and ended in the next
    /// has set ends by either.
    fn settle(&mut self, margin: Millis) {
        for name in NAMES {
            if let Reply::Int(at) = self.real.ask(&command(&[b"PEXPIRETIME", name.as_bytes()]))
                && let Ok(at) = Millis::try_from(at)
            {
                self.states.iter_mut().for_each(|state| state.ends_at(name.as_bytes(), at, margin));
            }
        }
    }

    fn name(&mut self) -> &'static [u8] {
        NAMES[self.random.usize(0..NAMES.len())].as_bytes()
    }

    /// A name that is mostly of this kind: the rest is damage.
    fn mostly(&mut self, names: &[&'static str]) -> &'static [u8] {
        if self.random.u32(0..20) == 0 { self.name() } else { names[self.random.usize(0..names.len())].as_bytes() }
    }

    /// Short, so that much ends while it is looked at; some live long.
    fn life(&mut self) -> Vec<u8> {
        let most = if self.random.bool() { 8 } else { 2_000 };
        self.random.u64(1..=most).to_string().into_bytes()
    }

    /// One of a few, so that they are often the right ones.
    fn token(&mut self) -> [u8; 16] {
        [b'a' + self.random.u8(0..3); 16]
    }

    fn slot(&mut self) -> Vec<u8> {
        let mut slot = vec![b"LVC"[self.random.usize(0..3)], b"01"[self.random.usize(0..2)]];
        slot.extend(self.token());
        match self.random.u32(0..6) {
            0 => slot.truncate(self.random.usize(0..18)),
            1..4 if slot[0] == b'V' => {
                let ends = if self.random.bool() { 0 } else { 1_700_000_000_000 + self.random.u64(0..1 << 40) };
                slot.extend(ends.to_be_bytes());
                slot.extend(b"a value");
            }
            _ => {}
        }
        slot
    }

    fn id(&mut self) -> Vec<u8> {
        let known = self.states[0].clone();
        match self.random.u32(0..3) {
            0 => b"0-0".to_vec(),
            1 => b"99999999999999-0".to_vec(),
            _ => known.last_id(b"bus").map_or(b"0-0".to_vec(), |id| id.to_string().into_bytes()),
        }
    }

    fn plain(&mut self) -> Command {
        let (name, slot, life) = (self.name(), self.slot(), self.life());
        match self.random.u32(0..15) {
            0 => command(&[b"GET", name]),
            1 => command(&[b"MGET", b"e1", name, b"s1", b"bus"]),
            2 => command(&[b"SET", self.mostly(&["e1", "e2", "e3"]), &slot, b"PX", &life]),
            3 => command(&[b"SET", self.mostly(&["s1", "s2", "e1"]), &slot, b"NX", b"GET", b"PX", &life]),
            4 => command(&[b"PEXPIRE", name, &life, b"GT"]),
            5 => command(&[b"UNLINK", name]),
            6 => command(&[b"TYPE", name]),
            7 => command(&[b"HSET", self.mostly(&["routes", "nodes"]), b":version", &slot]),
            8 => command(&[b"HDEL", self.mostly(&["routes", "nodes"]), b":version"]),
            9 => command(&[b"HGETALL", self.mostly(&["routes", "nodes"])]),
            10 => command(&[b"XADD", self.mostly(&["bus"]), b"*", b"event", b"E", b"json", &slot]),
            11 if self.random.u32(0..3) == 0 => command(&[b"XADD", b"bus", LAST_ID, b"event", b"E"]),
            11 => command(&[b"XADD", b"bus", b"99999999999999-1", b"event", b"E"]),
            12 => command(&[b"XTRIM", self.mostly(&["bus"]), b"MAXLEN", b"3"]),
            13 => self.swap(&slot, &life),
            _ => command(&[b"SCAN", b"0", b"MATCH", b"e*", b"COUNT", b"1000"]),
        }
    }

    /// Often of what stands there.
    fn swap(&mut self, slot: &[u8], life: &[u8]) -> Command {
        let name = self.mostly(&["e1", "e2", "e3"]);
        let old = self.states[0].string(name).filter(|_| self.random.u32(0..4) > 0).map(<[u8]>::to_vec);
        let old = old.unwrap_or_else(|| self.slot());
        command(&[b"SET", name, slot, b"PX", life, b"IFEQ", &old])
    }

    fn script(&mut self) -> Command {
        let (slot, life, token) = (self.slot(), self.life(), self.token());
        let entry = self.mostly(&["e1", "e2", "e3"]);
        let mut head = slot.clone();
        head.truncate(18);
        match self.random.u32(0..11) {
            0 => call("finish", &[entry], &[&token, b"wake", &slot, &life]),
            1 => self.finish_some(&slot, &life),
            2 => self.invalidate(entry, &slot, &life),
            3 => call("nodes", &[b"nothing", self.mostly(&["nodes"])], &[b"5"]),
            4 | 5 => self.probe(),
            6 => call("refresh", &[entry], &[&token, &life]),
            7 => call(
                "register",
                &[b"nothing", self.mostly(&["routes"])],
                &[&token, b"field", &slot[..slot.len().min(1)], b"other", b"1"],
            ),
            8 if self.random.bool() => call("mark", &[self.mostly(&["e1", "s1", "bus"])], &[&life]),
            8 => call("renew", &[entry, b"e1"], &[&life, &token, &token]),
            9 => call("replace", &[entry], &[&head, &slot, &life]),
            10 if self.random.bool() => call("steal", &[entry], &[&head, &slot, &life]),
            _ => call("watch", &[entry], &[&token]),
        }
    }

    /// Several leases end at once.
    fn finish_some(&mut self, slot: &[u8], life: &[u8]) -> Command {
        let entries = [self.mostly(&["e1", "e2", "e3"]), b"e1", b"e2"];
        let tokens = entries.map(|_| self.token());
        let ends = tokens.iter().map(|token| {
            let kept: &[u8] = if self.random.bool() { slot } else { b"" };
            [token.as_slice(), b"wake", kept, life]
        });
        let args: Vec<&[u8]> = ends.flatten().collect();
        call("finish", &entries, &args)
    }

    fn invalidate(&mut self, entry: &[u8], slot: &[u8], life: &[u8]) -> Command {
        let version = self.states[0].version(b"routes").filter(|_| self.random.bool()).unwrap_or_default();
        let (bus, routes) = (self.mostly(&["bus"]), self.mostly(&["routes"]));
        let life = if self.random.bool() { life } else { b"" };
        let args: [&[u8]; 8] = [b"1000", &version, life, slot, b"event", b"E", b"keys", b"[]"];
        call("invalidate", &[b"nothing", bus, routes, self.mostly(&["nodes"]), b"s1", entry], &args)
    }

    fn probe(&mut self) -> Command {
        let (id, bus, routes) = (self.id(), self.mostly(&["bus"]), self.mostly(&["routes"]));
        let from = if self.random.bool() { id.clone() } else { Vec::new() };
        let most = self.random.u64(1..5).to_string().into_bytes();
        let (room, longest) = (self.random.u64(1..200).to_string(), self.random.u64(10..60).to_string());
        let args: [&[u8]; 7] = [b"node", &id, b"500", &from, &most, room.as_bytes(), longest.as_bytes()];
        call("probe", &[b"nothing", bus, routes, self.mostly(&["nodes"])], &args)
    }

    /// Now and then there is no memory.
    fn fill(&mut self) {
        let is_full = self.states[0].refusal == Refusal::NoMemory;
        let memory: &[u8] = if is_full { b"0" } else { b"1" };
        self.real.ask(&command(&[b"CONFIG", b"SET", b"maxmemory", memory]));
        let refusal = if is_full { Refusal::Nothing } else { Refusal::NoMemory };
        self.states.iter_mut().for_each(|state| state.refusal = refusal);
    }
}

/// Whether the real server has `SET .. IFEQ`; if not, it is compared how it refuses it.
fn swaps(real: &mut Client) -> Swaps {
    match real.ask(&command(&[b"SET", b"e1", b"new", b"PX", b"1", b"IFEQ", b"old"])) {
        Reply::Nil => Swaps::Some,
        refused => {
            eprintln!("the server has no `SET .. IFEQ`: {refused:?}");
            Swaps::None
        }
    }
}

fn call(name: &str, keys: &[&[u8]], args: &[&[u8]]) -> Command {
    let script = cache_runtime::simulation::scripts().into_iter().find(|script| script.name == name);
    let digest = script.expect("it is in the table").digest;
    let mut words: Vec<&[u8]> = vec![b"EVALSHA", digest.as_bytes()];
    let count = keys.len().to_string();
    words.push(count.as_bytes());
    words.extend(keys);
    words.extend(args);
    command(&words)
}

/// Of errors only the code counts; fields and names have no order.
fn normal(command: &Command, reply: Reply) -> Reply {
    match reply {
        Reply::Error(text) => Reply::Error(text.split(' ').next().unwrap_or_default().to_owned()),
        Reply::Map(mut pairs) => {
            pairs.sort_by_key(|(key, _)| format!("{key:?}"));
            Reply::Map(pairs)
        }
        Reply::Array(replies) if command[0] == b"SCAN" => {
            let sorted = |reply| match reply {
                Reply::Array(mut names) => {
                    names.sort_by_key(|name| format!("{name:?}"));
                    Reply::Array(names)
                }
                other => other,
            };
            Reply::Array(replies.into_iter().map(sorted).collect())
        }
        other => other,
    }
}

#[test]
fn it_answers_as_a_real_one_does() {
    let commands = std::env::var("CACHE_SIMULATION_COMMANDS").ok().and_then(|count| count.parse().ok());
    let commands: usize = commands.unwrap_or(4_000);
    let server = RedisServer::start();
    let mut comparison = Comparison::start(&server, fastrand::u64(..));
    let mut nothing = 0;
    for _ in 0..commands {
        if comparison.random.u32(0..50) == 0 {
            comparison.fill();
        }
        let command = if comparison.random.bool() { comparison.plain() } else { comparison.script() };
        comparison.check(&command);
        nothing += usize::from(comparison.states[0].is_empty());
    }
    assert!(nothing < commands / 2, "a server without data answers little");
}
