//! The bus: what other processes make invalid, and until when this one may trust what it keeps.
//!
//! Three loops of one task. The *prober* asks, without blocking, what stands behind its position; when all of it is
//! applied, this process may serve from its in-process tier until `max_staleness` after it *asked*. The *ear* waits at
//! the end of the bus and wakes the prober: it makes delivery fast and nothing else. The third replays the
//! [journal](crate::journal).
//!
//! Whenever something may have been missed, everything is dropped and the end of the bus is adopted.

mod apply;
mod effects;
mod message;
mod prober;
mod reader;
mod remote;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

pub(crate) use self::apply::{Apply, Heard};
pub(crate) use self::message::Notice;
pub(crate) use self::remote::{Met, Remote};
use crate::bus::prober::Prober;
use crate::journal::{Drained, Journal};
use crate::routes::Table;
use crate::rules::Rules;
use crate::store::Position;
use crate::timer;

/// How a process reads the bus.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The id under which the process publishes.
    pub(crate) id: String,
    pub(crate) max_staleness: Duration,
    /// Messages that are read at once.
    pub(crate) most: usize,
    /// Whether nothing that was stored before is used again when the server has lost something.
    pub(crate) is_cold_after_loss: bool,
    pub(crate) rules: Rules,
}

/// Between two tries while the server does not do what it is asked: at first, and at most.
const RETRIES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What the loops share.
struct Links<R, A> {
    remote: Arc<R>,
    apply: A,
    table: Arc<Table>,
    journal: Arc<Journal>,
    settings: Settings,
    /// The ear has heard something, or somebody has to know.
    heard: Arc<Notify>,
    /// The position that was read last, if any was.
    position: watch::Sender<Option<Position>>,
}

/// Reads the bus as long as its process is there.
///
/// # Cancel safety
///
/// Dropping it stops the reading: the right to serve ends by itself.
pub(crate) async fn run<R: Remote, A: Apply>(
    remote: Arc<R>,
    apply: A,
    table: Arc<Table>,
    journal: Arc<Journal>,
    settings: Settings,
    heard: Arc<Notify>,
) {
    let position = watch::Sender::new(None);
    let links = Links { remote, apply, table, journal, settings, heard, position };
    tokio::select! {
        // Always in this order: a simulated run can be repeated.
        biased;
        () = Prober::new(&links).run() => {}
        () = listen(&links) => {}
        () = replay(&links) => {}
    }
}

/// The ear.
async fn listen<R: Remote, A: Apply>(links: &Links<R, A>) {
    let mut position = links.position.subscribe();
    loop {
        let last = *position.borrow_and_update();
        if let Some(last) = last {
            if links.remote.listen(last, links.settings.max_staleness).await.is_err() {
                timer::sleep(RETRIES.0).await;
            }
            // What it could not hear, a message that is too long for instance, the prober can read.
            links.heard.notify_one();
        }
        // Not again before what was heard is read.
        if position.changed().await.is_err() {
            return;
        }
    }
}

/// The replay of the journal, at once when something is added and when the server is there again.
async fn replay<R: Remote, A: Apply>(links: &Links<R, A>) {
    let Links { remote, table, journal, settings, .. } = links;
    let mut generation = remote.generation();
    let mut pause = RETRIES.0;
    loop {
        generation.borrow_and_update();
        match journal.drain(remote.as_ref(), table, &settings.id).await {
            Ok(Drained::More) => pause = RETRIES.0,
            Ok(Drained::Empty) => {
                pause = RETRIES.0;
                journal.added().await;
            }
            Err(fault) => {
                tracing::debug!(%fault, waiting = journal.len(), "the journal waits");
                tokio::select! {
                    // Always in this order: a simulated run can be repeated.
                    biased;
                    () = changed(&mut generation) => pause = RETRIES.0,
                    () = timer::sleep(pause) => pause = (pause * 2).min(RETRIES.1),
                }
            }
        }
    }
}

/// Ends when there is another connection.
async fn changed(generation: &mut watch::Receiver<u64>) {
    if generation.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The texts and names that these messages make invalid.
#[cfg(any(test, fuzzing))]
pub(crate) fn effects(messages: &[crate::store::Message], table: &Table) -> (Vec<String>, Vec<String>) {
    let effects = effects::Effects::of(messages, table, "me");
    let names = effects.names();
    (effects.texts, names)
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
