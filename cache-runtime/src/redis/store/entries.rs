//! What is done to entries: leases, from their taking to their end, and the stamps around them.

use std::time::Duration;

use redis::{Cmd, Value};

use crate::fault::{Fault, Refusal};
use crate::names;
use crate::redis::scripts::{self, Script};
use crate::redis::store::flush::{Addressed, all, flush, unlink};
use crate::redis::store::leases::{End, Take};
use crate::redis::store::{Store, millis, read};
use crate::redis::{HashSlot, reply};
use crate::store::{Ended, Ending, HEAD, Leased, Over, Slot, Stamp, Token};

/// How many leases one script renews at most.
const RENEWED_AT_ONCE: usize = 256;

/// How many scripts renew leases at the same time.
const RENEWALS: usize = 256;

impl Store {
    /// Takes the lease, and reads the stamps in the same flush; missing ones are created.
    ///
    /// # Cancel safety
    /// Dropped, it may have been taken: end it, or it expires.
    pub(crate) async fn lease(
        &self,
        entry: &str,
        over: &Over,
        stamps: &[String],
        stamp_life: Duration,
        token: Token,
    ) -> Result<Leased, Fault> {
        if let (Over::Nothing | Over::Unseen, []) = (over, stamps) {
            let take = Take { entry, token, life: self.lease };
            let found = self.takes.ask(take, |replies| replies[0].clone()).await;
            return Ok(match reply::typed_slot(found)? {
                Slot::Empty => Leased::Taken(Vec::new()),
                held => Leased::Held(held),
            });
        }
        // Boxed: most leases do without, and would carry it along.
        Box::pin(self.lease_with(entry, over, stamps, stamp_life, token)).await
    }

    async fn lease_with(
        &self,
        entry: &str,
        over: &Over,
        stamps: &[String],
        stamp_life: Duration,
        token: Token,
    ) -> Result<Leased, Fault> {
        let fresh: Vec<Stamp> = stamps.iter().map(|_| Stamp(Token::fresh().0)).collect();
        let mut commands = self.stamp_commands(stamps, &fresh, stamp_life);
        let (found, replies) = match over {
            Over::Nothing | Over::Unseen => {
                commands.insert(0, (self.slot(entry), set_new(entry, &head(b'L', token), self.lease)));
                let mut replies = flush(&self.servers, commands).await;
                (replies.remove(0), replies)
            }
            Over::Head(head) => tokio::join!(self.steal(entry, head, token), flush(&self.servers, commands)),
        };
        let held = reply::typed_slot(found)?;
        if held != Slot::Empty {
            return Ok(Leased::Held(held));
        }
        match self.snapshot(stamps, fresh, stamp_life, replies).await {
            Ok(snapshot) => Ok(Leased::Taken(snapshot)),
            Err(fault) => {
                // Nobody is to wait for a load that will not be kept. If this fails too, the lease expires.
                _ = self.end(entry, token, Ending::Release, &[]).await;
                Err(fault)
            }
        }
    }

    async fn steal(&self, entry: &str, head_seen: &[u8], token: Token) -> Result<Value, Fault> {
        let lease = millis(self.lease).to_string();
        self.script(&scripts::STEAL, entry, &[head_seen, &head(b'L', token), lease.as_bytes()]).await
    }

    /// Two for each stamp: the nonce, made if there is none, and a life that is long enough.
    fn stamp_commands(&self, stamps: &[String], fresh: &[Stamp], life: Duration) -> Vec<Addressed> {
        let mut commands = Vec::with_capacity(1 + 2 * stamps.len());
        for (stamp, nonce) in stamps.iter().zip(fresh) {
            let slot = self.slot(stamp);
            commands.push((slot, set_new(stamp, &nonce.0, life)));
            commands.push((slot, prolonged(stamp, life)));
        }
        commands
    }

    /// Stamps that are there live as long as what is stored under them without a lease. Where this fails they end sooner, and
    /// it with them.
    pub(crate) async fn prolong(&self, stamps: &[String], life: Duration) {
        let commands = stamps.iter().map(|stamp| (self.slot(stamp), prolonged(stamp, life))).collect();
        for refused in flush(&self.servers, commands).await.into_iter().filter_map(Result::err) {
            tracing::debug!(fault = %refused, "a stamp was not prolonged");
        }
    }

