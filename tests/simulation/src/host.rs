//! The machine of a server: its connections, its clock, its stops and starts.

use std::collections::BTreeMap;

use crate::network::{ConnectionNumber, Delivery, Network, Purpose, Way};
use crate::plan::Programs;
use crate::server::{Effects, Id, Map, Millis, Outcome, Redis, Reply, Seat, Session, moved, parse};
use crate::world::{Event, world};

/// When the world began, on the server's clock.
const BEGAN: Millis = 1_800_000_000_000;

/// A message and its channel.
pub(crate) type Published = (Vec<u8>, Vec<u8>);

/// A server's machine.
#[derive(Debug)]
pub(crate) struct Host {
    /// Its shard. Without a cluster there is one.
    shard: usize,
    pub(crate) redis: Redis,
    programs: Programs,
    sessions: BTreeMap<ConnectionNumber, Client>,
    pub(crate) clock: Clock,
    is_up: bool,
    /// Whoever writes waits.
    is_paused: bool,
    runs: u32,
    rounds: u64,
    out: Vec<u8>,
    /// What was published here, and has not gone to those who listen.
    published: Vec<Published>,
    /// Somebody was told that its replicas have everything.
    has_replicated: bool,
}

/// A clock that somebody sets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// How far it is ahead, in milliseconds.
    pub(crate) ahead: i64,
    /// How much faster it goes, in millionths.
    pub(crate) drift: i64,
}

#[derive(Debug, Default)]
struct Client {
    session: Session,
    unread: Vec<u8>,
    waits: Option<Waits>,
}

/// A command that blocks.
#[derive(Debug)]
struct Waits {
    round: u64,
    stream: Vec<u8>,
    after: Id,
}

impl Host {
    pub(crate) fn start(shard: usize, map: Option<&Map>, replicas: u32, programs: Programs) -> Self {
        let mut redis = Redis::new(&format!("run-{shard}-1"));
        redis.cluster = map.map(|map| Seat { map: map.clone(), shard });
        redis.replicas = replicas;
        redis.swaps = programs.of(shard, 1);
        Self {
            shard,
            redis,
            programs,
            sessions: BTreeMap::new(),
            clock: Clock::default(),
            is_up: true,
            is_paused: false,
            runs: 1,
            rounds: 0,
            out: Vec::new(),
            published: Vec::new(),
            has_replicated: false,
        }
    }

    pub(crate) fn millis(&self) -> Millis {
        let elapsed = i64::try_from(world().now() / 1_000_000).expect("a run is short");
        let shown = elapsed + elapsed * self.clock.drift / 1_000_000 + self.clock.ahead;
        BEGAN.saturating_add_signed(shown)
    }

    /// Something has come over a connection.
    pub(crate) fn receive(&mut self, network: &mut Network, number: ConnectionNumber, delivery: Delivery) {
        match delivery {
            Delivery::Connect => {
                if self.is_up {
                    let life = self.redis.cluster.as_ref().map(|seat| seat.map.lives[self.shard]);
                    let is_of_replica = life.is_some_and(|life| network.connections[&number].life != life);
                    let session = Session { is_of_replica, ..Session::default() };
                    self.sessions.insert(number, Client { session, ..Client::default() });
                }
                network.send(number, Delivery::Connected { refused: !self.is_up });
            }
            Delivery::Closed(_) => {
                self.sessions.remove(&number);
                network.forget(number);
            }
            Delivery::Reset(_) => {
                self.sessions.remove(&number);
            }
            Delivery::Bytes(_, bytes) => match self.sessions.get_mut(&number) {
                Some(client) => {
                    client.unread.extend(bytes);
                    self.serve(network, number);
                }
                None => network.send(number, Delivery::Reset(Way::ToProcess)),
            },
            Delivery::Connected { .. } => {}
        }
    }

