//! Which codec carries a function's values: tried before anything is stored.
//!
//! A type can say things that a codec cannot carry, and neither notices: `#[serde(flatten)]`, untagged enums and
//! `skip_serializing_if` under the codecs by position, `Some(None)` under `msgpack` and JSON, `NaN` under JSON. The
//! [digest](crate::schema) keeps such values from ever being given out, but each read would be a miss, and nobody would
//! know. So a function's first value is decoded again before it is stored, and a sample of the later ones: a type may
//! well survive as long as an `Option` in it is `None`. Where no codec carries the first one, it may be that value alone
//! (a tree that is too deep): the same sample of the later ones is tried.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use crate::codec::{CodeError, Codec, Coder, Encoded};
use crate::shape::Kept;

/// Every write that is a power of two is tried, and every one of so many.
pub(super) const SAMPLE: u32 = 256;

/// Payloads over this are always tried: a codec's limit may be in their way.
const LARGE: usize = 1 << 20;

const UNCHECKED: u8 = 0;
const REFUSED: u8 = u8::MAX;

/// What one cache knows of the codec for one function. No variant in the atomic is worse than a repeated trial, so all
/// orderings are relaxed.
#[derive(Debug, Default)]
pub(crate) struct CodecChoice {
    state: AtomicU8,
    writes: AtomicU32,
    warned: AtomicBool,
}

/// What is known so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unchecked,
    Chosen(Codec),
    /// No codec carried what was tried so far; a sample of what comes is tried again.
    Refused,
}

impl CodecChoice {
    /// The value as bytes that will come back as this very value; nothing if there is no such codec.
    pub(crate) fn encode(&self, function: &str, coder: &Coder, kept: &Kept, preferred: Codec) -> Option<Encoded> {
        let (chosen, is_due) = match self.state() {
            State::Refused if !self.is_sampled() => return None,
            State::Unchecked | State::Refused => (preferred, true),
            State::Chosen(chosen) => (chosen, self.is_sampled()),
        };
        match attempt(coder, kept, chosen, is_due) {
            Ok(encoded) => {
                // A `None` tells nothing about what the function returns otherwise.
                if is_due && !encoded.absent {
                    self.set(State::Chosen(chosen));
                }
                Some(encoded)
            }
            Err(error) => self.fall_back(function, coder, kept, chosen, &error),
        }
    }

    fn fall_back(
        &self,
        function: &str,
        coder: &Coder,
        kept: &Kept,
        failed: Codec,
        error: &CodeError,
    ) -> Option<Encoded> {
        let mut others = Codec::FALLBACKS.iter().copied().filter(|codec| *codec != failed);
        let fallback = others.find_map(|codec| attempt(coder, kept, codec, true).ok());
        if let Some(encoded) = &fallback {
            self.set(State::Chosen(encoded.codec));
            self.warn_once(|| {
                tracing::warn!(
                    function, %failed, %error, codec = %encoded.codec,
                    "a value does not survive its codec; from now on another one stores this function's values"
                );
            });
        } else {
            if self.state() == State::Unchecked {
                self.set(State::Refused);
            }
            self.warn_once(|| {
                tracing::warn!(
                    function, %failed, %error,
                    "a value survives no codec and is not stored in the second tier"
                );
            });
        }
        fallback
    }

    fn warn_once(&self, warn: impl FnOnce()) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn();
        }
    }

    fn is_sampled(&self) -> bool {
        let write = self.writes.fetch_add(1, Ordering::Relaxed);
        write.is_power_of_two() || write.is_multiple_of(SAMPLE)
    }

    fn state(&self) -> State {
        match self.state.load(Ordering::Relaxed) {
            UNCHECKED => State::Unchecked,
            id => Codec::of_id(id).map_or(State::Refused, State::Chosen),
        }
    }

    fn set(&self, state: State) {
        let id = match state {
            State::Unchecked => UNCHECKED,
            State::Chosen(codec) => codec.id(),
            State::Refused => REFUSED,
        };
        self.state.store(id, Ordering::Relaxed);
    }
}

/// The value as bytes, decoded again where that is due.
fn attempt(coder: &Coder, kept: &Kept, by: Codec, is_due: bool) -> Result<Encoded, CodeError> {
    let encoded = coder.encode(kept, by)?;
    if is_due || encoded.payload.len() > LARGE {
        coder.decode(&encoded.payload, by, encoded.digest)?;
    }
    Ok(encoded)
}