    /// The stamps that the replies to `stamp_commands` tell of.
    async fn snapshot(
        &self,
        stamps: &[String],
        mut fresh: Vec<Stamp>,
        life: Duration,
        replies: Vec<Result<Value, Fault>>,
    ) -> Result<Vec<Stamp>, Fault> {
        let mut replies = replies.into_iter();
        for (name, nonce) in stamps.iter().zip(&mut fresh) {
            let (found, _prolonged) = (replies.next(), replies.next());
            match found.unwrap_or_else(|| Err(Fault::Nonsense("a stamp without a reply".to_owned()))) {
                Ok(Value::Nil) => {}
                Err(Fault::Refused(Refusal::WrongType, _)) => *nonce = self.replace(name, *nonce, life).await?,
                Err(fault) => return Err(fault),
                Ok(found) => match reply::stamp_value(&found) {
                    Some(stamp) => *nonce = stamp,
                    None => *nonce = self.replace(name, *nonce, life).await?,
                },
            }
        }
        Ok(fresh)
    }

    /// Puts a stamp in the place of what is none. If two do so at once, one of them reads another nonce at its end.
    async fn replace(&self, name: &str, nonce: Stamp, life: Duration) -> Result<Stamp, Fault> {
        let slot = self.slot(name);
        let commands = vec![(slot, unlink([name])), (slot, set_new(name, &nonce.0, life))];
        match flush(&self.servers, commands).await.pop() {
            Some(Ok(Value::Nil)) => Ok(nonce),
            Some(Ok(other)) => reply::stamp_value(&other).ok_or_else(|| Fault::Nonsense(format!("no stamp at {name}"))),
            Some(Err(fault)) => Err(fault),
            None => Err(Fault::Nonsense("no reply".to_owned())),
        }
    }

    /// Marks this lease as waited for, if it still stands. What stands there now.
    pub(crate) async fn watch(&self, entry: &str, token: Token) -> Result<Slot, Fault> {
        reply::typed_slot(self.script(&scripts::WATCH, entry, &[&token.0]).await)
    }

    /// Prolongs leases, those of all servers at the same time: one that is away ends none but its own. Whether each of
    /// them is still held; a fault if that is not known of all.
    pub(crate) async fn renew(&self, leases: &[(String, Token)]) -> Result<Vec<bool>, Fault> {
        let mut order: Vec<(HashSlot, usize)> =
            leases.iter().enumerate().map(|(i, lease)| (self.slot(&lease.0), i)).collect();
        order.sort_unstable();
        let slots = order.chunk_by(|one, next| one.0 == next.0);
        let runs: Vec<_> = slots.flat_map(|slot| slot.chunks(RENEWED_AT_ONCE)).collect();
        let (mut held, mut outcome) = (vec![false; leases.len()], Ok(()));
        for some in runs.chunks(RENEWALS) {
            let renewals = some.iter().map(|run| self.renew_of_slot(leases, run)).collect();
            for (run, renewed) in some.iter().zip(all(renewals).await) {
                match renewed {
                    Ok(renewed) => run.iter().zip(renewed).for_each(|(&(_, i), is_held)| held[i] = is_held),
                    Err(fault) => outcome = Err(fault),
                }
            }
        }
        outcome.map(|()| held)
    }

    async fn renew_of_slot(&self, leases: &[(String, Token)], run: &[(HashSlot, usize)]) -> Result<Vec<bool>, Fault> {
        let keys: Vec<&str> = run.iter().map(|&(_, i)| leases[i].0.as_str()).collect();
        let life = millis(self.lease).to_string();
        let tokens = run.iter().map(|&(_, i)| leases[i].1.0.as_slice());
        let args: Vec<&[u8]> = std::iter::once(life.as_bytes()).chain(tokens).collect();
        let reply = self.servers.script(run[0].0, &scripts::RENEW, &keys, &args).await?;
        reply::array(reply, "leases")?.iter().map(reply::yes).collect()
    }

    /// Ends a lease that is still held, and reads the stamps in the same flush. What the server has no room for is a
    /// fault, and the slot is empty then.
    pub(crate) async fn end(
        &self,
        entry: &str,
        token: Token,
        ending: Ending<'_>,
        stamps: &[String],
    ) -> Result<Ended, Fault> {
        let channel = self.names.wake(names::stripe(entry));
        let cool_down = head(b'C', token);
        let (bytes, life) = match ending {
            Ending::Fill(bytes, life) => (bytes, life),
            Ending::Release => (&[][..], Duration::ZERO),
            Ending::CoolDown(life) => (&cool_down[..], life),
        };
        let life = millis(life);
        if stamps.is_empty() {
            let end = End { entry, token, channel, bytes, life };
            let held = self.ends.ask(end, |replies| reply::yes(replies[0].as_ref().map_err(Fault::clone)?)).await?;
            return Ok(Ended { held, stamps: Vec::new() });
        }
        let life = life.to_string();
        Box::pin(self.finish(entry, &[&token.0, channel.as_bytes(), bytes, life.as_bytes()], stamps)).await
    }

