//! What a function returns, told apart by the compiler: `T`, `Option<T>`, `Result<T, E>` through any alias, `Arc<T>`.
//!
//! The attribute sees tokens, and an alias hides a `Result` from it. So [`shape!`](crate::__private::shape) asks the
//! compiler: [`Probe`] has an inherent method where the type is the special one, and a trait method of the same name
//! otherwise; inherent methods win.

mod composed;

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::composed::{Judged, Shape, compose};

/// A kept value, its type known to its function only.
pub(crate) type Kept = Arc<dyn Any + Send + Sync>;

/// What a cached function's output must be, so that it can be kept, copied and leave the process.
#[diagnostic::on_unimplemented(
    message = "the output `{Self}` cannot be cached",
    label = "must be `Serialize + DeserializeOwned + Clone + Send + Sync + 'static`",
    note = "derive what is missing, e.g. `#[derive(Clone, serde::Serialize, serde::Deserialize)]`"
)]
pub trait Value: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Value for T {}

/// Stands for a type under question.
pub struct Probe<T: ?Sized>(PhantomData<fn() -> *const T>);

impl<T: ?Sized> Probe<T> {
    /// The one value of it.
    pub const NEW: Self = Self(PhantomData);
}

impl<T: ?Sized> Clone for Probe<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Probe<T> {}

impl<T: ?Sized> fmt::Debug for Probe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<T>())
    }
}

/// How an output divides into a value and an error.
pub trait Outcome {
    /// What the function returns.
    type Output;
    /// What is kept of it.
    type Kept;
    /// What is never kept.
    type Error;

    /// The value or the error.
    ///
    /// # Errors
    ///
    /// The function's own.
    fn split(output: &Self::Output) -> Result<&Self::Kept, &Self::Error>;

    /// The value; nothing for an error.
    fn value(output: &Self::Output) -> Option<&Self::Kept>;

    /// The output for a kept value.
    fn wrap(kept: Self::Kept) -> Self::Output;

    /// The output for an error that somebody else got.
    fn wrap_error(error: Self::Error) -> Self::Output;
}

/// `Result<T, E>`.
pub struct Fallible<T, E>(PhantomData<fn() -> (T, E)>);

/// Everything else.
pub struct Plain<T>(PhantomData<fn() -> T>);

impl<T, E> Outcome for Fallible<T, E> {
    type Output = Result<T, E>;
    type Kept = T;
    type Error = E;

    fn split(output: &Result<T, E>) -> Result<&T, &E> {
        output.as_ref()
    }

    fn value(output: &Result<T, E>) -> Option<&T> {
        output.as_ref().ok()
    }

    fn wrap(kept: T) -> Result<T, E> {
        Ok(kept)
    }

    fn wrap_error(error: E) -> Result<T, E> {
        Err(error)
    }
}

impl<T> Outcome for Plain<T> {
    type Output = T;
    type Kept = T;
    type Error = Infallible;

    fn split(output: &T) -> Result<&T, &Infallible> {
        Ok(output)
    }

    fn value(output: &T) -> Option<&T> {
        Some(output)
    }

    fn wrap(kept: T) -> T {
        kept
    }

    fn wrap_error(error: Infallible) -> T {
        match error {}
    }
}

impl<T, E> Probe<Result<T, E>> {
    /// A `Result` divides.
    #[must_use]
    pub fn outcome(self) -> Fallible<T, E> {
        Fallible(PhantomData)
    }
}

/// [`Probe::outcome`] of what is no `Result`.
pub trait PlainOutcome<T> {
    /// All of it is the value.
    fn outcome(self) -> Plain<T>;
}

impl<T> PlainOutcome<T> for Probe<T> {
    fn outcome(self) -> Plain<T> {
        Plain(PhantomData)
    }
}

#[expect(clippy::unused_self, reason = "called on a value, since its type has no name where it is called")]
impl<T, E> Fallible<T, E> {
    /// The kept type.
    #[must_use]
    pub fn kept(&self) -> Probe<T> {
        Probe::NEW
    }

    /// The error type.
    #[must_use]
    pub fn error(&self) -> Probe<E> {
        Probe::NEW
    }
}

#[expect(clippy::unused_self, reason = "called on a value, since its type has no name where it is called")]
impl<T> Plain<T> {
    /// The kept type.
    #[must_use]
    pub fn kept(&self) -> Probe<T> {
        Probe::NEW
    }

    /// The error type.
    #[must_use]
    pub fn error(&self) -> Probe<Infallible> {
        Probe::NEW
    }
}

/// Whether a kept value says that there is nothing.
pub trait Absence<T> {
    /// True for `None`.
    fn is_absent(kept: &T) -> bool;
}

/// `Option<T>`, with or without `Arc`: `None` is absence.
pub struct Optional;

/// Anything else is always something.
pub struct Present;

