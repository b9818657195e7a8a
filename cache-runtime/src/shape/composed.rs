//! The answers of the compiler, put together.

use std::marker::PhantomData;

use crate::codec::Coder;
use crate::shape::{Absence, Keeping, Kept, Outcome, Sharing, Value};

/// All that the runtime asks of an output.
pub trait Shape: Copy + Send + Sync + 'static {
    /// What the function returns.
    type Output;
    /// What is kept of it.
    type Kept: Value;

    /// Its way into bytes and back.
    const CODER: &'static Coder;

    /// What is to be done with an output.
    fn judge(output: &Self::Output) -> Judged<&Self::Kept>;
    /// The output for a kept value.
    fn wrap(self, kept: Self::Kept) -> Self::Output;
    /// The output for an error that the leader got.
    fn wrap_error(error: &Kept) -> Option<Self::Output>;
    /// Whether an output is an error.
    fn is_error(output: &Self::Output) -> bool;
    /// True for `None`.
    fn is_absent(kept: &Self::Kept) -> bool;
    /// Keeps a copy.
    fn keep(kept: &Self::Kept) -> Kept;
    /// A copy of what is kept.
    fn take(kept: Kept) -> Option<Self::Kept>;
}

/// An output, seen by the cache.
#[derive(Debug)]
pub enum Judged<T> {
    /// A value.
    Value(T),
    /// An error, and a copy of it where it can be copied.
    Error(Option<Kept>),
}

/// The answers of the compiler, put together.
pub struct Composed<O, A, S, K>(Answers<O, A, S, K>);

type Answers<O, A, S, K> = PhantomData<fn() -> (O, A, S, K)>;

impl<O, A, S, K> Clone for Composed<O, A, S, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O, A, S, K> Copy for Composed<O, A, S, K> {}

/// Puts the answers together. It asks nothing of them: that they make a [`Shape`] is asked once, where the attribute says
/// so, and an output that cannot be kept is one error for each trait it lacks.
pub fn compose<O, A, S, K>(_outcome: &O, _absence: A, _sharing: S, _keeping: K) -> Composed<O, A, S, K> {
    Composed(PhantomData)
}

impl<O, A, S, K> Shape for Composed<O, A, S, K>
where
    O: Outcome<Kept: Value> + 'static,
    A: Absence<O::Kept> + 'static,
    S: Sharing<O::Error> + 'static,
    K: Keeping<O::Kept> + 'static,
{
    type Output = O::Output;
    type Kept = O::Kept;

    const CODER: &'static Coder = &Coder::of::<O::Kept, A, K>();

    fn judge(output: &O::Output) -> Judged<&O::Kept> {
        match O::split(output) {
            Ok(kept) => Judged::Value(kept),
            Err(error) => Judged::Error(S::share(error)),
        }
    }

    #[inline(always)]
    fn wrap(self, kept: O::Kept) -> O::Output {
        O::wrap(kept)
    }

    fn wrap_error(error: &Kept) -> Option<O::Output> {
        S::unshare(error).map(O::wrap_error)
    }

    fn is_error(output: &O::Output) -> bool {
        O::split(output).is_err()
    }

    fn is_absent(kept: &O::Kept) -> bool {
        A::is_absent(kept)
    }

    fn keep(kept: &O::Kept) -> Kept {
        K::keep(kept)
    }

    #[inline(always)]
    fn take(kept: Kept) -> Option<O::Kept> {
        K::take(kept)
    }
}
