//! What the attribute's expansion calls. No part of the public contract: it changes with the macros, in every version.

use std::any::{Any, TypeId};
use std::fmt;
use std::future::ready;
use std::time::Duration;

use tokio::sync::oneshot;

#[path = "private/watched.rs"]
mod watched;

pub use inventory;

pub use crate::entry::Entry;
pub use crate::event::{Event, RegisteredEvent};
pub use crate::function::{Function, L1, Route, RouteKey, Spec};
pub use crate::key::{Hashed, KeyPart, KeyWriter, Parts, PatternPiece, Piece};
pub use crate::registry::Registered;
pub use crate::shape::{
    Judged, KeptBehind, NeverAbsent, NotShared, Outcome, PlainOutcome, Probe, Shape, Value, compose,
};
pub use crate::{outcome, shape};

use crate::cache::Cache;
use crate::detach::{detached, in_background};
use crate::event::Unread;
use crate::fill::Loading;
use crate::judge::judge;
use crate::key::short_key;
use crate::lookup::{Bypass, Outcome as Answered};
use crate::metric::Metric;
use crate::read::{self, Finding, Found, Instead, Leading, Missed, Way};
use crate::registry;
use watched::Watched;

/// The shape of a return type: see [`crate::private::Probe`].
#[doc(hidden)]
#[macro_export]
macro_rules! shape {
    ($output:ty) => {{
        use $crate::__private::{KeptBehind as _, NeverAbsent as _, NotShared as _, PlainOutcome as _};
        let __outcome = $crate::__private::Probe::<$output>::NEW.outcome();
        let (__kept, __error) = (__outcome.kept(), __outcome.error());
        $crate::__private::compose(&__outcome, __kept.absence(), __error.sharing(), __kept.keeping())
    }};
}

/// How a return type divides into value and error.
#[doc(hidden)]
#[macro_export]
macro_rules! outcome {
    ($output:ty) => {{
        use $crate::__private::PlainOutcome as _;
        $crate::__private::Probe::<$output>::NEW.outcome()
    }};
}

pub use crate::read::Using;

/// The current cache.
#[must_use]
#[inline(always)]
pub fn current() -> Using<'static> {
    Using(None)
}

/// This cache.
#[must_use]
#[inline(always)]
pub fn given(cache: &Cache) -> Using<'_> {
    Using(Some(cache.node()))
}

/// What a call finds at once.
#[derive(Debug)]
pub enum Lookup<S: Shape> {
    /// The value.
    Hit(S::Kept),
    /// Nothing that may be served.
    Miss(Miss<S>),
}

/// Looks into the in-process tier.
#[inline(always)]
pub fn lookup<S: Shape>(function: &'static Function, using: Using<'_>, parts: &impl Parts, _shape: S) -> Lookup<S> {
    registry::ensure_number(function);
    let found = match short_key(parts) {
        Some((length, [low, high])) => read::find(using, function, length, low, high),
        None => read::find_long(using, function, parts),
    };
    let (kept, watched) = match found {
        Found::Hit(kept) => (Some(kept), false),
        Found::WatchedHit(kept) => (Some(kept), true),
        Found::Nothing => (None, false),
    };
    match kept.and_then(S::take) {
        Some(value) => {
            if watched {
                read::watch_hit(using, function, parts, S::is_absent(&value));
            }
            Lookup::Hit(value)
        }
        None => Lookup::Miss(Miss::of(using, function, parts, None)),
    }
}

/// The same for a function that stands in an `impl` or `trait`: its static is one for all of their types.
#[inline(always)]
pub fn lookup_of<This: ?Sized, S: Shape>(
    function: &'static Function,
    using: Using<'_>,
    parts: &impl Parts,
    shape: S,
) -> Lookup<S> {
    if function.belongs_to(std::any::type_name::<This>()) {
        return lookup(function, using, parts, shape);
    }
    refuse(function, using, parts, Bypass::OtherSelf)
}

/// Does not look into the in-process tier, where a function that is never kept there has nothing.
#[inline(always)]
pub fn no_lookup<S: Shape>(function: &'static Function, using: Using<'_>, parts: &impl Parts, _shape: S) -> Lookup<S> {
    registry::ensure_number(function);
    Lookup::Miss(Miss::of(using, function, parts, None))
}

/// The same for a function that stands in an `impl` or `trait`.
#[inline(always)]
pub fn no_lookup_of<This: ?Sized, S: Shape>(
    function: &'static Function,
    using: Using<'_>,
    parts: &impl Parts,
    shape: S,
) -> Lookup<S> {
    if function.belongs_to(std::any::type_name::<This>()) {
        return no_lookup(function, using, parts, shape);
    }
    refuse(function, using, parts, Bypass::OtherSelf)
}

/// A call that may neither be given what is kept nor keep anything.
#[cold]
fn refuse<S: Shape>(function: &'static Function, using: Using<'_>, parts: &dyn Parts, reason: Bypass) -> Lookup<S> {
    registry::ensure_number(function);
    Lookup::Miss(Miss::of(using, function, parts, Some(reason)))
}

