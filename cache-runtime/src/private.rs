//! What the attribute's expansion calls. No part of the public contract: it changes with the macros, in every version.

use std::any::{Any, TypeId};
use std::fmt;

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
use crate::context::Context;
use crate::fill::{Loading, detached};
use crate::lookup::{Bypass, Outcome as Answered};
use crate::read::{self, Found, Missed, Way};

/// The shape of a return type: see [`crate::private::Probe`].
#[doc(hidden)]
#[macro_export]
macro_rules! shape {
    ($output:ty) => {{
        use $crate::__private::{
            KeptBehind as _, NeverAbsent as _, NotShared as _, PlainOutcome as _,
        };
        let outcome = $crate::__private::Probe::<$output>::NEW.outcome();
        let (kept, error) = (outcome.kept(), outcome.error());
        $crate::__private::compose(&outcome, kept.absence(), error.sharing(), kept.keeping())
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

/// Which cache a call uses.
#[derive(Clone, Copy, Debug)]
pub enum Using<'a> {
    /// The current one.
    Current,
    /// This one.
    Given(&'a Cache),
}

/// The current cache.
#[must_use]
#[inline(always)]
pub fn current() -> Using<'static> {
    Using::Current
}

/// This cache.
#[must_use]
#[inline(always)]
pub fn given(cache: &Cache) -> Using<'_> {
    Using::Given(cache)
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
pub fn lookup<S: Shape>(
    function: &'static Function,
    using: Using<'_>,
    parts: &impl Parts,
    _shape: S,
) -> Lookup<S> {
    let context = Context::if_any();
    let node = match using {
        Using::Current => Cache::node_for(context.as_ref()),
        Using::Given(cache) => cache.node(),
    };
    match read::find::<S>(node, context.as_ref(), function, parts) {
        Found::Hit(value) => Lookup::Hit(value),
        Found::Miss(missed) => Lookup::Miss(Miss { missed, veto: None }),
    }
}

/// A call that found nothing it could be given at once.
pub struct Miss<S: Shape> {
    missed: Box<Missed>,
    veto: Option<fn(&S::Kept) -> bool>,
}

impl<S: Shape> fmt::Debug for Miss<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Miss")
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

impl<S: Shape> Miss<S> {
    /// Keeps the loaded value only if `keeps` says so.
    #[must_use]
    pub fn store_if(self, _shape: S, keeps: fn(&S::Kept) -> bool) -> Self {
        Self {
            veto: Some(keeps),
            ..self
        }
    }

    /// Joins another call's load or runs the body in the caller's task.
    pub async fn load<F>(self, shape: S, body: impl FnOnce() -> F) -> S::Output
    where
        F: Future<Output = S::Output>,
    {
        match Box::pin(self.missed.way()).await {
            Way::Lead(lead) => {
                self.missed.note(Answered::Loaded);
                Box::pin(Loading::<S>::begin(self.missed, lead, self.veto).run(body())).await
            }
            way => match self.answer(shape, way) {
                Ok(output) => output,
                Err(bypass) => {
                    self.missed.note(Answered::Bypassed(bypass));
                    Box::pin(body()).await
                }
            },
        }
    }

    /// Joins another call's load or runs the body in a task of its own, which goes on when the caller leaves.
    pub async fn load_detached<F>(self, shape: S, body: F) -> S::Output
    where
        F: Future<Output = S::Output> + Send + 'static,
        S::Output: Send + 'static,
    {
        match Box::pin(self.missed.way()).await {
            Way::Lead(lead) => {
                self.missed.note(Answered::Loaded);
                let timeout = self.missed.node.time.sleep(self.missed.load_timeout());
                Box::pin(detached(
                    Loading::<S>::begin(self.missed, lead, self.veto).run(body),
                    timeout,
                ))
                .await
            }
            way => match self.answer(shape, way) {
                Ok(output) => output,
                Err(bypass) => {
                    self.missed.note(Answered::Bypassed(bypass));
                    Box::pin(body).await
                }
            },
        }
    }

    /// The output of another call's load, or why this one has to run the body by itself.
    fn answer(&self, shape: S, way: Way) -> Result<S::Output, Bypass> {
        let output = match way {
            Way::Value(kept) => S::take(kept).map(|kept| shape.wrap(kept)),
            Way::Error(error) => S::wrap_error(&error),
            Way::Alone(bypass) => return Err(bypass),
            Way::Lead(_) => None,
        };
        let output = output.ok_or(Bypass::ForeignType)?;
        self.missed.note(Answered::Joined);
        Ok(output)
    }
}

/// The entry with these parts.
#[must_use]
pub fn entry<S: Shape>(
    function: &'static Function,
    parts: &impl Parts,
    _shape: S,
) -> Entry<S::Kept> {
    Entry::new::<S>(function, parts)
}

/// The kept type of a shape.
#[must_use]
pub fn output_type<S: Shape>(_shape: S) -> (TypeId, &'static str) {
    (TypeId::of::<S::Kept>(), std::any::type_name::<S::Kept>())
}

/// Gives an event of the route's type to `write`.
pub fn render_route<E: Event>(
    event: &dyn Any,
    key: &mut RouteKey<'_>,
    write: fn(&E, &mut RouteKey<'_>),
) {
    if let Some(event) = event.downcast_ref() {
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