    /// A command that blocks has waited long enough.
    pub(crate) fn unblock(&mut self, network: &mut Network, number: ConnectionNumber, round: u64) {
        let Some(client) = self.sessions.get_mut(&number) else { return };
        if client.waits.take_if(|waits| waits.round == round).is_some() {
            self.answer(&Reply::Nil);
            self.flush(network, number);
            self.serve(network, number);
        }
    }

    /// All commands that have arrived whole.
    fn serve(&mut self, network: &mut Network, number: ConnectionNumber) {
        let (now, mut effects) = (self.millis(), Effects::default());
        let mut read = 0;
        while let Some(client) = self.sessions.get_mut(&number)
            && client.waits.is_none()
            && let Some((command, length)) = parse(&client.unread[read..])
            && !(self.is_paused && may_write(&command))
        {
            read += length;
            world().note(world().now(), &command);
            match self.redis.execute(&mut client.session, now, &command, &mut effects) {
                Outcome::Reply(reply) if command[0] == b"SUBSCRIBE" => self.answer_each(reply),
                Outcome::Reply(reply) => self.answer(&reply),
                Outcome::Blocks { stream, after, most } => {
                    self.rounds += 1;
                    client.waits = Some(Waits { round: self.rounds, stream, after });
                    let over = world().now() + most * 1_000_000;
                    world().at(over, Event::Unblock(number, self.rounds));
                }
            }
            match command[0].as_slice() {
                b"CLIENT" => self.named(network, number),
                b"WAIT" => self.has_replicated |= self.redis.replicas > 0,
                _ => {}
            }
        }
        if let Some(client) = self.sessions.get_mut(&number) {
            client.unread.drain(..read);
        }
        self.flush(network, number);
        self.take_effect(network, effects);
    }

    fn named(&mut self, network: &mut Network, number: ConnectionNumber) {
        let Some(client) = self.sessions.get(&number) else { return };
        let purpose = match client.session.name.rsplit(':').next() {
            Some("pool") => Purpose::Pool,
            Some("bus") => Purpose::Bus,
            Some("ear") => Purpose::Ear,
            _ => return,
        };
        if let Some(connection) = network.connections.get_mut(&number)
            && connection.purpose != purpose
        {
            connection.purpose = purpose;
            network.hold_again();
        }
    }

    /// Who waits for what has happened hears of it.
    fn take_effect(&mut self, network: &mut Network, effects: Effects) {
        for stream in effects.streams {
            let waits = |client: &Client| client.waits.as_ref().is_some_and(|waits| waits.stream == stream);
            let waiting: Vec<_> =
                self.sessions.iter().filter(|(_, client)| waits(client)).map(|(number, _)| *number).collect();
            for number in waiting {
                self.tell(network, number);
            }
        }
        self.published.extend(effects.published);
    }

    /// Whether somebody was told since it was asked last that its replicas have everything.
    pub(crate) fn take_replicated(&mut self) -> bool {
        std::mem::take(&mut self.has_replicated)
    }

    /// What was published here since it was taken last.
    pub(crate) fn take_published(&mut self) -> Vec<Published> {
        std::mem::take(&mut self.published)
    }

    /// Tells those who listen here what was published, here or on another server of the cluster.
    pub(crate) fn pass_on(&mut self, network: &mut Network, published: &[Published]) {
        for (channel, payload) in published {
            let hears = |client: &Client| client.session.channels.contains(channel);
            let hearing: Vec<_> =
                self.sessions.iter().filter(|(_, client)| hears(client)).map(|(number, _)| *number).collect();
            for number in hearing {
                let message = [b"message".as_slice(), channel, payload].map(Reply::bulk);
                self.answer(&Reply::Push(message.into()));
                self.flush(network, number);
            }
        }
    }

    /// Whoever writes waits from now on, or no longer.
    pub(crate) fn pause(&mut self, network: &mut Network, is_paused: bool) {
        self.is_paused = is_paused;
        let waiting: Vec<_> = self.sessions.keys().copied().collect();
        for number in waiting {
            self.serve(network, number);
        }
    }

