//! Invalidations: what is invalid goes first, the bus hears of it after.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::{Cmd, Value};

use crate::fault::{Fault, Refusal};
use crate::instant::Instant;
use crate::redis::store::flush::{Addressed, flush, unlink, unlink_by_slot};
use crate::redis::store::{Store, millis};
use crate::redis::{HashSlot, reply, scripts};
use crate::store::{Invalidated, Invalidation, Needed};

/// How often the unlinks are repeated when the servers change under them.
const TRIES: usize = 3;

/// Names that are unlinked at once.
const UNLINKED_AT_ONCE: usize = 1_000;

/// No routes have this version: theirs are hexadecimal.
const NO_VERSION: &str = "-";

/// Commands that wait for the replicas of a server.
pub(super) const WAITING: usize = 2;

/// How long the bus' own connection waits for replicas at a time.
const AT_ONCE: Duration = Duration::from_millis(5);

impl Store {
    /// Unlinks, puts, and tells the bus, if the routes are those of this version still (nothing: there were none). After
    /// a fault it is not known how much of it happened: all of it may be repeated.
    ///
    /// Where one server has all keys, one script does it. In a cluster every slot acknowledges first.
    pub(crate) async fn invalidate(
        &self,
        invalidation: &Invalidation,
        routes: Option<&str>,
    ) -> Result<Invalidated, Fault> {
        let generation = *self.servers.generation().borrow();
        let bus = self.slot(&self.names.bus);
        let put = invalidation.put.as_ref().map(|(name, ..)| name);
        let is_together = invalidation.unlink.iter().chain(put).all(|name| self.slot(name) == bus);
        // Where too few replicas have it, the others hear of it all the same, as they do from one server.
        let (replicated, done) = if is_together {
            (Ok(()), self.tell(invalidation, invalidation, routes).await?)
        } else {
            let replicated = self.unlink_everywhere(invalidation).await?;
            (replicated, self.tell(&Invalidation::default(), invalidation, routes).await?)
        };
        // Nobody was told yet: it is to be planned anew, whatever the replicas have.
        if done == Invalidated::RoutesChanged {
            return Ok(done);
        }
        replicated?;
        self.replicated(generation).await?;
        Ok(done)
    }

    /// Unlinks and tells nobody. A load between two pieces may be made of what goes with the second, so that there are
    /// several rounds of them.
    pub(crate) async fn unlink(&self, names: Vec<String>) -> Result<(), Fault> {
        let pieces = names.chunks(UNLINKED_AT_ONCE);
        let rounds = pieces.len().min(self.most_rounds);
        let mut replicated = Ok(());
        for piece in (0..rounds).flat_map(|_| pieces.clone()) {
            let piece = Invalidation { unlink: piece.to_vec(), ..Invalidation::default() };
            replicated = replicated.and(self.unlink_everywhere(&piece).await?);
        }
        replicated
    }

    /// Whether the bus can be told: all that it takes is done, and nothing told.
    pub(super) async fn could_tell(&self) -> Result<(), Fault> {
        let nothing = Invalidation::default();
        self.tell(&nothing, &nothing, Some(NO_VERSION)).await.map(drop)
    }

