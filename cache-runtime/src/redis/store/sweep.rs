//! Sweeps: everything whose name begins alike is unlinked. For what was forgotten one by one.

use redis::Cmd;

use crate::fault::Fault;
use crate::redis::store::Store;
use crate::redis::store::flush::{flush, unlink_by_slot};
use crate::redis::{HashSlot, reply};

/// How many keys the server looks at before it does something else.
const AT_ONCE: usize = 1_000;

impl Store {
    /// Unlinks every key of this beginning that is there from the start to the end of the sweep, on every primary, also
    /// those whose slots move once meanwhile. How many were unlinked. After a fault some are left; sweep again.
    pub(crate) async fn sweep(&self, prefix: &str) -> Result<u64, Fault> {
        let pattern = format!("{}*", escape(prefix));
        let before = self.servers.standing();
        let mut unlinked = 0;
        // What moves from one that is still to be swept to one that was already is there when that one's turn comes again.
        for primary in self.servers.primaries().repeat(if self.servers.is_single() { 1 } else { 2 }) {
            unlinked += self.sweep_one(primary, &pattern).await?;
        }
        if self.servers.standing() != before {
            return Err(Fault::Broken("the servers changed during a sweep".to_owned()));
        }
        Ok(unlinked)
    }

    async fn sweep_one(&self, primary: HashSlot, pattern: &str) -> Result<u64, Fault> {
        let (mut cursor, mut unlinked) = (0, 0);
        loop {
            let mut scan = Cmd::new();
            scan.arg("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(AT_ONCE);
            let [next, names] = reply::fixed(self.servers.command(primary, &scan).await?, "a scan")?;
            let names = reply::array(names, "names")?.into_iter().map(|name| reply::text(name, "a name"));
            let names: Vec<String> = names.collect::<Result<_, _>>()?;
            let slotted = names.iter().map(|name| (self.slot(name), name.as_str()));
            for reply in flush(&self.servers, unlink_by_slot(slotted.collect())).await {
                unlinked += reply::number(&reply?, "names unlinked")?;
            }
            cursor = reply::number(&next, "a cursor")?;
            if cursor == 0 {
                return Ok(unlinked);
            }
        }
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
