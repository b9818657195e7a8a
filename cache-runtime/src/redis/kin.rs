//! What the connections to one address have in common: they go to one server, as a primary, or none of them is used.
//!
//! Behind a name, a virtual address or a proxy, another server may have the address from one moment to the next, and what
//! stands stays with the old one. Were the bus made again, to the new server, while reads still go to the old one, old
//! values would be kept under a right that the new one has given. So whichever connection finds another server there ends
//! all that are not to it, before it is used itself; and whichever hears that its server is no primary ends all of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::Notify;

use crate::redis::target::Address;
use crate::sync::lock;

/// By their addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kins(Arc<Mutex<HashMap<Address, Weak<Kin>>>>);

/// The connections to one address.
#[derive(Debug, Default)]
pub(crate) struct Kin {
    /// What those that may be used now have in common. Every operation looks at it.
    number: AtomicU64,
    now: Mutex<Now>,
    /// Wakes in the order of waiting, which a `watch` does not: a simulated run can be repeated.
    ended: Notify,
}

/// Those that may be used now.
#[derive(Debug, Default)]
struct Now {
    /// The run of their server, if it told.
    run: Option<String>,
    /// What became of those before them.
    reason: String,
}

impl Kins {
    pub(crate) fn of(&self, address: &Address) -> Arc<Kin> {
        let mut kins = lock(&self.0);
        if let Some(kin) = kins.get(address).and_then(Weak::upgrade) {
            return kin;
        }
        kins.retain(|_, kin| kin.strong_count() > 0);
        let kin = Arc::new(Kin::default());
        kins.insert(address.clone(), Arc::downgrade(&kin));
        kin
    }
}

impl Kin {
    /// The number of those that may be used now: whoever wants to be one of them takes it before it asks its server.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::SeqCst)
    }

    /// One more, to a server of this run: its number. Those to another server end. Nothing if others have ended since the
    /// `number` was taken: then this server may be the one that they were to.
    pub(crate) fn join(&self, number: u64, run: Option<&str>) -> Option<u64> {
        let mut now = lock(&self.now);
        let is_known = run.is_some() && now.run.as_deref() == run;
        if !self.is_current(number) && !is_known {
            return None;
        }
        if matches!((&now.run, run), (Some(known), Some(run)) if known != run) {
            self.end_these(&mut now, "another server has its address");
        }
        if let Some(run) = run {
            run.clone_into(now.run.get_or_insert_default());
        }
        Some(self.number())
    }

    /// All of this number end.
    pub(crate) fn end(&self, number: u64, reason: &str) {
        let mut now = lock(&self.now);
        if self.is_current(number) {
            // Whoever asked it before does not know.
            now.run = None;
            self.end_these(&mut now, reason);
        }
    }

    /// Whether those of this number may be used.
    pub(crate) fn is_current(&self, number: u64) -> bool {
        self.number() == number
    }

    /// Ends when they may not be any more. The reason.
    pub(crate) async fn ended(&self, number: u64) -> String {
        loop {
            let ended = self.ended.notified();
            if let Some(reason) = self.why_ended(number) {
                return reason;
            }
            ended.await;
        }
    }

    fn why_ended(&self, number: u64) -> Option<String> {
        let now = lock(&self.now);
        (!self.is_current(number)).then(|| now.reason.clone())
    }

    fn end_these(&self, now: &mut Now, reason: &str) {
        reason.clone_into(&mut now.reason);
        self.number.fetch_add(1, Ordering::SeqCst);
        self.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_finds_another_server_ends_those_to_the_one_before() {
        let (kins, address) = (Kins::default(), Address::tcp("h", 1));
        let (bus, pool) = (kins.of(&address), kins.of(&address));
        let both = [bus.join(0, Some("a")), pool.join(0, Some("a"))];
        assert_eq!(both, [Some(0); 2]);
        let slow = pool.number();
        let again = bus.join(bus.number(), Some("b")).expect("nobody was before it");
        assert!(pool.is_current(again) && !pool.is_current(0));
        assert_eq!(pool.join(again, Some("b")), Some(again));
        assert_eq!(pool.join(again, None), Some(again), "one that does not tell is taken for the same");
        assert_eq!(pool.join(slow, Some("b")), Some(again), "it found the same");
        assert_eq!(pool.join(slow, Some("a")), None, "it asked its server before the other was found");
        assert!(kins.of(&Address::tcp("h", 2)).is_current(0));
    }

    #[test]
    fn whoever_hears_that_it_is_no_primary_ends_all_of_them_once() {
        let (kins, address) = (Kins::default(), Address::tcp("h", 1));
        let kin = kins.of(&address);
        let old = kin.join(0, Some("a")).expect("it is the first");
        kin.end(old, "a test");
        assert_eq!(kin.join(old, Some("a")), None, "it may have been asked before that");
        let new = kin.join(kin.number(), Some("a")).expect("nobody was before it");
        assert!(kin.is_current(new) && !kin.is_current(old));
        kin.end(old, "it comes late");
        assert!(kin.is_current(new));
    }

    #[tokio::test]
    async fn who_watches_a_connection_hears_of_its_end_and_why() {
        let kin = Kins::default().of(&Address::tcp("h", 1));
        let number = kin.join(0, Some("a")).expect("it is the first");
        kin.join(0, Some("b")).expect("nobody was before it");
        assert_eq!(kin.ended(number).await, "another server has its address");
    }
}
