//! What a value looks like from outside: everything its type tells a serializer, in 64 bits.
//!
//! The digest goes over names, kinds and contents: of structs, fields and variants the names, of variants the number
//! too, of numbers the width, of options whether they hold something, of everything the value. It is taken when a value
//! is stored and again from what was decoded; unequal means that the value does not come back, and that it is a miss.
//! So whatever a codec, a changed type or an uneven pair of `Serialize` and `Deserialize` does to a value (a reordered
//! or renamed field, another integer type, an inserted variant, `Some(None)` that comes back as `None`), the value that
//! a caller gets is one that serialises exactly like the one that was stored.
//!
//! Names and kinds alone would be enough for types that were derived. Contents cost nothing, since every value is
//! visited anyway, and they cover what was written by hand.
//!
//! Elements of sequences and entries of maps count as a set: a `HashMap` is walked in another order each time.

mod walker;

use self::walker::Walker;
use crate::weight::Scale;

/// What one walk over a value tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    /// Equal for values that serialise alike.
    pub(crate) digest: u64,
    /// The estimated bytes of the value, itself and all that it owns.
    pub(crate) bytes: usize,
    /// Fields were left out (`skip_serializing_if`): only a codec that writes names can carry it.
    pub(crate) is_uneven: bool,
    /// The value's `Serialize` went to its end, and no deeper than 128 levels.
    pub(crate) is_whole: bool,
}

/// Walks over `value`.
///
/// Erased, so that each type's `Serialize` is compiled once for this, the codecs and the weight together.
pub(crate) fn walk(value: &dyn erased_serde::Serialize) -> Walked {
    let mut walker = Walker::new();
    let is_whole = erased_serde::serialize(value, &mut walker).is_ok();
    let inline = size_of_val(value);
    walker.finish(inline, is_whole)
}

/// A running hash. Stored with values, so it must stay the same on every machine and in every version.
#[derive(Clone, Copy, Debug)]
struct Hash(u64);

impl Hash {
    const BEGIN: Self = Self(0x9E37_79B9_7F4A_7C15);

    /// Takes in what kind of thing comes next, and its 64 bits.
    #[inline]
    fn add(&mut self, kind: Kind, bits: u64) {
        let wide = u128::from(self.0 ^ kind.salt()) * u128::from(bits ^ 0xA076_1D64_78BD_642F);
        // The product folded, as in wyhash; the old state is added, so that no factor of zero can wipe it out.
        #[expect(clippy::cast_possible_truncation, reason = "the halves of the product")]
        let folded = (wide as u64) ^ (wide >> 64) as u64;
        self.0 = folded.wrapping_add(self.0.rotate_left(23));
    }

    #[inline]
    fn add_bytes(&mut self, kind: Kind, bytes: &[u8]) {
        self.add(kind, xxhash_rust::xxh3::xxh3_64(bytes));
    }
}

/// What serde tells apart. The numbers are stored with values: a new kind goes to the end.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Text,
    Bytes,
    None,
    Some,
    Unit,
    UnitStruct,
    UnitVariant,
    NewtypeStruct,
    NewtypeVariant,
    Sequence,
    Tuple,
    TupleStruct,
    TupleVariant,
    Map,
    Struct,
    StructVariant,
    Variant,
    Field,
    Skipped,
    Length,
}

impl Kind {
    #[inline]
    fn salt(self) -> u64 {
        (self as u64 + 1).wrapping_mul(0xE703_7ED1_A0B4_28DB)
    }
}

/// What a walk adds up.
#[derive(Debug)]
struct Sums {
    hash: Hash,
    scale: Scale,
    is_uneven: bool,
    depth: u8,
}

#[cfg(test)]
mod digest_tests;