    /// Makes invalid what `first` names, then tells of `told`.
    async fn tell(
        &self,
        first: &Invalidation,
        told: &Invalidation,
        routes: Option<&str>,
    ) -> Result<Invalidated, Fault> {
        let (length, put) = (self.bus_length.to_string(), first.put.as_ref());
        let life = put.map(|(_, _, life)| millis(*life).to_string()).unwrap_or_default();
        let mut keys: Vec<&str> = vec![&self.names.nothing, &self.names.bus, &self.names.routes, &self.names.nodes];
        keys.extend(unlinked(first));
        keys.extend(put.map(|(name, ..)| name.as_str()));
        let value = put.map_or(&[][..], |(_, value, _)| value);
        let mut args = vec![length.as_bytes(), routes.unwrap_or_default().as_bytes(), life.as_bytes(), value];
        args.extend(told.fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_slice()]));
        // Over the bus' own connection only where it has to wait for replicas: a process whose bus alone is cut can tell.
        let told = if self.min_replicas == 0 {
            self.servers.script(self.slot(&self.names.bus), &scripts::INVALIDATE, &keys, &args).await
        } else {
            self.servers.bus_script(&scripts::INVALIDATE, &keys, &args).await
        };
        match told? {
            Value::Nil => Ok(Invalidated::RoutesChanged),
            position => Ok(Invalidated::At(reply::position_of(position)?)),
        }
    }

    /// Every slot has acknowledged, and no server has changed since the first was asked. Whether enough replicas have it.
    ///
    /// In several rounds, where there are several slots: what a load makes of other cached values between two of them goes
    /// with the next.
    async fn unlink_everywhere(&self, invalidation: &Invalidation) -> Result<Result<(), Fault>, Fault> {
        let generation = self.servers.generation();
        let slots = self.unlink_commands(invalidation).len();
        for _ in 0..TRIES {
            let (before, mut replicated) = (*generation.borrow(), Ok(()));
            for _ in 0..slots.min(self.most_rounds) {
                replicated = replicated.and(self.send(self.unlink_commands(invalidation)).await?);
            }
            replicated = replicated.and(self.put(invalidation).await?);
            if *generation.borrow() == before {
                return Ok(replicated);
            }
        }
        Err(changed())
    }

    fn unlink_commands(&self, invalidation: &Invalidation) -> Vec<Addressed> {
        unlink_by_slot(unlinked(invalidation).map(|name| (self.slot(name), name)).collect())
    }

    async fn put(&self, invalidation: &Invalidation) -> Result<Result<(), Fault>, Fault> {
        let Some((name, value, life)) = &invalidation.put else { return Ok(Ok(())) };
        let mut set = Cmd::with_capacity(5, name.len() + value.len() + 32);
        set.arg("SET").arg(name).arg(value).arg("PX").arg(millis(*life));
        match self.send(vec![(self.slot(name), set)]).await {
            // There is no room for the new value; the old one goes all the same.
            Err(Fault::Refused(Refusal::OutOfMemory, _)) => {
                self.send(vec![(self.slot(name), unlink([name.as_str()]))]).await
            }
            outcome => outcome,
        }
    }

    /// Sends writes, and behind those of each server, on the same connection, the wait for its replicas. Whether enough
    /// replicas have all of it.
    async fn send(&self, writes: Vec<Addressed>) -> Result<Result<(), Fault>, Fault> {
        let slots: Vec<_> = writes.iter().map(|(slot, _)| *slot).collect();
        self.send_and_wait(writes, &slots).await
    }

    /// Whether enough replicas have all that this server was told before.
    pub(super) async fn was_replicated(&self, primary: HashSlot) -> Result<Result<(), Fault>, Fault> {
        self.send_and_wait(Vec::new(), &[primary]).await
    }

    async fn send_and_wait(&self, writes: Vec<Addressed>, slots: &[HashSlot]) -> Result<Result<(), Fault>, Fault> {
        let (count, mut commands) = (writes.len(), writes);
        let servers: BTreeSet<_> = slots.iter().map(|slot| self.servers.server_of(*slot)).collect();
        let primaries = if self.min_replicas > 0 { self.servers.primaries() } else { Vec::new() };
        let primaries = primaries.into_iter().map(|slot| (self.servers.server_of(slot), slot));
        // Half of an operation's time: a replica that is slow is told from a server that does not answer.
        let most = self.op_timeout / 2;
        let mut patiences = Vec::new();
        for (server, slot) in primaries.filter(|(server, _)| servers.contains(server)) {
            let patience = self.short.patience(Needed::Server(server), most);
            commands.extend(self.waiting(slot, patience));
            patiences.push((server, patience));
        }
        let mut replies = flush(&self.servers, commands).await;
        let waits = replies.split_off(count);
        // What one of them says is remembered, whatever the others do.
        let heard = patiences.into_iter().zip(waits.chunks(WAITING));
        let checked: Vec<_> =
            heard.map(|((server, patience), replies)| self.heard(server, patience, replies)).collect();
        replies.into_iter().try_for_each(|reply| reply.map(drop))?;
        told_apart(checked.into_iter().collect())
    }

    /// What waits for the replicas of this slot's server, whoever has written what they lack.
    pub(super) fn waiting(&self, slot: HashSlot, patience: Duration) -> [Addressed; WAITING] {
        let mark = self.marks.write(slot, |name| self.slot(name));
        [mark, self.wait(patience)].map(|command| (slot, command))
    }

    /// What a server told of its replicas when it had [waited](Self::waiting) so long for them.
    pub(super) fn heard(
        &self,
        server: Option<usize>,
        patience: Duration,
        replies: &[Result<Value, Fault>],
    ) -> Result<(), Fault> {
        let [mark, wait] = replies else { return Err(Fault::Nonsense("a reply is missing".to_owned())) };
        mark.as_ref().map_err(Fault::clone)?;
        let checked = self.check_replicas(wait.as_ref().map_err(Fault::clone)?);
        self.short.heard(Needed::Server(server), patience, checked.is_ok());
        checked
    }

    /// Enough replicas have what was written on the bus' own connection, which is still the one of that `generation`.
    /// Asked again and again, since a connection that waits does nothing else, and this one has probes to send.
    async fn replicated(&self, generation: u64) -> Result<(), Fault> {
        if self.min_replicas == 0 {
            return Ok(());
        }
        self.replicated_within(self.short.patience(Needed::Bus, self.op_timeout), generation).await
    }

    pub(super) async fn replicated_within(&self, patience: Duration, generation: u64) -> Result<(), Fault> {
        let deadline = Instant::now() + patience;
        loop {
            let reply = self.servers.bus_command(&self.wait(AT_ONCE.min(patience))).await?;
            if *self.servers.generation().borrow() != generation {
                return Err(changed());
            }
            match self.check_replicas(&reply) {
                Err(Fault::Refused(..)) if Instant::now() < deadline => {}
                checked => {
                    self.short.heard(Needed::Bus, patience, checked.is_ok());
                    return checked;
                }
            }
        }
    }

    /// The replicas that have everything this connection wrote, after so long at most.
    pub(super) fn wait(&self, most: Duration) -> Cmd {
        let mut wait = Cmd::with_capacity(3, 32);
        wait.arg("WAIT").arg(self.min_replicas).arg(millis(most));
        wait
    }

    pub(super) fn check_replicas(&self, reply: &Value) -> Result<(), Fault> {
        let have = reply::number(reply, "replicas")?;
        if have >= u64::try_from(self.min_replicas).unwrap_or(u64::MAX) {
            return Ok(());
        }
        Err(Fault::Refused(Refusal::TooFewReplicas, format!("{have} of {} replicas have it", self.min_replicas)))
    }
}

/// That too few replicas have it, told apart from what hindered it.
fn told_apart(done: Result<(), Fault>) -> Result<Result<(), Fault>, Fault> {
    match done {
        Err(fault @ Fault::Refused(Refusal::TooFewReplicas, _)) => Ok(Err(fault)),
        done => done.map(Ok),
    }
}

fn changed() -> Fault {
    Fault::Broken("the servers changed while they were told".to_owned())
}

/// What goes without anything in its place.
fn unlinked(invalidation: &Invalidation) -> impl Iterator<Item = &str> {
    let put = invalidation.put.as_ref().map(|(name, ..)| name.as_str());
    invalidation.unlink.iter().map(String::as_str).filter(move |name| Some(*name) != put)
}
