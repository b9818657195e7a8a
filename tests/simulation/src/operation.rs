//! What a process does, and what it writes down about it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use cache_runtime::{Cache, Delivery, Error, Outcome, Receipt, explain};
use cache_tests::history::{How, Invalidation, Nanos, ProcessNumber, Reach, Read, Source, Version, nanos};
use futures::FutureExt as _;
use tokio::sync::SetOnce;

use crate::functions::{Function, GroupChanged, Origin, Place, RECORDS, Seen, call, invalidate, is_absent, peek, put};
use crate::plan::{Operation, Wait};
use crate::shared::shared;
use crate::world::{now, sleep};

/// How long somebody who waits for everybody waits at most.
const EVERYWHERE: Duration = Duration::from_secs(3);

/// Does it, once there is a cache.
pub(crate) async fn perform(process: ProcessNumber, cache: Arc<SetOnce<Cache>>, operation: Operation) {
    *shared().state().under_way.entry(process).or_default() += 1;
    let actor = Actor { process, cache: cache.wait().await.clone() };
    match operation {
        Operation::Read(place) => actor.read(place, None, false).await,
        Operation::ReadAfter(place) => actor.read(place, None, true).await,
        Operation::ReadAndLeave(place, after) => actor.read(place, Some(after), false).await,
        Operation::Peek(place, with_token) => actor.peek(place, with_token).await,
        Operation::Write(record, wait) => actor.write(record, wait).await,
        Operation::WriteGroup(group, wait) => actor.write_group(group, wait).await,
        Operation::Invalidate(place) => actor.invalidate(place).await,
        Operation::Put(place) => actor.put(place).await,
    }
    *shared().state().under_way.entry(process).or_default() -= 1;
}

/// A process with its cache.
struct Actor {
    process: ProcessNumber,
    cache: Cache,
}

impl Actor {
    async fn read(&self, place: Place, leaves: Option<Nanos>, with_token: bool) {
        let known = with_token.then(|| shared().state().tokens.get(&place.number()).copied()).flatten();
        let began = now();
        let calling = explain(AssertUnwindSafe(call(place, Origin { process: self.process })).catch_unwind());
        let answered = async {
            match known {
                Some((token, ..)) => self.cache.scope(self.cache.after(&token).scope(calling)).await,
                None => self.cache.scope(calling).await,
            }
        };
        let answer = match leaves {
            Some(after) => within(after, answered).await,
            None => Some(answered.await),
        };
        let Some((Ok(Ok(seen)), lookups)) = answer else {
            shared().say(|| format!("process {}: no answer of {place:?}", self.process));
            shared().state().counts.unanswered += 1;
            return;
        };
        let source = lookups.last().map(|lookup| source(lookup.outcome())).unwrap_or_default();
        self.log_read(place, began, seen.as_ref(), source, known.map(|(_, process, cause)| (process, cause)));
    }

    async fn peek(&self, place: Place, with_token: bool) {
        let known = with_token.then(|| shared().state().tokens.get(&place.number()).copied()).flatten();
        let began = now();
        let answer = match known {
            Some((token, ..)) => self.cache.scope(self.cache.after(&token).scope(peek(place))).await,
            None => self.cache.scope(peek(place)).await,
        };
        // Where nothing is kept, nothing was promised.
        let cause = known.map(|(_, process, cause)| (process, cause));
        match answer {
            Ok(Some(seen)) => self.log_read(place, began, Some(&seen), Source::Unknown, cause),
            _ => shared().state().counts.unanswered += 1,
        }
    }

    fn log_read(
        &self,
        place: Place,
        began: Nanos,
        seen: Option<&Seen>,
        source: Source,
        cause: Option<(ProcessNumber, Invalidation)>,
    ) {
        let ended = now();
        let (version, by, at) = match seen {
            Some(seen) => (seen.version, seen.by, seen.at),
            None => (newest_absent(place), self.process, began),
        };
        if let Some(seen) = seen {
            self.check_age(place, began, seen);
        }
        shared().say(|| {
            let lasted = Duration::from_nanos(ended - began);
            format!("process {}: read {place:?} -> version {version} {source:?}, in {lasted:.1?}", self.process)
        });
        let read = Read {
            key: place.number(),
            version,
            began,
            ended,
            strict: place.function.is_strict(),
            token: cause.map_or(0, |(_, cause)| cause.version),
            source,
            loaded_by: by,
            loaded_at: at,
        };
        shared().read(self.process, read, cause);
    }

    /// P8: nothing is served for longer than its attribute allows.
    fn check_age(&self, place: Place, began: Nanos, seen: &Seen) {
        const MARGIN: Nanos = 500_000_000;
        let longest = nanos(place.function.longest_life()) + MARGIN;
        let age = began.saturating_sub(seen.kept);
        if age > longest && !shared().state().clock.age(seen.kept, began) {
            let (age, process) = (Duration::from_nanos(age), self.process);
            let problem = format!("process {process} was served {place:?} {age:.1?} after its load");
            shared().state().problems.push(problem);
        }
    }

