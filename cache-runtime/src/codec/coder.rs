//! A type's way into bytes and back, without the type: what is generic here is compiled again for every annotated
//! function. So a type's `Serialize` is compiled once, erased, for all codecs and walks, and its `Deserialize` once,
//! from a [`Reader`] that stands for all codecs: erased, it took several times as long to compile and five times as
//! long to run.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::codec::formats::Source;
use crate::codec::reader::{Malformed, Reader};
use crate::codec::{CodeError, Codec, Format, dispatch, formats};
use crate::schema::{Walked, walk};
use crate::shape::{Absence, Keeping, Kept, Value};

/// What is done with the value behind a [`Kept`]; the second argument tells whether it is `None`.
type See<'a> = &'a mut dyn FnMut(&dyn erased_serde::Serialize, bool);

/// How the values of one type are encoded and decoded.
pub struct Coder {
    /// Shows the value; not called if it is of another type.
    view: fn(&Kept, See<'_>),
    decode: fn(Reader<'_, '_>) -> Result<Kept, Malformed>,
}

impl fmt::Debug for Coder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coder").finish_non_exhaustive()
    }
}

/// A value as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) codec: Codec,
    pub(crate) payload: Vec<u8>,
    pub(crate) digest: u64,
    /// `None`, where the function returns an `Option`.
    pub(crate) absent: bool,
}

/// A value again.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    pub(crate) kept: Kept,
    /// Estimated bytes in memory.
    pub(crate) bytes: usize,
    /// `None`, where the function returns an `Option`.
    pub(crate) absent: bool,
}

impl Coder {
    /// The coder of a kept type.
    pub(crate) const fn of<T: Value, A: Absence<T>, K: Keeping<T>>() -> Self {
        Self { view: view::<T, A, K>, decode: decode::<T, K> }
    }

    pub(crate) fn encode(&self, kept: &Kept, codec: Codec) -> Result<Encoded, CodeError> {
        self.seen(kept, |value, absent| {
            let Walked { digest, is_uneven, is_whole, .. } = walk(value);
            if !is_whole {
                return Err(CodeError::Partial);
            }
            if is_uneven && codec.is_positional() {
                return Err(CodeError::Uneven);
            }
            let payload = dispatch!(codec, F => F::encode(value))?;
            Ok(Encoded { codec, payload, digest, absent })
        })
    }

    /// The value that was stored with this digest, or none.
    pub(crate) fn decode(&self, payload: &[u8], codec: Codec, digest: u64) -> Result<Decoded, CodeError> {
        let kept = caught(|| self.read(payload, codec))?;
        let (walked, absent) = self.seen(&kept, |value, absent| Ok((walk(value), absent)))?;
        if walked.is_whole && walked.digest == digest {
            Ok(Decoded { kept, bytes: walked.bytes, absent })
        } else {
            Err(CodeError::Digest)
        }
    }

    fn read(&self, payload: &[u8], codec: Codec) -> Result<Kept, CodeError> {
        match formats::open(payload, codec)? {
            Source::Named(tree, human) => (self.decode)(Reader::Tree(tree, human)).map_err(CodeError::of),
            Source::Positional(mut positional) => {
                let kept = (self.decode)(Reader::Positional(&mut positional)).map_err(CodeError::of)?;
                if positional.is_done() { Ok(kept) } else { Err(CodeError::Trailing) }
            }
        }
    }

    fn seen<R>(
        &self,
        kept: &Kept,
        mut see: impl FnMut(&dyn erased_serde::Serialize, bool) -> Result<R, CodeError>,
    ) -> Result<R, CodeError> {
        let mut seen = Err(CodeError::ForeignType);
        caught(|| {
            (self.view)(kept, &mut |value, absent| seen = see(value, absent));
            Ok(())
        })?;
        seen
    }
}

/// A cached function never panics because of the cache: not even where its type panics on a stranger's bytes.
fn caught<R>(code: impl FnOnce() -> Result<R, CodeError>) -> Result<R, CodeError> {
    catch_unwind(AssertUnwindSafe(code)).unwrap_or(Err(CodeError::Panicked))
}

fn view<T: Value, A: Absence<T>, K: Keeping<T>>(kept: &Kept, see: See<'_>) {
    K::view(kept, |value| see(value, A::is_absent(value)));
}

fn decode<T: Value, K: Keeping<T>>(reader: Reader<'_, '_>) -> Result<Kept, Malformed> {
    T::deserialize(reader).map(K::keep_owned)
}
