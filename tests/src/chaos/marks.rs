//! Where the prefix ends that a new primary has of what the old one did: the time, written to each primary every two
//! milliseconds, and read where another one has taken over.

use std::thread::{self, Scope};
use std::time::Duration;

use super::world::World;
use crate::history::{Nanos, now};
use crate::redis_server::RedisServer;
use crate::resp::{Client, Reply};
use crate::stress::{Diary, Loss, Losses, Repair};

/// Between two marks.
const PERIOD: Duration = Duration::from_millis(2);

/// How long a server may take: a stopped one is not waited for.
const GLANCE: Duration = Duration::from_millis(250);

/// How often it is asked how things are while they change.
const PAUSE: Duration = Duration::from_millis(20);

/// Writes the marks of one shard.
pub(super) struct Marker<'a> {
    pub(super) world: &'a World,
    pub(super) shard: usize,
    pub(super) losses: Losses,
    pub(super) diary: Diary,
}

/// What is known of a primary that has fallen silent.
#[derive(Clone, Copy, Debug)]
struct Silent {
    primary: usize,
    /// The mark that it acknowledged last.
    acknowledged: Nanos,
    /// When the first one was sent that it did not acknowledge.
    cut: Nanos,
    /// When that was known.
    known: Nanos,
}

impl<'a> Marker<'a> {
    /// Writes until `is_over`.
    pub(super) fn run<'scope>(self, scope: &'scope Scope<'scope, '_>, is_over: &'scope (impl Fn() -> bool + Sync))
    where
        'a: 'scope,
    {
        let mut silent: Option<Silent> = None;
        while !is_over() {
            let Some((primary, mut client, found)) = self.find() else {
                // tidy: sleep because servers agree on a primary without telling us
                thread::sleep(PAUSE);
                continue;
            };
            self.world.set_primary(self.shard, primary);
            if let Some(before) = silent.take() {
                if let Some(loss) = self.compare(before, primary, found) {
                    let (number, old) = (self.losses.add(loss), before.primary);
                    let (losses, world) = (self.losses.clone(), self.world);
                    scope.spawn(move || close(&losses, number, &world.stores()[old], before.known, is_over));
                }
                self.losses.clear();
            }
            let Some((acknowledged, cut)) = self.write(&mut client, is_over) else { return };
            self.losses.suspect();
            silent = Some(Silent { primary, acknowledged, cut, known: now() });
        }
        if silent.is_some() {
            self.losses.clear();
        }
    }

    /// The primary, a connection to it that can write, and the mark that it has.
    fn find(&self) -> Option<(usize, Client, Option<Nanos>)> {
        let primary = self.world.find_primary(self.shard)?;
        let mut client = self.world.stores()[primary].client_within(GLANCE).ok()?;
        let found = client.call(&["GET", self.world.mark(self.shard)]).ok()?.ok().ok()?.to_string();
        let probe = client.call(&["SET", "probe", "1"]);
        // In a cluster that key may be elsewhere: a replica, or one that has no say, answers otherwise.
        let writes = probe.is_ok_and(|reply| !matches!(&reply, Reply::Error(error) if !error.starts_with("MOVED")));
        writes.then(|| (primary, client, found.parse().ok()))
    }

    /// What is lost, if the primary is not what it was.
    fn compare(&self, before: Silent, primary: usize, found: Option<Nanos>) -> Option<Loss> {
        let is_same = primary == before.primary && found.is_none_or(|found| found >= before.acknowledged);
        let is_orderly = self.world.is_orderly(self.shard) && found.is_some_and(|found| found >= before.acknowledged);
        if is_same || is_orderly {
            return None;
        }
        // Without a mark it was emptied, and had no time to get another one.
        let from = found.unwrap_or_else(|| self.world.emptied(self.shard)).min(before.cut);
        let (shard, lost) = (self.shard, Duration::from_nanos(before.cut - from));
        self.diary.note(format!("server {primary} takes over shard {shard} without the last {lost:.1?}"), None);
        let keys = self.world.keys(self.shard);
        Some(Loss { from, cut: before.cut, up: now(), to: None, keys, repair: Repair::Replay })
    }

    /// Returns the last mark that was acknowledged and the time of the first one that was not; nothing if it is over.
    fn write(&self, client: &mut Client, is_over: &impl Fn() -> bool) -> Option<(Nanos, Nanos)> {
        let mut acknowledged = now();
        while !is_over() {
            let sent = now();
            match client.call(&["SET", self.world.mark(self.shard), &sent.to_string()]) {
                Ok(Reply::Status(_)) => acknowledged = sent,
                Ok(_) | Err(_) => return Some((acknowledged, sent)),
            }
            // tidy: sleep because marks are as exact as they are frequent
            thread::sleep(PERIOD);
        }
        None
    }
}

/// What an old primary is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Old {
    Dead,
    Replica,
    /// A primary still, or stopped.
    Believed,
}

/// Waits until nobody can believe the old primary any more.
fn close(losses: &Losses, number: usize, old: &RedisServer, known: Nanos, is_over: &impl Fn() -> bool) {
    let mut to = known;
    while !is_over() {
        match look(old) {
            // It was dead when it fell silent, or has died since.
            Old::Dead => break,
            Old::Replica => {
                to = now();
                break;
            }
            Old::Believed => to = now(),
        }
        // tidy: sleep because a server does not say when it changes
        thread::sleep(PAUSE);
    }
    losses.close(number, to);
}

fn look(old: &RedisServer) -> Old {
    let Ok(mut client) = old.client_within(GLANCE) else { return Old::Dead };
    match client.call(&["INFO", "replication"]) {
        Ok(state) if state.to_string().contains("role:slave") => Old::Replica,
        Ok(_) | Err(_) => Old::Believed,
    }
}
