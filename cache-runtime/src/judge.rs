//! What is made of an output before it is kept, where the code of its own type runs.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use crate::fill::{Loaded, LoadedValue};
use crate::function::Function;
use crate::shape::{Judged, Shape};
use crate::weight::weigh;

/// What the cache does with an output.
///
/// What the output's type does meanwhile is not the caller's: where its `Serialize` panics, the value is given to those who
/// wait and not kept; where its `Clone` or `store_if` does, they look by themselves.
pub(crate) fn judge<S: Shape>(
    function: &'static Function,
    output: &S::Output,
    veto: Option<fn(&S::Kept) -> bool>,
) -> Loaded {
    let judge = || match S::judge(output) {
        Judged::Error(shared) => Loaded::Error(shared),
        Judged::Value(value) => {
            let bytes = weigh(value);
            if bytes.is_none() {
                tell_of_panic(function);
            }
            Loaded::Value(LoadedValue {
                kept: S::keep(value),
                bytes: bytes.unwrap_or_default(),
                absent: S::is_absent(value),
                wanted: bytes.is_some() && veto.is_none_or(|keeps| keeps(value)),
            })
        }
    };
    catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|_| {
        tell_of_panic(function);
        Loaded::Error(None)
    })
}

/// Once for each function.
#[cold]
fn tell_of_panic(function: &'static Function) {
    static TOLD: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
    if TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(function.number()) {
        tracing::error!(
            function = function.place(),
            "the `Serialize` or `Clone` of an output, or `store_if`, panicked: such outputs are returned and not kept"
        );
    }
}