impl<T> Absence<Option<T>> for Optional {
    fn is_absent(kept: &Option<T>) -> bool {
        kept.is_none()
    }
}

impl<T> Absence<Arc<Option<T>>> for Optional {
    fn is_absent(kept: &Arc<Option<T>>) -> bool {
        kept.is_none()
    }
}

impl<T> Absence<T> for Present {
    fn is_absent(_kept: &T) -> bool {
        false
    }
}

impl<T> Probe<Option<T>> {
    /// An `Option` can be absent.
    #[must_use]
    pub fn absence(self) -> Optional {
        Optional
    }
}

impl<T> Probe<Arc<Option<T>>> {
    /// So can one behind an `Arc`.
    #[must_use]
    pub fn absence(self) -> Optional {
        Optional
    }
}

/// [`Probe::absence`] of what is no `Option`.
pub trait NeverAbsent {
    /// Never absent.
    fn absence(self) -> Present;
}

impl<T> NeverAbsent for Probe<T> {
    fn absence(self) -> Present {
        Present
    }
}

/// Whether an error can be given to several callers.
pub trait Sharing<E> {
    /// The error for those who wait, if it can be copied.
    fn share(error: &E) -> Option<Kept>;

    /// The error again.
    fn unshare(shared: &Kept) -> Option<E>;
}

/// The error is `Clone`: those who wait get a copy.
pub struct Copied;

/// The error is not `Clone`: those who wait must see for themselves.
pub struct Owned;

impl<E: Clone + Send + Sync + 'static> Sharing<E> for Copied {
    fn share(error: &E) -> Option<Kept> {
        Some(Arc::new(error.clone()))
    }

    fn unshare(shared: &Kept) -> Option<E> {
        shared.downcast_ref::<E>().cloned()
    }
}

impl<E> Sharing<E> for Owned {
    fn share(_error: &E) -> Option<Kept> {
        None
    }

    fn unshare(_shared: &Kept) -> Option<E> {
        None
    }
}

impl<E: Clone + Send + Sync + 'static> Probe<E> {
    /// A `Clone` error is copied.
    #[must_use]
    pub fn sharing(self) -> Copied {
        Copied
    }
}

/// [`Probe::sharing`] of what is not `Clone`.
pub trait NotShared {
    /// Not copied.
    fn sharing(self) -> Owned;
}

impl<E> NotShared for Probe<E> {
    fn sharing(self) -> Owned {
        Owned
    }
}

/// How a value is kept without its type.
pub trait Keeping<T> {
    /// Keeps a copy.
    fn keep(value: &T) -> Kept;

    /// Keeps the value itself.
    fn keep_owned(value: T) -> Kept;

    /// A copy of what is kept; nothing if it is of another type.
    fn take(kept: Kept) -> Option<T>;

    /// Shows what is kept; does nothing if it is of another type.
    fn view(kept: &Kept, see: impl FnOnce(&T));
}

/// `Arc<T>`: kept as it is, given without an allocation or a copy.
pub struct AsArc;

/// Anything else: kept behind an `Arc`.
pub struct Behind;

impl<T: Send + Sync + 'static> Keeping<Arc<T>> for AsArc {
    fn keep(value: &Arc<T>) -> Kept {
        Arc::<T>::clone(value)
    }

    fn keep_owned(value: Arc<T>) -> Kept {
        value
    }

    #[inline(always)]
    fn take(kept: Kept) -> Option<Arc<T>> {
        kept.downcast().ok()
    }

    fn view(kept: &Kept, see: impl FnOnce(&Arc<T>)) {
        if let Ok(kept) = Arc::clone(kept).downcast() {
            see(&kept);
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Keeping<T> for Behind {
    fn keep(value: &T) -> Kept {
        Arc::new(value.clone())
    }

    fn keep_owned(value: T) -> Kept {
        Arc::new(value)
    }

    #[inline(always)]
    fn take(kept: Kept) -> Option<T> {
        // A value of the second tier that nobody else was given is handed on as it is.
        if Arc::strong_count(&kept) == 1 {
            kept.downcast().ok().map(Arc::unwrap_or_clone)
        } else {
            kept.downcast_ref().cloned()
        }
    }

    fn view(kept: &Kept, see: impl FnOnce(&T)) {
        if let Some(kept) = kept.downcast_ref() {
            see(kept);
        }
    }
}

impl<T: Send + Sync + 'static> Probe<Arc<T>> {
    /// An `Arc` is kept as it is.
    #[must_use]
    pub fn keeping(self) -> AsArc {
        AsArc
    }
}

/// [`Probe::keeping`] of what is no `Arc`.
pub trait KeptBehind {
    /// Kept behind an `Arc`.
    fn keeping(self) -> Behind;
}

impl<T> KeptBehind for Probe<T> {
    fn keeping(self) -> Behind {
        Behind
    }
}