    /// The slots of its cluster are others' now: who waits for what is elsewhere is sent on.
    pub(crate) fn learn(&mut self, network: &mut Network, map: &Map) {
        self.redis.cluster = Some(Seat { map: map.clone(), shard: self.shard });
        let waits = |client: &Client| client.waits.as_ref().is_some_and(|waits| map.owner(&waits.stream) != self.shard);
        let waiting: Vec<_> =
            self.sessions.iter().filter(|(_, client)| waits(client)).map(|(number, _)| *number).collect();
        for number in waiting {
            let Some(waits) = self.sessions.get_mut(&number).and_then(|client| client.waits.take()) else { continue };
            self.answer(&moved(map, &waits.stream));
            self.flush(network, number);
            self.serve(network, number);
        }
    }

    fn tell(&mut self, network: &mut Network, number: ConnectionNumber) {
        let Some(client) = self.sessions.get_mut(&number) else { return };
        let Some(Waits { stream, after, .. }) = &client.waits else { return };
        if let Ok(Some(reply)) = self.redis.next_message(stream, *after) {
            client.waits = None;
            self.answer(&reply);
            self.flush(network, number);
            self.serve(network, number);
        }
    }

    fn answer_each(&mut self, replies: Reply) {
        match replies {
            Reply::Array(replies) => replies.iter().for_each(|reply| self.answer(reply)),
            reply => self.answer(&reply),
        }
    }

    fn answer(&mut self, reply: &Reply) {
        reply.write(&mut self.out);
    }

    fn flush(&mut self, network: &mut Network, number: ConnectionNumber) {
        if !self.out.is_empty() {
            network.send(number, Delivery::Bytes(Way::ToProcess, std::mem::take(&mut self.out)));
        }
    }

    /// Somebody adds a message to a stream. Nothing, if it is not taken.
    pub(crate) fn add(&mut self, network: &mut Network, stream: &[u8], fields: &[Vec<u8>]) -> Option<Id> {
        let (now, mut effects) = (self.millis(), Effects::default());
        let command = [&[b"XADD".to_vec(), stream.to_vec(), b"*".to_vec()], fields].concat();
        let outcome = self.is_up.then(|| self.redis.execute(&mut Session::default(), now, &command, &mut effects));
        self.take_effect(network, effects);
        matches!(outcome, Some(Outcome::Reply(Reply::Bulk(_)))).then(|| self.redis.last_id(stream)).flatten()
    }

    /// It is gone, and all its connections with it.
    pub(crate) fn crash(&mut self) -> Vec<ConnectionNumber> {
        self.is_up = false;
        std::mem::take(&mut self.sessions).into_keys().collect()
    }

    /// It runs again, with these data.
    pub(crate) fn start_with(&mut self, data: &Redis) {
        self.runs += 1;
        // What it refuses now is no matter of what it remembers.
        let now = std::mem::replace(&mut self.redis, data.started_as(&format!("run-{}-{}", self.shard, self.runs)));
        (self.redis.refusal, self.redis.replicas, self.redis.cluster) = (now.refusal, now.replicas, now.cluster);
        self.redis.swaps = self.programs.of(self.shard, self.runs);
        self.redis.keep_own();
        self.is_up = true;
    }

    pub(crate) fn is_up(&self) -> bool {
        self.is_up
    }
}

/// Whether a server that takes no writes lets this wait: what writes, and every script.
fn may_write(command: &[Vec<u8>]) -> bool {
    const READS: &[&[u8]] = &[
        b"CLIENT",
        b"CLUSTER",
        b"GET",
        b"HELLO",
        b"HGETALL",
        b"INFO",
        b"MGET",
        b"PING",
        b"ROLE",
        b"SCAN",
        b"SCRIPT",
        b"SELECT",
        b"SUBSCRIBE",
        b"TYPE",
        b"WAIT",
        b"XREAD",
    ];
    !READS.contains(&command[0].as_slice())
}