    async fn finish(&self, entry: &str, args: &[&[u8]], stamps: &[String]) -> Result<Ended, Fault> {
        let slot = self.slot(entry);
        let stamp_slots: Vec<HashSlot> = stamps.iter().map(|stamp| self.slot(stamp)).collect();
        if stamp_slots.iter().all(|other| *other == slot) {
            let commands = vec![(slot, evalsha(&scripts::FINISH, entry, args)), (slot, mget(stamps))];
            let mut replies = flush(&self.servers, commands).await.into_iter();
            if let (Some(held), Some(found)) = (replies.next(), replies.next())
                && !is_unknown_script(&held)
            {
                let found = reply::array(found?, "stamps")?;
                return Ok(Ended { held: ended(held?)?, stamps: found.iter().map(reply::stamp_value).collect() });
            }
        }
        let names: Vec<_> = stamp_slots.into_iter().zip(stamps.iter().cloned()).collect();
        let (held, found) =
            tokio::join!(self.script(&scripts::FINISH, entry, args), read::apart(&self.servers, &names));
        let found = found.into_iter().map(|found| found.map(|found| reply::stamp(&found?)));
        Ok(Ended { held: ended(held?)?, stamps: found.collect::<Result<_, _>>()? })
    }

    /// Puts a value in the place of one with this `beginning`, if that still stands there, and reads the stamps after it; they
    /// live as long as `stamp_life` from now on.
    pub(crate) async fn supersede(
        &self,
        entry: &str,
        beginning: &[u8],
        (value, life): (&[u8], Duration),
        (stamps, stamp_life): (&[String], Duration),
    ) -> Result<Ended, Fault> {
        let life = millis(life).to_string();
        let held = reply::yes(&self.script(&scripts::REPLACE, entry, &[beginning, value, life.as_bytes()]).await?)?;
        let names: Vec<_> = stamps.iter().map(|stamp| (self.slot(stamp), stamp.clone())).collect();
        let (found, ()) = tokio::join!(read::apart(&self.servers, &names), self.prolong(stamps, stamp_life));
        let stamps = found.into_iter().map(|found| found.map(|found| reply::stamp(&found?)));
        Ok(Ended { held, stamps: stamps.collect::<Result<_, _>>()? })
    }

    /// Takes the refresh lease of a value, if it is still the one with this etag and nobody has it.
    pub(crate) async fn refresh(&self, entry: &str, etag: Token, lease: Duration) -> Result<bool, Fault> {
        let lease = millis(lease).to_string();
        reply::yes(&self.script(&scripts::REFRESH, entry, &[&etag.0, lease.as_bytes()]).await?)
    }
}

/// Whether the only lease of a script was held.
fn ended(reply: Value) -> Result<bool, Fault> {
    let [held] = reply::fixed(reply, "a lease that ends")?;
    reply::yes(&held)
}

/// A slot's header up to the end of the token.
pub(super) fn head(kind: u8, token: Token) -> [u8; HEAD] {
    let mut head = [b'0'; HEAD];
    head[0] = kind;
    head[2..].copy_from_slice(&token.0);
    head
}

/// Sets what is missing; answers what is there.
fn set_new(name: &str, bytes: &[u8], life: Duration) -> Cmd {
    let mut command = Cmd::with_capacity(7, name.len() + 64);
    command.arg("SET").arg(name).arg(bytes).arg("NX").arg("GET").arg("PX").arg(millis(life));
    command
}

/// Prolongs a stamp that is there and would end sooner.
fn prolonged(stamp: &str, life: Duration) -> Cmd {
    let mut command = Cmd::with_capacity(4, stamp.len() + 32);
    command.arg("PEXPIRE").arg(stamp).arg(millis(life)).arg("GT");
    command
}

fn mget(names: &[String]) -> Cmd {
    let mut command = Cmd::with_capacity(1 + names.len(), 64 * (1 + names.len()));
    command.arg("MGET").arg(names);
    command
}

fn evalsha(script: &Script, key: &str, args: &[&[u8]]) -> Cmd {
    let mut command = Cmd::new();
    command.arg("EVALSHA").arg(script.digest()).arg(1).arg(key).arg(args);
    command
}

fn is_unknown_script(reply: &Result<Value, Fault>) -> bool {
    matches!(reply, Err(Fault::Refused(_, answer)) if answer.contains("NOSCRIPT"))
}