/// A call that found nothing it could be given at once.
pub struct Miss<S: Shape> {
    missed: Box<Missed>,
    veto: Option<fn(&S::Kept) -> bool>,
    /// Why it runs the body without the cache, where that is known before it looks.
    refused: Option<Bypass>,
}

impl<S: Shape> fmt::Debug for Miss<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Miss").field("missed", &self.missed).finish_non_exhaustive()
    }
}

impl<S: Shape> Miss<S> {
    fn of(using: Using<'_>, function: &'static Function, parts: &dyn Parts, refused: Option<Bypass>) -> Self {
        Self { missed: read::miss(using, function, parts), veto: None, refused }
    }

    /// Keeps the loaded value only if `keeps` says so.
    #[must_use]
    pub fn store_if(self, _shape: S, keeps: fn(&S::Kept) -> bool) -> Self {
        Self { veto: Some(keeps), ..self }
    }

    /// Joins another call's load or runs the body in the caller's task.
    pub async fn load<F>(self, shape: S, body: impl FnOnce() -> F) -> S::Output
    where
        F: Future<Output = S::Output>,
    {
        let Self { missed, veto, refused } = self;
        let watched = Watched::begin(&missed);
        match way::<S>(&missed, refused).await {
            Way::Lead(duty) => {
                let mut loading = Loading::begin(missed, duty, S::CODER);
                let output = loading.scope(body()).await;
                let loaded = judge::<S>(loading.function(), &output, veto);
                loading.settle(loaded).await;
                Watched::end(watched, Answered::Loaded, None);
                output
            }
            way => match answer(&missed, shape, way) {
                Ok(output) => output,
                Err(reason) => {
                    let output = Box::pin(missed.alone().scope(body())).await;
                    Watched::end(watched, Answered::Bypassed(reason), None);
                    output
                }
            },
        }
    }

    /// Refreshes in the background.
    fn refresh<F>(missed: Box<Missed>, duty: Leading, veto: Option<fn(&S::Kept) -> bool>, body: F)
    where
        F: Future<Output = S::Output> + Send + 'static,
        S::Output: Send + 'static,
    {
        let (timeout, runtime) = (missed.node.time.sleep(missed.load_timeout()), missed.runtime());
        let mut loading = Loading::begin(missed, duty, S::CODER);
        let body = loading.scope(body).by_itself();
        let load = async move {
            let output = body.await;
            let loaded = judge::<S>(loading.function(), &output, veto);
            loading.settle(loaded).await;
        };
        in_background(Box::pin(load), timeout, runtime);
    }

    /// Joins another call's load or runs the body in a task of its own, which goes on when the caller leaves.
    pub async fn load_detached<F>(self, shape: S, body: impl FnOnce() -> F) -> S::Output
    where
        F: Future<Output = S::Output> + Send + 'static,
        S::Output: Send + 'static,
    {
        let Self { missed, veto, refused } = self;
        let watched = Watched::begin(&missed);
        match way::<S>(&missed, refused).await {
            Way::Lead(mut duty) => {
                let instead = duty.instead.take();
                let (timeout, runtime) = (missed.node.time.sleep(missed.load_timeout()), missed.runtime());
                let mut loading = Loading::begin(missed, duty, S::CODER);
                let body = loading.scope(body());
                let (put, mut output) = oneshot::channel();
                let detachable = async move {
                    let output = body.await;
                    let loaded = judge::<S>(loading.function(), &output, veto);
                    loading.settle(loaded).await;
                    // Only an error when the caller left.
                    let _nobody = put.send(output);
                };
                detached(Box::pin(detachable), timeout, runtime).await;
                match output.try_recv() {
                    Ok(output) => {
                        let (output, answered, age) = unless_failed(shape, output, instead);
                        Watched::end(watched, answered, age);
                        output
                    }
                    // A load that is done has put its output.
                    Err(_) => std::future::pending().await,
                }
            }
            Way::Stale(kept, age, Some(duty)) => match S::take(kept) {
                Some(value) => {
                    missed.note(Answered::Stale, age);
                    Self::refresh(missed, duty, veto, body());
                    shape.wrap(value)
                }
                None => Box::pin(missed.alone().scope(body())).await,
            },
            way => match answer(&missed, shape, way) {
                Ok(output) => output,
                Err(reason) => {
                    let output = Box::pin(missed.alone().scope(body())).await;
                    Watched::end(watched, Answered::Bypassed(reason), None);
                    output
                }
            },
        }
    }
}

/// How the call goes on.
fn way<S: Shape>(missed: &Missed, refused: Option<Bypass>) -> Finding<'_> {
    refused.map_or_else(|| missed.way(S::CODER), |reason| Box::pin(ready(Way::Alone(reason))))
}

