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

    fn note(&self, primary: HashSlot, swept: &Result<u64, Fault>) {
        let mut hindering = lock(&self.0);
        if swept.is_ok() {
            hindering.remove(&primary)
        } else {
            hindering.insert(primary)
        };
    }
}

impl Store {
    /// Unlinks every key with one of these beginnings that is there from the start to the end of the sweep, on every
    /// primary, also those whose slots move once meanwhile. How many were unlinked. After a fault some are left: sweep
    /// again. What is swept for the first time goes on with the other primaries after a fault, later not: with each try
    /// these would lose what was read there since.
    pub(crate) async fn sweep(&self, prefixes: &[String], is_first: bool) -> Result<u64, Fault> {
        let patterns: Vec<_> = prefixes.iter().map(|prefix| format!("{}*", escape(prefix))).collect();
        let before = self.servers.standing();
        let mut unlinked = 0;
        // What moves from one that is still to be swept to one that was already is there when that one's turn comes again.
        for _ in 0..if self.servers.is_single() { 1 } else { 2 } {
            unlinked += self.sweep_each(&patterns, is_first).await?;
        }
        if self.servers.standing() != before {
            return Err(Fault::Broken("the servers changed during a sweep".to_owned()));
        }
        Ok(unlinked)
    }

    async fn sweep_each(&self, patterns: &[String], is_first: bool) -> Result<u64, Fault> {
        let mut primaries = self.servers.primaries();
        self.hindering.sort(&mut primaries);
        let mut unlinked = Ok(0);
        for primary in primaries {
            let swept = self.sweep_one(primary, patterns).await;
            self.hindering.note(primary, &swept);
            unlinked = unlinked.and_then(|unlinked| Ok(unlinked + swept?));
            if unlinked.is_err() && !is_first {
                break;
            }
        }
        unlinked
    }

    /// One late reply is no reason to begin anew: a cursor is good for as long as its server runs.
    async fn sweep_one(&self, primary: HashSlot, patterns: &[String]) -> Result<u64, Fault> {
        let mut unlinked = 0;
        for pattern in patterns {
            let (mut cursor, mut count, mut tries) = (0, AT_ONCE, 0);
            loop {
                match self.sweep_some(primary, pattern, cursor, count).await {
                    Ok((next, some)) => {
                        (cursor, count, tries) = (next, (count * 2).min(AT_ONCE), 0);
                        unlinked += some;
                        if cursor == 0 {
                            break;
                        }
                    }
                    Err(Fault::Timeout | Fault::Away) if cursor != 0 && tries < AGAIN.0 => {
                        tries += 1;
                        count = (count / 4).max(1);
                        timer::sleep(AGAIN.1 * tries).await;
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
        Ok(unlinked)
    }

    /// The cursor behind these, and how many were unlinked.
    async fn sweep_some(&self, primary: HashSlot, pattern: &str, cursor: u64, count: u64) -> Result<(u64, u64), Fault> {
        let mut scan = Cmd::new();
        scan.arg("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
        let [next, names] = reply::fixed(self.servers.command(primary, &scan).await?, "a scan")?;
        let names = reply::array(names, "names")?.into_iter().map(|name| reply::text(name, "a name"));
        let names: Vec<String> = names.collect::<Result<_, _>>()?;
        let slotted = names.iter().map(|name| (self.slot(name), name.as_str()));
        let mut unlinked = 0;
        for reply in flush(&self.servers, unlink_by_slot(slotted.collect())).await {
            unlinked += reply::number(&reply?, "names unlinked")?;
        }
        Ok((reply::number(&next, "a cursor")?, unlinked))
    }
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
