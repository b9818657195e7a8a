//! What the sentinels said when they were looked at last, for whoever must not take yesterday's primary for today's.
//!
//! A primary that has been away may be back with its old data, as a primary, although another one has taken over: it knows
//! nothing of that until the sentinels tell it. So a connection that was lost is used again only after a look at the
//! sentinels that began when the new one was open. Looks are numbered; many connections wait for the same one.
//!
//! And whoever is cut off from the sentinels, together with a primary that they have replaced, would never hear of it. So
//! what they said counts for a while only, from when they were asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::instant::Instant;
use crate::redis::session::NoSession;
use crate::redis::target::Address;

/// What sentinels said counts for so long at least: they may be busy, and be restarted.
const LEAST: Duration = Duration::from_secs(1);

/// The longest time between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// The looks at the sentinels of one service.
#[derive(Debug)]
pub(crate) struct Looks {
    /// The number of the look that began last.
    begun: AtomicU64,
    /// Wakes whoever looks.
    trouble: Arc<Notify>,
    last: watch::Sender<Option<Look>>,
    /// How long a look counts.
    lasts: Duration,
}

/// A look that has begun.
#[derive(Debug)]
#[must_use = "nobody hears of it before it has ended"]
pub(crate) struct Begun {
    number: u64,
    at: Instant,
}

/// A look that most sentinels have answered.
#[derive(Clone, Debug)]
struct Look {
    number: u64,
    began: Instant,
    primary: Address,
}

impl Looks {
    pub(crate) fn new(max_staleness: Duration, trouble: Arc<Notify>) -> Self {
        Self { begun: AtomicU64::new(0), trouble, last: watch::Sender::new(None), lasts: max_staleness.max(LEAST) }
    }

    /// Before anything is asked.
    pub(crate) fn begin(&self) -> Begun {
        Begun { number: self.begun.fetch_add(1, Ordering::SeqCst) + 1, at: Instant::now() }
    }

    /// The sentinels have named this primary. A look without an answer is no look.
    pub(crate) fn end(&self, look: &Begun, primary: &Address) {
        self.last.send_replace(Some(Look { number: look.number, began: look.at, primary: primary.clone() }));
    }

    /// For how long, from now on, what they said last may be relied upon.
    pub(crate) fn trusted_for(&self) -> Duration {
        let last = self.last.borrow();
        last.as_ref().map_or(Duration::ZERO, |look| self.lasts.saturating_sub(look.began.elapsed()))
    }

    /// When what they said last was asked for.
    pub(crate) fn confirmed(&self) -> Option<Instant> {
        self.last.borrow().as_ref().map(|look| look.began)
    }

    /// Between two looks: a few of them may fail.
    pub(crate) fn period(&self) -> Duration {
        PERIOD.min(self.lasts / 4)
    }

    #[cfg(test)]
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// Ends when the sentinels were looked at again, from now on, and name this server still.
    pub(crate) async fn confirm(&self, server: &Address) -> Result<(), NoSession> {
        let (mut last, before) = (self.last.subscribe(), self.begun.load(Ordering::SeqCst));
        // One that is under way does not count: the next begins right behind it.
        self.trouble.notify_one();
        let is_later = |look: &Option<Look>| look.as_ref().is_some_and(|look| look.number > before);
        let look = last.wait_for(is_later).await.map_err(|_| NoSession::Away("nobody looks".to_owned()))?;
        match look.as_ref() {
            Some(look) if look.primary == *server => Ok(()),
            _ => Err(NoSession::Away("the sentinels name another primary".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn looks() -> Looks {
        Looks::new(Duration::from_mins(1), Arc::new(Notify::new()))
    }

    #[test]
    fn a_look_that_began_before_confirms_nothing() {
        let (looks, server) = (looks(), Address::tcp("h", 1));
        let over = looks.begin();
        looks.end(&over, &server);
        let under_way = looks.begin();
        let mut confirm = pin!(looks.confirm(&server));
        assert!(poll(confirm.as_mut()).is_pending());
        looks.end(&under_way, &server);
        assert!(poll(confirm.as_mut()).is_pending(), "it may have been answered before the connection was open");
        let later = looks.begin();
        assert!(poll(confirm.as_mut()).is_pending());
        looks.end(&later, &server);
        assert_eq!(poll(confirm.as_mut()), Poll::Ready(Ok(())));
    }

    #[test]
    fn many_wait_for_one_look_and_hear_of_another_primary() {
        let (looks, [old, new]) = (looks(), [1, 2].map(|port| Address::tcp("h", port)));
        let (mut one, mut other) = (pin!(looks.confirm(&old)), pin!(looks.confirm(&new)));
        assert!(poll(one.as_mut()).is_pending() && poll(other.as_mut()).is_pending());
        drop(looks.begin());
        assert!(poll(one.as_mut()).is_pending(), "nobody has answered it");
        looks.end(&looks.begin(), &new);
        assert!(matches!(poll(one.as_mut()), Poll::Ready(Err(NoSession::Away(_)))));
        assert_eq!(poll(other.as_mut()), Poll::Ready(Ok(())));
    }

    #[test]
    fn what_they_said_counts_for_a_while_from_when_they_were_asked() {
        let (looks, server) = (looks(), Address::tcp("h", 1));
        assert_eq!(looks.trusted_for(), Duration::ZERO, "they were never asked");
        let asked = looks.begin();
        assert_eq!(looks.trusted_for(), Duration::ZERO, "they have not answered");
        looks.end(&asked, &server);
        let trusted_for = looks.trusted_for();
        assert!(!trusted_for.is_zero() && trusted_for < looks.lasts, "{trusted_for:?}");
        let over = Looks { lasts: Duration::ZERO, ..looks };
        assert_eq!(over.trusted_for(), Duration::ZERO);
    }

    #[test]
    fn several_looks_may_fail_before_nothing_counts() {
        for (max_staleness, period) in [(50, 250), (2_000, 500), (60_000, 1_000)] {
            let looks = Looks::new(Duration::from_millis(max_staleness), Arc::new(Notify::new()));
            assert_eq!(looks.period(), Duration::from_millis(period));
        }
    }

    #[test]
    fn whoever_looks_is_woken() {
        let looks = looks();
        let mut woken = pin!(looks.trouble.notified());
        assert!(poll(woken.as_mut()).is_pending());
        let (server, mut confirm) = (Address::tcp("h", 1), pin!(async { looks.confirm(&Address::tcp("h", 1)).await }));
        assert!(poll(confirm.as_mut()).is_pending());
        assert!(poll(woken.as_mut()).is_ready(), "{server}");
    }
}
