//! Sweeps: everything whose name begins alike is unlinked. For what was forgotten one by one.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use redis::Cmd;

use crate::fault::Fault;
use crate::redis::store::Store;
use crate::redis::store::flush::{flush, unlink_by_slot};
use crate::redis::{HashSlot, reply};
use crate::sync::lock;
use crate::timer;

/// How many keys the server looks at before it does something else.
const AT_ONCE: u64 = 1_000;

/// How often one step of a sweep is tried again before all of it is, and the pause before that.
const AGAIN: (u32, Duration) = (3, Duration::from_millis(50));

/// The primaries that hindered the last sweeps.
#[derive(Debug, Default)]
pub(super) struct Hindering(Mutex<BTreeSet<HashSlot>>);

impl Hindering {
    /// These first: where one of them hinders it still, the others are not swept once more.
    fn sort(&self, primaries: &mut [HashSlot]) {
        let hindering = lock(&self.0);
        primaries.sort_by_key(|primary| !hindering.contains(primary));
    }

    fn note(&self, primary: HashSlot, hinders: bool) {
        let mut hindering = lock(&self.0);
        if hinders {
            hindering.insert(primary)
        } else {
            hindering.remove(&primary)
        };
    }
}

/// What a sweep has done so far.
#[derive(Debug, Default)]
struct Swept {
    unlinked: u64,
    /// That too few replicas have some of it.
    in_vain: Option<Fault>,
}

impl Swept {
    fn add(&mut self, other: Self) {
        self.unlinked += other.unlinked;
        self.in_vain = self.in_vain.take().or(other.in_vain);
    }
}

impl Store {
    /// Keys do not go at one moment: as often as those of an invalidation of several slots, and twice where they may move
    /// from one primary to another.
    pub(crate) fn rounds(&self) -> usize {
        self.most_rounds.max(if self.servers.is_single() { 1 } else { 2 })
    }

    /// One of the [rounds](Self::rounds) of a sweep. Together they unlink every key with one of these beginnings that is
    /// there from the start to the end, on every primary, also those whose slots move once meanwhile: what moves from one
    /// that is still to be swept to one that was already is there when that one's turn comes again. How many were unlinked.
    ///
    /// After a fault some are left: sweep again; but that too few replicas have it is told when all was unlinked. What is
    /// swept for the first time goes on with the other primaries after a fault, later not: with each try these would lose
    /// what was read there since.
    pub(crate) async fn sweep(&self, prefixes: &[String], is_first: bool) -> Result<u64, Fault> {
        if prefixes.is_empty() {
            return Ok(0);
        }
        let before = self.servers.standing();
        let swept = self.sweep_each(prefixes, is_first).await?;
        if self.servers.standing() != before {
            return Err(Fault::Broken("the servers changed during a sweep".to_owned()));
        }
        swept.in_vain.map_or(Ok(swept.unlinked), Err)
    }

    async fn sweep_each(&self, prefixes: &[String], is_first: bool) -> Result<Swept, Fault> {
        let mut primaries = self.servers.primaries();
        self.hindering.sort(&mut primaries);
        let mut all = Ok(Swept::default());
        for primary in primaries {
            let swept = self.sweep_one(primary, prefixes).await;
            self.hindering.note(primary, swept.is_err());
            match (&mut all, swept) {
                (Ok(all), Ok(swept)) => all.add(swept),
                (Ok(_), Err(fault)) => all = Err(fault),
                (Err(_), _) => {}
            }
            if all.is_err() && !is_first {
                break;
            }
        }
        all
    }

    /// One late reply is no reason to begin anew: a cursor is good for as long as its server runs.
    async fn sweep_one(&self, primary: HashSlot, prefixes: &[String]) -> Result<Swept, Fault> {
        let pattern = format!("{}*", escape(common(prefixes)));
        let (mut unlinked, mut cursor, mut count, mut tries) = (0, 0, AT_ONCE, 0);
        loop {
            let is_swept = |name: &String| prefixes.iter().any(|prefix| name.starts_with(prefix));
            match self.sweep_some(primary, &pattern, is_swept, (cursor, count)).await {
                Ok((next, some)) => {
                    (cursor, count, tries) = (next, (count * 2).min(AT_ONCE), 0);
                    unlinked += some;
                    if cursor == 0 {
                        let in_vain = self.was_replicated(primary).await?.err();
                        return Ok(Swept { unlinked, in_vain });
                    }
                }
                Err(fault) if tries < AGAIN.0 && may_pass_again(&fault, cursor) => {
                    tries += 1;
                    count = (count / 4).max(1);
                    timer::sleep(AGAIN.1 * tries).await;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// The cursor behind these, and how many were unlinked.
    async fn sweep_some(
        &self,
        primary: HashSlot,
        pattern: &str,
        is_swept: impl Fn(&String) -> bool,
        (cursor, count): (u64, u64),
    ) -> Result<(u64, u64), Fault> {
        let mut scan = Cmd::new();
        scan.arg("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
        let [next, names] = reply::fixed(self.servers.command(primary, &scan).await?, "a scan")?;
        let names = reply::array(names, "names")?.into_iter().map(|name| reply::text(name, "a name"));
        let mut names: Vec<String> = names.collect::<Result<_, _>>()?;
        names.retain(is_swept);
        let slotted = names.iter().map(|name| (self.slot(name), name.as_str()));
        let mut unlinked = 0;
        for reply in flush(&self.servers, unlink_by_slot(slotted.collect())).await {
            unlinked += reply::number(&reply?, "names unlinked")?;
        }
        Ok((reply::number(&next, "a cursor")?, unlinked))
    }
}

/// Whether it is done again from this cursor on, in smaller steps. From the start on, only what is late may be smaller.
fn may_pass_again(fault: &Fault, cursor: u64) -> bool {
    match fault {
        Fault::Timeout => true,
        Fault::Away => cursor != 0,
        _ => false,
    }
}

/// What all of them begin with.
fn common(prefixes: &[String]) -> &str {
    let Some((first, others)) = prefixes.split_first() else { return "" };
    let is_shared = |end: &usize| others.iter().all(|other| other.starts_with(&first[..*end]));
    let ends = first.char_indices().map(|(end, _)| end).chain([first.len()]);
    ends.take_while(is_shared).last().map_or("", |end| &first[..end])
}

/// The pattern that matches this text alone.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
