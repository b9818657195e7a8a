//! The machine of the server: its connections, its clock, its stops and starts.

use std::collections::BTreeMap;

use crate::network::{ConnectionNumber, Delivery, Network, Purpose, Way};
use crate::server::{Effects, Id, Millis, Outcome, Redis, Reply, Session, parse};
use crate::world::{Event, world};

/// When the world began, on the server's clock.
const BEGAN: Millis = 1_800_000_000_000;

/// The server's machine.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) redis: Redis,
    sessions: BTreeMap<ConnectionNumber, Client>,
    pub(crate) clock: Clock,
    is_up: bool,
    runs: u32,
    rounds: u64,
    out: Vec<u8>,
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
    pub(crate) fn start() -> Self {
        Self {
            redis: Redis::new("run-1"),
            sessions: BTreeMap::new(),
            clock: Clock::default(),
            is_up: true,
            runs: 1,
            rounds: 0,
            out: Vec::new(),
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
                    self.sessions.insert(number, Client::default());
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
            if command[0] == b"CLIENT" {
                self.named(network, number);
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
        for (channel, payload) in effects.published {
            let hears = |client: &Client| client.session.channels.contains(&channel);
            let hearing: Vec<_> =
                self.sessions.iter().filter(|(_, client)| hears(client)).map(|(number, _)| *number).collect();
            for number in hearing {
                let message = [b"message".as_slice(), &channel, &payload].map(Reply::bulk);
                self.answer(&Reply::Push(message.into()));
                self.flush(network, number);
            }
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
        let refusal = self.redis.refusal;
        self.redis = data.started_as(&format!("run-{}", self.runs));
        self.redis.refusal = refusal;
        self.is_up = true;
    }

    pub(crate) fn is_up(&self) -> bool {
        self.is_up
    }
}