/// The output of a load; what its caller is served instead, if there is anything, where it is an error.
fn unless_failed<S: Shape>(
    shape: S,
    output: S::Output,
    instead: Option<Box<Instead>>,
) -> (S::Output, Answered, Option<Duration>) {
    let served = instead.filter(|_| S::is_error(&output)).and_then(|instead| instead.serve());
    match served.and_then(|(kept, age)| Some((S::take(kept)?, age))) {
        Some((value, age)) => (shape.wrap(value), Answered::Stale, age),
        None => (output, Answered::Loaded, None),
    }
}

/// The output of another call's load, or why this one has to run the body by itself.
fn answer<S: Shape>(missed: &Missed, shape: S, way: Way) -> Result<S::Output, Bypass> {
    let (kept, answered, age) = match way {
        Way::Value(kept) => (kept, Answered::Joined, None),
        Way::Kept(entry) => {
            let (kept, function) = (S::take(missed.kept(&entry)), missed.address.function);
            let age = missed.node.ages(&entry, function, kept.as_ref().is_some_and(S::is_absent)).0;
            missed.node.count(function, Metric::HitL1);
            return found(missed, kept.map(|kept| shape.wrap(kept)), Answered::HitL1, Some(age));
        }
        Way::Stored(kept, age) => (kept, Answered::HitL2, age),
        // A refresh is another call's duty; one in its caller's task is none, and handed over by being dropped.
        Way::Stale(kept, age, _) => (kept, Answered::Stale, age),
        Way::Error(error) => return found(missed, S::wrap_error(&error), Answered::Joined, None),
        Way::Alone(reason) => {
            missed.note_bypass(reason);
            return Err(reason);
        }
        Way::Lead(_) => return found(missed, None, Answered::Loaded, None),
    };
    found(missed, S::take(kept).map(|kept| shape.wrap(kept)), answered, age)
}

/// An output, if it was of the function's own type.
fn found<T>(missed: &Missed, output: Option<T>, answered: Answered, age: Option<Duration>) -> Result<T, Bypass> {
    if output.is_some() {
        missed.note(answered, age);
    } else {
        missed.note_bypass(Bypass::ForeignType);
    }
    output.ok_or(Bypass::ForeignType)
}

/// The entry with these parts.
#[must_use]
pub fn entry<S: Shape>(function: &'static Function, parts: &impl Parts, _shape: S) -> Entry<S::Kept> {
    Entry::new::<S>(function, parts)
}

/// The same for a function that stands in an `impl` or `trait`.
#[must_use]
pub fn entry_of<This: ?Sized, S: Shape>(function: &'static Function, parts: &impl Parts, shape: S) -> Entry<S::Kept> {
    // An entry is that of the key, whoever is the first: but there is a first before anything is stored.
    let _is_first = function.belongs_to(std::any::type_name::<This>());
    entry(function, parts, shape)
}

/// The kept type of a shape.
#[must_use]
pub fn output_type<S: Shape>(_shape: S) -> (TypeId, &'static str) {
    (TypeId::of::<S::Kept>(), std::any::type_name::<S::Kept>())
}

/// Gives an event of the route's type, or one that another process has told of, to `write`.
pub fn render_route<E: Event>(event: &dyn Any, key: &mut RouteKey<'_>, write: fn(&E, &mut RouteKey<'_>)) {
    let told = || event.downcast_ref::<Unread>()?.read();
    if let Some(event) = event.downcast_ref().or_else(told) {
        write(event, key);
    }
}

/// Says what a future ends with, where inference needs to be told.
pub fn typed<T, F: Future<Output = T>>(future: F) -> F {
    future
}

/// The kinds of values that are equal under [`KeyPart`].
#[diagnostic::on_unimplemented(
    message = "the event's field is of another type than the argument it stands for in the key",
    label = "the field is `{Self}`, the argument `{T}`",
    note = "give both the same type, so that the event renders the very key the function reads"
)]
pub trait SameAs<T: ?Sized> {}

impl<T: ?Sized> SameAs<T> for T {}

/// Stands for any other type. With one impl alone the compiler would take it before it knows the argument's type, and
/// report a mismatch in its own words.
#[derive(Debug)]
pub struct Other<T: ?Sized>(std::marker::PhantomData<T>);

impl<T: ?Sized> SameAs<Other<T>> for T {}

/// Checks that an event's field and the argument it stands for write the same key.
pub fn same_key<F: KeyPart + ?Sized, A: KeyPart + ?Sized>(_field: &F, _argument: &A)
where
    F::Canonical: SameAs<A::Canonical>,
{
}

/// The value that `#[emits]` shows as `result`: nothing after an error.
pub fn emitted<O: Outcome>(_outcome: O, output: &O::Output) -> Option<&O::Kept> {
    O::value(output)
}

/// Publishes to the current cache. The write has happened, so a failure is told to the log.
pub async fn emit<E: Event>(event: &E) {
    emit_on(&Cache::current(), event).await;
}

/// Publishes to this cache. The write has happened, so a failure is told to the log.
pub async fn emit_on<E: Event>(cache: &Cache, event: &E) {
    if let Err(error) = cache.publish(event).await {
        tracing::error!(event = E::NAME, %error, "an event was not published to all");
    }
}