    async fn write(&self, record: u64, wait: Wait) {
        let place = Place { function: Function::Strict, record };
        let version = shared().commit(place.counter());
        self.committed(&format!("record {record}"), version).await;
        let (began, event) = (now(), Place::event(record));
        let receipt = self.publish(self.cache.publish(&event), wait).await;
        let places = Place::of_record(record).map(|place| (place, version));
        self.invalidated(began, How::Event, reach(wait, &receipt), places, &receipt);
    }

    async fn write_group(&self, group: u64, wait: Wait) {
        let ids = RECORDS / crate::functions::GROUPS;
        let version = |record| (record, shared().commit(Place { function: Function::Strict, record }.counter()));
        let versions: Vec<_> = (group * ids..(group + 1) * ids).map(version).collect();
        self.committed(&format!("group {group}"), versions[0].1).await;
        let (began, event) = (now(), GroupChanged { group });
        let receipt = self.publish(self.cache.publish(&event), wait).await;
        let of = |place: &Place| versions.iter().find(|(record, _)| *record == place.record).map(|(_, one)| *one);
        let places = Place::of_group(group).filter_map(|place| Some((place, of(&place)?)));
        self.invalidated(began, How::Group, reach(wait, &receipt), places, &receipt);
    }

    async fn publish<E: cache_runtime::Event>(
        &self,
        publish: cache_runtime::Publish<'_, E>,
        wait: Wait,
    ) -> Result<Receipt, Error> {
        match wait {
            Wait::Applied => publish.await,
            Wait::Everywhere => publish.everywhere(EVERYWHERE).await,
        }
    }

    async fn invalidate(&self, place: Place) {
        // Who writes a value that is put is its only writer.
        if place.function.is_put() && !shared().begin_to_write(place, self.process) {
            return;
        }
        let version = shared().commit(place.counter());
        self.committed(&format!("{place:?}"), version).await;
        let began = now();
        let receipt = self.cache.scope(invalidate(place)).await;
        self.invalidated(began, How::Entry, reach(Wait::Applied, &receipt), [(place, version)].into_iter(), &receipt);
        if place.function.is_put() {
            shared().end_to_write(place);
        }
    }

    async fn put(&self, place: Place) {
        if !shared().begin_to_write(place, self.process) {
            return;
        }
        let version = shared().commit(place.counter());
        self.committed(&format!("{place:?}"), version).await;
        let began = now();
        let seen = Seen { version, by: self.process, at: began, kept: began };
        let receipt = self.cache.scope(put(place, seen)).await;
        self.invalidated(began, How::Put, reach(Wait::Applied, &receipt), [(place, version)].into_iter(), &receipt);
        shared().end_to_write(place);
    }

    /// After a commit: those who read a replica wait until it has come there.
    async fn committed(&self, what: &str, version: Version) {
        shared().say(|| format!("process {}: commits version {version} of {what}", self.process));
        let lag = shared().settings.lag;
        if !lag.is_zero() {
            // tidy: sleep because a replica of the source takes its time, which is virtual here
            sleep(lag).await;
        }
    }

    fn invalidated(
        &self,
        began: Nanos,
        how: How,
        reach: Reach,
        places: impl Iterator<Item = (Place, Version)>,
        receipt: &Result<Receipt, Error>,
    ) {
        let returned = now();
        let token = receipt.as_ref().ok().and_then(Receipt::token);
        let mut last = None;
        for (place, version) in places {
            let invalidation = Invalidation { key: place.number(), version, began, returned, reach, how };
            shared().invalidated(self.process, invalidation, token);
            last = Some((place, version));
        }
        shared().say(|| format!("process {}: invalidation of {last:?} {how:?} returned, {reach:?}", self.process));
        let shared = shared();
        let counts = &mut shared.state().counts;
        counts.invalidations += 1;
        counts.queued += u64::from(reach == Reach::Queued);
    }
}

/// How far an invalidation has come. One that was not heard of everywhere in time was applied, or is queued.
fn reach(wait: Wait, receipt: &Result<Receipt, Error>) -> Reach {
    match receipt {
        Ok(receipt) if receipt.delivery() == Delivery::Queued => Reach::Queued,
        Ok(_) if wait == Wait::Everywhere => Reach::Everywhere,
        Ok(_) => Reach::Applied,
        Err(_) => Reach::Queued,
    }
}

fn source(outcome: Outcome) -> Source {
    match outcome {
        Outcome::HitL1 | Outcome::Stale => Source::Near,
        Outcome::HitL2 => Source::Second,
        Outcome::Loaded => Source::Load,
        Outcome::Joined => Source::Joined,
        Outcome::Bypassed(_) => Source::Bypass,
        _ => Source::Unknown,
    }
}

/// The newest version that says that there is nothing: an answer without a value is not older than it had to be, if this
/// is not.
fn newest_absent(place: Place) -> Version {
    let truth = shared().truth(place.counter());
    (0..=truth).rev().find(|version| is_absent(*version)).unwrap_or_default()
}

/// The output, if it comes within so long.
async fn within<F: Future>(most: Nanos, future: F) -> Option<F::Output> {
    // tidy: sleep because a caller's patience is virtual here
    let (mut future, mut over) = (pin!(future), sleep(Duration::from_nanos(most)));
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => over.as_mut().poll(context).map(|()| None),
    })
    .await
}
