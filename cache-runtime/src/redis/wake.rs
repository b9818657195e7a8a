//! Wake-ups: who waits for another process's load hears when it ends.
//!
//! All entries share a few channels, and a process subscribes to one when it first waits for an entry of it. A wake-up
//! may be lost (the subscription is new, the connection was down): then who waits polls, and has lost no more than that.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::names::{self, STRIPES};
use crate::redis::Push;
use crate::sync::{Mutex, lock};

/// Who waits in this process.
#[derive(Debug)]
pub(crate) struct Wakes {
    stripes: Vec<Stripe>,
}

#[derive(Debug, Default)]
struct Stripe {
    waiting: Mutex<HashMap<Box<str>, Vec<Arc<Bell>>>>,
    is_subscribed: AtomicBool,
}

/// Rings once.
#[derive(Debug, Default)]
struct Bell(Mutex<Ring>);

#[derive(Debug, Default)]
enum Ring {
    #[default]
    Quiet,
    Awaited(Waker),
    Rung,
}

impl Wakes {
    pub(crate) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Stripe::default()).collect() }
    }

    /// Waits for this entry from now on.
    pub(crate) fn register(self: &Arc<Self>, entry: &str) -> Wake {
        let bell = Arc::new(Bell::default());
        lock(&self.stripe(entry).waiting).entry(entry.into()).or_default().push(Arc::clone(&bell));
        Wake { wakes: Arc::clone(self), entry: entry.into(), bell }
    }

    /// The stripe whose channel is to be subscribed to, if this entry is the first of it that anybody waits for.
    pub(crate) fn subscribes(&self, entry: &str) -> Option<u16> {
        let is_first = !self.stripe(entry).is_subscribed.swap(true, Ordering::Relaxed);
        is_first.then(|| names::stripe(entry))
    }

    /// The subscription failed: whoever waits next tries again.
    pub(crate) fn unsubscribed(&self, stripe: u16) {
        self.stripes[usize::from(stripe)].is_subscribed.store(false, Ordering::Relaxed);
    }

    /// Rings for whoever waits for this entry.
    pub(crate) fn ring(&self, entry: &str) {
        let bells = lock(&self.stripe(entry).waiting).remove(entry);
        bells.into_iter().flatten().for_each(|bell| bell.ring());
    }

    fn ring_all(&self) {
        for stripe in &self.stripes {
            let bells = std::mem::take(&mut *lock(&stripe.waiting));
            bells.into_values().flatten().for_each(|bell| bell.ring());
        }
    }

    fn stripe(&self, entry: &str) -> &Stripe {
        &self.stripes[usize::from(names::stripe(entry))]
    }

    fn forget(&self, entry: &str, bell: &Arc<Bell>) {
        let mut waiting = lock(&self.stripe(entry).waiting);
        let Some(bells) = waiting.get_mut(entry) else { return };
        bells.retain(|other| !Arc::ptr_eq(other, bell));
        if bells.is_empty() {
            waiting.remove(entry);
        }
    }

    /// Rings for every wake-up that comes, until the connections are closed.
    pub(crate) async fn listen(self: Arc<Self>, mut pushes: Receiver<Push>) {
        loop {
            match pushes.recv().await {
                Ok(push) => self.hear(&push),
                // Some were lost: everybody looks again.
                Err(RecvError::Lagged(_)) => self.ring_all(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn hear(&self, push: &Push) {
        if let Ok(entry) = str::from_utf8(&push.payload) {
            self.ring(entry);
        }
    }
}

impl Bell {
    fn ring(&self) {
        if let Ring::Awaited(waker) = std::mem::replace(&mut *lock(&self.0), Ring::Rung) {
            waker.wake();
        }
    }
}

/// Ends with the next wake-up of an entry. Dropping it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Wake {
    wakes: Arc<Wakes>,
    entry: Box<str>,
    bell: Arc<Bell>,
}

impl Future for Wake {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut ring = lock(&self.bell.0);
        if matches!(*ring, Ring::Rung) {
            return Poll::Ready(());
        }
        let old = std::mem::replace(&mut *ring, Ring::Awaited(context.waker().clone()));
        drop(ring);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.wakes.forget(&self.entry, &self.bell);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast;

    use super::*;

    fn push(entry: &str) -> Push {
        Push { payload: entry.as_bytes().to_vec() }
    }

    fn is_over(wake: &mut Wake) -> bool {
        Pin::new(wake).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn a_wake_up_reaches_whoever_waits_for_its_entry() {
        let (sender, receiver) = broadcast::channel(16);
        let wakes = Arc::new(Wakes::new());
        let [first, second, mut other] = ["a", "a", "b"].map(|entry| wakes.register(entry));
        let listening = tokio::spawn(Arc::clone(&wakes).listen(receiver));
        sender.send(push("a")).expect("somebody listens");
        first.await;
        second.await;
        assert!(!is_over(&mut other));
        drop(sender);
        listening.await.expect("it ends");
        drop(other);
        assert!(wakes.stripes.iter().all(|stripe| lock(&stripe.waiting).is_empty()));
    }

    #[tokio::test]
    async fn a_listener_that_lost_some_wakes_all() {
        let (sender, receiver) = broadcast::channel(1);
        let wakes = Arc::new(Wakes::new());
        let wake = wakes.register("a");
        for entry in ["b", "c", "d"] {
            sender.send(push(entry)).expect("somebody listens");
        }
        tokio::spawn(Arc::clone(&wakes).listen(receiver));
        wake.await;
    }

    #[test]
    fn a_wake_up_before_the_first_poll_counts() {
        let wakes = Arc::new(Wakes::new());
        let (mut before, mut dropped) = (wakes.register("a"), Some(wakes.register("a")));
        dropped.take();
        wakes.ring("a");
        assert!(is_over(&mut before));
        assert!(!is_over(&mut wakes.register("a")));
    }

    #[test]
    fn a_stripe_is_subscribed_to_once_unless_that_fails() {
        let wakes = Wakes::new();
        let stripe = wakes.subscribes("a").expect("the first");
        assert_eq!(wakes.subscribes("a"), None);
        wakes.unsubscribed(stripe);
        assert_eq!(wakes.subscribes("a"), Some(stripe));
    }
}
